import type { Tensor } from '../../checkpoint/tensors';
import { cutsOf } from '../groups/measure';

/**
 * Relatives of the plain transformer that compute something else, by a name that only they have.
 * Most are of vit-pytorch, where all models share the names of what they have in common.
 */
const kinds: readonly (readonly [kind: string, name: RegExp])[] = [
  ['ViViT, a model of video', /(?:^|\.)(?:spatial|temporal)_(?:cls_token$|transformer\.)/],
  ['TimeSformer, a model of video', /\.temporal_attn\.|(?:^|\.)time_embed$/],
  ['SatMAE with groups of bands', /(?:^|\.)channel_(?:cls_)?embed$/],
  ['DeepViT', /\.reattn_weights$/],
  ['CaiT of vit-pytorch', /\.mix_heads_(?:pre|post)_attn$/],
  ['XCiT of vit-pytorch', /(?:^|\.)xcit_transformer\./],
  ['NaViT', /(?:^|\.)attn_pool_queries$/],
  ['T2T-ViT of vit-pytorch', /(?:^|\.)to_patch_embedding\.\d+\.layers\./],
  ['a ViT for small data sets (shifted patches)', /\.to_patch_tokens\./],
  ['a ViT that merges its patches', /\.patch_merger\./],
  ['LocalViT', /\.fn\.fn\.net\.3\.net\./],
  ['RvT', /\.to_q\.conv\.net\./],
  ['a compact convolutional transformer (CCT)', /(?:^|\.)tokenizer\.conv_layers\./],
  ['SimpleViT with norms of queries and keys', /\.layers\.\d+\.0\.[qk]_norm\.gamma$/],
  ['SimpleViT with a sparse gate', /\.to_qkv_and_mask\./],
  ['a parallel ViT of vit-pytorch', /\.layers\.\d+\.\d+\.fns\.\d+\./],
  ['a ViT with a gate behind its attention', /\.layers\.\d+\.\d+\.to_(?:out_)?gates?\./],
];

/** A layer that embeds flattened patches under one of vit-pytorch's names. */
const flattening = /(?:^|\.)to_patch_embedding\.[12]\.weight$/;

/**
 * What a file of an unknown kind is, if it embeds its patches in 3-D or is a relative of the plain
 * transformer; undefined if nothing tells.
 */
export function relativeOf(tensors: readonly Tensor[]): string | undefined {
  const solid = tensors.find(({ shape, name }) => shape.length === 5 && name.endsWith('weight'));
  if (solid)
    return `a model of video or volumes (3-D), which is not run: ${solid.name} [${solid.shape.join(', ')}] is a kernel of Conv3d`;
  for (const [kind, name] of kinds) {
    const found = tensors.find((tensor) => name.test(tensor.name));
    if (found) return `${kind}, which is not run: ${found.name}`;
  }
  const flat = tensors.find(({ shape, name }) => shape.length === 2 && flattening.test(name));
  const [, width = 0] = flat?.shape ?? [];
  return flat && cutsOf(width).length === 0
    ? `a ViT of vit-pytorch over video or volumes (3-D), or over patches that are no squares of 1, 3 or 4 channels: ${flat.name} reads ${width} values of a patch; state the patch if it is one of an image`
    : undefined;
}
