import { at, increase } from '../../domain/lists';
import type { Values, Explained } from '../explained';
import type { Explanation, Method, Picture } from '../method';
import { isAllOf, outputWith } from '../behind';
import { principal } from '../principal';
import {
  finalTokens,
  patchesOf,
  streamOf,
  streamValues,
  tokensOf,
  whyNoStream,
  type StreamTokens,
} from '../stream';
import { float32 } from './common';

/** Numbers of the lens of single tokens at most: those of a ViT-B/16 are 2.4e6. */
const mostLensValues = 4e6;

function whyNoLens(explained: Explained): string | undefined {
  const reason = whyNoStream(explained);
  if (reason !== undefined) return reason;
  return isAllOf(explained, streamOf(explained).last)
    ? undefined
    : 'its head reads more than what the last block hands on';
}

/** The same token in every row, so that whatever a head pools is this token. */
function everywhere({ tokens, width }: StreamTokens, { shape, data }: Values, token: number): Values {
  const own = data.subarray(token * width, (token + 1) * width);
  const all = new Float32Array(data.length);
  for (let row = 0; row < tokens; row++) all.set(own, row * width);
  return { shape, data: all };
}

/** Scores of each token of each block, `[blocks, tokens, classes]`. */
async function lensOfTokens(explained: Explained, streams: readonly Values[]): Promise<Values> {
  const layout = tokensOf(explained);
  const { last } = streamOf(explained);
  const { classes, question } = explained;
  const shape = [streams.length, layout.tokens, classes];
  const data = new Float32Array(streams.length * layout.tokens * classes);
  for (const [block, stream] of streams.entries()) {
    question.progress?.(`logit lens of tokens, block ${block + 1} of ${streams.length}`);
    for (let token = 0; token < layout.tokens; token++) {
      const scores = await outputWith(explained, last, everywhere(layout, stream, token));
      data.set(scores, (block * layout.tokens + token) * classes);
    }
  }
  return { shape, data };
}

/** The explained value of each patch of one block. */
function lensPicture(explained: Explained, { shape, data }: Values, block: number): Picture | undefined {
  const { grid, special, tokens } = tokensOf(explained);
  const classes = at(shape, 2);
  if (!grid) return undefined;
  const values = Float32Array.from({ length: tokens - special }, (_, place) =>
    at(data, (block * tokens + special + place) * classes + explained.question.target),
  );
  return { grid, values, signed: true, legend: `value of each patch behind block ${block + 1}` };
}

const logitLens: Method = {
  name: 'logit_lens',
  gives: ['logit_lens', 'logit_lens.tokens'],
  title: 'Logit lens',
  text: 'What the head would answer if the model ended behind each block, and for each token as if it stood in the place of all. The last one is the answer itself. Early layers speak another language: little can be read there.',
  formula: 'head(pool(norm(xₗ)))',
  source: 'nostalgebraist 2020',
  whyNot: whyNoLens,
  // The head alone is run; a block of ten is about what it costs.
  forwards: (explained) => 1 + 0.1 * streamOf(explained).blocks.length,
  async compute(explained): Promise<Explanation> {
    const streams = await streamValues(explained);
    const { last } = streamOf(explained);
    const { classes, hasClasses } = explained;
    const layout = tokensOf(explained);
    const scores = new Float32Array(streams.length * classes);
    for (const [index, stream] of streams.entries())
      scores.set(await outputWith(explained, last, stream), index * classes);
    const tensors = { logit_lens: { shape: [streams.length, classes], data: scores } };
    const count = (streams.length - 1) * layout.tokens * classes;
    if (!hasClasses) return { tensors };
    if (count > mostLensValues) {
      const note = `the lens of single tokens is left out: it has ${count} values, at most ${mostLensValues} are computed`;
      return { tensors, notes: [note] };
    }
    const ofTokens = await lensOfTokens(explained, streams.slice(1));
    const picture = lensPicture(explained, ofTokens, streams.length - 2);
    return { tensors: { ...tensors, 'logit_lens.tokens': ofTokens }, ...(picture && { picture }) };
  },
};

function whyNoPatches(explained: Explained): string | undefined {
  const reason = whyNoStream(explained);
  if (reason !== undefined) return reason;
  const { grid, width } = tokensOf(explained);
  if (!grid) return 'its tokens do not lie on the image';
  if (width < colours) return `its tokens have less than ${colours} channels`;
  return grid[0] * grid[1] < fewestPatches ? `it has less than ${fewestPatches} patches` : undefined;
}

/** Patches below which directions of their spread say nothing. */
const fewestPatches = 4;
/** Components that become red, green and blue. */
const colours = 3;

/** Each component by its own minimum and maximum, 0 … 1. */
function unitRange(scores: Float64Array, count: number): Float64Array {
  const [low, high] = [new Float64Array(count).fill(Infinity), new Float64Array(count).fill(-Infinity)];
  scores.forEach((value, place) => {
    low[place % count] = Math.min(at(low, place % count), value);
    high[place % count] = Math.max(at(high, place % count), value);
  });
  return scores.map((value, place) => {
    const [least, most] = [at(low, place % count), at(high, place % count)];
    return most > least ? (value - least) / (most - least) : 0;
  });
}

/** The rows of patches whose first score is positive, on their own components; 0 elsewhere. */
function foregroundOf(
  rows: Float64Array,
  width: number,
  scores: Float64Array,
): { readonly mask: Float32Array; readonly rgb?: Float64Array } {
  const mask = Float32Array.from({ length: scores.length / colours }, (_, patch) =>
    at(scores, patch * colours) > 0 ? 1 : 0,
  );
  const chosen = Array.from(mask.keys()).filter((patch) => mask[patch] === 1);
  if (chosen.length <= fewestPatches || chosen.length === mask.length) return { mask };
  const own = new Float64Array(chosen.length * width);
  chosen.forEach((patch, index) => own.set(rows.subarray(patch * width, (patch + 1) * width), index * width));
  const coloured = unitRange(principal(own, width, colours).scores, colours);
  const rgb = new Float64Array(mask.length * colours);
  chosen.forEach((patch, index) =>
    rgb.set(coloured.subarray(index * colours, (index + 1) * colours), patch * colours),
  );
  return { mask, rgb };
}

/** Tokens of the image and of its mirror image, on one basis. */
async function sharedScores(explained: Explained, rows: Float64Array, width: number): Promise<Float64Array> {
  const { pixels } = explained.question;
  const side = at(pixels.shape, 3);
  const data = pixels.data.map((_, place) =>
    at(pixels.data, place - (place % side) + side - 1 - (place % side)),
  );
  const mirrored = await explained.values([finalTokens(explained).value], { shape: pixels.shape, data });
  const other = patchesOf(tokensOf(explained), at(mirrored, 0));
  const both = new Float64Array(rows.length + other.length);
  both.set(rows);
  both.set(other, rows.length);
  return principal(both, width, colours).scores;
}

const components: Method = {
  name: 'pca',
  gives: [
    'pca.scores',
    'pca.components',
    'pca.variance',
    'pca.rgb',
    'pca.foreground',
    'pca.foreground.rgb',
    'pca.shared.scores',
  ],
  title: 'Principal components of patches',
  text: 'What patches differ in most, as red, green and blue: patches of one colour are alike to the model. It knows of no class. Colours may swap if two variances nearly tie, and can be compared between images only on one basis; which side of the first component is the object is a convention, too.',
  formula: '(T − mean) · V, each component by its own minimum and maximum',
  source:
    'Oquab et al. 2023 (DINOv2), figure 1; tokens behind the final norm, centred, not scaled; the largest loading of a component is positive',
  whyNot: whyNoPatches,
  forwards: () => 2,
  async compute(explained): Promise<Explanation> {
    const layout = tokensOf(explained);
    const { width, grid = [1, 1] } = layout;
    const rows = patchesOf(layout, at(await explained.values([finalTokens(explained).value]), 0));
    const patches = rows.length / width;
    const found = principal(rows, width, Math.min(colours, width));
    const { mask, rgb } = foregroundOf(rows, width, found.scores);
    const shared = await sharedScores(explained, rows, width);
    const first = Float64Array.from({ length: patches }, (_, patch) => at(found.scores, patch * colours));
    return {
      tensors: {
        'pca.scores': float32([patches, colours], found.scores),
        'pca.components': float32([colours, width], found.components),
        'pca.variance': float32([colours], found.variances),
        'pca.rgb': float32([...grid, colours], unitRange(found.scores, colours)),
        'pca.foreground': float32([patches], mask),
        ...(rgb && { 'pca.foreground.rgb': float32([...grid, colours], rgb) }),
        'pca.shared.scores': float32([shared.length / colours, colours], shared),
      },
      picture: { grid, values: first, signed: true, legend: 'first principal component' },
      notes: [
        finalTokens(explained).isNormed
          ? 'patch tokens behind the final norm'
          : 'patch tokens of the last block: the final norm is not of each of them',
      ],
    };
  },
};

/** Cosines between all patches, `[patches, patches]`. */
export function cosines(rows: Float64Array, width: number): Float32Array {
  const count = rows.length / width;
  const unit = rows.slice();
  for (let row = 0; row < count; row++) {
    const own = unit.subarray(row * width, (row + 1) * width);
    const length = Math.sqrt(own.reduce((sum, value) => sum + value * value, 0));
    if (length > 0) own.forEach((value, column) => (own[column] = value / length));
  }
  const result = new Float32Array(count * count);
  for (let row = 0; row < count; row++)
    for (let other = 0; other <= row; other++) {
      let sum = 0;
      for (let column = 0; column < width; column++)
        sum += (unit[row * width + column] ?? 0) * (unit[other * width + column] ?? 0);
      result[row * count + other] = sum;
      result[other * count + row] = sum;
    }
  return result;
}

const similarity: Method = {
  name: 'cosine',
  gives: ['cosine.final', 'cosine.block0'],
  title: 'Similarity of patches',
  text: 'How alike the tokens of any two patches are, from −1 to 1. Before the final norm a few large channels make nearly all alike.',
  formula: 't · t′ / (‖t‖ ‖t′‖)',
  source: 'Caron et al. 2021 (DINO); tokens behind the final norm, and behind the first block',
  whyNot: whyNoPatches,
  forwards: () => 1,
  async compute(explained): Promise<Explanation> {
    const layout = tokensOf(explained);
    const { blocks, last } = streamOf(explained);
    const first = blocks[1]?.input ?? last;
    const found = await explained.values([finalTokens(explained).value, first]);
    const [final, block0] = found.map((values) => patchesOf(layout, values));
    const patches = layout.tokens - layout.special;
    const shape = [patches, patches];
    const whole = { shape, data: cosines(final ?? new Float64Array(), layout.width) };
    const picture = layout.grid && meanSimilarity(whole, layout.grid);
    return {
      tensors: {
        'cosine.final': whole,
        'cosine.block0': { shape, data: cosines(block0 ?? new Float64Array(), layout.width) },
      },
      ...(picture && { picture }),
    };
  },
};

/** How alike each patch is to all others on average. */
function meanSimilarity({ shape, data }: Values, grid: Picture['grid']): Picture {
  const patches = at(shape, 0);
  const values = new Float32Array(patches);
  data.forEach((value, place) => increase(values, place % patches, value / patches));
  return { grid, values, signed: true, legend: 'mean similarity to all patches' };
}

/** What tokens hold. */
export const ofTokens: readonly Method[] = [logitLens, components, similarity];
