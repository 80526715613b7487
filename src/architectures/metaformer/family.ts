import { at, last, sum } from '../../domain/lists';
import { answer } from '../heads/classifier';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { averagePool, convolution, groupNorm } from '../blocks/convolution';
import { activate, activations, maybeNorm, residual, starRelu } from '../blocks/layers';
import { gridOf, gridTokens, layerNormOfMap, mapToTokens, meanOfMap, tokensToMap } from '../blocks/maps';
import { pointwise } from '../blocks/pointwise';
import { eachBlock, mapStage, throughStages, type ImageMaps } from '../blocks/stages';
import { selfAttention } from '../blocks/transformer';
import type { BuildOptions, ConfigValue, Evidence, Family, Found } from '../family';
import { assumed, numbersIn, stored } from '../evidence';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import { positive } from '../groups/valueKinds';
import { classesOf, decide, headsOf, type Sources } from '../decide';
import { metaformerNames } from './names';

type Tensors = Found['tensors'];

/** What a stage's blocks are computed with beside their parameters. */
interface Stage {
  readonly batch: number;
  readonly grid: Grid;
  readonly heads: number;
  readonly eps: number;
  readonly activation: string;
  /** Side of the pooling window. */
  readonly poolSize: number;
}

/**
 * How the tokens of a block exchange what they hold (Yu et al. 2022, MetaFormer). Features are a
 * map `[batch, dim, rows, columns]`, or rows `[batch · rows · columns, dim]` if `asRows` is set.
 */
interface TokenMixer {
  /** A block with this parameter has it. */
  readonly signature: RegExp;
  readonly asRows: boolean;
  readonly title: string;
  readonly formula: string;
  norm(b: GraphBuilder, x: ValueInfo, name: string, epsilon: number): ValueInfo;
  mix(b: GraphBuilder, x: ValueInfo, stage: Stage, layer: string): ValueInfo;
}

/** The activation whose parameters are stored (StarReLU), or the one of this name. */
const act = (b: GraphBuilder, x: ValueInfo, name: string, activation: string): ValueInfo =>
  b.has(`${name}.scale`) || activation === 'star_relu' ? starRelu(b, x, name) : activate(b, x, activation);

/** Token mixers by the words of `token_mixer`; the first whose signature a block has. */
const mixers = {
  /** CAFormer (Yu et al. 2023, §2.3). */
  attention: {
    signature: /^token_mixer\.qkv\./,
    asRows: true,
    title: 'Self-attention block',
    formula: 'x + softmax(QKᵀ/√d)·V',
    norm: (b, rows, name, epsilon) => b.layerNorm(rows, name, epsilon),
    mix: (b, rows, { batch, grid, heads, eps }, layer) =>
      selfAttention(b, gridTokens(rows, batch, grid), 'token_mixer', layer, { heads, eps }),
  },
  /**
   * ConvFormer (Yu et al. 2023, §2.3): the inverted separable convolution of Sandler et al. 2018.
   */
  convolution: {
    signature: /^token_mixer\.pwconv1\./,
    asRows: false,
    title: 'Separable convolution block',
    formula: 'x + W₂ · depthwise(act(W₁ · x))',
    norm: layerNormOfMap,
    mix: (b, map, { activation }) =>
      b.scope('token_mixer', () => {
        const wide = act(b, pointwise(b, map, 'pwconv1'), 'act1', activation);
        return pointwise(b, convolution(b, wide, 'dwconv'), 'pwconv2');
      }),
  },
  /**
   * PoolFormer (Yu et al. 2022, §3.2): the mean of the neighbours less the token itself, which the
   * residual connection adds.
   */
  pooling: {
    signature: /^norm1\./,
    asRows: false,
    title: 'Pooling block',
    formula: 'x + mean(neighbours) − x',
    norm: (b, map, name, eps) => groupNorm(b, map, name, { groups: 1, eps }),
    mix: (b, map, { poolSize }) => {
      const window = { kernel: poolSize, stride: 1, padding: poolSize >> 1, countPadding: false };
      return b.add('Sub', [averagePool(b, map, window), map]);
    },
  },
} as const satisfies Readonly<Record<string, TokenMixer>>;

type MixerName = keyof typeof mixers;

/** The token mixer of a stage's first block. */
function mixerOf(tensors: Tensors, stage: number): MixerName | undefined {
  const block = `stages.${stage}.blocks.0.`;
  const own = [...tensors.keys()].filter((name) => name.startsWith(block));
  return (Object.keys(mixers) as MixerName[]).find((name) =>
    own.some((each) => mixers[name].signature.test(each.slice(block.length))),
  );
}

/**
 * x · scale per channel if one is stored (LayerScale, or the scale of a residual connection), else
 * x.
 */
function scaled(b: GraphBuilder, x: ValueInfo, name: string): ValueInfo {
  if (!b.has(`${name}.scale`)) return x;
  const isMap = x.shape.length === 4;
  return b.add('Mul', [x, b.parameter(`${name}.scale`, [at(x.shape, 1), ...(isMap ? [1, 1] : [])])]);
}

/** A layer for every position alone: of rows, or of a map as its weights are stored. */
const dense = (b: GraphBuilder, x: ValueInfo, name: string): ValueInfo =>
  x.shape.length === 4 ? pointwise(b, x, name) : b.linear(x, name);

/** r₁·x + s₁·mix(norm(x)), then r₂·x + s₂·mlp(norm(x)) (Yu et al. 2023, §2.1). */
function block(b: GraphBuilder, x: ValueInfo, mixer: TokenMixer, stage: Stage): ValueInfo {
  const layer = b.scopePath;
  const mixed = mixer.mix(b, mixer.norm(b, x, 'norm1', stage.eps), stage, layer);
  const first = residual(b, scaled(b, x, 'res_scale1'), scaled(b, mixed, 'layer_scale1'));
  const normed = mixer.norm(b, first, 'norm2', stage.eps);
  const wide = b.scope(
    'mlp',
    () => dense(b, act(b, dense(b, normed, 'fc1'), 'act', stage.activation), 'fc2'),
    {
      title: 'Multi-layer perceptron',
      formula: 'W₂ · act(W₁x)',
    },
  );
  return residual(b, scaled(b, first, 'res_scale2'), scaled(b, wide, 'layer_scale2'));
}

/** The blocks of a stage over a map. */
function stageBlocks(
  b: GraphBuilder,
  map: ValueInfo,
  depth: number,
  mixer: TokenMixer,
  stage: Stage,
): ValueInfo {
  const blocks = eachBlock(b, mixer.asRows ? mapToTokens(b, map).value : map, {
    depth,
    block: (x) => block(b, x, mixer, stage),
    note: mixer,
  });
  const x = last(blocks);
  return mixer.asRows ? tokensToMap(b, gridTokens(x, stage.batch, stage.grid)) : x;
}

/** Letters of the published sizes by the width of the first stage. */
const sizes: Readonly<Record<number, string>> = { 64: 'S', 96: 'M', 128: 'B' };

/** Names of the variants by their token mixers and activation. */
function variantOf(tensors: Tensors, names: readonly MixerName[]): string {
  if (names.includes('attention')) return 'CAFormer';
  if (names.includes('convolution')) return 'ConvFormer';
  return tensors.has('stages.0.blocks.0.mlp.act.scale') ? 'PoolFormerV2' : 'PoolFormer';
}

const isWindow = (value: ConfigValue): boolean => typeof value === 'number' && value % 2 === 1;

/** How the blocks compute, which is not stored in the weights. */
function settings(sources: Sources, names: readonly MixerName[]) {
  const { tensors, dialect } = sources.found;
  const byLibrary = <T extends ConfigValue>(value: T): Evidence<T> =>
    dialect.name === 'transformers'
      ? assumed<T>(value, 'as the published models have it')
      : stored<T>(value, `fixed by ${dialect.title}`);
  const perStage = (key: string, first: number, rest: number): Evidence<readonly number[]> =>
    decide(sources, key, {
      config: [key],
      otherwise: byLibrary<readonly number[]>(names.map((_, stage) => (stage === 0 ? first : rest))),
      is: (value) => Array.isArray(value) && value.length === names.length,
      needed: `${names.length} numbers, one for each stage,`,
    });
  const learned = tensors.has('stages.0.blocks.0.mlp.act.scale');
  // timm's norms without a bias have another default than PyTorch's GroupNorm.
  const eps = tensors.has('stages.0.blocks.0.norm1.bias') ? 1e-5 : 1e-6;
  return {
    activation: learned
      ? stored('star_relu', 'stages.0.blocks.0.mlp.act.scale')
      : decide(sources, 'activation', {
          config: ['hidden_act'],
          otherwise: byLibrary<string>('gelu'),
          is: (value) => Object.hasOwn(activations, String(value)),
          needed: `one of ${Object.keys(activations).join(', ')}`,
        }),
    eps: decide(sources, 'eps', { ...positive, otherwise: stored(eps, `default of ${dialect.title}`) }),
    strides: perStage('strides', 4, 2),
    padding: perStage('padding', 2, 1),
    pool_size: decide(sources, 'pool_size', {
      config: ['pool_size'],
      otherwise: byLibrary<number>(3),
      is: isWindow,
      needed: 'an odd number',
    }),
  };
}

/**
 * The stages' token mixers. IdentityFormer, of the same repository, has the parameters of a
 * PoolFormerV2.
 */
function mixersEvidence({ dialect }: Found, names: readonly MixerName[]): Evidence<readonly MixerName[]> {
  const told = dialect.name !== 'metaformer' || !names.includes('pooling');
  return told
    ? stored(names, 'stages.*.blocks.0.token_mixer')
    : assumed(names, 'pooling has no parameters, nor has the IdentityFormer, which mixes nothing');
}

function recognise(found: Found) {
  const { tensors } = found;
  const measured = measureStages(found, 'stages.*.blocks.*', 'norm1.weight');
  const channels = tensors.get('stem.conv.weight')?.shape[1];
  const names = measured?.depths.map((_, stage) => mixerOf(tensors, stage)) ?? [];
  if (!measured || channels === undefined || !names.every((name) => name !== undefined)) return undefined;
  const { sources, depths, dims } = measured;
  const variant = variantOf(tensors, names);
  const attends = dims.filter((_, stage) => names[stage] === 'attention');
  const heads = attends.length > 0 && headsOf(sources, attends, { config: [], perHead: 32 });
  const each = heads ? [...numbersIn(heads.value)] : [];
  const width = at(dims, 0);
  return stagedConfig(measured, {
    label: variant.toLowerCase(),
    title: `${variant}-${sizes[width] ?? width}${sum(depths)}`,
    head: 'head.fc',
    stride: 32,
    shapes: {
      token_mixer: mixersEvidence(found, names),
      ...(heads && { heads }),
      ...settings(sources, names),
      channels: stored(channels, 'stem.conv.weight'),
      classes: classesOf(tensors, tensors.has('head.fc.fc2.weight') ? 'head.fc.fc2' : 'head.fc'),
    },
    // Heads of every stage; 0 without attention.
    plumbing: { stageHeads: names.map((name) => (name === 'attention' ? (each.shift() ?? 0) : 0)) },
  });
}

type MetaFormerConfig = SettledBy<typeof recognise>;

/**
 * A strided convolution with a norm behind it (stem) or before it (downsampling), if one is stored.
 */
function embedding(
  b: GraphBuilder,
  map: ValueInfo,
  name: string,
  { strides, padding: paddings, eps }: MetaFormerConfig,
  stage: number,
): ValueInfo {
  const [stride, padding] = [at(strides, stage), at(paddings, stage)];
  const norm = (x: ValueInfo): ValueInfo => (b.has('norm.weight') ? layerNormOfMap(b, x, 'norm', eps) : x);
  return b.scope(
    name,
    () =>
      stage === 0
        ? norm(convolution(b, map, 'conv', { stride, padding }))
        : convolution(b, norm(map), 'conv', { stride, padding }),
    { title: stage === 0 ? 'Stem' : 'Downsampling' },
  );
}

/** A stem, and stages of one token mixer each. */
function build(b: GraphBuilder, config: MetaFormerConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const { eps, activation, pool_size: poolSize } = config;
  const pixels = b.input('pixel_values', [batch, config.channels, ...imageSize]);
  const write = (map: ValueInfo, stage: number): ValueInfo => {
    const narrow = b.has('downsample.conv.weight') ? embedding(b, map, 'downsample', config, stage) : map;
    const mixer = mixers[at(config.token_mixer, stage)];
    const settings = { batch, grid: gridOf(narrow), heads: at(config.stageHeads, stage), eps, activation };
    return stageBlocks(b, narrow, at(config.depth, stage), mixer, { ...settings, poolSize });
  };
  const stem = embedding(b, pixels, 'stem', config, 0);
  const maps = throughStages(stem, config.depth.length, (map, stage) =>
    b.scope(`stages.${stage}`, () => write(map, stage), { title: `Stage ${stage + 1}` }),
  );
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/** Epsilon of the norms that timm's heads have, whatever the blocks' is. */
const headEps = 1e-6;

/**
 * Pooling, then the classifier: a linear layer, or two with a squared ReLU and a norm between them
 * (ConvFormer, CAFormer).
 */
function head(b: GraphBuilder, { map }: ImageMaps, { eps }: MetaFormerConfig): void {
  // transformers and the original repository normalise the map, timm what is left of it after
  // pooling.
  const normed = b.has('norm.weight') ? mixers.pooling.norm(b, map, 'norm', eps) : map;
  const features = maybeNorm(b, meanOfMap(b, normed), 'head.norm', headEps);
  if (!b.has('head.fc.fc1.weight')) return answer(b, features, map, 'head.fc');
  const logits = b.scope('head.fc', () => {
    const positives = b.add('Relu', [b.linear(features, 'fc1')]);
    return b.linear(b.layerNorm(b.add('Mul', [positives, positives]), 'norm', headEps), 'fc2');
  });
  b.output('logits', logits, 'logits');
  b.output('features', features, 'features');
  b.output('tokens', map, 'tokens');
}

/**
 * MetaFormer (Yu et al. 2022, 2023): transformers whose token mixer is pooling (PoolFormer), a
 * convolution (ConvFormer) or in the last stages attention (CAFormer).
 */
export const metaformer: Family<MetaFormerConfig, ImageMaps> = {
  name: 'metaformer',
  title: 'MetaFormer',
  names: metaformerNames,
  assumable: ['heads', 'activation', 'eps', 'strides', 'padding', 'pool_size'],
  recognise,
  build,
  head,
};
