import { openFile, type Opener } from './byteSource';
import { limits } from './limits';
import { dtypes, elementCount, type StateDict, type Tensor } from './tensors';
import { readTensor, toFloat32 } from './values';

/**
 * Ends of names of tensors whose values decide what a model computes, and that no configuration
 * repeats: shares of the queries that EoMT's blocks hide places from.
 */
const telling = /(?:^|\.)attn_mask_probs$/;

/**
 * The state dicts with the values of the few short tensors that say how a model computes.
 * Everything else is understood by headers alone. Throws `CheckpointError` if they cannot be read.
 */
export async function withTold(
  stateDicts: readonly StateDict[],
  open: Opener = openFile,
): Promise<readonly StateDict[]> {
  const told = new Map<Tensor, Tensor>();
  for (const tensor of stateDicts
    .flatMap(({ tensors }) => tensors.filter(tells))
    .slice(0, limits.toldTensors))
    told.set(tensor, { ...tensor, told: [...toFloat32(await readTensor(tensor, open), tensor.dtype)] });
  if (told.size === 0) return stateDicts;
  return stateDicts.map((stateDict) => ({
    ...stateDict,
    tensors: stateDict.tensors.map((tensor) => told.get(tensor) ?? tensor),
  }));
}

const tells = ({ name, shape, dtype }: Tensor): boolean =>
  telling.test(name) && dtypes[dtype].runnable && elementCount(shape) <= limits.toldElements;
