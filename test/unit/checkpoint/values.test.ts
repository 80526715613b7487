import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';
import { openCheckpoint } from '../../../src/checkpoint/open';
import type { DType, Storage, Tensor } from '../../../src/checkpoint/tensors';
import { readElements, readTensor, toFloat32 } from '../../../src/checkpoint/values';

const fixtures = resolve('test/fixtures');

/**
 * Path -> tensor -> CRC-32 of its contiguous bytes, computed by test/fixtures/values/make.py with
 * NumPy.
 */
const expected = JSON.parse(readFileSync(join(fixtures, 'values/values.json'), 'utf8')) as Record<
  string,
  Record<string, number>
>;

describe('values of real files equal those that NumPy reads', () => {
  for (const [path, checksums] of Object.entries(expected)) {
    it(path, async () => {
      const { selected } = await openCheckpoint(join(fixtures, path));
      const found = await Promise.all(
        selected.tensors.map(async (tensor) => [tensor.name, crc32(await readTensor(tensor))]),
      );
      assert.deepEqual(Object.fromEntries(found), checksums);
    });
  }
});

const [rows, columns] = [5, 7];
const value = (row: number, column: number) => 100 * row + column;
const rowMajor = Float32Array.from({ length: rows * columns }, (_, index) =>
  value(Math.floor(index / columns), index % columns),
);

/** The matrix as it may lie in a storage. */
const layouts: Readonly<Record<string, { bytes: Uint8Array; place: Partial<Tensor> }>> = {
  'row-major': { bytes: bytesOf(rowMajor), place: {} },
  'big-endian': { bytes: Buffer.from(bytesOf(rowMajor)).swap32(), place: { bigEndian: true } },
  'column-major': {
    bytes: bytesOf(
      Float32Array.from({ length: rows * columns }, (_, index) =>
        value(index % rows, Math.floor(index / rows)),
      ),
    ),
    place: { strides: [1, rows] },
  },
  'every second column of a wider one': {
    bytes: bytesOf(
      Float32Array.from({ length: rows * 2 * columns }, (_, index) =>
        value(Math.floor(index / 2 / columns), (index % (2 * columns)) / 2),
      ),
    ),
    place: { strides: [2 * columns, 2] },
  },
};

describe('readTensor and readElements', () => {
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'vitrine-values-'))));
  after(() => rmSync(folder, { recursive: true }));

  for (const [name, { bytes, place }] of Object.entries(layouts)) {
    for (const [kind, store] of Object.entries(stores())) {
      it(`${name}, ${kind}`, async () => {
        const tensor: Tensor = {
          name: 'm',
          dtype: 'F32',
          shape: [rows, columns],
          start: 12,
          storage: store(join(folder, 'm'), bytes),
          ...place,
        };
        assert.deepEqual(await readTensor(tensor), bytesOf(rowMajor));
        const page = await readElements(tensor, 9, 13);
        assert.deepEqual(page, bytesOf(rowMajor.subarray(9, 9 + 13)));
        assert.deepEqual(await readElements(tensor, rows * columns - 2, 100), bytesOf(rowMajor.subarray(-2)));
      });
    }
  }

  it('gathers a column-major tensor larger than a slab without holding its storage', async () => {
    const [height, width] = [3000, 2000];
    const storage = new Float32Array(height * width).map((_, index) => index);
    const file = join(folder, 'large');
    writeFileSync(file, storage);
    const tensor: Tensor = {
      name: 'l',
      dtype: 'F32',
      shape: [height, width],
      strides: [1, height],
      start: 0,
      storage: { kind: 'file', file, offset: 0, length: storage.byteLength },
    };
    const values = toFloat32(await readTensor(tensor), 'F32');
    for (const [row, column] of [
      [0, 0],
      [1, 0],
      [0, 1],
      [1234, 1567],
      [height - 1, width - 1],
    ] as const)
      assert.equal(values[row * width + column], column * height + row);
  });

  it('reads nothing of an empty tensor and repeats an expanded one', async () => {
    const storage: Storage = { kind: 'inline', bytes: bytesOf(Float32Array.of(1, 2, 3)) };
    const empty = { name: 'e', dtype: 'F32', shape: [0, 3], start: 0, storage } as const;
    assert.equal((await readTensor(empty)).length, 0);
    const expanded = { name: 'x', dtype: 'F32', shape: [2, 3], strides: [0, 1], start: 0, storage } as const;
    assert.deepEqual(toFloat32(await readTensor(expanded), 'F32'), Float32Array.of(1, 2, 3, 1, 2, 3));
  });
});

/** Storages that hold `bytes` from their byte 12 on. */
function stores(): Record<string, (file: string, bytes: Uint8Array) => Storage> {
  const before = new Uint8Array(12).fill(9);
  const write = (file: string, bytes: Uint8Array): Storage => {
    writeFileSync(file, Buffer.concat([Buffer.from('odd'), bytes]));
    return { kind: 'file', file, offset: 3, length: bytes.length };
  };
  return {
    'at an odd offset of a file': (file, bytes) => write(file, Buffer.concat([before, bytes])),
    'in a deflated stream': (file, bytes) => {
      const whole = Buffer.concat([before, bytes]);
      return {
        ...(write(file, deflateRawSync(whole)) as Extract<Storage, { kind: 'file' }>),
        deflated: { size: whole.length },
      };
    },
    inline: (_file, bytes) => ({ kind: 'inline', bytes: Buffer.concat([before, bytes]) }),
  };
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.slice().buffer);
}

describe('toFloat32', () => {
  /** Bit patterns of each format's landmarks. */
  const landmarks: Partial<Record<DType, readonly [bits: number, value: number][]>> = {
    F16: [
      [0x3c00, 1],
      [0x7bff, 65504],
      [0x0001, 2 ** -24],
      [0x8400, -(2 ** -14)],
      [0xfc00, -Infinity],
      [0x7e00, NaN],
    ],
    BF16: [
      [0x3f80, 1],
      [0x4049, 3.140625],
      [0x0001, 2 ** -133],
      [0xff80, -Infinity],
      [0x7fc0, NaN],
    ],
    F8_E4M3: [
      [0x38, 1],
      [0x7e, 448],
      [0x01, 2 ** -9],
      [0x88, -(2 ** -6)],
      [0x7f, NaN],
      [0xff, NaN],
    ],
    F8_E5M2: [
      [0x3c, 1],
      [0x7b, 57344],
      [0x01, 2 ** -16],
      [0x7c, Infinity],
      [0x7e, NaN],
    ],
  };
  for (const [dtype, pairs] of Object.entries(landmarks)) {
    it(dtype, () => {
      const codes = pairs.map(([bits]) => bits);
      const bytes = dtype.startsWith('F8')
        ? Uint8Array.from(codes)
        : new Uint8Array(Uint16Array.from(codes).buffer);
      assert.deepEqual(
        [...toFloat32(bytes, dtype as DType)],
        pairs.map(([, number]) => number),
      );
    });
  }

  it('integers, booleans and doubles, from unaligned bytes', () => {
    const shifted = (values: { readonly buffer: ArrayBufferLike }) =>
      Buffer.concat([Buffer.of(0), new Uint8Array(values.buffer)]).subarray(1);
    assert.deepEqual([...toFloat32(shifted(BigInt64Array.of(-3n, 2n ** 40n)), 'I64')], [-3, 2 ** 40]);
    assert.deepEqual([...toFloat32(shifted(Float64Array.of(0.1, -2)), 'F64')], [Math.fround(0.1), -2]);
    assert.deepEqual([...toFloat32(shifted(Int16Array.of(-5)), 'I16')], [-5]);
    assert.deepEqual([...toFloat32(Uint8Array.of(0, 1, 255), 'BOOL')], [0, 1, 1]);
  });

  it('refuses types that are no plain numbers', () => {
    for (const dtype of ['C64', 'F4', 'STRING'] as const)
      assert.throws(() => toFloat32(new Uint8Array(8), dtype), RangeError);
  });
});
