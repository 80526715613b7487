import type { Format, TensorTable } from '../format';
import { extname } from 'node:path';
import type { ByteSource } from '../byteSource';
import { CheckpointError } from '../errors';
import { foreignFormats } from './foreign';
import { limits } from '../limits';
import { npy, npz } from './npz';
import { onnx } from './onnx';
import { safetensors } from './safetensors';
import { torchLegacy } from './torchLegacy';
import { torchZip } from './torchZip';

/**
 * Every format, in the order in which a file's first bytes are shown to them. Content decides,
 * never the name: .npz before other zips, and safetensors before pickle, because a header of 640
 * bytes begins like a pickle of protocol 2 (80 02).
 */
export const formats: readonly Format[] = [
  ...foreignFormats,
  npz,
  torchZip,
  safetensors,
  npy,
  torchLegacy,
  onnx,
];

/** If no first bytes match, the name tells which format's error message helps. */
const byExtension: Readonly<Record<string, Format>> = {
  '.safetensors': safetensors,
  '.onnx': onnx,
  '.npy': npy,
  '.pkl': torchLegacy,
};

/** Reads the table of whatever format the file is. Throws `CheckpointError`. */
export async function readTable(source: ByteSource): Promise<TensorTable> {
  if (source.size === 0)
    throw new CheckpointError(
      'malformed',
      source.path,
      'the file is empty (0 bytes); download or save it again',
    );
  const head = await source.read(0, Math.min(source.size, limits.headBytes));
  const format = formats.find((candidate) => candidate.matches(head, source.path)) ?? fallback(source, head);
  return format.read(source);
}

const leastBytes = 8;

function fallback(source: ByteSource, head: Uint8Array): Format {
  const extension = extname(source.path).toLowerCase();
  const format = Object.hasOwn(byExtension, extension) ? byExtension[extension] : undefined;
  if (format && source.size >= leastBytes) return format;
  const start = Buffer.from(head.subarray(0, 8)).toString('hex').replace(/../g, '$& ').trim();
  throw new CheckpointError(
    'unsupported',
    source.path,
    `not recognised as a checkpoint${source.size < leastBytes ? ` (too short: ${source.size} bytes)` : ''}: it begins with ${start}; ` +
      'safetensors, PyTorch (zip or legacy), NumPy .npz and ONNX can be opened',
  );
}
