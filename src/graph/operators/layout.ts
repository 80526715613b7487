import { elementCount } from '../../checkpoint/tensors';
import type { Call, Operator, OperatorTable, OutputInfo } from './call';
import { broadcast, broadcastStrides, collect, flatIndex, strides, withAxis } from './shapes';

/** Same elements in the same order under another shape. */
const reinterpret = (shapeOf: (call: Call) => readonly number[]): Operator => ({
  kind: 'layout',
  infer: (call) => [call.output(shapeOf(call))],
  fold: (call) => [call.known(0)!],
});

/** Elements chosen by place: `pick` turns an output index into an index of the input. */
const pick = (
  shapeOf: (call: Call) => readonly number[],
  sourceOf: (call: Call, shape: readonly number[]) => (index: readonly number[]) => number,
): Operator => ({
  kind: 'layout',
  infer: (call) => [call.output(shapeOf(call))],
  fold: (call, [output]) => {
    const values = call.known(0)!;
    const source = sourceOf(call, output!.shape);
    return [collect(output!.shape, (index) => values[source(index)] ?? 0)];
  },
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
  const rest = call.shape(0)[Symbol.iterator]();
  return Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : (rest.next().value as number)));
}

function flattened(call: Call): readonly number[] {
  const axis = call.int('axis', 1);
  const at = axis < 0 ? axis + call.rank(0) : axis;
  return [elementCount(call.shape(0).slice(0, at)), elementCount(call.shape(0).slice(at))];
}

const permutation = (call: Call): readonly number[] => {
  const rank = call.rank(0);
  const perm = call.ints('perm') ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
  const complete = perm.length === rank && new Set(perm).size === rank && perm.every((at) => at < rank);
  return complete ? perm : call.fail(`perm [${perm.join(', ')}] does not order ${rank} axes`);
};

interface Cut {
  readonly start: number;
  readonly step: number;
  readonly size: number;
}

/** Slice's start, step and size on every axis, with the clamping of the ONNX specification. */
function cuts(call: Call): readonly Cut[] {
  const shape = call.shape(0);
  const starts = call.list('starts', 1) ?? call.fail('no starts');
  const ends = call.list('ends', 2) ?? call.fail('no ends');
  const axes = call.list('axes', 3) ?? starts.map((_, axis) => axis);
  const steps = call.has(4) ? call.values(4) : starts.map(() => 1);
  const result: Cut[] = shape.map((size) => ({ start: 0, step: 1, size }));
  axes.forEach((named, at) => {
    const axis = call.axis(named, shape.length);
    const size = shape[axis]!;
    const step = steps[at]!;
    const clamp = (value: number, low: number, high: number): number =>
      Math.min(high, Math.max(low, value < 0 ? value + size : value));
    const start = step > 0 ? clamp(starts[at]!, 0, size) : clamp(starts[at]!, 0, size - 1);
    const end = step > 0 ? clamp(ends[at]!, 0, size) : clamp(ends[at]!, -1, size - 1);
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
      index.reduce((sum, at, axis) => sum + (own[axis]!.start + at * own[axis]!.step) * steps[axis]!, 0);
  },
);

const concatAxis = (call: Call): number => call.axis(call.int('axis', 1), call.rank(0));

const concat: Operator = {
  kind: 'layout',
  infer: (call) => {
    const axis = concatAxis(call);
    const shapes = call.inputs.map((_, index) => call.shape(index));
    const [first] = shapes;
    const fits = shapes.every(
      (shape) =>
        shape.length === first!.length && shape.every((size, at) => at === axis || size === first![at]),
    );
    if (!fits) call.fail(`shapes differ outside axis ${axis}`);
    const size = shapes.reduce((sum, shape) => sum + shape[axis]!, 0);
    return [call.output(withAxis(first!, axis, size))];
  },
  fold: (call, [output]) => {
    const axis = concatAxis(call);
    const parts = call.inputs.flatMap((input, part) =>
      Array.from({ length: input!.shape[axis]! }, (_, at) => ({ part, at, steps: strides(input!.shape) })),
    );
    const values = call.inputs.map((_, index) => call.known(index)!);
    return [
      collect(output!.shape, (index) => {
        const { part, at, steps } = parts[index[axis]!]!;
        return values[part]![flatIndex(index, steps) + (at - index[axis]!) * steps[axis]!]!;
      }),
    ];
  },
};

/** Sizes of Split's parts: given, or as equal as the count of outputs allows. */
function parts(call: Call): readonly number[] {
  const axis = call.axis(call.int('axis', 0), call.rank(0));
  const size = call.shape(0)[axis]!;
  const given = call.list('split', 1);
  const count = call.node.outputs.length;
  const part = Math.ceil(size / count);
  const sizes =
    given ?? Array.from({ length: count }, (_, at) => Math.max(0, Math.min(part, size - at * part)));
  const total = sizes.reduce((sum, value) => sum + value, 0);
  if (sizes.length !== count || total !== size)
    call.fail(`parts [${sizes.join(', ')}] do not make up ${size} in ${count} outputs`);
  return sizes;
}

const split: Operator = {
  kind: 'layout',
  infer: (call) => {
    const axis = call.axis(call.int('axis', 0), call.rank(0));
    return parts(call).map((size) => call.output(withAxis(call.shape(0), axis, size)));
  },
  fold: (call, outputs) => {
    const axis = call.axis(call.int('axis', 0), call.rank(0));
    const steps = strides(call.shape(0));
    const values = call.known(0)!;
    let start = 0;
    return outputs.map(({ shape }) => {
      const first = start * steps[axis]!;
      start += shape[axis]!;
      return collect(shape, (index) => values[first + flatIndex(index, steps)]!);
    });
  },
};

/** Begin and end padding per axis; `pads` may name axes. */
function padding(call: Call): readonly (readonly [number, number])[] {
  const rank = call.rank(0);
  const pads = call.list('pads', 1) ?? call.ints('paddings') ?? call.fail('no pads');
  const axes = call.has(3) ? call.values(3).map((axis) => call.axis(axis, rank)) : [...call.shape(0).keys()];
  return call.shape(0).map((_, axis) => {
    const at = axes.indexOf(axis);
    return at < 0 ? [0, 0] : [pads[at]!, pads[at + axes.length]!];
  });
}

const pad: Operator = {
  kind: 'layout',
  infer: (call) => {
    const sides = padding(call);
    return [call.output(call.shape(0).map((size, axis) => size + sides[axis]![0] + sides[axis]![1]))];
  },
  fold: (call, [output]) => {
    if (call.text('mode', 'constant') !== 'constant') call.fail('only constant padding is folded');
    const sides = padding(call);
    const steps = strides(call.shape(0));
    const fill = call.known(2)?.[0] ?? call.float('value', 0);
    const values = call.known(0)!;
    return [
      collect(output!.shape, (index) => {
        const inner = index.map((at, axis) => at - sides[axis]![0]);
        const inside = inner.every((at, axis) => at >= 0 && at < call.shape(0)[axis]!);
        return inside ? values[flatIndex(inner, steps)]! : fill;
      }),
    ];
  },
};

/** Moves blocks between channels and picture: `factor` picture pixels per side and channel block. */
const blocks = (toSpace: boolean): Operator => ({
  kind: 'layout',
  infer: (call) => {
    const [batch, channels, height, width] = call.shape(0);
    const side = call.int('blocksize', 1);
    const shape = toSpace
      ? [batch!, channels! / side ** 2, height! * side, width! * side]
      : [batch!, channels! * side ** 2, height! / side, width! / side];
    return [call.output(shape.every(Number.isInteger) ? shape : call.fail(`blocks of ${side} do not fit`))];
  },
});

const identity = reinterpret((call) => call.shape(0));

/** Dropout outside training passes its input on; the mask, where asked for, is all true. */
const dropout: Operator = {
  ...identity,
  infer: (call): readonly OutputInfo[] => {
    const rows: readonly OutputInfo[] = [call.output(call.shape(0)), { dtype: 'BOOL', shape: call.shape(0) }];
    return rows.slice(0, call.node.outputs.length);
  },
  fold: (call, outputs) =>
    outputs.map((_, index) => (index === 0 ? call.known(0)! : Array.from(call.known(0)!, () => 1))),
};

const expand = pick(
  (call) => broadcast(call, [call.shape(0), call.list('shape', 1) ?? call.fail('no shape')]),
  (call, shape) => {
    const steps = broadcastStrides(call.shape(0), shape.length);
    return (index) => flatIndex(index, steps);
  },
);

const tile = pick(
  (call) => {
    const repeats = call.values(1);
    return call.shape(0).map((size, axis) => size * repeats[axis]!);
  },
  (call) => {
    const steps = strides(call.shape(0));
    return (index) => index.reduce((sum, at, axis) => sum + (at % call.shape(0)[axis]!) * steps[axis]!, 0);
  },
);

const transpose = pick(
  (call) => permutation(call).map((axis) => call.shape(0)[axis]!),
  (call) => {
    const steps = strides(call.shape(0));
    const own = permutation(call).map((axis) => steps[axis]!);
    return (index) => flatIndex(index, own);
  },
);

const trilu = pick(
  (call) => call.shape(0),
  (call) => {
    const steps = strides(call.shape(0));
    const upper = call.int('upper', 1) !== 0;
    const diagonal = call.known(1)?.[0] ?? 0;
    return (index) => {
      const offset = index.at(-1)! - index.at(-2)! - diagonal;
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
