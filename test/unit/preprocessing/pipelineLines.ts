/** The pipelines that Python was asked to run, and what came out. */
import assert from 'node:assert/strict';
import { applyBatch } from '../../../src/preprocessing/pipeline';
import type { BatchInput, Preprocessing } from '../../../src/preprocessing/pipeline';
import { presetOfWeights } from '../../../src/preprocessing/published/published';
import type { RgbImage } from '../../../src/preprocessing/resize';
import type { Json } from '../../../src/preprocessing/settings';
import { readTimm } from '../../../src/preprocessing/libraries/timm';
import { torchvisionPreprocessing } from '../../../src/preprocessing/libraries/torchvision';
import { readTransformers } from '../../../src/preprocessing/libraries/transformers';
import { floats, readLines, readTensors } from './goldens';

interface Output {
  readonly tensor: string;
  readonly shape: readonly number[];
  readonly sum: number;
  readonly every?: number;
}

export interface Line {
  readonly id: string;
  readonly source: 'timm' | 'transformers' | 'torchvision';
  readonly config: Json;
  readonly image: string | readonly string[];
  readonly given: 'rgb' | 'as opened' | 'as file';
  readonly outputs: Readonly<Record<string, Readonly<Record<string, Output>>>>;
  readonly fails?: Readonly<Record<string, string>>;
}

const outputs = readTensors('outputs.safetensors');

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

export interface Ran {
  readonly preprocessing: Preprocessing;
  readonly result: BatchInput;
}

export function filesOf({ image }: Line): readonly string[] {
  return typeof image === 'string' ? [image] : image.filter((file) => file !== 'video');
}

export function run(line: Line, images: readonly RgbImage[]): Ran {
  const preprocessing = describers[line.source](line.config);
  return { preprocessing, result: applyBatch(preprocessing, images) };
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

/** The backend that is followed: Pillow's, where there is a choice. */
export function backendOf({ outputs: all }: Line): string | undefined {
  return all['pil'] ? 'pil' : Object.keys(all)[0];
}

/** Asserts shape, values, mask and declared size of a line that did not fail. */
export function check(line: Line, { preprocessing, result }: Ran): void {
  const backend = backendOf(line)!;
  const { pixel_values: values, pixel_mask: mask } = line.outputs[backend]!;
  const batched = line.source === 'transformers' ? values!.shape : [1, ...values!.shape];
  assert.deepEqual(result.shape, batched);
  const exact = backend === line.source || backend === 'pil';
  compare(result.pixelValues, values!, exact ? 1e-5 : oneLevel(preprocessing));
  assert.equal(result.pixelMask !== undefined, mask !== undefined);
  if (mask) compare(result.pixelMask!, mask, 0);
  if (preprocessing.inputSize) assert.deepEqual(preprocessing.inputSize, batched.slice(-2));
  assert.deepEqual(preprocessing.warnings, []);
}

export const pipelineLines = readLines<Line>('pipelines.jsonl');
