import { openAiText, openClipTrunk } from '../libraries/clip';
import { inLayer as inOpenMmlab, openMmlab, plainRows } from '../libraries/openMmlab';
import { asNamed, asTokens, rows, timmNames, transposed, type Dialect, type Rename } from '../dialect';

/**
 * What no plain transformer of timm has: its LayerScale under BEiT's name, biases of queries and
 * values apart, or three projections.
 */
const ownParameters = /^blocks\.0\.(?:gamma_1|attn\.(?:q_bias|q_proj\.weight))$/;

/**
 * Angles that older versions and the original repositories keep as buffers; they follow from the
 * size.
 */
const angles = /(?:^|\.)rope(?:_embed)?\.(?:freqs_(?:cos|sin)|periods|bands|pos_embed)$|\.bias_mask$/;

const timmEva: Dialect = timmNames('eva', [/^patch_embed\.proj\.weight$/, ownParameters], {
  buffers: angles,
});

/**
 * Without LayerScale, Perception Encoders have the names of any plain transformer with a norm in
 * front.
 */
const timmPerceptionEncoder: Dialect = timmNames('eva', [/^norm_pre\.weight$/, /^blocks\.0\.attn\.qkv\./]);

/** Hugging Face transformers: DINOv3, whose blocks stand in the list `list`. */
function dinov3In(list: string): Dialect {
  const inLayer = (from: string, to: string): Rename => [
    new RegExp(`^${list}\\.(\\d+)\\.${from}\\.(?<leaf>weight|bias)$`),
    `blocks.$1.${to}.$<leaf>`,
  ];
  return {
    name: 'transformers',
    title: 'Hugging Face transformers',
    prefix: new RegExp(`^(?:dinov3_vit|model|backbone)\\.(?=embeddings\\.|${list}\\.)`),
    families: ['eva'],
    resampling: ['bicubic', 'bicubic'],
    eps: 1e-5,
    signature: [/^embeddings\.register_tokens$/, new RegExp(`^${list}\\.0\\.mlp\\.up_proj\\.`)],
    renames: [
      [/^embeddings\.(cls_token|mask_token)$/, '$1'],
      [/^embeddings\.register_tokens$/, 'reg_token'],
      [/^embeddings\.patch_embeddings\.(weight|bias)$/, 'patch_embed.proj.$1'],
      inLayer('attention\\.([qkv]_proj)', 'attn.$2'),
      inLayer('attention\\.o_proj', 'attn.proj'),
      inLayer('(norm[12])', '$2'),
      [new RegExp(`^${list}\\.(\\d+)\\.layer_scale([12])\\.lambda1$`), 'blocks.$1.gamma_$2'],
      inLayer('mlp\\.up_proj', 'mlp.fc1'),
      inLayer('mlp\\.down_proj', 'mlp.fc2'),
      [/^(?:layer)?norm\.(weight|bias)$/, 'norm.$1'],
      [/^classifier\.(weight|bias)$/, 'head.$1'],
    ],
    modules: [[/^blocks\.(\d+)$/, `${list}.$1.attention`]],
    firstRegister: 1,
  };
}

/** The same with a gate beside the hidden layer (ViT-S+, H+, 7B). */
function gatedDinov3In(list: string): Dialect {
  const plain = dinov3In(list);
  const inMlp = (from: string, to: string): Rename => [
    new RegExp(`^${list}\\.(\\d+)\\.mlp\\.${from}\\.(weight|bias)$`),
    `blocks.$1.mlp.${to}.$2`,
  ];
  return {
    ...plain,
    signature: [...plain.signature, new RegExp(`^${list}\\.0\\.mlp\\.gate_proj\\.`)],
    renames: [
      inMlp('gate_proj', 'fc1_g'),
      inMlp('up_proj', 'fc1_x'),
      ...plain.renames.filter(([from]) => !from.source.includes('up_proj')),
    ],
  };
}

/** DINOv3 as transformers has it inside of EoMT: other names of lists and of the last norm. */
export const dinov3InEomt: readonly Dialect[] = [gatedDinov3In('layers'), dinov3In('layers')];

/**
 * facebookresearch/dinov3. Its bias of the keys is masked, so the third of queries and that of
 * values are what there is of it.
 */
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

/** open_clip over a model of timm's eva.py. */
const openClipEva: Dialect = {
  ...openClipTrunk,
  families: ['eva'],
  territory: undefined,
  buffers: angles,
  signature: [ownParameters, /^logit_scale$/],
  renames: [asNamed, ...openClipTrunk.renames],
};

const openClipPerceptionEncoder: Dialect = {
  ...openClipEva,
  signature: [/^norm_pre\.weight$/, /^blocks\.0\.attn\.qkv\./, /^logit_scale$/],
};

/** baaivision/EVA: EVA-02, alone or as the image tower of EVA-CLIP. */
const baaivision: Dialect = timmNames(
  'eva',
  [/^blocks\.0\.attn\.q_bias$/, /^blocks\.0\.(?:mlp\.(?:ffn_ln|w[123]|w12)|attn\.inner_attn_ln)\./],
  {
    name: 'eva',
    title: 'EVA (baaivision)',
    prefix: /^visual\.(?=blocks\.)/,
    buffers: angles,
    renames: [
      [/^(blocks\.\d+)\.mlp\.ffn_ln\.(weight|bias)$/, '$1.mlp.norm.$2'],
      [/^(blocks\.\d+)\.attn\.inner_attn_ln\.(weight|bias)$/, '$1.attn.norm.$2'],
      [/^(blocks\.\d+)\.mlp\.w12\.(weight|bias)$/, '$1.mlp.fc1.$2'],
      [/^(blocks\.\d+)\.mlp\.w1\.(weight|bias)$/, '$1.mlp.fc1_g.$2'],
      [/^(blocks\.\d+)\.mlp\.w2\.(weight|bias)$/, '$1.mlp.fc1_x.$2'],
      [/^(blocks\.\d+)\.mlp\.w3\.(weight|bias)$/, '$1.mlp.fc2.$2'],
      [/^(lm_head\..+)$/, 'beside.$1'],
      ...openAiText,
      asNamed,
    ],
  },
);

/**
 * facebookresearch/perception_models: CLIP's names; the language and spatial models lack the text
 * tower and `visual.`.
 */
function perceptionEncoder(root: string, text: readonly Rename[]): Dialect {
  const at = (from: string, to: string, layout?: Rename[2]): Rename => [
    new RegExp(`^${root}${from}$`),
    to,
    layout,
  ];
  const inBlock = (from: string, to: string): Rename =>
    at(`transformer\\.resblocks\\.(\\d+)\\.${from}(?<leaf>weight|bias)`, `blocks.$1.${to}.$<leaf>`);
  const inPool = (from: string, to: string, layout?: Rename[2]): Rename =>
    at(`attn_pool\\.${from}(weight|bias)`, `attn_pool.${to}.$1`, layout);
  return timmNames(
    'eva',
    ['positional_embedding', 'conv1\\.weight', 'ln_pre\\.weight'].map(
      (name) => new RegExp(`^${root}${name}$`),
    ),
    {
      name: 'perception-encoder',
      title: 'Perception Encoder (facebookresearch)',
      eps: 1e-5,
      renames: [
        at('class_embedding', 'cls_token', asTokens),
        at('positional_embedding', 'pos_embed', asTokens),
        at('conv1\\.weight', 'patch_embed.proj.weight'),
        at('ln_pre\\.(weight|bias)', 'norm_pre.$1'),
        at('ln_post\\.(weight|bias)', 'norm.$1'),
        inBlock('attn\\.in_proj_', 'attn.qkv'),
        inBlock('attn\\.out_proj\\.', 'attn.proj'),
        inBlock('ln_1\\.', 'norm1'),
        inBlock('ln_2\\.', 'norm2'),
        inBlock('mlp\\.c_fc\\.', 'mlp.fc1'),
        inBlock('mlp\\.c_proj\\.', 'mlp.fc2'),
        at('transformer\\.resblocks\\.(\\d+)\\.ls_([12])\\.gamma', 'blocks.$1.gamma_$2'),
        at('attn_pool\\.probe', 'attn_pool.latent'),
        inPool('attn\\.in_proj_', 'q', rows(0, 3)),
        inPool('attn\\.in_proj_', 'kv', rows(1, 3, 2)),
        inPool('attn\\.out_proj\\.', 'proj'),
        inPool('layernorm\\.', 'norm'),
        inPool('mlp\\.c_fc\\.', 'mlp.fc1'),
        inPool('mlp\\.c_proj\\.', 'mlp.fc2'),
        at('proj', 'head.weight', transposed),
        ...text,
      ],
      modules: [
        [/^blocks\.(\d+)$/, `${root.replaceAll('\\', '')}transformer.resblocks.$1`],
        [/^attn_pool$/, `${root.replaceAll('\\', '')}attn_pool`],
      ],
    },
  );
}

/** OpenMMLab: BEiTViT without tables of positions, as which it has EVA. */
const mmpretrainEva: Dialect = {
  ...openMmlab,
  families: ['eva'],
  eps: 1e-6,
  signature: [/^patch_embed\.projection\.weight$/, /^layers\.0\.attn\.q_bias$/],
  absent: [/\.relative_position_bias_table$/],
  buffers: angles,
  renames: [
    ...plainRows,
    [/^layers\.(\d+)\.gamma_([12])$/, 'blocks.$1.gamma_$2'],
    [/^layers\.(\d+)\.attn\.([qv]_bias)$/, 'blocks.$1.attn.$2'],
    inOpenMmlab('attn\\.qkv', 'attn.qkv'),
    inOpenMmlab('attn\\.proj', 'attn.proj'),
  ],
  modules: [[/^blocks\.(\d+)$/, 'layers.$1']],
};

/** Namings of EVA, EVA-02, DINOv3, Perception Encoders and whatever else timm's eva.py builds. */
export const evaNames: readonly Dialect[] = [
  gatedDinov3In('layer'),
  dinov3In('layer'),
  dinov3,
  openClipEva,
  openClipPerceptionEncoder,
  baaivision,
  perceptionEncoder('visual\\.', openAiText),
  perceptionEncoder('', []),
  mmpretrainEva,
  timmEva,
  timmPerceptionEncoder,
];
