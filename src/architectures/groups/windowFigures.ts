import type { DecomposedSettings } from '../blocks/decomposedPositions';
import type { ConfigValue, Evidence, EvidenceRecord } from '../family';
import { assumed, numberOf, numbersOf, stored, wordOf } from '../figures';
import { countOf, decide, type Sources } from '../sources';

/** What is known of the layers with and without windows beside their tables. */
interface WindowQuestion {
  /** Rows of the map that layers without windows see, where something tells it. */
  readonly side?: number | undefined;
  /** Layers without windows, by the published models' names. */
  readonly named?: readonly (readonly [name: RegExp, layers: readonly number[]])[];
}

/** Sides of the windows or maps that the tables `rel_pos_h` `[2 · side − 1, d]` of all blocks are made for. */
export function tableSides({ found: { tensors } }: Sources): readonly number[] {
  return Array.from(
    { length: countOf(tensors, 'blocks') },
    (_, index) => ((tensors.get(`blocks.${index}.attn.rel_pos_h`)?.shape[0] ?? 1) + 1) / 2,
  );
}

/** The figure for no layer without windows. */
export const noLayer = 'none';

/** Layers without windows by the figure `global_layers`. */
export const globalLayers = (figures: EvidenceRecord): ReadonlySet<number> =>
  new Set(figures['global_layers']?.value === noLayer ? [] : numbersOf(figures, 'global_layers'));

/** Whether a value of `global_layers` names layers of a model of so many, or none. */
export const areLayers =
  (depth: number) =>
  (value: ConfigValue): boolean =>
    value === noLayer ||
    [value].flat().every((index) => Number.isInteger(index) && Number(index) >= 0 && Number(index) < depth);

/**
 * Window and layers without windows (`global_layers`) of a model whose tables are as long as the window or as the whole map. Where all have the
 * length of the map, windows make no difference on it: the names of published models or the config tell, else no layer has windows.
 */
export function windowFigures(sources: Sources, { side, named = [] }: WindowQuestion): EvidenceRecord {
  const sides = tableSides(sources);
  const kinds = [...new Set(sides)];
  const whole = side === undefined || (kinds.length > 1 && !kinds.includes(side)) ? Math.max(...sides) : side;
  const window = kinds.find((each) => each !== whole) ?? whole;
  const told = sides.flatMap((each, index) => (each === whole ? [index] : []));
  return {
    window: stored(window, `rel_pos_h of ${2 * window - 1} rows`),
    global_layers:
      window === whole ? unevenLayers(sources, sides.length, named) : toldLayers(sources, told, whole),
  };
}

/** Layers whose tables are as long as the map; the user may say no others. */
function toldLayers(sources: Sources, layers: readonly number[], side: number): Evidence {
  const value = layers.length === 0 ? noLayer : layers;
  return decide(sources, 'global_layers', {
    otherwise: stored(
      value,
      layers.length === 0
        ? `no table is made for ${side} rows, as the map has`
        : `blocks.${layers[0]}.attn.rel_pos_h has ${2 * side - 1} rows`,
    ),
    is: (given) => String(given) === String(value),
    needed: String(value),
  });
}

/** Layers without windows where no table tells. */
function unevenLayers(
  sources: Sources,
  depth: number,
  named: NonNullable<WindowQuestion['named']>,
): Evidence {
  return decide<string | readonly number[]>(sources, 'global_layers', {
    config: ['global_attn_indexes'],
    named,
    otherwise: assumed(
      Array.from({ length: depth }, (_, index) => index),
      'all tables are as long as the map, on which windows make no difference',
    ),
    is: areLayers(depth),
    needed: `numbers of layers from 0 to ${depth - 1}, or ${noLayer},`,
  });
}

/** Settings of every block by the figures. */
export function windowedSettings(figures: EvidenceRecord): readonly DecomposedSettings[] {
  const whole = globalLayers(figures);
  return Array.from({ length: numberOf(figures, 'depth') }, (_, index) => ({
    heads: numberOf(figures, 'heads'),
    eps: numberOf(figures, 'eps'),
    activation: wordOf(figures, 'activation'),
    window: whole.has(index) ? undefined : numberOf(figures, 'window'),
  }));
}
