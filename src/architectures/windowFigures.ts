import type { DecomposedSettings } from './blocks/decomposedPositions';
import type { ConfigValue, Evidence, Figures } from './family';
import { assumed, numberOf, numbersOf, stored, wordOf } from './figures';
import { countOf, decide, type Sources } from './sources';

/** What is known of the layers with and without windows beside their tables. */
export interface WindowQuestion {
  /** Rows of the map that layers without windows see, where something tells it. */
  readonly side: number | undefined;
  /** Layers without windows, by the published models' names. */
  readonly named?: readonly (readonly [name: RegExp, layers: readonly number[]])[];
}

/**
 * Window and layers without windows (`global_layers`) of a model of blocks with tables `rel_pos_h` `[2 · side − 1, d]`, which are as long as
 * the window or as the whole map. Where all have one length, the names of published models or the config tell; else no layer has windows.
 */
export function windowFigures(sources: Sources, { side, named = [] }: WindowQuestion): Figures {
  const { tensors } = sources.evidences;
  const sides = Array.from(
    { length: countOf(tensors, 'blocks') },
    (_, index) => ((tensors.get(`blocks.${index}.attn.rel_pos_h`)?.shape[0] ?? 1) + 1) / 2,
  );
  const kinds = [...new Set(sides)];
  const whole = side !== undefined && kinds.includes(side) ? side : Math.max(...sides);
  const window = kinds.find((each) => each !== whole) ?? whole;
  const told = sides.flatMap((each, index) => (each === whole ? [index] : []));
  return {
    window: stored(
      window,
      `${window === whole ? 'all tables' : 'the tables'} rel_pos_h of ${2 * window - 1} rows`,
    ),
    global_layers:
      kinds.length > 1
        ? stored(told, `blocks.${told[0]}.attn.rel_pos_h has ${2 * whole - 1} rows`)
        : unevenLayers(sources, sides.length, named),
  };
}

/** Layers without windows where no table tells. */
function unevenLayers(sources: Sources, depth: number, named: WindowQuestion['named']): Evidence {
  const is = (value: ConfigValue): boolean =>
    [value].flat().every((index) => Number.isInteger(index) && Number(index) < depth);
  return decide(sources, 'global_layers', {
    config: ['global_attn_indexes'],
    ...(named && { named }),
    otherwise: assumed(
      Array.from({ length: depth }, (_, index) => index),
      'all tables are as long as the map, on which windows make no difference',
    ),
    is,
    needed: `numbers of layers from 0 to ${depth - 1}`,
  });
}

/** Settings of every block by the figures. */
export function windowedSettings(figures: Figures): readonly DecomposedSettings[] {
  const whole = new Set(numbersOf(figures, 'global_layers'));
  return Array.from({ length: numberOf(figures, 'depth') }, (_, index) => ({
    heads: numberOf(figures, 'heads'),
    eps: numberOf(figures, 'eps'),
    activation: wordOf(figures, 'activation'),
    window: whole.has(index) ? undefined : numberOf(figures, 'window'),
  }));
}
