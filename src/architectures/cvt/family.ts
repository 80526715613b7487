import { at, last, product } from '../../domain/lists';
import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { batchNorm, convolution } from '../blocks/convolution';
import { maybeNorm, norm, residual, withValue, type Tokens } from '../blocks/layers';
import { mapToTokens, meanOfTokens, tokensToMap } from '../blocks/maps';
import { learnedToken, patchesOnly, tokenAt, withClassToken } from '../blocks/specialTokens';
import { eachBlock, mapStage, throughStages, type Maps } from '../blocks/stages';
import { mergeHeads, mlp, splitHeads } from '../blocks/transformer';
import type { BuildOptions, Evidence, Family, Found } from '../family';
import { assumed, numbersIn, stored } from '../evidence';
import { decidePerStage } from '../groups/perStage';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import type { Sizes } from '../sizes';
import { activationOf, classesOf, headsOf, type Sources } from '../decide';
import { cvtNames } from './names';
import { quantity } from '../../domain/units';

/** Sizes of Wu et al. 2021 (CvT, table 2). */
const sizes: Sizes = { '1,2,10 64': '13', '1,4,16 64': '21', '2,2,20 192': 'W24' };

/**
 * Strides and paddings of the convolutions, which no weight stores: those of all published models.
 */
const usual = {
  patch_stride: { config: 'patch_stride', of: (kernel: number) => (kernel + 1) >> 1 },
  patch_padding: { config: 'patch_padding', of: (kernel: number) => (kernel === 7 ? 2 : kernel >> 1) },
  query_stride: { config: 'stride_q', of: () => 1 },
  kv_stride: { config: 'stride_kv', of: () => 2 },
} as const;

/** Pixels that a convolution is strided or padded by at most: images are not much larger. */
const mostPixels = 256;

type Geometry = keyof typeof usual;

/** A hyper-parameter of every stage that is not stored in the weights. */
function geometry(sources: Sources, key: Geometry, kernels: readonly number[]): Evidence<readonly number[]> {
  const { config, of } = usual[key];
  const least = key === 'patch_padding' ? 0 : 1;
  const published = kernels.map(of);
  return decidePerStage(sources, key, kernels.length, {
    config: [config],
    published: () => published,
    otherwise: assumed(published, 'as in all published models; not stored in the weights'),
    is: (number) => Number.isInteger(number) && number >= least && number <= mostPixels,
    needed: `whole number from ${least} to ${mostPixels}`,
  });
}

function recognise(found: Found) {
  const { tensors, dialect } = found;
  const measured = measureStages(found, 'stages.*.blocks.*', 'norm1.weight');
  const [, channels, ...kernel] = tensors.get('stages.0.patch_embed.proj.weight')?.shape ?? [];
  if (!measured || channels === undefined || kernel.length !== 2) return undefined;
  const { sources, depths, dims, ratio } = measured;
  const kernels = depths.map(
    (_, stage) => tensors.get(`stages.${stage}.patch_embed.proj.weight`)?.shape[2] ?? 0,
  );
  const ending = `stages.${depths.length - 1}`;
  const strides = geometry(sources, 'patch_stride', kernels);
  const heads = headsOf(sources, dims, { config: ['num_heads'], perHead: 64 });
  return stagedConfig(measured, {
    label: 'cvt',
    title: ['CvT', sizes],
    head: 'head',
    stride: product(strides.value),
    shapes: {
      depth: stored(depths, `${ending}.blocks`),
      dim: stored(dims, 'stages.0.patch_embed.proj.weight'),
      heads: { ...heads, value: numbersIn(heads.value) },
      mlp_ratio: stored(ratio('mlp.fc1.weight').value, 'stages.0.blocks.0.mlp.fc1.weight'),
      patch: stored(kernels, 'stages.0.patch_embed.proj.weight'),
      patch_stride: strides,
      patch_padding: geometry(sources, 'patch_padding', kernels),
      query_stride: geometry(sources, 'query_stride', kernels),
      kv_stride: geometry(sources, 'kv_stride', kernels),
      // The authors' quick GELU became the exact one in transformers.
      activation: activationOf(
        sources,
        stored(dialect.name === 'cvt' ? 'quick_gelu' : 'gelu', `fixed by ${dialect.title}`),
      ),
      eps: stored(1e-5, `fixed by ${dialect.title}`),
      pool: tensors.has(`${ending}.cls_token`)
        ? stored<'token' | 'avg'>('token', `${ending}.cls_token`)
        : stored<'token' | 'avg'>('avg', 'no class token in the file'),
      channels: stored(channels, 'stages.0.patch_embed.proj.weight'),
      classes: classesOf(tensors, 'head'),
    },
  });
}

type CvtConfig = SettledBy<typeof recognise>;

interface BlockSettings {
  readonly heads: number;
  readonly qStride: number;
  readonly kvStride: number;
  readonly activation: string;
  readonly eps: number;
}

/**
 * Convolutional projection (Wu et al. 2021, §3.2): a depthwise convolution and batch norm over the
 * map, a linear layer per token; the class token skips the convolution.
 */
function projection(
  b: GraphBuilder,
  tokens: Tokens,
  part: 'q' | 'k' | 'v',
  stride: number,
  eps: number,
): Tokens {
  const map = tokensToMap(b, patchesOnly(b, tokens));
  const mixed = b.scope(`conv_proj_${part}`, () =>
    batchNorm(b, convolution(b, map, 'conv', { stride }), 'bn', eps),
  );
  const patches = mapToTokens(b, mixed);
  const all = tokens.layout.special?.length ? withClassToken(b, tokenAt(b, tokens, 0), patches) : patches;
  return withValue(all, b.linear(all.value, `proj_${part}`));
}

/**
 * Attention whose queries, keys and values are convolutional projections; the scores are scaled by
 * the whole width, not a head's.
 */
function attention(b: GraphBuilder, tokens: Tokens, settings: BlockSettings): ValueInfo {
  const { heads, qStride, kvStride, eps } = settings;
  const layer = b.scopePath;
  return b.scope(
    'attn',
    () => {
      const query = projection(b, tokens, 'q', qStride, eps);
      const key = projection(b, tokens, 'k', kvStride, eps);
      const value = projection(b, tokens, 'v', kvStride, eps);
      const split = ({ value: x, batch }: Tokens): ValueInfo => splitHeads(b, x, batch, heads);
      const less = key.count < query.count;
      const mixed = b.attention(split(query), split(key), split(value), {
        scale: 1 / Math.sqrt(at(tokens.value.shape, 1)),
        probe: {
          layer,
          kind: less ? 'reduced' : 'self',
          queries: query.layout,
          keys: key.layout,
          ...(less && { reduction: kvStride / qStride }),
        },
      });
      return b.linear(mergeHeads(b, mixed), 'proj');
    },
    {
      title: `Convolutional attention, ${quantity(heads, 'head')}`,
      formula: 'softmax(conv(x)·conv(x)ᵀ/√D)·conv(x)',
    },
  );
}

function block(b: GraphBuilder, tokens: Tokens, settings: BlockSettings): Tokens {
  const { eps, activation } = settings;
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', eps));
  const x = residual(b, tokens.value, attention(b, normed, settings));
  const fed = mlp(b, norm(b, x, 'norm2', eps), 'mlp', { activation, eps });
  return withValue(tokens, residual(b, x, fed));
}

const settingsOf = (config: CvtConfig, stage: number): BlockSettings => ({
  heads: at(config.heads, stage),
  qStride: at(config.query_stride, stage),
  kvStride: at(config.kv_stride, stage),
  activation: config.activation,
  eps: config.eps,
});

/** Convolutional token embedding, and a class token if one is stored. */
function embedding(b: GraphBuilder, map: ValueInfo, config: CvtConfig, stage: number): Tokens {
  const patches = b.scope(
    'patch_embed',
    () => {
      const stride = at(config.patch_stride, stage);
      const padding = at(config.patch_padding, stage);
      const cut = mapToTokens(b, convolution(b, map, 'proj', { stride, padding }));
      return withValue(cut, norm(b, cut.value, 'norm', config.eps));
    },
    { title: 'Convolutional token embedding' },
  );
  return b.has('cls_token')
    ? withClassToken(b, learnedToken(b, 'cls_token', patches.batch), patches)
    : patches;
}

/** What a stage ends with: its tokens, without a norm, and the map of their patches. */
interface StageEnd {
  readonly tokens: Tokens;
  readonly map: ValueInfo;
}

interface CvtMaps extends Maps, StageEnd {}

/** Stages over a shrinking map (Wu et al. 2021, §3.1), each of an embedding and blocks. */
function build(b: GraphBuilder, config: CvtConfig, { imageSize, batch }: BuildOptions): CvtMaps {
  const pixels = b.input('pixel_values', [batch, config.channels, ...imageSize]);
  const write = (map: ValueInfo, stage: number): Tokens => {
    const settings = settingsOf(config, stage);
    const blocks = eachBlock(b, embedding(b, map, config, stage), {
      depth: at(config.depth, stage),
      block: (tokens) => block(b, tokens, settings),
      note: { title: 'Block' },
    });
    return last(blocks);
  };
  const ends = throughStages<Pick<StageEnd, 'map'>, StageEnd>(
    { map: pixels },
    config.depth.length,
    ({ map }, stage) => {
      const note = { title: `Stage ${stage + 1}` };
      const tokens = b.scope(`stages.${stage}`, () => write(map, stage), note);
      return { tokens, map: tokensToMap(b, patchesOnly(b, tokens)) };
    },
  );
  return { stages: ends.map(({ map }) => mapStage(map, imageSize)), ...last(ends) };
}

/** Classifies the class token of the last stage, or the mean of its tokens. */
function head(b: GraphBuilder, { tokens, map }: CvtMaps, { pool, eps }: CvtConfig): void {
  const features =
    pool === 'token'
      ? maybeNorm(b, tokenAt(b, tokens, 0), 'norm', eps)
      : meanOfTokens(b, withValue(tokens, maybeNorm(b, tokens.value, 'norm', eps)));
  answer(b, features, map);
}

/**
 * CvT (Wu et al. 2021, "Introducing Convolutions to Vision Transformers"): convolutions embed
 * tokens and project queries, keys and values.
 */
export const cvt: Family<CvtConfig, CvtMaps> = {
  name: 'cvt',
  title: 'Convolutional vision Transformer',
  names: cvtNames,
  assumable: ['heads', 'activation', ...(Object.keys(usual) as Geometry[])],
  recognise,
  build,
  head,
};
