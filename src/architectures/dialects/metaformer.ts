import { timmNames, type Dialect, type Rename } from './dialect';

/** A module of a PoolFormer block in transformers and its canonical name. */
function inBlock(from: string, to: string): Rename {
  return [new RegExp(`^encoder\\.block\\.(\\d+)\\.(\\d+)\\.${from}$`), `stages.$1.blocks.$2.${to}`];
}

/** Hugging Face transformers: PoolFormer, which normalises the last map where timm normalises the pooled vector. */
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

/** PoolFormer, ConvFormer and CAFormer as timm and as transformers name them. */
export const metaformerDialects: readonly Dialect[] = [
  timmNames('metaformer', [
    /^stem\.conv\.weight$/,
    /^stages\.0\.blocks\.0\.mlp\.fc1\.weight$/,
    /^stages\.1\.downsample\.conv\.weight$/,
    /^stages\.0\.blocks\.0\.(?:layer_scale1\.scale|mlp\.act\.scale)$/,
  ]),
  transformersPoolFormer,
];
