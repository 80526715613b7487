import assert from 'node:assert/strict';
import { openCheckpoint } from '../../../src/checkpoint/open';
import { openAt } from '../../support/open';

const fileOf = (id: string): string => `test/fixtures/cases/${id}-transformers-safetensors/model.safetensors`;

describe('values that say how a model computes', () => {
  it('are read of the few tensors whose names tell that they do', async () => {
    const { selected } = await openCheckpoint(fileOf('eomt-masked'));
    const told = selected.tensors.filter((tensor) => tensor.told);
    assert.deepEqual(
      told.map(({ name, told: values }) => [name, values]),
      [['attn_mask_probs', [1, 0]]],
    );
  });

  it('decide whether the blocks of EoMT hide places, and say so', async () => {
    const evidence = async (id: string) => {
      const { recognition } = await openAt(fileOf(id));
      return recognition.family === null ? undefined : recognition.evidence['masked_attention'];
    };
    const source = 'the values of attn_mask_probs';
    assert.deepEqual(await evidence('eomt-masked'), { value: true, source, assumed: false });
    assert.deepEqual(await evidence('eomt'), { value: false, source, assumed: false });
  });
});
