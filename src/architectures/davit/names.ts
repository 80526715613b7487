import { timmNames, type Dialect, type Rename } from '../dialect';

/** dingmyu/davit. */
const original: Dialect = {
  name: 'davit',
  title: 'DaViT (dingmyu)',
  families: ['davit'],
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  signature: [/^patch_embeds\.0\.proj\.weight$/, /^main_blocks\.0\.0\.0\.cpe\.0\.proj\.weight$/],
  renames: [
    [/^patch_embeds\.0\.proj\.(.+)$/, 'stem.conv.$1'],
    [/^patch_embeds\.0\.norm\.(.+)$/, 'stem.norm.$1'],
    [/^patch_embeds\.([1-9]\d*)\.proj\.(.+)$/, 'stages.$1.downsample.conv.$2'],
    [/^patch_embeds\.([1-9]\d*)\.norm\.(.+)$/, 'stages.$1.downsample.norm.$2'],
    [/^main_blocks\.(\d+)\.(\d+\.[01])\.cpe\.0\.(.+)$/, 'stages.$1.blocks.$2.cpe1.$3'],
    [/^main_blocks\.(\d+)\.(\d+\.[01])\.cpe\.1\.(.+)$/, 'stages.$1.blocks.$2.cpe2.$3'],
    [/^main_blocks\.(\d+)\.(\d+\.[01]\.(?!cpe\.).+)$/, 'stages.$1.blocks.$2'],
    [/^norms\.(.+)$/, 'head.norm.$1'],
    [/^head\.(.+)$/, 'head.fc.$1'],
  ],
  modules: [[/^stages\.(\d+)\.blocks\.(\d+)\.([01])$/, 'main_blocks.$1.$2.$3']],
};

/** A part of a block of Florence-2's tower, which wraps most in a module of its own. */
const inFlorence = (from: string, to: string): Rename => [
  new RegExp(`^blocks\\.(\\d+)\\.(\\d+)\\.(spatial_block|channel_block)\\.${from}\\.`),
  `stages.$1.blocks.$2.$3.${to}.`,
];

/** microsoft/Florence-2's image tower, whole or alone. */
const florence: Dialect = {
  ...original,
  name: 'florence2',
  title: 'Florence-2 (microsoft)',
  signature: [
    /^convs\.0\.proj\.weight$/,
    /^blocks\.0\.0\.spatial_block\.window_attn\.fn\.qkv\.weight$/,
    /^blocks\.0\.0\.channel_block\.channel_attn\.fn\.qkv\.weight$/,
  ],
  renames: [
    [/^convs\.0\.proj\./, 'stem.conv.'],
    [/^convs\.0\.norm\./, 'stem.norm.'],
    [/^convs\.([1-9]\d*)\.proj\./, 'stages.$1.downsample.conv.'],
    [/^convs\.([1-9]\d*)\.norm\./, 'stages.$1.downsample.norm.'],
    inFlorence('(?:window_attn|channel_attn)\\.norm', 'norm1'),
    inFlorence('(?:window_attn|channel_attn)\\.fn', 'attn'),
    inFlorence('ffn\\.norm', 'norm2'),
    inFlorence('ffn\\.fn\\.net', 'mlp'),
    inFlorence('conv([12])\\.fn\\.dw', 'cpe$4.proj'),
    [/^norms\./, 'head.norm.'],
    [/^head\.(norm\.)?(weight|bias)$/, (_, norm = '', leaf = '') => `head.${norm || 'fc.'}${leaf}`],
  ],
  modules: [[/^stages\.(\d+)\.blocks\.(\d+)/, 'blocks.$1.$2']],
};

/** The same as transformers writes it. */
const transformersFlorence: Dialect = {
  ...florence,
  name: 'transformers',
  title: 'Hugging Face transformers',
  signature: [
    /^convs\.0\.conv\.weight$/,
    /^blocks\.0\.0\.spatial_block\.window_attn\.qkv\.weight$/,
    /^blocks\.0\.0\.channel_block\.channel_attn\.qkv\.weight$/,
  ],
  renames: [
    [/^convs\.0\.(conv|norm)\./, 'stem.$1.'],
    [/^convs\.([1-9]\d*)\.(conv|norm)\./, 'stages.$1.downsample.$2.'],
    inFlorence('(?:window_attn|channel_attn)', 'attn'),
    inFlorence('(norm[12])', '$4'),
    inFlorence('ffn', 'mlp'),
    inFlorence('conv([12])', 'cpe$4.proj'),
  ],
  modules: [
    [/^stages\.(\d+)\.blocks\.(\d+)\.spatial_block$/, 'blocks.$1.$2.spatial_block.window_attn'],
    [/^stages\.(\d+)\.blocks\.(\d+)\.channel_block$/, 'blocks.$1.$2.channel_block.channel_attn'],
  ],
};

/** Namings of Florence-2's image tower. */
export const florenceNames: readonly Dialect[] = [florence, transformersFlorence];

/** Dual Attention Vision Transformers. */
export const davitNames: readonly Dialect[] = [
  original,
  ...florenceNames,
  timmNames(
    'davit',
    [/^stem\.conv\.weight$/, /^stages\.0\.blocks\.0\.(?:0|spatial_block)\.cpe1\.proj\.weight$/],
    {
      eps: 1e-5,
    },
  ),
];
