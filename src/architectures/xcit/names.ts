import { asNamed, rows, timmNames, type Dialect, type Layout, type Rename } from '../dialect';

const layerScale: Rename = [/^((?:cls_attn_)?blocks\.\d+)\.gamma([123])$/, '$1.ls$2.gamma'];

/** Channel attention has a temperature per head. */
const signature = [/^blocks\.0\.local_mp\.conv1\.weight$/, /^blocks\.0\.attn\.temperature$/];

/** Part of the layer that the authors have for queries, keys and values of all tokens. */
const fused = (part: string, layout: Layout): Rename => [
  /^(cls_attn_blocks\.\d+\.attn)\.qkv\.(weight|bias)$/,
  `$1.${part}.$2`,
  layout,
];

/** XCiT as timm names it, and as its authors do. */
export const xcitNames: readonly Dialect[] = [
  timmNames('xcit', [...signature, /^cls_attn_blocks\.0\.attn\.q\.weight$/], {
    renames: [layerScale, asNamed],
  }),
  timmNames('xcit', [...signature, /^cls_attn_blocks\.0\.attn\.qkv\.weight$/], {
    name: 'xcit',
    title: 'facebookresearch/xcit',
    renames: [
      [/^pos_embeder\.(.+)$/, 'pos_embed.$1'],
      fused('q', rows(0, 3)),
      fused('kv', rows(1, 3, 2)),
      layerScale,
      asNamed,
    ],
  }),
];
