import { writeFileSync } from 'node:fs';
import { field, int } from '../../support/protobufWriter';

/**
 * Writers of the hostile files that are too large to keep, by the name of their case. They equal
 * `make/hostile.py --large`.
 */
export const largeFiles: Readonly<Record<string, (path: string, healthy: (name: string) => Buffer) => void>> =
  {
    'zip/many-entries.pth': (path, healthy) =>
      writeFileSync(path, withEmptyEntries(healthy('pickle/healthy.pth'), 65_000)),
    'safetensors/megabyte-name.safetensors': (path, healthy) =>
      writeFileSync(path, withTensor(healthy('safetensors/healthy.safetensors'), 'n'.repeat(1_000_000))),
    'safetensors/200k-tensors.safetensors': (path) => writeFileSync(path, manyTensors(200_000)),
    'onnx/100k-nodes.onnx': (path) => writeFileSync(path, manyNodes(100_000)),
  };

function safetensors(header: object, data: Buffer): Buffer {
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, data]);
}

function withTensor(file: Buffer, name: string): Buffer {
  const start = 8 + Number(file.readBigUInt64LE());
  const end = file.length - start;
  const header = JSON.parse(file.toString('utf8', 8, start)) as object;
  return safetensors(
    { ...header, [name]: { dtype: 'F32', shape: [0], data_offsets: [end, end] } },
    file.subarray(start),
  );
}

function manyTensors(count: number): Buffer {
  const entries = Array.from({ length: count }, (_, index) => [
    `layers.${Math.floor(index / 100)}.part.${index % 100}.weight`,
    { dtype: 'F32', shape: [1], data_offsets: [4 * index, 4 * index + 4] },
  ]);
  return safetensors(Object.fromEntries(entries) as object, Buffer.alloc(4 * count));
}

/** Adds stored entries of no bytes to a zip whose end record has no comment. */
function withEmptyEntries(zip: Buffer, count: number): Buffer {
  const end = zip.subarray(-22);
  const directoryAt = end.readUInt32LE(16);
  const locals: Buffer[] = [];
  const centrals: Buffer[] = [];
  for (let index = 0, at = directoryAt; index < count; index++) {
    const name = Buffer.from(`archive/data/x${index}`);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt32LE(at, 42);
    locals.push(local, name);
    centrals.push(central, name);
    at += local.length + name.length;
  }
  const before = Buffer.concat([zip.subarray(0, directoryAt), ...locals]);
  const directory = Buffer.concat([zip.subarray(directoryAt, -22), ...centrals]);
  const record = Buffer.from(end);
  record.writeUInt16LE(end.readUInt16LE(8) + count, 8);
  record.writeUInt16LE(end.readUInt16LE(10) + count, 10);
  record.writeUInt32LE(directory.length, 12);
  record.writeUInt32LE(before.length, 16);
  return Buffer.concat([before, directory, record]);
}

/** A chain of Identity nodes from x to y, as a protobuf. */
function manyNodes(count: number): Buffer {
  const nodes = Array.from({ length: count }, (_, index) =>
    field(
      1,
      field(1, index === 0 ? 'x' : `h${index}`),
      field(2, index === count - 1 ? 'y' : `h${index + 1}`),
      field(3, `n${index}`),
      field(4, 'Identity'),
    ),
  );
  const type = field(2, field(1, int(1, 1), field(2, field(1, int(1, 1)))));
  const graph = field(
    7,
    ...nodes,
    field(2, 'g'),
    field(11, field(1, 'x'), type),
    field(12, field(1, 'y'), type),
  );
  return Buffer.concat([int(1, 8), graph, field(8, int(2, 17))]);
}
