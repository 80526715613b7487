import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readPng } from '../support/png';
import { numbersOf, readTensorFile } from '../support/tensors';

const folder = 'test/fixtures/cases/swin2sr-restore';

describe('an enlarged picture', function () {
  this.timeout(60_000);

  it('equals transformers’ from the file to the bytes, but for a level where float32 rounds otherwise', () => {
    const out = mkdtempSync(join(tmpdir(), 'vitrine-restore-'));
    try {
      const [picture = ''] = readdirSync(join(folder, 'pictures'));
      const given = ['restore', folder, join(folder, 'pictures', picture), '--out', out, '--json'];
      const said = execFileSync(process.execPath, ['dist/cli.js', ...given], { encoding: 'utf8' });
      const { task, files } = JSON.parse(said) as {
        readonly task: string;
        readonly files: readonly string[];
      };
      assert.equal(task, 'restore');
      const name = 'restored.0';
      const read = (file: string): readonly number[] => [...numbersOf(readTensorFile(join(file)).get(name)!)];
      const [found, expected] = [join(out, '0.safetensors'), join(folder, 'reference.safetensors')].map(read);
      assert.equal(found!.length, expected!.length);
      const off = found!.map((level, at) => Math.abs(level - expected![at]!));
      assert.ok(off.every((by) => by <= 1) && off.filter((by) => by > 0).length < off.length / 1000);
      const { shape } = readTensorFile(join(folder, 'reference.safetensors')).get(name)!;
      const png = readPng(readFileSync(files[0]!));
      assert.deepEqual([3, png.height, png.width], shape);
    } finally {
      rmSync(out, { recursive: true, force: true });
    }
  });
});
