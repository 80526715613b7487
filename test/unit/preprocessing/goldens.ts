/**
 * Reads the preprocessing goldens of test/fixtures/preprocessing (README.md there says what they
 * are).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RgbImage } from '../../../src/preprocessing/resize';

export const folder = join('test', 'fixtures', 'preprocessing');

export function readLines<Line>(name: string): Line[] {
  const text = readFileSync(join(folder, name), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

export interface StoredTensor {
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** All tensors of a small safetensors file. */
export function readTensors(name: string): Map<string, StoredTensor> {
  const file = readFileSync(join(folder, name));
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, start)) as Record<
    string,
    { shape: number[]; data_offsets: [number, number] }
  >;
  delete header['__metadata__'];
  return new Map(
    Object.entries(header).map(
      ([
        key,
        {
          shape,
          data_offsets: [from, to],
        },
      ]) => [key, { shape, bytes: new Uint8Array(file.subarray(start + from, start + to)) }],
    ),
  );
}

export function floats(tensor: StoredTensor): Float32Array {
  return new Float32Array(tensor.bytes.slice().buffer);
}

export function imageOf(tensor: StoredTensor): RgbImage {
  const [height, width] = tensor.shape as [number, number, number];
  return { height, width, rgb: tensor.bytes };
}
