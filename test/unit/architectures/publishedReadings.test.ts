import assert from 'node:assert/strict';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint';
import type { Tensor } from '../../../src/checkpoint/tensors';
import { tableLayout } from '../../../src/architectures/groups/tableLayout';
import { publishedArchitecture } from '../../../src/architectures/published/headers';
import { buildGraph, countParameters, recognise } from '../../../src/architectures/recognise/recognise';

type Shapes = Readonly<Record<string, readonly number[]>>;
type Json = Readonly<Record<string, unknown>>;

function checkpointOf(shapes: Shapes, config?: Json): Checkpoint {
  const tensors = Object.entries(shapes).map(([name, shape], index): Tensor => ({
    name,
    dtype: 'F32',
    shape,
    start: index,
    storage: { kind: 'file', file: 'model', offset: index, length: 0 },
  }));
  const selected = { name: '', tensors, stripped: '' };
  return {
    path: 'model.safetensors',
    file: 'model.safetensors',
    format: 'safetensors',
    files: ['model.safetensors'],
    stateDicts: [selected],
    selected,
    extras: [],
    metadata: {},
    warnings: [],
    beside: [],
    sidecars: config ? { config } : {},
    siblings: [],
    size: 0,
  };
}

const linear = (name: string, out: number, into: number): Shapes => ({
  [`${name}.weight`]: [out, into],
  [`${name}.bias`]: [out],
});
const norm = (name: string, width: number): Shapes => ({
  [`${name}.weight`]: [width],
  [`${name}.bias`]: [width],
});

/** An image tower as transformers names it, without class token. */
const siglipTower = (at: string): Shapes => ({
  [`${at}embeddings.patch_embedding.weight`]: [24, 3, 8, 8],
  [`${at}embeddings.patch_embedding.bias`]: [24],
  [`${at}embeddings.position_embedding.weight`]: [16, 24],
  ...['q', 'k', 'v', 'out'].reduce(
    (all, part) => ({ ...all, ...linear(`${at}encoder.layers.0.self_attn.${part}_proj`, 24, 24) }),
    {},
  ),
  ...norm(`${at}encoder.layers.0.layer_norm1`, 24),
  ...norm(`${at}encoder.layers.0.layer_norm2`, 24),
  ...linear(`${at}encoder.layers.0.mlp.fc1`, 40, 24),
  ...linear(`${at}encoder.layers.0.mlp.fc2`, 24, 40),
  ...norm(`${at}post_layernorm`, 24),
});

const clipTower = (at: string): Shapes => ({
  ...siglipTower(at),
  [`${at}embeddings.class_embedding`]: [24],
  [`${at}embeddings.position_embedding.weight`]: [17, 24],
  ...norm(`${at}pre_layrnorm`, 24),
});

function known(checkpoint: Checkpoint) {
  const recognition = recognise(checkpoint);
  assert(recognition.family !== null, recognition.family === null ? recognition.reason : '');
  return recognition;
}

describe('position tables that fit several readings', () => {
  const read = (positions: number, registers = 0, classToken = true) =>
    tableLayout({ positions, classToken, distillationToken: false, registers }, []);

  it('is a square behind the class token, and a warning says which other grids fit', () => {
    const layout = read(1 + 144);
    assert.deepEqual([layout?.slots.value, layout?.grid.value], [1, [12, 12]]);
    assert.equal(layout?.grid.assumed, true);
    assert.match(layout?.warnings.join() ?? '', /9 × 16, 12 × 12, 16 × 9.*12 × 12 was taken/);
    const alone = read(1 + 49);
    assert.deepEqual([alone?.grid.value, alone?.grid.assumed, alone?.warnings], [[7, 7], false, []]);
  });

  it('takes a square without a row for the class token for a guess of both', () => {
    const layout = read(25);
    assert.deepEqual([layout?.slots.value, layout?.slots.assumed, layout?.grid.value], [0, true, [5, 5]]);
    assert.match(layout?.warnings.join() ?? '', /3 × 8 behind 1 row of special tokens/);
  });

  it('keeps no positions for registers, whatever square lies behind them', () => {
    const layout = read(18, 2, false);
    assert.deepEqual([layout?.slots.value, layout?.grid.value], [0, [6, 3]]);
    assert.match(layout?.warnings.join() ?? '', /4 × 4 behind 2 such rows/);
    const withClass = read(24, 4);
    assert.deepEqual([withClass?.slots.value, withClass?.grid.value], [0, [6, 4]]);
  });
});

describe('architectures by their names alone', () => {
  it('have the heads and the image size of timm', () => {
    assert.deepEqual(publishedArchitecture('vit_base_patch16_gap_224')?.heads, [16]);
    assert.deepEqual(publishedArchitecture('vit_pe_core_gigantic_patch14_448')?.heads, [16, 8]);
    assert.deepEqual(publishedArchitecture('vit_pe_core_gigantic_patch14_448')?.imageSize, [448, 448]);
    assert.equal(publishedArchitecture('nobodys_net'), undefined);
  });
});

describe('image classifiers over the towers of dual encoders', () => {
  const head = linear('classifier', 5, 24);

  it('run their head, and every parameter counts', () => {
    for (const [shapes, type] of [
      [{ ...clipTower('vision_model.'), ...head }, 'clip'],
      [{ ...siglipTower('vision_model.'), ...head }, 'siglip'],
      [{ ...clipTower('vision_model.vision_model.'), ...head }, 'metaclip_2'],
    ] as const) {
      const vision = { num_attention_heads: 3, image_size: 32 };
      const checkpoint = checkpointOf(shapes, { model_type: type, vision_config: vision });
      const recognition = known(checkpoint);
      assert.deepEqual([recognition.task, recognition.evidence['classes']!.value], ['classify', 5]);
      const { graph } = buildGraph(checkpoint, recognition);
      assert(graph.outputs.some(({ name }) => name === 'logits'));
      const all = Object.values(shapes).reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
      assert.equal(countParameters(checkpoint, recognition).params, all);
    }
  });

  it('tells a tower of SigLIP without prefix and head by its model type, else says what it assumed', () => {
    const config = { model_type: 'siglip_vision_model', num_attention_heads: 3, image_size: 32 };
    const told = known(checkpointOf(siglipTower(''), config));
    assert.deepEqual([told.label, told.warnings], ['siglip', []]);
    assert.equal(told.evidence['activation']!.value, 'gelu_pytorch_tanh');
    const bare = known(checkpointOf(siglipTower('')));
    assert.equal(bare.label, 'siglip');
    assert.deepEqual(
      ['activation', 'eps'].map((key) => [bare.evidence[key]!.value, bare.evidence[key]!.assumed]),
      [
        ['gelu_tanh', true],
        [1e-6, true],
      ],
    );
    assert.match(bare.warnings.join(), /SigLIP was assumed.*CLIP/);
    assert.equal(known(checkpointOf(clipTower(''))).label, 'clip');
  });
});

describe('YOLOS', () => {
  const yolos = (detections: number): Shapes => ({
    'vit.embeddings.cls_token': [1, 1, 24],
    'vit.embeddings.detection_tokens': [1, detections, 24],
    'vit.embeddings.position_embeddings': [1, 1 + 24 + detections, 24],
    'vit.embeddings.patch_embeddings.projection.weight': [24, 3, 8, 8],
    'vit.embeddings.patch_embeddings.projection.bias': [24],
    ...['attention.query', 'attention.key', 'attention.value', 'output.dense'].reduce(
      (all, part) => ({ ...all, ...linear(`vit.encoder.layer.0.attention.${part}`, 24, 24) }),
      {},
    ),
    ...norm('vit.encoder.layer.0.layernorm_before', 24),
    ...norm('vit.encoder.layer.0.layernorm_after', 24),
    ...linear('vit.encoder.layer.0.intermediate.dense', 40, 24),
    ...linear('vit.encoder.layer.0.output.dense', 24, 40),
    ...norm('vit.layernorm', 24),
    ...linear('class_labels_classifier.layers.0', 24, 24),
  });

  it('runs with its detection tokens, however many', () => {
    for (const detections of [3, 100]) {
      const checkpoint = checkpointOf(yolos(detections), { model_type: 'yolos', image_size: [32, 48] });
      const recognition = known(checkpoint);
      assert.deepEqual([recognition.label, recognition.evidence['grid']!.value], ['yolos', [4, 6]]);
      const { graph } = buildGraph(checkpoint, recognition);
      const { special, queries } = graph.probes[0]!.queries;
      assert.deepEqual([special, queries], [['cls'], detections]);
    }
  });
});
