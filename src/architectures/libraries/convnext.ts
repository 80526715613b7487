import type { Dialect, Rename } from '../dialect';
import { earlierNorms, openMmlab, withLastNorm } from './openMmlab';

/** A part of a block of the repository's and timm's name for it. */
const part = (from: string, to: string): Rename => [
  new RegExp(`^stages\\.(\\d+)\\.(\\d+)\\.${from}`),
  `stages.$1.blocks.$2.${to}`,
];

/**
 * facebookresearch/ConvNeXt's names, which EdgeNeXt's repository took over: stem and downsampling
 * in one list, blocks in another, the last norm and the classifier at the top.
 */
export const convnextRepository = {
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-6,
  renames: [
    [/^downsample_layers\.0\.([01])\./, 'stem.$1.'],
    [/^downsample_layers\.([1-9])\.([01])\./, 'stages.$1.downsample.$2.'],
    part('dwconv\\.', 'conv_dw.'),
    part('pwconv([12])\\.', 'mlp.fc$3.'),
    part('grn\\.gamma$', 'mlp.grn.weight'),
    part('grn\\.beta$', 'mlp.grn.bias'),
    part('(?!dwconv\\.|pwconv|grn\\.)', ''),
    [/^norm\./, 'head.norm.'],
    [/^head\.(weight|bias)$/, 'head.fc.$1'],
  ],
  modules: [[/^stages\.(\d+)\.blocks\.(\d+)/, 'stages.$1.$2']],
} as const satisfies Partial<Dialect>;

/** Names of the repository's that both families have. */
export const convnextSignature = [
  /^downsample_layers\.0\.0\.weight$/,
  /^stages\.0\.0\.dwconv\.weight$/,
  /^stages\.0\.0\.pwconv1\.weight$/,
];

/** OpenMMLab's words for the same modules; the norm behind the last stage is the network's. */
export const convnextOpenMmlab = {
  ...openMmlab,
  eps: 1e-6,
  numbering: withLastNorm('norm'),
  renames: [
    [/^downsample_layers\.0\.([01])\./, 'stem.$1.'],
    [/^downsample_layers\.([1-9])\.([01])\./, 'stages.$1.downsample.$2.'],
    part('depthwise_conv\\.', 'conv_dw.'),
    part('pointwise_conv([12])\\.', 'mlp.fc$3.'),
    part('grn\\.gamma$', 'mlp.grn.weight'),
    part('grn\\.beta$', 'mlp.grn.bias'),
    part('gamma$', 'gamma'),
    part('norm\\.', 'norm.'),
    // EdgeNeXt's attention over channels.
    part('conv_modules\\.', 'convs.'),
    part('pos_embed\\.proj\\.', 'pos_embd.token_projection.'),
    part('norm_csa\\.', 'norm_xca.'),
    part('gamma_csa$', 'gamma_xca'),
    part('csa\\.scale$', 'xca.temperature'),
    part('csa\\.(qkv|proj)\\.', 'xca.$3.'),
    [/^norm\./, 'head.norm.'],
    earlierNorms,
    [/^head\.fc\./, 'head.fc.'],
  ],
  modules: convnextRepository.modules,
} as const satisfies Partial<Dialect>;

/** Names of OpenMMLab's that both families have. */
export const convnextOpenMmlabSignature = [
  /^downsample_layers\.0\.0\.weight$/,
  /^stages\.0\.0\.depthwise_conv\.weight$/,
  /^stages\.0\.0\.pointwise_conv1\.weight$/,
];
