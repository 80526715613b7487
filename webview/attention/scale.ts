import { splitKeys, type KeyMap } from '../../src/attention/tokenLayout';
import type { AttentionRows } from '../../src/protocol/imagePanel';
import type { Probe } from '../../src/protocol/probes';
import { layerMap, type Method } from './keyMap';

/** Over what the colours are spread: everything drawn, one layer's heads, or each map by itself. */
export type ScaleKind = 'all' | 'layer' | 'own';

export const SCALES: Readonly<Record<ScaleKind, string>> = {
  all: 'shared by all layers and heads',
  layer: 'shared by the heads of this layer',
  own: 'each map its own',
};

export interface Range {
  readonly low: number;
  readonly high: number;
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
  return low <= high ? { low, high } : { low: 0, high: 0 };
}

/** What of a map is coloured: special tokens are not, as their weight would hide everything on the picture. */
export const colouredValues = (map: KeyMap): Float32Array =>
  map.picture?.values ?? map.rest ?? new Float32Array(0);

/** Largest coloured weight of any single head, per layer. */
export function layerPeaks(
  answer: AttentionRows,
  probes: readonly Probe[],
  method: Method,
): readonly number[] {
  return probes.map((probe, layer) => {
    const rows = method === 'rollout' ? answer.rollout[layer] : answer.rows[layer];
    if (!rows || rows.length === 0) return 0;
    const heads = method === 'rollout' ? 1 : probe.heads;
    const keys = rows.length / heads;
    let peak = 0;
    for (let head = 0; head < heads; head++) {
      const map = splitKeys(probe, rows.subarray(head * keys, (head + 1) * keys));
      peak = Math.max(peak, rangeOf(colouredValues(map)).high);
    }
    return peak;
  });
}

/** Ends of the colour scale. Shared scales begin at 0, so that colours of different maps compare; an own scale uses all of it. */
export function scaleRange(kind: ScaleKind, peaks: readonly number[], layer: number, map: KeyMap): Range {
  if (kind === 'own') return rangeOf(colouredValues(map));
  return { low: 0, high: kind === 'all' ? Math.max(0, ...peaks) : (peaks[layer] ?? 0) };
}

/** The maps of all heads of a layer, for the small multiples; rollout has one. */
export function headMaps(
  answer: AttentionRows,
  probes: readonly Probe[],
  layer: number,
  method: Method,
): readonly (KeyMap | undefined)[] {
  const heads = method === 'rollout' ? 1 : (probes[layer]?.heads ?? 0);
  return Array.from({ length: heads }, (_, head) => layerMap(answer, probes, layer, method, head));
}
