import assert from 'node:assert/strict';
import type { ConfigValue } from '../../../src/architectures/family';
import { buildGraph, countParameters, recognise } from '../../../src/architectures/recognise/recognise';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint';
import { openCheckpoint } from '../../../src/checkpoint/open';
import type { Tensor } from '../../../src/checkpoint/tensors';
import { checkpointPath, readCases } from '../../support/cases';

type Shape = readonly number[];
/** Another shape of a tensor, a further one, or undefined to leave it out. */
type Changes = Readonly<Record<string, Shape | undefined>>;

const tensorOf = (name: string, shape: Shape): Tensor => ({
  name,
  dtype: 'F32',
  shape,
  start: 0,
  storage: { kind: 'file', file: name, offset: 0, length: 0 },
});

/** A golden case's checkpoint by header, with some tensors changed and all names renamed. */
async function changed(
  id: string,
  changes: Changes,
  rename: (name: string) => string = (name) => name,
): Promise<Checkpoint> {
  const golden = readCases().find((each) => each.id === id) ?? assert.fail(`no case ${id}`);
  const checkpoint = await openCheckpoint(checkpointPath(golden));
  const kept = checkpoint.selected.tensors.filter(({ name }) => !(name in changes));
  const added = Object.entries(changes).flatMap(([name, shape]) => (shape ? [tensorOf(name, shape)] : []));
  const tensors = [...kept, ...added].map((tensor) => ({ ...tensor, name: rename(tensor.name) }));
  return { ...checkpoint, selected: { ...checkpoint.selected, tensors } };
}

interface Asked {
  readonly assume?: Readonly<Record<string, ConfigValue>>;
  readonly rename?: (name: string) => string;
}

async function known(id: string, changes: Changes = {}, { assume = {}, rename }: Asked = {}) {
  const checkpoint = await changed(id, changes, rename);
  const recognition = recognise(checkpoint, { assume });
  if (recognition.family === null) return assert.fail(recognition.reason);
  return { checkpoint, recognition, graph: buildGraph(checkpoint, recognition).graph };
}

async function refusal(id: string, changes: Changes, asked: Asked = {}): Promise<string> {
  const recognition = recognise(await changed(id, changes, asked.rename), { assume: asked.assume ?? {} });
  return recognition.family === null
    ? `${recognition.reason} ${(recognition.nearest?.missing ?? []).join()}`
    : assert.fail(`taken for ${recognition.title}`);
}

const layer = 'transformer.layers.0';

/** SimpleViT over two frames. */
const threeD: Changes = {
  'to_patch_embedding.1.weight': [384],
  'to_patch_embedding.1.bias': [384],
  'to_patch_embedding.2.weight': [20, 384],
};

/** SimpleViT of grey images, 16 × 16 pixels a patch. */
const grey: Changes = {
  'to_patch_embedding.1.weight': [256],
  'to_patch_embedding.1.bias': [256],
  'to_patch_embedding.2.weight': [20, 256],
};

describe('plain transformers under the names of other code bases', () => {
  describe('whose relatives share the names', () => {
    const relatives: readonly (readonly [what: string, id: string, changes: Changes, said: RegExp])[] = [
      ['DeepViT', 'vit-pytorch-pth', { [`${layer}.0.reattn_weights`]: [2, 2] }, /looks like DeepViT/],
      ['norms of queries', 'vit-pytorch-simple-pth', { [`${layer}.0.q_norm.gamma`]: [2, 1, 10] }, /norms of/],
      ['a merger', 'vit-pytorch-pth', { 'transformer.patch_merger.queries': [8, 20] }, /merges its patches/],
      ['ViViT', 'vit-pytorch-pth', { temporal_cls_token: [1, 1, 20] }, /ViViT/],
      ['3-D patches', 'vit-pytorch-simple-pth', threeD, /3-D.*reads 384 values of a patch/],
      ['a pool of masks', 'vit-pytorch-pth', { cls_token: [20] }, /no known architecture has cls_token/],
      ['another norm', 'vit-pytorch-simple-pth', { 'linear_head.weight': [20] }, /linear_head\.weight/],
      ['frequencies', 'vit-pytorch-simple-pth', { 'to_freq_embedding.1.weight': [20] }, /to_freq_embedding/],
      ['a gate', 'vit-pytorch-pth', { [`${layer}.0.to_gate.weight`]: [2, 20] }, /gate behind its attention/],
      [
        "MONAI's in 3-D",
        'monai-vit-pth',
        { 'patch_embedding.patch_embeddings.weight': [20, 1, 8, 8, 8] },
        /video or volumes \(3-D\).*Conv3d/,
      ],
      [
        'Prithvi',
        'vitpose-pth',
        { 'patch_embed.proj.weight': [24, 6, 1, 8, 8] },
        /video or volumes \(3-D\).*patch_embed\.proj\.weight \[24, 6, 1, 8, 8\]/,
      ],
      [
        'a hybrid of jeonsworld',
        'jeonsworld-vit-pth',
        { 'transformer.embeddings.hybrid_model.root.conv.weight': [64, 3, 7, 7] },
        /hybrid_model/,
      ],
      [
        "mmpretrain's BEiT",
        'mmpretrain-vit-pth',
        { 'layers.0.attn.relative_position_bias_table': [100, 3] },
        /like BEiT.*shapes do not broadcast/,
      ],
      [
        "an attention pool behind CLIP's tower",
        'clip-tower-alone-pth',
        { 'attn_pool.query': [1, 24] },
        /no known architecture|no place/,
      ],
      [
        'a stem of two convolutions',
        'torch-encoder-pth',
        { 'conv.weight': [20, 20, 3, 3], 'conv.bias': [20] },
        /no place for conv/,
      ],
    ];
    for (const [what, id, changes, said] of relatives)
      it(`are told apart: ${what}`, async () => {
        assert.match(await refusal(id, changes), said);
      });

    it('warns of one that only its code tells apart', async () => {
      const changes: Changes = {
        'transformer.norm.weight': undefined,
        'transformer.norm.bias': undefined,
        'mlp_head.weight': undefined,
        'mlp_head.bias': undefined,
        'mlp_head.0.weight': [20],
        'mlp_head.0.bias': [20],
        'mlp_head.1.weight': [7, 20],
        'mlp_head.1.bias': [7],
      };
      const { recognition } = await known('vit-pytorch-pth', changes);
      assert.match(recognition.warnings.join(), /ats_vit.*check/);
      assert.doesNotMatch((await known('vit-pytorch-pth')).recognition.warnings.join(), /ats_vit/);
    });
  });

  describe('whose patches are flattened', () => {
    it('assumes squares of three channels, and takes what the user says', async () => {
      const { recognition } = await known('vit-pytorch-simple-pth');
      assert.equal(recognition.evidence['patch']?.value, 8);
      assert.equal(recognition.evidence['patch']?.assumed, true);
      const told = await known('vit-pytorch-simple-pth', {}, { assume: { patch: [4, 16] } });
      assert.deepEqual(told.recognition.evidence['patch']?.value, [4, 16]);
      assert.equal(told.recognition.evidence['channels']?.value, 3);
      assert.deepEqual(told.recognition.sizeStep, [4, 16]);
    });

    it('finds one channel, and as many as a patch that the user states leaves', async () => {
      const one = await known('vit-pytorch-simple-pth', grey);
      assert.deepEqual(one.recognition.evidence['channels']?.value, 1);
      const many = await known('vit-pytorch-simple-pth', threeD, { assume: { patch: 8 } });
      assert.deepEqual(many.recognition.evidence['channels']?.value, 6);
    });

    it('refuses a patch that cannot be', async () => {
      const asked = { assume: { patch: 5 } };
      await assert.rejects(known('vit-pytorch-simple-pth', {}, asked), /patch: 5 found.*holds 192 values/);
      await assert.rejects(known('mmpretrain-vit-pth', {}, asked), /patch: 5 found.*kernel is one of 8 × 8/);
    });
  });

  describe('with habits', () => {
    const habits: readonly (readonly [id: string, key: string, value: ConfigValue, assumed: boolean])[] = [
      ['torch-encoder-pth', 'norm_order', 'after', true],
      ['torch-encoder-pth', 'activation', 'relu', true],
      ['torch-encoder-pre-pth', 'norm_order', 'pre', true],
      ['torch-attention-pth', 'activation', 'gelu', true],
      ['vit-pytorch-pth', 'pool', 'token', true],
      ['vit-pytorch-pth', 'pool_prefix', true, false],
      ['vit-pytorch-registers-pth', 'pool_prefix', false, false],
      ['vit-pytorch-one-head-pth', 'heads', 1, false],
      ['vit-pytorch-simple-pth', 'grid', [28, 28], true],
      ['vit-from-scratch-pth', 'activation', 'gelu_tanh', false],
      ['jeonsworld-vit-pth', 'activation', 'gelu', false],
      ['monai-vit-tanh-pth', 'after_head', 'tanh', false],
      ['vitpose-pth', 'padding', 0, true],
      ['mmpretrain-vit-mean-pth', 'patch', [4, 8], false],
      ['mmpretrain-vit-mean-pth', 'pool', 'avg', false],
    ];
    for (const [id, key, value, assumed] of habits)
      it(`${id}: ${key} is ${String(value)}`, async () => {
        const { recognition } = await known(id);
        const { value: found, assumed: guessed } = recognition.evidence[key] ?? {};
        assert.deepEqual([found, guessed], [value, assumed]);
      });

    it('lets the user set what was assumed', async () => {
      const assume = { norm_order: 'pre', activation: 'gelu' };
      const { recognition } = await known('torch-encoder-pth', {}, { assume });
      assert.equal(recognition.evidence['norm_order']?.source, 'given by the user');
      const padded = await known('vitpose-pth', {}, { assume: { padding: 2 } });
      const pads = padded.graph.nodes.find(({ op }) => op === 'Conv')?.attributes['pads'];
      assert.deepEqual(pads, { type: 'ints', value: [2, 2, 2, 2] });
      assert.equal((await known('monai-vit-pth')).recognition.evidence['after_head'], undefined);
    });

    it('takes InternViT-6B for one of 25 heads', async () => {
      const wide = await changed('internvit-pth', {});
      const grown = wide.selected.tensors.map((tensor) => ({
        ...tensor,
        shape: tensor.shape.map((side) => ({ 24: 3200, 72: 9600, 48: 12800 })[side] ?? side),
      }));
      const recognition = recognise({ ...wide, selected: { ...wide.selected, tensors: grown } });
      assert(recognition.family !== null);
      assert.equal(recognition.evidence['heads']?.value, 25);
    });
  });

  describe('with tokens that nobody knows', () => {
    for (const [name, shape] of [
      ['pretext_token', [1, 1, 30]],
      ['sie_embed', [6, 1, 30]],
    ] as const)
      it(`runs the backbone without ${name} and no classifier`, async () => {
        const { recognition, graph } = await known('vit-timm-safetensors', { [name]: shape });
        assert.equal(recognition.task, 'features');
        assert.match(recognition.warnings.join(), new RegExp(`Backbone only: ${name} \\[`));
        assert.ok(!graph.outputs.some(({ means }) => means === 'logits'));
      });

    it('passes over what only pretraining reads', async () => {
      const { recognition } = await known('vit-timm-safetensors', { mask_embed: [1, 30] });
      assert.equal(recognition.task, 'classify');
      assert.doesNotMatch(recognition.warnings.join(), /mask_embed|not run/);
    });
  });

  describe('as the backbone of a larger model', () => {
    const holders: readonly (readonly [
      model: RegExp,
      id: string,
      at: string,
      beside: Readonly<Record<string, Shape>>,
    ])[] = [
      [
        /of Depth Anything$/,
        'dinov2-reg4-original-pth',
        'pretrained.',
        { 'depth_head.projects.0.weight': [8, 24, 1, 1] },
      ],
      [/of ViTPose$/, 'vitpose-pth', 'backbone.', { 'keypoint_head.final_layer.weight': [17, 24, 1, 1] }],
      [/of SETR/, 'mmseg-vit-pth', 'backbone.', { 'decode_head.conv_seg.weight': [19, 24, 1, 1] }],
      [/of ViTDet/, 'vitdet-detectron2-pth', 'backbone.net.', { 'backbone.simfp_2.0.weight': [8, 24, 2, 2] }],
      [/of ViTDet/, 'vitdet-detectron2-pth', 'backbone.', { 'rpn_head.rpn_conv.weight': [8, 24, 3, 3] }],
    ];
    for (const [model, id, at, beside] of holders)
      it(`${id} behind ${at} is said to be one, and what lies beside it counts`, async () => {
        const rename = (name: string): string => (name in beside ? name : `${at}${name}`);
        const held = await known(id, beside, { rename });
        assert.match(held.recognition.title, model);
        const alone = await known(id);
        const more = Object.values(beside).flatMap((shape) =>
          shape.reduce((product, side) => product * side),
        );
        const counted = [held, alone].map(
          (each) => countParameters(each.checkpoint, each.recognition).params,
        );
        assert.deepEqual(counted[0], (counted[1] ?? 0) + (more[0] ?? 0));
      });
  });

  it("reads ViTPose of transformers with the library's padding and its shared row of positions", async () => {
    const { recognition } = await known('vitpose-transformers-safetensors');
    assert.match(recognition.title, /^ViTPose, ViT-24\/8 backbone$/);
    assert.deepEqual(
      [recognition.evidence['padding']?.value, recognition.evidence['padding']?.assumed],
      [2, false],
    );
  });
});
