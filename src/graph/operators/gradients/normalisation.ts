import { at, product } from '../../../domain/lists';
import type { ValueInfo } from '../../graph';
import type { Writer } from '../../writer';
import { add, divide, multiply, shaped, subtract, unbroadcast } from './arithmetic';
import type { GradientCall, GradientRule } from './call';

const meanOver = (b: Writer, x: ValueInfo, axes: readonly number[]): ValueInfo =>
  b.reduce('ReduceMean', x, axes);

/**
 * Of x̂ = (x − mean)·inverse over some axes: inverse·(h − mean h − x̂·mean(h·x̂)) with h the
 * gradient of x̂ (Ba et al. 2016, supplement).
 */
function standardised(
  b: Writer,
  h: ValueInfo,
  normed: ValueInfo,
  inverse: ValueInfo,
  axes: readonly number[],
): ValueInfo {
  const along = multiply(b, normed, meanOver(b, multiply(b, h, normed), axes));
  return multiply(b, inverse, subtract(b, subtract(b, h, meanOver(b, h, axes)), along));
}

/** Mean and inverse deviation are the operator's own second and third outputs. */
const layerNorm: GradientRule = (call) => {
  const { b, g } = call;
  const x = call.input(0);
  const first = call.axis(call.int('axis', -1), call.rank(0));
  const axes = x.shape.map((_, axis) => axis).slice(first);
  const [mean, inverse] = [at(call.made, 1), at(call.made, 2)];
  const normed = multiply(b, subtract(b, x, mean), inverse);
  return call.each((index) => {
    if (index === 0) return standardised(b, multiply(b, g, call.input(1)), normed, inverse, axes);
    return unbroadcast(b, index === 1 ? multiply(b, g, normed) : g, call.shape(index));
  });
};

/** Of x̂ = x / √(mean(x²) + ε): inverse·(h − x̂·mean(h·x̂)). */
const rmsNorm: GradientRule = (call) => {
  const { b, g } = call;
  const x = call.input(0);
  const first = call.axis(call.int('axis', -1), call.rank(0));
  const axes = x.shape.map((_, axis) => axis).slice(first);
  const square = add(b, meanOver(b, multiply(b, x, x), axes), call.float('epsilon', 1e-5));
  const inverse = divide(b, 1, b.add('Sqrt', [square]));
  const normed = multiply(b, x, inverse);
  return call.each((index) => {
    if (index > 0) return unbroadcast(b, multiply(b, g, normed), call.shape(index));
    const h = multiply(b, g, call.input(1));
    const along = multiply(b, normed, meanOver(b, multiply(b, h, normed), axes));
    return multiply(b, inverse, subtract(b, h, along));
  });
};

/** One number per channel, for maps of a rank. */
const perChannel = (b: Writer, vector: ValueInfo, rank: number): ValueInfo =>
  b.reshape(vector, [product(vector.shape), ...Array<number>(Math.max(0, rank - 2)).fill(1)]);

/** γ/√(variance + ε) of each channel: the running statistics do not change. */
const batchNorm: GradientRule = (call) => {
  call.only(0);
  const { b, g } = call;
  const deviation = b.add('Sqrt', [add(b, call.input(4), call.float('epsilon', 1e-5))]);
  return [multiply(b, g, perChannel(b, divide(b, call.input(1), deviation), call.rank(0)))];
};

/** Statistics of groups of channels and all pixels: x `[batch, groups, rest]`. */
function grouped(call: GradientCall, groups: number, scale: ValueInfo | undefined): ValueInfo {
  const { b } = call;
  const batch = call.size(0, 0);
  const shape = [batch, groups, product(call.shape(0)) / Math.max(1, batch * groups)];
  const x = shaped(b, call.input(0), shape);
  const off = subtract(b, x, meanOver(b, x, [2]));
  const variance = meanOver(b, multiply(b, off, off), [2]);
  const inverse = divide(b, 1, b.add('Sqrt', [add(b, variance, call.float('epsilon', 1e-5))]));
  const h = scale ? multiply(b, call.g, scale) : call.g;
  const own = standardised(b, shaped(b, h, shape), multiply(b, off, inverse), inverse, [2]);
  return shaped(b, own, call.shape(0));
}

const instanceNorm: GradientRule = (call) => {
  call.only(0);
  return [grouped(call, call.size(0, 1), perChannel(call.b, call.input(1), call.rank(0)))];
};

/** Scales of groups (opset 18) are repeated for their channels. */
const groupNorm: GradientRule = (call) => {
  call.only(0);
  const { b } = call;
  const [groups, channels] = [call.int('num_groups', 1), call.size(0, 1)];
  const scale = call.input(1);
  const each = channels / groups;
  const wide =
    scale.shape[0] === channels
      ? scale
      : b.reshape(b.add('Expand', [b.reshape(scale, [groups, 1]), b.indices([groups, each])]), [channels]);
  return [grouped(call, groups, perChannel(b, wide, call.rank(0)))];
};

/** Of y = x/n: (g − y·Σ y·g)/n with n the length, 0 where it is 0. */
const unitLength: GradientRule = (call) => {
  const { b, g, y } = call;
  if (call.int('p', 2) !== 2) call.fail('no derivative is known for p = 1');
  const axes = [call.axis(call.int('axis', -1), call.rank(0))];
  const x = call.input(0);
  const length = b.add('Sqrt', [b.reduce('ReduceSum', multiply(b, x, x), axes)]);
  const along = multiply(b, y, b.reduce('ReduceSum', multiply(b, y, g), axes));
  const own = divide(b, subtract(b, g, along), length);
  const isThere = b.add('Greater', [length, b.scalar(0)]);
  return [b.add('Where', [isThere, own, b.scalar(0)])];
};

/** Derivatives of normalisations. */
export const normalisationGradients = {
  LayerNormalization: layerNorm,
  RMSNormalization: rmsNorm,
  SimplifiedLayerNormalization: rmsNorm,
  BatchNormalization: batchNorm,
  InstanceNormalization: instanceNorm,
  GroupNormalization: groupNorm,
  LpNormalization: unitLength,
} as const;
