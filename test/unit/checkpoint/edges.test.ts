import assert from 'node:assert/strict';
import { foreignFormats } from '../../../src/checkpoint/formats/foreign';
import { onnx } from '../../../src/checkpoint/formats/onnx';
import { safetensors } from '../../../src/checkpoint/formats/safetensors';
import { torchLegacy } from '../../../src/checkpoint/formats/torchLegacy';
import { torchZip } from '../../../src/checkpoint/formats/torchZip';
import { unpickle } from '../../../src/checkpoint/pickle/pickle';
import { isRowMajor, rowMajorStrides, shown, spannedBytes } from '../../../src/checkpoint/shape';
import { byteLength, dtypes, isPlain, type Storage, type Tensor } from '../../../src/checkpoint/tensors';
import { unwrapNames } from '../../../src/checkpoint/unwrap';
import { readElements, readTensor } from '../../../src/checkpoint/values';

const file: Storage = { kind: 'file', file: 'x', offset: 0, length: 4 };
const tensor = (changes: Partial<Tensor> = {}): Tensor => ({
  name: 'x',
  dtype: 'F32',
  shape: [1],
  start: 0,
  storage: file,
  ...changes,
});

describe('formats are known by their first bytes', () => {
  /** A safetensors head: u64 length of the header, then the header. */
  const header = (length: bigint, text = '{}'): Buffer => {
    const head = Buffer.alloc(8);
    head.writeBigUInt64LE(length);
    return Buffer.concat([head, Buffer.from(text)]);
  };

  it('safetensors: a length that fits and a brace', () => {
    assert.equal(safetensors.matches(header(2n), 'x'), true);
    assert.equal(safetensors.matches(header(100_000_000n), 'x'), true);
    assert.equal(safetensors.matches(header(100_000_001n), 'x'), false);
    assert.equal(safetensors.matches(header(2n, '[]'), 'x'), false);
    assert.equal(safetensors.matches(header(2n, '{'), 'x'), false);
    assert.equal(safetensors.matches(header(2n + 2n ** 32n), 'x'), false);
  });

  it('ONNX: its version, then one of the fields that exporters write next', () => {
    const matches = (...bytes: readonly number[]): boolean => onnx.matches(Uint8Array.from(bytes), 'x');
    for (const second of [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42])
      assert.equal(matches(0x08, 8, second), true, String(second));
    assert.deepEqual([matches(0x08, 1, 0x12), matches(0x08, 127, 0x12)], [true, true]);
    assert.deepEqual([matches(0x08, 0, 0x12), matches(0x08, 128, 0x12)], [false, false]);
    assert.deepEqual([matches(0x09, 8, 0x12), matches(0x08, 8, 0x11)], [false, false]);
    assert.deepEqual([matches(), matches(0x08), matches(0x08, 8)], [false, false, false]);
  });

  it('pickles: the protocols from 2 to 5, and older ones by their text', () => {
    const matches = (...bytes: readonly number[]): boolean =>
      torchLegacy.matches(Uint8Array.from(bytes), 'x');
    const found = [1, 2, 5, 6].map((protocol) => matches(0x80, protocol, 0x7d));
    assert.deepEqual(found, [false, true, true, false]);
    assert.equal(matches(0x80, 2), false);
    assert.equal(torchLegacy.matches(Buffer.from('(dp0\n'), 'x'), true);
    assert.equal(torchLegacy.matches(Buffer.from('hello'), 'x'), false);
  });

  it('zips: both letters and a kind of record', () => {
    const matches = (text: string): boolean => torchZip.matches(Buffer.from(text, 'latin1'), 'x');
    assert.deepEqual([matches('PK\x03\x04'), matches('PK\x05\x06')], [true, true]);
    assert.deepEqual([matches('PX\x03'), matches('XK\x03'), matches('PK\x04')], [false, false, false]);
  });

  it('other files: by no more than their first 512 bytes', () => {
    const tar = Buffer.concat([Buffer.alloc(257), Buffer.from('ustar')]);
    const of = (bytes: Uint8Array) => foreignFormats.find((format) => format.matches(bytes, 'x'))?.name;
    assert.equal(of(tar), 'a tar archive');
    assert.equal(of(Buffer.from('%PDF-1.7')), 'a PDF document, not a checkpoint');
    assert.equal(of(Buffer.from('{}')), undefined);
  });
});

describe('types of elements', () => {
  it('have the bytes and the number that ONNX gives them', () => {
    const packed = { F4: 0.5, U4: 0.5, I4: 0.5, F6_E2M3: 0.75, F6_E3M2: 0.75 } as const;
    for (const [name, bytes] of Object.entries(packed))
      assert.equal(
        byteLength({ dtype: name as keyof typeof packed, shape: [3] }),
        Math.ceil(3 * bytes),
        name,
      );
    assert.deepEqual([dtypes.F8_E4M3.bytes, dtypes.F8_E5M2FNUZ.bytes, dtypes.F8_E8M0.bytes], [1, 1, 1]);
    assert.equal(byteLength({ dtype: 'F64', shape: [] }), 8);
    const runnable = Object.entries(dtypes).flatMap(([name, { runnable }]) => (runnable ? [name] : []));
    const known = 'BOOL U8 I8 I16 U16 I32 U32 I64 U64 F16 BF16 F32 F64 F8_E4M3 F8_E5M2';
    assert.equal(runnable.join(' '), known);
  });

  it('lie plainly in a file, or not', () => {
    assert.equal(isPlain(tensor()), true);
    assert.equal(isPlain(tensor({ strides: [2] })), false);
    assert.equal(isPlain(tensor({ bigEndian: true })), false);
    assert.equal(isPlain(tensor({ storage: { ...file, deflated: { size: 4 } } })), false);
    assert.equal(isPlain(tensor({ storage: { kind: 'inline', bytes: new Uint8Array(4) } })), false);
  });
});

describe('shapes', () => {
  it('have the strides of rows', () => {
    assert.deepEqual(rowMajorStrides([2, 3, 4]), [12, 4, 1]);
    assert.deepEqual([isRowMajor([2, 3], [3, 1]), isRowMajor([2, 3], [1, 2])], [true, false]);
  });

  it('span what lies between the first and the last element', () => {
    assert.equal(spannedBytes('F32', [2, 3], [10, 2]), (10 + 2 * 2 + 1) * 4);
    assert.equal(spannedBytes('F32', [2, 3]), 24);
  });

  it('are cut to 80 letters in a message', () => {
    assert.equal(shown('x'.repeat(78)), `"${'x'.repeat(78)}"`);
    assert.equal(shown('x'.repeat(79)), `"${'x'.repeat(76)}…`);
    assert.deepEqual([shown(undefined), shown(12n), shown([1n, 2])], ['absent', '12', '["1",2]']);
  });
});

describe('names of nothing', () => {
  it('are one empty state dict', () =>
    assert.deepEqual(unwrapNames([]), [{ name: '', tensors: [], stripped: '' }]));
});

describe('text of a pickle', () => {
  const text = (...bytes: readonly number[]) =>
    unpickle(Uint8Array.from([0x80, 3, 0x58, bytes.length, 0, 0, 0, ...bytes, 0x2e])).value;

  it('may hold a lone surrogate, which is three bytes', () => {
    assert.equal(text(0xed, 0xa0, 0x80), '\ud800');
    assert.equal(text(0xed, 0xbf, 0xbf), '\udfff');
    assert.equal(text(0x61, 0xed, 0xad, 0xbf, 0x62, 0xed, 0xb0, 0x81), 'a\udb7fb\udc01');
  });
});

describe('elements of a storage', () => {
  const bytes = Uint8Array.from({ length: 24 }, (_, at) => at);
  const inline = tensor({
    dtype: 'U8',
    shape: [2, 3],
    strides: [1, 2],
    start: 4,
    storage: { kind: 'inline', bytes },
  });

  it('are gathered by their strides from the first on', async () => {
    assert.deepEqual([...(await readTensor(inline))], [4, 6, 8, 5, 7, 9]);
    const wide = { ...inline, dtype: 'U16' } as const;
    assert.deepEqual([...(await readTensor(wide))], [4, 5, 8, 9, 12, 13, 6, 7, 10, 11, 14, 15]);
  });

  it('are read by a range of their order', async () => {
    assert.deepEqual([...(await readElements(inline, 2, 3))], [8, 5, 7]);
    assert.deepEqual([...(await readElements(inline, 0, 1))], [4]);
    assert.deepEqual([...(await readElements({ ...inline, shape: [], strides: [] }, 0, 1))], [4]);
  });
});
