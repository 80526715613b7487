import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSafetensors, type NamedTensor } from '../../../src/checkpoint/formats/safetensorsWriter';
import { factorOf } from '../../../src/models/adapters';
import { openModel } from '../../../src/models/openedModels';

const base = 'test/fixtures/cases/vit-timm-safetensors/model.safetensors';
const target = 'base_model.model.blocks.0.attn.qkv';
const config = { peft_type: 'LORA', r: 2, lora_alpha: 6 };

const tensor = (name: string, shape: readonly number[]): NamedTensor => ({
  name,
  dtype: 'F32',
  shape,
  bytes: new Uint8Array(4 * shape.reduce((product, side) => product * side, 1)),
});

describe('LoRA adapters', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vitrine-adapter-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function write(tensors: readonly NamedTensor[], settings: object = config): Promise<string> {
    await writeFile(join(folder, 'adapter_config.json'), JSON.stringify(settings));
    await writeSafetensors(join(folder, 'adapter_model.safetensors'), tensors);
    return folder;
  }

  const thin = async (rank = 2): Promise<readonly NamedTensor[]> => {
    const { checkpoint } = await openModel(base);
    const [out = 0, width = 0] =
      checkpoint.selected.tensors.find(({ name }) => name === 'blocks.0.attn.qkv.weight')?.shape ?? [];
    return [tensor(`${target}.lora_A.weight`, [rank, width]), tensor(`${target}.lora_B.weight`, [out, rank])];
  };

  it('are added to the matrices of the base, with the factor of their config', async () => {
    const plain = await openModel(base);
    const tensors = await thin();
    const adapter = await write(tensors);
    const model = await openModel(base, { adapter });
    assert(model.recognition.family !== null && plain.recognition.family !== null);
    assert.equal(model.recognition.evidence['lora_scale']?.value, 3);
    assert.equal(model.recognition.notRun, undefined);
    assert.equal(
      model.counts.params,
      plain.counts.params + 2 * (tensors[0]?.shape[1] ?? 0) + 2 * (tensors[1]?.shape[0] ?? 0),
    );
    const products = model.graph().nodes.filter(({ atLoad, op }) => atLoad && op === 'MatMul');
    assert.equal(products.length, 1);
    assert.ok(model.checkpoint.files.length > plain.checkpoint.files.length);
  });

  it('may have factors of single targets, or be stabilised', () => {
    const own = { ...config, alpha_pattern: { 'attn.qkv': 8 } };
    assert.equal(factorOf(own, 'blocks.0.attn.qkv', 2), 4);
    assert.equal(factorOf(own, 'blocks.0.attn.proj', 2), 3);
    assert.equal(factorOf({ ...config, use_rslora: true }, 'x', 4), 3);
  });

  const wrong: readonly (readonly [what: string, change: object, said: RegExp])[] = [
    ['of another kind', { peft_type: 'IA3' }, /peft_type IA3 found, LORA is applied/],
    [
      'with rows of given lengths that it lacks',
      { use_dora: true },
      /use_dora stands in adapter_config\.json, and \S+ has no lora_magnitude_vector/,
    ],
  ];
  for (const [what, change, said] of wrong)
    it(`${what} are refused`, async () => {
      const adapter = await write(await thin(), { ...config, ...change });
      await assert.rejects(openModel(base, { adapter }), said);
    });

  it('whose targets the base lacks, or has in another shape, are refused by name', async () => {
    const other = 'base_model.model.blocks.9.attn.qkv';
    const lacking = await write([tensor(`${other}.lora_A.weight`, [2, 30])]);
    await assert.rejects(
      openModel(base, { adapter: lacking }),
      /has no blocks\.9\.attn\.qkv in model\.safetensors/,
    );
    const unfit = await write([
      tensor(`${target}.lora_A.weight`, [2, 7]),
      tensor(`${target}.lora_B.weight`, [90, 2]),
    ]);
    await assert.rejects(openModel(base, { adapter: unfit }), /lora_A\.adapter\.weight is \[2, 7\]/);
  });

  it('in place take the factor of a config beside them', async () => {
    const { checkpoint } = await openModel(base);
    const pair = (await thin()).map((each) => ({
      ...each,
      name: each.name.replace('base_model.model.', ''),
    }));
    const own = checkpoint.selected.tensors.map(({ name, shape }) => tensor(name, shape));
    await write([]);
    const file = join(folder, 'unmerged.safetensors');
    await writeSafetensors(file, [...own, ...pair]);
    const { recognition } = await openModel(file);
    assert(recognition.family !== null);
    assert.deepEqual([recognition.evidence['lora_scale']?.value, recognition.notRun], [3, undefined]);
    await rm(join(folder, 'adapter_config.json'));
    const alone = (await openModel(file)).recognition;
    assert(alone.family !== null);
    assert.match(alone.notRun ?? '', /set lora_scale/);
  });

  it('without a config are refused with what to do', async () => {
    await writeSafetensors(join(folder, 'adapter_model.safetensors'), await thin());
    await assert.rejects(openModel(base, { adapter: folder }), /no adapter_config\.json lies in it.*merge/);
  });
});
