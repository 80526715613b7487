import type { Dialect } from '../dialect';
import { transformers, transformers5 } from '../libraries/transformers';

/** YOLOS as transformers names it: a plain transformer with detection tokens. */
export const yolosNames: readonly Dialect[] = [transformers5, transformers].map((inner) => ({
  ...inner,
  families: ['yolos'],
  prefix: undefined,
  signature: [...inner.signature, /^embeddings\.detection_tokens$/],
  renames: [
    [/^embeddings\.detection_tokens$/, 'det_token'],
    [/^encoder\.mid_position_embeddings$/, 'mid_pos_embed'],
    [/^encoder\.interpolation\.mid_position_embeddings$/, 'mid_pos_embed'],
    ...inner.renames,
  ],
}));
