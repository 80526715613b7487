import assert from 'node:assert/strict';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint';
import type { Tensor } from '../../../src/checkpoint/tensors';
import type { ConfigValue } from '../../../src/architectures/family';
import {
  buildGraph,
  countParameters,
  recognise,
  type Known,
} from '../../../src/architectures/recognise/recognise';

type Shapes = Readonly<Record<string, readonly number[]>>;

function checkpointOf(shapes: Shapes, config?: Readonly<Record<string, unknown>>): Checkpoint {
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

/** A plain transformer as timm names it, with a class token. */
function plain({ dim = 96, mlp = 192, patch = 16, positions = 26, depth = 1 } = {}): Shapes {
  const blocks = Array.from({ length: depth }, (_, index) => ({
    [`blocks.${index}.norm1.weight`]: [dim],
    [`blocks.${index}.norm1.bias`]: [dim],
    [`blocks.${index}.attn.qkv.weight`]: [3 * dim, dim],
    [`blocks.${index}.attn.qkv.bias`]: [3 * dim],
    [`blocks.${index}.attn.proj.weight`]: [dim, dim],
    [`blocks.${index}.attn.proj.bias`]: [dim],
    [`blocks.${index}.norm2.weight`]: [dim],
    [`blocks.${index}.norm2.bias`]: [dim],
    [`blocks.${index}.mlp.fc1.weight`]: [mlp, dim],
    [`blocks.${index}.mlp.fc1.bias`]: [mlp],
    [`blocks.${index}.mlp.fc2.weight`]: [dim, mlp],
    [`blocks.${index}.mlp.fc2.bias`]: [dim],
  }));
  return Object.assign(
    {
      cls_token: [1, 1, dim],
      pos_embed: [1, positions, dim],
      'patch_embed.proj.weight': [dim, 3, patch, patch],
      'patch_embed.proj.bias': [dim],
      'norm.weight': [dim],
      'norm.bias': [dim],
      'head.weight': [10, dim],
      'head.bias': [10],
    },
    ...blocks,
  ) as Shapes;
}

const vitB = plain({ dim: 768, mlp: 3072, positions: 197, depth: 12 });

function known(checkpoint: Checkpoint, options: Parameters<typeof recognise>[1] = {}): Known {
  const recognition = recognise(checkpoint, options);
  assert(recognition.family !== null);
  return recognition;
}

describe('recognition', () => {
  it('asks for heads in the order user, config, published table, 64 per head', () => {
    const config = { num_attention_heads: 8 };
    const user = known(checkpointOf(vitB, config), { assume: { heads: 6 } }).evidence['heads']!;
    const written = known(checkpointOf(vitB, config)).evidence['heads']!;
    const published = known(checkpointOf(vitB)).evidence['heads']!;
    const usual = known(checkpointOf(plain({ dim: 320 }))).evidence['heads']!;
    assert.deepEqual([user.value, written.value, published.value, usual.value], [6, 8, 12, 5]);
    assert.deepEqual(
      [user, written, published, usual].map((heads) => heads.assumed),
      [false, false, false, true],
    );
    assert.match(user.source, /user/);
    assert.match(written.source, /config\.json: num_attention_heads/);
    assert.match(published.source, /as published: .*base/);
    assert.match(usual.source, /64 per head; not stored in the weights/);
  });

  it('names every published model with the same names and shapes', () => {
    const { candidates, title } = known(checkpointOf(vitB));
    assert.equal(title, 'ViT-B/16');
    for (const name of ['deit_base_patch16_224', 'vit_base_patch16_224'])
      assert(candidates.includes(name), name);
  });

  it('names the hyper-parameters that there are when asked for another, and the width when heads do not divide it', () => {
    const checkpoint = checkpointOf(plain());
    assert.throws(
      () => recognise(checkpoint, { assume: { head: 3 } }),
      /head is not a hyper-parameter .*heads, activation/,
    );
    assert.throws(() => recognise(checkpoint, { assume: { heads: 5 } }), /heads: 5 .*width 96/);
    assert.throws(() => recognise(checkpoint, { assume: { pool: 'map' } }), /pool: map found; .* token, avg/);
  });

  it('refuses a fact that cannot be with what can, and a config that says one unless the user knows better', () => {
    const wrong: readonly [key: string, value: ConfigValue, allowed: RegExp][] = [
      ['activation', 'gleu', /activation: gleu found; one of gelu,/],
      ['eps', -1, /eps: -1 found; a number from 0/],
      ['eps', 'small', /eps: small found/],
      ['pool_prefix', 3, /pool_prefix: 3 found; true or false/],
      ['norm_order', 'last', /norm_order: last found; pre or post/],
    ];
    for (const [key, value, allowed] of wrong)
      assert.throws(() => recognise(checkpointOf(plain()), { assume: { [key]: value } }), allowed);
    for (const [config, reason] of [
      [{ hidden_act: 'gleu' }, /hidden_act is gleu; one of gelu,/],
      [{ layer_norm_eps: '1e-6' }, /layer_norm_eps is "1e-6"; a number from 0/],
    ] as const) {
      const refused = recognise(checkpointOf(plain(), config));
      assert(refused.family === null);
      assert.match(refused.reason, reason);
    }
    const { evidence } = known(checkpointOf(plain(), { hidden_act: 'gleu' }), {
      assume: { activation: 'relu' },
    });
    assert.equal(evidence['activation']!.value, 'relu');
  });

  it('follows open_clip_config.json: heads by their width, the activation, the size', () => {
    const bare = checkpointOf(plain({ positions: 25 }));
    const vision_cfg = { width: 96, head_width: 24, image_size: [64, 96] };
    const beside = (model_cfg: object): Checkpoint => ({ ...bare, sidecars: { openClip: { model_cfg } } });
    const { evidence } = known(beside({ vision_cfg, quick_gelu: true }));
    assert.deepEqual(
      ['heads', 'activation', 'grid'].map((key) => evidence[key]!.value),
      [4, 'quick_gelu', [4, 6]],
    );
    assert.match(evidence['heads']!.source, /open_clip_config\.json: model_cfg\.vision_cfg\.width/);
    // A tower by timm has timm's own defaults: only the size is said.
    const trunk = known(beside({ vision_cfg: { ...vision_cfg, timm_model_name: 'vit_tiny_patch16_224' } }));
    assert.deepEqual([trunk.evidence['heads']!.assumed, trunk.imageSize], [true, [64, 96]]);
  });

  it('says which pixels no patch reaches', () => {
    const checkpoint = checkpointOf(plain());
    assert.match(known(checkpoint, { imageSize: [83, 96] }).warnings.join(), /last 3 rows and 0 columns/);
    assert.deepEqual(known(checkpoint, { imageSize: [96, 80] }).warnings, []);
  });

  it('names the scale that a norm has lost', () => {
    const { 'norm.weight': _, ...damaged } = plain();
    const recognition = recognise(checkpointOf(damaged));
    assert(recognition.family === null);
    assert.match(recognition.reason, /norm\.weight/);
  });

  it('takes the square grid, else lists those that fit and warns, unless the image size decides', () => {
    const square = known(checkpointOf(plain({ positions: 26 })));
    assert.deepEqual(
      [square.evidence['grid']!.value, square.imageSize, square.warnings],
      [[5, 5], [80, 80], []],
    );
    const oblong = checkpointOf(plain({ positions: 25 }));
    assert.deepEqual(known(oblong, { assume: { grid: [4, 6] } }).imageSize, [64, 96]);
    assert.deepEqual(known(oblong, { imageSize: [96, 64] }).evidence['grid']!.value, [6, 4]);
    assert.throws(
      () => recognise(oblong, { assume: { grid: [5, 6] } }),
      /grid: 5,6 found; pos_embed holds 25 rows/,
    );
    const open = known(checkpointOf(plain({ positions: 25 - 3 })));
    assert.equal(open.evidence['grid']!.assumed, true);
    assert.match(open.warnings.join(), /3 × 7, 7 × 3, 2 × 11 behind no row of special tokens/);
  });

  it('resamples the position table for another image size and refuses one without a patch', () => {
    const checkpoint = checkpointOf(plain());
    const recognition = known(checkpoint);
    const ops = (imageSize: readonly [number, number]): readonly string[] =>
      buildGraph(checkpoint, recognition, { imageSize }).graph.nodes.map(({ op }) => op);
    assert(!ops([80, 80]).includes('Resize'));
    assert(ops([96, 160]).includes('Resize'));
    assert.throws(() => ops([8, 80]), /image size 8 × 80 .*nearest size is 16 × 80/);
  });

  it('lists tensors that no operator reads', () => {
    const checkpoint = checkpointOf({ ...plain(), mask_token: [1, 96], 'aux.weight': [2, 2] });
    const { params, buffers, roles } = countParameters(checkpoint, known(checkpoint));
    const alone = checkpointOf(plain());
    assert.equal(params, countParameters(alone, known(alone)).params + 96 + 4);
    assert.equal(buffers, 0);
    assert.match(known(checkpoint).warnings.join(), /not run: aux/);
    assert.deepEqual(
      [roles.get('mask_token'), roles.get('aux.weight'), roles.get('cls_token')],
      ['unused', 'unused', 'parameter'],
    );
  });

  it('takes heads from shapes where a norm or a kernel is as wide as a head', () => {
    const normed = { ...plain(), 'blocks.0.attn.q_norm.weight': [24], 'blocks.0.attn.k_norm.weight': [24] };
    const heads = known(checkpointOf(normed)).evidence['heads']!;
    assert.deepEqual([heads.value, heads.assumed], [4, false]);
  });
});

describe('files that are no vision transformer', () => {
  const cases: readonly (readonly [kind: RegExp, shapes: Shapes])[] = [
    [
      /language model/,
      { 'model.embed_tokens.weight': [100, 8], 'model.layers.0.self_attn.q_proj.weight': [8, 8] },
    ],
    [/diffusion model/, { 'model.diffusion_model.input_blocks.0.0.weight': [8, 4, 3, 3] }],
    [/LoRA/, { 'base_model.model.blocks.0.attn.qkv.lora_A.weight': [4, 8] }],
    [/optimizer state/, { 'optimizer.state.0.exp_avg': [8] }],
    [/YOLO/, { 'model.0.conv.weight': [16, 3, 3, 3], 'model.22.cv2.0.0.conv.weight': [4, 4, 3, 3] }],
    [/plain arrays/, { weights: [3, 4], labels: [3] }],
    [/no known architecture/, { 'stem.conv.weight': [8, 3, 3, 3], 'stages.0.fc.weight': [8, 8] }],
  ];
  for (const [kind, shapes] of cases)
    it(`${Object.keys(shapes)[0]}: ${kind.source}`, () => {
      const checkpoint = checkpointOf(shapes);
      const recognition = recognise(checkpoint);
      assert(recognition.family === null);
      assert.match(recognition.reason, kind);
      assert.equal(recognition.nearest?.family, 'vit');
      assert.throws(() => buildGraph(checkpoint, recognition), /no graph/);
    });

  it('a network with other parts is not taken for a plain one', () => {
    const relative = { ...plain(), 'blocks.0.attn.relative_position_bias_table': [729, 3] };
    const recognition = recognise(checkpointOf(relative));
    assert(recognition.family === null);
    assert.match(recognition.reason, /relative_position_bias_table/);
    const rotary = {
      ...plain(),
      'norm_pre.weight': [96],
      'norm_pre.bias': [96],
      'attn_pool.latent': [1, 1, 96],
    };
    assert.equal(recognise(checkpointOf(rotary)).family, null);
    const staged = { ...plain({ depth: 2 }), 'blocks.1.norm1.weight': [192] };
    assert.equal(recognise(checkpointOf(staged)).family, null);
  });
});
