import type { GraphBuilder } from '../../graph/builder';
import { maybeNorm } from '../blocks/layers';
import { sequence } from '../blocks/maps';
import { tokenAt } from '../blocks/specialTokens';
import type { BuildOptions, Family, Found, Recognised } from '../family';
import { numberOf } from '../figures';
import { asImageTower, buildPlain, encode, plainAssumable } from '../groups/plain';
import { clipNames } from './names';

/** Label of a dual encoder: whose text tower is BERT's is none of OpenAI's. */
function labelOf({ tensors }: Found): string {
  return tensors.has('text.text_model.embeddings.word_embeddings.weight') ? 'dual-encoder' : 'clip';
}

/**
 * The last norm sees the class token alone, and the projection to the joint space follows (Radford et al. 2021, §2.4).
 * Beside a text tower the projection belongs to the comparison with a text, not to the image tower.
 */
function buildTower(b: GraphBuilder, recognised: Recognised, options: BuildOptions): void {
  const tokens = encode(b, recognised, options);
  const features = maybeNorm(b, tokenAt(b, tokens, 0), 'norm', numberOf(recognised.evidence, 'eps'));
  if (b.has('projection.weight') && !b.has('logit_scale'))
    b.output('image_embeds', b.linear(features, 'projection'), 'features');
  b.output('features', features, 'features');
  b.output('tokens', sequence(b, tokens), 'tokens');
}

/** CLIP (Radford et al. 2021): the image tower of a dual encoder. Over a timm trunk, the tower is timm's with its head as the projection. */
export const clip: Family<Recognised, void> = {
  name: 'clip',
  title: 'CLIP',
  names: clipNames,
  assumable: plainAssumable,
  recognise: (evidences) =>
    evidences.dialect.dualEncoder && !evidences.tensors.has('attn_pool.latent')
      ? asImageTower(evidences, labelOf(evidences), 'clip')
      : undefined,
  build: (b, recognised, options) => (b.has('head.weight') ? buildPlain : buildTower)(b, recognised, options),
};
