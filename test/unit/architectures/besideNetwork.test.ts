import assert from 'node:assert/strict';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint';
import type { Tensor } from '../../../src/checkpoint/tensors';
import { unwrapNames } from '../../../src/checkpoint/unwrap';
import { at } from '../../../src/domain/lists';
import type { ConfigValue, Known } from '../../../src/architectures/family';
import { buildGraph, countParameters, recognise } from '../../../src/architectures/recognise/recognise';

type Shapes = Readonly<Record<string, readonly number[]>>;

function checkpointOf(shapes: Shapes): Checkpoint {
  const tensors = Object.entries(shapes).map(([name, shape], index): Tensor => ({
    name,
    dtype: 'F32',
    shape,
    start: index,
    storage: { kind: 'file', file: 'model', offset: index, length: 0 },
  }));
  const stateDicts = unwrapNames(tensors);
  return {
    path: 'model.safetensors',
    file: 'model.safetensors',
    format: 'safetensors',
    files: ['model.safetensors'],
    stateDicts,
    selected: at(stateDicts, 0),
    extras: [],
    metadata: {},
    warnings: [],
    beside: [],
    sidecars: {},
    siblings: [],
    size: 0,
  };
}

const width = 24;
const classes = 5;
const linear = (name: string, out: number, into: number): Shapes => ({
  [`${name}.weight`]: [out, into],
  [`${name}.bias`]: [out],
});
const norm = (name: string): Shapes => ({ [`${name}.weight`]: [width], [`${name}.bias`]: [width] });

const block = (at: string, dim = width): Shapes => ({
  ...Object.fromEntries(
    ['norm1', 'norm2'].flatMap((name) =>
      ['weight', 'bias'].map((part) => [`${at}${name}.${part}`, [dim]] as const),
    ),
  ),
  ...linear(`${at}attn.qkv`, 3 * dim, dim),
  ...linear(`${at}attn.proj`, dim, dim),
  ...linear(`${at}mlp.fc1`, 2 * dim, dim),
  ...linear(`${at}mlp.fc2`, dim, 2 * dim),
});

/** A small ViT under timm's names, without a classifier. */
const vit = (at = ''): Shapes => ({
  [`${at}cls_token`]: [1, 1, width],
  [`${at}pos_embed`]: [1, 17, width],
  [`${at}patch_embed.proj.weight`]: [width, 3, 8, 8],
  [`${at}patch_embed.proj.bias`]: [width],
  ...block(`${at}blocks.0.`),
  ...norm(`${at}norm`),
});

/** The same as transformers names it. */
const transformersVit: Shapes = {
  'vit.embeddings.cls_token': [1, 1, width],
  'vit.embeddings.position_embeddings': [1, 17, width],
  'vit.embeddings.patch_embeddings.projection.weight': [width, 3, 8, 8],
  'vit.embeddings.patch_embeddings.projection.bias': [width],
  ...norm('vit.encoder.layer.0.layernorm_before'),
  ...norm('vit.encoder.layer.0.layernorm_after'),
  ...linear('vit.encoder.layer.0.attention.attention.query', width, width),
  ...linear('vit.encoder.layer.0.attention.attention.key', width, width),
  ...linear('vit.encoder.layer.0.attention.attention.value', width, width),
  ...linear('vit.encoder.layer.0.attention.output.dense', width, width),
  ...linear('vit.encoder.layer.0.intermediate.dense', 48, width),
  ...linear('vit.encoder.layer.0.output.dense', width, 48),
  ...norm('vit.layernorm'),
};

function known(shapes: Shapes, assume: Readonly<Record<string, ConfigValue>> = {}): Known {
  const recognition = recognise(checkpointOf(shapes), { assume });
  assert(recognition.family !== null);
  return recognition;
}

const classifies = (shapes: Shapes, recognition: Known): boolean =>
  buildGraph(checkpointOf(shapes), recognition).graph.outputs.some(({ means }) => means === 'logits');

describe('what lies beside a network', () => {
  const unread: Readonly<Record<string, Shapes>> = {
    'a layer of a transformer': {
      'extra.self_attn.in_proj_weight': [3 * width, width],
      ...linear('extra.linear1', 32, width),
      ...linear('extra.linear2', width, 32),
      ...norm('extra.norm1'),
    },
    'pooling by attention': linear('attn_pool', 1, width),
  };
  for (const [what, shapes] of Object.entries(unread))
    it(`may be computed before the head: ${what}`, () => {
      const file = { ...vit('encoder.'), ...shapes, ...linear('fc', classes, width) };
      const recognition = known(file);
      assert.equal(classifies(file, recognition), false);
      assert.match(
        recognition.warnings.join(),
        /Backbone only: \w+ may stand between|not run: attn_pool, fc/,
      );
    });

  it('is a head by itself', () => {
    const file = { ...vit('encoder.'), ...linear('fc', classes, width) };
    assert.equal(classifies(file, known(file)), true);
  });

  it('is no head if it embeds a time', () => {
    const file = { ...vit(), ...linear('time_embed.0', width, width) };
    assert.equal(classifies(file, known(file)), false);
  });

  it('is a head of the class token and the mean if it is twice as wide', () => {
    const file = { ...vit('encoder.'), ...linear('fc', classes, 2 * width) };
    const recognition = known(file);
    assert.deepEqual(
      [recognition.evidence['pool']?.value, recognition.evidence['pool']?.assumed],
      ['token+avg', true],
    );
    assert.equal(classifies(file, recognition), true);
  });

  it('is no layer if it normalises images', () => {
    const file = {
      'data_preprocessor.mean': [3, 1, 1],
      'data_preprocessor.std': [3, 1, 1],
      ...vit('model.'),
      ...linear('model.head', classes, width),
    };
    const recognition = known(file);
    assert.equal(recognition.backboneOnly, undefined);
    assert.equal(recognition.task, 'classify');
    const plain = { ...vit(), ...linear('head', classes, width) };
    const { params } = countParameters(checkpointOf(plain), known(plain));
    assert.equal(countParameters(checkpointOf(file), recognition).params, params);
  });

  it('is no layer if a sequence begins with the mean and deviation of images', () => {
    const file = {
      '0.mean': [3, 1, 1],
      '0.std': [3, 1, 1],
      ...vit('1.'),
      ...linear('1.head', classes, width),
    };
    const recognition = known(file);
    assert.equal(recognition.task, 'classify');
    assert.match(recognition.warnings.join(), /0\.mean, 0\.std: the model normalises images itself/);
    // Three numbers each that lie beside others are a norm of something else.
    const more = known({ ...file, '0.scale': [3, 1, 1] });
    assert.doesNotMatch(more.warnings.join(), /normalises images/);
  });

  describe('if it is a norm for re-identification', () => {
    const neck: Shapes = {
      'bottleneck.weight': [width],
      'bottleneck.bias': [width],
      'bottleneck.running_mean': [width],
      'bottleneck.running_var': [width],
      'classifier.weight': [classes, width],
    };
    const withPositions = (count: number): Shapes => ({
      ...vit('base.'),
      'base.pos_embed': [1, 1 + count, width],
      ...neck,
    });

    for (const count of [210, 310, 441])
      it(`leaves a backbone of ${count} positions unrun: its patches overlap`, () => {
        const { notRun } = known(withPositions(count));
        assert.match(notRun ?? '', /TransReID with overlapping patches/);
      });

    it('runs one whose patches do not overlap, and what the user says', () => {
      assert.equal(known(withPositions(128)).notRun, undefined);
      assert.equal(known(withPositions(210), { grid: [15, 14] }).notRun, undefined);
    });
  });

  it('is told with its share if it is the decoder of MAE’s own repository', () => {
    const file = {
      ...vit(),
      mask_token: [1, 1, 16],
      decoder_pos_embed: [1, 17, 16],
      ...linear('decoder_embed', 16, width),
      ...block('decoder_blocks.0.', 16),
      'decoder_norm.weight': [16],
      'decoder_norm.bias': [16],
      ...linear('decoder_pred', 192, 16),
    };
    assert.match(known(file).warnings.join(), /% of the [\d,]+ parameters run; not run: .*decoder_embed/);
  });

  it('is told if it is another network of the same shape', () => {
    const told = /several networks of one shape: left is shown, right is not. Beside them lie fc/;
    const file = { ...vit('left.'), ...vit('right.'), ...linear('fc', classes, 2 * width) };
    assert.match(known(file).warnings.join(), told);
    const copy = { ...vit('net.'), ...vit('ema.') };
    assert.doesNotMatch(known(copy).warnings.join(), /several networks/);
  });
});

describe('a classifier beside a pooler', () => {
  const file = {
    ...transformersVit,
    ...linear('vit.pooler.dense', width, width),
    ...linear('classifier', classes, width),
  };

  it('is taken to read the class token, with a warning', () => {
    const recognition = known(file);
    assert.equal(recognition.evidence['pool']?.assumed, true);
    assert.match(recognition.warnings.join(), /vit\.pooler\.dense\.weight is not read.*set pool=pooler/);
  });

  it('reads the pooler if the user says so', () => {
    const recognition = known(file, { pool: 'pooler' });
    const { used } = buildGraph(checkpointOf(file), recognition);
    assert(used.has('vit.pooler.dense.weight') && used.has('classifier.weight'));
    assert.doesNotMatch(recognition.warnings.join(), /pooler/);
  });
});

describe('a hyper-parameter that weights tell', () => {
  const file = { ...vit(), ...linear('head', classes, width) };

  it('may be said as it is, and not otherwise', () => {
    assert.equal(known(file, { classes }).evidence['classes']?.value, classes);
    assert.throws(() => known(file, { classes: 7 }), /classes is 5 by head\.weight and cannot be set/);
    assert.throws(() => known(file, { colour: 7 }), /colour is not a hyper-parameter of Vision Transformer/);
  });
});
