import type { AttentionRows, Method } from '../../src/domain/query';
import type { HeadChoice } from '../../src/attention/heads';
import type { KeyMap } from '../../src/attention/reading';
import type { Probe } from '../../src/domain/probes';
import { formatNumber } from '../../src/domain/units';
import { layerMap } from './keyMap';

/**
 * Over what the colours are spread: a layer's heads, all heads, all heads without clipping, or each
 * map by itself.
 */
export type ScaleKind = 'layer' | 'all' | 'full' | 'own';

/** What has a range of its own: single heads, what is made of all of them, a rollout. */
export type Subject = 'head' | 'mean' | 'max' | 'rollout';

/** What is drawn large: heads taken together spread their weights otherwise than each of them. */
export const subjectOf = (method: Method, head: HeadChoice): Subject =>
  method === 'rollout' ? 'rollout' : typeof head === 'number' ? 'head' : head;

interface ScaleWords {
  /** In the list of choices. */
  readonly name: string;
  /** What has this scale in common. */
  readonly shared: Readonly<Record<Subject, string>>;
}

const OWN: Readonly<Record<Subject, string>> = {
  head: 'of this map alone',
  mean: 'of this map alone',
  max: 'of this map alone',
  rollout: 'of this map alone',
};
const ALL: Readonly<Record<Subject, string>> = {
  head: 'shared by all layers and heads',
  mean: 'shared by the means of all layers',
  max: 'shared by the maxima of all layers',
  rollout: 'shared by all layers',
};

export const SCALES: Readonly<Record<ScaleKind, ScaleWords>> = {
  layer: {
    name: 'heads of a layer alike',
    shared: {
      head: 'shared by the heads of this layer',
      mean: 'of this layer’s mean over heads',
      max: 'of this layer’s maximum over heads',
      rollout: 'of this layer’s rollout',
    },
  },
  all: { name: 'all layers and heads alike', shared: ALL },
  full: { name: 'all alike, to the largest', shared: ALL },
  own: { name: 'each map its own', shared: OWN },
};

export interface Range {
  readonly low: number;
  /** Where the colours end; larger weights have the last colour. */
  readonly high: number;
  readonly largest: number;
}

/** `shared by the heads of this layer, to the 99th percentile (largest 0.437)`. */
export function scaleText(kind: ScaleKind, subject: Subject, { high, largest }: Range, heads = 2): string {
  const clipped = largest > high ? `, to the 99th percentile (largest ${formatNumber(largest)})` : '';
  const alone = heads === 1 && kind === 'layer' && subject !== 'rollout';
  return `${alone ? OWN.head : SCALES[kind].shared[subject]}${clipped}`;
}

/** Smallest and largest finite value; `0 … 0` for none. */
export function rangeOf(values: ArrayLike<number>): Range {
  let low = Infinity;
  let high = -Infinity;
  for (let index = 0; index < values.length; index++) {
    const value = values[index] as number;
    if (!(Math.abs(value) < Infinity)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? { low, high, largest: high } : { low: 0, high: 0, largest: 0 };
}

/**
 * What of a map is coloured: special tokens are not, as their weight would hide everything on the
 * image.
 */
export const colouredValues = (map: KeyMap): Float32Array =>
  (map.image ?? map.matrix)?.values ?? new Float32Array(0);

/**
 * Share of the weights that a shared scale spreads its colours over. A softmax piles most of its
 * weight on few keys: up to the largest one, a mean over heads would be the first colour all over.
 */
const SPREAD = 0.99;

/**
 * The colour scale of every layer by a shared kind; it begins at 0, so that colours of different
 * maps compare.
 */
export function sharedRanges(
  kind: Exclude<ScaleKind, 'own'>,
  answer: AttentionRows,
  probes: readonly Probe[],
  subject: Subject = 'head',
): readonly Range[] {
  const layers = probes.map((_, layer) => sortedWeights(mapsOf(answer, probes, layer, subject)));
  if (kind === 'layer') return layers.map((weights) => upTo(weights, SPREAD));
  const range = upTo(sortedJoin(layers), kind === 'full' ? 1 : SPREAD);
  return layers.map(() => range);
}

/** The maps of a layer that have a range together. */
function mapsOf(
  answer: AttentionRows,
  probes: readonly Probe[],
  layer: number,
  subject: Subject,
): readonly (KeyMap | undefined)[] {
  return subject === 'mean' || subject === 'max'
    ? [layerMap(answer, probes, layer, subject)]
    : headMaps(answer, probes, layer);
}

/**
 * `0 … quantile` of ascending values; to the largest where nearly all are 0. Activation maps may be
 * negative all over.
 */
function upTo(ascending: Float32Array, share: number): Range {
  const largest = Math.max(0, ascending.at(-1) ?? 0);
  const quantile = ascending[Math.floor(share * (ascending.length - 1))] ?? 0;
  return { low: 0, high: quantile > 0 ? quantile : largest, largest };
}

/** Coloured weights of maps, ascending; keys outside of a window are left out. */
const sortedWeights = (maps: readonly (KeyMap | undefined)[]): Float32Array =>
  sortedJoin(
    maps.map((map) =>
      map ? colouredValues(map).filter((weight) => !Number.isNaN(weight)) : new Float32Array(0),
    ),
  );

function sortedJoin(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole.sort();
}

/**
 * Ends of the colour scale of a map: the shared one of its layer, or its own if `shared` is
 * undefined.
 */
export const scaleRange = (shared: readonly Range[] | undefined, layer: number, map: KeyMap): Range =>
  shared?.[layer] ?? rangeOf(colouredValues(map));

/** How many maps of its own a layer has; rollout has one. */
export const headCount = ({ method }: AttentionRows, probes: readonly Probe[], layer: number): number =>
  method === 'rollout' ? 1 : (probes[layer]?.heads ?? 0);

/** The maps of all heads of a layer, for the small multiples; rollout has one. */
export function headMaps(
  answer: AttentionRows,
  probes: readonly Probe[],
  layer: number,
): readonly (KeyMap | undefined)[] {
  const length = headCount(answer, probes, layer);
  return Array.from({ length }, (_, head) => layerMap(answer, probes, layer, head));
}
