import { at } from '../../domain/lists';
import type { TokenLayout } from '../../domain/probes';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { int, text, type ValueInfo } from '../../graph/graph';
import type { Tokens } from './layers';
import { placesRoom, room } from '../../graph/limits';

/** How a deformable attention is written. */
export interface DeformableConfig {
  readonly heads: number;
  /** Rows and columns of the maps that lie one after another in the sampled tokens. */
  readonly grids: readonly Grid[];
  /** Factor of offsets relative to the sides of a reference box. */
  readonly offsetScale?: number;
  /** The cell that a place lies in is read, instead of the four around it. */
  readonly discrete?: boolean;
}

/** The same with places on each map, the same number on all of them. */
interface Sampling extends Required<DeformableConfig> {
  readonly points: number;
}

/** What asks, and where it looks from. */
export interface DeformableLook {
  /** With their positions. */
  readonly queries: Tokens;
  readonly image: Tokens;
  /** `[rows, 2]` (x, y) or `[rows, 4]` (x, y, width, height) in 0 … 1, a row for each query. */
  readonly references: ValueInfo;
}

/**
 * Attention to a few places of several maps, told by the query alone: offsets from a reference
 * point and their weights (Zhu et al. 2021, Deformable DETR, §4.1, equations 2 and 3),
 * `[batch · queries, dim]`. Offsets count in cells of each map, or in sides of a reference box.
 */
export function deformableAttention(
  b: GraphBuilder,
  name: string,
  { queries, image, references }: DeformableLook,
  { heads, grids, offsetScale = 0.5, discrete = false }: DeformableConfig,
): ValueInfo {
  const { batch, count } = queries;
  const levels = grids.length;
  return b.scope(
    name,
    () => {
      const points = at(b.shapeOf('attention_weights.weight'), 0) / (heads * levels);
      const keys = levels * points;
      const scores = b.reshape(b.linear(queries.value, 'attention_weights'), [batch, count, heads, keys]);
      const map = b.transpose(b.add('Softmax', [scores], { axis: int(-1) }), [0, 2, 1, 3]);
      const offsets = b.reshape(b.linear(queries.value, 'sampling_offsets'), [
        batch * count,
        heads,
        levels,
        points * 2,
      ]);
      const shifted = placesOf(b, offsets, references, { grids, points, offsetScale });
      const byQuery = b.reshape(shifted, [batch, count, heads, keys, 2]);
      const places = b.transpose(byQuery, [0, 2, 1, 3, 4]);
      b.probe(map, {
        layer: b.scopePath,
        kind: 'deformable',
        queries: queries.layout,
        keys: { levels, points },
        places: places.name,
      });
      const sampled = sampleAll(b, image, places, { heads, grids, points, discrete });
      const weights = b.reshape(map, [batch * heads, 1, count, keys]);
      const mixed = b.add('ReduceSum', [b.add('Mul', [sampled, weights]), b.indices([3])], {
        keepdims: int(0),
      });
      const dim = at(image.value.shape, 1);
      const rows = b.transpose(b.reshape(mixed, [batch, dim, count]), [0, 2, 1]);
      return b.linear(b.reshape(rows, [batch * count, dim]), 'output_proj');
    },
    { title: 'Deformable attention', formula: 'Σ softmax(Wq) · V(p + Δp)' },
  );
}

/** Reference points and offsets as places, `[rows, heads, levels, points · 2]` in 0 … 1. */
function placesOf(
  b: GraphBuilder,
  offsets: ValueInfo,
  references: ValueInfo,
  { grids, points, offsetScale }: Pick<Sampling, 'grids' | 'points' | 'offsetScale'>,
): ValueInfo {
  const [rows, levels] = [at(references.shape, 0), grids.length];
  const each = (sides: ValueInfo): ValueInfo =>
    b.add('Tile', [b.reshape(sides, [rows, 1, 1, 2]), b.indices([1, 1, 1, points])]);
  const isBox = at(references.shape, 1) === 4;
  const centres = each(isBox ? b.slice(references, 1, 0, 2) : references);
  if (isBox) {
    const sides = b.add('Mul', [each(b.slice(references, 1, 2, 4)), b.scalar(offsetScale / points)]);
    return b.add('Add', [centres, b.add('Mul', [offsets, sides])]);
  }
  const sides = grids.flatMap(([down, across]) =>
    Array.from({ length: 2 * points }, (_, index) => (index % 2 === 0 ? across : down)),
  );
  const cells = b.shared(`cells ${grids.join(' ')} × ${points}`, () =>
    b.constant('/cells', 'F32', [levels, 2 * points], Float32Array.from(sides)),
  );
  return b.add('Add', [centres, b.add('Div', [offsets, cells])]);
}

/** Values of the image's tokens at all places, `[batch · heads, d, queries, levels · points]`. */
function sampleAll(
  b: GraphBuilder,
  image: Tokens,
  places: ValueInfo,
  { heads, grids, points, discrete }: Omit<Sampling, 'offsetScale'>,
): ValueInfo {
  const { batch, count: cells } = image;
  const [, , count = 0] = places.shape;
  const value = b.linear(image.value, 'value_proj');
  const width = b.headWidth(at(value.shape, 1), heads);
  const byHead = b.transpose(b.reshape(value, [batch, cells, heads, width]), [0, 2, 3, 1]);
  // From 0 … 1 to −1 … 1, as grid sampling counts.
  const grid = b.add('Sub', [b.add('Mul', [places, b.scalar(2)]), b.scalar(1)]);
  let first = 0;
  const levels = grids.map(([rows, columns], level) => {
    const map = b.slice(byHead, 3, first, first + rows * columns);
    first += rows * columns;
    const own = b.slice(grid, 3, level * points, (level + 1) * points);
    // Half a cell further, as the library rounds to cells counted from their corners.
    const half = (): ValueInfo => b.constant('/half', 'F32', [2], Float32Array.of(1 / columns, 1 / rows));
    const here = discrete ? b.add('Add', [own, half()]) : own;
    return b.add(
      'GridSample',
      [
        b.reshape(map, [batch * heads, width, rows, columns]),
        b.reshape(here, [batch * heads, count, points, 2]),
      ],
      {
        mode: text(discrete ? 'nearest' : 'linear'),
        padding_mode: text(discrete ? 'border' : 'zeros'),
        align_corners: int(0),
      },
    );
  });
  return b.concat(levels, 3);
}

/** Tokens of several maps, one after another. */
export const levelLayout = (grids: readonly Grid[]): TokenLayout => ({ special: [], grids });

/** Centres of the cells of several maps, `[all cells, 2]`: x and y in 0 … 1. */
export function cellCentres(grids: readonly Grid[]): Float32Array {
  const values = grids.flatMap(([rows, columns]) =>
    Array.from({ length: placesRoom(rows * columns) }, (_, cell) => [
      ((cell % columns) + 0.5) / columns,
      (Math.floor(cell / columns) + 0.5) / rows,
    ]).flat(),
  );
  return Float32Array.from(values);
}

/** A table once for each image of a batch, `[batch · rows, width]`. */
export function tableOf(
  b: GraphBuilder,
  name: string,
  values: Float32Array,
  width: number,
  batch: number,
): ValueInfo {
  const all = new Float32Array(room(batch * values.length));
  for (let image = 0; image < batch; image++) all.set(values, image * values.length);
  return b.constant(name, 'F32', [all.length / width, width], all);
}
