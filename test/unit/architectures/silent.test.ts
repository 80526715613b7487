import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint';
import { openCheckpoint } from '../../../src/checkpoint/open';
import { splitHeads } from '../../../src/architectures/blocks/transformer';
import { GraphBuilder, HeadsError } from '../../../src/graph/builder';
import { recognise, type Known } from '../../../src/architectures/recognise/recognise';

/** What would change an answer without a word: a lost bias, a config of another model. */

type Json = Readonly<Record<string, unknown>>;

async function golden(id: string, change: (config: Json) => Json = (config) => config): Promise<Checkpoint> {
  const file = id.endsWith('-pth') ? 'model.pth' : 'model.safetensors';
  const opened = await openCheckpoint(join('test/fixtures/cases', id, file));
  const { config } = opened.sidecars;
  return { ...opened, sidecars: { ...opened.sidecars, ...(config && { config: change(config) }) } };
}

const without = (checkpoint: Checkpoint, lost: RegExp): Checkpoint => {
  const tensors = checkpoint.selected.tensors.filter(({ name }) => !lost.test(name));
  assert.notEqual(tensors.length, checkpoint.selected.tensors.length, `${lost.source} names a tensor`);
  return { ...checkpoint, selected: { ...checkpoint.selected, tensors } };
};

function known(checkpoint: Checkpoint): Known {
  const recognition = recognise(checkpoint);
  assert(recognition.family !== null, recognition.family === null ? recognition.reason : '');
  return recognition;
}

/** Everything that is said of a file, be it refused or not. */
function saidOf(checkpoint: Checkpoint): string {
  const recognition = recognise(checkpoint);
  return recognition.family === null ? recognition.reason : recognition.warnings.join('\n');
}

describe('a single bias that a file has lost', () => {
  const rows: readonly (readonly [id: string, lost: RegExp, named: RegExp])[] = [
    ['vit-timm-safetensors', /^head\.bias$/, /Missing: head\.bias/],
    ['vit-timm-safetensors', /^norm\.bias$/, /norm\.bias/],
    ['beit-timm-safetensors', /^patch_embed\.proj\.bias$/, /Missing: patch_embed\.proj\.bias/],
    ['vit-timm-safetensors', /^blocks\.1\.attn\.proj\.bias$/, /no blocks\.1\.attn\.proj\.bias/],
    ['convnext-torchvision-pth', /^classifier\.2\.bias$/, /Missing: classifier\.2\.bias/],
    ['hiera-transformers-safetensors', /layers\.0\.mlp\.fc1\.bias$/, /mlp\.fc1\.bias/],
    ['convit-timm-hub-safetensors', /^norm\.(?:weight|bias)$/, /norm\.weight/],
  ];
  for (const [id, lost, named] of rows)
    it(`${lost.source} of ${id} is named`, async () => {
      const whole = await golden(id);
      assert.doesNotMatch(saidOf(whole), named);
      assert.match(saidOf(without(whole, lost)), named);
    });

  it('is none of what stands around a backbone, which published backbones tell nothing about', async () => {
    const checkpoint = await golden('clip-transformers-safetensors');
    assert.doesNotMatch(known(checkpoint).warnings.join(), /Missing/);
    const lost = /^vision_model\.post_layernorm\.bias$/;
    assert.match(saidOf(without(checkpoint, lost)), /post_layernorm\.bias|norm\.bias/);
  });

  it('is warned of where all modules of a kind are without, as they may be built', async () => {
    const checkpoint = without(await golden('vit-timm-safetensors'), /^blocks\.\d+\.attn\.proj\.bias$/);
    assert.match(
      known(checkpoint).warnings.join(),
      /Missing: blocks\.\*\.attn\.proj\.bias.*computed without/,
    );
  });
});

describe('sizes of config.json that the weights contradict', () => {
  const rows: readonly (readonly [id: string, change: Json, named: RegExp])[] = [
    ['vit', { hidden_size: 1024 }, /hidden_size is 1024, the weights have \d+ /],
    ['vit', { num_hidden_layers: 40 }, /num_hidden_layers is 40, the weights have \d+ /],
    ['vit', { intermediate_size: 7 }, /intermediate_size is 7, the weights have \d+ /],
    ['vit', { patch_size: 9 }, /patch_size is 9, the weights have \d+ /],
    ['vit', { num_channels: 5 }, /num_channels is 5, the weights have 3 /],
    ['swin', { embed_dim: 5 }, /embed_dim is 5, the weights have \d+, /],
    ['swin', { depths: [1, 1, 1, 1, 1] }, /depths is 1, 1, 1, 1, 1, the weights have /],
    [
      'convnextv2',
      { hidden_sizes: [1, 2, 3, 4], num_channels: 1 },
      /hidden_sizes is 1, 2, 3, 4, the weights/,
    ],
    ['mobilenetv2', { num_channels: 4 }, /num_channels is 4, the weights have 3 \(the first convolution\)/],
    ['dinov2', { mlp_ratio: 9 }, /mlp_ratio is 9, the weights have /],
  ];
  for (const [id, change, named] of rows)
    it(`${JSON.stringify(change)} of ${id} is named with both values`, async () => {
      const name = `${id}-transformers-safetensors`;
      assert.doesNotMatch(saidOf(await golden(name)), /the weights have/);
      assert.match(saidOf(await golden(name, (config) => ({ ...config, ...change }))), named);
    });

  it("are held to timm's arguments, too", async () => {
    const change =
      (own: Json) =>
      (config: Json): Json => ({
        ...config,
        model_args: { ...(config['model_args'] as Json), ...own },
      });
    const said = async (own: Json): Promise<string> =>
      saidOf(await golden('tiny-vit-timm-hub-safetensors', change(own)));
    assert.match(await said({ num_classes: 5 }), /model_args\.num_classes is 5, the weights have 7/);
    assert.match(await said({ depths: [9, 9, 9, 9] }), /model_args\.depths is 9, 9, 9, 9, the weights have/);
  });
});

describe('what nobody tells', () => {
  it("is asked: EfficientViT's epsilon, which an unpublished size may set", async () => {
    const { sidecars, ...rest } = await golden('efficientvit-l-stem-timm-hub-safetensors');
    const { evidence } = known({ ...rest, sidecars: { ...sidecars, config: undefined } });
    assert.deepEqual([evidence['eps']!.value, evidence['eps']!.assumed], [1e-7, true]);
    assert.equal(evidence['activation']!.assumed, true);
  });

  it('is asked: the grid to which rotary positions are scaled', async () => {
    const { sidecars, ...rest } = await golden('pe-spatial-timm-hub-safetensors');
    const { evidence } = known({ ...rest, sidecars: { ...sidecars, config: undefined } });
    assert.equal(evidence['rope_ref_grid']!.assumed, true);
  });

  it('follows the class: Big Transfer pads evenly where global_padding is null', async () => {
    const name = 'bit-transformers-safetensors';
    const padding = async (value: unknown): Promise<unknown> =>
      known(await golden(name, (config) => ({ ...config, global_padding: value }))).evidence['padding']
        ?.value;
    assert.deepEqual([await padding(null), await padding('SAME')], ['symmetric', 'same']);
    assert.match(
      saidOf(await golden(name, (config) => ({ ...config, global_padding: 'VALID' }))),
      /global_padding is VALID; same or symmetric is needed/,
    );
  });

  it('follows a config that names EVA though its biases are missing', async () => {
    const { selected, sidecars, ...rest } = await golden('eva-giant-timm-safetensors');
    const tensors = selected.tensors.filter(({ name }) => !/\.(?:[qv]_bias|qkv\.bias)$/.test(name));
    const config = {
      architecture: 'eva02_enormous_patch14_clip_224',
      model_args: { qkv_bias: false, num_heads: 3 },
    };
    const file = { ...rest, selected: { ...selected, tensors }, sidecars: { ...sidecars, config } };
    assert.equal(known(file).evidence['norm_order']?.value, 'post');
  });
});

describe('heads that do not divide the width', () => {
  it('are named with both numbers', () => {
    const b = new GraphBuilder('heads', { find: () => undefined });
    const tokens = b.input('tokens', [64, 15]);
    assert.throws(
      () => splitHeads(b, tokens, 1, 2),
      (error) => error instanceof HeadsError && /2 heads found; .*divides the width 15/.test(error.message),
    );
    assert.deepEqual(splitHeads(b, tokens, 1, 3).shape, [1, 3, 64, 5]);
  });
});

describe("FSDP's flattened parameters", () => {
  it('are named as what they are, with the next step', async () => {
    const whole = await golden('vit-timm-safetensors');
    const [first, ...others] = whole.selected.tensors;
    assert(first);
    const flat = { ...first, name: '_fsdp_wrapped_module.blocks.0._flat_param', shape: [100] };
    const tensors = [...others.filter(({ name }) => !name.startsWith('blocks.0.')), flat];
    const said = saidOf({ ...whole, selected: { ...whole.selected, tensors } });
    assert.match(said, /1 of \d+ tensors are flattened parameters of FSDP.*blocks\.0\._flat_param \[100\]/);
    assert.match(said, /FULL_STATE_DICT/);
  });
});

describe('a name of a model of another width', () => {
  it('says nothing about heads that this one cannot have', async () => {
    // Six heads, which do not divide 32.
    const architecture = 'vit_small_patch16_dinov3';
    const { evidence } = known(await golden('dinov3-timm-safetensors', () => ({ architecture })));
    assert.equal(evidence.heads?.assumed, true);
    assert.equal(evidence.rope_indexing?.value, 'ij');
  });
});
