import type { Model } from '../../models/model';
import type { Rebuilt } from '../answer';
import { reconstructionOf } from '../post/reconstruction';
import type { Given } from '../run';
import { cannotRun, requireOutput, type GivenTensor, type Prepared, type Task } from '../task';
import { uniformNoise } from './noise';
import { summaryOf } from './pictures';

/** What graphs call the numbers by which patches are hidden: noise, or which they are. */
const hidingNames = ['noise', 'bool_masked_pos'] as const;

type HidingName = (typeof hidingNames)[number];

const isHiding = (name: string): name is HidingName => hidingNames.some((each) => each === name);

/** The largest seed that torch's generator takes whole. */
const largestSeed = 2 ** 32 - 1;

/** The seed that a user states; 0 without one. Throws if it is none. */
function seedOf({ seed = 0 }: Given): number {
  if (typeof seed === 'number' && Number.isInteger(seed) && seed >= 0 && seed <= largestSeed) return seed;
  throw new Error(`seed: ${String(seed)} found; a whole number from 0 to ${largestSeed} is needed`);
}

/** 1 for the share of the patches whose noise is highest. */
function hiddenBy(noise: Float32Array, share: number): Float32Array {
  const kept = noise.length - Math.round(noise.length * share);
  const ranked = [...noise.keys()].sort((one, other) => (noise[one] ?? 0) - (noise[other] ?? 0));
  const hidden = new Float32Array(noise.length).fill(1);
  for (const patch of ranked.slice(0, kept)) hidden[patch] = 0;
  return hidden;
}

/** What is said of squares of `unit` × `unit` patches as it is of each of `count` patches. */
const enlarged = (squares: Float32Array, unit: number, count: number, columns: number): Float32Array =>
  unit === 1
    ? squares
    : Float32Array.from({ length: count }, (_, place) => {
        const [row, column] = [Math.floor(place / columns), place % columns];
        return squares[Math.floor(row / unit) * (columns / unit) + Math.floor(column / unit)] ?? 0;
      });

/** Numbers for the patches of a model, by which it hides some of them. */
function hidingOf(model: Model, seed: number): Readonly<Partial<Record<HidingName, GivenTensor>>> {
  const input = model.graph().inputs.find(({ name }) => isHiding(name));
  if (!input) return {};
  const { name, shape } = input;
  const { recognition } = model;
  const reading = recognition.family === null ? undefined : recognition.reading;
  const { share, unit = 1, patch = 1 } = reading?.task === 'reconstruct' ? reading : {};
  const count = shape.at(-1) ?? 0;
  const noise = uniformNoise(seed, count / unit ** 2);
  const columns = (recognition.family === null ? 0 : (recognition.imageSize?.[1] ?? 0)) / patch;
  const data = share === undefined ? noise : enlarged(hiddenBy(noise, share), unit, count, columns);
  return { [name]: { dtype: 'F32', shape, data } };
}

/** Root of the mean squared difference to the input where it was hidden, in levels of 255. */
function errorOf(
  { reconstruction, hidden }: Pick<Rebuilt, 'reconstruction' | 'hidden'>,
  input: Float32Array,
  mean: readonly number[],
  std: readonly number[],
): number {
  let [total, count] = [0, 0];
  for (const [place, value] of reconstruction.entries()) {
    if ((hidden[place % hidden.length] ?? 0) === 0) continue;
    const channel = Math.floor(place / hidden.length);
    const level = ((input[place] ?? 0) * (std[channel] ?? 1) + (mean[channel] ?? 0)) * 255;
    total += (value - level) ** 2;
    count++;
  }
  return Math.sqrt(total / Math.max(1, count));
}

/** Draws the patches of an image that are hidden from the model. */
export const reconstruct: Task<Rebuilt> = {
  answerName: 'reconstruction',
  serves(model) {
    const reason = cannotRun(model);
    if (reason !== undefined) return reason;
    const { recognition } = model;
    const task = recognition.family === null ? undefined : recognition.reading?.task;
    return task === 'reconstruct' ? undefined : 'it draws no hidden patches';
  },
  prepare(model, given) {
    const seed = seedOf(given);
    const tensors: Prepared['tensors'] = { ...hidingOf(model, seed) };
    return Promise.resolve({ tensors, seed });
  },
  program(model, size, { tensors }) {
    const [part] = model.parts;
    const [hiding] = Object.entries(tensors).filter(([name]) => isHiding(name));
    if (!part || !hiding) throw new Error('the model hides no patches');
    const { inputs, outputs } = part.graph(size);
    const pixels = inputs.find(({ name }) => !isHiding(name))?.name ?? 'pixel_values';
    const read = outputs.filter(({ means }) => means === 'pixels' || means === 'masks' || means === 'seen');
    return {
      steps: [
        {
          part: part.name,
          inputs: { [pixels]: 'image', [hiding[0]]: hiding[1] },
          outputs: read.map(({ name }) => name),
        },
      ],
    };
  },
  read(outputs, _seen, { reading, normalisation, given, post }) {
    if (reading?.task !== 'reconstruct') throw new Error('the model draws no patches');
    const { patch, normalised: own } = reading;
    const [mask, input] = [requireOutput(outputs, 'masks'), requireOutput(outputs, 'seen')];
    const { mean = [], std = [] } = normalisation ?? {};
    const stated = post?.['norm_pix'];
    const normalised = typeof stated === 'boolean' ? stated : own;
    const { size, ...planes } = reconstructionOf({ logits: requireOutput(outputs, 'pixels'), mask }, input, {
      patch,
      normalised,
      mean,
      std,
    });
    return {
      kind: 'pixels',
      grid: size,
      ...planes,
      patches: mask.values.length,
      hiddenPatches: mask.values.reduce((sum, value) => sum + value, 0),
      error: errorOf(planes, input.values, mean, std),
      seed: given?.seed ?? 0,
      normalised,
    };
  },
  json: ({ grid, patches, hiddenPatches, seed, error }) => ({
    size: grid,
    patches,
    hidden: hiddenPatches,
    seed,
    error,
  }),
  lines: (answer) => [summaryOf(answer)],
  answers: ({ grid, reconstruction, pasted, hidden }) => ({
    tensors: [
      { name: 'reconstruction', shape: [3, ...grid], values: reconstruction },
      { name: 'pasted', shape: [3, ...grid], values: pasted },
      { name: 'hidden', shape: [1, ...grid], values: hidden },
    ],
  }),
};
