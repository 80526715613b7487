import { asTokens, whole, type Dialect, type Layout, type Rename } from '../dialect';

// Vision Transformers as courses and tutorials write them, over torch.nn's own layers.

/** The tensor if it has so many axes. */
const ofRank =
  (rank: number): Layout =>
  (tensor) =>
    tensor.shape.length === rank ? [whole(tensor)] : [];

/** A class token or a table of positions, with or without axes of one. */
const tokens =
  (many: boolean): Layout =>
  (tensor) => {
    const leading = tensor.shape.slice(0, -1);
    const count = leading.reduce((product, side) => product * side, 1);
    const fits = tensor.shape.length >= 2 && leading.filter((side) => side !== 1).length <= 1;
    return fits && count > 1 === many ? asTokens(tensor) : [];
  };

const row = (from: string, to: string): Rename => [new RegExp(`^${from}\\.(weight|bias)$`), to];

/** mrdbourke/pytorch-deep-learning, "PyTorch Paper Replicating". */
export const learnPytorch: Dialect = {
  name: 'learnpytorch',
  title: 'learnpytorch.io (paper replicating)',
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  territory: /^(?:patch_embedding|transformer_encoder|classifier)\./,
  signature: [
    /^patch_embedding\.patcher\.weight$/,
    /^transformer_encoder\.0\.msa_block\.multihead_attn\.in_proj_weight$/,
  ],
  renames: [
    [/^class_embedding$/, 'cls_token'],
    [/^position_embedding$/, 'pos_embed'],
    row('patch_embedding\\.patcher', 'patch_embed.proj.$1'),
    row('transformer_encoder\\.(\\d+)\\.msa_block\\.layer_norm', 'blocks.$1.norm1.$2'),
    row('transformer_encoder\\.(\\d+)\\.msa_block\\.multihead_attn\\.out_proj', 'blocks.$1.attn.proj.$2'),
    [
      /^transformer_encoder\.(\d+)\.msa_block\.multihead_attn\.in_proj_(weight|bias)$/,
      'blocks.$1.attn.qkv.$2',
    ],
    row('transformer_encoder\\.(\\d+)\\.mlp_block\\.layer_norm', 'blocks.$1.norm2.$2'),
    row('transformer_encoder\\.(\\d+)\\.mlp_block\\.mlp\\.0', 'blocks.$1.mlp.fc1.$2'),
    row('transformer_encoder\\.(\\d+)\\.mlp_block\\.mlp\\.3', 'blocks.$1.mlp.fc2.$2'),
    row('classifier\\.0', 'fc_norm.$1'),
    row('classifier\\.1', 'head.$1'),
  ],
  modules: [[/^blocks\.(\d+)$/, 'transformer_encoder.$1.msa_block']],
  habits: {
    activation: ['gelu', 'default of learnpytorch.io'],
    pool: ['token', 'default of learnpytorch.io'],
  },
};

/** A linear layer over patches flattened channel by channel is a convolution's kernel. */
const channelsFirst: Layout = (tensor) => {
  const [dim = 0, width = 0] = tensor.shape;
  const side = Math.sqrt(width / 3);
  if (tensor.shape.length !== 2 || !Number.isInteger(side)) return [];
  return [whole(tensor, [dim, 3, side, side])];
};

/** phlippe/uvadlc_notebooks, tutorial 15. */
export const uvadlc: Dialect = {
  name: 'uvadlc',
  title: 'UvA deep learning course, tutorial 15',
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  territory: /^(?:input_layer|transformer|mlp_head)\./,
  signature: [
    /^input_layer\.weight$/,
    /^transformer\.0\.attn\.in_proj_weight$/,
    /^transformer\.0\.layer_norm_1\.weight$/,
  ],
  renames: [
    [/^cls_token$/, 'cls_token'],
    [/^pos_embedding$/, 'pos_embed'],
    [/^input_layer\.weight$/, 'patch_embed.proj.weight', channelsFirst],
    [/^input_layer\.bias$/, 'patch_embed.proj.bias'],
    row('transformer\\.(\\d+)\\.layer_norm_1', 'blocks.$1.norm1.$2'),
    row('transformer\\.(\\d+)\\.layer_norm_2', 'blocks.$1.norm2.$2'),
    [/^transformer\.(\d+)\.attn\.in_proj_(weight|bias)$/, 'blocks.$1.attn.qkv.$2'],
    row('transformer\\.(\\d+)\\.attn\\.out_proj', 'blocks.$1.attn.proj.$2'),
    row('transformer\\.(\\d+)\\.linear\\.0', 'blocks.$1.mlp.fc1.$2'),
    row('transformer\\.(\\d+)\\.linear\\.3', 'blocks.$1.mlp.fc2.$2'),
    row('mlp_head\\.0', 'fc_norm.$1'),
    row('mlp_head\\.1', 'head.$1'),
  ],
  modules: [[/^blocks\.(\d+)$/, 'transformer.$1']],
  habits: {
    activation: ['gelu', 'default of the tutorial'],
    pool: ['token', 'default of the tutorial'],
  },
};

/** tintn/vision-transformer-from-scratch, with its fused attention. */
export const fromScratch: Dialect = {
  name: 'vit-from-scratch',
  title: 'vision-transformer-from-scratch (tintn)',
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  territory: /^(?:embedding|encoder)\./,
  signature: [
    /^embedding\.patch_embeddings\.projection\.weight$/,
    /^encoder\.blocks\.0\.attention\.qkv_projection\.weight$/,
  ],
  renames: [
    [/^embedding\.cls_token$/, 'cls_token'],
    [/^embedding\.position_embeddings$/, 'pos_embed'],
    row('embedding\\.patch_embeddings\\.projection', 'patch_embed.proj.$1'),
    row('encoder\\.blocks\\.(\\d+)\\.attention\\.qkv_projection', 'blocks.$1.attn.qkv.$2'),
    row('encoder\\.blocks\\.(\\d+)\\.attention\\.output_projection', 'blocks.$1.attn.proj.$2'),
    row('encoder\\.blocks\\.(\\d+)\\.layernorm_1', 'blocks.$1.norm1.$2'),
    row('encoder\\.blocks\\.(\\d+)\\.layernorm_2', 'blocks.$1.norm2.$2'),
    row('encoder\\.blocks\\.(\\d+)\\.mlp\\.dense_1', 'blocks.$1.mlp.fc1.$2'),
    row('encoder\\.blocks\\.(\\d+)\\.mlp\\.dense_2', 'blocks.$1.mlp.fc2.$2'),
    row('classifier', 'head.$1'),
  ],
  modules: [[/^blocks\.(\d+)$/, 'encoder.blocks.$1']],
  habits: {
    activation: ['gelu_tanh', 'default of vision-transformer-from-scratch'],
    pool: ['token', 'default of vision-transformer-from-scratch'],
  },
};

/** Words that people have for the parts around torch's layers. */
const words = {
  token: '(?:\\w+\\.)*\\w*(?:cls|class)\\w*',
  table: '(?:\\w+\\.)*\\w*pos\\w*?(?:\\.(?:weight|pos_?\\w*|pe))?',
  patches: '(?:\\w+\\.)*\\w*(?:patch|conv|proj|embed|stem|input)\\w*(?:\\.\\d+)?',
  norm: '(?:\\w+\\.)*(?:norm|ln|layer_?norm|final_?norm|post_?norm|norm_?f|ln_?f|encoder_?norm)',
  head: '(?:\\w+\\.)*(?:\\w*head|fc\\w*|\\w*classifier|linear\\w*|out(?:put)?\\w*)',
} as const;

/** What surrounds a list of torch's layers, none of whose names contains `inside`. */
const around = (inside: string): readonly Rename[] => {
  const outside = `^(?!${inside})`;
  const named = (name: string, leaf: string): RegExp => new RegExp(`${outside}${name}${leaf}$`);
  return [
    [named(words.token, ''), 'cls_token', tokens(false)],
    [named(words.table, ''), 'pos_embed', tokens(true)],
    [named(`(?!.*pos)${words.patches}`, '\\.weight'), 'patch_embed.proj.weight', ofRank(4)],
    [named(`(?!.*pos)(?!.*norm)${words.patches}`, '\\.bias'), 'patch_embed.proj.bias', ofRank(1)],
    [named(words.norm, '\\.(weight|bias)'), 'norm.$1', ofRank(1)],
    [named(words.head, '\\.weight'), 'head.weight', ofRank(2)],
    [named(words.head, '\\.bias'), 'head.bias', ofRank(1)],
    [named(words.head, '\\.0\\.(weight|bias)'), 'fc_norm.$1', ofRank(1)],
    [named(words.head, '\\.1\\.weight'), 'head.weight', ofRank(2)],
    [named(words.head, '\\.1\\.bias'), 'head.bias', ofRank(1)],
  ];
};

const untold = 'assumed';

/** Where the layers of an nn.TransformerEncoder stand: `transformer.layers.0`, `encoder.0`. */
const encoderLayer = '(?:\\w+\\.)*?(?:layers\\.)?\\d+\\.';
const inEncoder = (from: string, to: string): Rename => [
  new RegExp(`^(?:\\w+\\.)*?(\\d+)\\.${from}(weight|bias)$`),
  `blocks.$1.${to}.$2`,
];

/**
 * Over nn.TransformerEncoderLayer, whatever the parts around it are called. Its norms stand behind
 * the sums and its activation is ReLU unless whoever writes it says otherwise, which no file tells.
 */
export const torchEncoder: Dialect = {
  name: 'torch-encoder',
  closed: true,
  title: 'torch.nn.TransformerEncoderLayer',
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  signature: [
    new RegExp(`^${encoderLayer}self_attn\\.in_proj_weight$`),
    new RegExp(`^${encoderLayer}linear1\\.weight$`),
  ],
  absent: [/\.multihead_attn\./, /\.cross_attn\./],
  renames: [
    inEncoder('self_attn\\.in_proj_', 'attn.qkv'),
    inEncoder('self_attn\\.out_proj\\.', 'attn.proj'),
    inEncoder('linear1\\.', 'mlp.fc1'),
    inEncoder('linear2\\.', 'mlp.fc2'),
    inEncoder('norm1\\.', 'norm1'),
    inEncoder('norm2\\.', 'norm2'),
    ...around(`${encoderLayer}(?:self_attn|linear|norm)`),
  ],
  habits: {
    activation: ['relu', 'default of nn.TransformerEncoderLayer', untold],
    norm_order: (names) =>
      names.has('norm.weight')
        ? ['pre', 'there is a norm behind the blocks, as models with norm_first=True have', untold]
        : ['after', 'default of nn.TransformerEncoderLayer, norm_first=False', untold],
    pool: ['token', 'there is a class token', untold],
    pool_prefix: [true, 'the mean is that of all tokens', untold],
  },
};

/** Where a block over nn.MultiheadAttention stands, and its attention in it. */
const block = '(?:\\w+\\.)*?(\\d+)\\.(?:\\w+\\.)*?';
const attention = '\\w*(?:attn|attention|mha|msa)\\w*';
const firstNorm = '(?:\\w*norm_?1|ln_?1|\\w*att\\w*norm|norm_att\\w*)';
const secondNorm = '(?:\\w*norm_?2|ln_?2|(?:mlp|ff\\w*)_?norm|norm_(?:mlp|ff\\w*))';
const mlp = '(?:mlp|ffn?|feed_?forward|linear|net)';
const inBlock = (from: string, to: string): Rename => [
  new RegExp(`^${block}${from}(?<leaf>weight|bias)$`),
  `blocks.$1.${to}.$<leaf>`,
];

/** Over nn.MultiheadAttention in blocks of one's own, with norms and MLPs of the usual names. */
export const torchAttention: Dialect = {
  name: 'torch-attention',
  closed: true,
  title: 'torch.nn.MultiheadAttention',
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  signature: [
    new RegExp(`^${block}${attention}\\.in_proj_weight$`),
    new RegExp(`^${block}${firstNorm}\\.weight$`),
    new RegExp(`^${block}${secondNorm}\\.weight$`),
  ],
  absent: [/\.\d+\.linear1\.weight$/, /cross_attn\./, /\.resblocks\./, /^conv_proj\./],
  renames: [
    inBlock(`${attention}\\.in_proj_`, 'attn.qkv'),
    inBlock(`${attention}\\.out_proj\\.`, 'attn.proj'),
    inBlock(`${firstNorm}\\.`, 'norm1'),
    inBlock(`${secondNorm}\\.`, 'norm2'),
    inBlock(`${mlp}(?:\\.\\w+)?\\.(?:0|fc1|linear1)\\.`, 'mlp.fc1'),
    inBlock(`${mlp}(?:\\.\\w+)?\\.(?:2|3|fc2|linear2)\\.`, 'mlp.fc2'),
    ...around(`(?:\\w+\\.)*?\\d+\\.(?:\\w+\\.)*?(?:${attention}|${firstNorm}|${secondNorm}|${mlp})\\.`),
  ],
  holders: [[/^(blocks\.\d+)$/, '$1.attn.qkv.weight']],
  habits: {
    activation: ['gelu', 'as most write it', untold],
    norm_order: () => ['pre', 'norms come first in nearly every model', untold],
    pool: ['token', 'there is a class token', untold],
    pool_prefix: [true, 'the mean is that of all tokens', untold],
  },
};
