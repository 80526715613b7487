import { timmNames, type Dialect, type Rename, type Renamed } from '../dialect';

/** A linear layer and its norm, or a batch norm alone. */
const parts: readonly (readonly [from: string, to: string])[] = [
  ['linear', 'linear'],
  ['convolution', 'linear'],
  ['batch_norm', 'bn'],
];

/** Rows for the layer and the norm of a module. */
function module(from: string, to: Renamed): readonly Rename[] {
  return parts.map(([own, canonical]): Rename => [
    new RegExp(`^${from}\\.${own}\\.(.+)$`),
    (match, ...groups) => `${to(match, ...groups)}.${canonical}.${groups.at(-3) ?? ''}`,
  ]);
}

const layer = 'encoder\\.stages\\.(\\d+)\\.layers\\.(\\d+)';

/**
 * Attention and MLP alternate: two layers are a block. The MLP after a downsampling is counted as
 * one more block of its stage.
 */
const inBlock =
  (to: string): Renamed =>
  (_, stage, index) =>
    `stages.${stage}.blocks.${Number(index) >> 1}.${to}`;

/** transformers keeps the downsampling at the end of a stage, timm at the start of the next one. */
const inDownsample =
  (to: string): Renamed =>
  (_, stage) =>
    `stages.${Number(stage) + 1}.downsample.attn_downsample.${to}`;

const transformersLevit: Dialect = {
  name: 'transformers',
  title: 'Hugging Face transformers',
  families: ['levit'],
  prefix: /^levit\.(?=encoder\.|patch_embeddings\.)/,
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  signature: [
    /^patch_embeddings\.embedding_layer_1\.convolution\.weight$/,
    /^encoder\.stages\.0\.layers\.0\.module\.queries_keys_values\.linear\.weight$/,
  ],
  renames: [
    ...module('patch_embeddings\\.embedding_layer_(\\d+)', (_, index) => `stem.conv${index}`),
    [new RegExp(`^${layer}\\.module\\.attention_biases$`), inBlock('attn.attention_biases')],
    ...module(`${layer}\\.module\\.queries_keys_values`, inBlock('attn.qkv')),
    ...module(`${layer}\\.module\\.projection`, inBlock('attn.proj.ln')),
    ...module(`${layer}\\.module\\.linear_up`, inBlock('mlp.ln1')),
    ...module(`${layer}\\.module\\.linear_down`, inBlock('mlp.ln2')),
    [new RegExp(`^${layer}\\.attention_biases$`), inDownsample('attention_biases')],
    ...module(`${layer}\\.keys_values`, inDownsample('kv')),
    ...module(`${layer}\\.queries`, inDownsample('q.ln')),
    ...module(`${layer}\\.projection`, inDownsample('proj.ln')),
    ...module('classifier', () => 'head'),
    ...module('classifier_distill', () => 'head_dist'),
  ],
  holders: [
    [/^(stages\.\d+\.blocks\.\d+)$/, '$1.attn.attention_biases'],
    [/^(stages\.\d+\.downsample\.attn_downsample)$/, '$1.attention_biases'],
  ],
  kinds: [[/\.attn_downsample$/, 'self']],
};

/** LeViT as timm and as transformers name it. */
export const levitNames: readonly Dialect[] = [
  timmNames('levit', [
    /^stem\.conv1\.linear\.weight$/,
    /^stages\.0\.blocks\.0\.attn\.qkv\.linear\.weight$/,
    /^stages\.0\.blocks\.0\.attn\.attention_biases$/,
  ]),
  transformersLevit,
];
