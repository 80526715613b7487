import type { VNode } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Cell } from '../../src/attention/tokenLayout';
import type { AttentionRows, Method, Query } from '../../src/domain/query';
import type { ImagePanelApi } from '../../src/protocol/image';
import { guessesOf } from '../../src/tasks/answer';
import type { Run, RunOptions } from '../../src/tasks/run';
import { viewOf } from '../answers/answers';
import { useSaved, type Host } from '../host';
import { useLate, useNewestAnswer } from '../kit/hooks';
import { isBehind, isPending } from '../kit/newest';
import { Working } from '../kit/page';
import { announce } from '../kit/status';
import { Answer } from './answer';
import { layerMap, movedQuery, nextHead, queryName } from './keyMap';
import { Maps } from './maps';
import { ImageView } from './imageView';
import { describe, fileName, numbersText, pictureFile } from './saved';
import { scaleRange, sharedRanges, type Range } from './scale';
import { chosenSettings, INITIAL, type Chosen, type Settings } from './settings';

export type Half = 'labels' | 'attention';
export type Opened = Awaited<ReturnType<ImagePanelApi['open']>>;

export const baseName = (path: string): string => path.split(/[\\/]/).at(-1) ?? path;

/** Milliseconds that a map may take before the one that is drawn is dimmed. */
const BLINK = 150;
const NO_RANGE: Range = { low: 0, high: 0, largest: 0 };

export interface ResultProps {
  readonly host: Host<ImagePanelApi>;
  readonly view: Run;
  readonly opened: Opened;
  /** What was asked for since the page was opened. */
  readonly half: Half | undefined;
  readonly options: RunOptions;
  readonly onRun: (options: RunOptions) => void;
}

/** A query as the user chose it, and as the host is asked for all layers. */
interface AskedQuery {
  /** The run that is asked. */
  readonly scope: number;
  readonly key: string;
  readonly query: Query;
  readonly asked: Query;
  readonly method: Method;
}

/**
 * Image, answer and maps. What is drawn is of `drawn`, under its own name, while a newer query is
 * on its way.
 */
export function Result({ host, view, opened, half, options, onRun }: ResultProps): VNode {
  const [settings, setSettings] = useSaved<Settings>('attention', INITIAL);
  const [hovered, setHovered] = useState<Cell>();
  const chosen = useMemo(
    () => chosenSettings(settings, view.probes, opened.colourMap),
    [settings, view, opened],
  );
  const probe = view.probes[chosen.layer];
  const { query, asked } = chosen;
  const question: AskedQuery | undefined = probe && {
    scope: view.run,
    key: JSON.stringify([chosen.method, asked]),
    query: settings.query,
    asked,
    method: chosen.method,
  };
  const newest = useNewestAnswer<AskedQuery, AttentionRows>(
    question,
    ({ scope, asked: wanted, method }, call) => host.call('attention', [scope, wanted, method], call),
  );
  const drawnQuery = newest.drawn?.question.query ?? settings.query;
  const drawnMethod = newest.drawn?.question.method ?? chosen.method;
  const drawn = useMemo(
    () =>
      chosenSettings({ ...settings, query: drawnQuery, method: drawnMethod }, view.probes, opened.colourMap),
    [settings, drawnQuery, drawnMethod, view, opened],
  );
  const rows = newest.drawn?.answer;
  const drawing = useDrawing(view, drawn, rows);
  const { map, range } = drawing;

  useEffect(() => {
    if (map) announce(describe(view, drawn));
  }, [drawn.layer, drawn.head, drawn.method, JSON.stringify(drawn.query)]);

  const change = (changes: Partial<Settings>): void => setSettings({ ...settings, ...changes });
  const cancel = (): void => {
    newest.cancel();
    change({ query: drawnQuery });
    // The button goes; what was used before it has the keys again.
    document.querySelector<HTMLElement>('.image-stack')?.focus({ preventScroll: true });
  };
  const onKey = (key: string): boolean => {
    const changes = changeOfKey(key, view, chosen);
    if (changes) change(changes);
    return changes !== undefined;
  };
  const pending = isPending(newest);
  const isDimmed = useLate(pending, BLINK);
  const name = (of: Query): string => queryName(of, guessesOf(view.answer));
  const attentionFirst = !viewOf(view.answer).leads || (half ?? opened.focus) === 'attention';
  const answerPart = <Answer key="answer" view={view} topK={opened.topK} options={options} onRun={onRun} />;
  return (
    <div class={`result${isDimmed ? ' pending' : ''}`} aria-busy={pending}>
      <ImageView
        view={view}
        probe={probe}
        map={map}
        range={range}
        chosen={drawn}
        wanted={isBehind(newest) ? query : undefined}
        hovered={hovered}
        onHover={setHovered}
        onQuery={(next) => change({ query: next })}
        onKey={onKey}
        label={`${baseName(view.seen.image)}, attention of ${name(drawn.query)}, ${describe(view, drawn)}. Arrow keys move the query, brackets change the layer, h the head.`}
      >
        <Working
          class="working-over"
          busy={pending && rows !== undefined}
          text={`${newest.progress || 'Computing'}: ${name(query)}. Shown: ${name(drawn.query)}.`}
          onCancel={cancel}
        />
      </ImageView>
      {!attentionFirst && answerPart}
      <Maps
        key="maps"
        view={view}
        rows={rows}
        error={newest.failed?.error}
        onRetry={newest.retry}
        chosen={chosen}
        drawn={drawn}
        {...drawing}
        hovered={hovered}
        onChange={change}
        onSave={() => {
          if (map)
            void host.remote
              .save(fileName(opened.image, drawn.query), pictureFile(view, map, range, drawn))
              .then((done) => done && announce('Saved'));
        }}
        onCopy={() => {
          if (map) void host.remote.copy(numbersText(view, map, drawn)).then(() => announce('Copied'));
        }}
      />
      {attentionFirst && answerPart}
    </div>
  );
}

/** The map that is drawn large, and the colour scales of all. */
function useDrawing(view: Run, drawn: Chosen, rows: AttentionRows | undefined) {
  const { layer, head, scale } = drawn;
  const map = useMemo(() => rows && layerMap(rows, view.probes, layer, head), [rows, view, layer, head]);
  const shared = useMemo(
    () => (rows && scale !== 'own' ? sharedRanges(scale, rows, view.probes) : undefined),
    [rows, view, scale],
  );
  return { map, shared, range: map ? scaleRange(shared, layer, map) : NO_RANGE };
}

/** What a key on the image changes; undefined for keys that are not the image's. */
function changeOfKey(key: string, view: Run, chosen: Chosen): Partial<Settings> | undefined {
  const probe = view.probes[chosen.layer];
  if (!probe) return undefined;
  if (key === '[') return { layer: Math.max(0, chosen.layer - 1) };
  if (key === ']') return { layer: Math.min(view.probes.length - 1, chosen.layer + 1) };
  if (key === 'h' || key === 'H') return { head: nextHead(chosen.head, probe.heads, key === 'h' ? 1 : -1) };
  const query = movedQuery(probe, chosen.query, key);
  return query && { query };
}
