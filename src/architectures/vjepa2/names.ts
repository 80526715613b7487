import type { Dialect, Rename } from '../dialect';

const layer = '^encoder\\.layer\\.(\\d+)\\.';
const inLayer = (from: string, to: string): Rename => [
  new RegExp(`${layer}${from}\\.(weight|bias)$`),
  `blocks.$1.${to}.$2`,
];

/** Modules of the attentive pooler, `pooler.self_attention_layers.0.` and the cross-attention. */
const inPooler = (from: string, to: string): readonly Rename[] => [
  [new RegExp(`^pooler\\.self_attention_layers\\.(\\d+)\\.${from}\\.(weight|bias)$`), `pooler.$1.${to}.$2`],
  [new RegExp(`^pooler\\.cross_attention_layer\\.${from}\\.(weight|bias)$`), `pooler.cross.${to}.$1`],
];

/** V-JEPA 2 as transformers names it; a predictor of pretraining lies beside it. */
export const vjepa2Names: readonly Dialect[] = [
  {
    name: 'transformers',
    title: 'Hugging Face transformers',
    families: ['vjepa2'],
    prefix: /^vjepa2\.(?=encoder\.)/,
    resampling: ['bicubic', 'bicubic'],
    eps: 1e-6,
    signature: [
      /^encoder\.embeddings\.patch_embeddings\.proj\.weight$/,
      /^encoder\.layer\.0\.attention\.query\.weight$/,
      /^encoder\.layernorm\.weight$/,
    ],
    renames: [
      [/^encoder\.embeddings\.patch_embeddings\.proj\./, 'patch_embed.proj.'],
      inLayer('norm1', 'norm1'),
      inLayer('norm2', 'norm2'),
      inLayer('attention\\.query', 'attn.q_proj'),
      inLayer('attention\\.key', 'attn.k_proj'),
      inLayer('attention\\.value', 'attn.v_proj'),
      inLayer('attention\\.proj', 'attn.proj'),
      inLayer('mlp\\.fc1', 'mlp.fc1'),
      inLayer('mlp\\.fc2', 'mlp.fc2'),
      [/^encoder\.layernorm\./, 'norm.'],
      [/^pooler\.query_tokens$/, 'pooler.query'],
      ...inPooler('layer_norm1', 'norm1'),
      ...inPooler('layer_norm2', 'norm2'),
      ...inPooler('mlp\\.fc1', 'mlp.fc1'),
      ...inPooler('mlp\\.fc2', 'mlp.fc2'),
      ...inPooler('(?:self|cross)_attn\\.q_proj', 'attn.q_proj'),
      ...inPooler('(?:self|cross)_attn\\.k_proj', 'attn.k_proj'),
      ...inPooler('(?:self|cross)_attn\\.v_proj', 'attn.v_proj'),
      ...inPooler('self_attn\\.out_proj', 'attn.proj'),
      [/^classifier\.(weight|bias)$/, 'head.$1'],
      [/^predictor\./, 'beside.$&'],
    ],
    modules: [[/^blocks\.(\d+)$/, 'encoder.layer.$1.attention']],
    holders: [[/^(pooler\.(?:\d+|cross))$/, '$1.attn.q_proj.weight', 1]],
  },
];
