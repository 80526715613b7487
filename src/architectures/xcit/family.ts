import { tokensAnswer, type Pool } from '../heads/tokens';
import { last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { classAttention } from '../blocks/classAttention';
import { batchNorm, convNorm, convolution } from '../blocks/convolution';
import { crossCovarianceAttention, withFourierPositions } from '../blocks/crossCovariance';
import { activate, layerScale, norm, residual, withValue, type Tokens } from '../blocks/layers';
import { mapToTokens, tokensToMap } from '../blocks/maps';
import { learnedToken, patchesOnly, tokenAt, withClassToken } from '../blocks/specialTokens';
import { eachBlock, tokenStage, type TokenMaps } from '../blocks/stages';
import { mlp } from '../blocks/transformer';
import type { BuildOptions, Family, Found, Recognised } from '../family';
import { assumed, configOf, stored } from '../evidence';
import { isotropicAssumable, isotropicEvidence, poolOf, type BlockConfig } from '../groups/isotropicConfig';
import { sizeTitle } from '../sizes';
import { countOf, decide, imageSizeOf, recognisedFrom, sourcesOf } from '../decide';
import { xcitNames } from './names';

/** PyTorch's default, which timm's BatchNorm2d keep. */
const batchNormEps = 1e-5;

/** Sizes of El-Nouby et al. 2021 (XCiT, table 1). */
const sizes = {
  '12 128': 'N12',
  '12 192': 'T12',
  '24 192': 'T24',
  '12 384': 'S12',
  '24 384': 'S24',
  '24 512': 'M24',
  '24 768': 'L24',
};

interface XCiTBlockConfig extends BlockConfig {
  /** Whether class attention normalises the patches, too. */
  readonly tokens_norm: boolean;
}

interface XCiTConfig extends XCiTBlockConfig {
  readonly channels: number;
  readonly depth: number;
  /** Blocks in which the class token attends. */
  readonly class_depth: number;
  readonly pool: Pool;
  /** Convolutions of the stem, each of which halves the map. */
  readonly stem_depth: number;
}

function recognise(found: Found): Recognised<XCiTConfig> | undefined {
  const { tensors } = found;
  const sources = sourcesOf(found);
  const isotropic = isotropicEvidence(sources);
  const convolutions = (countOf(tensors, 'patch_embed.proj') + 1) >> 1;
  const [heads] = tensors.get('blocks.0.attn.temperature')?.shape ?? [];
  const channels = tensors.get('patch_embed.proj.0.0.weight')?.shape[1];
  if (!isotropic || !heads || !channels) return undefined;
  const { imageSize, evidence: sized } = imageSizeOf(sources);
  const patch = 2 ** convolutions;
  const settled = {
    ...isotropic,
    class_depth: stored(countOf(tensors, 'cls_attn_blocks'), 'cls_attn_blocks'),
    heads: stored(heads, 'blocks.0.attn.temperature'),
    patch: stored(patch, `${convolutions} convolutions of stride 2 in patch_embed.proj`),
    channels: stored(channels, 'patch_embed.proj.0.0.weight'),
    pool: poolOf(sources, ['token', 'avg'], 'cls_token'),
    tokens_norm: decide(sources, 'tokens_norm', {
      config: ['tokens_norm'],
      named: [
        [/^xcit_nano_/, false],
        [/^xcit_/, true],
      ],
      otherwise: assumed(true, 'all sizes but Nano normalise the patches in class attention, too'),
      is: (value) => typeof value === 'boolean',
      needed: 'true or false',
    }),
    image_size: sized,
  };
  const size = sizeTitle('XCiT', sizes, [isotropic.depth.value], [isotropic.dim.value]);
  return recognisedFrom(sources, {
    label: 'xcit',
    title: `${size}/${patch}`,
    evidence: settled,
    config: { ...configOf(settled), stem_depth: convolutions },
    choices: { tokens_norm: [true, false] },
    imageSize,
    sizeStep: [patch, patch],
    pixels: 'imagenet',
  });
}

/** Convolutional patches plus a projection of Fourier positions. */
function embed(
  b: GraphBuilder,
  { channels, activation, stem_depth: depth }: XCiTConfig,
  { imageSize, batch }: BuildOptions,
): Tokens {
  const pixels = b.input('pixel_values', [batch, channels, ...imageSize]);
  // Activations stand between the convolutions.
  const paths = Array.from({ length: depth }, (_, index) => `proj.${2 * index}`);
  const map = b.scope(
    'patch_embed',
    () =>
      paths.reduce((x, path, index) => {
        const input = index === 0 ? x : activate(b, x, activation);
        return convNorm(b, input, `${path}.0`, `${path}.1`, { stride: 2, eps: batchNormEps });
      }, pixels),
    { title: 'Convolutional patch embedding' },
  );
  return mapToTokens(b, withFourierPositions(b, map, 'pos_embed'));
}

/** Local patch interaction (XCiT, §3.3): depthwise convolutions among the patches. */
function localInteraction(b: GraphBuilder, tokens: Tokens, activation: string): ValueInfo {
  return b.scope(
    'local_mp',
    () => {
      const wide = activate(b, convolution(b, tokensToMap(b, tokens), 'conv1'), activation);
      return mapToTokens(b, convolution(b, batchNorm(b, wide, 'bn', batchNormEps), 'conv2')).value;
    },
    { title: 'Local patch interaction', formula: 'depthwise(BN(act(depthwise(x))))' },
  );
}

/** Channels, neighbours, MLP: the third branch comes second, as the authors' weights have it. */
function channelBlock(b: GraphBuilder, tokens: Tokens, config: BlockConfig): Tokens {
  const layer = b.scopePath;
  const branch = (x: Tokens, index: 1 | 2 | 3, write: (normed: Tokens) => ValueInfo): Tokens => {
    const normed = withValue(x, norm(b, x.value, `norm${index}`, config.eps));
    return withValue(x, residual(b, x.value, layerScale(b, write(normed), `ls${index}`)));
  };
  const attended = branch(tokens, 1, (normed) => crossCovarianceAttention(b, normed, 'attn', layer));
  const local = branch(attended, 3, (normed) => localInteraction(b, normed, config.activation));
  return branch(local, 2, (normed) => mlp(b, normed.value, 'mlp', config));
}

/**
 * Class attention as XCiT's authors wrote it: to the patches their own norm is added, and in the
 * second half they are added to themselves, the class token's MLP to the class token.
 */
function classBlock(b: GraphBuilder, tokens: Tokens, config: XCiTBlockConfig): Tokens {
  const { heads, eps, tokens_norm: tokensNorm } = config;
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', eps));
  const told = classAttention(b, normed, 'attn', b.scopePath, heads);
  const update = withClassToken(b, told, patchesOnly(b, normed)).value;
  const x = withValue(tokens, residual(b, tokens.value, layerScale(b, update, 'ls1')));
  const all = tokensNorm ? withValue(x, norm(b, x.value, 'norm2', eps)) : x;
  const first = tokensNorm ? tokenAt(b, all, 0) : norm(b, tokenAt(b, x, 0), 'norm2', eps);
  const patches = patchesOnly(b, all);
  const doubled = withValue(patches, residual(b, patches.value, patches.value));
  const fed = residual(b, first, layerScale(b, mlp(b, first, 'mlp', config), 'ls2'));
  return withClassToken(b, fed, doubled);
}

/** Blocks of channel attention, then blocks in which the class token attends. */
function build(b: GraphBuilder, config: XCiTConfig, options: BuildOptions): TokenMaps {
  const maps = eachBlock(b, embed(b, config, options), {
    depth: config.depth,
    block: (tokens) => channelBlock(b, tokens, config),
    note: { title: 'Cross-covariance block' },
  });
  const first = withClassToken(b, learnedToken(b, 'cls_token', options.batch), last(maps));
  const asked = eachBlock(b, first, {
    depth: config.class_depth,
    path: 'cls_attn_blocks',
    block: (tokens) => classBlock(b, tokens, config),
    note: { title: 'Class-attention block' },
  });
  const end = asked.at(-1) ?? first;
  const tokens = withValue(end, norm(b, end.value, 'norm', config.eps));
  return { stages: maps.map((map) => tokenStage(map, options.imageSize)), tokens };
}

/** XCiT (El-Nouby et al. 2021, "XCiT: Cross-Covariance Image Transformers"). */
export const xcit: Family<XCiTConfig, TokenMaps> = {
  name: 'xcit',
  title: 'Cross-Covariance Image Transformer',
  names: xcitNames,
  assumable: [...isotropicAssumable, 'tokens_norm'],
  recognise,
  build,
  head: tokensAnswer,
};
