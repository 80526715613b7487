import { timmNames, type Dialect, type Rename } from '../dialect';

/** The cross attention's layers, named as those of other class attentions. */
const queriesKeysValues: Rename = [/^(.+\.fusion\..+\.attn)\.w([qkv])\.(.+)$/, '$1.$2.$3'];

const others: Rename = [/^((?!.*\.attn\.w[qkv]\.).+)$/, '$1'];

const signature = [
  /^blocks\.0\.fusion\.0\.(?:0\.)?attn\.wq\.weight$/,
  /^blocks\.0\.revert_projs\.0\.2\.weight$/,
];

/** CrossViT as timm and as its authors (IBM) name it. */
export const crossvitNames: readonly Dialect[] = [
  timmNames('crossvit', [...signature, /^pos_embed_0$/], { renames: [queriesKeysValues, others] }),
  timmNames('crossvit', [...signature, /^pos_embed\.0$/], {
    name: 'crossvit',
    title: 'CrossViT (IBM)',
    renames: [
      [/^(pos_embed|cls_token)\.([01])$/, '$1_$2'],
      queriesKeysValues,
      [/^((?!(?:pos_embed|cls_token)\.)(?!.*\.attn\.w[qkv]\.).+)$/, '$1'],
    ],
  }),
];
