import type { Tensor } from '../checkpoint/tensors';

/** Names that libraries register as buffers: computed or counted, never learned. */
const names =
  /(?:^|\.)(?:running_mean|running_var|num_batches_tracked|relative_position_index|relative_coords_table|position_ids|attn_mask|input_resolution|context_length|vocab_size)$/;

const integers: ReadonlySet<string> = new Set(['BOOL', 'U8', 'I8', 'I16', 'U16', 'I32', 'U32', 'I64', 'U64']);

/**
 * Whether the tensor is a buffer: the file says so, its name does, or it holds integers, which
 * nothing learns.
 */
export function isBuffer(tensor: Pick<Tensor, 'name' | 'dtype' | 'buffer' | 'affine'>): boolean {
  return tensor.buffer === true || names.test(tensor.name) || (integers.has(tensor.dtype) && !tensor.affine);
}
