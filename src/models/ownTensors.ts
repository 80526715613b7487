import type { Checkpoint, Tensor } from '../checkpoint/checkpoint';

/** What was read of a file, under the names of a library if its own say nothing. */
interface Read {
  readonly structure?: { readonly file: Checkpoint };
  readonly checkpoint: Checkpoint;
}

/** Whether a tensor is an applied adapter's matrix, and none of the file's own. */
const isOfAdapter = ({ name }: Pick<Tensor, 'name'>): boolean => /\.lora_[AB]\.adapter\.weight$/.test(name);

/**
 * Tensors as the file names them, without those of an adapter that is applied: what is remembered
 * of a file is remembered under these.
 */
export const ownTensors = ({ structure, checkpoint }: Read): readonly Tensor[] =>
  (structure?.file ?? checkpoint).selected.tensors.filter((tensor) => !isOfAdapter(tensor));
