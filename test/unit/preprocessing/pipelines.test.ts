import assert from 'node:assert/strict';
import { applyBatch, PreprocessingError } from '../../../src/preprocessing/pipeline';
import type { RgbImage } from '../../../src/preprocessing/resize';
import { describeStep } from '../../../src/preprocessing/steps';
import { readTransformers } from '../../../src/preprocessing/libraries/transformers';
import { imageOf, readLines, readTensors } from './goldens';
import { backendOf, check, filesOf, pipelineLines, run } from './pipelineLines';
import type { Line } from './pipelineLines';

interface ImageLine {
  readonly file: string;
  readonly rgb: string;
  readonly rgb_exif?: string;
  readonly rgb_over_white?: string;
}

const images = new Map(readLines<ImageLine>('images.jsonl').map((line) => [line.file, line]));
const decoded = readTensors('decoded.safetensors');

/**
 * transformers puts what it opened over white, and turns what it was given as a file; nobody else
 * does either.
 */
function tensorOf(file: string, given: Line['given']): string {
  const image = images.get(file)!;
  if (given === 'as opened') return image.rgb_over_white ?? image.rgb;
  return given === 'as file' ? (image.rgb_exif ?? image.rgb) : image.rgb;
}

function imagesOf(line: Line): RgbImage[] {
  return filesOf(line).map((file) => imageOf(decoded.get(tensorOf(file, line.given))!));
}

describe("pipelines equal Python's", () => {
  it('covers the whole gate', () => assert.equal(pipelineLines.length, 143));

  for (const line of pipelineLines) {
    if (backendOf(line)) it(line.id, () => check(line, run(line, imagesOf(line))));
    else {
      it(`${line.id}: refused, as in Python`, () => {
        assert.ok(line.fails);
        assert.throws(() => run(line, imagesOf(line)), PreprocessingError);
      });
    }
  }
});

/**
 * What transformers 5.23 makes of an image with SAM's processor, 64 pixels wide: the sum, and
 * every 997th value.
 */
const sam: Readonly<Record<string, readonly [sum: number, values: readonly number[]]>> = {
  'photo-wide.jpg': [
    1120.8214889,
    [
      0.981677, 0.159688, -0.148557, -0.679425, 0, -0.127451, 1.045518, 1.693277, 0, -0.845839, 0.653072,
      1.001656, 0,
    ],
  ],
  'photo-tall.jpg': [
    3946.3964127,
    [0.039815, 1.581043, 1.718041, 0, 0.776179, 0, -1.317927, -0.985294, 0, -0.061525, 0, -0.584401, 0],
  ],
};

describe("SAM's longer side, padded to a square", () => {
  const preprocessor = {
    image_processor_type: 'SamImageProcessor',
    size: { longest_edge: 64 },
    pad_size: { height: 64, width: 64 },
  };

  for (const [file, [sum, values]] of Object.entries(sam))
    it(file, () => {
      const image = imageOf(decoded.get(tensorOf(file, 'rgb'))!);
      const preprocessing = readTransformers({ preprocessor });
      assert.deepEqual([preprocessing.inputSize, preprocessing.warnings], [[64, 64], []]);
      const { pixelValues, shape } = applyBatch(preprocessing, [image]);
      assert.deepEqual(shape, [1, 3, 64, 64]);
      const total = pixelValues.reduce((whole, value) => whole + value, 0);
      assert.ok(Math.abs(total - sum) < 0.01, `${total}`);
      values.forEach((value, index) => assert.ok(Math.abs(pixelValues[997 * index]! - value) < 1e-5));
    });

  it('fits into what is no square', () => {
    const { steps } = readTransformers({ preprocessor }, { value: [48, 80], source: 'test' });
    assert.deepEqual(
      steps.map(describeStep).filter((text) => /until|padded/.test(text)),
      ['until it fits into 80 × 48, bilinear', 'padded to 80 × 48'],
    );
  });
});
