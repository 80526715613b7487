import { largest, smallest, sum } from '../../src/domain/lists';
import type { AttentionRows } from '../../src/domain/query';
import type { Size } from '../../src/domain/size';
import type { HeadChoice } from '../../src/attention/heads';
import { attentionDistance, headEntropies } from '../../src/attention/summary';
import { queryGrid, type KeyMap } from '../../src/attention/reading';
import { windowPlaces } from '../../src/attention/windows';
import { type Probe, isChannelMatrix } from '../../src/domain/probes';
import { formatNumber } from '../../src/domain/units';
import { isAsked, layerMap, validQuery } from './keyMap';
import { colouredValues, rangeOf } from './scale';

/** How one head spreads the weights of one query. */
export interface HeadSummary {
  /** Bits, over all keys, special tokens included: 0 if it looks at one key. */
  readonly entropy: number;
  /** Entropy where all keys were looked at alike: log₂ of their number. */
  readonly most: number;
  /**
   * Mean distance to the keys on the image, weighted by attention, in pixels of the model's
   * input; only a patch has one.
   */
  readonly distance: number | undefined;
  /** The largest weight on the image (or in the matrix). */
  readonly maximum: number;
  /** What goes to special tokens, which have no place on the image. */
  readonly special: number;
}

/** The heads of a layer for the query that was asked; empty if the layer has no such query. */
export function headSummaries(
  answer: AttentionRows,
  probes: readonly Probe[],
  layer: number,
  inputSize: Size,
): readonly HeadSummary[] {
  const [probe, rows] = [probes[layer], answer.rows[layer]];
  // The weights of a gate and of an activation map are no shares of a whole.
  const shares = probe && probe.kind !== 'activation' && (isAsked(probe) || isChannelMatrix(probe));
  if (!shares || !rows || rows.length === 0) return [];
  const asked = distributions(probe);
  const seen = rows.subarray(0, rows.length / probe.heads).filter((weight) => !Number.isNaN(weight)).length;
  const keys = seen / asked;
  return [...headEntropies(rows, probe.heads, asked)].map((entropy, head) => ({
    entropy,
    most: Math.log2(keys),
    distance: distanceOf(answer, probes, layer, head, inputSize),
    ...weightsOf(layerMap(answer, probes, layer, head)),
  }));
}

/**
 * How many rows that sum to 1 lie side by side: a row of each channel, one of the pooling query of
 * each window.
 */
const distributions = (probe: Probe): number =>
  probe.queries.channels ?? (queryGrid(probe) ? 1 : (windowPlaces(probe)?.windows ?? 1));

function weightsOf(map: KeyMap | undefined): Pick<HeadSummary, 'maximum' | 'special'> {
  return {
    maximum: map ? rangeOf(colouredValues(map)).high : 0,
    special: sum((map?.special ?? []).map(({ value }) => value)),
  };
}

function distanceOf(
  answer: AttentionRows,
  probes: readonly Probe[],
  layer: number,
  head: number,
  inputSize: Size,
): number | undefined {
  const probe = probes[layer] as Probe;
  const [grid, query] = [queryGrid(probe), validQuery(probe, answer.query)];
  const map = layerMap(answer, probes, layer, head);
  return query.kind === 'patch' && grid && map?.image
    ? attentionDistance(query, grid, map.image, inputSize)
    : undefined;
}

/**
 * `head 3: entropy 4.21 of 8.01 bits, mean distance 31.2 px`; of several heads from the least to
 * the most.
 */
export function summaryText(summaries: readonly HeadSummary[], head: HeadChoice): string {
  const one = typeof head === 'number' ? summaries[head] : undefined;
  const shown = one ? [one] : summaries;
  const [first] = shown;
  if (!first) return '';
  const distances = shown.flatMap(({ distance }) => (distance === undefined ? [] : [distance]));
  const name =
    typeof head === 'number' ? `head ${head}` : shown.length === 1 ? '1 head' : `${shown.length} heads`;
  const entropy = `entropy ${spanText(shown.map((each) => each.entropy))} of ${formatNumber(first.most)} bits`;
  const distance = distances.length > 0 ? `, mean distance ${spanText(distances)} px` : '';
  return `${name}: ${entropy}${distance}`;
}

function spanText(values: readonly number[]): string {
  const [least, most] = [formatNumber(smallest(values)), formatNumber(largest(values))];
  return least === most ? least : `${least} … ${most}`;
}
