import type { PathRunner } from '../../src/useCases/run';
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';
import type { DType } from '../../src/checkpoint/tensors';
import type { TensorData } from '../../src/inference/remoteApi';
import {
  exactValues,
  smallVit,
  temporaryFolder,
  testInference,
  writeSafetensors,
  type WrittenTensor,
} from './support';

const size = { dim: 64, depth: 2, patch: 8, image: 32, classes: 7 };
const pixels: TensorData = {
  dtype: 'F32',
  shape: [1, 3, size.image, size.image],
  data: Float32Array.from(exactValues(3 * size.image ** 2, 99)),
};

describe('weights where they lie', () => {
  const folder = temporaryFolder();
  const tensors = smallVit(size);
  let inference: PathRunner;
  let expected: Float32Array;

  const logits = async (checkpoint: string): Promise<Float32Array> =>
    (await inference.runTensors({ checkpoint, inputs: { pixel_values: pixels } }))['logits']!
      .data as Float32Array;

  /** Same values, whatever they are stored as: the same numbers must come out. */
  const assertSame = async (checkpoint: string): Promise<void> => {
    const found = await logits(checkpoint);
    assert.equal(found.length, size.classes);
    for (const [index, value] of found.entries())
      assert(
        Math.abs(value - expected[index]!) < 1e-4,
        `class ${index}: ${value}, expected ${expected[index]}`,
      );
  };

  before(async () => {
    inference = testInference();
    const path = join(folder, 'plain', 'model.safetensors');
    writeSafetensors(path, tensors);
    expected = await logits(path);
    assert(Math.max(...expected) - Math.min(...expected) > 0.01, 'the values must tell something');
  });
  after(() => inference.dispose());

  for (const padding of [1, 2, 3, 4, 61])
    it(`reads float32 at any offset: ${padding} bytes further`, async () => {
      const path = join(folder, `offset ${padding} ä`, 'model.safetensors');
      writeSafetensors(path, tensors, { padding });
      await assertSame(path);
    });

  for (const dtype of ['F64', 'F16', 'BF16', 'F8_E4M3', 'F8_E5M2'] as const satisfies readonly DType[])
    it(`runs ${dtype} in place`, async () => {
      const path = join(folder, dtype, 'model.safetensors');
      writeSafetensors(path, tensors, { dtype, padding: 1 });
      await assertSame(path);
    });

  it('runs shards of several files', async () => {
    const parts = [tensors.slice(0, 12), tensors.slice(12)];
    const names = parts.map((_, index) => `model-0000${index + 1}-of-00002.safetensors`);
    for (const [index, part] of parts.entries())
      writeSafetensors(join(folder, 'sharded', names[index]!), part);
    const map = parts.flatMap((part, index) => part.map(({ name }) => [name, names[index]] as const));
    const index = join(folder, 'sharded', 'model.safetensors.index.json');
    writeFileSync(index, JSON.stringify({ metadata: {}, weight_map: Object.fromEntries(map) }));
    await assertSame(index);
  });

  it('follows the links of a Hugging Face cache', async () => {
    const blob = join(folder, 'models--x', 'blobs', '0123abcd');
    const link = join(folder, 'models--x', 'snapshots', 'main', 'model.safetensors');
    writeSafetensors(join(folder, 'models--x', 'blobs', 'model.safetensors'), tensors);
    renameSync(join(dirname(blob), 'model.safetensors'), blob);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(relative(dirname(link), blob), link);
    await assertSame(link);
  });

  for (const [title, options] of [
    ['stored in an .npz', {}],
    ['deflated in an .npz', { deflate: true }],
    ['of big-endian numbers', { bigEndian: true }],
    ['in Fortran order, deflated', { fortran: true, deflate: true }],
  ] as const)
    it(`runs weights ${title}`, async () => {
      const path = join(folder, `${title.replaceAll(/\W/g, '-')}.npz`);
      writeNpz(path, tensors, options);
      await assertSame(path);
    });

  it('keeps no temporary file after the model is let go', async () => {
    const path = join(folder, 'temporary.npz');
    writeNpz(path, smallVit({ ...size, dim: 256 }), { deflate: true });
    const service = testInference({ limits: { models: 1 } });
    const ours = (): readonly string[] => readdirSync(tmpdir()).filter((name) => /^vitrine-\d+-/.test(name));
    const before = ours();
    await service.runTensors({ checkpoint: path, inputs: { pixel_values: pixels } });
    assert.equal(ours().length, before.length + 1);
    await service.runTensors({
      checkpoint: join(folder, 'plain', 'model.safetensors'),
      inputs: { pixel_values: pixels },
    });
    assert.deepEqual(ours(), before);
    await service.dispose();
  });

  it('names a temporary folder that is not there, and goes on without it where it can', async () => {
    const path = join(folder, 'nowhere.npz');
    writeNpz(path, smallVit({ ...size, dim: 256 }), { deflate: true });
    const gone = join(folder, 'gone');
    const service = testInference({ environment: { TMPDIR: gone, TEMP: gone, TMP: gone } });
    const run = (checkpoint: string) => service.runTensors({ checkpoint, inputs: { pixel_values: pixels } });
    await assert.rejects(run(path), {
      name: 'TemporaryFolderError',
      message: /the temporary folder .*gone does not exist/,
    });
    await run(join(folder, 'plain', 'model.safetensors'));
    await service.dispose();
  });
});

interface NpzOptions {
  readonly deflate?: boolean;
  readonly bigEndian?: boolean;
  readonly fortran?: boolean;
}

/** A zip of .npy entries (APPNOTE 4.3; NumPy's NEP 1): just enough of both for these tests. */
function writeNpz(path: string, tensors: readonly WrittenTensor[], options: NpzOptions): void {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const tensor of tensors) {
    const name = Buffer.from(`${tensor.name}.npy`);
    const content = npy(tensor, options);
    const stored = options.deflate ? deflateRawSync(content) : content;
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(options.deflate ? 8 : 0, 4);
    common.writeUInt32LE(crc32(content), 10);
    common.writeUInt32LE(stored.length, 14);
    common.writeUInt32LE(content.length, 18);
    common.writeUInt16LE(name.length, 22);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(offset, 10);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, name, stored]);
    locals.push(local);
    central.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), common, place, name]));
    offset += local.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(tensors.length, 4);
  end.writeUInt16LE(tensors.length, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(offset, 12);
  writeFileSync(path, Buffer.concat([...locals, directory, Buffer.from('PK\x05\x06'), end]));
}

function npy({ shape, values }: WrittenTensor, { bigEndian, fortran }: NpzOptions): Buffer {
  const order = fortran ? fortranOrder(shape) : values.map((_, index) => index);
  const data = Buffer.alloc(4 * values.length);
  const write = (bigEndian ? data.writeFloatBE : data.writeFloatLE).bind(data);
  order.forEach((from, to) => write(values[from]!, 4 * to));
  const tuple = `(${shape.join(', ')}${shape.length === 1 ? ',' : ''})`;
  const dictionary = `{'descr': '${bigEndian ? '>' : '<'}f4', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': ${tuple}, }`;
  const header = dictionary.padEnd(Math.ceil((dictionary.length + 11) / 64) * 64 - 11) + '\n';
  const length = Buffer.alloc(2);
  length.writeUInt16LE(header.length);
  return Buffer.concat([Buffer.from('\x93NUMPY\x01\x00', 'latin1'), length, Buffer.from(header), data]);
}

/**
 * Row-major index of every element in the order in which Fortran stores them: first axis fastest.
 */
function fortranOrder(shape: readonly number[]): readonly number[] {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  const count = shape.reduce((a, b) => a * b, 1);
  return Array.from({ length: count }, (_, place) => {
    let rest = place;
    return shape.reduce((index, extent, axis) => {
      const coordinate = rest % extent;
      rest = Math.floor(rest / extent);
      return index + coordinate * strides[axis]!;
    }, 0);
  });
}
