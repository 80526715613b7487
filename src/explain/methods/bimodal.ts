import { at, increase } from '../../domain/lists';
import { tokenCount, type Probe, type TokenLayout } from '../../domain/probes';
import type { Grid } from '../../domain/size';
import type { DerivedMap, Explained, Values } from '../explained';
import type { Explanation, Method } from '../method';
import {
  fusedByGradient,
  pictureOf,
  readRows,
  relevance,
  relevanceTokens,
  whyNoRelevance,
  type Matrix,
} from '../overLayers';
import { byAll, float32, perGradient } from './common';

/** A matrix `[rows, columns]`, row-major. */
interface Sized {
  readonly rows: number;
  readonly columns: number;
  readonly data: Matrix;
}

const sized = (rows: number, columns: number): Sized => ({
  rows,
  columns,
  data: new Float64Array(rows * columns),
});

function identity(size: number): Sized {
  const result = sized(size, size);
  for (let row = 0; row < size; row++) result.data[row * (size + 1)] = 1;
  return result;
}

const transposed = ({ rows, columns, data }: Sized): Sized => ({
  rows: columns,
  columns: rows,
  data: data.map((_, place) => at(data, (place % rows) * columns + Math.floor(place / rows))),
});

function times(left: Sized, right: Sized): Sized {
  const result = sized(left.rows, right.columns);
  for (let row = 0; row < left.rows; row++)
    for (let inner = 0; inner < left.columns; inner++)
      for (let column = 0; column < right.columns; column++)
        increase(
          result.data,
          row * right.columns + column,
          at(left.data, row * left.columns + inner) * at(right.data, inner * right.columns + column),
        );
  return result;
}

const plus = (left: Sized, right: Sized): Sized => ({
  ...left,
  data: left.data.map((value, place) => value + at(right.data, place)),
});

/** Eq. 8 and 9: what self-attention added, rows scaled to sum 1, beside the token itself. */
function normalised({ rows, data }: Sized): Sized {
  const result = identity(rows);
  for (let row = 0; row < rows; row++) {
    const added = data.slice(row * rows, (row + 1) * rows);
    increase(added, row, -1);
    const total = added.reduce((sum, value) => sum + value, 0);
    // A row without relevance stays as it is.
    if (total > 0)
      added.forEach((value, column) => increase(result.data, row * rows + column, value / total));
  }
  return result;
}

/** Relevance of tokens for object queries, and of the queries for one another. */
export interface DecodedRelevance {
  /** `[queries, queries]` */
  readonly queries: Sized;
  /** `[queries, tokens of the image]` */
  readonly image: Sized;
}

const isSame = (left: TokenLayout, right: TokenLayout): boolean =>
  JSON.stringify(left) === JSON.stringify(right);

/**
 * Relevance through an encoder and a decoder that looks at it (Chefer et al. 2021, eq. 5 to 10): in
 * the order in which layers are run.
 */
export function decodedRelevance(maps: readonly DerivedMap[]): DecodedRelevance {
  const crossing = at(
    maps,
    maps.findIndex(({ probe }) => probe.kind === 'cross'),
  ).probe;
  let image = identity(tokenCount(crossing.keys));
  let queries = identity(tokenCount(crossing.queries));
  let both = sized(queries.rows, image.rows);
  for (const map of maps) {
    const { queries: asks, keys } = map.probe;
    const own: Sized = { rows: tokenCount(asks), columns: tokenCount(keys), data: fusedByGradient(map) };
    if (!isSame(asks, keys)) {
      const asked = times(transposed(normalised(queries)), own);
      both = plus(both, times(asked, normalised(image)));
    } else if (isSame(keys, crossing.keys)) image = plus(image, times(own, image));
    else {
      both = plus(both, times(own, both));
      queries = plus(queries, times(own, queries));
    }
  }
  return { queries, image: both };
}

/** Why the layers are no encoder of an image and a decoder of queries. */
function whyNoDecoder(probes: readonly Probe[]): string | undefined {
  const crossing = probes.find(({ kind }) => kind === 'cross');
  if (!crossing || crossing.keys.grid?.length !== 2 || crossing.queries.queries === undefined)
    return 'it has no decoder that looks at one map of the image';
  const isKnown = ({ kind, window, queries, keys }: Probe): boolean =>
    window === undefined &&
    ((kind === 'cross' && isSame(queries, crossing.queries) && isSame(keys, crossing.keys)) ||
      (kind === 'self' &&
        isSame(queries, keys) &&
        [crossing.queries, crossing.keys].some((set) => isSame(set, keys))));
  return probes.every(isKnown)
    ? undefined
    : 'its layers are not all of the same map and the same queries: windows, sampled places or several maps';
}

function whyNot({ question, probes }: Explained): string | undefined {
  if (question.words) return whyNoRelevance(probes);
  if (question.query) return whyNoDecoder(probes);
  return 'it is asked about one set of tokens, of which relevance tells; give a text or name an object’s query';
}

/** The image's and the text's side, of towers that meet in their score alone. */
async function ofTowers(explained: Explained): Promise<Explanation> {
  const { maps } = await explained.derived();
  const words = await explained.derivedWords();
  const tokens = relevanceTokens(explained.probes);
  const read = readRows(maps);
  const picture = read && pictureOf(relevance(maps, tokens), tokens, read);
  const length = tokenCount(at(words, 0).probe.keys);
  const matrix = relevance(words, length);
  const rows = reachedRows(at(words, words.length - 1));
  const text = new Float64Array(length);
  for (const row of rows)
    for (let place = 0; place < length; place++)
      increase(text, place, at(matrix, row * length + place) / rows.length);
  return {
    tensors: {
      ...(picture && { 'bimodal.image': float32(read.grid, picture) }),
      'bimodal.text': float32([length], text),
    },
    ...(picture && {
      picture: {
        grid: read.grid,
        values: picture,
        signed: false,
        legend: `relevance for the text, ${read.title}`,
      },
    }),
    notes: [
      `bimodal.text is of the tokens of the text, read at ${rows.length > 1 ? 'the mean of ' : ''}token ${rows.join(', ')}`,
    ],
  };
}

/** Queries of a map that any derivative reaches: those that the tower is read at. */
function reachedRows({ gradient }: DerivedMap): readonly number[] {
  const [, queries = 1, keys = 1] = gradient.shape;
  const reached = new Set<number>();
  gradient.data.forEach((value, place) => {
    if (value !== 0) reached.add(Math.floor(place / keys) % queries);
  });
  return reached.size > 0 ? [...reached].sort((a, b) => a - b) : [0];
}

async function ofQuery(explained: Explained, index: number): Promise<Explanation> {
  const { maps } = await explained.derived();
  const { image, queries } = decodedRelevance(maps);
  const rowOf = ({ columns, data }: Sized): Matrix => data.slice(index * columns, (index + 1) * columns);
  const crossing = at(
    maps,
    maps.findIndex(({ probe }) => probe.kind === 'cross'),
  ).probe;
  const grid = crossing.keys.grid as unknown as Grid;
  const values = rowOf(image);
  const tensors: Record<string, Values> = {
    'bimodal.image': float32(grid, values),
    'bimodal.queries': float32([queries.columns], rowOf(queries)),
  };
  return {
    tensors,
    picture: { grid, values, signed: false, legend: `relevance for query ${index}` },
    notes: ['bimodal.queries is how much the other queries matter to it'],
  };
}

/** Chefer's relevance over several sets of tokens. */
export const bimodal: Method = {
  name: 'bimodal',
  title: 'Relevance across',
  text: 'Which parts of the image speak for an object’s query, through encoder and decoder, or for a text, and which words for the image: relevance goes through attention from one set of tokens to another as well. Negative contributions are left out before the mean over heads.',
  formula: 'R(queries, image) ← R + R̄(queries)ᵀ · Ā · R̄(image), Ā = mean over heads of max(0, A ⊙ ∂s/∂A)',
  source: 'Chefer et al. 2021 (ICCV), eq. 5–10',
  whyNot,
  forwards: ({ question }) => (question.words ? 2 * perGradient : perGradient),
  derived: (explained) =>
    explained.question.words ? [...byAll(explained), explained.wordsGraph()] : byAll(explained),
  compute: (explained) => {
    const { query } = explained.question;
    return query ? ofQuery(explained, query.index) : ofTowers(explained);
  },
};
