import type { Dialect } from '../dialect';
import { timmNames, timmTerritory } from './timm';

/** facebookresearch/mae: timm's names for the encoder, `decoder_*` beside them. */
export const mae: Dialect = {
  name: 'mae',
  title: 'MAE repository',
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-6,
  territory: timmTerritory,
  signature: [/^patch_embed\.proj\.weight$/, /^decoder_blocks\.0\./],
  renames: [...timmNames, [/^decoder_(.+)$/, 'decoder.$1']],
};
