import { answer } from '../heads/classifier';
import { at, last } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { classAttention } from '../blocks/classAttention';
import { convNorm } from '../blocks/convolution';
import { norm, residual, withValue, type Tokens } from '../blocks/layers';
import { gridOfLayout, mapToTokens, sequence, tokensToMap } from '../blocks/maps';
import { outlookAttention } from '../blocks/outlookAttention';
import { resampled } from '../blocks/positions';
import { parameterSide } from '../blocks/parts';
import { learnedToken, patchesOnly, pooledTokens, tokenAt, withClassToken } from '../blocks/specialTokens';
import { eachBlock, tokenStage, type TokenMaps } from '../blocks/stages';
import { mlp, selfAttention } from '../blocks/transformer';
import type { BuildOptions, Evidence, Family, Found, Recognised } from '../family';
import { configOf, stored } from '../evidence';
import { epsOf, isotropicAssumable, poolOf, type BlockConfig } from '../groups/isotropicConfig';
import { timmResampling } from '../groups/positionTable';
import { sizeTitle, type Sizes } from '../sizes';
import {
  type Sources,
  activationOf,
  classesOf,
  countOf,
  headsOf,
  imageSizeOf,
  recognisedFrom,
  sideOf,
  sourcesOf,
} from '../decide';
import { voloNames } from './names';

/** Sizes of Yuan et al. 2022 (VOLO, table 2). */
const sizes: Sizes = {
  '4,4,8,2 192': 'D1',
  '6,4,10,4 256': 'D2',
  '8,8,16,4 256': 'D3',
  '8,8,16,4 384': 'D4',
  '12,12,20,4 384': 'D5',
};

/** Stride of the first convolution, which no weight shows: the same in every VOLO. */
const stemStride = 2;

/** Indices of `network` that hold blocks; the others downsample. */
function stagesOf(tensors: Found['tensors']): readonly number[] {
  const all = Array.from({ length: countOf(tensors, 'network') }, (_, index) => index);
  return all.filter((index) => tensors.has(`network.${index}.0.norm1.weight`));
}

/**
 * Heads of the stages and of the class attention: outlook attention stores its own, nine times nine
 * weights for each.
 */
function headsEvidence(
  sources: Sources,
  stages: readonly number[],
  dims: readonly number[],
): Evidence<readonly number[]> {
  const { tensors } = sources.found;
  const all = [...dims, ...(tensors.has('cls_token') ? [last(dims)] : [])];
  const evidence = headsOf(sources, all, { config: [], perHead: 32 });
  const outlook = stages.map((stage) => tensors.get(`network.${stage}.0.attn.attn.weight`)?.shape[0]);
  const value = [evidence.value].flat().map((heads, index) => (outlook[index] ?? 81 * heads) / 81);
  return { ...evidence, value };
}

interface VoloConfig {
  readonly channels: number;
  readonly depth: readonly number[];
  /** Of every stage, and of the class attention if there is one. */
  readonly heads: readonly number[];
  readonly activation: string;
  readonly eps: number;
  /** Rows and columns that the position table was made for. */
  readonly grid: Grid;
  /** Blocks in which the class token alone changes. */
  readonly class_depth: number;
  readonly pool: string;
}

function recognise(found: Found): Recognised<VoloConfig> | undefined {
  const { tensors } = found;
  const sources = sourcesOf(found);
  const stages = stagesOf(tensors);
  const kernel = tensors.get('patch_embed.proj.weight')?.shape[2];
  const [, rows, columns, width] = tensors.get('pos_embed')?.shape ?? [];
  if (!kernel || !rows || !columns || !width || stages.length === 0) return undefined;
  const dims = stages.map((stage) => sideOf(tensors, `network.${stage}.0.norm1.weight`, 0));
  const depth = stages.map((stage) => countOf(tensors, `network.${stage}`));
  const patch = kernel * stemStride;
  const { imageSize, evidence: sized } = imageSizeOf(sources, [rows * 2 * patch, columns * 2 * patch]);
  const own = `pos_embed [${rows}, ${columns}] for maps of half as many rows and columns as patches`;
  const settled = {
    depth: stored(depth, stages.map((stage) => `network.${stage}`).join(', ')),
    class_depth: stored(countOf(tensors, 'post_network'), 'post_network'),
    dim: stored(dims, 'norm1.weight of each stage'),
    heads: headsEvidence(sources, stages, dims),
    patch: stored(patch, `patch_embed.proj.weight, after a convolution of stride ${stemStride}`),
    grid: stored<Grid>([rows, columns], own),
    resampling: stored(timmResampling, 'as timm does to plain transformers; it builds this one for one size'),
    activation: activationOf(sources),
    eps: epsOf(sources),
    pool: poolOf(sources, tensors.has('cls_token') ? ['token', 'avg'] : ['avg'], 'as timm has it'),
    channels: stored(tensors.get('patch_embed.conv.0.weight')?.shape[1] ?? 3, 'patch_embed.conv.0.weight'),
    classes: classesOf(tensors, 'head'),
    image_size: sized.assumed ? stored(sized.value, own) : sized,
  };
  return recognisedFrom(sources, {
    label: 'volo',
    title: sizeTitle('VOLO', sizes, depth, dims),
    evidence: settled,
    config: configOf(settled),
    imageSize,
    sizeStep: [2 * patch, 2 * patch],
    pixels: 'imagenet-1.0',
  });
}

/** Three convolutions and patches of their map (Yuan et al. 2021, §3.3): `[batch · count, dim]`. */
function embed(b: GraphBuilder, channels: number, { imageSize, batch }: BuildOptions): Tokens {
  const pixels = b.input('pixel_values', [batch, channels, ...imageSize]);
  return b.scope(
    'patch_embed',
    () => {
      const stem = [0, 3, 6].reduce(
        (x, at) =>
          convNorm(b, x, `conv.${at}`, `conv.${at + 1}`, {
            stride: at === 0 ? stemStride : 1,
            activation: 'relu',
            eps: 1e-5,
          }),
        pixels,
      );
      return mapToTokens(b, b.conv2d(stem, 'proj', { stride: parameterSide(b, 'proj.weight', 2) }));
    },
    { title: 'Patch embedding' },
  );
}

/**
 * x + attn(norm1(x)), then x + mlp(norm2(x)), with outlook attention if the layer that makes its
 * weights is stored.
 */
function block(b: GraphBuilder, tokens: Tokens, settings: BlockConfig): Tokens {
  const { heads, eps } = settings;
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', eps));
  const attended = b.has('attn.attn.weight')
    ? outlookAttention(b, normed, heads)
    : selfAttention(b, normed, 'attn', b.scopePath, settings);
  const x = residual(b, tokens.value, attended);
  return withValue(tokens, residual(b, x, mlp(b, norm(b, x, 'norm2', eps), 'mlp', settings)));
}

/** The class token after it has asked all tokens; the patches stay as they are. */
function classBlock(b: GraphBuilder, tokens: Tokens, settings: BlockConfig): Tokens {
  const { heads, eps } = settings;
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', eps));
  const told = classAttention(b, normed, 'attn', b.scopePath, heads);
  const token = residual(b, tokenAt(b, tokens, 0), told);
  const fed = residual(b, token, mlp(b, norm(b, token, 'norm2', eps), 'mlp', settings));
  return withClassToken(b, fed, patchesOnly(b, tokens));
}

/** The tokens with their rows of the table, which stands behind the first downsampling. */
function placed(b: GraphBuilder, tokens: Tokens, [rows, columns]: Grid): Tokens {
  const table = b.parameter('pos_embed', [1, rows * columns, at(tokens.value.shape, 1)]);
  const own = resampled(b, table, [rows, columns], gridOfLayout(tokens.layout), timmResampling);
  return withValue(tokens, b.reshape(b.add('Add', [sequence(b, tokens), own]), tokens.value.shape));
}

/**
 * What the stages of `network` end with: modules of blocks, and some of downsampling between them.
 */
function network(b: GraphBuilder, embedded: Tokens, config: VoloConfig): readonly Tokens[] {
  const ends: Tokens[] = [];
  let tokens = embedded;
  for (let index = 0; ends.length < config.depth.length; index++) {
    const from = index === 2 ? placed(b, tokens, config.grid) : tokens;
    const downsamples = b.has(`network.${index}.proj.weight`);
    const write = (): Tokens =>
      downsamples
        ? mapToTokens(b, b.conv2d(tokensToMap(b, from), 'proj', { stride: 2 }))
        : stage(b, from, ends.length, config);
    tokens = b.scope(`network.${index}`, write, { title: 'Stage' });
    if (!downsamples) ends.push(tokens);
  }
  return ends;
}

/** The blocks of a stage, `0`, `1` … of its scope. */
function stage(b: GraphBuilder, from: Tokens, index: number, config: VoloConfig): Tokens {
  const settings = { ...config, heads: at(config.heads, index) };
  const places = Array.from({ length: at(config.depth, index) }, (_, place) => `${place}`);
  return places.reduce(
    (x, place) => b.scope(place, () => block(b, x, settings), { title: 'VOLO block' }),
    from,
  );
}

/**
 * The classifier's logits plus half of the greatest that the auxiliary one gives anywhere among the
 * patches (Jiang et al. 2021, token labeling).
 */
function labelledAnswer(b: GraphBuilder, tokens: Tokens, features: ValueInfo): void {
  const patches = patchesOnly(b, tokens);
  const everywhere = b.linear(patches.value, 'aux_head');
  const apart = b.reshape(everywhere, [patches.batch, patches.count, at(everywhere.shape, 1)]);
  const most = b.add('ReduceMax', [apart, b.indices([1])], { keepdims: int(0) });
  const half = b.add('Mul', [most, b.scalar(0.5)]);
  const all = sequence(b, tokens);
  b.output('logits', b.add('Add', [b.linear(features, 'head'), half]), 'logits');
  b.output('features', features, 'features');
  b.output('tokens', all, 'tokens');
}

/** The stages, then blocks in which the class token attends (Yuan et al. 2021, §3.3). */
function build(b: GraphBuilder, config: VoloConfig, options: BuildOptions): TokenMaps {
  const ends = network(b, embed(b, config.channels, options), config);
  const patches = last(ends);
  const token = b.has('cls_token') ? learnedToken(b, 'cls_token', options.batch) : undefined;
  const first = token ? withClassToken(b, token, patches) : patches;
  const settings = { ...config, heads: last(config.heads) };
  const asked = eachBlock(b, first, {
    depth: config.class_depth,
    path: 'post_network',
    block: (tokens) => classBlock(b, tokens, settings),
    note: { title: 'Class-attention block' },
  });
  const end = asked.at(-1) ?? first;
  const tokens = withValue(end, norm(b, end.value, 'norm', config.eps));
  return { stages: ends.map((each) => tokenStage(each, options.imageSize)), tokens };
}

function head(b: GraphBuilder, { tokens }: TokenMaps, { pool }: VoloConfig): void {
  const pooled = pooledTokens(b, tokens, pool);
  if (b.has('aux_head.weight') && b.has('head.weight')) labelledAnswer(b, tokens, pooled);
  else answer(b, pooled, sequence(b, tokens));
}

/**
 * VOLO (Yuan et al. 2021, "Vision Outlooker"): outlook attention on fine maps, self-attention on
 * coarse ones, class attention at the end.
 */
export const volo: Family<VoloConfig, TokenMaps> = {
  name: 'volo',
  title: 'VOLO',
  names: voloNames,
  assumable: [...isotropicAssumable, 'heads'],
  recognise,
  build,
  head,
};
