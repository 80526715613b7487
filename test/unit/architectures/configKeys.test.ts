import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint';
import { openCheckpoint } from '../../../src/checkpoint/open';
import { configDefaults } from '../../../src/architectures/configKeys';
import { recognise, type Known } from '../../../src/architectures/recognise/recognise';

const cases = 'test/fixtures/cases';

type Json = Readonly<Record<string, unknown>>;

/** A golden checkpoint of transformers, with another config.json beside it. */
async function golden(
  name: string,
  change: (config: Json) => Json = (config) => config,
): Promise<Checkpoint> {
  const opened = await openCheckpoint(join(cases, `${name}-transformers-safetensors`, 'model.safetensors'));
  const { config = {} } = opened.sidecars;
  return { ...opened, sidecars: { ...opened.sidecars, config: change(config) } };
}

async function known(name: string, change: (config: Json) => Json = (config) => config): Promise<Known> {
  const recognition = recognise(await golden(name, change));
  assert(recognition.family !== null, recognition.family === null ? recognition.reason : '');
  return recognition;
}

async function reasonFor(name: string, change: (config: Json) => Json): Promise<string> {
  const recognition = recognise(await golden(name, change));
  assert(recognition.family === null);
  return recognition.reason;
}

describe('keys of config.json', () => {
  it('reads the image backbone where its own configuration is', async () => {
    const inside = (key: string) => (config: Json) => ({
      num_attention_heads: 1,
      image_size: 32,
      [key]: config,
    });
    for (const key of ['backbone_config', 'vision_config', 'encoder']) {
      const { evidence } = await known('vit', inside(key));
      const own = (await known('vit')).evidence;
      assert.deepEqual([key, evidence['heads']!.value], [key, own['heads']!.value]);
      assert.match(evidence['heads']!.source, new RegExp(`config\\.json: ${key}\\.`));
      assert.deepEqual(evidence['image_size']!.value, own['image_size']!.value);
    }
  });

  it('takes what the class has for a key that is left out', async () => {
    const without = ({ layer_norm_eps: _, ...rest }: Json): Json => rest;
    const { evidence } = await known('dinov2', without);
    assert.equal(evidence['eps']!.value, configDefaults('dinov2')?.['layer_norm_eps']);
    assert.match(evidence['eps']!.source, /default of dinov2 models; config\.json leaves layer_norm_eps out/);
  });

  it('refuses a value of another kind in our words, and names key, value and what is allowed', async () => {
    const rows: readonly [string, string, RegExp][] = [
      ['efficientnet', 'depthwise_padding', /depthwise_padding is -1; a list of numbers is needed/],
      ['efficientnet', 'hidden_act', /hidden_act is -1; one of gelu, .* is needed/],
      ['convnextv2', 'hidden_act', /hidden_act is -1; one of gelu, .* is needed/],
      ['focalnet', 'hidden_act', /hidden_act is -1; one of gelu, .* is needed/],
      ['resnet', 'hidden_act', /hidden_act is -1; one of gelu, .* is needed/],
    ];
    for (const [name, key, said] of rows)
      assert.match(await reasonFor(name, (config) => ({ ...config, [key]: -1 })), said);
  });

  it('tells a size that fits no table of positions as a reason', async () => {
    const file = join(cases, 'coatnet-0-rw-timm-hub-safetensors', 'model.safetensors');
    const checkpoint = await openCheckpoint(file);
    const config = { ...checkpoint.sidecars.config, model_args: { img_size: 'nonsense' } };
    const recognition = recognise({ ...checkpoint, sidecars: { ...checkpoint.sidecars, config } });
    assert(recognition.family === null);
    assert.match(recognition.reason, /fits no square picture; state the image size/);
  });

  it('refuses a key at a value that the family does not compute, and names both', async () => {
    const rows: readonly [string, Json, RegExp][] = [
      ['hiera', { masked_unit_attention: [true, false, true, false] }, /masked_unit_attention/],
      ['hiera', { query_stride: [2, 1] }, /query_stride is \[2,1\].*\[2,2\] alone/],
      ['segformer', { strides: [8, 2, 2, 2] }, /strides is 8,2,2,2.*kernels 7, 3, 3, 3/],
      ['swin', { hidden_act: 'prelu6' }, /hidden_act is prelu6; one of gelu/],
      ['vit', { hidden_act: 'unheard_of' }, /hidden_act is unheard_of/],
    ];
    for (const [name, change, wanted] of rows)
      assert.match(await reasonFor(name, (config) => ({ ...config, ...change })), wanted);
  });

  it('reads what it computes: stages of Hiera that attend within mask units', async () => {
    const change = (config: Json) => ({ ...config, masked_unit_attention: [true, false, false, false] });
    assert.equal((await known('hiera', change)).evidence['mask_unit_stages']!.value, 1);
  });

  it('refuses a model type of another family, with both names', async () => {
    const as = (model_type: string) => (config: Json) => ({ ...config, model_type });
    assert.match(await reasonFor('vit', as('mlcd_vision_model')), /mlcd_vision_model.*Vision Transformer/);
    assert.match(await reasonFor('vit', as('swin')), /model_type is swin.*Vision Transformer/);
    const { warnings } = await known('vit', as('my_own'));
    assert.match(warnings.join(), /model_type is my_own, which is not known here/);
  });

  it('opens every golden checkpoint of transformers at every default of its class', async () => {
    const names = readdirSync(cases).filter((name) => /-transformers5?-safetensors$/.test(name));
    for (const name of names) {
      const checkpoint = await openCheckpoint(join(cases, name, 'model.safetensors'));
      const config = checkpoint.sidecars.config ?? {};
      const defaults = configDefaults(String(config['model_type'])) ?? {};
      const full = { ...defaults, ...config };
      const recognition = recognise({ ...checkpoint, sidecars: { ...checkpoint.sidecars, config: full } });
      assert(recognition.family !== null, `${name}: ${recognition.family === null && recognition.reason}`);
    }
  });
});

describe('the size that runs', () => {
  const processor = {
    image_processor_type: 'BitImageProcessor',
    size: { shortest_edge: 40 },
    crop_size: { height: 28, width: 28 },
    do_center_crop: true,
  };
  const beside = async (name: string): Promise<Checkpoint> => {
    const checkpoint = await golden(name);
    return { ...checkpoint, sidecars: { ...checkpoint.sidecars, preprocessor: processor } };
  };

  it('is what the processor hands to a model that takes any, and both sizes are said', async () => {
    const recognition = recognise(await beside('dinov2'));
    assert(recognition.family !== null);
    assert.deepEqual(recognition.imageSize, [28, 28]);
    assert.match(recognition.evidence['image_size']!.source, /crop_size; config\.json: image_size is/);
  });

  it("stays config.json's for a model whose library refuses others, with a warning", async () => {
    const config = JSON.parse(
      readFileSync(join(cases, 'vit-transformers-safetensors', 'config.json'), 'utf8'),
    ) as { image_size: number };
    const recognition = recognise(await beside('vit'));
    assert(recognition.family !== null);
    assert.deepEqual(recognition.imageSize?.[0], [config.image_size].flat()[0]);
    assert.match(recognition.warnings.join(), /gives images of 28 × 28.*which was run/);
  });
});
