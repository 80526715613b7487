import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { classAttention } from '../blocks/classAttention';
import { batchNorm, convNorm, convolution } from '../blocks/convolution';
import { crossCovarianceAttention, withFourierPositions } from '../blocks/crossCovariance';
import { activate, layerScale, norm, residual, withValue, type Tokens } from '../blocks/layers';
import { mapToTokens, sequence, tokensToMap } from '../blocks/maps';
import { learnedToken, patchesOnly, pooledTokens, tokenAt, withClassToken } from '../blocks/specialTokens';
import { mlp } from '../blocks/transformer';
import type { BuildOptions, EvidenceRecord, Family, Found, Recognised } from '../family';
import { assumed, numberOf, stored, wordOf } from '../figures';
import { isotropicAssumable, isotropicFigures, poolOf } from '../groups/isotropicFigures';
import { sizeTitle } from '../sizes';
import { countOf, decide, imageSizeOf, recognisedFrom, sourcesOf } from '../sources';
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

/** Paths of the convolutions of the stem, each half as large as the one before: activations stand between them. */
const stemPaths = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `proj.${2 * index}`);

function recognise(evidences: Found): Recognised | undefined {
  const { tensors } = evidences;
  const sources = sourcesOf(evidences);
  const found = isotropicFigures(sources);
  const convolutions = (countOf(tensors, 'patch_embed.proj') + 1) >> 1;
  const [heads] = tensors.get('blocks.0.attn.temperature')?.shape ?? [];
  const channels = tensors.get('patch_embed.proj.0.0.weight')?.shape[1];
  if (!found || !heads || !channels) return undefined;
  const { imageSize, figure } = imageSizeOf(sources);
  const patch = 2 ** convolutions;
  const figures: EvidenceRecord = {
    ...found,
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
    image_size: figure,
  };
  const size = sizeTitle('XCiT', sizes, [numberOf(found, 'depth')], [numberOf(found, 'dim')]);
  return recognisedFrom(sources, {
    label: 'xcit',
    title: `${size}/${patch}`,
    evidence: figures,
    choices: { tokens_norm: [true, false] },
    imageSize,
    sizeStep: [patch, patch],
    pixels: 'imagenet',
  });
}

/** Convolutional patches plus a projection of Fourier positions. */
function embed(b: GraphBuilder, figures: EvidenceRecord, { imageSize, batch }: BuildOptions): Tokens {
  const pixels = b.input('pixel_values', [batch, numberOf(figures, 'channels'), ...imageSize]);
  const activation = wordOf(figures, 'activation');
  const paths = stemPaths(Math.log2(numberOf(figures, 'patch')));
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

interface BlockSettings {
  readonly heads: number;
  readonly eps: number;
  readonly activation: string;
  readonly tokensNorm: boolean;
}

/** Channels, neighbours, MLP: the third branch comes second, as the authors' weights have it. */
function channelBlock(b: GraphBuilder, tokens: Tokens, settings: BlockSettings): Tokens {
  const layer = b.scopePath;
  const branch = (x: Tokens, index: 1 | 2 | 3, write: (normed: Tokens) => ValueInfo): Tokens => {
    const normed = withValue(x, norm(b, x.value, `norm${index}`, settings.eps));
    return withValue(x, residual(b, x.value, layerScale(b, write(normed), `ls${index}`)));
  };
  const attended = branch(tokens, 1, (normed) => crossCovarianceAttention(b, normed, 'attn', layer));
  const local = branch(attended, 3, (normed) => localInteraction(b, normed, settings.activation));
  return branch(local, 2, (normed) => mlp(b, normed.value, 'mlp', settings));
}

/**
 * Class attention as XCiT's authors wrote it: to the patches their own norm is added, and in the second half they are added to themselves,
 * the class token's MLP to the class token.
 */
function classBlock(b: GraphBuilder, tokens: Tokens, settings: BlockSettings): Tokens {
  const { heads, eps, tokensNorm } = settings;
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', eps));
  const told = classAttention(b, normed, 'attn', b.scopePath, heads);
  const update = withClassToken(b, told, patchesOnly(b, normed)).value;
  const x = withValue(tokens, residual(b, tokens.value, layerScale(b, update, 'ls1')));
  const all = tokensNorm ? withValue(x, norm(b, x.value, 'norm2', eps)) : x;
  const first = tokensNorm ? tokenAt(b, all, 0) : norm(b, tokenAt(b, x, 0), 'norm2', eps);
  const patches = patchesOnly(b, all);
  const doubled = withValue(patches, residual(b, patches.value, patches.value));
  const fed = residual(b, first, layerScale(b, mlp(b, first, 'mlp', settings), 'ls2'));
  return withClassToken(b, fed, doubled);
}

/** Blocks of channel attention, then blocks in which the class token asks. */
function build(b: GraphBuilder, { evidence: figures }: Recognised, options: BuildOptions): void {
  const settings: BlockSettings = {
    heads: numberOf(figures, 'heads'),
    eps: numberOf(figures, 'eps'),
    activation: wordOf(figures, 'activation'),
    tokensNorm: figures['tokens_norm']?.value === true,
  };
  let tokens = embed(b, figures, options);
  for (let index = 0; index < numberOf(figures, 'depth'); index++)
    tokens = b.scope(`blocks.${index}`, () => channelBlock(b, tokens, settings), {
      title: 'Cross-covariance block',
    });
  tokens = withClassToken(b, learnedToken(b, 'cls_token', options.batch), tokens);
  for (let index = 0; index < numberOf(figures, 'class_depth'); index++)
    tokens = b.scope(`cls_attn_blocks.${index}`, () => classBlock(b, tokens, settings), {
      title: 'Class-attention block',
    });
  const last = withValue(tokens, norm(b, tokens.value, 'norm', settings.eps));
  const all = sequence(b, last);
  answer(b, pooledTokens(b, last, wordOf(figures, 'pool')), all);
}

/** XCiT (El-Nouby et al. 2021, "XCiT: Cross-Covariance Image Transformers"). */
export const xcit: Family<Recognised, void> = {
  name: 'xcit',
  title: 'Cross-Covariance Image Transformer',
  names: xcitNames,
  assumable: [...isotropicAssumable, 'tokens_norm'],
  recognise,
  build,
};
