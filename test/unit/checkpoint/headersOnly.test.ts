// Opening reads headers: of files of 10 GB (sparse ones, so that the disk need not have them) a few MB at most.
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { openFile, type ByteSource } from '../../../src/checkpoint/byteSource';
import { readTable } from '../../../src/checkpoint/formats';
import { field, head, int } from '../../support/protobufWriter';
import { byteLength } from '../../../src/checkpoint/tensors';

const layers = 24;
const dim = 10_000;
const matrixBytes = 4 * dim * dim;
const names = Array.from({ length: layers }, (_, index) => `blocks.${index}.mlp.fc1.weight`);
const mostBytesRead = 2e6;

/** Pieces of a file: bytes, or a hole of so many zeros. */
type Pieces = readonly (Uint8Array | number)[];

const builders: Readonly<Record<string, () => Pieces>> = {
  safetensors,
  'pytorch zip': torchZip,
  'pytorch legacy': torchLegacy,
  onnx,
};

describe('opening a file of 10 GB', () => {
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'vitrine-large-'))));
  after(() => rmSync(folder, { recursive: true }));

  for (const [format, build] of Object.entries(builders)) {
    it(format, async () => {
      const path = join(folder, 'sparse');
      writePieces(path, build());
      const { source, read } = counting(await openFile(path));
      assert.ok(source.size > 9.5e9);
      const table = await readTable(source);
      await source.close();
      assert.equal(table.format, format);
      const { tensors } = table.stateDicts[0]!;
      assert.deepEqual(
        tensors.map(({ name }) => name),
        names,
      );
      assert.ok(tensors.every((tensor) => byteLength(tensor) === matrixBytes));
      assert.ok(read() < mostBytesRead, `${read()} bytes were read`);
    });
  }
});

function counting(source: ByteSource): { source: ByteSource; read: () => number } {
  let bytes = 0;
  const counted: ByteSource = {
    path: source.path,
    file: source.file,
    size: source.size,
    read: (offset, length) => ((bytes += length), source.read(offset, length)),
    close: () => source.close(),
  };
  return { source: counted, read: () => bytes };
}

function writePieces(path: string, pieces: Pieces): void {
  const handle = openSync(path, 'w');
  let at = 0;
  for (const piece of pieces) {
    if (typeof piece !== 'number') writeSync(handle, piece, 0, piece.length, at);
    at += typeof piece === 'number' ? piece : piece.length;
  }
  ftruncateSync(handle, at);
  closeSync(handle);
}

function safetensors(): Pieces {
  const entries = names.map((name, index) => [
    name,
    { dtype: 'F32', shape: [dim, dim], data_offsets: [index * matrixBytes, (index + 1) * matrixBytes] },
  ]);
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  return [u64(header.length), header, layers * matrixBytes];
}

// -- PyTorch

/** Protocol 2 of `{name: _rebuild_tensor_v2(storage, 0, (dim, dim), (dim, 1), False, OrderedDict())}`. */
function statePickle(legacy: boolean): Buffer {
  const text = (value: string) => Buffer.concat([Buffer.from('X'), u32(value.length), Buffer.from(value)]);
  const int = (value: number) => Buffer.concat([Buffer.from('J'), u32(value)]);
  const tensor = (key: string) => [
    Buffer.from('ctorch._utils\n_rebuild_tensor_v2\n(('),
    text('storage'),
    Buffer.from('ctorch\nFloatStorage\n'),
    text(key),
    text('cpu'),
    int(dim * dim),
    Buffer.from(`${legacy ? 'N' : ''}tQK\0`, 'latin1'),
    int(dim),
    int(dim),
    Buffer.from('\x86', 'latin1'),
    int(dim),
    Buffer.from('K\x01\x86\x89ccollections\nOrderedDict\n)RtR', 'latin1'),
  ];
  const items = names.flatMap((name, index) => [text(name), ...tensor(String(index))]);
  return Buffer.concat([Buffer.from('\x80\x02}(', 'latin1'), ...items, Buffer.from('u.')]);
}

function torchLegacy(): Pieces {
  const magic = Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex');
  const version = Buffer.from('80024de9032e', 'hex');
  const system = Buffer.from('80027d2e', 'hex');
  const keys = names.map((_, index) => Buffer.from(`U${String.fromCharCode(String(index).length)}${index}`));
  const list = Buffer.concat([Buffer.from('\x80\x02](', 'latin1'), ...keys, Buffer.from('e.')]);
  return [
    magic,
    version,
    system,
    statePickle(true),
    list,
    ...names.flatMap(() => [u64(dim * dim), matrixBytes]),
  ];
}

function torchZip(): Pieces {
  const pickle = statePickle(false);
  const entries = [
    { name: 'archive/data.pkl', piece: pickle, size: pickle.length, crc: crc32(pickle) },
    ...names.map((_, index) => ({
      name: `archive/data/${index}`,
      piece: matrixBytes,
      size: matrixBytes,
      crc: 0,
    })),
  ];
  const pieces: (Uint8Array | number)[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const { name, piece, size, crc } of entries) {
    const local = Buffer.concat([
      u32(0x04034b50),
      Buffer.alloc(22),
      u16(name.length),
      u16(0),
      Buffer.from(name),
    ]);
    pieces.push(local, piece);
    // zip64: the size and the offset stand in the extra field.
    const wide = Buffer.concat([u16(1), u16(24), u64(size), u64(size), u64(at)]);
    const none = u32(0xffffffff);
    directory.push(
      u32(0x02014b50),
      Buffer.alloc(12),
      u32(crc),
      none,
      none,
      u16(name.length),
      u16(wide.length),
      Buffer.alloc(10),
      none,
    );
    directory.push(Buffer.from(name), wide);
    at += local.length + size;
  }
  const central = Buffer.concat(directory);
  const count = u64(entries.length);
  const end64 = Buffer.concat([
    u32(0x06064b50),
    u64(44),
    Buffer.alloc(12),
    count,
    count,
    u64(central.length),
    u64(at),
  ]);
  const locator = Buffer.concat([u32(0x07064b50), u32(0), u64(at + central.length), u32(1)]);
  const end = Buffer.concat([u32(0x06054b50), Buffer.alloc(4, 0xff), Buffer.alloc(12, 0xff), u16(0)]);
  return [...pieces, central, end64, locator, end];
}

// -- ONNX

function onnx(): Pieces {
  const tensors = names.flatMap((name) => {
    const before = Buffer.concat([int(1, dim), int(1, dim), int(2, 1), field(8, name), head(9, matrixBytes)]);
    return [head(5, before.length + matrixBytes), before, matrixBytes];
  });
  const node = field(1, field(1, 'x'), field(2, 'y'), field(4, 'Identity'));
  const value = (name: string) => field(1, name);
  const tail = [field(11, value('x')), field(12, value('y'))];
  const graph = [node, ...tensors, ...tail];
  const length = graph.reduce<number>(
    (sum, piece) => sum + (typeof piece === 'number' ? piece : piece.length),
    0,
  );
  return [int(1, 8), head(7, length), ...graph, field(8, int(2, 17))];
}

function u16(value: number): Buffer {
  return Buffer.of(value & 255, value >> 8);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
