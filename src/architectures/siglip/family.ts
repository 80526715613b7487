import type { TokenMaps } from '../blocks/stages';
import type { Family } from '../family';
import { asImageTower, buildPlain, plainAssumable } from '../groups/plain';
import type { PlainConfig } from '../groups/plainConfig';
import { plainAnswer } from '../heads/tokens';

/**
 * SigLIP (Zhai et al. 2023) and SigLIP 2: an image tower without class token, pooled by attention.
 */
export const siglip: Family<PlainConfig, TokenMaps> = {
  name: 'siglip',
  title: 'SigLIP',
  names: [],
  assumable: plainAssumable,
  recognise(found) {
    if (!found.dialect.dualEncoder || !found.tensors.has('attn_pool.latent')) return undefined;
    const linear = found.tensors.get('patch_embed.proj.weight')?.shape.length === 2;
    return asImageTower(found, linear ? 'siglip2' : 'siglip', 'half');
  },
  build: buildPlain,
  head: plainAnswer,
};
