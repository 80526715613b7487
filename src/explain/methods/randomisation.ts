import { at, increase, largest } from '../../domain/lists';
import { cutAt } from '../../graph/rewrite/splice';
import type { Derived, Explained, Named, Values } from '../explained';
import type { Explanation, Method } from '../method';
import {
  pictureOf,
  readRows,
  relevance,
  relevanceTokens,
  whyNoRelevance,
  type ReadRows,
} from '../overLayers';
import { shuffled } from '../random';
import { parameterCount, stagesOf, type Stage, type StoredTensor } from '../stages';
import { byAll, float32, perGradient } from './common';

/** Parameters that are held twice and sent to the process: 86 million of a ViT-B are 350 MB. */
const mostParameters = 1e8;
const seed = 11;

/** Average ranks; equal values share one. */
function ranksOf(values: ArrayLike<number>): Float64Array {
  const order = Array.from({ length: values.length }, (_, place) => place).sort(
    (a, b) => at(values, a) - at(values, b),
  );
  const ranks = new Float64Array(values.length);
  for (let first = 0; first < order.length;) {
    let end = first + 1;
    while (end < order.length && at(values, at(order, end)) === at(values, at(order, first))) end++;
    for (let place = first; place < end; place++) ranks[at(order, place)] = (first + end - 1) / 2;
    first = end;
  }
  return ranks;
}

/** Spearman's rank correlation; 0 if all values of one are equal. */
export function rankCorrelation(left: ArrayLike<number>, right: ArrayLike<number>): number {
  const [a, b] = [ranksOf(left), ranksOf(right)];
  const middle = (a.length - 1) / 2;
  let [both, own, other] = [0, 0, 0];
  a.forEach((rank, place) => {
    const [x, y] = [rank - middle, at(b, place) - middle];
    both += x * y;
    own += x * x;
    other += y * y;
  });
  return own > 0 && other > 0 ? both / Math.sqrt(own * other) : 0;
}

/** A tensor's values in another order: value i becomes value `order[i]`. */
function shuffledTensor({ ranges }: StoredTensor, values: Named, own: number): Named {
  const extent = largest(ranges.map(({ first, count }) => first + count));
  const whole = new Float32Array(extent);
  const isRead = new Uint8Array(extent);
  for (const { value, first } of ranges) {
    const { data = new Float32Array() } = values[value] ?? {};
    whole.set(data, first);
    isRead.fill(1, first, first + data.length);
  }
  // Of a tensor of which a part is read, that part alone is shuffled.
  const places = Uint32Array.from(Array.from(isRead.keys()).filter((place) => isRead[place] === 1));
  const order = shuffled(places.length, own);
  const mixed = whole.slice();
  places.forEach((place, index) => (mixed[place] = at(whole, at(places, at(order, index)))));
  return Object.fromEntries(
    ranges.map(({ value, first, count }) => [
      value,
      { shape: values[value]?.shape ?? [count], data: mixed.slice(first, first + count) },
    ]),
  );
}

/** What is compared: the rows of relevance that the head reads, and Σ |gradient| of pixels. */
interface Pictures {
  readonly relevance?: Float64Array;
  readonly gradient: Float64Array;
}

function picturesOf(explained: Explained, { maps, pixels }: Derived, read: ReadRows | undefined): Pictures {
  const [, channels = 1] = pixels.shape;
  const places = pixels.data.length / channels;
  const gradient = new Float64Array(places);
  pixels.data.forEach((value, place) => increase(gradient, place % places, Math.abs(value)));
  if (!read) return { gradient };
  const tokens = relevanceTokens(explained.probes);
  return { gradient, relevance: pictureOf(relevance(maps, tokens), tokens, read) };
}

function correlations(before: Pictures, after: Pictures): readonly number[] {
  const gradient = rankCorrelation(before.gradient, after.gradient);
  if (!before.relevance || !after.relevance) return [gradient];
  return [rankCorrelation(before.relevance, after.relevance), gradient];
}

/** The parameters of all stages as they are stored, by the names of their values. */
async function storedValues(explained: Explained, stages: readonly Stage[]): Promise<Named> {
  const names = stages.flatMap(({ tensors }) =>
    tensors.flatMap(({ ranges }) => ranges.map(({ value }) => value)),
  );
  const unique = [...new Set(names)];
  const found = await explained.values(unique);
  return Object.fromEntries(unique.map((name, index) => [name, at(found, index)]));
}

/** Cascading randomisation of the model's parameters. */
export const randomisation: Method = {
  name: 'randomisation',
  title: 'Randomisation of the model',
  text: 'How much of a picture stays if the parameters are shuffled, from the head downwards. A picture that survives is one of the image, not of the model. Shuffling keeps the distribution of each tensor, where the paper draws new values.',
  formula: 'Spearman’s ρ of relevance, and of Σ |∂s/∂x|, before and after',
  source: 'Adebayo et al. 2018, cascading randomisation, by shuffling',
  whyNot: ({ graph }) => {
    const stages = stagesOf(graph);
    const count = parameterCount(stages);
    if (stages.length === 0) return 'no module of it weighs its inputs';
    return count > mostParameters
      ? `it has ${Math.round(count / 1e6)} million parameters: at most ${mostParameters / 1e6} million are shuffled`
      : undefined;
  },
  forwards: ({ graph }) => perGradient * (1 + stagesOf(graph).length),
  derived: byAll,
  async compute(explained): Promise<Explanation> {
    const stages = stagesOf(explained.graph);
    const stored = await storedValues(explained, stages);
    const derived = await explained.derived();
    const read = whyNoRelevance(explained.probes) === undefined ? readRows(derived.maps) : undefined;
    const before = picturesOf(explained, derived, read);
    const given: Record<string, Values> = { ...stored };
    const tensors: Record<string, Values> = {};
    const rows: number[][] = [];
    let own = seed;
    for (const [index, { path, tensors: parts }] of stages.entries()) {
      explained.question.progress?.(`randomisation, ${index + 1} of ${stages.length}: ${path}`);
      for (const tensor of parts) Object.assign(given, shuffledTensor(tensor, stored, own++));
      const now = await explained.derivedWith(
        'randomised',
        (graph) => cutAt(graph, Object.keys(stored)),
        given,
      );
      const after = picturesOf(explained, now, read);
      if (read && after.relevance)
        tensors[`randomisation.${path}.relevance`] = float32(read.grid, after.relevance);
      rows.push([...correlations(before, after)]);
    }
    tensors['randomisation.spearman'] = float32([rows.length, rows[0]?.length ?? 0], rows.flat());
    return {
      tensors,
      notes: [
        `rows: ${stages.map(({ path }) => path).join(', ')}; columns: ${read ? 'relevance, ' : ''}gradient`,
        'final norm, special tokens and positions stay as they are',
      ],
    };
  },
};
