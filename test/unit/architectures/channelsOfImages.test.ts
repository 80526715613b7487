import assert from 'node:assert/strict';
import { buildGraph, recognise } from '../../../src/architectures/recognise/recognise';
import type { Known } from '../../../src/architectures/family';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint';
import type { Tensor } from '../../../src/checkpoint/tensors';
import { opened } from '../../support/renamed';

/** A golden case whose first layer reads so many channels. */
async function reading(id: string, embedding: RegExp, channels: number): Promise<Checkpoint> {
  const { selected, ...file } = await opened(id);
  const tensors = selected.tensors.map((tensor): Tensor => {
    const [rows = 0, width = 0, ...kernel] = tensor.shape;
    if (!embedding.test(tensor.name)) return tensor;
    return { ...tensor, shape: [rows, (width / 3) * channels, ...kernel] };
  });
  return { ...file, selected: { ...selected, tensors } };
}

/** Channels of the graph's images. */
function channelsOf(checkpoint: Checkpoint, assume = {}): number | undefined {
  const recognition = recognise(checkpoint, { assume });
  assert(recognition.family !== null, 'reason' in recognition ? recognition.reason : '');
  return buildGraph(checkpoint, recognition).graph.values.get('pixel_values')?.shape[1];
}

describe('images of other channels than three', () => {
  for (const [id, embedding] of [
    ['naflexvit-gap-timm-hub-safetensors', /^embeds\.proj\.weight$/],
    ['vit-hybrid-timm-safetensors', /^patch_embed\.backbone\.stem\.conv\.weight$/],
    ['hybrid-resnetd-timm-safetensors', /^patch_embed\.backbone\.conv1\.0\.weight$/],
    ['hybrid-stem-timm-safetensors', /^patch_embed\.backbone\.(?:stem\.)?conv\.weight$/],
  ] as const)
    for (const channels of [1, 4])
      it(`${id} of ${channels}`, async () => {
        const file = await reading(id, embedding, channels);
        const { shape = [] } = file.selected.tensors.find(({ name }) => embedding.test(name)) ?? {};
        assert.equal(shape.length > 0, true, 'the case has the layer');
        // Patches of a side that is not usual may be of other channels: the user says which.
        const patch = shape.length === 2 ? { patch: Math.sqrt(shape[1]! / channels) } : {};
        assert.equal(channelsOf(file, patch), channels);
      });

  it('are told of flattened patches by the usual side, with ⚠ where several fit', async () => {
    const { selected, ...file } = await opened('naflexvit-gap-timm-hub-safetensors');
    const patchOf = (width: number): Known['evidence'][string] => {
      const tensors = selected.tensors.map((tensor): Tensor =>
        tensor.name === 'embeds.proj.weight' ? { ...tensor, shape: [tensor.shape[0]!, width] } : tensor,
      );
      const recognition = recognise({ ...file, selected: { ...selected, tensors } });
      assert(recognition.family !== null);
      return recognition.evidence['patch'] ?? assert.fail('no patch');
    };
    const told = [16 ** 2 * 3, 16 ** 2 * 4, 16 ** 2, 16 ** 2 * 5].map((width) => {
      const { value, assumed } = patchOf(width);
      return [value, assumed];
    });
    assert.deepEqual(told, [
      [16, false],
      [16, true],
      [16, true],
      [16, true],
    ]);
  });
});
