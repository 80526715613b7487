import { largest } from '../../domain/lists';
import type { DecomposedSettings } from '../blocks/decomposedPositions';
import type { ConfigValue, Evidence } from '../family';
import { assumed, numbersIn, stored } from '../evidence';
import { countOf, decide, type Sources } from '../decide';

/** What is known of the layers with and without windows beside their tables. */
interface WindowQuestion {
  /** Rows of the map that layers without windows see, if something gives it. */
  readonly side?: number | undefined;
  /** Layers without windows, by the published models' names. */
  readonly named?: readonly (readonly [name: RegExp, layers: readonly number[]])[];
}

/**
 * Sides of the windows or maps that the tables `rel_pos_h` `[2 · side − 1, d]` of all blocks are
 * made for.
 */
export function tableSides({ found: { tensors } }: Sources): readonly number[] {
  return Array.from(
    { length: countOf(tensors, 'blocks') },
    (_, index) => ((tensors.get(`blocks.${index}.attn.rel_pos_h`)?.shape[0] ?? 1) + 1) / 2,
  );
}

/** How no layer without windows is written. */
export const noLayer = 'none';

/** Layers as people write them: their numbers, or `none`. */
export type LayersValue = string | number | readonly number[];

/** The layers that such a value names. */
export const layersIn = (value: LayersValue): ReadonlySet<number> =>
  new Set(value === noLayer ? [] : numbersIn(value));

/** Whether a value of `global_layers` names layers of a model of so many, or none. */
export const areLayers =
  (depth: number) =>
  (value: ConfigValue): boolean =>
    value === noLayer ||
    [value].flat().every((index) => Number.isInteger(index) && Number(index) >= 0 && Number(index) < depth);

/** Window, and the layers that see the whole map. */
export type WindowEvidence = {
  readonly window: Evidence<number>;
  readonly global_layers: Evidence<LayersValue>;
};

/**
 * Window and layers without windows (`global_layers`) of a model whose tables are as long as the
 * window or as the whole map. If all have the length of the map, windows make no difference on it:
 * the names of published models or the config decide, else no layer has windows.
 */
export function windowEvidence(sources: Sources, { side, named = [] }: WindowQuestion): WindowEvidence {
  const sides = tableSides(sources);
  const kinds = [...new Set(sides)];
  const whole = side === undefined || (kinds.length > 1 && !kinds.includes(side)) ? largest(sides) : side;
  const window = kinds.find((each) => each !== whole) ?? whole;
  const told = sides.flatMap((each, index) => (each === whole ? [index] : []));
  return {
    window: stored(window, `rel_pos_h of ${2 * window - 1} rows`),
    global_layers:
      window === whole ? unevenLayers(sources, sides.length, named) : toldLayers(sources, told, whole),
  };
}

/** Layers whose tables are as long as the map; the user may say no others. */
function toldLayers(sources: Sources, layers: readonly number[], side: number): Evidence<LayersValue> {
  const [first] = layers;
  const none = first === undefined;
  const value = none ? noLayer : layers;
  const source = none
    ? `no table is made for ${side} rows, as the map has`
    : `blocks.${first}.attn.rel_pos_h has ${2 * side - 1} rows`;
  return decide<LayersValue>(sources, 'global_layers', {
    otherwise: stored(value, source),
    is: (given) => String(given) === String(value),
    needed: String(value),
  });
}

/** Layers without windows if no table shows them. */
function unevenLayers(
  sources: Sources,
  depth: number,
  named: NonNullable<WindowQuestion['named']>,
): Evidence<LayersValue> {
  return decide<LayersValue>(sources, 'global_layers', {
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

/** What blocks with windows and without are built by. */
export interface WindowedConfig extends Omit<DecomposedSettings, 'window'> {
  readonly depth: number;
  /** Side of the windows. */
  readonly window: number;
  /** Layers without windows. */
  readonly globalLayers: ReadonlySet<number>;
}

/** Settings of the block at an index. */
export const windowedBlock = (config: WindowedConfig, index: number): DecomposedSettings => ({
  heads: config.heads,
  eps: config.eps,
  activation: config.activation,
  window: config.globalLayers.has(index) ? undefined : config.window,
});
