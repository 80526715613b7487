import assert from 'node:assert/strict';
import { join } from 'node:path';
import { openCheckpoint } from '../../../src/checkpoint/open';
import { recognise } from '../../../src/architectures/recognise/recognise';

/** What of a file is the whole model's own, outside of the backbone. */
const own =
  /^(?:decode_head|auxiliary_head|neck|head|decoder|metric_head|relative_head|fpn\d|mask_decoder|class_predictor|mask_embedder|model\.transformer_module|model\.pixel_level_module\.decoder)\..*(?:bias|batch_norm\d?\.weight|bn\.weight)$/;
/** Never read, as the first fused map has nothing before it. */
const neverRead = /^neck\.fusion_stage\.layers\.0\.residual_layer1\./;
/** Beside a batch norm published models have none. */
const optional = /residual_layer\d\.convolution\d\.bias$/;

const cases: readonly (readonly [id: string, count: number])[] = [
  ['segformer-whole-transformers-safetensors', 7],
  ['upernet-shifted-transformers-safetensors', 20],
  ['beit-upernet-transformers-safetensors', 20],
  ['dpt-added-token-transformers-safetensors', 30],
  ['dpt-ade-transformers-safetensors', 25],
  ['depth-anything-metric-transformers-safetensors', 25],
  ['zoedepth-transformers-safetensors', 60],
  ['glpn-whole-transformers-safetensors', 15],
  ['maskformer-transformers-safetensors', 30],
  ['mask2former-swin-segment', 40],
  ['sam-points-and-box-segment', 50],
];

describe('a segmenter or depth model that has lost a bias', () => {
  for (const [id, least] of cases)
    it(`${id}: is not run as if it had none`, async function () {
      this.timeout(60_000);
      const file = await openCheckpoint(join('test/fixtures/cases', id, 'model.safetensors'));
      const normed = file.selected.tensors.some(({ name }) => /residual_layer\d\.batch_norm/.test(name));
      const lost = file.selected.tensors.filter(
        ({ name }) => own.test(name) && !neverRead.test(name) && !(normed && optional.test(name)),
      );
      assert.ok(lost.length >= least, `${lost.length} biases`);
      const run = lost.filter((tensor) => {
        const tensors = file.selected.tensors.filter((each) => each !== tensor);
        const selected = { ...file.selected, tensors };
        const found = recognise({ ...file, selected, stateDicts: [selected] });
        return found.family !== null && found.whole !== undefined;
      });
      assert.deepEqual(
        run.map(({ name }) => name),
        [],
      );
    });
});
