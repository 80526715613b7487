import { openModel } from '../../../src/models/openedModels';
import assert from 'node:assert/strict';
import { inspectorModel } from '../../../src/analysis/inspection';
import { exampleName } from '../../../src/architectures/recognise/nearest';
import type { Recognition } from '../../../src/architectures/family';
import { buildGraph, recognise } from '../../../src/architectures/recognise/recognise';
import { lostParameters } from '../../../src/architectures/recognise/siblings';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint';
import { openCheckpoint } from '../../../src/checkpoint/open';
import { elementCount, type Tensor } from '../../../src/checkpoint/tensors';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSafetensors } from '../../../src/checkpoint/formats/safetensorsWriter';
import { checkpointPath, readCases } from '../../support/cases';

type Shapes = Readonly<Record<string, readonly number[]>>;

/** `{ a.0.b: shape }` for each layer. */
const layers = (count: number, of: (layer: number) => Shapes): Shapes =>
  Object.assign({}, ...Array.from({ length: count }, (_, layer) => of(layer)));
const named = (prefix: string, shapes: Shapes): Shapes =>
  Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [`${prefix}${name}`, shape]));
const linear = (name: string, out: number, width: number): Shapes => ({
  [`${name}.weight`]: [out, width],
  [`${name}.bias`]: [out],
});
const norm = (name: string, width: number): Shapes => ({
  [`${name}.weight`]: [width],
  [`${name}.bias`]: [width],
});

/** Networks of other kinds by the names their libraries write, small. */
const networks: Readonly<Record<string, Shapes>> = {
  'GPT-2': {
    'wte.weight': [50, 16],
    'wpe.weight': [32, 16],
    ...layers(2, (at) =>
      named(`h.${at}.`, {
        ...norm('ln_1', 16),
        'attn.bias': [1, 1, 32, 32],
        'attn.c_attn.weight': [16, 48],
        'attn.c_attn.bias': [48],
        'attn.c_proj.weight': [16, 16],
        'attn.c_proj.bias': [16],
        ...norm('ln_2', 16),
        'mlp.c_fc.weight': [16, 64],
        'mlp.c_fc.bias': [64],
        'mlp.c_proj.weight': [64, 16],
        'mlp.c_proj.bias': [16],
      }),
    ),
    ...norm('ln_f', 16),
  },
  LLaMA: {
    'model.embed_tokens.weight': [50, 16],
    ...layers(2, (at) =>
      named(`model.layers.${at}.`, {
        'input_layernorm.weight': [16],
        'self_attn.q_proj.weight': [16, 16],
        'self_attn.k_proj.weight': [8, 16],
        'self_attn.v_proj.weight': [8, 16],
        'self_attn.o_proj.weight': [16, 16],
        'post_attention_layernorm.weight': [16],
        'mlp.gate_proj.weight': [32, 16],
        'mlp.up_proj.weight': [32, 16],
        'mlp.down_proj.weight': [16, 32],
      }),
    ),
    'model.norm.weight': [16],
    'lm_head.weight': [50, 16],
  },
  BERT: {
    'bert.embeddings.word_embeddings.weight': [50, 16],
    'bert.embeddings.position_embeddings.weight': [32, 16],
    'bert.embeddings.token_type_embeddings.weight': [2, 16],
    ...norm('bert.embeddings.LayerNorm', 16),
    ...layers(2, (at) =>
      named(`bert.encoder.layer.${at}.`, {
        ...linear('attention.self.query', 16, 16),
        ...linear('attention.self.key', 16, 16),
        ...linear('attention.self.value', 16, 16),
        ...linear('attention.output.dense', 16, 16),
        ...norm('attention.output.LayerNorm', 16),
        ...linear('intermediate.dense', 64, 16),
        ...linear('output.dense', 16, 64),
        ...norm('output.LayerNorm', 16),
      }),
    ),
    ...linear('bert.pooler.dense', 16, 16),
  },
  T5: {
    'shared.weight': [50, 16],
    ...layers(2, (at) =>
      named(`encoder.block.${at}.layer.`, {
        '0.SelfAttention.q.weight': [16, 16],
        '0.SelfAttention.k.weight': [16, 16],
        '0.SelfAttention.v.weight': [16, 16],
        '0.SelfAttention.o.weight': [16, 16],
        '0.layer_norm.weight': [16],
        '1.DenseReluDense.wi.weight': [64, 16],
        '1.DenseReluDense.wo.weight': [16, 64],
        '1.layer_norm.weight': [16],
      }),
    ),
  },
  Whisper: {
    'model.encoder.conv1.weight': [16, 80, 3],
    'model.encoder.conv1.bias': [16],
    'model.encoder.conv2.weight': [16, 16, 3],
    'model.encoder.conv2.bias': [16],
    'model.encoder.embed_positions.weight': [100, 16],
    ...layers(2, (at) =>
      named(`model.encoder.layers.${at}.`, {
        'self_attn.k_proj.weight': [16, 16],
        ...linear('self_attn.q_proj', 16, 16),
        ...linear('self_attn.v_proj', 16, 16),
        ...linear('self_attn.out_proj', 16, 16),
        ...norm('self_attn_layer_norm', 16),
        ...linear('fc1', 64, 16),
        ...linear('fc2', 16, 64),
        ...norm('final_layer_norm', 16),
      }),
    ),
  },
  'diffusion U-Net': {
    'conv_in.weight': [32, 4, 3, 3],
    'conv_in.bias': [32],
    ...linear('time_embedding.linear_1', 64, 32),
    ...norm('down_blocks.0.resnets.0.norm1', 32),
    'down_blocks.0.resnets.0.conv1.weight': [32, 32, 3, 3],
    ...linear('down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q', 32, 32),
    ...norm('down_blocks.0.attentions.0.norm', 32),
    'up_blocks.0.resnets.0.conv1.weight': [32, 64, 3, 3],
    'mid_block.resnets.0.conv1.weight': [32, 32, 3, 3],
  },
  'diffusion transformer': {
    'x_embedder.proj.weight': [16, 4, 2, 2],
    'x_embedder.proj.bias': [16],
    pos_embed: [1, 64, 16],
    ...linear('t_embedder.mlp.0', 16, 256),
    'y_embedder.embedding_table.weight': [11, 16],
    ...layers(2, (at) =>
      named(`blocks.${at}.`, {
        ...linear('attn.qkv', 48, 16),
        ...linear('attn.proj', 16, 16),
        ...linear('mlp.fc1', 64, 16),
        ...linear('mlp.fc2', 16, 64),
        ...linear('adaLN_modulation.1', 96, 16),
      }),
    ),
    ...linear('final_layer.linear', 32, 16),
  },
  'image encoder of a language model (Qwen3-VL)': {
    pos_embed: [1, 16, 32],
    ...linear('patch_embed.proj', 32, 1),
    'patch_embed.proj.weight': [32, 3, 16, 16],
    ...layers(2, (at) =>
      named(`blocks.${at}.`, {
        ...norm('norm1', 32),
        ...linear('attn.qkv', 96, 32),
        ...linear('attn.proj', 32, 32),
        ...norm('norm2', 32),
        ...linear('mlp.fc1', 64, 32),
        ...linear('mlp.fc2', 32, 64),
      }),
    ),
    ...norm('merger.norm', 32),
    ...linear('merger.fc1', 128, 128),
    ...linear('merger.fc2', 64, 128),
  },
  YOLO: {
    'model.0.conv.weight': [16, 3, 3, 3],
    ...norm('model.0.bn', 16),
    'model.2.cv1.conv.weight': [16, 16, 1, 1],
    ...norm('model.2.cv1.bn', 16),
    'model.2.m.0.cv1.conv.weight': [8, 8, 3, 3],
    'model.22.cv2.0.2.weight': [64, 16, 1, 1],
    'model.22.dfl.conv.weight': [1, 16, 1, 1],
  },
  'adapter weights': {
    'base_model.model.encoder.layer.0.attention.attention.query.lora_A.weight': [4, 16],
    'base_model.model.encoder.layer.0.attention.attention.query.lora_B.weight': [16, 4],
  },
  LSTM: {
    'embedding.weight': [50, 16],
    'lstm.weight_ih_l0': [64, 16],
    'lstm.weight_hh_l0': [64, 16],
    'lstm.bias_ih_l0': [64],
    'lstm.bias_hh_l0': [64],
    ...linear('fc', 10, 16),
  },
  MLP: { ...linear('0', 64, 784), ...linear('2', 64, 64), ...linear('4', 10, 64) },
  'a small convolutional network': {
    'conv1.weight': [6, 3, 5, 5],
    'conv1.bias': [6],
    'conv2.weight': [16, 6, 5, 5],
    'conv2.bias': [16],
    ...linear('fc1', 120, 400),
    ...linear('fc2', 84, 120),
    ...linear('fc3', 10, 84),
  },
  'names of no library': {
    'q7.zeta.weight': [3, 5],
    'q7.eta.kernel': [5, 2],
    alpha: [7],
    'n0.n1.n2.w': [2, 2, 2],
  },
  'a head alone': { ...linear('head', 10, 192), ...norm('norm', 192) },
};

describe('networks of other kinds', () => {
  let folder: string;
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'vitrine-'))));
  after(() => rm(folder, { recursive: true }));

  for (const [kind, shapes] of Object.entries(networks))
    it(`${kind}: is called no family, and shown as what it is`, async () => {
      const path = join(folder, 'model.safetensors');
      const entries = Object.entries(shapes).map(([name, shape]) => {
        return { name, shape, dtype: 'F32' as const, bytes: new Uint8Array(4 * elementCount(shape)) };
      });
      await writeSafetensors(path, entries);
      const model = await openModel(path);
      assert.equal(model.recognition.family, null);
      const view = inspectorModel(model, { set: new Set() });
      assert.equal(view.known, false);
      assert.equal(view.tensors.length, entries.length);
      assert.ok(view.unknown && view.unknown.reason.length > 0 && view.unknown.missing.length > 0);
      const total = entries.reduce((sum, { shape }) => sum + elementCount(shape), 0);
      const [root] = view.modules;
      assert.ok(model.counts.params <= total && model.counts.params > 0);
      assert.equal(root?.params, model.counts.params);
    });
});

/** One case of each way in which a family reads its layers. */
const families = [
  'swin-timm-safetensors',
  'swin-transformers-safetensors',
  'swinv2-timm-safetensors',
  'pvtv2-timm-hub-safetensors',
  'twins-svt-timm-safetensors',
  'convnext-timm-hub-safetensors',
  'cait-timm-safetensors',
  'segformer-transformers-safetensors',
  'swinv2-mmpretrain-pth',
  'swin-ctranspath-pth',
  'convnextv2-original-pth',
  'edgenext-original-pth',
  'efficientformer-original-pth',
  'efficientformerv2-original-pth',
  'focalnet-original-pth',
  'hiera-original-pth',
  'mvitv2-original-pth',
  'tiny-vit-original-pth',
  'sam-encoder-original-pth',
  'efficientnetv2-torchvision-pth',
  'mobilenetv2-torchvision-pth',
  'mobilenetv3-small-torchvision-pth',
  'regnet-transformers-safetensors',
  'mobilenetv1-transformers-safetensors',
];

function without({ selected, ...checkpoint }: Checkpoint, name: string): Checkpoint {
  const tensors = selected.tensors.filter((tensor) => tensor.name !== name);
  return { ...checkpoint, selected: { ...selected, tensors } };
}

describe('files that nearly are of a family', () => {
  for (const golden of readCases().filter(({ id }) => families.includes(id))) {
    const options = { assume: golden.assume, imageSize: golden.image_size };

    it(`${golden.id}: a weight that lacks is missed`, async () => {
      const checkpoint = await openCheckpoint(checkpointPath(golden));
      const whole = recognise(checkpoint, options);
      assert(whole.family !== null);
      for (const { name } of checkpoint.selected.tensors.filter((tensor) => /\.weight$/.test(tensor.name))) {
        const found = recognise(without(checkpoint, name), options);
        assert.equal(found.family, null, name);
        assert.ok(found.nearest && found.nearest.missing.length > 0, name);
      }
    });

    it(`${golden.id}: a tensor too many has no place, or lies beside and is named`, async () => {
      const checkpoint = await openCheckpoint(checkpointPath(golden));
      const whole = recognise(checkpoint, options);
      assert(whole.family !== null);
      const isOfBody = ({ name }: Tensor): boolean =>
        /\d.*\.weight$/.test(name) && !/head|classifier/.test(name);
      const model = checkpoint.selected.tensors.find(isOfBody) ?? assert.fail('no weight');
      const withOne = (name: string): Recognition => {
        const tensors = [...checkpoint.selected.tensors, { ...model, name }];
        return recognise({ ...checkpoint, selected: { ...checkpoint.selected, tensors } }, options);
      };
      const within = model.name.replace(/weight$/, 'extra');
      const refused = withOne(within);
      assert.equal(refused.family, null);
      assert.equal(refused.nearest?.family, whole.architecture);
      assert.deepEqual(refused.nearest.missing, [`no place for ${within}`]);
      const opened = withOne('extra.block.weight');
      assert(opened.family !== null);
      assert.match(opened.warnings.join(), /% of the [\d,]+ parameters run; not run: (?:head, )?extra/);
    });
  }

  it('misses a bias or scale that the other blocks have, and half of a batch normalisation', () => {
    const block = (at: number): string[] =>
      ['norm.weight', 'norm.bias', 'fc.weight', 'gamma_1'].map((name) => `blocks.${at}.${name}`);
    const names = [0, 1, 2].flatMap(block);
    assert.deepEqual(lostParameters(names), []);
    const lost = ['blocks.1.norm.bias', 'blocks.2.gamma_1'];
    assert.deepEqual(lostParameters(names.filter((name) => !lost.includes(name))), lost);
    assert.deepEqual(lostParameters(['bn.weight', 'bn.running_mean', 'bn.running_var']), ['bn.bias']);
    // Convolutions without biases beside normalisations with them, and blocks of another kind, lack
    // nothing.
    assert.deepEqual(lostParameters(['conv.0.weight', 'conv.1.weight', 'conv.1.bias']), []);
    assert.deepEqual(lostParameters([...names, 'blocks.3.norm.weight', 'blocks.3.norm.bias']), []);
    // Of what is no bias or scale one in four may be lost; a member with parts of its own is
    // another.
    const layer = (at: number): string[] =>
      ['norm.weight', 'attn.logit_scale', 'mlp.fc.weight'].map((name) => `layers.${at}.${name}`);
    const four = [0, 1, 2, 3].flatMap(layer);
    const scale = 'layers.2.attn.logit_scale';
    const without = four.filter((name) => name !== scale);
    assert.deepEqual(lostParameters(without), [scale]);
    assert.deepEqual(lostParameters([...without, 'layers.2.split.weight']), []);
    // The one norm of many without a bias.
    const norms = [0, 1, 2, 3].flatMap((at) => [`stage${at}.norm.weight`, `stage${at}.norm.bias`]);
    assert.deepEqual(lostParameters([...norms, 'head.norm.weight']), ['head.norm.bias']);
    assert.deepEqual(lostParameters([...norms, 'head.norm.weight', 'fc_norm.weight']), []);
  });

  it('names what it looks for as files do', () => {
    assert.equal(
      exampleName(/^layers\.\d+\.blocks\.\d+\.attn\.(?:qkv|q)\.weight$/),
      'layers.0.blocks.0.attn.qkv.weight',
    );
    assert.equal(exampleName(/^stem\.conv/), 'stem.conv');
    assert.equal(exampleName(/^blocks\.0\.(?:conv\.(?:0|1)\.)?weight$/), 'blocks.0.conv.0.weight');
  });
});

describe('stems of other channels than colours', () => {
  const ids = [
    'convnext-timm-hub-safetensors',
    'regnet-transformers-safetensors',
    'mobilenetv2-torchvision-pth',
    'tiny-vit-original-pth',
  ];
  for (const golden of readCases().filter(({ id }) => ids.includes(id)))
    for (const channels of [1, 6])
      it(`${golden.id}: ${channels}`, async () => {
        const checkpoint = await openCheckpoint(checkpointPath(golden));
        const tensors = checkpoint.selected.tensors.map((tensor) => {
          const [out = 0, read, ...kernel] = tensor.shape;
          return read === 3 && kernel.length === 2
            ? { ...tensor, shape: [out, channels, ...kernel] }
            : tensor;
        });
        const other = { ...checkpoint, selected: { ...checkpoint.selected, tensors } };
        const recognition = recognise(other, { assume: golden.assume, imageSize: golden.image_size });
        assert(recognition.family !== null);
        assert.equal(recognition.evidence['channels']?.value, channels);
        const { graph } = buildGraph(other, recognition);
        assert.equal(graph.values.get('pixel_values')?.shape[1], channels);
      });
});
