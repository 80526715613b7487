import assert from 'node:assert/strict';
import { leftToGraph } from '../../../src/preprocessing/inside';
import { apply, type Preprocessing } from '../../../src/preprocessing/pipeline';

const normalised: Preprocessing = {
  library: 'transformers',
  steps: [
    { kind: 'resize', rule: 'exact', height: 1, width: 1, filter: 'bilinear', floats: true },
    { kind: 'rescale', factor: 1 / 127.5, offset: -1 },
    { kind: 'normalize', mean: [0.5, 0.4, 0.3], std: [0.2, 0.2, 0.2] },
    { kind: 'flip' },
  ],
  inputSize: [1, 1],
  evidence: { mean: { value: [0.5, 0.4, 0.3], source: 'preprocessor_config.json' } },
  warnings: [],
};
const pixel = { height: 1, width: 1, rgb: Uint8Array.from([51, 102, 255]) };

describe('preprocessing that a graph does itself', () => {
  it('is left to it: bytes stay bytes, in the order that the model takes', () => {
    const left = leftToGraph(normalised, { takes: 'bytes', source: 'input image is U8' });
    assert.deepEqual([...apply(left, pixel).pixelValues], [255, 102, 51]);
    assert.equal(left.evidence.mean, undefined);
    assert.match(left.evidence.rescale?.source ?? '', /^input image is U8/);
  });

  it('is left to it: bytes are divided by 255 and not normalised', () => {
    const left = leftToGraph(normalised, { takes: 'unit', source: '/Sub of the graph' });
    const expected = [255, 102, 51].map((byte) => Math.fround(byte * (1 / 255)));
    assert.deepEqual([...apply(left, pixel).pixelValues], expected);
  });
});
