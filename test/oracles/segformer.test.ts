import assert from 'node:assert/strict';
import { recognise } from '../../src/architectures/recognise/recognise';
import { checkpointOf, linesFolder, readLines } from './lines';

describe('segmentation models with SegFormer as their encoder', () => {
  it('are told from PVT v2-B5, which has the names and shapes of their encoder, by the head', () => {
    const line = readLines(linesFolder).find(({ id }) => id === 'original/pvt/pvt_v2_b5')!;
    const backbone = line.tensors
      .filter(([name]) => !name.startsWith('head.'))
      .map(([name, ...rest]) => [`backbone.${name}`, ...rest] as const);
    const familyOf = (tensors: typeof line.tensors): string | null =>
      recognise(checkpointOf({ ...line, tensors })).family;
    const head = ['decode_head.linear_c1.proj.weight', 'F32', [768, 64]] as const;
    assert.deepEqual([familyOf(backbone), familyOf([...backbone, head])], ['pvt_v2', 'segformer']);
  });
});
