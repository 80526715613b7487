import { asNamed, timmNames, type Dialect, type Rename } from '../dialect';

const block = 'encoder\\.layer\\.(\\d+)\\.';
const inBlock = (from: string, to: string): Rename => [
  new RegExp(`^${block}${from}\\.(weight|bias)$`),
  `blocks.$1.${to}.$2`,
];

/** transformers' names for what the original repository calls by timm's. */
const transformersTimesformer: Dialect = {
  name: 'transformers',
  title: 'Hugging Face transformers',
  families: ['timesformer'],
  prefix: /^timesformer\.(?=embeddings\.)/,
  resampling: ['bicubic', 'bicubic, antialias'],
  eps: 1e-6,
  signature: [
    /^embeddings\.patch_embeddings\.projection\.weight$/,
    /^embeddings\.time_embeddings$/,
    /^encoder\.layer\.0\.temporal_attention\.attention\.qkv\.weight$/,
  ],
  renames: [
    [/^embeddings\.cls_token$/, 'cls_token'],
    [/^embeddings\.position_embeddings$/, 'pos_embed'],
    [/^embeddings\.time_embeddings$/, 'time_embed'],
    [/^embeddings\.patch_embeddings\.projection\.(weight|bias)$/, 'patch_embed.proj.$1'],
    inBlock('temporal_layernorm', 'temporal_norm1'),
    inBlock('temporal_attention\\.attention\\.qkv', 'temporal_attn.qkv'),
    inBlock('temporal_attention\\.output\\.dense', 'temporal_attn.proj'),
    inBlock('temporal_dense', 'temporal_fc'),
    inBlock('layernorm_before', 'norm1'),
    inBlock('attention\\.attention\\.qkv', 'attn.qkv'),
    inBlock('attention\\.output\\.dense', 'attn.proj'),
    inBlock('layernorm_after', 'norm2'),
    inBlock('intermediate\\.dense', 'mlp.fc1'),
    inBlock('output\\.dense', 'mlp.fc2'),
    [/^layernorm\.(weight|bias)$/, 'norm.$1'],
    [/^classifier\.(weight|bias)$/, 'head.$1'],
  ],
  modules: [
    [/^blocks\.(\d+)\.temporal_attn$/, 'encoder.layer.$1.temporal_attention'],
    [/^blocks\.(\d+)\.attn$/, 'encoder.layer.$1.attention'],
  ],
};

/** The original repository's names, which are timm's with `temporal_…` beside. */
const original: Dialect = timmNames(
  'timesformer',
  [/^time_embed$/, /^blocks\.0\.temporal_attn\.qkv\.weight$/],
  {
    name: 'timesformer',
    title: 'TimeSformer repository',
    eps: 1e-6,
    renames: [asNamed],
  },
);

export const timesformerNames: readonly Dialect[] = [transformersTimesformer, original];
