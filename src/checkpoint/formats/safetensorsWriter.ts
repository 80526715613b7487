import { writeFile } from 'node:fs/promises';
import type { DType } from '../tensors';

/** A tensor to write: row-major, little-endian. */
export interface NamedTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/**
 * Tensors as a safetensors file: 8 bytes of header length, the JSON header padded to 8 bytes with
 * spaces, the data.
 */
export function encodeSafetensors(tensors: readonly NamedTensor[]): readonly Uint8Array[] {
  let offset = 0;
  const entries = tensors.map(({ name, dtype, shape, bytes }) => {
    const data_offsets = [offset, (offset += bytes.length)];
    return [name, { dtype, shape, data_offsets }] as const;
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const padded = Buffer.alloc(Math.ceil(header.length / 8) * 8, ' ');
  header.copy(padded);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return [length, padded, ...tensors.map(({ bytes }) => bytes)];
}

/** Writes tensors to a new safetensors file. */
export async function writeSafetensors(path: string, tensors: readonly NamedTensor[]): Promise<void> {
  await writeFile(path, encodeSafetensors(tensors));
}
