import { at, sum } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { TokenLayout } from '../../domain/probes';
import type { GraphBuilder } from '../../graph/builder';
import { int, text, type ValueInfo } from '../../graph/graph';
import type { Tokens } from './layers';

/** What deformable attention samples, and from where. */
export interface Sampled {
  /** With their positions. */
  readonly queries: Tokens;
  /** Tokens of all levels, one level after another: `[batch · count, dim]`. */
  readonly values: ValueInfo;
  /** Rows and columns of every level. */
  readonly grids: readonly Grid[];
  /**
   * Where each query looks, x and y in 0 … 1, of a shape that broadcasts to `[batch, queries,
   * heads, levels, points, 2]`.
   */
  readonly places: ValueInfo;
}

const places = (grids: readonly Grid[]): readonly number[] => grids.map(([rows, columns]) => rows * columns);

/** Values of one level at the points asked for, `[batch · heads, width, queries, points]`. */
function sampledLevel(
  b: GraphBuilder,
  values: ValueInfo,
  points: ValueInfo,
  [rows, columns]: Grid,
): ValueInfo {
  const [batch = 1, , heads = 1, width = 1] = values.shape;
  const [, queries = 1, , , count = 1] = points.shape;
  const map = b.reshape(b.transpose(values, [0, 2, 3, 1]), [batch * heads, width, rows, columns]);
  const turned = b.transpose(b.reshape(points, [batch, queries, heads, count, 2]), [0, 2, 1, 3, 4]);
  return b.add('GridSample', [map, b.reshape(turned, [batch * heads, queries, count, 2])], {
    mode: text('linear'),
    padding_mode: text('zeros'),
    align_corners: int(0),
  });
}

/**
 * Multi-scale deformable attention (Zhu et al. 2021, §4.1, eq. 3): each query reads a few points of
 * every level near its place, at offsets and with weights that are linear in the query. The map is
 * `[batch, heads, queries, levels · points]`.
 */
export function deformableAttention(
  b: GraphBuilder,
  name: string,
  { queries, values, grids, places: around }: Sampled,
  heads: number,
): ValueInfo {
  const { batch, count, value } = queries;
  const levels = grids.length;
  return b.scope(
    name,
    () => {
      const [wide = 0] = b.shapeOf('attention_weights.weight');
      const points = wide / (heads * levels);
      const projected = b.linear(values, 'value_proj');
      const dim = at(projected.shape, 1);
      const apart = b.reshape(projected, [batch, sum(places(grids)), heads, dim / heads]);
      const offsets = b.reshape(b.linear(value, 'sampling_offsets'), [
        batch,
        count,
        heads,
        levels,
        points,
        2,
      ]);
      const sides = b.shared(`sides ${grids.join(' ')}`, () =>
        b.constant(
          '/sides',
          'F32',
          [1, 1, 1, levels, 1, 2],
          Float32Array.from(grids.flatMap(([rows, columns]) => [columns, rows])),
        ),
      );
      const looked = b.add('Add', [around, b.add('Div', [offsets, sides])]);
      const inSamples = b.add('Sub', [b.add('Mul', [looked, b.scalar(2)]), b.scalar(1)]);
      const raw = b.reshape(b.linear(value, 'attention_weights'), [batch, count, heads, levels * points]);
      const map = b.transpose(b.add('Softmax', [raw], { axis: int(-1) }), [0, 2, 1, 3]);
      b.probe(map, {
        layer: b.scopePath,
        kind: 'deformable',
        queries: queries.layout,
        keys: { levels, points },
      });
      const each = b.split(apart, places(grids), 1);
      const asked = b.split(inSamples, levels, 3);
      const sampled = grids.map((grid, level) => sampledLevel(b, at(each, level), at(asked, level), grid));
      const weights = b.reshape(map, [batch * heads, 1, count, levels * points]);
      const weighted = b.add('Mul', [b.concat(sampled, 3), weights]);
      const mixed = b.add('ReduceSum', [weighted, b.indices([3])], { keepdims: int(0) });
      const rows = b.transpose(b.reshape(mixed, [batch, dim, count]), [0, 2, 1]);
      return b.linear(b.reshape(rows, [batch * count, dim]), 'output_proj');
    },
    { title: 'Deformable attention', formula: 'Σ A · V(p + Δp)' },
  );
}

/** Tokens of several levels, one after another. */
export const levelLayout = (grids: readonly Grid[]): TokenLayout => ({ special: [], grids });

/**
 * Centres of the tokens of all levels, x and y in 0 … 1, as constants `[1, places, 1, 1, 1, 2]`:
 * where encoders look from.
 */
export function centres(b: GraphBuilder, name: string, grids: readonly Grid[]): ValueInfo {
  const all = grids.flatMap(([rows, columns]) =>
    Array.from({ length: rows * columns }, (_, index) => [
      ((index % columns) + 0.5) / columns,
      (Math.floor(index / columns) + 0.5) / rows,
    ]),
  );
  return b.constant(name, 'F32', [1, all.length, 1, 1, 1, 2], Float32Array.from(all.flat()));
}
