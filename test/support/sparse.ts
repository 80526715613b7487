import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** Names and shapes of the tensors of a file. */
export type Shapes = Readonly<Record<string, readonly number[]>>;

/** Returns names and shapes in the header of a safetensors file. */
export function shapesIn(file: string): Shapes {
  const bytes = readFileSync(file);
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + Number(bytes.readBigUInt64LE()))) as Record<
    string,
    { readonly shape: readonly number[] }
  >;
  const tensors = Object.entries(header).filter(([name]) => name !== '__metadata__');
  return Object.fromEntries(tensors.map(([name, { shape }]) => [name, shape]));
}

/**
 * Writes float32 tensors of these shapes, all zeros, which take no room on the disk; and what lies
 * beside them, by the files' names. Returns the file's path.
 */
export function writeSparse(
  folder: string,
  shapes: Shapes,
  beside: Readonly<Record<string, unknown>> = {},
): string {
  let end = 0;
  const entries = Object.entries(shapes).map(([name, shape]) => {
    const start = end;
    end += shape.reduce((product, size) => product * size, 4);
    return [name, { dtype: 'F32', shape, data_offsets: [start, end] }] as const;
  });
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const file = join(folder, 'model.safetensors');
  mkdirSync(dirname(file), { recursive: true });
  const handle = openSync(file, 'w');
  writeSync(handle, length);
  writeSync(handle, json);
  closeSync(handle);
  truncateSync(file, 8 + json.length + end);
  for (const [name, value] of Object.entries(beside))
    writeFileSync(join(folder, name), JSON.stringify(value));
  return file;
}
