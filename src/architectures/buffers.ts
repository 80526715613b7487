import { elementCount, type Tensor } from '../checkpoint/tensors';

/** Names that libraries register as buffers: computed or counted, never learned. */
const names =
  /(?:^|\.)(?:running_mean|running_var|num_batches_tracked|relative_position_index|relative_coords_table|position_ids|attn_mask|input_resolution|context_length|vocab_size)$/;

/** What torch.ao.quantization's observers and fake quantisers keep in the modules they watch. */
const observed =
  /(?:^|\.)(?:activation_post_process(?:_\d+)?|weight_fake_quant)\.(?:\w+\.)*(?:scale|zero_point|min_vals?|max_vals?|eps|histogram|fake_quant_enabled|observer_enabled)$/;

/** The one scale or zero point of what flows through a graph that torch.fx quantised. */
const flowing = /(?:^|\.)\w+_(?:scale|zero_point)_\d+$/;

const integers: ReadonlySet<string> = new Set(['BOOL', 'U8', 'I8', 'I16', 'U16', 'I32', 'U32', 'I64', 'U64']);

/**
 * Whether the tensor is a buffer: the file says so, its name does, or it holds integers, which
 * nothing learns.
 */
export function isBuffer(
  tensor: Pick<Tensor, 'name' | 'dtype' | 'buffer' | 'affine'> & Partial<Pick<Tensor, 'shape'>>,
): boolean {
  if (tensor.buffer === true || names.test(tensor.name) || observed.test(tensor.name)) return true;
  if (elementCount(tensor.shape ?? []) === 1 && flowing.test(tensor.name)) return true;
  return integers.has(tensor.dtype) && !tensor.affine;
}
