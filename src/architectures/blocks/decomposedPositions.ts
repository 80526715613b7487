import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { byHead } from './byHead';
import { norm, residual, withValue, type Tokens } from './layers';
import { gridOfLayout, resizedMap } from './maps';
import { mergeHeads, mlp, selfProbe } from './transformer';
import { windowPartition, windowProbe, windowReverse, windowsOf, type Windows } from './windows';
import { quantity } from '../../domain/units';
import { room } from '../../graph/limits';

/**
 * Row of a table of relative positions for each query and key of one axis: `queries · keys`
 * indices.
 */
function relativeIndex(queries: number, keys: number): Int32Array {
  const [queryStep, keyStep] = [Math.max(keys / queries, 1), Math.max(queries / keys, 1)];
  return Int32Array.from({ length: room(queries * keys) }, (_, index) => {
    const [query, key] = [Math.floor(index / keys), index % keys];
    return Math.trunc(query * queryStep - key * keyStep + (keys - 1) * keyStep);
  });
}

/** A table `[rows, d]` with another number of rows, interpolated linearly. */
function resizedTable(b: GraphBuilder, table: ValueInfo, rows: number): ValueInfo {
  const [stored, width] = table.shape as readonly [number, number];
  if (stored === rows) return table;
  const map = b.reshape(b.transpose(table, [1, 0]), [1, width, stored, 1]);
  return b.transpose(b.reshape(resizedMap(b, map, [rows, 1]), [width, rows]), [1, 0]);
}

/** Vectors of relative places of one axis, `[queries, d, keys]`. */
function placesOf(b: GraphBuilder, name: string, queries: number, keys: number): ValueInfo {
  const table = resizedTable(b, b.parameter(name), 2 * Math.max(queries, keys) - 1);
  const index = b.shared(`relative places ${queries} ${keys}`, () =>
    b.constant('/relative_index', 'I32', [queries, keys], relativeIndex(queries, keys)),
  );
  return b.transpose(b.add('Gather', [table, index], { axis: int(0) }), [0, 2, 1]);
}

/**
 * Decomposed relative positions (Li et al. 2022, MViTv2, §4.1, eq. 4): what queries
 * `[batch, heads, n, d]` on the grid `queries` (not yet scaled) say to the row and to the column
 * distance of every key on the grid `keys`, by the tables `rel_pos_h` and `rel_pos_w`
 * `[2 · side − 1, d]`, which are resized if the grids are others than the stored ones. A bias of
 * the scores, `[batch, heads, n, keys]`.
 */
export function decomposedPositions(b: GraphBuilder, q: ValueInfo, queries: Grid, keys: Grid): ValueInfo {
  const [batch, heads, count, width] = q.shape as readonly [number, number, number, number];
  const [rows, columns] = queries;
  const map = b.reshape(q, [batch * heads, rows, columns, width]);
  const byRow = b.add('MatMul', [map, placesOf(b, 'rel_pos_h', rows, keys[0])], {}, { name: '/rows' });
  const turned = b.add(
    'MatMul',
    [b.transpose(map, [0, 2, 1, 3]), placesOf(b, 'rel_pos_w', columns, keys[1])],
    {},
    { name: '/columns' },
  );
  const byColumn = b.transpose(turned, [0, 2, 1, 3]);
  const sum = b.add('Add', [
    b.reshape(byRow, [batch * heads, rows * columns, keys[0], 1]),
    b.reshape(byColumn, [batch * heads, rows * columns, 1, keys[1]]),
  ]);
  return b.reshape(sum, [batch, heads, count, keys[0] * keys[1]]);
}

/**
 * Self-attention with decomposed relative positions (Li et al. 2022, ViTDet; Kirillov et al. 2023,
 * SAM) among the tokens of a map, or inside its windows, in which zeros of the padding take part.
 * Linear layers `qkv` and `proj` and the tables are those of module `name`.
 */
function decomposedAttention(
  b: GraphBuilder,
  tokens: Tokens,
  name: string,
  layer: string,
  { heads, windows }: { readonly heads: number; readonly windows: Windows | undefined },
): ValueInfo {
  const inside = windows ? windowPartition(b, tokens, windows) : tokens;
  const out = b.scope(
    name,
    () => {
      const [q, k, v] = byHead(b, inside, heads);
      const grid = gridOfLayout(inside.layout);
      const mixed = b.attention(q, k, v, {
        bias: decomposedPositions(b, q, grid, grid),
        probe: windows ? windowProbe(windows, layer) : selfProbe(tokens, layer),
      });
      return b.linear(mergeHeads(b, mixed), 'proj');
    },
    {
      title: `${windows ? 'Window' : 'Self'}-attention, ${quantity(heads, 'head')}`,
      formula: 'softmax(QKᵀ/√d + Q·R_h + Q·R_w)·V',
    },
  );
  return windows ? windowReverse(b, withValue(inside, out), windows).value : out;
}

export interface DecomposedSettings {
  readonly heads: number;
  readonly eps: number;
  readonly activation: string;
  /** Side of the windows; undefined if the whole map is seen. */
  readonly window: number | undefined;
}

/** x + attention(norm1(x)) in windows or over the whole map, then x + mlp(norm2(x)). */
export function decomposedBlock(b: GraphBuilder, tokens: Tokens, settings: DecomposedSettings): Tokens {
  const { heads, eps, window } = settings;
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', eps));
  const windows = window === undefined ? undefined : windowsOf(gridOfLayout(tokens.layout), window);
  const attended = decomposedAttention(b, normed, 'attn', b.scopePath, { heads, windows });
  const x = residual(b, tokens.value, attended);
  return withValue(tokens, residual(b, x, mlp(b, norm(b, x, 'norm2', eps), 'mlp', settings)));
}
