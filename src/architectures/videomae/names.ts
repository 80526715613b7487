import type { Dialect, Rename } from '../dialect';
import { transformers, transformers5 } from '../libraries/transformers';

/** Queries and values have biases beside their matrices, keys have none. */
const biases: readonly Rename[] = [
  [/^encoder\.layer\.(\d+)\.attention\.attention\.([qv])_bias$/, 'blocks.$1.attn.$2_proj.bias'],
];

const ported = (inner: Dialect): Dialect => ({
  ...inner,
  families: ['videomae'],
  prefix: /^videomae\.(?=embeddings\.)/,
  absent: [/^embeddings\.cls_token$/],
  renames: [
    ...biases,
    ...inner.renames,
    [/^fc_norm\.(weight|bias)$/, 'fc_norm.$1'],
    [/^(mask_token|encoder_to_decoder\..+)$/, 'beside.$1'],
  ],
});

/** transformers' VideoMAE: a plain transformer without a class token. */
export const videoMaeNames: readonly Dialect[] = [transformers5, transformers].map(ported);
