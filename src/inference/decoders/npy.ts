/** A NumPy array as an image. */
import { openCheckpoint } from '../../checkpoint/open';
import { byteLength, type Tensor } from '../../checkpoint/tensors';
import { readTensor, toFloat32 } from '../../checkpoint/values';
import type { Raster } from '../../preprocessing/raster';
import { UnsupportedImage } from './refusal';

/** Bytes of an array's elements: the same as of a TIFF's samples. */
const maxArrayBytes = 2 ** 30;

/** Where the sides of an array lie among its axes. */
interface Axes {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** The channels come before the rows. */
  readonly channelsFirst: boolean;
}

/**
 * Channels of a `[height, width, channels]` or `[channels, height, width]` array: the axis with as
 * many as the model takes, or, if none has or nobody says how many, the shorter one of both ends.
 */
function axesOf(shape: readonly number[], wanted: number | undefined): Axes | undefined {
  const sides = shape.length === 4 && shape[0] === 1 ? shape.slice(1) : shape;
  const [first = 0, second = 0, third = 0] = sides;
  if (sides.length === 2) return { channels: 1, height: first, width: second, channelsFirst: true };
  if (sides.length !== 3) return undefined;
  const channelsFirst = first === wanted || (third !== wanted && first <= third);
  return channelsFirst
    ? { channels: first, height: second, width: third, channelsFirst }
    : { channels: third, height: first, width: second, channelsFirst };
}

function interleaved<T extends Uint8Array | Float32Array>(planes: T, channels: number): T {
  const out = planes.slice() as T;
  const pixels = planes.length / channels;
  for (let c = 0; c < channels; c++)
    for (let i = 0; i < pixels; i++) out[i * channels + c] = planes[c * pixels + i] ?? 0;
  return out;
}

/** An array as an image, and what of it a person should know. */
export interface ArrayImage {
  readonly raster: Raster;
  readonly notes: readonly string[];
}

/**
 * Reads a `.npy` file as an image of `wanted` channels (of any number if it is undefined):
 * `[height, width]`, `[height, width, channels]` or `[channels, height, width]`, alone or with a
 * leading 1. Throws `UnsupportedImage` for another shape, a `CheckpointError` for a broken file.
 */
export async function decodeNpy(path: string, wanted?: number): Promise<ArrayImage> {
  const { selected } = await openCheckpoint(path);
  const [tensor] = selected.tensors;
  if (!tensor) throw new UnsupportedImage('no array');
  const axes = axesOf(tensor.shape, wanted);
  const shape = `[${tensor.shape.join(', ')}]`;
  if (!axes || tensor.shape.includes(0))
    throw new UnsupportedImage(
      `an array of shape ${shape}; [height, width], [height, width, channels] or [channels, height, width] are read`,
    );
  if (byteLength(tensor) > maxArrayBytes)
    throw new UnsupportedImage(`an array of ${byteLength(tensor)} bytes; at most ${maxArrayBytes} are read`);
  const { channels, height, width, channelsFirst } = axes;
  const values = await readValues(tensor);
  const samples = channelsFirst ? interleaved(values, channels) : values;
  const order = channelsFirst ? 'channels, height, width' : 'height, width, channels';
  const isEither = tensor.shape.length > 2 && tensor.shape.at(-1) === tensor.shape.at(-3);
  return {
    raster: { width, height, channels, samples },
    notes: isEither ? [`assumed: the array's axes ${shape} are ${order}; both orders fit`] : [],
  };
}

async function readValues(tensor: Tensor): Promise<Uint8Array | Float32Array> {
  const bytes = await readTensor(tensor);
  return tensor.dtype === 'U8' ? bytes : toFloat32(bytes, tensor.dtype);
}
