import { elementCount } from '../../checkpoint/tensors';
import { timmNames, whole, type Dialect, type Layout, type Rename, type Renamed } from '../dialect';
import { convolution, googleJax } from '../libraries/googleJax';

/** Flax keeps norms of groups as `[1, 1, 1, channels]`. */
const channels: Layout = (tensor) => [whole(tensor, [elementCount(tensor.shape)])];

const parts: Readonly<Record<string, string>> = { scale: 'weight', bias: 'bias' };

/** A module of a residual unit; Google counts blocks and units from 1. */
const inUnit =
  (module: (index: string) => string): Renamed =>
  (_, block, unit, index = '', part = '') =>
    `patch_embed.backbone.stages.${Number(block) - 1}.blocks.${Number(unit) - 1}.${module(index)}.${parts[part] ?? 'weight'}`;

const stem: readonly Rename[] = [
  [/^conv_root\/kernel$/, 'patch_embed.backbone.stem.conv.weight', convolution],
  [/^gn_root\/scale$/, 'patch_embed.backbone.stem.norm.weight', channels],
  [/^gn_root\/bias$/, 'patch_embed.backbone.stem.norm.bias', channels],
  [/^block(\d+)\/unit(\d+)\/conv(\d)\/kernel$/, inUnit((index) => `conv${index}`), convolution],
  [/^block(\d+)\/unit(\d+)\/gn(\d)\/(scale|bias)$/, inUnit((index) => `norm${index}`), channels],
  [/^block(\d+)\/unit(\d+)\/conv_(proj)\/kernel$/, inUnit(() => 'downsample.conv'), convolution],
  [/^block(\d+)\/unit(\d+)\/gn_(proj)\/(scale|bias)$/, inUnit(() => 'downsample.norm'), channels],
];

/** Google's hybrids: a residual network in front of the repository's plain transformer. */
const googleHybrid: Dialect = {
  ...googleJax,
  families: ['vit-hybrid'],
  territory: undefined,
  signature: [...googleJax.signature, /^conv_root\/kernel$/],
  renames: [...googleJax.renames, ...stem],
};

/** Namings of transformers over a convolutional network. */
export const vitHybridNames: readonly Dialect[] = [
  googleHybrid,
  timmNames('vit-hybrid', [/^patch_embed\.backbone\./, /^blocks\.0\.attn\.qkv\.weight$/]),
];
