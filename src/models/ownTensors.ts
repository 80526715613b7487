import type { Checkpoint, Tensor } from '../checkpoint/checkpoint';

/** What was read of a file, under the names of a library if its own say nothing. */
interface Read {
  readonly structure?: { readonly file: Checkpoint };
  readonly checkpoint: Checkpoint;
}

/** Tensors as the file names them: what is remembered of a file is remembered under these. */
export const ownTensors = ({ structure, checkpoint }: Read): readonly Tensor[] =>
  (structure?.file ?? checkpoint).selected.tensors;
