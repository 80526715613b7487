import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { classAttention } from '../blocks/classAttention';
import { layerScale, norm, residual, withValue, type Tokens } from '../blocks/layers';
import { sequence } from '../blocks/maps';
import { learnedToken, pooledTokens, withClassToken } from '../blocks/specialTokens';
import { talkingHeadsAttention } from '../blocks/talkingHeads';
import { mlp } from '../blocks/transformer';
import type { BuildOptions, EvidenceRecord, Family, Found, Recognised } from '../family';
import { numberOf, sideOrPair, stored, wordOf } from '../figures';
import { isotropicAssumable, isotropicFigures, poolOf } from '../groups/isotropicFigures';
import { embedPatches, patchConfigOf, positionsOf } from '../groups/positionTable';
import { sizeTitle } from '../sizes';
import { countOf, recognisedFrom, sourcesOf } from '../sources';
import { caitNames } from './names';

/** Sizes of Touvron et al. 2021 (CaiT, table 5). */
const sizes = {
  '24 192': 'XXS24',
  '36 192': 'XXS36',
  '24 288': 'XS24',
  '36 288': 'XS36',
  '24 384': 'S24',
  '36 384': 'S36',
  '48 384': 'S48',
  '24 768': 'M24',
  '36 768': 'M36',
  '48 768': 'M48',
};

function recognise(evidences: Found): Recognised | undefined {
  const { tensors } = evidences;
  const sources = sourcesOf(evidences);
  const found = isotropicFigures(sources);
  const [heads] = tensors.get('blocks.0.attn.proj_l.weight')?.shape ?? [];
  const [, channels, height, width] = tensors.get('patch_embed.proj.weight')?.shape ?? [];
  const positions = positionsOf(sources, [height ?? 1, width ?? 1]);
  if (!found || !heads || !width || !positions) return undefined;
  const figures: EvidenceRecord = {
    ...found,
    class_depth: stored(countOf(tensors, 'blocks_token_only'), 'blocks_token_only'),
    heads: stored(heads, 'blocks.0.attn.proj_l.weight'),
    patch: stored(sideOrPair([height!, width]), 'patch_embed.proj.weight'),
    channels: stored(channels!, 'patch_embed.proj.weight'),
    pool: poolOf(sources, ['token', 'avg'], 'cls_token'),
    ...positions.figures,
  };
  return recognisedFrom(sources, {
    label: 'cait',
    title: sizeTitle('CaiT', sizes, [numberOf(found, 'depth')], [numberOf(found, 'dim')]),
    evidence: figures,
    imageSize: positions.imageSize,
    sizeStep: [height!, width],
    pixels: 'imagenet',
    warnings: positions.warnings,
  });
}

interface BlockSettings {
  readonly heads: number;
  readonly eps: number;
  readonly activation: string;
}

/** x + ls2(mlp(norm2(x))) */
function feed(b: GraphBuilder, x: ValueInfo, settings: BlockSettings): ValueInfo {
  return residual(b, x, layerScale(b, mlp(b, norm(b, x, 'norm2', settings.eps), 'mlp', settings), 'ls2'));
}

/** Talking-heads attention among the patches, then the MLP, both with LayerScale. */
function patchBlock(b: GraphBuilder, tokens: Tokens, settings: BlockSettings): Tokens {
  const { heads, eps } = settings;
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', eps));
  const attended = talkingHeadsAttention(b, normed, 'attn', b.scopePath, heads);
  return withValue(tokens, feed(b, residual(b, tokens.value, layerScale(b, attended, 'ls1')), settings));
}

/** The class token `[batch, dim]` after it has asked the patches, which stay as they are (CaiT §3.2). */
function classBlock(b: GraphBuilder, token: ValueInfo, patches: Tokens, settings: BlockSettings): ValueInfo {
  const { heads, eps } = settings;
  const all = withClassToken(b, token, patches);
  const normed = withValue(all, norm(b, all.value, 'norm1', eps));
  const told = classAttention(b, normed, 'attn', b.scopePath, heads);
  return feed(b, residual(b, token, layerScale(b, told, 'ls1')), settings);
}

/** Blocks of patches alone, then blocks in which the class token alone changes. */
function build(b: GraphBuilder, { evidence: figures }: Recognised, options: BuildOptions): void {
  const settings: BlockSettings = {
    heads: numberOf(figures, 'heads'),
    eps: numberOf(figures, 'eps'),
    activation: wordOf(figures, 'activation'),
  };
  let patches = embedPatches(b, patchConfigOf(figures), options);
  for (let index = 0; index < numberOf(figures, 'depth'); index++)
    patches = b.scope(`blocks.${index}`, () => patchBlock(b, patches, settings), {
      title: 'Talking-heads block',
    });
  let token = learnedToken(b, 'cls_token', options.batch);
  for (let index = 0; index < numberOf(figures, 'class_depth'); index++)
    token = b.scope(`blocks_token_only.${index}`, () => classBlock(b, token, patches, settings), {
      title: 'Class-attention block',
    });
  const all = withClassToken(b, token, patches);
  const tokens = withValue(all, norm(b, all.value, 'norm', settings.eps));
  const last = sequence(b, tokens);
  answer(b, pooledTokens(b, tokens, wordOf(figures, 'pool')), last);
}

/** CaiT (Touvron et al. 2021, "Going deeper with Image Transformers"): talking heads, LayerScale, and a class token that comes late. */
export const cait: Family<Recognised, void> = {
  name: 'cait',
  title: 'CaiT',
  names: caitNames,
  assumable: [...isotropicAssumable, 'grid'],
  recognise,
  build,
};
