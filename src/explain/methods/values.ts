import { at } from '../../domain/lists';
import { headOutputs, type HeadOutputs } from '../../graph/find/headOutputs';
import type { Explained, MapOf, Values } from '../explained';
import type { Method } from '../method';
import { whyNoStream } from '../stream';
import { whyNoAttention } from './common';

/** A layer whose heads' outputs were found, and its number. */
interface HeadLayer {
  readonly index: number;
  readonly heads: HeadOutputs;
}

/** Layers of tokens that attend to one another, whose heads' outputs stand side by side. */
function layersOf({ graph, probes }: Explained): readonly HeadLayer[] {
  return probes.flatMap((probe, index) => {
    const heads = probe.window || probe.kind === 'activation' ? undefined : headOutputs(graph, probe);
    return heads ? [{ index, heads }] : [];
  });
}

/** Values of each layer, `[heads, keys, d]`. */
async function headValues(explained: Explained): Promise<readonly Values[]> {
  const names = layersOf(explained).map(({ heads }) => heads.values);
  return explained.once('head values', async () =>
    (await explained.values(names)).map(({ shape, data }) => ({ shape: shape.slice(-3), data })),
  );
}

function lengths({ shape, data }: Values): Float64Array {
  const [heads = 1, keys = 1, width = 1] = shape;
  return Float64Array.from({ length: heads * keys }, (_, row) =>
    Math.sqrt(data.subarray(row * width, (row + 1) * width).reduce((sum, value) => sum + value * value, 0)),
  );
}

/** Each weight times the length of the value that it weights, `[heads, queries, keys]`. */
function weightedLengths({ map }: MapOf, values: Values): Values {
  const [heads = 1, queries = 1, keys = 1] = map.shape.slice(-3);
  const length = lengths(values);
  const data = map.data.map(
    (weight, place) => weight * (length[Math.floor(place / (queries * keys)) * keys + (place % keys)] ?? 0),
  );
  return { shape: [heads, queries, keys], data };
}

const whyNoValues = (explained: Explained): string | undefined => {
  const reason = whyNoAttention(explained);
  if (reason !== undefined) return reason;
  const stream = whyNoStream(explained);
  if (stream !== undefined) return stream;
  return layersOf(explained).length > 0 ? undefined : 'no product of attention and values was found';
};

const valueNorm: Method = {
  name: 'value_norm',
  title: 'Attention × value norm',
  text: 'Attention weighted by how long the value is that it brings: class token and registers are often looked at much and bring little.',
  formula: 'a · ‖v‖',
  source: 'Kobayashi et al. 2020, §3',
  whyNot: whyNoValues,
  forwards: () => 1,
  async compute(explained) {
    const [maps, values] = [await explained.maps(), await headValues(explained)];
    const found = layersOf(explained).map(
      ({ index }, place) =>
        [`value_norm.${index}`, weightedLengths(at(maps, index), at(values, place))] as const,
    );
    return { tensors: Object.fromEntries(found) };
  },
};

/** Rows of the projection's weight that each head's values are multiplied by. */
interface Projection {
  readonly heads: HeadOutputs;
  readonly weight: Values;
}

/** What each head makes of one key, `[heads, out]`. */
function projected(
  { heads: { columns, isTransposed }, weight }: Projection,
  { shape, data }: Values,
  key: number,
): Float64Array {
  const [heads = 1, keys = 1, width = 1] = shape;
  const out = at(weight.shape, isTransposed ? 0 : 1);
  const result = new Float64Array(heads * out);
  columns.forEach(({ head, place }, column) => {
    const value = data[(head * keys + key) * width + place] ?? 0;
    for (let channel = 0; channel < out; channel++) {
      const own = isTransposed ? channel * columns.length + column : column * out + channel;
      const at = head * out + channel;
      result[at] = (result[at] ?? 0) + value * (weight.data[own] ?? 0);
    }
  });
  return result;
}

/** Products of what the heads make of a key with one another, `[heads, heads]`. */
function products(made: Float64Array, heads: number): Float64Array {
  const out = made.length / heads;
  return Float64Array.from({ length: heads * heads }, (_, place) => {
    const [left, right] = [Math.floor(place / heads) * out, (place % heads) * out];
    let sum = 0;
    for (let channel = 0; channel < out; channel++)
      sum += (made[left + channel] ?? 0) * (made[right + channel] ?? 0);
    return sum;
  });
}

/**
 * Length of what each key brings each query through all heads, `[queries, keys]`. The square of a
 * sum over heads is a sum over pairs of them, whose products do not depend on the query.
 */
function broughtLengths({ map }: MapOf, values: Values, projection: Projection): Values {
  const [heads = 1, queries = 1, keys = 1] = map.shape.slice(-3);
  const data = new Float32Array(queries * keys);
  for (let key = 0; key < keys; key++) {
    const pairs = products(projected(projection, values, key), heads);
    for (let query = 0; query < queries; query++) {
      let sum = 0;
      for (let head = 0; head < heads; head++) {
        const weight = map.data[(head * queries + query) * keys + key] ?? 0;
        for (let other = 0; other < heads; other++)
          sum +=
            weight *
            (map.data[(other * queries + query) * keys + key] ?? 0) *
            (pairs[head * heads + other] ?? 0);
      }
      data[query * keys + key] = Math.sqrt(Math.max(0, sum));
    }
  }
  return { shape: [queries, keys], data };
}

const kobayashi: Method = {
  name: 'kobayashi',
  title: 'Norm of what attention brings',
  text: 'How long the vector is that each key adds to each query through all heads and the output projection. The value’s bias is in it, the projection’s is not.',
  formula: '‖Σ over heads of a · v · W_O‖',
  source: 'Kobayashi et al. 2020, §3',
  whyNot: (explained) => {
    const reason = whyNoValues(explained);
    if (reason !== undefined) return reason;
    return layersOf(explained).every(({ heads }) => heads.isDirect)
      ? undefined
      : 'a norm or a gate stands between the heads and the output projection';
  },
  forwards: () => 1,
  async compute(explained) {
    const [maps, values] = [await explained.maps(), await headValues(explained)];
    const layers = layersOf(explained);
    const weights = await explained.values(layers.map(({ heads }) => heads.weight));
    const found = layers.map(({ index, heads }, place) => {
      explained.question.progress?.(`norms, layer ${place + 1} of ${layers.length}`);
      const projection = { heads, weight: at(weights, place) };
      return [`kobayashi.${index}`, broughtLengths(at(maps, index), at(values, place), projection)] as const;
    });
    return { tensors: Object.fromEntries(found) };
  },
};

/** What attention brings, not only where it looks. */
export const ofValues: readonly Method[] = [valueNorm, kobayashi];
