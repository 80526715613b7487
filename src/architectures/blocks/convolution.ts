import { at, product } from '../../domain/lists';
import type { Size } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { float, int, ints, type Attribute, type ValueInfo } from '../../graph/graph';
import { bothSides, type Sides } from '../../domain/probes';
import { activate } from './layers';

/**
 * Zeros around a map: one number for all sides, one per axis, or `[top, left, bottom, right]`;
 * `same` is TensorFlow's rule.
 */
export type Padding = Sides | readonly [top: number, left: number, bottom: number, right: number] | 'same';

interface Window {
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly dilation?: readonly [number, number];
}

/**
 * TensorFlow's SAME padding, `[top, left, bottom, right]`: as many outputs as ⌈size / stride⌉, an
 * odd zero goes behind. It depends on the map's size, so that strided convolutions pad otherwise on
 * odd and even maps.
 */
function samePadding(
  size: Size,
  { kernel, stride, dilation = [1, 1] }: Window,
): readonly [number, number, number, number] {
  const zeros = (axis: 0 | 1): number => {
    const reach = (kernel[axis] - 1) * dilation[axis] + 1;
    return Math.max((Math.ceil(size[axis] / stride[axis]) - 1) * stride[axis] + reach - size[axis], 0);
  };
  const [rows, columns] = [zeros(0), zeros(1)];
  const [top, left] = [Math.floor(rows / 2), Math.floor(columns / 2)];
  return [top, left, rows - top, columns - left];
}

/** ONNX `pads` of a window over the map `[batch, channels, rows, columns]`. */
function padsOf(map: ValueInfo, padding: Padding, window: Window): readonly number[] {
  if (padding === 'same') return samePadding([at(map.shape, 2), at(map.shape, 3)], window);
  if (typeof padding !== 'number' && padding.length === 4) return padding;
  const [rows, columns] = bothSides(padding);
  return [rows, columns, rows, columns];
}

/**
 * Padding that keeps the size at stride 1, as PyTorch models give it: half of what an odd kernel
 * reaches.
 */
const halfPadding = (
  kernel: readonly [number, number],
  dilation: readonly [number, number],
): readonly [number, number] => [((kernel[0] - 1) * dilation[0]) >> 1, ((kernel[1] - 1) * dilation[1]) >> 1];

export interface ConvolutionOptions {
  readonly stride?: Sides;
  /** Half of the kernel's reach if nothing is given. */
  readonly padding?: Padding;
  readonly dilation?: Sides;
  /** Standardise the kernel with this epsilon before use (Qiao et al. 2019). */
  readonly standardise?: number;
  /**
   * What keeps variances behind an activation: a standardised kernel is multiplied by it and by the
   * learned `<name>.gain` (Brock et al. 2021, γ of eq. 4); by neither without it.
   */
  readonly gain?: number;
}

/**
 * Convolution of a map `[batch, channels, rows, columns]` with `<name>.weight`
 * `[out, channels / groups, kernel, kernel]`, whose second axis decides the groups. Written like
 * the builder's `conv2d`, with the paddings and kernels of convolutional networks.
 */
export function convolution(
  b: GraphBuilder,
  map: ValueInfo,
  name: string,
  options: ConvolutionOptions = {},
): ValueInfo {
  const [out = 0, width = 0, rows = 0, columns = 0] = b.shapeOf(`${name}.weight`);
  const kernel = [rows, columns] as const;
  const stride = bothSides(options.stride ?? 1);
  const dilation = bothSides(options.dilation ?? 1);
  const { padding = halfPadding(kernel, dilation), standardise, gain } = options;
  const weight =
    standardise === undefined
      ? b.parameter(`${name}.weight`)
      : gained(b, name, standardised(b, `${name}.weight`, standardise), gain);
  const bias = b.has(`${name}.bias`) ? b.parameter(`${name}.bias`, [out]) : undefined;
  return b.add(
    'Conv',
    [map, weight, bias],
    {
      kernel_shape: ints(kernel),
      strides: ints(stride),
      pads: ints(padsOf(map, padding, { kernel, stride, dilation })),
      dilations: ints(dilation),
      group: int(Math.max(1, Math.floor(at(map.shape, 1) / width))),
    },
    { name },
  );
}

/**
 * Transposed convolution of a map `[batch, channels, rows, columns]` with `<name>.weight`
 * `[channels, out, kernel, kernel]`: `stride` times as many rows and columns if that is the kernel,
 * or the kernel less twice the padding.
 */
export function transposedConvolution(
  b: GraphBuilder,
  map: ValueInfo,
  name: string,
  stride: number,
  padding = 0,
): ValueInfo {
  const weight = b.parameter(`${name}.weight`);
  const bias = b.has(`${name}.bias`) ? b.parameter(`${name}.bias`, [at(weight.shape, 1)]) : undefined;
  return b.add(
    'ConvTranspose',
    [map, weight, bias],
    {
      kernel_shape: ints(weight.shape.slice(2)),
      strides: ints([stride, stride]),
      ...(padding > 0 && { pads: ints([padding, padding, padding, padding]) }),
    },
    { name },
  );
}

/** A vector of equal numbers, for a norm without learned scale or bias. */
const filled = (b: GraphBuilder, name: string, width: number, value: number): ValueInfo =>
  b.constant(name, 'F32', [width], new Float32Array(width).fill(value));

/**
 * Kernel `[out, in, k, k]` with mean 0 and variance 1 of every output's weights (Qiao et al. 2019,
 * §3); the runtime folds it when it loads the graph.
 */
function standardised(b: GraphBuilder, name: string, epsilon: number): ValueInfo {
  const weight = b.parameter(name);
  const [out = 0, ...rest] = weight.shape;
  const flat = b.reshape(weight, [1, out, product(rest)]);
  const scale = filled(b, `/${name}/ones`, out, 1);
  const shift = filled(b, `/${name}/zeros`, out, 0);
  const normal = b.add('InstanceNormalization', [flat, scale, shift], { epsilon: float(epsilon) });
  return b.reshape(normal, weight.shape);
}

/**
 * A standardised kernel times γ/√(inputs) and a learned factor for each output (Brock et al. 2021,
 * §2); itself without γ.
 */
function gained(b: GraphBuilder, name: string, kernel: ValueInfo, gamma: number | undefined): ValueInfo {
  if (gamma === undefined) return kernel;
  const [out = 0, ...rest] = kernel.shape;
  const scaled = b.add('Mul', [kernel, b.scalar(gamma / Math.sqrt(product(rest)))]);
  return b.add('Mul', [scaled, b.parameter(`${name}.gain`, [out, 1, 1, 1])]);
}

/**
 * Batch normalisation with its running statistics (Ioffe & Szegedy 2015) of a map
 * `[batch, channels, rows, columns]` or of rows `[n, channels]`; ones and zeros stand for a scale
 * and bias that are not stored.
 */
export function batchNorm(b: GraphBuilder, x: ValueInfo, name: string, epsilon: number): ValueInfo {
  const width = at(x.shape, 1);
  const learned = (part: string, otherwise: number): ValueInfo =>
    b.has(`${name}.${part}`)
      ? b.parameter(`${name}.${part}`, [width])
      : filled(b, `${name}/${part}`, width, otherwise);
  const statistics = ['running_mean', 'running_var'].map((part) => b.parameter(`${name}.${part}`, [width]));
  return b.add(
    'BatchNormalization',
    [x, learned('weight', 1), learned('bias', 0), ...statistics],
    { epsilon: float(epsilon) },
    { name },
  );
}

/**
 * A linear layer without a bias and the batch norm behind it, of rows `[n, in]`: `[n, out]`.
 * Written as a product with the turned weights, into which the runtime folds the norm when it
 * loads; into a Gemm it does not.
 */
export function linearNorm(
  b: GraphBuilder,
  x: ValueInfo,
  name: string,
  norm: string,
  eps: number,
): ValueInfo {
  const turned = b.transpose(b.parameter(`${name}.weight`), [1, 0]);
  return batchNorm(b, b.add('MatMul', [x, turned], {}, { name }), norm, eps);
}

/**
 * Group normalisation (Wu & He 2018) of a map `[batch, channels, rows, columns]`: over the channels
 * of a group and all positions, then a scale per channel, and a bias if it is stored. Plain
 * operators: GroupNormalization of opset 18 takes one scale per group.
 */
export function groupNorm(
  b: GraphBuilder,
  map: ValueInfo,
  name: string,
  { groups, eps }: { readonly groups: number; readonly eps: number },
): ValueInfo {
  return b.scope(name, () => {
    const [batch, width, rows, columns] = map.shape as readonly [number, number, number, number];
    const grouped = b.reshape(map, [batch, groups, (width / groups) * rows * columns]);
    const scale = filled(b, '/ones', groups, 1);
    const shift = filled(b, '/zeros', groups, 0);
    const normal = b.add('InstanceNormalization', [grouped, scale, shift], { epsilon: float(eps) });
    const weighted = b.add('Mul', [b.reshape(normal, map.shape), b.parameter('weight', [width, 1, 1])]);
    return b.has('bias') ? b.add('Add', [weighted, b.parameter('bias', [width, 1, 1])]) : weighted;
  });
}

interface ConvNormOptions extends ConvolutionOptions {
  /** A name of `activations`; none without it. */
  readonly activation?: string;
  readonly eps: number;
}

/**
 * Convolution, batch norm if one is stored under that name, activation: the unit that
 * convolutional networks are made of.
 */
export function convNorm(
  b: GraphBuilder,
  map: ValueInfo,
  conv: string,
  norm: string,
  { activation, eps, ...options }: ConvNormOptions,
): ValueInfo {
  const out = convolution(b, map, conv, options);
  const normed = b.has(`${norm}.running_mean`) ? batchNorm(b, out, norm, eps) : out;
  return activation === undefined ? normed : activate(b, normed, activation);
}

/**
 * `convNorm` of a module that calls its parts `conv` and `bn` or `norm`, as timm's ConvNorm and
 * ConvNormAct do.
 */
export function convNormModule(
  b: GraphBuilder,
  map: ValueInfo,
  name: string,
  options: ConvNormOptions,
): ValueInfo {
  const norm = b.has(`${name}.bn.running_mean`) ? 'bn' : 'norm';
  return convNorm(b, map, `${name}.conv`, `${name}.${norm}`, options);
}

interface PoolOptions {
  readonly kernel: Sides;
  /** The kernel if nothing is given. */
  readonly stride?: Sides;
  readonly padding?: Padding;
  /** Let a last window reach over the edge. */
  readonly ceil?: boolean;
}

function pooling(
  b: GraphBuilder,
  op: 'MaxPool' | 'AveragePool',
  map: ValueInfo,
  { kernel: sides, stride: steps = sides, padding = 0, ceil = false }: PoolOptions,
  attributes: Readonly<Record<string, Attribute>> = {},
): ValueInfo {
  const kernel = bothSides(sides);
  const stride = bothSides(steps);
  return b.add(op, [map], {
    kernel_shape: ints(kernel),
    strides: ints(stride),
    pads: ints(padsOf(map, padding, { kernel, stride })),
    ceil_mode: int(ceil ? 1 : 0),
    ...attributes,
  });
}

/** The greatest of each window; padding never is. */
export const maxPool = (b: GraphBuilder, map: ValueInfo, options: PoolOptions): ValueInfo =>
  pooling(b, 'MaxPool', map, options);

/**
 * The mean of each window, zeros of the padding among it if `countPadding` (PyTorch's default).
 */
export const averagePool = (
  b: GraphBuilder,
  map: ValueInfo,
  { countPadding = true, ...options }: PoolOptions & { readonly countPadding?: boolean },
): ValueInfo => pooling(b, 'AveragePool', map, options, { count_include_pad: int(countPadding ? 1 : 0) });

/**
 * Means of `count` windows along one axis that cover it evenly, as PyTorch's adaptive pooling cuts
 * them: they overlap if it does not divide.
 */
function adaptiveMeans(b: GraphBuilder, map: ValueInfo, axis: number, count: number): ValueInfo {
  const size = at(map.shape, axis);
  if (size === count) return map;
  const windows = Array.from({ length: count }, (_, index) => {
    const [start, end] = [Math.floor((index * size) / count), Math.ceil(((index + 1) * size) / count)];
    return b.add('ReduceMean', [b.slice(map, axis, start, end), b.indices([axis])], { keepdims: int(1) });
  });
  return b.concat(windows, axis);
}

/**
 * A map of the given rows and columns, each the mean of its part of the map
 * `[batch, channels, rows, columns]`.
 */
export const adaptiveAveragePool = (
  b: GraphBuilder,
  map: ValueInfo,
  [rows, columns]: readonly [number, number],
): ValueInfo => adaptiveMeans(b, adaptiveMeans(b, map, 2, rows), 3, columns);

/** Mean of every channel over the map, `[batch, channels, 1, 1]`. */
export const globalMean = (b: GraphBuilder, map: ValueInfo): ValueInfo => b.add('GlobalAveragePool', [map]);

/**
 * Multiplies a map `[batch, channels, rows, columns]` by a gate per channel (as many elements in
 * any shape), which is shown as channel attention: its map is `[batch, 1, 1, channels]`.
 */
export function gateChannels(b: GraphBuilder, map: ValueInfo, gate: ValueInfo, layer: string): ValueInfo {
  const [batch, channels] = map.shape as readonly [number, number];
  const row = b.reshape(gate, [batch, 1, 1, channels]);
  b.probe(row, {
    layer,
    kind: 'channel',
    queries: { special: ['gate'] },
    keys: { special: [], channels },
  });
  return b.add('Mul', [map, b.reshape(row, [batch, channels, 1, 1])]);
}

interface SqueezeExciteOptions {
  /** Names of the two 1 × 1 convolutions. */
  readonly reduce: string;
  readonly expand: string;
  /** A batch norm between the two, and its epsilon; none without it. */
  readonly norm?: readonly [name: string, eps: number];
  readonly activation: string;
  /** What makes the gate: `sigmoid`, `hard_sigmoid`. */
  readonly gate: string;
}

/**
 * The gate `[batch, channels, 1, 1]` of squeeze and excitation, made of the means of the channels.
 */
export function squeezeGate(
  b: GraphBuilder,
  map: ValueInfo,
  { reduce, expand, norm, activation, gate }: SqueezeExciteOptions,
): ValueInfo {
  const narrow = convolution(b, globalMean(b, map), reduce);
  const hidden = activate(b, norm ? batchNorm(b, narrow, ...norm) : narrow, activation);
  return activate(b, convolution(b, hidden, expand), gate);
}

/**
 * Squeeze and excitation (Hu et al. 2018, §3): channels of the map
 * `[batch, channels, rows, columns]` are weighed by a gate made of their means.
 */
export function squeezeExcite(
  b: GraphBuilder,
  map: ValueInfo,
  name: string,
  options: SqueezeExciteOptions,
): ValueInfo {
  return b.scope(name, () => gateChannels(b, map, squeezeGate(b, map, options), b.scopePath), {
    title: 'Squeeze and excitation',
    formula: `x · ${options.gate}(W₂ · ${options.activation}(W₁ · mean(x)))`,
  });
}
