import assert from 'node:assert/strict';
import { buildGraph, recognise } from '../../../src/architectures/recognise/recognise';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint';
import type { Tensor } from '../../../src/checkpoint/tensors';
import { known, opened, renamed } from '../../support/renamed';

/** The golden ResNet with a first kernel of 3 × 3, as code for images of 32 × 32 has it. */
async function small(): Promise<Checkpoint> {
  const { selected, ...file } = await opened('resnet-bottleneck-timm-pth');
  const tensors = selected.tensors.map((tensor): Tensor => {
    const [rows = 0, channels = 0] = tensor.shape;
    return tensor.name === 'conv1.weight' ? { ...tensor, shape: [rows, channels, 3, 3] } : tensor;
  });
  return { ...file, selected: { ...selected, tensors } };
}

/** Side of the stem's map for an image of 32 × 32. */
function sideBehindStem(checkpoint: Checkpoint, assume = {}): number | undefined {
  const recognition = recognise(checkpoint, { assume, imageSize: [32, 32] });
  assert(recognition.family !== null);
  const { graph } = buildGraph(checkpoint, recognition);
  const first = graph.nodes.find(({ inputs }) => inputs.includes('layer1.0.conv1.weight')) ?? assert.fail();
  return graph.values.get(first.inputs[0] ?? '')?.shape[2];
}

describe('a ResNet whose first convolution is one of 3 × 3', () => {
  it('keeps the size of small images, with ⚠', async () => {
    const { evidence, imageSize } = known(await small());
    const settled = ['stem_stride', 'stem_pool'].map((key) => [evidence[key]?.value, evidence[key]?.assumed]);
    assert.deepEqual(settled, [
      [1, true],
      [false, true],
    ]);
    assert.deepEqual(imageSize, [32, 32]);
    assert.equal(sideBehindStem(await small()), 32);
  });

  it('is computed as the user says', async () => {
    assert.equal(sideBehindStem(await small(), { stem_stride: 2 }), 16);
    assert.equal(sideBehindStem(await small(), { stem_stride: 2, stem_pool: true }), 8);
  });

  it('of 7 × 7, is computed as published without a word', async () => {
    const { evidence } = known(await opened('resnet-bottleneck-timm-pth'));
    assert.deepEqual([evidence['stem_stride']?.value, evidence['stem_stride']?.assumed], [2, false]);
  });

  it('is known under the names of pytorch-cifar', async () => {
    const rename = (name: string): string =>
      name.replace('.downsample.', '.shortcut.').replace(/^fc\./, 'linear.');
    const plain = known(await small());
    const own = known(renamed(await small(), rename));
    assert.equal(own.dialect, 'pytorch-cifar');
    assert.deepEqual(
      [...own.translation!.parameters.keys()].toSorted(),
      [...plain.translation!.parameters.keys()].toSorted(),
    );
  });
});
