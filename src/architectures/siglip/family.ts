import type { Family, Recognised } from '../family';
import { asImageTower, buildPlain, plainAssumable } from '../groups/plain';

/** SigLIP (Zhai et al. 2023) and SigLIP 2: an image tower without class token, pooled by attention. */
export const siglip: Family<Recognised, void> = {
  name: 'siglip',
  title: 'SigLIP',
  names: [],
  assumable: plainAssumable,
  recognise(evidences) {
    if (!evidences.dialect.dualEncoder || !evidences.tensors.has('attn_pool.latent')) return undefined;
    const linear = evidences.tensors.get('patch_embed.proj.weight')?.shape.length === 2;
    return asImageTower(evidences, linear ? 'siglip2' : 'siglip', 'half');
  },
  build: buildPlain,
};
