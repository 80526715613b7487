import { at, largest } from '../../../domain/lists';
import { int, ints, text, type ValueInfo } from '../../graph';
import type { Writer } from '../../writer';
import { withAxis } from '../shapes';
import { add, shaped, stretched, zeros } from './arithmetic';

/** Rows of zeros in front of an axis and behind it; negative numbers take rows away. */
export interface Margin {
  readonly before: number;
  readonly after: number;
}

/** Since this operator set Pad takes its margins as an input (ONNX Changelog.md, Pad-11). */
const padsAsInput = 11;

/** Zeros around a value. */
export function padded(b: Writer, x: ValueInfo, margins: readonly Margin[]): ValueInfo {
  const pads = [...margins.map(({ before }) => before), ...margins.map(({ after }) => after)];
  if (pads.every((pad) => pad === 0)) return x;
  return b.operatorSet < padsAsInput
    ? b.add('Pad', [x], { mode: text('constant'), pads: ints(pads) })
    : b.add('Pad', [x, b.indices(pads)]);
}

/** Since this operator set scattered elements can be added up (ONNX Changelog.md, -16). */
const addsScattered = 16;

/** Zeros of a shape with `updates` added at `places` along an axis. */
export function scattered(
  b: Writer,
  shape: readonly number[],
  places: ValueInfo,
  updates: ValueInfo,
  axis: number,
): ValueInfo {
  if (b.operatorSet < addsScattered)
    throw new Error(
      `gradients of chosen elements need operator set ${addsScattered}; found ${b.operatorSet}`,
    );
  return b.add('ScatterElements', [zeros(b, shape), places, updates], {
    axis: int(axis),
    reduction: text('add'),
  });
}

/** Gathers that are added up at most; more often repeated elements are scattered. */
const mostGathers = 16;

/**
 * The gradient of `x[…, places, …]` along an axis of `size` elements, where the places are known:
 * for each element the gradients of all its copies, gathered one by one. An element that was not
 * taken reads a zero behind the last.
 */
export function ungathered(
  b: Writer,
  g: ValueInfo,
  axis: number,
  places: ArrayLike<number>,
  size: number,
): ValueInfo {
  const copies = Array.from({ length: size }, (): number[] => []);
  for (let place = 0; place < places.length; place++) at(copies, at(places, place)).push(place);
  const most = largest(copies.map(({ length }) => length));
  if (most === 0) return zeros(b, withAxis(g.shape, axis, size));
  if (most > mostGathers) return addedUp(b, g, axis, copies);
  const isComplete = copies.every(({ length }) => length === most);
  const source = isComplete ? g : b.concat([g, zeros(b, withAxis(g.shape, axis, 1))], axis);
  const gathered = Array.from({ length: most }, (_, turn) => {
    const taken = copies.map((own) => own[turn] ?? places.length);
    if (size === places.length && taken.every((place, index) => place === index)) return g;
    return b.add('Gather', [source, b.indices(taken)], { axis: int(axis) });
  });
  return gathered.reduce((sum, each) => add(b, sum, each));
}

/** A matrix of zeros and ones `[size, copies]` times the gradient: of tables that many read. */
function addedUp(b: Writer, g: ValueInfo, axis: number, copies: readonly (readonly number[])[]): ValueInfo {
  const count = at(g.shape, axis);
  const taken = new Float32Array(copies.length * count);
  copies.forEach((own, row) => {
    for (const place of own) taken[row * count + place] = 1;
  });
  return alongAxis(b, g, axis, b.constant('/places', 'F32', [copies.length, count], taken));
}

/** The product of a matrix `[n, m]` with every line of m elements along an axis. */
export function alongAxis(b: Writer, x: ValueInfo, axis: number, matrix: ValueInfo): ValueInfo {
  const rank = x.shape.length;
  if (axis === rank - 2) return b.add('MatMul', [matrix, x]);
  const turned = b.transpose(matrix, [1, 0]);
  if (axis === rank - 1) return b.add('MatMul', [x, turned]);
  const axes = x.shape.map((_, place) => place);
  const perm = [...axes.filter((place) => place !== axis), axis];
  const back = axes.map((place) => perm.indexOf(place));
  return b.transpose(b.add('MatMul', [b.transpose(x, perm), turned]), back);
}

/** Places known only when the graph runs, along an axis; `places` is a list of them. */
export function scatteredAlong(
  b: Writer,
  g: ValueInfo,
  axis: number,
  places: ValueInfo,
  shape: readonly number[],
): ValueInfo {
  const count = at(places.shape, 0);
  const line = shape.map((_, place) => (place === axis ? count : 1));
  const wide = withAxis(shape, axis, count);
  return scattered(b, shape, stretched(b, shaped(b, places, line), wide), shaped(b, g, wide), axis);
}
