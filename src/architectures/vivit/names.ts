import type { Dialect } from '../dialect';
import { transformers, transformers5 } from '../libraries/transformers';

const ported = (inner: Dialect): Dialect => ({
  ...inner,
  families: ['vivit'],
  prefix: /^vivit\.(?=embeddings\.)/,
  eps: 1e-6,
  // Of the plain transformers' names, with a token in front and positions of a clip.
  signature: [...inner.signature, /^embeddings\.cls_token$/, /^embeddings\.position_embeddings$/],
});

/** transformers' ViViT: names like a plain transformer's. */
export const vivitNames: readonly Dialect[] = [transformers5, transformers].map(ported);
