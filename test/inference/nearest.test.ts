// Images of a folder by how near they are to one in the model's own space.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { at } from '../../src/domain/lists';
import { sampleImage, sampleModel, testInference } from './support';

const run = (...args: readonly string[]): Promise<{ readonly output: string; readonly errors: string }> =>
  new Promise((resolve) =>
    execFile(process.execPath, ['dist/cli.js', ...args], (_, output, errors) => resolve({ output, errors })),
  );

interface Found {
  readonly output: string;
  readonly compared: number;
  readonly nearest: readonly { readonly image: string; readonly cosine: number }[];
  readonly failed: Readonly<Record<string, string>>;
}

describe('nearest images of a folder', function () {
  this.timeout(120_000);
  const runner = testInference();
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vitrine-test-'));
    for (const name of ['dog-on-a-path.jpg', 'rocket-in-space.png', 'pizza-on-a-plate.jpg'])
      await copyFile(join('media/sample/images', name), join(folder, name));
    await copyFile(sampleImage, join(folder, 'same.jpg'));
    await writeFile(join(folder, 'broken.png'), 'no image');
    await writeFile(join(folder, 'notes.txt'), 'no image either');
  });
  after(async () => {
    await runner.dispose();
    await rm(folder, { recursive: true });
  });

  it('are ranked by the cosine of the pooled vectors; what cannot be read is named', async () => {
    const out = join(folder, 'near.safetensors');
    const asked = ['--method', 'nearest', '--among', folder, '--top', '3', '--out', out, '--json'];
    const { output } = await run('explain', sampleModel, sampleImage, ...asked);
    const found = JSON.parse(output) as Found;
    assert.equal(found.output, 'features');
    assert.equal(found.compared, 4);
    assert.deepEqual(Object.keys(found.failed), [join(folder, 'broken.png')]);
    assert.equal(found.nearest.length, 3);
    assert.equal(at(found.nearest, 0).image, join(folder, 'same.jpg'));
    assert.ok(Math.abs(at(found.nearest, 0).cosine - 1) < 1e-6);
    const vectorOf = async (image: string): Promise<Float32Array> =>
      (await runner.imageVector({ checkpoint: sampleModel, image })).vector;
    const own = await vectorOf(sampleImage);
    for (const { image, cosine } of found.nearest) {
      const other = await vectorOf(image);
      const dot = (a: Float32Array, b: Float32Array): number =>
        a.reduce((sum, x, i) => sum + x * at(b, i), 0);
      // The same sums in float64 of the same float32 vectors.
      const wanted = dot(own, other) / Math.sqrt(dot(own, own) * dot(other, other));
      assert.ok(Math.abs(cosine - wanted) < 1e-6, `${image}: ${cosine} for ${wanted}`);
    }
    const cosines = found.nearest.map(({ cosine }) => cosine);
    assert.deepEqual(
      cosines,
      cosines.toSorted((one, other) => other - one),
    );
    assert.match((await readFile(out)).subarray(8, 80).toString(), /"nearest.cosine"/);
  });

  it('need a folder', async () => {
    const { errors } = await run(
      'explain',
      sampleModel,
      sampleImage,
      '--method',
      'nearest',
      '--out',
      join(folder, 'x.safetensors'),
    );
    assert.match(errors, /--among FOLDER/);
  });
});
