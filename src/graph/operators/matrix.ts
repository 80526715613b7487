import { elementCount } from '../../checkpoint/tensors';
import type { Call, Operator, OperatorTable, OutputInfo } from './call';
import { broadcast } from './shapes';

/** Shape of NumPy's matmul: vectors get an axis that is taken away again, leading axes broadcast. */
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
  const rows = left.length === 1 ? [] : [a.at(-2)!];
  const columns = right.length === 1 ? [] : [b.at(-1)!];
  return [...batch, ...rows, ...columns];
}

const productMacs = (inner: number, outputs: readonly OutputInfo[]): number =>
  elementCount(outputs[0]!.shape) * inner;

/** MatMul of inputs `left` and `right`, whose quantised forms put scales between them. */
const matMul = (left: number, right: number, dtype?: OutputInfo['dtype']): Operator => ({
  kind: 'product',
  infer: (call) => [
    { dtype: dtype ?? call.dtype(left), shape: productShape(call, call.shape(left), call.shape(right)) },
  ],
  macs: (call, outputs) => productMacs(call.shape(left).at(-1)!, outputs),
});

const gemm: Operator = {
  kind: 'product',
  infer: (call) => {
    if (call.rank(0) !== 2 || call.rank(1) !== 2) call.fail('Gemm needs matrices');
    const [rows, inner] = call.int('transA', 0) ? call.shape(0).toReversed() : call.shape(0);
    const [depth, columns] = call.int('transB', 0) ? call.shape(1).toReversed() : call.shape(1);
    if (inner !== depth) call.fail('inner sizes differ');
    const shape = [rows!, columns!];
    if (call.has(2) && broadcast(call, [shape, call.shape(2)]).join() !== shape.join())
      call.fail('C does not broadcast to the product');
    return [call.output(shape)];
  },
  macs: (call, outputs) => productMacs(call.shape(0)[call.int('transA', 0) ? 0 : 1]!, outputs),
};

interface EinsumTerms {
  readonly sizes: ReadonlyMap<string, number>;
  readonly output: readonly string[];
}

/** Letters of an einsum equation with their sizes; `...` becomes the letters `0`, `1` … counted from the back. */
function einsumTerms(call: Call): EinsumTerms {
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
      const size = call.shape(index)[axis]!;
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
  return { sizes, output };
}

const einsum: Operator = {
  kind: 'product',
  infer: (call) => {
    const { sizes, output } = einsumTerms(call);
    const shape = output.map((letter) => sizes.get(letter) ?? call.fail(`${letter} is in no operand`));
    return [call.output(shape)];
  },
  // One pass over all indices multiplies once per further operand; a single operand is a sum or a transposition.
  macs: (call) => elementCount([...einsumTerms(call).sizes.values()]) * (call.inputs.length - 1),
};

/** Sizes of a window sliding over the spatial axes: `floor` or `ceil` of (padded − window) / stride, plus one. */
export function windowedShape(
  call: Call,
  spatial: readonly number[],
  kernel: readonly number[],
): readonly number[] {
  const count = spatial.length;
  const stride = call.ints('strides') ?? Array<number>(count).fill(1);
  const dilation = call.ints('dilations') ?? Array<number>(count).fill(1);
  const pads = call.ints('pads') ?? Array<number>(2 * count).fill(0);
  const same = call.text('auto_pad', 'NOTSET').startsWith('SAME');
  const valid = call.text('auto_pad', 'NOTSET') === 'VALID';
  return spatial.map((size, axis) => {
    if (same) return Math.ceil(size / stride[axis]!);
    const padding = valid ? 0 : pads[axis]! + pads[axis + count]!;
    const room = size + padding - ((kernel[axis]! - 1) * dilation[axis]! + 1);
    if (room < 0) call.fail(`a window of ${kernel.join(' × ')} does not fit into ${spatial.join(' × ')}`);
    const steps = room / stride[axis]!;
    if (!call.int('ceil_mode', 0)) return Math.floor(steps) + 1;
    // A last window that would begin in the padding behind the picture is left out, as in PyTorch and ORT.
    const windows = Math.ceil(steps) + 1;
    return (windows - 1) * stride[axis]! >= size + (valid ? 0 : pads[axis]!) ? windows - 1 : windows;
  });
}

/** Conv of inputs `x` and `w`. */
const conv = (x: number, w: number, dtype?: (call: Call) => OutputInfo['dtype']): Operator => ({
  kind: 'conv',
  infer: (call) => {
    const [batch, channels, ...spatial] = call.shape(x);
    const [out, width, ...kernel] = call.shape(w);
    if (kernel.length !== spatial.length) call.fail('kernel and picture have different ranks');
    if (channels !== width! * call.int('group', 1)) call.fail(`${channels} channels do not fit the kernel`);
    const shape = [batch!, out!, ...windowedShape(call, spatial, kernel)];
    return [{ dtype: dtype?.(call) ?? call.dtype(x), shape }];
  },
  macs: (call, outputs) => productMacs(elementCount(call.shape(w).slice(1)), outputs),
});

const convTranspose: Operator = {
  kind: 'conv',
  infer: (call) => {
    const [batch, channels, ...spatial] = call.shape(0);
    const [width, out, ...kernel] = call.shape(1);
    if (channels !== width) call.fail(`${channels} channels do not fit the kernel`);
    const count = spatial.length;
    const list = (name: string, value: number): readonly number[] =>
      call.ints(name) ?? Array<number>(count).fill(value);
    const [stride, dilation, extra] = [list('strides', 1), list('dilations', 1), list('output_padding', 0)];
    const pads = call.ints('pads') ?? Array<number>(2 * count).fill(0);
    const sizes = spatial.map(
      (size, axis) =>
        stride[axis]! * (size - 1) +
        extra[axis]! +
        ((kernel[axis]! - 1) * dilation[axis]! + 1) -
        pads[axis]! -
        pads[axis + count]!,
    );
    const shape = call.ints('output_shape') ?? sizes;
    return [call.output([batch!, out! * call.int('group', 1), ...shape])];
  },
  macs: (call) => elementCount(call.shape(0)) * elementCount(call.shape(1).slice(1)),
};

/** Matrix products and convolutions: all that the counted MACs consist of. */
export const matrix = {
  MatMul: matMul(0, 1),
  MatMulInteger: matMul(0, 1, 'I32'),
  QLinearMatMul: matMul(0, 3),
  Gemm: gemm,
  Einsum: einsum,
  Conv: conv(0, 1),
  ConvInteger: conv(0, 1, () => 'I32'),
  QLinearConv: conv(0, 3, (call) => call.dtype(7)),
  ConvTranspose: convTranspose,
} as const satisfies OperatorTable;
