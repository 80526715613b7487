import { asTokens, type Dialect } from '../dialect';
import { transformersClip } from './clip';

/**
 * The image encoder of BLIP and BLIP-2 in transformers: names like CLIP's, with one matrix for
 * queries, keys and values.
 */
export const blip: Dialect = {
  ...transformersClip,
  dualEncoder: undefined,
  signature: [/^embeddings\.patch_embedding\.weight$/, /^encoder\.layers\.0\.self_attn\.qkv\.weight$/],
  renames: [
    [/^embeddings\.position_embedding$/, 'pos_embed', asTokens],
    [/^encoder\.layers\.(\d+)\.self_attn\.qkv\.(weight|bias)$/, 'blocks.$1.attn.qkv.$2'],
    [/^encoder\.layers\.(\d+)\.self_attn\.projection\.(weight|bias)$/, 'blocks.$1.attn.proj.$2'],
    ...transformersClip.renames,
  ],
};
