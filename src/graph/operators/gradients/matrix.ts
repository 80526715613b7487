import { at } from '../../../domain/lists';
import { float, int, ints, text, type Attribute, type ValueInfo } from '../../graph';
import type { Writer } from '../../writer';
import { einsumTerms, slidings, type Sliding } from '../matrix';
import { multiply, shaped, stretched, unbroadcast } from './arithmetic';
import type { GradientCall, GradientRule } from './call';
import { padded } from './places';

/** The last two axes changed. */
function turned(b: Writer, x: ValueInfo): ValueInfo {
  const axes = x.shape.map((_, axis) => axis);
  return b.transpose(x, [...axes.slice(0, -2), ...axes.slice(-2).toReversed()]);
}

/** g·Bᵀ and Aᵀ·g, summed over stacks that were broadcast. */
const matMul: GradientRule = (call) => {
  if ([0, 1].some((index) => call.rank(index) < 2))
    call.fail('no derivative is known for a product of vectors');
  const { b, g } = call;
  return call.each((index) => {
    const own =
      index === 0
        ? b.add('MatMul', [g, turned(b, call.input(1))])
        : b.add('MatMul', [turned(b, call.input(0)), g]);
    return unbroadcast(b, own, call.shape(index));
  });
};

/**
 * Of y = α·A·B + β·C: the same product with the other operand, read the other way round, so that
 * no weights are turned in memory.
 */
const gemm: GradientRule = (call) => {
  const { b, g } = call;
  const [transA, transB] = [call.int('transA', 0), call.int('transB', 0)];
  const alpha = float(call.float('alpha', 1));
  const product = (left: ValueInfo, right: ValueInfo, first: number, second: number): ValueInfo =>
    b.add('Gemm', [left, right], { alpha, transA: int(first), transB: int(second) });
  const rules = [
    () => (transA ? product(call.input(1), g, transB, 1) : product(g, call.input(1), 0, 1 - transB)),
    () => (transB ? product(g, call.input(0), 1, transA) : product(call.input(0), g, 1 - transA, 0)),
    () => unbroadcast(b, multiply(b, g, call.float('beta', 1)), call.shape(2)),
  ];
  return call.each((index) => at(rules, index)());
};

/** Windows of a convolution, with the padding that `auto_pad` stands for. */
function windows(call: GradientCall): readonly Sliding[] {
  const [sides, kernel] = [call.shape(0).slice(2), call.shape(1).slice(2)];
  const own = slidings(call, sides, kernel);
  const mode = call.text('auto_pad', 'NOTSET');
  if (mode === 'NOTSET') return own;
  return own.map((sliding, axis) => {
    if (mode === 'VALID') return { ...sliding, pads: [0, 0] };
    const covered = (at(call.y.shape, axis + 2) - 1) * sliding.stride + sliding.reach;
    const total = Math.max(0, covered - sliding.size);
    const less = Math.floor(total / 2);
    return { ...sliding, pads: mode === 'SAME_LOWER' ? [total - less, less] : [less, total - less] };
  });
}

const common = (call: GradientCall): Readonly<Record<string, Attribute>> => {
  const dilations = call.ints('dilations');
  return {
    kernel_shape: ints(call.shape(1).slice(2)),
    group: int(call.int('group', 1)),
    ...(dilations && { dilations: ints(dilations) }),
  };
};

/**
 * A convolution's weight as that of the way back where it moves by one: filters and channels of
 * each group changed, the kernel turned by half a circle. The runtime does this when it loads the
 * graph.
 */
function turnedKernel(call: GradientCall): ValueInfo {
  const { b } = call;
  const weight = call.input(1);
  const [out, width, ...kernel] = call.map(1);
  const group = call.int('group', 1);
  return b.shared(`turned ${weight.name} ${group}`, () => {
    const axes = kernel.map((_, axis) => axis + 2);
    const sides = axes.filter((axis) => at(weight.shape, axis) > 1);
    const flipped =
      sides.length === 0
        ? weight
        : b.add('Slice', [
            weight,
            b.indices(sides.map(() => -1)),
            b.indices(sides.map(() => Number.MIN_SAFE_INTEGER)),
            b.indices(sides),
            b.indices(sides.map(() => -1)),
          ]);
    if (group === 1) return b.transpose(flipped, [1, 0, ...axes]);
    if (width === 1 && out === group) return flipped;
    const grouped = b.reshape(flipped, [group, out / group, width, ...kernel]);
    const changed = b.transpose(grouped, [0, 2, 1, ...axes.map((axis) => axis + 1)]);
    return b.reshape(changed, [group * width, out / group, ...kernel]);
  });
}

/**
 * The transposed convolution (Dumoulin & Visin 2016, §4): by the same weight, or where the window
 * moves by one, as a convolution with the kernel turned, which runtimes do faster. Pixels behind
 * the last window get nothing.
 */
const conv: GradientRule = (call) => {
  call.only(0, 2);
  return call.each((index) => (index === 0 ? convInput(call) : biasOf(call)));
};

function convInput(call: GradientCall): ValueInfo {
  const { b, g } = call;
  const along = windows(call);
  const isPlain = along.every(({ stride, reach, pads }) => stride === 1 && pads.every((pad) => pad < reach));
  if (isPlain) {
    const pads = [0, 1].flatMap((end) => along.map(({ reach, pads }) => reach - 1 - at(pads, end)));
    return b.add('Conv', [g, turnedKernel(call)], { ...common(call), pads: ints(pads) });
  }
  const spread = along.map(({ size, stride, reach, pads: [before, after] }, axis) => {
    const covered = stride * (at(g.shape, axis + 2) - 1) + reach - before - after;
    // What lies behind the last window is cropped less, and then filled with zeros.
    const behind = size - covered;
    return { before, after: after - Math.min(after, behind), behind: behind - Math.min(after, behind) };
  });
  const attributes = {
    ...common(call),
    strides: ints(along.map(({ stride }) => stride)),
    pads: ints([...spread.map(({ before }) => before), ...spread.map(({ after }) => after)]),
  };
  const covered = b.add('ConvTranspose', [g, call.input(1)], attributes);
  return padded(b, covered, [
    { before: 0, after: 0 },
    { before: 0, after: 0 },
    ...spread.map(({ behind }) => ({ before: 0, after: behind })),
  ]);
}

/** A bias is added to every pixel. */
function biasOf(call: GradientCall): ValueInfo {
  const { b, g } = call;
  const others = g.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]));
  return b.reduce('ReduceSum', g, others, false);
}

/** The convolution by the same weight. */
const convTranspose: GradientRule = (call) => {
  call.only(0, 2);
  if (call.text('auto_pad', 'NOTSET') !== 'NOTSET' || call.ints('output_shape'))
    call.fail('no derivative is known with auto_pad or output_shape');
  const { b, g } = call;
  const along = slidings(call, call.shape(0).slice(2), call.shape(1).slice(2));
  const attributes = {
    ...common(call),
    strides: ints(along.map(({ stride }) => stride)),
    pads: ints([0, 1].flatMap((end) => along.map(({ pads }) => at(pads, end)))),
  };
  return call.each((index) => (index === 0 ? b.add('Conv', [g, call.input(1)], attributes) : biasOf(call)));
};

const letterOf = (letter: string): string =>
  /\d/.test(letter) ? String.fromCharCode('A'.charCodeAt(0) + Number(letter)) : letter;

/**
 * The same sum with g in the place of the operand. An axis of this operand alone was summed over:
 * its gradient is repeated along it.
 */
const einsum: GradientRule = (call) => {
  const { b, g } = call;
  const { terms, output } = einsumTerms(call);
  const written = (letters: readonly string[]): string => letters.map(letterOf).join('');
  return call.each((index) => {
    const own = at(terms, index);
    const others = terms.filter((_, place) => place !== index);
    const known = new Set([...output, ...others.flat()]);
    const made = own.filter((letter) => known.has(letter));
    if (new Set(own).size !== own.length) call.fail('no derivative is known for a diagonal');
    const operands = call.inputs.filter((_, place) => place !== index);
    const equation = `${[output, ...others].map(written).join(',')}->${written(made)}`;
    const value = b.add('Einsum', [g, ...operands], { equation: text(equation) });
    const sizes = made.map((letter) => call.size(index, own.indexOf(letter)));
    const shape = own.map((letter, axis) => (known.has(letter) ? call.size(index, axis) : 1));
    return stretched(b, shaped(b, unbroadcast(b, value, sizes), shape), call.shape(index));
  });
};

/** Derivatives of products and convolutions. */
export const matrixGradients = {
  MatMul: matMul,
  Gemm: gemm,
  Einsum: einsum,
  Conv: conv,
  ConvTranspose: convTranspose,
} as const;
