import { weightStatistics } from '../analysis/weightStatistics';
import { byteLength, elementCount, type Tensor } from '../checkpoint/tensors';
import { exactText, readElements, readTensor, toFloat32 } from '../checkpoint/values';
import type { Model } from '../models/model';
import type { TensorValues } from '../protocol/inspector';

/** Bytes up to which a tensor is read whole for its statistics. */
const wholeBytes = 64e6;
const statistics = new WeakMap<Tensor, TensorValues['statistics']>();

/** Reads a page of a tensor's values. Throws if there is no tensor of that name. */
export async function tensorValues(
  model: Model,
  name: string,
  first: number,
  count: number,
): Promise<TensorValues> {
  const tensor = model.checkpoint.selected.tensors.find((candidate) => candidate.name === name);
  if (!tensor) throw new Error(`${model.checkpoint.path}: no tensor ${name}; reload the file`);
  const bytes = await readElements(tensor, first, count);
  const total = elementCount(tensor.shape);
  const exact = total === 1 ? exactText(bytes, tensor.dtype) : undefined;
  const values = toFloat32(bytes, tensor.dtype);
  return { tensor: name, first, values, total, statistics: await statisticsOf(tensor), exact };
}

async function statisticsOf(tensor: Tensor): Promise<TensorValues['statistics']> {
  if (byteLength(tensor) > wholeBytes) return undefined;
  const known = statistics.get(tensor);
  if (known) return known;
  const found = weightStatistics(toFloat32(await readTensor(tensor), tensor.dtype));
  statistics.set(tensor, found);
  return found;
}
