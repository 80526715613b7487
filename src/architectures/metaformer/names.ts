import { timmNames, type Dialect, type Rename } from '../dialect';

/** A module of a PoolFormer block in transformers and its canonical name. */
function inBlock(from: string, to: string): Rename {
  return [new RegExp(`^encoder\\.block\\.(\\d+)\\.(\\d+)\\.${from}$`), `stages.$1.blocks.$2.${to}`];
}

/**
 * Hugging Face transformers: PoolFormer, which normalises the last map; timm normalises the
 * pooled vector.
 */
const transformersPoolFormer: Dialect = {
  name: 'transformers',
  title: 'Hugging Face transformers',
  families: ['metaformer'],
  prefix: /^poolformer\.(?=encoder\.)/,
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  signature: [
    /^encoder\.patch_embeddings\.0\.projection\.weight$/,
    /^encoder\.block\.0\.0\.before_norm\.weight$/,
  ],
  renames: [
    [/^encoder\.patch_embeddings\.0\.projection\.(weight|bias)$/, 'stem.conv.$1'],
    [/^encoder\.patch_embeddings\.([1-9]\d*)\.projection\.(weight|bias)$/, 'stages.$1.downsample.conv.$2'],
    inBlock('before_norm\\.(weight|bias)', 'norm1.$3'),
    inBlock('after_norm\\.(weight|bias)', 'norm2.$3'),
    inBlock('layer_scale_([12])', 'layer_scale$3.scale'),
    inBlock('output\\.conv([12])\\.(weight|bias)', 'mlp.fc$3.$4'),
    [/^norm\.(weight|bias)$/, 'norm.$1'],
    [/^classifier\.(weight|bias)$/, 'head.fc.$1'],
  ],
  modules: [[/^stages\.(\d+)\.blocks\.(\d+)/, 'encoder.block.$1.$2']],
};

/**
 * sail-sg/poolformer: stages and the downsamplings between them take turns in one list, and the
 * last map is normalised.
 */
const originalPoolFormer: Dialect = {
  name: 'poolformer',
  title: 'PoolFormer repository',
  families: ['metaformer'],
  prefix: /^backbone\.(?=patch_embed\.|network\.|norm)/,
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  signature: [/^patch_embed\.proj\.weight$/, /^network\.0\.0\.layer_scale_1$/, /^network\.1\.proj\.weight$/],
  renames: [
    [/^patch_embed\.proj\.(weight|bias)$/, 'stem.conv.$1'],
    ...[0, 1, 2, 3].flatMap((stage): readonly Rename[] => [
      [
        new RegExp(`^network\\.${2 * stage}\\.(\\d+)\\.((?:norm[12]|mlp\\.fc[12])\\..+)$`),
        `stages.${stage}.blocks.$1.$2`,
      ],
      [
        new RegExp(`^network\\.${2 * stage}\\.(\\d+)\\.layer_scale_([12])$`),
        `stages.${stage}.blocks.$1.layer_scale$2.scale`,
      ],
      [
        new RegExp(`^network\\.${2 * stage - 1}\\.proj\\.(weight|bias)$`),
        `stages.${stage}.downsample.conv.$1`,
      ],
    ]),
    // OpenMMLab, with the same names, counts the norm as the seventh entry of the list.
    [/^norm6?\.(weight|bias)$/, 'norm.$1'],
    [/^head\.(?:fc\.)?(weight|bias)$/, 'head.fc.$1'],
  ],
};

/**
 * sail-sg/metaformer: PoolFormerV2, ConvFormer and CAFormer, with linear layers at every position
 * of a map instead of 1 × 1 convolutions.
 */
const originalMetaFormer: Dialect = {
  name: 'metaformer',
  title: 'MetaFormer repository',
  families: ['metaformer'],
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-6,
  signature: [/^downsample_layers\.0\.conv\.weight$/, /^stages\.0\.0\.mlp\.fc1\.weight$/],
  renames: [
    [/^downsample_layers\.0\.conv\.(weight|bias)$/, 'stem.conv.$1'],
    [/^downsample_layers\.0\.post_norm\.weight$/, 'stem.norm.weight'],
    [/^downsample_layers\.([1-9])\.conv\.(weight|bias)$/, 'stages.$1.downsample.conv.$2'],
    [/^downsample_layers\.([1-9])\.pre_norm\.weight$/, 'stages.$1.downsample.norm.weight'],
    [/^stages\.(\d+)\.(\d+)\.(.+)$/, 'stages.$1.blocks.$2.$3'],
    [/^norm\.(weight|bias)$/, 'head.norm.$1'],
    [/^head\.((?:(?:fc1|norm|fc2)\.)?(?:weight|bias))$/, 'head.fc.$1'],
  ],
  modules: [[/^stages\.(\d+)\.blocks\.(\d+)$/, 'stages.$1.$2']],
};

/**
 * PoolFormer, ConvFormer and CAFormer as timm, transformers and the original repositories name
 * them.
 */
export const metaformerNames: readonly Dialect[] = [
  timmNames('metaformer', [
    /^stem\.conv\.weight$/,
    /^stages\.0\.blocks\.0\.mlp\.fc1\.weight$/,
    /^stages\.1\.downsample\.conv\.weight$/,
    /^stages\.0\.blocks\.0\.(?:layer_scale1\.scale|mlp\.act\.scale)$/,
  ]),
  transformersPoolFormer,
  originalPoolFormer,
  originalMetaFormer,
];
