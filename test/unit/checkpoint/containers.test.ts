import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { fromBytes, openFile, type ByteSource } from '../../../src/checkpoint/byteSource';
import { JsonScanner } from '../../../src/checkpoint/containers/json';
import { inflateRange, readZip } from '../../../src/checkpoint/containers/zip';
import { readTable } from '../../../src/checkpoint/formats';
import { foreignFormats } from '../../../src/checkpoint/formats/foreign';
import { npy, npz } from '../../../src/checkpoint/formats/npz';
import { safetensors } from '../../../src/checkpoint/formats/safetensors';
import { openCheckpoint } from '../../../src/checkpoint/open';
import { readElements, readTensor } from '../../../src/checkpoint/values';
import { u16, u32, u64, zipPieces } from '../../support/zipWriter';

interface CentralEntry {
  readonly name: string;
  readonly offset?: number;
  readonly packed?: number;
  readonly size?: number;
  readonly extra?: Uint8Array;
  readonly comment?: string;
}

/** An entry of a zip's central directory, stored. */
function central(entry: CentralEntry): Buffer {
  const { name, offset = 0, packed = 0, size = packed, extra = Buffer.of(), comment = '' } = entry;
  const lengths = [name.length, extra.length, comment.length].map(u16);
  const before = [u32(0x02014b50), Buffer.alloc(16), u32(packed), u32(size), ...lengths];
  return Buffer.concat([
    ...before,
    Buffer.alloc(8),
    u32(offset),
    Buffer.from(name),
    extra,
    Buffer.from(comment),
  ]);
}

/** A zip of 100 bytes of data and this directory. */
function archive(entries: readonly Uint8Array[], count = entries.length): ByteSource {
  const directory = Buffer.concat(entries);
  const counts = [u16(count), u16(count), u32(directory.length), u32(100), u16(0)];
  return fromBytes(
    'a.zip',
    Buffer.concat([Buffer.alloc(100), directory, u32(0x06054b50), u32(0), ...counts]),
  );
}

/** Notes what is read of a source; bytes are those of `byteAt`. */
function noting(size: number, byteAt: (offset: number) => number = () => 0) {
  const reads: (readonly [offset: number, length: number])[] = [];
  const source: ByteSource = {
    path: 'noted',
    file: 'noted',
    size,
    async read(offset, length) {
      reads.push([offset, length]);
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; at++) bytes[at] = byteAt(offset + at);
      return bytes;
    },
    async close() {},
  };
  return { source, reads };
}

describe('a zip', () => {
  it('may be empty: only its end record', async () => {
    const end = Buffer.concat([u32(0x06054b50), Buffer.alloc(18)]);
    assert.equal((await readZip(fromBytes('a.zip', end))).entries.size, 0);
  });

  it('has its end record in its last 65,557 bytes', async () => {
    const { source, reads } = noting(100_000);
    await assert.rejects(readZip(source), /no end of central directory/);
    assert.deepEqual(reads, [[34_443, 65_557]]);
  });

  it('may have comments behind its entries', async () => {
    const entries = [central({ name: 'a', comment: 'first' }), central({ name: 'b', offset: 50 })];
    assert.deepEqual([...(await readZip(archive(entries))).entries.keys()], ['a', 'b']);
  });

  it('may have an entry without a name', async () => {
    const { entries } = await readZip(archive([central({ name: '', packed: 7 })]));
    assert.equal(entries.get('')?.size, 7);
  });

  it('finds the wide sizes behind other extra fields', async () => {
    const time = Buffer.concat([u16(0x5455), u16(5), Buffer.from('times')]);
    const wide = Buffer.concat([u16(1), u16(24), u64(9), u64(9), u64(11)]);
    const [none, extra] = [0xffffffff, Buffer.concat([time, wide])];
    const entry = central({ name: 'a', packed: none, size: none, offset: none, extra });
    const found = (await readZip(archive([entry]))).entries.get('a');
    assert.deepEqual([found?.size, found?.packed, found?.offset], [9, 9, 11]);
  });

  it('says which entry lies beyond the end of the file', async () => {
    const zip = archive([central({ name: 'a', offset: 60, packed: 110 })]);
    assert.equal(zip.size, 169);
    await assert.rejects(
      readZip(zip),
      /a: offset 60 and size 110 lie beyond the end of the file \(169 bytes\)/,
    );
  });

  it('says which entry of its directory is cut', async () => {
    const whole = central({ name: 'a'.repeat(30) });
    for (const kept of [20, 45]) {
      const entries = [whole, central({ name: 'b', offset: 70 }).subarray(0, kept)];
      await assert.rejects(readZip(archive(entries)), /entry 1 of the central directory is no entry/);
    }
  });

  it('has no more in a stream than it states, even where a chunk ends', async () => {
    const inflated = (length: number, stated: number, ends?: boolean): Promise<Uint8Array> => {
      const stream = deflateRawSync(Buffer.alloc(length, 7));
      return inflateRange(fromBytes('a.zip', stream), 'a', 0, stream.length, 0, stated, ends);
    };
    assert.equal((await inflated(65_536, 65_536)).at(-1), 7);
    assert.equal((await inflated(65_537, 65_536, false)).at(-1), 7);
    await assert.rejects(inflated(65_537, 65_536), /a inflates to more than its stated size of 65536/);
    await assert.rejects(inflated(65_536, 65_537), /a inflates to less than its stated size of 65537/);
  });
});

describe('.npy of Python 2', () => {
  it('has long integers and bytes in its header', async () => {
    const header = "{'descr': '<f4', 'fortran_order': False, u'shape': (2L, 3L), }\n";
    const bytes = Buffer.concat([
      Buffer.from(`\x93NUMPY\x01\0${String.fromCharCode(header.length)}\0${header}`, 'latin1'),
      new Uint8Array(24),
    ]);
    const { stateDicts } = await npy.read(fromBytes('a.npy', bytes));
    assert.deepEqual(stateDicts[0]!.tensors[0]!.shape, [2, 3]);
  });
});

describe('JSON of a header', () => {
  it('has three words', () =>
    assert.deepEqual(new JsonScanner('[true, false, null]').value(), [true, false, null]));
});

describe('safetensors', () => {
  it('name the types that there are for one that there is not', async () => {
    const read = (dtype: unknown): Promise<unknown> => {
      const header = JSON.stringify({ x: { dtype, shape: [1], data_offsets: [0, 4] } });
      const bytes = Buffer.concat([u64(header.length), Buffer.from(header), Buffer.alloc(4)]);
      return safetensors.read(fromBytes('x.safetensors', bytes));
    };
    await read('F32');
    for (const dtype of ['F33', 'STRING', 'toString', 32])
      await assert.rejects(read(dtype), /tensor "x" in the header: dtype "?\w+"? is none of .*F32/);
  });
});

describe('.npy', () => {
  const dict = "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }\n";
  const start = (version: number): Buffer =>
    Buffer.from(`\x93NUMPY${String.fromCharCode(version)}\0`, 'latin1');
  const array = Buffer.concat([start(1), u16(dict.length), Buffer.from(dict), Buffer.from('abc')]);

  it('has a wider length from version 2 on', async () => {
    for (const version of [2, 3]) {
      const bytes = Buffer.concat([start(version), u32(dict.length), Buffer.from(dict), Buffer.from('abc')]);
      const { stateDicts } = await npy.read(fromBytes('a.npy', bytes));
      assert.equal(stateDicts[0]?.tensors[0]?.start, 12 + dict.length);
    }
  });

  it('has at least a version and a length', async () => {
    const short = Buffer.concat([start(1), Buffer.of(0)]);
    await assert.rejects(npy.read(fromBytes('a.npy', short)), /a\.npy: the entry is too short/);
    const blank = Buffer.concat([start(1), u16(0)]);
    await assert.rejects(npy.read(fromBytes('a.npy', blank)), /a\.npy: its header is no dict/);
  });

  it('in an archive is warned of where a byte is left', async () => {
    const parts = [
      { name: 'exact.npy', content: array },
      { name: 'more.npy', content: Buffer.concat([array, Buffer.of(0)]) },
    ];
    const pieces = zipPieces(parts).map((piece) => (typeof piece === 'number' ? Buffer.alloc(piece) : piece));
    const { warnings } = await npz.read(fromBytes('a.npz', Buffer.concat(pieces)));
    assert.deepEqual(warnings, ['more.npy: its size is 1 bytes more than its shape [3] needs']);
  });
});

describe('what is no checkpoint', () => {
  it('is shown by its first eight bytes', () =>
    assert.rejects(
      readTable(fromBytes('weights', Buffer.from('hello,\0world'))),
      /not recognised as a checkpoint: it begins with 68 65 6c 6c 6f 2c 00 77; safetensors/,
    ));

  it('is looked at for 512 bytes', () => {
    const page = (blanks: number): boolean =>
      foreignFormats.some((format) => format.matches(Buffer.from(`${' '.repeat(blanks)}<html>`), 'x'));
    assert.deepEqual([page(507), page(508)], [true, false]);
  });

  it('may be a pointer that tells the size of the real file', async () => {
    const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1234\n';
    await assert.rejects(
      readTable(fromBytes('model.bin', Buffer.from(pointer))),
      /a Git LFS pointer: .*\(the real file has 1234 bytes\)/,
    );
  });

  it('may be a folder', async () => {
    await assert.rejects(
      openFile(resolve('test')),
      /this is a directory \(a folder\); only a regular file can be opened/,
    );
  });
});

describe('a checkpoint', () => {
  it('has a graph where it is ONNX', async () => {
    const files = resolve('test/fixtures/hostile/files');
    const graph = (await openCheckpoint(join(files, 'onnx/healthy.onnx'))).onnx;
    assert.ok(graph);
    const other = await openCheckpoint(join(files, 'safetensors/healthy.safetensors'));
    assert.equal('onnx' in other, false);
  });
});

describe('a strided storage', () => {
  it('is read in blocks of 16 MB along its largest stride', async () => {
    const stride = 9_000_000;
    const { source, reads } = noting(2 * stride + 2, (at) => (10 * at) / stride + (at % stride));
    const storage = { kind: 'file', file: 'noted', offset: 0, length: source.size } as const;
    const strides = [stride, 1];
    const tensor = { name: 'x', dtype: 'U8', shape: [3, 2], strides, start: 0, storage } as const;
    assert.deepEqual([...(await readTensor(tensor, async () => source))], [0, 1, 10, 11, 20, 21]);
    assert.deepEqual(reads, [
      [0, stride + 2],
      [2 * stride, 2],
    ]);
  });

  it('of one element is not read beyond its end', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'vitrine-containers-'));
    const file = join(folder, 'x');
    writeFileSync(file, Buffer.of(7));
    const storage = { kind: 'file', file, offset: 0, length: 1 } as const;
    const tensor = { name: 'x', dtype: 'U8', shape: [1], strides: [5], start: 0, storage } as const;
    assert.deepEqual([...(await readElements(tensor, 0, 1))], [7]);
    rmSync(folder, { recursive: true });
  });
});
