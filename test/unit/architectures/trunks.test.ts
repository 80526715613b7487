import assert from 'node:assert/strict';
import { countParameters, recognise } from '../../../src/architectures/recognise/recognise';
import { checkpointOf, ownFolder, readLines, rowOf, type Line } from '../../oracles/lines';

/** Models of timm that open_clip has as image towers, and others that people build. */
const models = [
  'convnext_base',
  'vitamin_small_224',
  'swin_tiny_patch4_window7_224',
  'eva02_tiny_patch14_336',
  'resnet50',
  'vit_relpos_small_patch16_224',
  'pvt_v2_b2',
];

/**
 * Beside a tower: one scale, a projection of the tower and a text tower as open_clip names them.
 */
const text: Line['tensors'] = [
  ['logit_scale', 'F32', []],
  ['visual.head.proj.weight', 'F32', [512, 768]],
  ['positional_embedding', 'F32', [77, 512]],
  ['token_embedding.weight', 'F32', [49408, 512]],
  ['transformer.resblocks.0.ln_1.weight', 'F32', [512]],
  ['ln_final.weight', 'F32', [512]],
];
const beside = 1 + 512 * 768 + 77 * 512 + 49408 * 512 + 512 + 512;

describe('image towers by timm inside a dual encoder of open_clip', () => {
  const lines = new Map(readLines(ownFolder).map((line) => [line.id, line]));
  for (const model of models)
    it(model, () => {
      const line = lines.get(`timm/${model}`) ?? assert.fail(`no line timm/${model}`);
      const tower = line.tensors.map(([name, ...rest]) => [`visual.trunk.${name}`, ...rest] as const);
      const checkpoint = checkpointOf({ ...line, tensors: [...tower, ...text] });
      const recognition = recognise(checkpoint, { imageSize: line.image_size });
      assert(recognition.family !== null, 'reason' in recognition ? recognition.reason : '');
      assert.deepEqual([recognition.family, recognition.dialect], [rowOf(line.family), 'open_clip']);
      assert(recognition.candidates.includes(model), recognition.candidates.join());
      assert.equal(countParameters(checkpoint, recognition).params, line.params + beside);
    });
});
