import assert from 'node:assert/strict';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  classesOf,
  sampleImage,
  smallVit,
  temporaryFolder,
  testInference,
  writeSafetensors,
} from './support';

/** A .npy file of float32 numbers. */
function npy(shape: readonly number[], values: Float32Array): Buffer {
  const dict = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(', ')},), }`;
  const header = `${dict.padEnd(117)}\n`;
  const lead = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, header.length, 0]);
  return Buffer.concat([lead, Buffer.from(header), Buffer.from(values.buffer)]);
}

describe('a model of other channels than three', () => {
  const folder = temporaryFolder();
  const inference = testInference();
  after(() => inference.dispose());

  const model = (channels: number): string => {
    const path = join(folder, `vit-${channels}.safetensors`);
    const size = { dim: 64, depth: 1, patch: 8, image: 16, classes: 4, channels };
    writeSafetensors(path, smallVit(size));
    return path;
  };
  const classify = (channels: number, image: string) =>
    inference.classify({ checkpoint: model(channels), image, options: { provider: 'cpu' } });

  it('runs on a colour image if it takes grey ones, and says which channel it saw', async () => {
    const run = await classify(1, sampleImage);
    assert.equal(classesOf(run).top.length, 4);
    assert.match(run.preprocessing.find(({ key }) => key === 'channels')?.text ?? '', /^grey/);
    const { rgb } = run.seen.seen;
    assert.ok(rgb.every((value, i) => value === rgb[i - (i % 3)]));
  });

  it('runs on an array of as many, in either order, and says what is assumed', async () => {
    const values = Float32Array.from({ length: 5 * 256 }, (_, i) => ((i * 7919) % 1000) / 500 - 1);
    const turned = Float32Array.from(values, (_, i) => values[(i % 5) * 256 + Math.floor(i / 5)] ?? 0);
    const paths = [join(folder, 'first.npy'), join(folder, 'last [x].npy')] as const;
    writeFileSync(paths[0], npy([5, 16, 16], values));
    writeFileSync(paths[1], npy([16, 16, 5], turned));
    const [first, last] = [await classify(5, paths[0]), await classify(5, paths[1])];
    assert.deepEqual(classesOf(first).top, classesOf(last).top);
    assert.match(first.warnings.join('; '), /assumed: the 5 channels go in as they are stored/);
    assert.deepEqual(first.seen.size, [16, 16]);
  });

  it('refuses a picture with both numbers and what is needed, and advises nothing that cannot help', async () => {
    const copy = join(folder, 'picture.jpg');
    copyFileSync(sampleImage, copy);
    await assert.rejects(classify(13, copy), (error: Error) => {
      assert.match(error.message, /takes 13 channels; the image has 3/);
      assert.match(error.message, /TIFF of 13 bands or pages/);
      assert.doesNotMatch(error.message, /another image size|corrupt/);
      return true;
    });
  });
});
