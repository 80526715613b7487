import type { Call, OutputInfo, SelectionRule } from './call';
import { everything, regroup, type Selection } from './places';

/** A selection of the first input, and all of the others. */
const ofFirst = (call: Call, first: Selection): readonly Selection[] =>
  call.inputs.map((_, index) => (index === 0 ? first : everything));

/** Operands broadcast to the output: their axes are the last ones of it. */
export const selectBroadcast: SelectionRule = (call, { shape }, asked) =>
  call.inputs.map((input) => alignedRight(input?.shape ?? [], shape.length, asked));

const alignedRight = (own: readonly number[], rank: number, asked: Selection): Selection =>
  own.map((size, axis) => (size === 1 ? undefined : asked[axis + rank - own.length]));

/** The first input has the output's axes; nothing may be chosen along those that are `mixed`. */
export const selectAlike =
  (mixed: (call: Call, output: OutputInfo) => readonly number[]): SelectionRule =>
  (call, output, asked) =>
    mixed(call, output).some((axis) => asked[axis]) ? undefined : ofFirst(call, asked);

/** One axis is mixed: that of the attribute, or the last one. */
export const selectOutsideAxis = selectAlike((call) => [call.axis(call.int('axis', -1), call.rank(0))]);

/** The same elements in their order under another shape. */
export const selectView: SelectionRule = (call, { shape }, asked) => {
  const own = regroup(shape, asked, call.shape(0));
  return own && ofFirst(call, own);
};

/** A product of matrices, or of stacks of them. */
export const selectProduct: SelectionRule = (call, { shape }, asked) => {
  if (call.rank(0) < 2 || call.rank(1) < 2) return undefined;
  const [stack, rank] = [asked.slice(0, -2), shape.length - 2];
  const side = (index: number, matrix: Selection): Selection => [
    ...alignedRight(call.shape(index).slice(0, -2), rank, stack),
    ...matrix,
  ];
  return [side(0, [asked[rank], undefined]), side(1, [undefined, asked[rank + 1]])];
};

/** Rows of a linear layer over a matrix. */
export const selectRows: SelectionRule = (call, _, [row, column]) =>
  column || call.int('transA', 0) ? undefined : ofFirst(call, [row, undefined]);

/** Places of a convolution that looks at one place alone; its channels are mixed. */
export const selectPointwise: SelectionRule = (call, { shape }, asked) => {
  const alone = call
    .shape(1)
    .slice(2)
    .every((side) => side === 1);
  const same = shape.slice(2).every((size, axis) => size === call.size(0, axis + 2));
  return alone && same && !asked[1] ? ofFirst(call, asked) : undefined;
};
