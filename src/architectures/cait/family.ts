import { tokensAnswer, type Pool } from '../heads/tokens';
import { last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { classAttention } from '../blocks/classAttention';
import { layerScale, norm, residual, withValue, type Tokens } from '../blocks/layers';
import { learnedToken, withClassToken } from '../blocks/specialTokens';
import { talkingHeadsAttention } from '../blocks/talkingHeads';
import { eachBlock, tokenStage, type TokenMaps } from '../blocks/stages';
import { mlp } from '../blocks/transformer';
import type { BuildOptions, Family, Found, Recognised } from '../family';
import { stored } from '../evidence';
import { isotropicAssumable, type BlockConfig } from '../groups/isotropicConfig';
import { recogniseIsotropic } from '../groups/isotropicPatches';
import { embedPatches, type PatchConfig } from '../groups/positionTable';
import { countOf } from '../decide';
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

interface CaitConfig extends PatchConfig, BlockConfig {
  readonly depth: number;
  /** Blocks in which the class token alone changes. */
  readonly class_depth: number;
  readonly pool: Pool;
}

function recognise(found: Found): Recognised<CaitConfig> | undefined {
  return recogniseIsotropic(found, {
    label: 'cait',
    title: ['CaiT', sizes],
    own: (tensors) => {
      const [heads] = tensors.get('blocks.0.attn.proj_l.weight')?.shape ?? [];
      if (!heads) return undefined;
      return {
        class_depth: stored(countOf(tensors, 'blocks_token_only'), 'blocks_token_only'),
        heads: stored(heads, 'blocks.0.attn.proj_l.weight'),
      };
    },
  });
}

/** x + ls2(mlp(norm2(x))) */
function feed(b: GraphBuilder, x: ValueInfo, settings: BlockConfig): ValueInfo {
  return residual(b, x, layerScale(b, mlp(b, norm(b, x, 'norm2', settings.eps), 'mlp', settings), 'ls2'));
}

/** Talking-heads attention among the patches, then the MLP, both with LayerScale. */
function patchBlock(b: GraphBuilder, tokens: Tokens, settings: BlockConfig): Tokens {
  const { heads, eps } = settings;
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', eps));
  const attended = talkingHeadsAttention(b, normed, 'attn', b.scopePath, heads);
  return withValue(tokens, feed(b, residual(b, tokens.value, layerScale(b, attended, 'ls1')), settings));
}

/**
 * The class token `[batch, dim]` after it has asked the patches, which stay as they are (CaiT
 * §3.2).
 */
function classBlock(b: GraphBuilder, token: ValueInfo, patches: Tokens, settings: BlockConfig): ValueInfo {
  const { heads, eps } = settings;
  const all = withClassToken(b, token, patches);
  const normed = withValue(all, norm(b, all.value, 'norm1', eps));
  const told = classAttention(b, normed, 'attn', b.scopePath, heads);
  return feed(b, residual(b, token, layerScale(b, told, 'ls1')), settings);
}

/** Blocks of patches alone, then blocks in which the class token alone changes (CaiT, §3.2). */
function build(b: GraphBuilder, config: CaitConfig, options: BuildOptions): TokenMaps {
  const maps = eachBlock(b, embedPatches(b, config, options), {
    depth: config.depth,
    block: (tokens) => patchBlock(b, tokens, config),
    note: { title: 'Talking-heads block' },
  });
  const patches = last(maps);
  const first = learnedToken(b, 'cls_token', options.batch);
  const asked = eachBlock(b, first, {
    depth: config.class_depth,
    path: 'blocks_token_only',
    block: (token) => classBlock(b, token, patches, config),
    note: { title: 'Class-attention block' },
  });
  const all = withClassToken(b, asked.at(-1) ?? first, patches);
  const tokens = withValue(all, norm(b, all.value, 'norm', config.eps));
  return { stages: maps.map((map) => tokenStage(map, options.imageSize)), tokens };
}

/**
 * CaiT (Touvron et al. 2021, "Going deeper with Image Transformers"): talking heads, LayerScale,
 * and a class token that comes late.
 */
export const cait: Family<CaitConfig, TokenMaps> = {
  name: 'cait',
  title: 'CaiT',
  names: caitNames,
  assumable: [...isotropicAssumable, 'grid'],
  recognise,
  build,
  head: tokensAnswer,
};
