import assert from 'node:assert/strict';
import { applyBatch } from '../../../src/inference/preprocessing/pipeline';
import { PreprocessingError } from '../../../src/inference/preprocessing/steps';
import type { BatchInput } from '../../../src/inference/preprocessing/pipeline';
import type { Preprocessing } from '../../../src/inference/preprocessing/steps';
import type { Json } from '../../../src/inference/preprocessing/settings';
import { readTimm } from '../../../src/inference/preprocessing/timm';
import { presetOfWeights } from '../../../src/inference/preprocessing/published';
import { torchvisionPreprocessing } from '../../../src/inference/preprocessing/torchvision';
import { readTransformers } from '../../../src/inference/preprocessing/transformers';
import { floats, pictureOf, readLines, readTensors } from './goldens';

interface Output {
  readonly tensor: string;
  readonly shape: readonly number[];
  readonly sum: number;
  readonly every?: number;
}

interface Line {
  readonly id: string;
  readonly source: 'timm' | 'transformers' | 'torchvision';
  readonly config: Json;
  readonly image: string | readonly string[];
  readonly given: 'rgb' | 'as opened' | 'as file';
  readonly outputs: Readonly<Record<string, Readonly<Record<string, Output>>>>;
  readonly fails?: Readonly<Record<string, string>>;
}

interface ImageLine {
  readonly file: string;
  readonly rgb: string;
  readonly rgb_exif?: string;
  readonly rgb_over_white?: string;
}

const images = new Map(readLines<ImageLine>('images.jsonl').map((line) => [line.file, line]));
const decoded = readTensors('decoded.safetensors');
const outputs = readTensors('outputs.safetensors');

/** transformers puts what it opened over white, and turns what it was given as a file; nobody else does either. */
function tensorOf(file: string, given: Line['given']): string {
  const image = images.get(file)!;
  if (given === 'as opened') return image.rgb_over_white ?? image.rgb;
  return given === 'as file' ? (image.rgb_exif ?? image.rgb) : image.rgb;
}

const describers: Record<Line['source'], (config: Json) => Preprocessing> = {
  timm: (config) => readTimm(config['pretrained_cfg'] as Json, 'config.json: pretrained_cfg'),
  torchvision: ({ weights, changes }) => {
    const preset = presetOfWeights(weights as string)!;
    const { resize_size, crop_size } = (changes ?? {}) as { resize_size?: number; crop_size?: number };
    const changed = {
      ...preset,
      resizeSize: resize_size ?? preset.resizeSize,
      cropSize: crop_size ?? preset.cropSize,
    };
    return torchvisionPreprocessing(changed, 'test');
  },
  transformers: (files) =>
    readTransformers({
      preprocessor: files['preprocessor_config.json'] as Json,
      config: files['config.json'] as Json | undefined,
    }),
};

function run(line: Line): { preprocessing: Preprocessing; result: BatchInput } {
  const files = typeof line.image === 'string' ? [line.image] : line.image.filter((file) => file !== 'video');
  const pictures = files.map((file) => pictureOf(decoded.get(tensorOf(file, line.given))!));
  const preprocessing = describers[line.source](line.config);
  return { preprocessing, result: applyBatch(preprocessing, pictures) };
}

/** The stored part of an output: all of it, or every n-th row and column. */
function sampled(values: ArrayLike<number>, shape: readonly number[], every: number): number[] {
  const [height, width] = shape.slice(-2) as [number, number];
  const kept: number[] = [];
  for (let start = 0; start < values.length; start += height * width) {
    for (let y = 0; y < height; y += every) {
      for (let x = 0; x < width; x += every) kept.push(values[start + y * width + x]!);
    }
  }
  return kept;
}

function compare(values: ArrayLike<number>, output: Output, tolerance: number): void {
  const stored = outputs.get(output.tensor)!;
  const asBytes = stored.bytes.length === stored.shape.reduce((product, side) => product * side, 1);
  const expected = asBytes ? stored.bytes : floats(stored);
  const actual = sampled(values, output.shape, output.every ?? 1);
  assert.equal(actual.length, expected.length);
  let worst = 0;
  expected.forEach((value, i) => (worst = Math.max(worst, Math.abs(value - actual[i]!))));
  assert.ok(worst <= tolerance, `largest difference ${worst}, allowed ${tolerance}`);
  const sum = Array.from(values).reduce((total, value) => total + value, 0);
  const allowed = tolerance * values.length;
  assert.ok(Math.abs(sum - output.sum) <= allowed, `sum ${sum}, expected ${output.sum}`);
}

/** One step of a byte, in normalised values. */
function oneLevel(preprocessing: Preprocessing): number {
  const step = preprocessing.steps.find((other) => other.kind === 'normalize');
  return 1 / 255 / Math.min(...(step?.std ?? [1]));
}

describe("pipelines equal Python's", () => {
  const lines = readLines<Line>('pipelines.jsonl');

  it('covers the whole gate', () => assert.equal(lines.length, 143));

  for (const line of lines) {
    const backend = line.outputs['pil'] ? 'pil' : Object.keys(line.outputs)[0];
    if (!backend) {
      it(`${line.id}: refused, as in Python`, () => {
        assert.ok(line.fails);
        assert.throws(() => run(line), PreprocessingError);
      });
      continue;
    }
    it(line.id, () => {
      const { preprocessing, result } = run(line);
      const { pixel_values: values, pixel_mask: mask } = line.outputs[backend]!;
      const batched = line.source === 'transformers' ? values!.shape : [1, ...values!.shape];
      assert.deepEqual(result.shape, batched);
      const exact = backend === line.source || backend === 'pil';
      compare(result.pixelValues, values!, exact ? 1e-5 : oneLevel(preprocessing));
      assert.equal(result.pixelMask !== undefined, mask !== undefined);
      if (mask) compare(result.pixelMask!, mask, 0);
      if (preprocessing.inputSize) assert.deepEqual(preprocessing.inputSize, batched.slice(-2));
      assert.deepEqual(preprocessing.warnings, []);
    });
  }
});
