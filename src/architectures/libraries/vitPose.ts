import { whole, type Dialect, type Layout, type Rename } from '../dialect';
import { timmNames, timmTerritory } from './timm';
import { transformers } from './transformers';

/** Row 0 of a table `[1, 1 + patches, dim]`. */
const firstRow: Layout = (tensor) => [whole(tensor, [1, 1, tensor.shape.at(-1) ?? 0])];

/** The other rows. */
const otherRows: Layout = (tensor) => {
  const [, count = 0, dim = 0] = tensor.shape;
  return [{ ...whole(tensor, [1, count - 1, dim]), first: dim }];
};

/** A table whose first row, once a class token's, is added to every patch. */
const sharedRow = (name: RegExp): readonly Rename[] => [
  [name, 'pos_shared', firstRow],
  [name, 'pos_embed', otherRows],
];

const without = (renames: readonly Rename[], canonical: string): readonly Rename[] =>
  renames.filter(([from]) => !from.test(canonical));

/**
 * ViTAE-Transformer/ViTPose (Xu et al. 2022): timm's names, no class token, the norm behind the
 * blocks as `last_norm`.
 */
export const vitPose: Dialect = {
  name: 'vitpose',
  title: 'ViTPose repository',
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-6,
  territory: timmTerritory,
  signature: [/^patch_embed\.proj\.weight$/, /^blocks\.0\./, /^last_norm\.weight$/],
  absent: [/^cls_token$/],
  renames: [
    [/^patch_embed\.proj\.(weight|bias)$/, 'patch_embed.proj.$1'],
    ...sharedRow(/^pos_embed$/),
    [/^last_norm\.(weight|bias)$/, 'norm.$1'],
    ...without(timmNames, 'pos_embed').filter(([from]) => from.test('blocks.0.norm1.weight')),
  ],
  habits: {
    activation: ['gelu', 'default of the ViTPose repository'],
    padding: [0, 'the file does not tell; the ViTPose repository itself pads by 2 pixels', 'assumed'],
  },
};

/** The same in transformers: VitPoseBackbone, which pads by two pixels. */
export const transformersVitPose: Dialect = {
  ...transformers,
  name: 'transformers-vitpose',
  prefix: undefined,
  signature: transformers.signature,
  absent: [/^embeddings\.(?:cls_token|register_tokens|distillation_token)$/, /^pooler\./],
  renames: [
    ...sharedRow(/^embeddings\.position_embeddings$/),
    ...without(transformers.renames, 'embeddings.position_embeddings'),
  ],
  habits: { padding: [2, 'as transformers builds ViTPose'] },
};
