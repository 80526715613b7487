import { at, product } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { float, int, text, type ValueInfo } from '../../graph/graph';
import { room } from '../../graph/limits';
import { bothSides, type Sides, type TokenLayout } from '../../domain/probes';
import { maybeNorm, type Tokens } from './layers';

/** Rows and columns of a map `[batch, channels, rows, columns]`. */
export const gridOf = (map: ValueInfo): Grid => [at(map.shape, 2), at(map.shape, 3)];

/**
 * `[batch, channels, rows, columns]` as tokens in row-major order: the value is
 * `[batch · rows · columns, channels]`.
 */
export function mapToTokens(b: GraphBuilder, map: ValueInfo): Tokens {
  const [batch, channels, rows, columns] = map.shape as readonly [number, number, number, number];
  const value = b.reshape(b.transpose(map, [0, 2, 3, 1]), [batch * rows * columns, channels]);
  return gridTokens(value, batch, [rows, columns]);
}

/** Rows `[batch · rows · columns, dim]` as the tokens of a grid. */
export function gridTokens(value: ValueInfo, batch: number, grid: Grid): Tokens {
  return { value, batch, count: grid[0] * grid[1], layout: { special: [], grid } };
}

/** The grid of tokens without special ones as a map `[batch, channels, rows, columns]`. */
export function tokensToMap(b: GraphBuilder, { value, batch, layout }: Tokens): ValueInfo {
  const [rows, columns] = gridOfLayout(layout);
  return b.transpose(b.reshape(value, [batch, rows, columns, at(value.shape, 1)]), [0, 3, 1, 2]);
}

/**
 * Rows and columns of tokens that lie on a grid. Throws for others: a family mixed up its tokens.
 */
export function gridOfLayout({ grid, special = [] }: TokenLayout): Grid {
  const [rows, columns, ...more] = grid ?? [];
  if (rows === undefined || columns === undefined || more.length > 0 || special.length > 0)
    throw new Error(`tokens of a grid alone are needed, ${JSON.stringify({ special, grid })} found`);
  return [rows, columns];
}

/** `[batch · count, dim]` as `[batch, count, dim]` */
export function sequence(b: GraphBuilder, { value, batch, count }: Tokens): ValueInfo {
  return b.reshape(value, [batch, count, at(value.shape, 1)]);
}

/** Tokens of a grid as timm keeps them between stages: `[batch, rows, columns, dim]`. */
export function gridSequence(b: GraphBuilder, { value, batch, layout }: Tokens): ValueInfo {
  return b.reshape(value, [batch, ...gridOfLayout(layout), at(value.shape, 1)]);
}

/**
 * The map resized bilinearly, or bicubically, as torch's `interpolate` does without antialias;
 * itself if it has that size.
 */
export function resizedMap(
  b: GraphBuilder,
  map: ValueInfo,
  grid: Grid,
  {
    alignCorners = false,
    mode = 'linear',
  }: { readonly alignCorners?: boolean; readonly mode?: 'linear' | 'cubic' } = {},
): ValueInfo {
  const [batch, channels, rows, columns] = map.shape as readonly [number, number, number, number];
  if (rows === grid[0] && columns === grid[1]) return map;
  const sizes = b.indices([batch, channels, ...grid]);
  return b.add('Resize', [map, undefined, undefined, sizes], {
    mode: text(mode),
    coordinate_transformation_mode: text(alignCorners ? 'align_corners' : 'half_pixel'),
    ...(mode === 'cubic' && { cubic_coeff_a: float(-0.75) }),
  });
}

/** The map enlarged by repeating its numbers, as torch's `interpolate` does with `nearest`. */
export function repeatedMap(b: GraphBuilder, map: ValueInfo, grid: Grid): ValueInfo {
  const [batch, channels, rows, columns] = map.shape as readonly [number, number, number, number];
  if (rows === grid[0] && columns === grid[1]) return map;
  return b.add('Resize', [map, undefined, undefined, b.indices([batch, channels, ...grid])], {
    mode: text('nearest'),
    coordinate_transformation_mode: text('asymmetric'),
    nearest_mode: text('floor'),
  });
}

/**
 * A map or pixels `[batch, channels, rows, columns]` with zeros at the bottom and right up to a
 * multiple of `step`.
 */
export function paddedToMultiple(b: GraphBuilder, map: ValueInfo, step: Sides): ValueInfo {
  const missing = (side: number, each: number): number => (each - (side % each)) % each;
  const [rows, columns] = gridOf(map);
  const [vertical, horizontal] = bothSides(step);
  const [down, right] = [missing(rows, vertical), missing(columns, horizontal)];
  return down === 0 && right === 0 ? map : b.add('Pad', [map, b.indices([0, 0, 0, 0, 0, 0, down, right])]);
}

/**
 * Rows and columns of zeros before and behind a map, which count where windows of maxima are taken:
 * concatenated, since the runtime would draw a Pad into the pooling after it, where padding never
 * is the greatest.
 */
export function framed(
  b: GraphBuilder,
  map: ValueInfo,
  sides: readonly [before: number, after: number],
): ValueInfo {
  return [2, 3].reduce((inner, axis) => {
    const [before, after] = sides.map((side) => {
      const shape = inner.shape.map((size, each) => (each === axis ? side : size));
      const zeros = new Float32Array(room(product(shape)));
      return side === 0 ? [] : [b.constant('/zeros', 'F32', shape, zeros)];
    });
    return b.concat([...(before ?? []), inner, ...(after ?? [])], axis);
  }, map);
}

/** Mean over all tokens, `[batch, dim]`. */
export function meanOfTokens(b: GraphBuilder, tokens: Tokens): ValueInfo {
  return b.add('ReduceMean', [sequence(b, tokens), b.indices([1])], { keepdims: int(0) });
}

/** Mean over the map, `[batch, channels]`. */
export function meanOfMap(b: GraphBuilder, map: ValueInfo): ValueInfo {
  return b.add('ReduceMean', [map, b.indices([2, 3])], { keepdims: int(0) });
}

/**
 * LayerNorm over the channels of a map (ConvNeXt's LayerNorm2d; Liu et al. 2022), x itself if none
 * is stored.
 */
export function mapNorm(b: GraphBuilder, map: ValueInfo, name: string, epsilon: number): ValueInfo {
  const last = b.transpose(map, [0, 2, 3, 1]);
  const normed = maybeNorm(b, last, name, epsilon);
  return normed === last ? map : b.transpose(normed, [0, 3, 1, 2]);
}

/**
 * LayerNorm over the channels of a map, also if it has a scale alone (timm's LayerNorm2dNoBias),
 * which `mapNorm` takes for an RMSNorm.
 */
export function layerNormOfMap(b: GraphBuilder, map: ValueInfo, name: string, epsilon: number): ValueInfo {
  const last = b.transpose(map, [0, 2, 3, 1]);
  return b.transpose(b.layerNorm(last, name, epsilon), [0, 3, 1, 2]);
}

/**
 * LayerScale (Touvron et al. 2021, CaiT §2.1) over the channels of a map: a factor each if
 * `<name>.gamma` is stored, else x.
 */
export function layerScaleOfMap(b: GraphBuilder, map: ValueInfo, name: string): ValueInfo {
  return b.has(`${name}.gamma`)
    ? b.add('Mul', [map, b.parameter(`${name}.gamma`, [at(map.shape, 1), 1, 1])])
    : map;
}
