/** Reads what image processors make of pictures: `processors.jsonl` and what lies beside it. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { apply, applyBatch, type BatchInput } from '../../src/preprocessing/pipeline';
import { imagePoint, inputPoint, type Point } from '../../src/preprocessing/places';
import type { RgbImage } from '../../src/preprocessing/resize';
import { resolvePreprocessing } from '../../src/preprocessing/resolve';
import type { Json } from '../../src/preprocessing/settings';
import type { Preprocessing } from '../../src/preprocessing/steps';
import { readPng } from './png';
import { numbersOf, readTensorFile } from './tensors';

interface Output {
  readonly tensor: string;
  readonly shape: readonly number[];
  readonly sum: number;
  readonly every?: number;
}

/** A configuration, pictures (several are a batch), and what came out, or why nothing did. */
export interface ProcessorLine {
  readonly processor: string;
  readonly config: Json;
  readonly pictures: readonly string[];
  readonly outputs: { readonly pil?: Readonly<Record<string, Output>> };
  readonly fails?: { readonly pil?: string };
}

/** The lines of a folder, or of its folder `processors`; none if it has none. */
export function readProcessors(folder: string) {
  const found = [folder, join(folder, 'processors')].find((at) => existsSync(join(at, 'processors.jsonl')));
  if (found === undefined) return undefined;
  const lines = readFileSync(join(found, 'processors.jsonl'), 'utf8').trim().split('\n');
  return {
    folder: found,
    lines: lines.map((line) => JSON.parse(line) as ProcessorLine),
    tensors: readTensorFile(join(found, 'processors.safetensors')),
  };
}

export type Processors = NonNullable<ReturnType<typeof readProcessors>>;

export function readPicture(path: string): RgbImage {
  const { width, height, data } = readPng(readFileSync(path));
  return { width, height, rgb: data };
}

/** What the preprocessing of a line, found as for a checkpoint, makes of its pictures. */
export function runLine({ folder }: Processors, { config, pictures }: ProcessorLine) {
  const preprocessing = resolvePreprocessing({
    sidecars: { preprocessor: config },
    fileName: 'model.safetensors',
    dialect: 'transformers',
  });
  const images = pictures.map((file) => readPicture(join(folder, file)));
  return { preprocessing, images, result: applyBatch(preprocessing, images) };
}

/** The stored part of an output: all, or every n-th row and column (of patches, sample). */
function sampled(values: ArrayLike<number>, shape: readonly number[], every: number): number[] {
  const [height = 1, width = 1] = shape.length > 3 ? shape.slice(-2) : [1, shape.at(-1) ?? 1];
  const kept: number[] = [];
  for (let start = 0; start < values.length; start += height * width)
    for (let y = 0; y < height; y += every)
      for (let x = 0; x < width; x += every) kept.push(values[start + y * width + x]!);
  return kept;
}

/**
 * Both compute in float32, and differ by the order of operations: 1e-5 is some 20 roundings of a
 * normalised value. What a blur or a cubic filter sums up takes no more.
 */
export const pixelTolerance = 1e-5;

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i]!;
  return total;
}

function compare({ tensors }: Processors, values: ArrayLike<number>, output: Output): void {
  const expected = numbersOf(tensors.get(output.tensor)!);
  const actual = sampled(values, output.shape, output.every ?? 1);
  assert.equal(actual.length, expected.length, output.tensor);
  let worst = 0;
  expected.forEach((value, i) => (worst = Math.max(worst, Math.abs(value - actual[i]!))));
  assert.ok(worst <= pixelTolerance, `${output.tensor}: largest difference ${worst}`);
  const total = sum(values);
  // The sum over all values says of those that are not stored that they are right on the average.
  assert.ok(
    Math.abs(total - output.sum) <= pixelTolerance * values.length,
    `sum ${total}, expected ${output.sum}`,
  );
}

/** Rows and columns of the picture inside of the input, for SAM. */
function resizedSizes({ views }: BatchInput): readonly number[] {
  return views.flatMap(({ seen, padding: { left, top, right, bottom } }) => [
    seen.height - top - bottom,
    seen.width - left - right,
  ]);
}

/** Asserts every output of a line that did not fail. */
export function checkLine(processors: Processors, line: ProcessorLine): Preprocessing {
  const { preprocessing, images, result } = runLine(processors, line);
  const { pixel_values: values, pixel_mask: mask, ...others } = line.outputs.pil!;
  assert.deepEqual(result.shape, values!.shape);
  compare(processors, result.pixelValues, values!);
  assert.equal(result.pixelMask !== undefined, mask !== undefined, 'a mask, if the processor has one');
  if (mask) {
    const expected = numbersOf(processors.tensors.get(mask.tensor)!);
    assert.deepEqual(sampled(result.pixelMask!, [1, ...mask.shape], mask.every ?? 1), [...expected]);
    assert.equal(sum(result.pixelMask!), mask.sum);
  }
  const found: Readonly<Record<string, readonly number[] | undefined>> = {
    pixel_attention_mask: result.patches && [...result.patches.mask],
    spatial_shapes: result.patches?.shapes.flat(),
    original_sizes: images.flatMap(({ height, width }) => [height, width]),
    reshaped_input_sizes: resizedSizes(result),
  };
  for (const [name, { tensor }] of Object.entries(others))
    assert.deepEqual(found[name], [...numbersOf(processors.tensors.get(tensor)!)], name);
  if (preprocessing.inputSize) assert.deepEqual(preprocessing.inputSize, result.shape.slice(-2));
  if (images.length === 1) checkOne(preprocessing, images[0]!, result);
  assert.deepEqual(preprocessing.warnings, []);
  return preprocessing;
}

/** One picture alone gives the same as a batch of one. */
function checkOne(preprocessing: Preprocessing, image: RgbImage, batch: BatchInput): void {
  const { shape, pixelMask, patches, extent } = apply(preprocessing, image);
  assert.deepEqual(
    { shape, pixelMask, patches, extent },
    {
      shape: batch.shape,
      pixelMask: batch.pixelMask,
      patches: batch.patches,
      extent: batch.views[0]!.extent,
    },
  );
}

/** A whole model's case: pictures, and the input that the library made of them. */
interface InputCase {
  readonly id: string;
  readonly task: string;
  readonly checkpoint: string;
  readonly dialect: string;
  readonly image_size?: readonly [number, number];
  readonly pictures?: readonly { readonly file: string }[];
  readonly given?: { readonly points?: readonly Point[] };
  readonly batch?: object;
  readonly folder: string;
}

/** Every case with pictures in a folder, or in its folder `cases`. */
export function readInputCases(root: string): readonly InputCase[] {
  const folders = [root, join(root, 'cases')].filter((at) => existsSync(at));
  return folders
    .flatMap((at) => readdirSync(at).map((name) => join(at, name)))
    .filter((at) => existsSync(join(at, 'case.json')))
    .map((at) => ({
      ...(JSON.parse(readFileSync(join(at, 'case.json'), 'utf8')) as InputCase),
      folder: at,
    }))
    .filter(({ pictures = [] }) => pictures.length > 0);
}

const jsonBeside = (folder: string, name: string): Json | undefined =>
  existsSync(join(folder, name)) ? (JSON.parse(readFileSync(join(folder, name), 'utf8')) as Json) : undefined;

/** Asserts the input of a case: of its first picture, of all frames, of all pictures in a batch. */
export function checkInput(found: InputCase): void {
  const { folder, pictures = [], task, given } = found;
  const preprocessing = resolvePreprocessing({
    sidecars: {
      preprocessor: jsonBeside(folder, 'preprocessor_config.json'),
      config: jsonBeside(folder, 'config.json'),
      openClip: jsonBeside(folder, 'open_clip_config.json'),
    },
    fileName: join(folder, found.checkpoint),
    dialect: found.dialect,
  });
  const tensors = readTensorFile(join(folder, 'reference.safetensors'));
  const images = pictures.map(({ file }) => readPicture(join(folder, file)));
  const check = (prefix: string, some: readonly RgbImage[]): BatchInput => {
    const result = applyBatch(preprocessing, some);
    const values = tensors.get(`${prefix}pixel_values`)!;
    assert.deepEqual(result.shape, values.shape);
    let worst = 0;
    numbersOf(values).forEach(
      (value, i) => (worst = Math.max(worst, Math.abs(value - result.pixelValues[i]!))),
    );
    assert.ok(worst <= pixelTolerance, `${prefix}pixel_values: largest difference ${worst}`);
    const mask = tensors.get(`${prefix}pixel_mask`);
    if (mask) assert.deepEqual([...result.pixelMask!], [...numbersOf(mask)]);
    return result;
  };
  const { views } = check('', task === 'video' ? images : images.slice(0, 1));
  if (found.batch) check('batch.', images);
  const points = tensors.get('input_points');
  if (points)
    given!.points!.forEach((point, i) => {
      const expected = numbersOf(points).subarray(2 * i, 2 * i + 2);
      inputPoint(views[0]!, point).forEach((side, axis) =>
        assert.ok(Math.abs(side - expected[axis]!) < 1e-4),
      );
      imagePoint(views[0]!, [expected[0]!, expected[1]!]).forEach((side, axis) =>
        assert.ok(Math.abs(side - point[axis]!) < 1e-4),
      );
    });
}
