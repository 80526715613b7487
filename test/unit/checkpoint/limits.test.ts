/**
 * Every limit that is cheap to reach, just below and just above. Numbers are written out here, not
 * read from limits.ts: a limit that is changed by mistake must fail.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { fromBytes, type ByteSource } from '../../../src/checkpoint/byteSource';
import { parseJsonObject } from '../../../src/checkpoint/containers/json';
import { probeDeflated, readZip, type ZipEntry } from '../../../src/checkpoint/containers/zip';
import { npy } from '../../../src/checkpoint/formats/npz';
import { readShards } from '../../../src/checkpoint/formats/shards';
import { torchZip } from '../../../src/checkpoint/formats/torchZip';
import { readSidecar } from '../../../src/checkpoint/open';
import { parsePickledTensor } from '../../../src/checkpoint/pickle/tensors';
import { safetensors } from '../../../src/checkpoint/formats/safetensors';
import { unpickle, type PickleObject, type PickleValue } from '../../../src/checkpoint/pickle/pickle';
import { collectTensors } from '../../../src/checkpoint/pickle/tree';
import { shapeProblem } from '../../../src/checkpoint/shape';
import { seeded } from '../../support/random';
import { u16, u32, u64, zipPieces } from '../../support/zipWriter';

/** A deflated entry at the start of a file, which says that it unpacks to `size` bytes. */
async function probe(stream: Uint8Array, size: number): Promise<void> {
  const entry: ZipEntry = {
    name: 'data/0',
    method: 8,
    encrypted: false,
    crc: 0,
    packed: stream.length,
    size,
    offset: 0,
  };
  const source = fromBytes('model.zip', stream);
  await probeDeflated({ source, entries: new Map([[entry.name, entry]]) }, entry, 0);
}

const noise = seeded(1);
const incompressible = Uint8Array.from({ length: 65_600 }, () => 256 * noise());

/** A stream of exactly this length: bytes that do not compress are stored with 5 bytes a block. */
function streamOf(packed: number): { readonly stream: Uint8Array; readonly size: number } {
  let size = packed - 40;
  let stream = deflateRawSync(incompressible.subarray(0, size));
  while (stream.length < packed) stream = deflateRawSync(incompressible.subarray(0, ++size));
  assert.equal(stream.length, packed);
  return { stream, size };
}

describe('limits of a zip', () => {
  it('refuse a ratio that deflate cannot have', async () => {
    const stream = deflateRawSync(new Uint8Array(2_000_000));
    const most = (stream.length + 8) * 1032;
    await probe(stream, most);
    await assert.rejects(probe(stream, most + 1), /cannot inflate to the stated size/);
  });

  it('unpack a stream of 65,536 bytes to its end, and of a longer one the beginning', async () => {
    const small = streamOf(65_536);
    await probe(small.stream, small.size);
    await assert.rejects(probe(small.stream, small.size + 1));
    const large = streamOf(65_537);
    await probe(large.stream, large.size + 1);
  });

  it('unpack to the end what comes to 1 MiB at most', async () => {
    const stream = deflateRawSync(new Uint8Array(2 ** 20 - 1));
    await assert.rejects(probe(stream, 2 ** 20));
    await probe(deflateRawSync(new Uint8Array(2 ** 20)), 2 ** 20 + 1);
  });

  /** Reads a zip whose directory of zeros begins the file. */
  const directory = (size: number, count: number): Promise<unknown> => {
    const counts = [u64(count), u64(count), u64(size), u64(0)];
    const record = Buffer.concat([u32(0x06064b50), u64(44), Buffer.alloc(12), ...counts]);
    const locator = Buffer.concat([u32(0x07064b50), u32(0), u64(size), u32(1)]);
    const end = Buffer.concat([u32(0x06054b50), Buffer.alloc(4), Buffer.alloc(12, 0xff), u16(0)]);
    const tail = Buffer.concat([record, locator, end]);
    const source: ByteSource = {
      path: 'model.zip',
      file: 'model.zip',
      size: size + tail.length,
      async read(offset, length) {
        const bytes = Buffer.alloc(length);
        if (offset + length > size) tail.copy(bytes, Math.max(0, size - offset), Math.max(0, offset - size));
        return bytes;
      },
      async close() {},
    };
    return readZip(source);
  };

  it('read a directory of 32 MB and of 200,000 entries', async () => {
    const notTooLarge = (error: Error): boolean => !/at most|cannot hold/.test(error.message);
    await assert.rejects(directory(32_000_000, 1), notTooLarge);
    await assert.rejects(directory(32_000_001, 1), /at most 32000000 are allowed/);
    await assert.rejects(directory(9_300_000, 200_000), notTooLarge);
    await assert.rejects(directory(9_300_000, 200_001), /cannot hold the 200001 entries/);
  });
});

const dict = (entries: Iterable<readonly [PickleValue, PickleValue]>): PickleValue => ({
  kind: 'dict',
  entries: new Map(entries),
});

/** So many dicts around one. */
function nested(levels: number): PickleValue {
  let value = dict([]);
  for (let level = 0; level < levels; level++) value = dict([['a', value]]);
  return value;
}

/** So many submodules below one. */
function modules(levels: number): PickleValue {
  const module = (parts: readonly (readonly [PickleValue, PickleValue])[]): PickleObject => ({
    kind: 'object',
    type: { kind: 'global', module: 'net', name: 'Block' },
    args: [],
    state: dict([
      ['_parameters', dict([])],
      ['_modules', dict(parts)],
    ]),
  });
  let value = module([]);
  for (let level = 0; level < levels; level++) value = module([['a', value]]);
  return value;
}

describe('limits of a pickle', () => {
  const pickle = (text: string): unknown => unpickle(Buffer.from(text, 'latin1'));

  it('search 32 levels of containers', () => {
    assert.deepEqual(collectTensors(nested(32)).warnings, []);
    assert.match(collectTensors(nested(33)).warnings.join(), /nested more than 32 levels/);
  });

  it('search 64 levels of submodules', () => {
    assert.doesNotMatch(collectTensors(modules(64)).warnings.join(), /modules nested/);
    assert.match(collectTensors(modules(65)).warnings.join(), /modules nested more than 64 deep/);
  });

  it('read integers of 4300 digits and of 4096 bytes', () => {
    pickle(`I${'1'.repeat(4300)}\n.`);
    assert.throws(() => pickle(`I${'1'.repeat(4301)}\n.`), /4301 digits/);
    pickle(`\x8b\x00\x10\x00\x00${'1'.repeat(4096)}.`);
    assert.throws(() => pickle(`\x8b\x01\x10\x00\x00${'1'.repeat(4097)}.`), /4097 bytes/);
  });

  it('read 400,000 containers', () => {
    pickle(`${']0'.repeat(399_999)}].`);
    assert.throws(() => pickle(`${']0'.repeat(400_000)}].`), /more than 400000 lists/);
  });

  it('read 100,000 dicts', () => {
    pickle(`${'}0'.repeat(99_999)}}.`);
    assert.throws(() => pickle(`${'}0'.repeat(100_000)}}.`), /more than 400000 lists, dicts and objects/);
  });

  it('read 500,000 items of lists, and 250,000 entries of dicts', () => {
    pickle(`]${'Na'.repeat(500_000)}.`);
    assert.throws(() => pickle(`]${'Na'.repeat(500_001)}.`), /more than 500000 items/);
    pickle(`}${'NNs'.repeat(250_000)}.`);
    assert.throws(() => pickle(`}${'NNs'.repeat(250_001)}.`), /more than 500000 items/);
  });

  it('read 6,000,000 opcodes', () => {
    pickle(`${'N0'.repeat(2_999_999)}N.`);
    assert.throws(() => pickle(`${'N0'.repeat(3_000_001)}N.`), /more than 6000000 opcodes/);
  });
});

describe('limits of a pickled tensor', () => {
  /** A view of one float32 element, its strides 0. */
  const unfolded = (elements: number): unknown => {
    const type = (module: string, name: string): PickleValue => ({ kind: 'global', module, name });
    const tuple = (...items: PickleValue[]): PickleValue => ({ kind: 'tuple', items });
    const id = tuple('storage', type('torch', 'FloatStorage'), '0', 'cpu', 1);
    return parsePickledTensor({
      kind: 'object',
      type: { kind: 'global', module: 'torch._utils', name: '_rebuild_tensor_v2' },
      args: [{ kind: 'persistent', id }, 0, tuple(elements), tuple(0), false, null],
    });
  };

  it('unfold to 4 GiB', () => {
    unfolded(2 ** 30);
    assert.throws(() => unfolded(2 ** 30 + 1), /unfolds to 4294967300 bytes/);
  });
});

describe('limits of files beside and around', () => {
  const notTooLarge = (error: Error): boolean => !/at most/.test(error.message);

  it('read a pickle of 24 MB', async () => {
    const archive = (size: number): Promise<unknown> => {
      const name = 'archive/data.pkl';
      const pieces = zipPieces([{ name, content: Buffer.alloc(size) }]).map((piece) =>
        typeof piece === 'number' ? Buffer.alloc(piece) : piece,
      );
      return torchZip.read(fromBytes('model.pth', Buffer.concat(pieces)));
    };
    await assert.rejects(archive(24_000_000), notTooLarge);
    await assert.rejects(archive(24_000_001), /24000001 bytes, at most 24000000/);
  });

  it('read an index of 16 MB that names 10,000 shards', async () => {
    const index = (text: string): Promise<unknown> =>
      readShards(fromBytes('model.safetensors.index.json', Buffer.from(text)), (source) => {
        throw new Error(source.path);
      });
    const shards = (count: number): string =>
      JSON.stringify({
        weight_map: Object.fromEntries(
          Array.from({ length: count }, (_, i) => [`t${i}`, `${i}.safetensors`]),
        ),
      });
    await assert.rejects(index(' '.repeat(16_000_000)), notTooLarge);
    await assert.rejects(index(' '.repeat(16_000_001)), /at most 16000000/);
    await assert.rejects(index(shards(10_000)), notTooLarge);
    await assert.rejects(index(shards(10_001)), /10001 shards, at most 10000/);
  });

  it('read a config.json of 16 MB', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'vitrine-test-'));
    const config = (size: number): Promise<unknown> => {
      const path = join(folder, 'config.json');
      writeFileSync(path, '');
      truncateSync(path, size);
      return readSidecar(path);
    };
    await assert.rejects(config(16_000_000), notTooLarge);
    await assert.rejects(config(16_000_001), /16000001 bytes, at most 16000000/);
    rmSync(folder, { recursive: true });
  });

  it('read a .npy header of 10,000 bytes', async () => {
    const array = (length: number): Promise<unknown> => {
      const dict = "{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }".padEnd(length);
      const start = Buffer.from('\x93NUMPY\x02\x00', 'latin1');
      return npy.read(fromBytes('a.npy', Buffer.concat([start, u32(length), Buffer.from(dict), u16(0)])));
    };
    await array(10_000).catch((error: Error) => assert.ok(notTooLarge(error), error.message));
    await assert.rejects(array(10_001), /a header of 10001 bytes, at most 10000/);
  });
});

describe('limits of headers', () => {
  it('read JSON of 64 levels', () => {
    const nestedJson = (levels: number): string => `{"a":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`;
    parseJsonObject(nestedJson(64));
    assert.throws(() => parseJsonObject(nestedJson(65)), /more than 64 levels/);
  });

  it('read tensors of 64 dimensions and 2^53 − 1 bytes', () => {
    assert.equal(shapeProblem(Array(64).fill(1), 'F32'), undefined);
    assert.match(shapeProblem(Array(65).fill(1), 'F32') ?? '', /65 dimensions/);
    assert.equal(shapeProblem([2 ** 53 - 1], 'U8'), undefined);
    assert.match(shapeProblem([2 ** 53 - 1, 2], 'U8') ?? '', /more elements/);
  });

  it('read a safetensors header of 40 MB', async () => {
    const header = (size: number): Promise<unknown> =>
      safetensors.read(fromBytes('model.safetensors', Buffer.concat([u64(size), Buffer.alloc(100)])));
    await assert.rejects(header(40_000_000), (error: Error) => !/at most/.test(error.message));
    await assert.rejects(header(40_000_001), /at most 40000000 are allowed/);
  });
});
