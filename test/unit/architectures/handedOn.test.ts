import assert from 'node:assert/strict';
import { familyNamed } from '../../../src/architectures/registry';
import type { Maps } from '../../../src/architectures/blocks/stages';
import { GraphBuilder } from '../../../src/graph/builder';
import { openModel } from '../../../src/models/openedModels';
import { checkpointPath, readCases } from '../../support/cases';

/** What the backbone of a golden case hands on, at the image size of its weights. */
async function handedOn(id: string): Promise<Maps['stages']> {
  const golden = readCases().find((each) => each.id === id) ?? assert.fail(`no case ${id}`);
  const { recognition } = await openModel(checkpointPath(golden));
  if (recognition.family === null || !recognition.translation) assert.fail(`${id} is not recognised`);
  const { architecture, config, translation, imageSize = assert.fail(id) } = recognition;
  const b = new GraphBuilder(id, translation.source);
  return (familyNamed(architecture).build(b, config, { imageSize, batch: 2 }) as Maps).stages;
}

/** Widths of the stages, and pixels of the image per row and column. */
const rows = [
  ['swin-original-pth', [16, 32], [4, 8]],
  ['swinv2-cr-ns-timm-safetensors', [12, 24], [4, 8]],
  ['hiera-timm-safetensors', [6, 12, 24, 48], [4, 8, 16, 32]],
  ['samvit-timm-safetensors', [36, 36], [8, 8]],
  ['vitdet-transformers-safetensors', [48, 48, 48], [8, 8, 8]],
  ['mvitv2-cls-timm-safetensors', [16, 32], [4, 8]],
  ['davit-florence-timm-safetensors', [12, 20], [4, 8]],
  ['coatnet-0-timm-safetensors', [8, 16, 16, 24], [4, 8, 16, 32]],
  ['tnt-timm-safetensors', [24, 24], [16, 16]],
  ['nest-timm-safetensors', [12, 16, 24], [4, 8, 16]],
] as const;

describe('what backbones hand on', () => {
  for (const [id, widths, strides] of rows)
    it(`${id}: a map or tokens of every stage, with width and stride`, async () => {
      const stages = await handedOn(id);
      assert.deepEqual(
        stages.map(({ width, stride }) => ({ width, stride })),
        widths.map((width, stage) => ({ width, stride: [strides[stage], strides[stage]] })),
      );
      for (const { value, width, grid } of stages) {
        const shape = 'layout' in value ? value.value.shape : value.shape;
        const special = 'layout' in value ? (value.layout.special ?? []).length : 0;
        const tokens = 2 * (special + grid[0] * grid[1]);
        assert.deepEqual(shape, 'layout' in value ? [tokens, width] : [2, width, ...grid]);
      }
    });
});
