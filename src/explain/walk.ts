import type { SumCheck, Walk, WalkQuestion, WalkStep, WalkVector } from '../domain/explanation';
import { at, largest, product } from '../domain/lists';
import type { Grid } from '../domain/size';
import type { Explained, Values } from './explained';
import { finalTokens, streamOf, tokensOf, whyNoStream } from './stream';
import { embedded, walkPlaces, type WalkPlaces } from './walkPlaces';

/** Sums and products of some thousand numbers in float32, in parts of their largest. */
const rounding = 1e-4;

/** Why no patch can be followed through a block; undefined if one can. */
export function whyNoWalk(explained: Explained, block: number): string | undefined {
  const reason = whyNoStream(explained);
  if (reason !== undefined) return reason;
  if (!tokensOf(explained).grid) return 'its tokens do not lie on the image';
  const places = walkPlaces(explained.graph)[block];
  if (places === undefined) return `it has ${streamOf(explained).blocks.length} blocks`;
  return typeof places === 'string' ? `block ${block}: ${places}` : undefined;
}

/** A row of the last axis. */
const rowOf = ({ shape, data }: Values, row: number): Float32Array => {
  const width = at(shape, shape.length - 1);
  return data.slice(row * width, (row + 1) * width);
};

const vector = (name: string, values: Float32Array): WalkVector => ({ name, values });

/** How far numbers that are computed again are from the graph's. */
function compared(what: string, own: ArrayLike<number>, graphs: Float32Array): SumCheck {
  let [worst, error, scale] = [0, 0, 0];
  graphs.forEach((value, place) => {
    const far = Math.abs(at(own, place) - value);
    if (far >= error) [worst, error] = [place, far];
    scale = Math.max(scale, Math.abs(value));
  });
  return {
    what,
    found: at(own, worst),
    wanted: at(graphs, worst),
    wantedIs: 'the graph’s own, where they differ most',
    error,
    allowed: rounding * Math.max(scale, 1e-6),
  };
}

const added = (one: Float32Array, other: Float32Array): Float32Array =>
  one.map((value, place) => value + at(other, place));

const dot = (one: Float32Array, other: ArrayLike<number>): number =>
  one.reduce((sum, value, place) => sum + value * at(other, place), 0);

interface Place {
  readonly patch: Grid;
  readonly token: number;
  readonly head: number;
  readonly tokens: number;
}

/** Pixels of the patch, channel by channel; undefined if patches do not divide the image. */
function pixelsOf(
  { question, imageSize }: Explained,
  grid: Grid,
  [row, column]: Grid,
): Float32Array | undefined {
  const [height, width] = [imageSize[0] / grid[0], imageSize[1] / grid[1]];
  if (!Number.isInteger(height) || !Number.isInteger(width)) return undefined;
  const { shape, data } = question.pixels;
  const found: number[] = [];
  for (let channel = 0; channel < at(shape, 1); channel++)
    for (let y = row * height; y < (row + 1) * height; y++) {
      const from = (channel * imageSize[0] + y) * imageSize[1] + column * width;
      for (let x = 0; x < width; x++) found.push(at(data, from + x));
    }
  return Float32Array.from(found);
}

/** Patch, embedding and position: what goes into the first block. */
async function entered(
  explained: Explained,
  grid: Grid,
  { patch, token }: Place,
): Promise<readonly WalkStep[]> {
  const first = at(streamOf(explained).blocks, 0).input;
  const parts = embedded(explained.graph);
  const names = parts ? [first, parts.patches, parts.position] : [first];
  const [stream, patches, position] = await explained.values(names);
  const pixels = pixelsOf(explained, grid, patch);
  const input = rowOf(at([stream], 0) as Values, token);
  const steps: WalkStep[] = [];
  if (pixels)
    steps.push({ title: 'Patch', formula: 'pixels as the model sees them', vectors: [vector('x', pixels)] });
  if (!patches || !position)
    return [
      ...steps,
      {
        title: 'Embedding',
        formula: 't = what goes into block 0',
        vectors: [vector('t', input)],
        note: 'This model does not add a table of positions once: they are not shown apart.',
      },
    ];
  // Positions may be added before the special tokens join.
  const from = (values: Values): Float32Array => {
    const rows = product(values.shape.slice(0, -1));
    return rowOf(values, token - (tokensOf(explained).tokens - rows));
  };
  const [own, place] = [from(patches), from(position)];
  const sum = added(own, place);
  const isStream = compared('', sum, input).error <= rounding;
  return [
    ...steps,
    { title: 'Embedding', formula: 'e = W · x + b', vectors: [vector('e', own)] },
    {
      title: 'Position',
      formula: 't = e + p',
      vectors: [vector('p', place), vector('t', input)],
      ...(isStream
        ? { sum: compared('e + p', sum, input) }
        : { note: 'A norm or a scale follows before block 0.' }),
    },
  ];
}

/** The head of a tensor `[1, heads, rows, width]`. */
const headOf = ({ shape, data }: Values, head: number): Values => {
  const [rows, width] = [at(shape, shape.length - 2), at(shape, shape.length - 1)];
  return { shape: [rows, width], data: data.subarray(head * rows * width, (head + 1) * rows * width) };
};

const columnOf = ({ shape, data }: Values, column: number): Float32Array => {
  const [rows = 0, width = 0] = shape;
  return Float32Array.from({ length: rows }, (_, row) => at(data, row * width + column));
};

type Found = Readonly<Record<keyof WalkPlaces, Values>>;

/** Scores, softmax and what the values bring, of one head. */
function attended(
  explained: Explained,
  found: Found,
  block: number,
  { token, head, tokens }: Place,
): readonly WalkStep[] {
  const [query, key] = [headOf(found.query, head), headOf(found.key, head)];
  const q = rowOf(query, token);
  const scores = rowOf(headOf(found.scores, head), token);
  const weights = rowOf(headOf(found.map, head), token);
  const most = weights.indexOf(largest(weights));
  const products = Float32Array.from({ length: tokens }, (_, other) => dot(q, columnOf(key, other)));
  // Some scale the product, some the queries before it.
  const longest = products.reduce(
    (best, value, place) => (Math.abs(value) > Math.abs(at(products, best)) ? place : best),
    0,
  );
  const scaled = 1 / Math.sqrt(q.length);
  const ratio = at(scores, longest) / at(products, longest);
  const isScaled = Math.abs(ratio - scaled) < 0.01 * scaled;
  const factor = isScaled ? scaled : 1;
  const own = products.map((value) => value * factor);
  const exact = compared('q · k', own, scores);
  const high = largest(scores);
  const total = scores.reduce((sum, value) => sum + Math.exp(value - high), 0);
  const softmax = scores.map((value) => Math.exp(value - high) / total);
  const values = headOf(found.values, head);
  const brought = Float32Array.from({ length: at(values.shape, 1) }, (_, place) =>
    dot(weights, columnOf(values, place)),
  );
  const { columns } = at(streamOf(explained).blocks, block).heads ?? { columns: [] };
  const read = rowOf(found.read, token);
  const mine = columns.flatMap((column, index) => (column.head === head ? [{ ...column, index }] : []));
  const z = new Float32Array(brought.length);
  for (const { place, index } of mine) z[place] = at(read, index);
  return [
    {
      title: 'Query and key',
      formula: `q = W_Q · n, k = W_K · n of token ${most}, which head ${head} looks at most`,
      vectors: [vector('q', q), vector('k', columnOf(key, most))],
    },
    {
      title: 'Scores',
      formula: isScaled ? `s = q · k / √${q.length}` : 's = q · k; q holds the scale',
      vectors: [vector('s', scores)],
      ...(exact.error <= exact.allowed
        ? { sum: exact }
        : { note: 'A bias of positions or a mask is added to the products.' }),
    },
    {
      title: 'Softmax',
      formula: 'α = exp(s) / Σ exp(s)',
      vectors: [vector('α', weights)],
      sum: compared('exp(s) / Σ exp(s)', softmax, weights),
    },
    {
      title: 'Values',
      formula: 'z = Σ α · v',
      vectors: [vector('z', z)],
      sum: compared('Σ α · v', brought, z),
    },
  ];
}

/** Projection, residual and MLP. */
function joined(found: Found, { token }: Place): readonly WalkStep[] {
  const row = (name: keyof WalkPlaces): Float32Array => rowOf(found[name], token);
  return [
    {
      title: 'Output projection',
      formula: 'a = W_O · [z of all heads] + b',
      vectors: [vector('z of all heads', row('read')), vector('a', row('added'))],
    },
    {
      title: 'Residual',
      formula: 'r = t + a',
      vectors: [vector('r', row('middle'))],
      sum: compared('t + a', added(row('input'), row('added')), row('middle')),
    },
    { title: 'Norm', formula: 'm = norm(r)', vectors: [vector('m', row('norm2'))] },
    { title: 'MLP', formula: 'f = MLP(m)', vectors: [vector('f', row('mlp'))] },
    {
      title: 'Residual',
      formula: 't′ = r + f',
      vectors: [vector('t′', row('next'))],
      sum: compared('r + f', added(row('middle'), row('mlp')), row('next')),
    },
  ];
}

/** The patch behind the last block, and what the model makes of all tokens. */
async function answered(explained: Explained, { token }: Place): Promise<readonly WalkStep[]> {
  const { value, isNormed } = finalTokens(explained);
  const [final] = await explained.values([value]);
  const logits = await explained.outputOf(explained.question.pixels);
  return [
    {
      title: isNormed ? 'Final norm' : 'Behind the last block',
      formula: isNormed ? 'y = norm(t behind the last block)' : 'y = t behind the last block',
      vectors: final ? [vector('y', rowOf(final, token))] : [],
    },
    {
      title: explained.hasClasses ? 'Logits' : 'Output',
      formula: 'head(pool(y of all tokens))',
      vectors: [vector(explained.output.name, logits)],
      note: 'Of all tokens together: what the head pools, this patch alone does not say.',
    },
  ];
}

/**
 * One patch through one block, from its pixels to the answer: values of the graph, each formula
 * computed again from those that it reads. Throws if the block has not all parts of a plain
 * pre-norm transformer's, or there is no such patch or head.
 */
export async function walk(explained: Explained, question: WalkQuestion): Promise<Walk> {
  const { block, head, patch } = question;
  const reason = whyNoWalk(explained, block);
  if (reason !== undefined) throw new Error(`No patch can be followed: ${reason}.`);
  const { grid = [0, 0], special, tokens } = tokensOf(explained);
  const { heads } = at(streamOf(explained).blocks, block).probe;
  const isInside = patch.every((place, axis) => place >= 0 && place < at(grid, axis));
  if (!isInside) throw new Error(`patch ${patch.join(', ')}: the grid has ${grid.join(' × ')}`);
  if (!(head >= 0 && head < heads)) throw new Error(`head ${head}: block ${block} has ${heads}`);
  const places = at(walkPlaces(explained.graph), block) as WalkPlaces;
  const entries = Object.entries(places) as [keyof WalkPlaces, string][];
  const values = await explained.once(`walk ${block}`, () =>
    explained.values(entries.map(([, name]) => name)),
  );
  const found = Object.fromEntries(entries.map(([name], index) => [name, at(values, index)])) as Found;
  const place: Place = { patch, head, tokens, token: special + patch[0] * grid[1] + patch[1] };
  return {
    question,
    blocks: streamOf(explained).blocks.length,
    heads,
    grid,
    steps: [
      ...(await entered(explained, grid, place)),
      {
        title: `Norm, block ${block}`,
        formula: 'n = norm(t)',
        vectors: [vector('t', rowOf(found.input, place.token)), vector('n', rowOf(found.norm, place.token))],
      },
      ...attended(explained, found, block, place),
      ...joined(found, place),
      ...(await answered(explained, place)),
    ],
  };
}
