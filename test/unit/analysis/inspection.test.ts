import { openModel } from '../../../src/models/openedModels';
import assert from 'node:assert/strict';
import { inspectionJson, inspectionText, inspectorModel } from '../../../src/analysis/inspection';
import { valueText } from '../../../src/architectures/hyperparameters';
import { parseValue } from '../../../src/architectures/valueText';

describe('what inspection says of a training checkpoint', () => {
  const path = 'test/fixtures/cases/timm-training-checkpoint/model_best.pth.tar';

  it('names the state dict that is shown, the others, and what else the file holds', async () => {
    const model = await openModel(path);
    const json = inspectionJson(model) as Record<string, unknown>;
    const names = json['state_dicts'] as string[];
    assert.equal(names[0], json['state_dict']);
    assert.ok(names.length > 1);
    assert.ok('epoch' in (json['extras'] as object));
    const text = inspectionText(model);
    for (const name of names.slice(1)) assert.ok(text.includes(`also in the file: ${name}: `), name);
    assert.match(text, /also in the file: epoch: /);
  });
});

describe('hyper-parameters that may be set', () => {
  const choicesOf = async (key: string): Promise<readonly string[] | undefined> => {
    const model = await openModel('media/sample/vitrine-sample');
    const { evidence } = inspectorModel(model, { set: new Set() });
    return evidence.find((row) => row.key === key)?.choices;
  };

  it('offer numbers of heads that divide the width, around the one there is', async () => {
    assert.deepEqual(await choicesOf('heads'), ['1', '2', '4', '5', '8', '10', '16']);
  });

  it('offer the words that the weights allow', async () => {
    assert.deepEqual(await choicesOf('pool'), ['token', 'avg', 'avgmax', 'max']);
    assert.deepEqual(await choicesOf('norm_order'), ['pre', 'post']);
    assert.ok((await choicesOf('activation'))?.includes('quick_gelu'));
  });

  it('offer nothing for what the weights decide', async () => {
    assert.equal(await choicesOf('depth'), undefined);
  });

  it('take every value that is offered', async () => {
    const model = await openModel('media/sample/vitrine-sample');
    const { evidence } = inspectorModel(model, { set: new Set() });
    for (const { key, choices = [] } of evidence)
      for (const choice of choices) {
        const set = await openModel('media/sample/vitrine-sample', {
          assume: { [key]: parseValue(choice) },
        });
        assert.equal(String(set.recognition.family && set.recognition.evidence[key]?.value), choice, key);
      }
  });
});

describe('values of hyper-parameters', () => {
  const texts = [
    [12, '12'],
    [21841, '21841'],
    [1e-6, '0.000001'],
    [8 / 3, '2.66667'],
    [[4, 8 / 3], '4, 2.66667'],
    [[], 'none'],
    [true, 'true'],
    ['gelu', 'gelu'],
  ] as const;
  for (const [value, text] of texts)
    it(`reads ${text}`, () => {
      assert.equal(valueText(value), text);
    });
});

describe('what inspection says of an image tower', () => {
  it('counts no labels where the outputs are an embedding', async () => {
    const model = await openModel('test/fixtures/cases/openclip-timm-trunk-safetensors');
    const { headline } = inspectorModel(model, { set: new Set() });
    assert.ok(headline.some(({ key }) => key === 'heads'));
    assert.ok(!headline.some(({ key }) => key === 'classes'));
  });
});

describe('what inspection says of gates', () => {
  it('counts no tokens where no token asks, though gates have places on the image', async () => {
    const model = await openModel('test/fixtures/cases/cbam-resnet-timm-safetensors/model.safetensors');
    const { headline } = inspectorModel(model, { set: new Set() });
    assert.deepEqual(
      headline.map(({ key }) => key),
      ['params', 'macs', 'depth', 'classes'],
    );
  });
});

describe('what inspection says of modules that attend', () => {
  const rowOf = async (id: string, path: string) => {
    const model = await openModel(`test/fixtures/cases/${id}/model.safetensors`);
    const { modules } = inspectorModel(model, { set: new Set() });
    return modules.find((row) => row.path === path) ?? assert.fail(`${id}: no ${path}`);
  };

  it('names one head, and weights that are no scores', async () => {
    const reduced = await rowOf('pvtv2-timm-hub-safetensors', 'stages.0.blocks.0.attn');
    assert.equal(reduced.title, 'Spatial-reduction attention, 1 head');
    const gate = await rowOf('seresnet-timm-safetensors', 'layer1.0.se');
    assert.deepEqual(
      gate.details.map(({ label }) => label),
      ['Gates'],
    );
  });
});

describe('what inspection says of parameters with several names', () => {
  it('counts them once, in the header and in the tree', async () => {
    const model = await openModel('test/fixtures/cases/coat-timm-safetensors/model.safetensors');
    const { modules, tensors, headline } = inspectorModel(model, { set: new Set() });
    const copies = tensors.filter(({ role }) => role === 'copy');
    assert.ok(copies.length > 0);
    assert.equal(modules[0]!.params, model.counts.params);
    assert.equal(headline[0]!.exact, model.counts.params.toLocaleString('en'));
    assert.ok(copies.every(({ name }) => model.unused.includes(name)));
  });
});

describe('what inspection says of broken and foreign files', () => {
  it('makes a tree of names with more dots than any network has levels', async () => {
    const model = await openModel('test/fixtures/hostile/files/safetensors/many-dots.safetensors');
    const { modules } = inspectorModel(model, { set: new Set() });
    assert.ok(Math.max(...modules.map(({ depth }) => depth)) <= 64);
    assert.match(inspectionText(model), /Vision Transformer/);
  });

  it('says that the architecture is not known, and why', async () => {
    const model = await openModel('test/fixtures/hostile/files/general/bert.safetensors');
    const { warnings } = inspectionJson(model);
    assert.match(String(warnings), /architecture is not known: looks like a language model/);
  });
});
