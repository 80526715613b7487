import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openCheckpoint } from '../../src/checkpoint/open';
import { readTensor, toFloat32 } from '../../src/checkpoint/values';
import { scrambled } from '../support/scrambled';
import { temporaryFolder } from './support';

const golden = 'test/fixtures/cases/vit-timm-safetensors';

function vitrine(...args: readonly string[]): Promise<{ readonly status: number; readonly output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['dist/cli.js', ...args], (error, output) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : error ? -1 : 0, output });
    });
  });
}

const answer = async (...args: readonly string[]): Promise<Record<string, unknown>> =>
  JSON.parse((await vitrine(...args, '--json')).output) as Record<string, unknown>;

/** The golden file with random words for names: its bytes, behind a header of other names. */
async function scrambledFile(path: string): Promise<void> {
  const bytes = await readFile(join(golden, 'model.safetensors'));
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string, object>;
  const own = await openCheckpoint(join(golden, 'model.safetensors'));
  const words = scrambled(own).selected.tensors;
  const entries = own.selected.tensors.map(({ name }, index) => [words[index]?.name ?? name, header[name]]);
  const text = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  await writeFile(path, Buffer.concat([size, text, bytes.subarray(8 + length)]));
}

describe('the command line on a file whose names say nothing', function () {
  this.timeout(120_000);
  const folder = temporaryFolder();
  const file = join(folder, 'words.safetensors');
  before(() => scrambledFile(file));

  it('does not run it, and says what would', async () => {
    const inspected = await answer('inspect', file);
    assert.equal(inspected['family'], null);
    assert.match(String(inspected['hint']), /--by-structure/);
    const [inputs, out] = [join(golden, 'reference.safetensors'), join(folder, 'none.safetensors')];
    const { status, output } = await vitrine('run', file, '--inputs', inputs, '--out', out, '--json');
    assert.equal(status, 1);
    assert.match(output, /use --by-structure/);
  });

  it('prints the mapping, and runs by the one that it is given back', async () => {
    const inspected = await answer('inspect', file, '--by-structure');
    assert.equal(inspected['family'], 'vit');
    const mapping = join(folder, 'mapping.json');
    await writeFile(mapping, JSON.stringify(inspected['mapping']));
    const [inputs, out] = [join(golden, 'reference.safetensors'), join(folder, 'out.safetensors')];
    const { status } = await vitrine(
      ...['run', file, '--mapping', mapping, '--assume', 'heads=3'],
      ...['--image-size', '32x48', '--inputs', inputs, '--out', out],
    );
    assert.equal(status, 0);
    const [found, expected] = await Promise.all([out, inputs].map(logitsOf));
    // The tolerance of the case: float32 against the reference's float64.
    expected?.forEach((value, index) => assert(Math.abs(value - (found?.[index] ?? NaN)) <= 1e-4));
  });

  it('refuses a mapping that is none, and names its file', async () => {
    const mapping = join(folder, 'none.json');
    await writeFile(mapping, '{');
    const { error } = (await answer('inspect', file, '--mapping', mapping)) as {
      error?: { message: string };
    };
    assert.match(error?.message ?? '', /none\.json: is no JSON/);
  });
});

async function logitsOf(path: string): Promise<Float32Array> {
  const { selected } = await openCheckpoint(path);
  const tensor = selected.tensors.find(({ name }) => name === 'logits') ?? assert.fail(path);
  return toFloat32(await readTensor(tensor), tensor.dtype);
}
