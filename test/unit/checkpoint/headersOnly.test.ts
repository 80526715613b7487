// Opening reads headers: of files of 10 GB (sparse ones, so that the disk need not have them) a few
// MB at most.
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFile, type ByteSource } from '../../../src/checkpoint/byteSource';
import { readTable } from '../../../src/checkpoint/formats';
import { field, head, int } from '../../support/protobufWriter';
import { u32, u64, zipPieces } from '../../support/zipWriter';
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

/**
 * Protocol 2 of
 * `{name: _rebuild_tensor_v2(storage, 0, (dim, dim), (dim, 1), False, OrderedDict())}`.
 */
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
  const storages = names.map((_, index) => ({ name: `archive/data/${index}`, content: matrixBytes }));
  return zipPieces([{ name: 'archive/data.pkl', content: statePickle(false) }, ...storages]);
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
