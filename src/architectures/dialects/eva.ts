import { rows, timmNames, type Dialect, type Rename } from './dialect';

/** What no plain transformer of timm has: its LayerScale under BEiT's name, biases of queries and values apart, or three projections. */
const marks = /^blocks\.0\.(?:gamma_1|attn\.(?:q_bias|q_proj\.weight))$/;

/** Angles that older versions and the original repositories keep as buffers; they follow from the size. */
const angles = /(?:^|\.)rope(?:_embed)?\.(?:freqs_(?:cos|sin)|periods|bands|pos_embed)$|\.bias_mask$/;

const timmEva: Dialect = timmNames('eva', [/^patch_embed\.proj\.weight$/, marks], { buffers: angles });

/** Without LayerScale, Perception Encoders have the names of any plain transformer with a norm in front. */
const timmPerceptionEncoder: Dialect = timmNames('eva', [/^norm_pre\.weight$/, /^blocks\.0\.attn\.qkv\./]);

function inLayer(from: string, to: string): Rename {
  return [new RegExp(`^layer\\.(\\d+)\\.${from}\\.(?<leaf>weight|bias)$`), `blocks.$1.${to}.$<leaf>`];
}

/** Hugging Face transformers: DINOv3. */
const transformersDinov3: Dialect = {
  name: 'transformers',
  title: 'Hugging Face transformers',
  prefix: /^(?:dinov3_vit|model|backbone)\.(?=embeddings\.|layer\.)/,
  families: ['eva'],
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  signature: [/^embeddings\.register_tokens$/, /^layer\.0\.mlp\.up_proj\./],
  renames: [
    [/^embeddings\.(cls_token|mask_token)$/, '$1'],
    [/^embeddings\.register_tokens$/, 'reg_token'],
    [/^embeddings\.patch_embeddings\.(weight|bias)$/, 'patch_embed.proj.$1'],
    inLayer('attention\\.([qkv]_proj)', 'attn.$2'),
    inLayer('attention\\.o_proj', 'attn.proj'),
    inLayer('(norm[12])', '$2'),
    [/^layer\.(\d+)\.layer_scale([12])\.lambda1$/, 'blocks.$1.gamma_$2'],
    inLayer('mlp\\.up_proj', 'mlp.fc1'),
    inLayer('mlp\\.down_proj', 'mlp.fc2'),
    [/^norm\.(weight|bias)$/, 'norm.$1'],
    [/^classifier\.(weight|bias)$/, 'head.$1'],
  ],
  modules: [[/^blocks\.(\d+)$/, 'layer.$1.attention']],
  firstRegister: 1,
};

/** The same with a gate beside the hidden layer (ViT-S+, H+, 7B). */
const transformersDinov3Gated: Dialect = {
  ...transformersDinov3,
  signature: [...transformersDinov3.signature, /^layer\.0\.mlp\.gate_proj\./],
  renames: [
    inLayer('mlp\\.gate_proj', 'mlp.fc1_g'),
    inLayer('mlp\\.up_proj', 'mlp.fc1_x'),
    ...transformersDinov3.renames.filter(([from]) => !from.source.includes('up_proj')),
  ],
};

/** facebookresearch/dinov3. Its bias of the keys is masked, so the third of queries and that of values are what there is of it. */
const dinov3: Dialect = timmNames('eva', [/^storage_tokens$/, /^blocks\.0\.ls1\.gamma$/], {
  name: 'dinov3',
  title: 'DINOv3 (facebookresearch)',
  eps: 1e-5,
  buffers: angles,
  renames: [
    [/^storage_tokens$/, 'reg_token'],
    [/^(blocks\.\d+)\.ls([12])\.gamma$/, '$1.gamma_$2'],
    [/^(blocks\.\d+)\.attn\.qkv\.bias$/, '$1.attn.q_bias', rows(0, 3)],
    [/^(blocks\.\d+)\.attn\.qkv\.bias$/, '$1.attn.v_bias', rows(2, 3)],
    [/^(blocks\.\d+\.mlp)\.w1\.(weight|bias)$/, '$1.fc1_g.$2'],
    [/^(blocks\.\d+\.mlp)\.w2\.(weight|bias)$/, '$1.fc1_x.$2'],
    [/^(blocks\.\d+\.mlp)\.w3\.(weight|bias)$/, '$1.fc2.$2'],
    [
      /^((?:blocks\.\d+\.(?:norm[12]|attn\.(?:qkv(?=\.weight)|proj)|mlp\.fc[12])|patch_embed\.proj|norm|local_cls_norm)\.(?:weight|bias))$/,
      '$1',
    ],
    [/^(cls_token|mask_token)$/, '$1'],
  ],
  modules: [[/^(blocks\.\d+)$/, '$1']],
});

/** Namings of EVA, EVA-02, DINOv3, Perception Encoders and whatever else timm's eva.py builds. */
export const evaDialects: readonly Dialect[] = [
  transformersDinov3Gated,
  transformersDinov3,
  dinov3,
  timmEva,
  timmPerceptionEncoder,
];
