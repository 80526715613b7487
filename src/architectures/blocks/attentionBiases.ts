import { at } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import type { Probe } from '../../domain/probes';
import { type Tokens } from './layers';
import { gridOfLayout } from './maps';
import { parameterSide, splitInThree } from './parts';
import { mergeHeads, splitHeads } from './transformer';
import { placesRoom } from '../../graph/limits';

/** |query − key| along one side, `[queries, keys]`, for every `stride`-th position as query. */
function distances(b: GraphBuilder, side: number, stride: number): ValueInfo {
  const queries = Array.from({ length: placesRoom(Math.ceil(side / stride)) }, (_, index) => index * stride);
  placesRoom(queries.length * side);
  const far = queries.flatMap((query) =>
    Array.from({ length: side }, (_, key) => BigInt(Math.abs(query - key))),
  );
  return b.shared(`distances ${side} ${stride}`, () =>
    b.constant('/distances', 'I64', [queries.length, side], BigInt64Array.from(far)),
  );
}

/**
 * Attention biases (Graham et al. 2021, LeViT §4.2): one number per head and offset |Δrow|,
 * |Δcolumn| of query and key, row-major over the offsets. The table `name` is
 * `[heads, rows · columns]`, the result `[heads, queries, keys]`. Queries are every `stride`-th row
 * and column. Rows and columns are looked up one after the other: a table of all pairs would be far
 * larger than the model.
 */
export function offsetBiases(b: GraphBuilder, name: string, [rows, columns]: Grid, stride = 1): ValueInfo {
  const heads = parameterSide(b, name, 0);
  const table = b.parameter(name, [heads, rows, columns]);
  const byRow = b.add('Gather', [table, distances(b, rows, stride)], { axis: int(1) });
  const byColumn = b.add('Gather', [byRow, distances(b, columns, stride)], { axis: int(3) });
  const pairs = b.transpose(byColumn, [0, 1, 3, 2, 4]);
  const [, queryRows, queryColumns] = pairs.shape as readonly [number, number, number];
  return b.reshape(pairs, [heads, queryRows * queryColumns, rows * columns]);
}

interface BiasedAttention {
  /** Channels of a head's values; keys have half of what is left. */
  readonly values: number;
  readonly probe: Omit<Probe, 'value' | 'heads'>;
}

/**
 * Multi-head self-attention with biases per offset (Graham et al. 2021, LeViT §4.2) of tokens on a
 * grid. `fused` `[batch · count, heads · d]` holds query, key and value of each head side by side;
 * their biases are `attention_biases` of the scope. The result is
 * `[batch · count, heads · values]`.
 */
export function biasedAttention(
  b: GraphBuilder,
  fused: ValueInfo,
  { batch, layout }: Tokens,
  { values, probe }: BiasedAttention,
): ValueInfo {
  const heads = parameterSide(b, 'attention_biases', 0);
  const split = splitHeads(b, fused, batch, heads);
  const keys = (at(split.shape, 3) - values) / 2;
  const [query, key, value] = splitInThree(b, split, 3, [keys, keys, values]);
  const bias = offsetBiases(b, 'attention_biases', gridOfLayout(layout));
  return mergeHeads(b, b.attention(query, key, value, { bias, probe }));
}

/** What the module of such an attention computes. */
export const biasedFormula = 'softmax(QKᵀ/√d + B[|Δrow|, |Δcolumn|])·V';
