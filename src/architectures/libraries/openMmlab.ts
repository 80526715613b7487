import type { Dialect, Rename, Shapes } from '../dialect';

/** A row for a module of a layer that has a weight and a bias. */
export const inLayer = (from: string, to: string): Rename => [
  new RegExp(`^layers\\.(\\d+)\\.${from}\\.(weight|bias)$`),
  `blocks.$1.${to}.$2`,
];

/** What its networks of stages have in common, whatever the architecture. */
export const openMmlab = {
  name: 'mmpretrain',
  title: 'OpenMMLab',
  prefix: /^backbone\./,
  resampling: ['bicubic', 'bicubic'],
} as const satisfies Partial<Dialect>;

/** Stages in lists of this name, which count from 0. */
function stagesIn(shapes: Shapes, list: string): number {
  const member = new RegExp(`^${list}\\.(\\d+)\\.`);
  return [...shapes.keys()].reduce((most, name) => {
    const stage = member.exec(name)?.[1];
    return stage === undefined ? most : Math.max(most, Number(stage) + 1);
  }, 0);
}

/**
 * Numbering of networks with a norm behind each stage that is an output: the last stage's is the
 * network's and called `to`; whoever reads earlier maps has those before it.
 */
export const withLastNorm =
  (to: string, list = 'stages'): NonNullable<Dialect['numbering']> =>
  (shapes) => {
    const last = `norm${stagesIn(shapes, list) - 1}.`;
    return (name) => (name.startsWith(last) ? name.replace(last, `${to}.`) : name);
  };

/** Norms behind stages that are not the last: others read them, the network does not. */
export const earlierNorms: Rename = [/^norm\d\./, 'beside.$&'];

/**
 * A ConvModule of mmcv: a convolution and its norm, by `conv` and `bn`. Rows of both; `from` is a
 * pattern, `to` the paths of either.
 */
export const convModule = (from: string, conv: string, norm: string): readonly Rename[] => [
  [new RegExp(`^${from}\\.conv\\.`), `${conv}.`],
  [new RegExp(`^${from}\\.bn\\.`), `${norm}.`],
];

const common = {
  prefix: openMmlab.prefix,
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-6,
  territory: /^(?:layers|patch_embed|pre_norm)\./,
  modules: [[/^blocks\.(\d+)$/, 'layers.$1']],
} as const satisfies Partial<Dialect>;

/** Rows of what all of its plain transformers have in common. */
export const plainRows: readonly Rename[] = [
  [/^(cls_token|dist_token|pos_embed|mask_token)$/, '$1'],
  [/^patch_embed\.projection\.(weight|bias)$/, 'patch_embed.proj.$1'],
  [/^patch_embed\.norm\.(weight|bias)$/, 'patch_embed.norm.$1'],
  [/^pre_norm\.(weight|bias)$/, 'norm_pre.$1'],
  inLayer('(?:ln|norm)1', 'norm1'),
  inLayer('(?:ln|norm)2', 'norm2'),
  inLayer('ffn\\.layers\\.0\\.0', 'mlp.fc1'),
  inLayer('ffn\\.layers\\.1', 'mlp.fc2'),
  // The gated unit: gate and values in one product, gate first.
  inLayer('ffn\\.w12', 'mlp.fc1'),
  inLayer('ffn\\.w3', 'mlp.fc2'),
  // The norm behind the blocks has the name that a layer's first has; `ln2` is that of the mean.
  [/^(?:ln|norm)1\.(weight|bias)$/, 'norm.$1'],
  [/^(?:ln|norm)2\.(weight|bias)$/, 'fc_norm.$1'],
  [/^head\.(?:layers\.)?pre_logits\.(weight|bias)$/, 'pre_logits.$1'],
  [/^head\.(?:layers\.head|fc)\.(weight|bias)$/, 'head.$1'],
  [/^head\.layers\.head_dist\.(weight|bias)$/, 'head_dist.$1'],
];

/** open-mmlab/mmpretrain (mmcls before): VisionTransformer and what is built over it. */
export const mmpretrain: Dialect = {
  ...common,
  name: 'mmpretrain',
  title: 'mmpretrain',
  signature: [/^patch_embed\.projection\.weight$/, /^layers\.0\.attn\.qkv\.weight$/, /^layers\.0\.ffn\./],
  // BEiT, EVA and SAM of the library have tables or biases of their own in each layer.
  absent: [/^layers\.0\.attn\.(?:relative_position|q_bias$|rel_pos_h$)/],
  renames: [
    ...plainRows,
    inLayer('attn\\.qkv', 'attn.qkv'),
    inLayer('attn\\.proj', 'attn.proj'),
    [/^layers\.(\d+)\.attn\.gamma1\.weight$/, 'blocks.$1.ls1.gamma'],
    [/^layers\.(\d+)\.ffn\.gamma2\.weight$/, 'blocks.$1.ls2.gamma'],
  ],
  habits: { activation: ['gelu', 'default of mmpretrain', 'assumed'] },
};

/** open-mmlab/mmsegmentation: VisionTransformer over torch's attention, SETR's and Segmenter's. */
export const mmsegmentation: Dialect = {
  ...common,
  name: 'mmsegmentation',
  title: 'mmsegmentation',
  signature: [/^patch_embed\.projection\.weight$/, /^layers\.0\.attn\.attn\.in_proj_weight$/],
  renames: [
    ...plainRows,
    [/^layers\.(\d+)\.attn\.attn\.in_proj_(weight|bias)$/, 'blocks.$1.attn.qkv.$2'],
    inLayer('attn\\.attn\\.out_proj', 'attn.proj'),
  ],
  habits: { activation: ['gelu', 'default of mmsegmentation', 'assumed'] },
};
