import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSafetensors, type NamedTensor } from '../../../src/checkpoint/formats/safetensorsWriter';
import { openModel } from '../../../src/models/openedModels';
import { inspection } from '../../../src/useCases/inspect';

const base = 'test/fixtures/cases/vit-timm-safetensors/model.safetensors';

describe('class names that are given to a model', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vitrine-classes-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function names(count: number): Promise<string> {
    const file = join(folder, 'names.txt');
    await writeFile(file, Array.from({ length: count }, (_, index) => `kind ${index}`).join('\n'));
    return file;
  }

  /** The base's backbone under two heads of one's own. */
  async function twoHeads(): Promise<string> {
    const { checkpoint } = await openModel(base);
    const tensor = (name: string, shape: readonly number[]): NamedTensor => ({
      name,
      dtype: 'F32',
      shape,
      bytes: new Uint8Array(4 * shape.reduce((product, side) => product * side, 1)),
    });
    const own = checkpoint.selected.tensors.filter(({ name }) => !name.startsWith('head.'));
    const width = own.find(({ name }) => name === 'norm.weight')?.shape[0] ?? 0;
    const heads = [
      ['kind_head', 3],
      ['side_head', 2],
    ] as const;
    const file = join(folder, 'two.safetensors');
    await writeSafetensors(file, [
      ...own.map(({ name, shape }) => tensor(`backbone.${name}`, shape)),
      ...heads.flatMap(([name, out]) => [
        tensor(`${name}.weight`, [out, width]),
        tensor(`${name}.bias`, [out]),
      ]),
    ]);
    return file;
  }

  it('are said to be where they come from', async () => {
    const { json, text } = inspection(await openModel(base, { classes: await names(10) }));
    assert.equal((json as { labels?: string }).labels, 'given: names.txt');
    assert.match(text, /Class names\s+given: names\.txt|labels\s.*names\.txt/);
  });

  it('are refused with both numbers if no head has as many', async () => {
    const classes = await names(4);
    await assert.rejects(
      openModel(base, { classes }),
      /names\.txt: names 4 classes, model\.safetensors needs 10$/,
    );
    await assert.rejects(
      openModel(await twoHeads(), { classes }),
      /names 4 classes, two\.safetensors needs 3 \(kind_head\) or 2 \(side_head\)$/,
    );
  });

  it('go to the head of their number; the evidence has the classes of each', async () => {
    const { recognition, checkpoint } = await openModel(await twoHeads(), { classes: await names(3) });
    assert(recognition.family !== null);
    const { value, source } = recognition.evidence['classes'] ?? {};
    assert.deepEqual(value, [3, 2]);
    assert.equal(source, 'kind_head 3 (kind_head.weight), side_head 2 (side_head.weight)');
    assert.equal(checkpoint.classNames?.[0]?.names.length, 3);
  });
});
