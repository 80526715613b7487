import type { Dialect } from '../dialect';
import { timmNames, timmTerritory } from './timm';

/**
 * facebookresearch/dinov2: blocks in chunks (`blocks.<chunk>.<index over the whole network>`), w12
 * / w3, registers with another name.
 */
export const dinov2: Dialect = {
  name: 'dinov2',
  title: 'DINOv2 repository',
  prefix: /^(?:teacher\.)?backbone\./,
  outside: /^linear_head\./,
  resampling: ['bicubic, offset 0.1', 'bicubic, antialias'],
  eps: 1e-6,
  territory: timmTerritory,
  signature: [/^patch_embed\.proj\.weight$/, /^mask_token$/, /^blocks\.0\.(?:0\.)?ls1\.gamma$/],
  renames: [
    ...timmNames,
    [/^register_tokens$/, 'reg_token'],
    [/^linear_head\.(weight|bias)$/, 'head.$1'],
    [/^blocks\.(?:\d+\.)?(\d+)\.mlp\.w12\.(weight|bias)$/, 'blocks.$1.mlp.fc1.$2'],
    [/^blocks\.(?:\d+\.)?(\d+)\.mlp\.w3\.(weight|bias)$/, 'blocks.$1.mlp.fc2.$2'],
    [/^blocks\.\d+\.(\d+)\.((?:norm1|norm2|attn|ls1|ls2|mlp\.fc)[^/]*)$/, 'blocks.$1.$2'],
  ],
};
