import type { GraphBuilder } from '../../graph/builder';
import { float, text, type ValueInfo } from '../../graph/graph';
import type { TokenLayout } from '../../domain/probes';

/** x · σ(slope · x): SiLU (Elfwing et al. 2017) with slope 1, CLIP's quick GELU with 1.702. */
function sigmoidGate(b: GraphBuilder, x: ValueInfo, slope: number): ValueInfo {
  const scaled = slope === 1 ? x : b.add('Mul', [x, b.scalar(slope)]);
  return b.add('Mul', [x, b.add('Sigmoid', [scaled])]);
}

const gelu = (b: GraphBuilder, x: ValueInfo): ValueInfo => b.add('Gelu', [x]);

const geluTanh = (b: GraphBuilder, x: ValueInfo): ValueInfo =>
  b.add('Gelu', [x], { approximate: text('tanh') });

export const silu = (b: GraphBuilder, x: ValueInfo): ValueInfo => sigmoidGate(b, x, 1);

/**
 * min(max(x/6 + 1/2, 0), 1) (Howard et al. 2019, §5.2). HardSwish is written with it: fewer
 * providers have an operator of that name.
 */
const hardSigmoid = (b: GraphBuilder, x: ValueInfo): ValueInfo =>
  b.add('HardSigmoid', [x], { alpha: float(1 / 6), beta: float(0.5) });

const hardSwish = (b: GraphBuilder, x: ValueInfo): ValueInfo => b.add('Mul', [x, hardSigmoid(b, x)]);

/**
 * Activations by the names that timm and transformers give them (GELU: Hendrycks & Gimpel 2016;
 * Mish: Misra 2020).
 */
export const activations: Readonly<Record<string, (b: GraphBuilder, x: ValueInfo) => ValueInfo>> = {
  gelu,
  gelu_tanh: geluTanh,
  gelu_new: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  gelu_fast: geluTanh,
  gelu_python: gelu,
  quick_gelu: (b, x) => sigmoidGate(b, x, 1.702),
  silu,
  swish: silu,
  relu: (b, x) => b.add('Relu', [x]),
  relu6: (b, x) => b.add('Clip', [x, b.scalar(0), b.scalar(6)]),
  leaky_relu: (b, x) => b.add('LeakyRelu', [x], { alpha: float(0.01) }),
  hard_sigmoid: hardSigmoid,
  hardsigmoid: hardSigmoid,
  hard_swish: hardSwish,
  hardswish: hardSwish,
  mish: (b, x) => b.add('Mul', [x, b.add('Tanh', [b.add('Softplus', [x])])]),
  sigmoid: (b, x) => b.add('Sigmoid', [x]),
  tanh: (b, x) => b.add('Tanh', [x]),
  elu: (b, x) => b.add('Elu', [x], { alpha: float(1) }),
  selu: (b, x) => b.add('Selu', [x]),
  softplus: (b, x) => b.add('Softplus', [x]),
  identity: (_, x) => x,
};

/**
 * s · relu(x)² + b with a learned s and b under `name` (Yu et al. 2022, MetaFormer Baselines,
 * StarReLU).
 */
export function starRelu(b: GraphBuilder, x: ValueInfo, name: string): ValueInfo {
  const positive = b.add('Relu', [x]);
  const scaled = b.add('Mul', [b.add('Mul', [positive, positive]), b.parameter(`${name}.scale`)]);
  return b.has(`${name}.bias`) ? b.add('Add', [scaled, b.parameter(`${name}.bias`)]) : scaled;
}

/** The activation of this name. */
export function activate(b: GraphBuilder, x: ValueInfo, name: string): ValueInfo {
  const apply = activations[name];
  if (!apply)
    throw new Error(`activation: ${name} is not known; known are ${Object.keys(activations).join(', ')}`);
  return apply(b, x);
}

/** LayerNorm, or RMSNorm if only a scale is stored. */
export function norm(b: GraphBuilder, x: ValueInfo, name: string, epsilon: number): ValueInfo {
  return b.has(`${name}.weight`) && !b.has(`${name}.bias`)
    ? b.rmsNorm(x, name, epsilon)
    : b.layerNorm(x, name, epsilon);
}

/**
 * `norm` if it is stored, else x; one of which only the bias is left is an error that names the
 * missing scale.
 */
export function maybeNorm(b: GraphBuilder, x: ValueInfo, name: string, epsilon: number): ValueInfo {
  return b.has(`${name}.weight`) || b.has(`${name}.bias`) ? norm(b, x, name, epsilon) : x;
}

/**
 * LayerScale (Touvron et al. 2021, CaiT §2.1): a factor per channel if `<name>.gamma` or `<name>`
 * itself is stored, else x.
 */
export function layerScale(b: GraphBuilder, x: ValueInfo, name: string): ValueInfo {
  const gamma = [`${name}.gamma`, name].find((each) => b.has(each));
  return gamma === undefined ? x : b.add('Mul', [x, b.parameter(gamma)]);
}

/** x + branch */
export function residual(b: GraphBuilder, x: ValueInfo, branch: ValueInfo): ValueInfo {
  return b.add('Add', [x, branch]);
}

/**
 * A sequence of tokens as it runs through the blocks: `value` is `[batch · count, dim]`, the shape
 * that Gemm takes.
 */
export interface Tokens {
  readonly value: ValueInfo;
  readonly batch: number;
  readonly count: number;
  readonly layout: TokenLayout;
  /**
   * Added to the scores of whatever looks at them, `[batch, 1, 1, count]`: takes away those that
   * only fill up a batch.
   */
  readonly unseen?: ValueInfo;
}

/** The same tokens with another value. */
export function withValue(tokens: Tokens, value: ValueInfo): Tokens {
  return { ...tokens, value };
}
