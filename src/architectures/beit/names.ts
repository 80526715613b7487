import { timmNames, type Dialect, type Rename } from '../dialect';
import { inLayer as inOpenMmlab, openMmlab, plainRows } from '../libraries/openMmlab';

const table = /^(?:blocks\.0\.attn|rel_pos_bias)\.relative_position_bias_table$/;
const blocks = /^blocks\.0\.gamma_1$/;

function inLayer(from: string, to: string): Rename {
  return [
    new RegExp(`^encoder\\.layer\\.(\\d+)\\.${from}\\.(?<leaf>weight|bias)$`),
    `blocks.$1.${to}.$<leaf>`,
  ];
}

/** Hugging Face transformers: BEiT and Data2Vec-vision, whose names are the same. */
const transformersBeit: Dialect = {
  name: 'transformers',
  title: 'Hugging Face transformers',
  prefix: /^(?:beit|data2vec_vision)\.(?=embeddings\.|encoder\.)/,
  families: ['beit'],
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-12,
  signature: [
    /^embeddings\.patch_embeddings\.projection\.weight$/,
    /^encoder\.layer\.0\.lambda_1$/,
    /^encoder\.(?:layer\.0\.attention\.attention\.)?relative_position_bias\./,
  ],
  renames: [
    [/^embeddings\.(cls_token|mask_token)$/, '$1'],
    [/^embeddings\.position_embeddings$/, 'pos_embed'],
    [/^embeddings\.patch_embeddings\.projection\.(weight|bias)$/, 'patch_embed.proj.$1'],
    [/^encoder\.relative_position_bias\.(relative_position_bias_table)$/, 'rel_pos_bias.$1'],
    [
      /^encoder\.layer\.(\d+)\.attention\.attention\.relative_position_bias\.(relative_position_bias_table)$/,
      'blocks.$1.attn.$2',
    ],
    inLayer('attention\\.attention\\.query', 'attn.q_proj'),
    inLayer('attention\\.attention\\.key', 'attn.k_proj'),
    inLayer('attention\\.attention\\.value', 'attn.v_proj'),
    inLayer('attention\\.output\\.dense', 'attn.proj'),
    inLayer('layernorm_before', 'norm1'),
    inLayer('layernorm_after', 'norm2'),
    inLayer('intermediate\\.dense', 'mlp.fc1'),
    inLayer('output\\.dense', 'mlp.fc2'),
    [/^encoder\.layer\.(\d+)\.lambda_([12])$/, 'blocks.$1.gamma_$2'],
    [/^pooler\.layernorm\.(weight|bias)$/, 'fc_norm.$1'],
    [/^layernorm\.(weight|bias)$/, 'norm.$1'],
    [/^classifier\.(weight|bias)$/, 'head.$1'],
    [/^lm_head\.(weight|bias)$/, 'lm_head.$1'],
  ],
  modules: [[/^blocks\.(\d+)$/, 'encoder.layer.$1.attention']],
};

const ownTable = /^layers\.(\d+)\.relative_position_bias\.(relative_position_bias_table)$/;
const sharedTable = /^shared_position_bias\.(relative_position_bias_table)$/;

function inLayer5(from: string, to: string): Rename {
  return [new RegExp(`^layers\\.(\\d+)\\.${from}\\.(?<leaf>weight|bias)$`), `blocks.$1.${to}.$<leaf>`];
}

/** BEiT under the names that transformers 5 holds in memory. */
const transformers5Beit: Dialect = {
  ...transformersBeit,
  inner: transformersBeit,
  name: 'transformers-5',
  title: 'Hugging Face transformers 5',
  prefix: /^beit\.(?=embeddings\.|layers\.)/,
  signature: [
    /^embeddings\.patch_embeddings\.projection\.weight$/,
    /^layers\.0\.lambda_1$/,
    new RegExp(`${ownTable.source}|${sharedTable.source}`),
  ],
  renames: [
    ...transformersBeit.renames.filter(([from]) => !from.source.startsWith('^encoder')),
    [ownTable, 'blocks.$1.attn.$2'],
    [sharedTable, 'rel_pos_bias.$1'],
    inLayer5('attention\\.([qkv]_proj)', 'attn.$2'),
    inLayer5('attention\\.o_proj', 'attn.proj'),
    inLayer5('layernorm_before', 'norm1'),
    inLayer5('layernorm_after', 'norm2'),
    inLayer5('(mlp\\.fc[12])', '$2'),
    [/^layers\.(\d+)\.lambda_([12])$/, 'blocks.$1.gamma_$2'],
  ],
  modules: [[/^blocks\.(\d+)$/, 'layers.$1.attention']],
};

/** microsoft/unilm: timm's names, with the index of the positions kept beside each table. */
const unilm: Dialect = timmNames('beit', [table, blocks, /\.relative_position_index$/], {
  name: 'beit',
  title: 'BEiT (microsoft/unilm)',
});

/** OpenMMLab: BEiTViT with tables of relative positions. */
const mmpretrain: Dialect = {
  ...openMmlab,
  families: ['beit'],
  eps: 1e-6,
  signature: [
    /^patch_embed\.projection\.weight$/,
    /^layers\.0\.ffn\.layers\.0\.0\.weight$/,
    /^(?:layers\.0\.attn|rel_pos_bias)\.relative_position_bias_table$/,
  ],
  renames: [
    ...plainRows,
    [/^layers\.(\d+)\.gamma_([12])$/, 'blocks.$1.gamma_$2'],
    [/^layers\.(\d+)\.attn\.([qv]_bias|relative_position_bias_table)$/, 'blocks.$1.attn.$2'],
    inOpenMmlab('attn\\.qkv', 'attn.qkv'),
    inOpenMmlab('attn\\.proj', 'attn.proj'),
    [/^rel_pos_bias\.relative_position_bias_table$/, '$&'],
  ],
  modules: [[/^blocks\.(\d+)$/, 'layers.$1']],
};

/** Namings of BEiT, BEiT v2 and Data2Vec-vision. */
export const beitNames: readonly Dialect[] = [
  transformersBeit,
  transformers5Beit,
  unilm,
  timmNames('beit', [table, blocks]),
  mmpretrain,
];
