import { elementCount, type DType } from '../../checkpoint/tensors';
import { at, last } from '../../domain/lists';
import type { Call, Operator, OperatorTable, OutputInfo } from './call';
import { selectPointwise, selectProduct, selectRows } from './selection';
import { broadcast } from './shapes';

/**
 * Shape of NumPy's matmul: vectors get an axis that is taken away again, leading axes broadcast.
 */
export function productShape(
  call: Call,
  left: readonly number[],
  right: readonly number[],
): readonly number[] {
  if (left.length === 0 || right.length === 0) call.fail('a matrix product needs operands of rank 1 or more');
  const a = left.length === 1 ? [1, ...left] : left;
  const b = right.length === 1 ? [...right, 1] : right;
  if (a.at(-1) !== b.at(-2)) call.fail('inner sizes differ');
  const batch = broadcast(call, [a.slice(0, -2), b.slice(0, -2)]);
  const rows = left.length === 1 ? [] : a.slice(-2, -1);
  const columns = right.length === 1 ? [] : b.slice(-1);
  return [...batch, ...rows, ...columns];
}

const productMacs = (inner: number, output: OutputInfo): number => elementCount(output.shape) * inner;

/** MatMul of inputs `left` and `right`, whose quantised forms put scales between them. */
export const matMul = (
  left: number,
  right: number,
  rest: Partial<Operator> = {},
  dtype?: DType,
): Operator => ({
  kind: 'product',
  factors: [left, right],
  infer: (call) => [
    { dtype: dtype ?? call.dtype(left), shape: productShape(call, call.shape(left), call.shape(right)) },
  ],
  macs: (call, output) => productMacs(last(call.shape(left)), output),
  ...rest,
});

/** Gemm of inputs `left`, `right` and `bias`. */
export const gemm = (
  left: number,
  right: number,
  bias: number,
  rest: Partial<Operator> = {},
  dtype?: (call: Call) => DType,
): Operator => ({
  kind: 'product',
  factors: [left, right],
  bias,
  infer: (call) => {
    const [rows, inner] = call.matrix(left, 'transA');
    const [depth, columns] = call.matrix(right, 'transB');
    if (inner !== depth) call.fail('inner sizes differ');
    const shape = [rows, columns];
    if (call.has(bias) && broadcast(call, [shape, call.shape(bias)]).join() !== shape.join())
      call.fail('C does not broadcast to the product');
    return [{ dtype: dtype?.(call) ?? call.dtype(left), shape }];
  },
  macs: (call, output) => productMacs(call.matrix(left, 'transA')[1], output),
  ...rest,
});

interface EinsumTerms {
  /** Letters of each operand. */
  readonly terms: readonly (readonly string[])[];
  readonly sizes: ReadonlyMap<string, number>;
  readonly output: readonly string[];
}

/**
 * Letters of an einsum equation with their sizes; `...` becomes the letters `0`, `1` … counted from
 * the back.
 */
export function einsumTerms(call: Call): EinsumTerms {
  const equation = call.text('equation', '').replaceAll(' ', '');
  const [left = '', right] = equation.split('->');
  const letters = (term: string, rank: number): string[] => {
    const hidden = Math.max(0, rank - term.replace('...', '').length);
    const ellipsis = Array.from({ length: hidden }, (_, index) => String(hidden - 1 - index));
    return term.split('...').flatMap((part, index) => [...(index > 0 ? ellipsis : []), ...part]);
  };
  const sizes = new Map<string, number>();
  const terms = left.split(',').map((term, index) => letters(term, call.rank(index)));
  terms.forEach((term, index) => {
    if (term.length !== call.rank(index)) call.fail(`${equation} does not fit the ranks`);
    term.forEach((letter, axis) => {
      const size = call.size(index, axis);
      const known = sizes.get(letter) ?? 1;
      if (known !== size && known !== 1 && size !== 1) call.fail(`${equation}: ${letter} has two sizes`);
      sizes.set(letter, Math.max(known, size));
    });
  });
  const digits = [...sizes.keys()].filter((letter) => /\d/.test(letter));
  const all = terms.flat();
  const implicit = [...sizes.keys()]
    .filter((letter) => !/\d/.test(letter) && all.indexOf(letter) === all.lastIndexOf(letter))
    .sort();
  const output =
    right === undefined
      ? [...digits, ...implicit]
      : letters(right, right.replace('...', '').length + (right.includes('...') ? digits.length : 0));
  return { terms, sizes, output };
}

const einsum: Operator = {
  kind: 'product',
  infer: (call) => {
    const { sizes, output } = einsumTerms(call);
    const shape = output.map((letter) => sizes.get(letter) ?? call.fail(`${letter} is in no operand`));
    return [call.output(shape)];
  },
  // One pass over all indices multiplies once per further operand; a single operand is a sum or a
  // transposition.
  macs: (call) => elementCount([...einsumTerms(call).sizes.values()]) * (call.inputs.length - 1),
};

/** A window along one spatial axis. */
export interface Sliding {
  readonly size: number;
  readonly stride: number;
  /** Pixels that the kernel covers with its gaps. */
  readonly reach: number;
  /** Padding in front and behind. */
  readonly pads: readonly [before: number, after: number];
  /** Rows or columns that a transposed convolution adds at the end. */
  readonly extra: number;
}

/** The windows of a convolution or pooling along each spatial axis. */
export function slidings(
  call: Call,
  spatial: readonly number[],
  kernel: readonly number[],
): readonly Sliding[] {
  const count = spatial.length;
  const list = (name: string, otherwise: number): readonly number[] =>
    call.ints(name) ?? Array<number>(count).fill(otherwise);
  const [strides, dilations, extras] = [list('strides', 1), list('dilations', 1), list('output_padding', 0)];
  const pads = call.ints('pads') ?? Array<number>(2 * count).fill(0);
  return spatial.map((size, axis) => ({
    size,
    stride: at(strides, axis),
    reach: (at(kernel, axis) - 1) * at(dilations, axis) + 1,
    pads: [at(pads, axis), at(pads, axis + count)],
    extra: at(extras, axis),
  }));
}

/**
 * Sizes of a window sliding over the spatial axes: `floor` or `ceil` of
 * (padded − window) / stride, plus one (ONNX Operators.md, MaxPool).
 */
export function windowedShape(
  call: Call,
  spatial: readonly number[],
  kernel: readonly number[],
): readonly number[] {
  const same = call.text('auto_pad', 'NOTSET').startsWith('SAME');
  const valid = call.text('auto_pad', 'NOTSET') === 'VALID';
  return slidings(call, spatial, kernel).map(({ size, stride, reach, pads }) => {
    if (same) return Math.ceil(size / stride);
    const [before, after] = valid ? [0, 0] : pads;
    const room = size + before + after - reach;
    if (room < 0) call.fail(`a window of ${kernel.join(' × ')} does not fit into ${spatial.join(' × ')}`);
    if (!call.int('ceil_mode', 0)) return Math.floor(room / stride) + 1;
    // A last window that would begin in the padding behind the image is left out, as in PyTorch and
    // ORT.
    const windows = Math.ceil(room / stride) + 1;
    return (windows - 1) * stride >= size + before ? windows - 1 : windows;
  });
}

/** Conv of inputs `x` and `w`. */
export const conv = (
  x: number,
  w: number,
  rest: Partial<Operator> = {},
  dtype?: (call: Call) => DType,
): Operator => ({
  kind: 'conv',
  factors: [x, w],
  infer: (call) => {
    const isLast = rest.channelsLast ?? call.int('channels_last', 0) === 1;
    const [batch, channels, ...spatial] = isLast ? channelsSecond(call.map(x)) : call.map(x);
    const [out, width, ...kernel] = call.map(w);
    if (kernel.length !== spatial.length) call.fail('kernel and image have different ranks');
    if (channels !== width * call.int('group', 1)) call.fail(`${channels} channels do not fit the kernel`);
    const sides = windowedShape(call, spatial, kernel);
    const shape = isLast ? [batch, ...sides, out] : [batch, out, ...sides];
    return [{ dtype: dtype?.(call) ?? call.dtype(x), shape }];
  },
  macs: (call, output) => productMacs(elementCount(call.shape(w).slice(1)), output),
  ...rest,
});

/** `[batch, …sides, channels]` as `[batch, channels, …sides]`. */
export const channelsSecond = ([batch = 1, ...rest]: readonly number[]): readonly [
  batch: number,
  channels: number,
  ...sides: number[],
] => [batch, rest.at(-1) ?? 1, ...rest.slice(0, -1)];

const convTranspose: Operator = {
  kind: 'conv',
  factors: [0, 1],
  bias: 2,
  infer: (call) => {
    const [batch, channels, ...spatial] = call.map(0);
    const [width, out, ...kernel] = call.map(1);
    if (channels !== width) call.fail(`${channels} channels do not fit the kernel`);
    const sizes = slidings(call, spatial, kernel).map(
      ({ size, stride, reach, pads: [before, after], extra }) =>
        stride * (size - 1) + extra + reach - before - after,
    );
    const shape = call.ints('output_shape') ?? sizes;
    return [call.output([batch, out * call.int('group', 1), ...shape])];
  },
  macs: (call) => elementCount(call.shape(0)) * elementCount(call.shape(1).slice(1)),
};

/** Matrix products and convolutions: all that the counted MACs consist of. */
export const matrix = {
  MatMul: matMul(0, 1, { select: selectProduct }),
  MatMulInteger: matMul(0, 1, { scales: [2, 3] }, 'I32'),
  QLinearMatMul: matMul(0, 3, { scales: [1, 2, 4, 5, 6, 7] }),
  Gemm: gemm(0, 1, 2, { select: selectRows }),
  Einsum: einsum,
  Conv: conv(0, 1, { bias: 2, select: selectPointwise }),
  ConvInteger: conv(0, 1, { scales: [2, 3] }, () => 'I32'),
  QLinearConv: conv(0, 3, { bias: 8, scales: [1, 2, 4, 5, 6, 7] }, (call) => call.dtype(7)),
  ConvTranspose: convTranspose,
} as const satisfies OperatorTable;
