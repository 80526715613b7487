import { elementCount } from '../../checkpoint/tensors';
import {
  asTokens as asTable,
  timmNames,
  transposed,
  whole,
  type Dialect,
  type Layout,
  type Rename,
  type Renamed,
} from '../dialect';
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

const inMobileBlock = (from: string, to: string): Rename => [
  new RegExp(`^transformer\\.(\\d+)\\.${from}\\.`),
  `blocks.$1.${to}.`,
];

/** apple/ml-mobileclip's MobileCLIP-B: a plain transformer over convolutions. */
const mobileClip: Dialect = timmNames(
  'vit-hybrid',
  [/^patch_emb\.0\.block\.conv\.weight$/, /^transformer\.0\.pre_norm_mha\.1\.qkv_proj\.weight$/],
  {
    name: 'mobileclip',
    title: 'MobileCLIP (apple)',
    renames: [
      [/^cls_token$/, 'cls_token'],
      [/^pos_embed\.pos_embed\.pos_embed$/, 'pos_embed', asTable],
      [/^patch_emb\.(\d+)\.block\.conv\./, 'patch_embed.backbone.$1.conv.'],
      [/^patch_emb\.(\d+)\.block\.norm\./, 'patch_embed.backbone.$1.bn.'],
      inMobileBlock('pre_norm_mha\\.0', 'norm1'),
      inMobileBlock('pre_norm_mha\\.1\\.qkv_proj', 'attn.qkv'),
      inMobileBlock('pre_norm_mha\\.1\\.out_proj', 'attn.proj'),
      inMobileBlock('pre_norm_ffn\\.0', 'norm2'),
      inMobileBlock('pre_norm_ffn\\.1', 'mlp.fc1'),
      inMobileBlock('pre_norm_ffn\\.4', 'mlp.fc2'),
      [/^post_transformer_norm\./, 'norm.'],
      [/^classifier\.proj$/, 'head.weight', transposed],
      [/^classifier\.(weight|bias)$/, 'head.$1'],
    ],
  },
);

/** Namings of transformers over a convolutional network. */
export const vitHybridNames: readonly Dialect[] = [
  googleHybrid,
  mobileClip,
  timmNames('vit-hybrid', [/^patch_embed\.backbone\./, /^blocks\.0\.attn\.qkv\.weight$/]),
];
