import type { GraphBuilder } from '../../graph/builder';
import { meanOfTokens, sequence } from '../blocks/maps';
import type { ResamplingName } from '../blocks/positions';
import type { TokenMaps } from '../blocks/stages';
import { imageConfig } from '../config';
import { assumed, stored } from '../evidence';
import type { Family, Found, Recognised } from '../family';
import { asImageTower, buildPlain, plainAssumable } from '../groups/plain';
import type { PlainConfig } from '../groups/plainConfig';
import { answer } from '../heads/classifier';
import { plainAnswer } from '../heads/tokens';

/** What SigLIP's towers have where nothing says more. */
const usual = {
  activation: assumed('gelu_tanh', 'as published SigLIP models; not stored in the weights'),
  eps: assumed(1e-6, 'as published SigLIP models; not stored in the weights'),
};

/**
 * What SigLIP 2's towers have, whose images keep their shape: transformers 5.23,
 * modeling_siglip2.py, resize_positional_embeddings.
 */
const usualOfTwo = {
  ...usual,
  resampling: stored<ResamplingName>('bilinear, antialias', 'as transformers does for SigLIP 2'),
};

/** A tower without class token and norm before the blocks, which every CLIP has. */
const isBareTower = ({ tensors }: Found): boolean =>
  !tensors.has('cls_token') && !tensors.has('norm_pre.weight');

/** Says what a tower without its pooling head was taken for, if no configuration names it. */
function doubts({ tensors, checkpoint }: Found): readonly string[] {
  const told = tensors.has('attn_pool.latent') || imageConfig(checkpoint)?.modelType !== undefined;
  return told
    ? []
    : [
        'An image tower without class token and pooling head: SigLIP was assumed, whose activation is gelu_tanh; CLIP has quick_gelu or gelu. Neither is told by the weights.',
      ];
}

function recognise(found: Found): Recognised<PlainConfig> | undefined {
  const pooled = found.tensors.has('attn_pool.latent');
  if (!found.dialect.dualEncoder || !(pooled || isBareTower(found))) return undefined;
  const linear = found.tensors.get('patch_embed.proj.weight')?.shape.length === 2;
  const timm = found.dialect.name === 'open_clip';
  const tower = asImageTower(
    found,
    linear ? 'siglip2' : 'siglip',
    'half',
    timm ? {} : linear ? usualOfTwo : usual,
  );
  return tower && { ...tower, warnings: [...tower.warnings, ...doubts(found)] };
}

/**
 * Ends the tower as timm does, or as an image classifier over it: what `classifier` says of the
 * mean of the normed tokens (transformers, SiglipForImageClassification).
 */
function head(b: GraphBuilder, maps: TokenMaps, config: PlainConfig): void {
  if (!b.has('classifier.weight')) return plainAnswer(b, maps, config);
  const all = sequence(b, maps.tokens);
  answer(b, meanOfTokens(b, maps.tokens), all, 'classifier');
}

/**
 * SigLIP (Zhai et al. 2023) and SigLIP 2: an image tower without class token, pooled by attention.
 */
export const siglip: Family<PlainConfig, TokenMaps> = {
  name: 'siglip',
  title: 'SigLIP',
  names: [],
  assumable: plainAssumable,
  recognise,
  build: buildPlain,
  head,
};
