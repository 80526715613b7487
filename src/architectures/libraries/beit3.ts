import { whole, type Dialect, type Layout, type Rename } from '../dialect';

/** Rows of a table from the third on: the first two are of fairseq's padding. */
const behindPadding: Layout = (tensor) => {
  const [rows = 0, width = 0] = tensor.shape;
  return [{ ...whole(tensor, [1, rows - 2, width]), first: 2 * width }];
};

const inLayer = (from: string, to: string): Rename => [
  new RegExp(`^(?:beit3\\.)?encoder\\.layers\\.(\\d+)\\.${from}\\.(?<leaf>weight|bias)$`),
  `blocks.$1.${to}.$<leaf>`,
];

/** microsoft/unilm's BEiT-3: A is the expert of images, B that of words, which counts. */
export const beit3: Dialect = {
  name: 'beit3',
  title: 'BEiT-3 (microsoft)',
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  territory: /^(?:beit3\.)?(?:encoder|vision_embed)\./,
  signature: [
    /^(?:beit3\.)?vision_embed\.proj\.weight$/,
    /^(?:beit3\.)?encoder\.layers\.0\.self_attn\.q_proj\.A\.weight$/,
  ],
  renames: [
    [/^(?:beit3\.)?vision_embed\.cls_token$/, 'cls_token'],
    [/^(?:beit3\.)?vision_embed\.mask_token$/, 'mask_token'],
    [/^(?:beit3\.)?vision_embed\.proj\.(weight|bias)$/, 'patch_embed.proj.$1'],
    [/^(?:beit3\.)?encoder\.embed_positions\.A\.weight$/, 'pos_embed', behindPadding],
    inLayer('self_attn\\.([qkv]_proj)\\.A', 'attn.$2'),
    inLayer('self_attn\\.out_proj\\.A', 'attn.proj'),
    inLayer('self_attn\\.inner_attn_ln\\.A', 'attn.norm'),
    inLayer('self_attn_layer_norm\\.A', 'norm1'),
    inLayer('final_layer_norm\\.A', 'norm2'),
    inLayer('ffn\\.A\\.(fc[12])', 'mlp.$2'),
    inLayer('ffn\\.A\\.ffn_layernorm', 'mlp.norm'),
    [/^(?:beit3\.)?encoder\.layer_norm\.A\.(weight|bias)$/, 'norm.$1'],
    [/^(.+\.B\..+|(?:beit3\.)?text_embed\..+)$/, 'beside.$1'],
    [/^(fc_norm|head)\.(weight|bias)$/, '$1.$2'],
  ],
  modules: [[/^blocks\.(\d+)$/, 'encoder.layers.$1.self_attn']],
};
