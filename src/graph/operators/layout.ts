import { elementCount } from '../../checkpoint/tensors';
import { at, last, sum } from '../../domain/lists';
import type { Call, Operator, OperatorTable, OutputInfo, SelectionRule } from './call';
import { everything } from './places';
import { selectAlike, selectBroadcast, selectView } from './selection';
import { broadcast, broadcastStrides, collect, flatIndex, strides, withAxis } from './shapes';

/** Same elements in the same order under another shape. */
const reinterpret = (shapeOf: (call: Call) => readonly number[]): Operator => ({
  kind: 'layout',
  carries: 'view',
  select: selectView,
  infer: (call) => [call.output(shapeOf(call))],
  fold: (call) => [call.constant(0)],
});

/** Elements chosen by place: `pick` turns an output index into an index of the input. */
const pick = (
  shapeOf: (call: Call) => readonly number[],
  sourceOf: (call: Call, shape: readonly number[]) => (index: readonly number[]) => number,
  rest: Partial<Operator> = {},
): Operator => ({
  kind: 'layout',
  infer: (call) => [call.output(shapeOf(call))],
  fold: (call, output) => {
    const values = call.constant(0);
    const source = sourceOf(call, output.shape);
    return [collect(output.shape, (index) => values[source(index)] ?? 0)];
  },
  ...rest,
});

function reshaped(call: Call): readonly number[] {
  const wanted = call.list('shape', 1) ?? call.fail('no shape');
  const shape = call.shape(0);
  const zeros = call.int('allowzero', 0) === 0;
  const copied = wanted.map((size, axis) => (size === 0 && zeros ? (shape[axis] ?? 0) : size));
  const rest = elementCount(copied.filter((size) => size !== -1));
  const total = elementCount(shape);
  const result = copied.map((size) => (size === -1 ? total / (rest || 1) : size));
  if (elementCount(result) !== total || !result.every(Number.isInteger))
    call.fail(`cannot be reshaped to [${wanted.join(', ')}]`);
  return result;
}

function squeezed(call: Call): readonly number[] {
  const shape = call.shape(0);
  const axes = call.list('axes', 1)?.map((axis) => call.axis(axis, shape.length));
  if (axes?.some((axis) => shape[axis] !== 1)) call.fail(`axes ${axes.join(', ')} are not of size 1`);
  return shape.filter((size, axis) => (axes ? !axes.includes(axis) : size !== 1));
}

function unsqueezed(call: Call): readonly number[] {
  const axes = call.list('axes', 1) ?? call.fail('no axes');
  const rank = call.rank(0) + axes.length;
  const added = new Set(axes.map((axis) => call.axis(axis, rank)));
  let next = 0;
  return Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : call.size(0, next++)));
}

function flattened(call: Call): readonly number[] {
  const axis = call.int('axis', 1);
  const first = axis < 0 ? axis + call.rank(0) : axis;
  return [elementCount(call.shape(0).slice(0, first)), elementCount(call.shape(0).slice(first))];
}

export const permutation = (call: Call): readonly number[] => {
  const rank = call.rank(0);
  const perm = call.ints('perm') ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
  const complete = perm.length === rank && new Set(perm).size === rank && perm.every((axis) => axis < rank);
  return complete ? perm : call.fail(`perm [${perm.join(', ')}] does not order ${rank} axes`);
};

/** The axes along which elements are left out. */
const resizedAxes = (call: Call, { shape }: OutputInfo): readonly number[] =>
  shape.flatMap((size, axis) => (size === call.size(0, axis) ? [] : [axis]));

const selectTransposed: SelectionRule = (call, _, asked) => {
  const perm = permutation(call);
  return [perm.map((_, axis) => asked[perm.indexOf(axis)])];
};

interface Cut {
  readonly start: number;
  readonly step: number;
  readonly size: number;
}

/** Slice's start, step and size on every axis, with the clamping of the ONNX specification. */
export function cuts(call: Call): readonly Cut[] {
  const shape = call.shape(0);
  const starts = call.list('starts', 1) ?? call.fail('no starts');
  const ends = call.list('ends', 2) ?? call.fail('no ends');
  const axes = call.list('axes', 3) ?? starts.map((_, axis) => axis);
  const steps = call.has(4) ? call.values(4) : starts.map(() => 1);
  const result: Cut[] = shape.map((size) => ({ start: 0, step: 1, size }));
  axes.forEach((named, place) => {
    const axis = call.axis(named, shape.length);
    const size = at(shape, axis);
    const step = at(steps, place);
    const clamp = (value: number, low: number): number =>
      Math.min(step > 0 ? size : size - 1, Math.max(low, value < 0 ? value + size : value));
    const start = clamp(at(starts, place), 0);
    const end = clamp(at(ends, place), step > 0 ? 0 : -1);
    result[axis] = { start, step, size: Math.max(0, Math.ceil((end - start) / step)) };
  });
  return result;
}

const slice = pick(
  (call) => cuts(call).map((cut) => cut.size),
  (call) => {
    const steps = strides(call.shape(0));
    const own = cuts(call);
    return (index) =>
      own.reduce(
        (place, { start, step }, axis) => place + (start + at(index, axis) * step) * at(steps, axis),
        0,
      );
  },
  { carries: 'moves', chooses: true, select: selectAlike(resizedAxes) },
);

export const concatAxis = (call: Call): number => call.axis(call.int('axis', 1), call.rank(0));

const concat: Operator = {
  kind: 'layout',
  carries: 'moves',
  joins: true,
  select: (call, _, asked) => (asked[concatAxis(call)] ? undefined : call.inputs.map(() => asked)),
  infer: (call) => {
    const axis = concatAxis(call);
    const first = call.shape(0);
    const shapes = call.inputs.map((_, index) => call.shape(index));
    const fits = shapes.every(
      (shape) =>
        shape.length === first.length &&
        shape.every((size, place) => place === axis || size === first[place]),
    );
    if (!fits) call.fail(`shapes differ outside axis ${axis}`);
    const size = shapes.reduce((sum, shape) => sum + at(shape, axis), 0);
    return [call.output(withAxis(first, axis, size))];
  },
  fold: (call, output) => {
    const axis = concatAxis(call);
    // What each place along the axis reads: a part, and its distance from that place in there.
    const places = call.inputs.flatMap((_, part) => {
      const [values, steps] = [call.constant(part), strides(call.shape(part))];
      return Array.from({ length: call.size(part, axis) }, (_, inner) => ({ values, steps, inner }));
    });
    return [
      collect(output.shape, (index) => {
        const place = at(index, axis);
        const { values, steps, inner } = at(places, place);
        return at(values, flatIndex(index, steps) + (inner - place) * at(steps, axis));
      }),
    ];
  },
};

/** Sizes of Split's parts along its axis: given, or as equal as the count of outputs allows. */
export function parts(call: Call): { readonly axis: number; readonly sizes: readonly number[] } {
  const axis = call.axis(call.int('axis', 0), call.rank(0));
  const size = call.size(0, axis);
  const count = call.node.outputs.length;
  const part = Math.ceil(size / count);
  const equal = Array.from({ length: count }, (_, place) => Math.max(0, Math.min(part, size - place * part)));
  const sizes = call.list('split', 1) ?? equal;
  if (sizes.length !== count || sum(sizes) !== size)
    call.fail(`parts [${sizes.join(', ')}] do not make up ${size} in ${count} outputs`);
  return { axis, sizes };
}

const split: Operator = {
  kind: 'layout',
  carries: 'moves',
  select: selectAlike((call) => [parts(call).axis]),
  infer: (call) => {
    const { axis, sizes } = parts(call);
    return sizes.map((size) => call.output(withAxis(call.shape(0), axis, size)));
  },
  fold: (call, _, outputs) => {
    const { axis } = parts(call);
    const steps = strides(call.shape(0));
    const values = call.constant(0);
    let start = 0;
    return outputs.map(({ shape }) => {
      const first = start * at(steps, axis);
      start += at(shape, axis);
      return collect(shape, (index) => at(values, first + flatIndex(index, steps)));
    });
  },
};

/** Each axis with its padding in front and behind; `pads` may name axes. */
export function padding(call: Call): readonly {
  readonly size: number;
  readonly before: number;
  readonly after: number;
}[] {
  const rank = call.rank(0);
  const pads = call.list('pads', 1) ?? call.ints('paddings') ?? call.fail('no pads');
  const axes = call.has(3) ? call.values(3).map((axis) => call.axis(axis, rank)) : [...call.shape(0).keys()];
  return call.shape(0).map((size, axis) => {
    const place = axes.indexOf(axis);
    return place < 0
      ? { size, before: 0, after: 0 }
      : { size, before: at(pads, place), after: at(pads, place + axes.length) };
  });
}

const pad: Operator = {
  kind: 'layout',
  infer: (call) => [call.output(padding(call).map(({ size, before, after }) => before + size + after))],
  fold: (call, output) => {
    if (call.text('mode', 'constant') !== 'constant') call.fail('only constant padding is folded');
    const sides = padding(call);
    const steps = strides(call.shape(0));
    const fill = call.known(2)?.[0] ?? call.float('value', 0);
    const values = call.constant(0);
    return [
      collect(output.shape, (index) => {
        const inner = sides.map(({ before }, axis) => at(index, axis) - before);
        const inside = sides.every(({ size }, axis) => at(inner, axis) >= 0 && at(inner, axis) < size);
        return inside ? at(values, flatIndex(inner, steps)) : fill;
      }),
    ];
  },
};

/** Moves blocks between channels and map: `blocksize` pixels a side and block of channels. */
const blocks = (toSpace: boolean): Operator => ({
  kind: 'layout',
  infer: (call) => {
    const [batch, channels, ...sides] = call.map(0);
    const side = call.int('blocksize', 1);
    const [wider, smaller] = toSpace ? [side, side ** 2] : [1 / side, 1 / side ** 2];
    const shape = [batch, channels / smaller, ...sides.map((size) => size * wider)];
    const fits = sides.length === 2 && shape.every(Number.isInteger);
    return [call.output(fits ? shape : call.fail(`blocks of ${side} do not fit`))];
  },
});

const identity = reinterpret((call) => call.shape(0));

/** Dropout outside training passes its input on; the mask, if asked for, is all true. */
const dropout: Operator = {
  ...identity,
  infer: (call): readonly OutputInfo[] => {
    const rows: readonly OutputInfo[] = [call.output(call.shape(0)), { dtype: 'BOOL', shape: call.shape(0) }];
    return rows.slice(0, call.node.outputs.length);
  },
  fold: (call, _, outputs) =>
    outputs.map((_, index) => (index === 0 ? call.constant(0) : Array.from(call.constant(0), () => 1))),
};

const expand = pick(
  (call) => broadcast(call, [call.shape(0), call.list('shape', 1) ?? call.fail('no shape')]),
  (call, shape) => {
    const steps = broadcastStrides(call.shape(0), shape.length);
    return (index) => flatIndex(index, steps);
  },
  {
    select: (call, output, asked) =>
      selectBroadcast(call, output, asked)?.map((own, index) => (index === 0 ? own : everything)),
  },
);

const tile = pick(
  (call) => {
    const repeats = call.values(1);
    return call.shape(0).map((size, axis) => size * at(repeats, axis));
  },
  (call) => {
    const shape = call.shape(0);
    const steps = strides(shape);
    return (index) =>
      index.reduce((sum, place, axis) => sum + (place % at(shape, axis)) * at(steps, axis), 0);
  },
);

const transpose = pick(
  (call) => permutation(call).map((axis) => call.size(0, axis)),
  (call) => {
    const steps = strides(call.shape(0));
    const own = permutation(call).map((axis) => at(steps, axis));
    return (index) => flatIndex(index, own);
  },
  { carries: 'moves', select: selectTransposed },
);

const trilu = pick(
  (call) => call.shape(0),
  (call) => {
    const steps = strides(call.shape(0));
    const upper = call.int('upper', 1) !== 0;
    const diagonal = call.known(1)?.[0] ?? 0;
    return (index) => {
      const offset = last(index) - at(index, index.length - 2) - diagonal;
      return (upper ? offset >= 0 : offset <= 0) ? flatIndex(index, steps) : -1;
    };
  },
);

/** Operators that move or copy elements and compute nothing. */
export const layout = {
  Identity: identity,
  Dropout: dropout,
  Reshape: reinterpret(reshaped),
  Squeeze: reinterpret(squeezed),
  Unsqueeze: reinterpret(unsqueezed),
  Flatten: reinterpret(flattened),
  Transpose: transpose,
  Slice: slice,
  Concat: concat,
  Split: split,
  Expand: expand,
  Tile: tile,
  Trilu: trilu,
  Pad: pad,
  DepthToSpace: blocks(true),
  SpaceToDepth: blocks(false),
} as const satisfies OperatorTable;
