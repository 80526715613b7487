import { largest } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { channelAttention } from '../blocks/channelAttention';
import { averagePool, convNorm, maxPool } from '../blocks/convolution';
import { activate, residual } from '../blocks/layers';
import { stages } from '../blocks/stages';

/** A convolution, its batch norm with this epsilon, and its activation. */
interface Unit {
  readonly eps: number;
  readonly activation: string;
  /** Between the convolutions of a block, if it is another there. */
  readonly inner_activation?: string | undefined;
}

/** What a residual network is written by. */
export interface ResidualConfig extends Unit {
  readonly depth: readonly number[];
  /** Two convolutions of 3 × 3, or three of 1 × 1, 3 × 3 and 1 × 1. */
  readonly block: 'basic' | 'bottleneck';
  /** The stride stands in a bottleneck's first convolution (He et al. 2016), not in its second. */
  readonly downsample_in_bottleneck: boolean;
  /** The first stage halves its map, too. */
  readonly downsample_in_first_stage: boolean;
  /** Stride of a stem of one convolution. */
  readonly stem_stride: number;
  /** A maximum halves the stem's map. */
  readonly stem_pool: boolean;
  /** Its last windows reach over the edge, in the place of padding on all sides (Caffe's rule). */
  readonly ceil_pool?: boolean;
}

/** Where residual networks have halved their maps since 2016, and their stems. */
export const usualSteps = {
  eps: 1e-5,
  downsample_in_bottleneck: false,
  downsample_in_first_stage: false,
  stem_stride: 2,
  stem_pool: true,
} as const satisfies Partial<ResidualConfig>;

/**
 * Writes a convolution of a block with its norm and activation, `[batch, width, rows, columns]`, if
 * a network has something else in its place; undefined leaves it the usual one.
 */
export type UnitWriter = (
  b: GraphBuilder,
  map: ValueInfo,
  conv: string,
  stride: number,
) => ValueInfo | undefined;

/** How a network differs from its config's. */
interface Encoding {
  /** Last stages that dilate where they would stride. */
  readonly dilated?: number;
  readonly unit?: UnitWriter;
}

/**
 * One 7 × 7 convolution, or three of 3 × 3 (He et al. 2019, ResNet-C), then a maximum or a
 * convolution (ResNet-RS): a quarter of the size; for small images one of 3 × 3, all of the size
 * (He et al. 2016, §4.2).
 */
function stem(b: GraphBuilder, pixels: ValueInfo, config: ResidualConfig): ValueInfo {
  const { eps, activation, stem_stride: first, stem_pool: pooled } = config;
  const unit: Unit = { eps, activation };
  const deep = [
    ['conv1.0', 'conv1.1', 2],
    ['conv1.3', 'conv1.4', 1],
    ['conv1.6', 'bn1', 1],
  ] as const;
  const rows = b.has('conv1.0.weight') ? deep : ([['conv1', 'bn1', first]] as const);
  const map = rows.reduce(
    (x, [conv, norm, stride]) => convNorm(b, x, conv, norm, { ...unit, stride }),
    pixels,
  );
  if (b.has('maxpool.0.weight')) return convNorm(b, map, 'maxpool.0', 'maxpool.1', { ...unit, stride: 2 });
  const window = { kernel: 3, stride: 2, ...(config.ceil_pool ? { ceil: true } : { padding: 1 }) };
  return pooled ? maxPool(b, map, window) : map;
}

/**
 * The input in the shape of the block's output: itself, or projected; ResNet-D takes means before a
 * projection without stride.
 */
function shortcutOf(b: GraphBuilder, x: ValueInfo, stride: number, eps: number): ValueInfo {
  if (b.has('downsample.0.weight')) return convNorm(b, x, 'downsample.0', 'downsample.1', { eps, stride });
  if (!b.has('downsample.1.weight')) return x;
  const mean = stride === 1 ? x : averagePool(b, x, { kernel: 2, stride, ceil: true, countPadding: false });
  return convNorm(b, mean, 'downsample.1', 'downsample.2', { eps });
}

/** How a block's convolutions step, one after the other, and what is added to the last. */
interface Steps {
  readonly strides: readonly number[];
  /** None without it. */
  readonly dilations?: readonly number[];
  readonly write?: UnitWriter | undefined;
  /** The input in the shape of the output, by the names of ResNets without it. */
  readonly shortcut?: ValueInfo;
}

/** Residual block (He et al. 2016): a convolution for each of the strides. */
export function residualBlock(b: GraphBuilder, x: ValueInfo, unit: Unit, steps: Steps): ValueInfo {
  const { strides, dilations = [], write = () => undefined } = steps;
  const branch = strides.reduce((map, stride, index) => {
    const dilation = dilations[index] ?? 1;
    const inner = unit.inner_activation ?? unit.activation;
    const activation = index < strides.length - 1 ? inner : undefined;
    const names = [`conv${index + 1}`, `bn${index + 1}`] as const;
    return (
      write(b, map, names[0], stride) ??
      convNorm(b, map, ...names, { eps: unit.eps, activation, stride, dilation })
    );
  }, x);
  const stride = largest(strides);
  const attended = channelAttention(b, branch, 'se');
  const input = steps.shortcut ?? shortcutOf(b, x, stride, unit.eps);
  return activate(b, residual(b, attended, input), unit.activation);
}

/**
 * Strides of a block's convolutions: `stride` in the first of a basic block, in the 3 × 3 one of a
 * bottleneck or in the one before.
 */
function stridesOf(config: ResidualConfig, stride: number): readonly number[] {
  if (config.block === 'basic') return [stride, 1];
  return config.downsample_in_bottleneck ? [stride, 1, 1] : [1, stride, 1];
}

/**
 * The map of every stage; after four stages the last is 1/32 of the image's size. The last
 * `dilated` stages keep their map and spread their kernels instead, from the second block of the
 * first of them on (Yu et al. 2017, dilated residual networks; as torchvision and timm write it).
 */
export function encodeResnet(
  b: GraphBuilder,
  config: ResidualConfig,
  pixels: ValueInfo,
  { dilated = 0, unit }: Encoding = {},
): readonly ValueInfo[] {
  const { eps, activation, inner_activation } = config;
  const early = config.downsample_in_first_stage;
  const spread = (stage: number): number => 2 ** Math.max(0, stage + 1 + dilated - config.depth.length);
  return stages(b, stem(b, pixels, config), {
    depths: config.depth,
    path: ({ stage, index }) => `layer${stage + 1}.${index}`,
    block: (x, { stage, index }) => {
      const halves = index === 0 && (stage > 0 || early) && spread(stage) === 1;
      const strides = stridesOf(config, halves ? 2 : 1);
      const [first, next] = [index === 0 ? spread(stage - 1) : spread(stage), spread(stage)];
      // Of a first block only what follows the convolution that would stride is spread further.
      const dilations = strides.map((_, place) => (config.block === 'basic' && place > 0 ? next : first));
      return residualBlock(b, x, { eps, activation, inner_activation }, { strides, dilations, write: unit });
    },
    note: { title: `Residual block, ${config.block}`, formula: `${activation}(x + convolutions(x))` },
  });
}
