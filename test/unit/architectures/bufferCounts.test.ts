import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint';
import { openCheckpoint } from '../../../src/checkpoint/open';
import type { DType, Tensor } from '../../../src/checkpoint/tensors';
import { countParameters, recognise } from '../../../src/architectures/recognise/recognise';

/** What quantising libraries keep beside the weights that they quantise: stored, never learned. */

const open = (): Promise<Checkpoint> =>
  openCheckpoint(join('test/fixtures/cases/vit-timm-safetensors/model.safetensors'));

function beside(name: string, shape: readonly number[], dtype: DType = 'F32'): Tensor {
  return { name, dtype, shape, start: 0, storage: { kind: 'inline', bytes: new Uint8Array(0) } };
}

function counted(
  checkpoint: Checkpoint,
  change: (tensors: readonly Tensor[]) => readonly Tensor[] = (tensors) => tensors,
): { readonly params: number; readonly buffers: number } {
  const { selected } = checkpoint;
  const changed = { ...checkpoint, selected: { ...selected, tensors: change(selected.tensors) } };
  const { params, buffers } = countParameters(changed, recognise(changed));
  return { params, buffers };
}

describe('buffers of quantising libraries', () => {
  it('are what observers and fake quantisers of torch keep', async () => {
    const checkpoint = await open();
    const plain = counted(checkpoint);
    const observers = [
      beside('blocks.0.mlp.fc1.weight_fake_quant.scale', [1]),
      beside('blocks.0.mlp.fc1.weight_fake_quant.activation_post_process.min_val', [60]),
      beside('blocks.0.mlp.fc1.weight_fake_quant.activation_post_process.max_val', [60]),
      beside('blocks.0.mlp.fc1.activation_post_process.activation_post_process.eps', [1]),
      beside('blocks.0.mlp.activation_post_process_1.histogram', [2048]),
    ];
    const found = counted(checkpoint, (tensors) => [...tensors, ...observers]);
    assert.deepEqual(found, { params: plain.params, buffers: plain.buffers + 1 + 60 + 60 + 1 + 2048 });
  });

  it('are the factors of float8 matrices, and of no others', async () => {
    const checkpoint = await open();
    const plain = counted(checkpoint);
    const scales = [beside('blocks.0.mlp.fc1.weight_scale', []), beside('blocks.0.mlp.fc1.input_scale', [])];
    const isScaled = ({ name }: Tensor): boolean => name === 'blocks.0.mlp.fc1.weight';
    const eighth = counted(checkpoint, (tensors) => [
      ...tensors.map((each) => (isScaled(each) ? { ...each, dtype: 'F8_E4M3' as const } : each)),
      ...scales,
    ]);
    assert.deepEqual(eighth, { params: plain.params, buffers: plain.buffers + 2 });
  });
});
