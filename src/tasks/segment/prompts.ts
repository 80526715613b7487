import { largest } from '../../domain/lists';
import type { Reading } from '../../domain/reading';
import type { Size } from '../../domain/size';
import type { Model } from '../../models/model';
import type { MaskChoice, Masks, Segment } from '../answer';
import type { Given } from '../run';
import { promptMasksOf } from '../post/promptMasks';
import {
  graphOf,
  nothingGiven,
  requireOutput,
  type GivenTensor,
  type OutputValues,
  type Prepared,
  type Program,
  type ReadContext,
  type Step,
} from '../task';

/** Points of one prompt that are read: more is a mistake, and each is a token. */
const mostPoints = 1024;

const isPair = (value: unknown, count: number): value is readonly number[] =>
  Array.isArray(value) && value.length === count && value.every(Number.isFinite);

/** A list of `count` numbers each that a user gives. Throws if it is something else. */
function listOf(given: Given, name: string, count: number): readonly (readonly number[])[] {
  const value = given[name];
  if (value === undefined) return [];
  const all: unknown = isPair(value, count) ? [value] : value;
  if (Array.isArray(all) && all.length <= mostPoints && all.every((each) => isPair(each, count)))
    return all as readonly (readonly number[])[];
  throw new Error(`${name}: a list of ${count} numbers each is needed, at most ${mostPoints}`);
}

const tensor = (shape: readonly number[], numbers: readonly number[]): GivenTensor => ({
  dtype: 'F32',
  shape,
  data: Float32Array.from(numbers),
});

/**
 * Points, their labels (1 inside of the object, 0 outside) and a box `[x0, y0, x1, y1]` of one
 * prompt, in pixels of the image. Throws if they are not what they should be.
 */
export function preparePrompts(given: Given): Prepared {
  const points = listOf(given, 'points', 2);
  const boxes = [...listOf(given, 'box', 4), ...listOf(given, 'boxes', 4)];
  if (points.length === 0 && boxes.length === 0) return { ...nothingGiven, ofImage: true };
  if (boxes.length > 1) throw new Error(`${boxes.length} boxes found; one for each prompt is needed`);
  const labels = given['labels'];
  const told = Array.isArray(labels) ? labels.map(Number) : points.map(() => 1);
  if (told.length !== points.length || !told.every(Number.isInteger))
    throw new Error(`labels: ${told.length} found, one for each of ${points.length} points is needed`);
  return {
    ofImage: true,
    tensors: {
      ...(points.length > 0 && {
        input_points: tensor([1, 1, points.length, 2], points.flat()),
        input_labels: tensor([1, 1, points.length], told),
      }),
      ...(boxes.length > 0 && { input_boxes: tensor([1, 1, 4], boxes.flat()) }),
    },
  };
}

/** Sides of an image whose longer one becomes `longest`, as SAM's processor rounds them. */
export function resizedSides([height, width]: Size, longest: number): Size {
  const scale = longest / Math.max(height, width);
  return [Math.floor(height * scale + 0.5), Math.floor(width * scale + 0.5)];
}

/** Sides that an image is brought to inside of the model's own: stretched, or in proportion. */
const sidesIn = (image: Size, model: Size, isStretched: boolean): Size =>
  isStretched ? model : resizedSides(image, largest(model));

/** Whether a model's images are stretched to its size. */
const isStretchedBy = (reading: Reading | undefined): boolean =>
  reading?.task === 'segment' && reading.stretched === true;

/** Pixels of the image as pixels of the resized one, x and y by turns. */
function scaled({ dtype, shape, data }: GivenTensor, image: Size, [height, width]: Size): GivenTensor {
  const factors = [width / image[1], height / image[0]] as const;
  return {
    dtype,
    shape,
    data: Float32Array.from(
      data as ArrayLike<number | bigint>,
      (value, index) => Number(value) * (factors[index % 2] ?? 1),
    ),
  };
}

/** Tensors of places, which are resized as the image is. */
const ofPlaces: ReadonlySet<string> = new Set(['input_points', 'input_boxes']);

/**
 * Runs the image encoder, and the mask decoder if a prompt is given: its places are in pixels of
 * the image and are resized with it.
 */
export function promptProgram(model: Model, size: object, { tensors }: Prepared): Program {
  const [image, decoder] = model.parts;
  if (!image || !decoder) throw new Error('the model has no part that reads prompts');
  const first: Step = {
    part: image.name,
    inputs: { [image.graph(size).inputs[0]?.name ?? 'pixel_values']: 'image' },
    outputs: image.graph(size).outputs.map(({ name }) => name),
  };
  const given = Object.entries(tensors);
  if (given.length === 0) return { steps: [first] };
  const { recognition, imageSize = [1024, 1024] } = model;
  const isStretched = isStretchedBy(recognition.family === null ? undefined : recognition.reading);
  const lengths = {
    prompts: 1,
    points: tensors['input_points']?.shape[2] ?? 0,
    boxes: tensors['input_boxes'] ? 1 : 0,
  };
  const second = { part: decoder.name, lengths } as const;
  const { inputs, outputs } = graphOf(model, second, { ...size, lengths });
  const asked = new Set(inputs.map(({ name }) => name));
  const sources = given
    .filter(([name]) => asked.has(name))
    .map(([name, value]) => [
      name,
      ofPlaces.has(name)
        ? ({ size: [width, height] }: { readonly size: readonly [number, number] }) =>
            scaled(value, [height, width], sidesIn([height, width], imageSize, isStretched))
        : value,
    ]);
  const handed = first.outputs.map((output) => [output, { step: 0, output }] as const);
  return {
    steps: [
      first,
      {
        ...second,
        inputs: Object.fromEntries([...handed, ...sources]) as Step['inputs'],
        outputs: outputs.filter(({ means }) => means !== 'state').map(({ name }) => name),
      },
    ],
  };
}

/** The best choice of each prompt, by its index among all. */
function best(choices: readonly MaskChoice[]): readonly number[] {
  const found = new Map<number, number>();
  for (const [index, { prompt, score }] of choices.entries()) {
    const known = found.get(prompt);
    if (known === undefined || score > (choices[known]?.score ?? -Infinity)) found.set(prompt, index);
  }
  return [...found.values()];
}

/** The masks that prompts may mean, the likeliest drawn; nothing if no prompt was given. */
export function promptAnswer(
  outputs: readonly OutputValues[],
  image: Size,
  { imageSize, reading, post = {} }: Pick<ReadContext, 'imageSize' | 'reading' | 'post'>,
): Masks {
  const ids = new Int16Array(image[0] * image[1]).fill(-1);
  const common = { kind: 'masks', of: 'prompts', grid: image, ids, labelSource: '' } as const;
  if (!outputs.some(({ means }) => means === 'masks')) return { ...common, segments: [], choices: [] };
  const limit = post['mask_threshold'];
  const choices = promptMasksOf(requireOutput(outputs, 'masks'), requireOutput(outputs, 'logits'), {
    image,
    ...(!isStretchedBy(reading) && {
      frame: { padded: imageSize, resized: sidesIn(image, imageSize, false) },
    }),
    ...(typeof limit === 'number' && { threshold: limit }),
    // The first token is of a single mask, which is not asked for.
  }).map(({ prompt, mask, score, ids: own, area }): MaskChoice => ({
    ...{ prompt, mask, token: `mask${mask + 1}`, score, ids: own, area },
  }));
  for (const index of best(choices)) {
    const own = choices[index]?.ids;
    for (let pixel = 0; own && pixel < ids.length; pixel++) if (own[pixel] === 1) ids[pixel] = index;
  }
  const segments = choices.map(({ prompt, mask, score, area }, index): Segment => ({
    ...{ id: index, label: mask, area, score },
    name: choices.length > 3 ? `mask ${mask + 1} of prompt ${prompt + 1}` : `mask ${mask + 1}`,
  }));
  return { ...common, segments, choices };
}
