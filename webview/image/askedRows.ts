import { useMemo } from 'preact/hooks';
import { hasQuery, keyGrid, queryGrid } from '../../src/attention/reading';
import type { Probe } from '../../src/domain/probes';
import type { AttentionRows, Method, Query } from '../../src/domain/query';
import type { ImagePanelApi } from '../../src/protocol/image';
import type { Run } from '../../src/tasks/run';
import type { Host } from '../host';
import { useAhead } from '../kit/ahead';
import { useNewestAnswer, useSettled, type NewestAnswer } from '../kit/hooks';
import { chosenSettings, type Chosen, type Settings } from './settings';

/** Milliseconds that the pointer rests on a patch before its maps are asked for. */
const REST = 40;

/** A query as the user chose it, and as the host is asked for all layers. */
export interface AskedQuery {
  /** The run that is asked. */
  readonly scope: number;
  readonly key: string;
  readonly query: Query;
  readonly asked: Query;
  readonly method: Method;
}

export interface ShownRows {
  /** What is wanted. */
  readonly chosen: Chosen;
  /** What is drawn, under its own name, while a newer query is on its way. */
  readonly drawn: Chosen;
  readonly newest: NewestAnswer<AskedQuery, AttentionRows>;
}

/**
 * The maps of the query that is wanted. Those of the query that the pointer rests on are asked for
 * before it is clicked.
 */
export function useRows(
  host: Host<ImagePanelApi>,
  view: Run,
  settings: Settings,
  colourMap: string,
  aimed: Query | undefined,
): ShownRows {
  const { probes, run } = view;
  const choose = (changes: Partial<Settings>): Chosen =>
    chosenSettings({ ...settings, ...changes }, probes, colourMap);
  const chosen = useMemo(() => choose({}), [settings, view, colourMap]);
  const questionOf = ({ method, asked }: Chosen, query: Query): AskedQuery | undefined =>
    probes[chosen.layer] && { scope: run, key: JSON.stringify([method, asked]), query, asked, method };
  const rested = useSettled(aimed, REST);
  const likely = rested && { query: rested, layer: layerThatAnswers(probes, chosen.layer, rested) };
  const ask = useAhead<AskedQuery, AttentionRows>(
    (next, call) => host.call('attention', [next.scope, next.asked, next.method], call),
    likely && questionOf(choose(likely), likely.query),
  );
  const newest = useNewestAnswer(questionOf(chosen, settings.query), ask);
  const { query, method } = newest.drawn?.question ?? { query: settings.query, method: chosen.method };
  const drawn = useMemo(() => choose({ query, method }), [settings, query, method, view, colourMap]);
  return { chosen, drawn, newest };
}

/** The shown layer if it has the query, else the last one that has it and looks at the image. */
export function layerThatAnswers(probes: readonly Probe[], shown: number, query: Query): number {
  const has = (probe: Probe | undefined): boolean =>
    probe !== undefined &&
    hasQuery(probe, query) &&
    (query.kind !== 'patch' || queryGrid(probe) !== undefined);
  if (has(probes[shown])) return shown;
  const onImage = probes.findLastIndex((probe) => has(probe) && keyGrid(probe) !== undefined);
  return onImage >= 0 ? onImage : Math.max(shown, probes.findLastIndex(has));
}
