import type { SeenImage } from '../tasks/run';
import type { InputSource, OutputValues } from '../tasks/task';
import type { TensorData } from './remoteApi';

/**
 * What an input of a step is given: a tensor, what an earlier step answered, or what is made of the
 * image that was seen. Throws if there is none of it.
 */
export function givenTensor(
  source: InputSource,
  outputs: readonly (readonly OutputValues[])[],
  seen?: SeenImage,
): TensorData {
  if (source === 'image' || typeof source === 'function') {
    if (!seen) throw new Error('the model reads no image');
    if (source === 'image') throw new Error('the image is read by the first step alone');
    return source(seen);
  }
  if ('dtype' in source) return source;
  const found = outputs[source.step]?.find(({ name }) => name === source.output);
  if (!found) throw new Error(`step ${source.step} answers no ${source.output}`);
  return { dtype: 'F32', shape: found.shape, data: found.values };
}
