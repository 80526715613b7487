import { elementCount, type Tensor } from '../../checkpoint/tensors';
import type { ParameterView } from '../../graph/builder';
import { transposed, whole, type Dialect, type Layout, type Rename } from '../dialect';

/** Flax keeps convolutions as `[height, width, in, out]`. */
export const convolution: Layout = (tensor) => [{ ...whole(tensor), permutation: [3, 2, 0, 1] }];

/**
 * A dense kernel whose leading `inputs` axes are its input: `[dim, heads, d]` has one, `[heads, d,
 * dim]` two.
 */
function dense(inputs: number): (tensor: Tensor, shape: readonly number[]) => Omit<ParameterView, 'first'> {
  return (tensor, shape) => ({
    ...whole(tensor, [elementCount(shape.slice(0, inputs)), elementCount(shape.slice(inputs))]),
    permutation: [1, 0],
  });
}

const vector = (tensor: Tensor, shape: readonly number[]): Omit<ParameterView, 'first'> =>
  whole(tensor, [elementCount(shape)]);

/**
 * Rows of one parameter of a block: blocks apart (vision_transformer), or stacked along the first
 * axis (big_vision with scan).
 */
function inBlock(
  from: string,
  to: string,
  view: (tensor: Tensor, shape: readonly number[]) => Omit<ParameterView, 'first'>,
): readonly Rename[] {
  const stacked: Layout = (tensor) => {
    const [length = 0, ...shape] = tensor.shape;
    return Array.from({ length }, (_, index) => ({
      ...view(tensor, shape),
      first: index * elementCount(shape),
    }));
  };
  const apart: Layout = (tensor) => [{ ...view(tensor, tensor.shape), first: 0 }];
  return [
    [new RegExp(`^Transformer/encoderblock_(\\d+)/${from}$`), `blocks.$1.${to}`, apart],
    [new RegExp(`^Transformer/encoderblock/${from}$`), `blocks.*.${to}`, stacked],
  ];
}

/** A projection of the attention: `[dim, heads, d]` in, `[heads, d, dim]` out. */
function projection(from: string, to: string, inputs: number): readonly Rename[] {
  return [
    ...inBlock(`MultiHeadDotProductAttention_[01]/${from}/kernel`, `attn.${to}.weight`, dense(inputs)),
    ...inBlock(`MultiHeadDotProductAttention_[01]/${from}/bias`, `attn.${to}.bias`, vector),
  ];
}

/** google-research/vision_transformer and big_vision: Flax names and layouts in an .npz file. */
export const googleJax: Dialect = {
  name: 'google-jax',
  title: 'Google JAX',
  prefix: /^(?:opt\/target\/|params\/|img\/)+/,
  resampling: ['bilinear, corners aligned', 'bilinear, corners aligned'],
  eps: 1e-6,
  territory: /^(?:Transformer|conv_root|gn_root|block\d+)\//,
  signature: [/^embedding\/kernel$/, /^Transformer\/encoderblock/],
  renames: [
    [/^cls$/, 'cls_token'],
    [/^(?:Transformer\/posembed_input\/)?pos_embedding$/, 'pos_embed'],
    [/^embedding\/kernel$/, 'patch_embed.proj.weight', convolution],
    [/^embedding\/bias$/, 'patch_embed.proj.bias'],
    ...projection('query', 'q_proj', 1),
    ...projection('key', 'k_proj', 1),
    ...projection('value', 'v_proj', 1),
    ...projection('out', 'proj', 2),
    ...inBlock('LayerNorm_0/scale', 'norm1.weight', vector),
    ...inBlock('LayerNorm_0/bias', 'norm1.bias', vector),
    ...inBlock('LayerNorm_[12]/scale', 'norm2.weight', vector),
    ...inBlock('LayerNorm_[12]/bias', 'norm2.bias', vector),
    ...inBlock('MlpBlock_[03]/Dense_0/kernel', 'mlp.fc1.weight', dense(1)),
    ...inBlock('MlpBlock_[03]/Dense_0/bias', 'mlp.fc1.bias', vector),
    ...inBlock('MlpBlock_[03]/Dense_1/kernel', 'mlp.fc2.weight', dense(1)),
    ...inBlock('MlpBlock_[03]/Dense_1/bias', 'mlp.fc2.bias', vector),
    [/^Transformer\/encoder_norm\/scale$/, 'norm.weight'],
    [/^Transformer\/encoder_norm\/bias$/, 'norm.bias'],
    [/^pre_logits\/kernel$/, 'pre_logits.weight', transposed],
    [/^pre_logits\/bias$/, 'pre_logits.bias'],
    [/^head\/kernel$/, 'head.weight', transposed],
    [/^head\/bias$/, 'head.bias'],
  ],
  heads: (tensors) => tensors.get('blocks.0.attn.q_proj.weight')?.tensor.shape.at(-2),
};
