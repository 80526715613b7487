import { at, largest } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { averagePool } from './convolution';
import { withValue, type Tokens } from './layers';
import { gridOfLayout, gridTokens, mapToTokens, tokensToMap } from './maps';
import { rearranged } from './windows';
import { quantity } from '../../domain/units';
import { placesRoom, room } from '../../graph/limits';

/** VOLO's neighbourhoods: 3 × 3 positions around every second row and column. */
const side = 3;
const stride = 2;
const area = side * side;

/** Rows and columns of neighbourhoods. */
const centresOf = ([rows, columns]: Grid): Grid => [Math.ceil(rows / stride), Math.ceil(columns / stride)];

/**
 * For every place of every neighbourhood the position of the map it lies on; beyond the map's edge
 * the number of its positions, the index of a zero.
 */
function neighbourhoods(map: Grid): Int32Array {
  const [rows, columns] = centresOf(map);
  const index = new Int32Array(room(rows * columns * area));
  for (let at = 0; at < index.length; at++) {
    const centre = Math.floor(at / area);
    const place = at % area;
    const row = Math.floor(centre / columns) * stride + Math.floor(place / side) - 1;
    const column = (centre % columns) * stride + (place % side) - 1;
    const inside = row >= 0 && row < map[0] && column >= 0 && column < map[1];
    index[at] = inside ? row * map[1] + column : map[0] * map[1];
  }
  return index;
}

/**
 * For every position of the map the places of neighbourhoods that lie on it, four at most; the
 * index of a zero fills up if there are fewer.
 */
function overlaps(map: Grid): Int32Array {
  const places: number[][] = Array.from({ length: placesRoom(map[0] * map[1]) }, () => []);
  neighbourhoods(map).forEach((position, place) => places[position]?.push(place));
  const most = largest(places.map(({ length }) => length));
  const [rows, columns] = centresOf(map);
  const fill = rows * columns * area;
  const padded = places.flatMap((some) => Array.from({ length: most }, (_, at) => some[at] ?? fill));
  return Int32Array.from(padded);
}

/**
 * Adds up the neighbourhoods' values where they overlap (Yuan et al. 2021, eq. 5):
 * `[batch · neighbourhoods · 9, dim]` to `[batch · positions, dim]`.
 */
function fold(b: GraphBuilder, folded: Tokens, map: Grid): ValueInfo {
  const parts = rearranged(b, folded, `outlook fold ${map.join('x')}`, () => overlaps(map));
  const [count, dim] = parts.shape as readonly [number, number];
  const positions = folded.batch * map[0] * map[1];
  const apart = b.reshape(parts, [positions, count / positions, dim]);
  return b.add('ReduceSum', [apart, b.indices([1])], { keepdims: int(0) });
}

/**
 * Outlook attention (Yuan et al. 2021, §3.1) of tokens on a grid `[batch · count, dim]`: one linear
 * layer at every second position makes the weights by which the 3 × 3 positions around it mix,
 * without comparing queries to keys; the results of all neighbourhoods that cover a position are
 * added up.
 */
export function outlookAttention(b: GraphBuilder, tokens: Tokens, heads: number): ValueInfo {
  const map = gridOfLayout(tokens.layout);
  const centres = centresOf(map);
  const count = centres[0] * centres[1];
  const dim = at(tokens.value.shape, 1);
  const width = b.headWidth(dim, heads);
  return b.scope(
    'attn',
    () => {
      const values = withValue(tokens, b.linear(tokens.value, 'v'));
      const unfolded = rearranged(b, values, `outlook unfold ${map.join('x')}`, () => neighbourhoods(map));
      const near = b.transpose(
        b.reshape(unfolded, [tokens.batch, count, area, heads, width]),
        [0, 3, 1, 2, 4],
      );
      const pooled = averagePool(b, tokensToMap(b, tokens), {
        kernel: stride,
        ceil: true,
        countPadding: false,
      });
      const said = b.reshape(b.linear(mapToTokens(b, pooled).value, 'attn'), [
        tokens.batch,
        count,
        heads,
        area,
        area,
      ]);
      const scores = b.add('Mul', [b.transpose(said, [0, 2, 1, 3, 4]), b.scalar(1 / Math.sqrt(width))]);
      const map3 = b.add('Softmax', [scores], { axis: int(-1) });
      const mixed = b.transpose(b.add('MatMul', [map3, near], {}, { name: '/mix' }), [0, 2, 3, 1, 4]);
      const flat = b.reshape(mixed, [tokens.batch * count * area, dim]);
      return b.linear(fold(b, gridTokens(flat, tokens.batch, [count, area]), map), 'proj');
    },
    {
      title: `Outlook attention, ${quantity(heads, 'head')}: 3 × 3 positions mix in overlapping neighbourhoods, there is no map over the picture`,
      formula: 'fold(softmax(Wₐx/√d)·unfold(Wᵥx))',
    },
  );
}
