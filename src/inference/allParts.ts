import { elementCount, type DType } from '../checkpoint/tensors';
import { at } from '../domain/lists';
import type { Graph } from '../graph/graph';
import { tapNames } from '../graph/rewrite/tapNames';
import type { GraphSize, Model } from '../models/model';
import type { TensorData } from './remoteApi';

type Tensors = Readonly<Record<string, TensorData>>;

type Lengths = Readonly<Record<string, number>>;

/**
 * Inputs that say how many texts, tokens, frames and patches a model is given; of those that say
 * the same the last one counts. A box alone is a prompt without points.
 */
const told: Readonly<Record<string, (shape: readonly number[], data: TensorData['data']) => Lengths>> = {
  input_ids: ([texts = 1, text = 1]) => ({ texts, text }),
  src: ([texts = 1, text = 1]) => ({ texts, text }),
  tgt: ([, decoder = 1]) => ({ decoder }),
  decoder_input_ids: ([, decoder = 1]) => ({ decoder }),
  input_boxes: ([, prompts = 1]) => ({ prompts, points: 0, boxes: 1 }),
  input_points: ([, prompts = 1, points = 1]) => ({ prompts, points }),
  pixel_values: (shape): Lengths => {
    const [, count = 1] = shape;
    return shape.length === 5 ? { frames: count } : shape.length === 3 ? { patches: count } : {};
  },
  // A batch that was filled up is another graph.
  pixel_mask: (shape, data): Lengths => (zerosIn({ dtype: 'F32', shape, data }) > 0 ? { masked: 1 } : {}),
  // Rows and columns of the patches of an image; their number alone may be known.
  spatial_shapes: (_, [rows, columns]): Lengths =>
    rows === undefined || columns === undefined ? {} : { rows: Number(rows), columns: Number(columns) },
};

/** Inputs whose absence says something: nothing is hidden from a model of masked images. */
const untold: Readonly<Record<string, Lengths>> = { bool_masked_pos: { shown: 1 } };

/** Texts, tokens, frames and patches by given inputs. */
export const lengthsOf = (inputs: Tensors): Lengths =>
  Object.fromEntries(
    Object.entries(told).flatMap(([name, of]) => {
      const input = inputs[name];
      return input ? Object.entries(of(input.shape, input.data)) : [];
    }),
  );

/** What graphs are written for: lengths by given inputs, and what those that are not given say. */
export const settledBy = (inputs: Tensors): Lengths => ({
  ...Object.fromEntries(
    Object.entries(untold).flatMap(([name, says]) => (inputs[name] ? [] : Object.entries(says))),
  ),
  ...lengthsOf(inputs),
});

/**
 * Runs every part of a model on given tensors, each with what earlier ones answered; returns every
 * output, and every map as `attention.N` in the order of execution, with `attention.N.places` where
 * it says where its keys lie. Maps of several texts are one each.
 *
 * @param run runs one graph: its outputs by name, its maps as `attention.0` …
 */
export async function runAllParts(
  model: Model,
  inputs: Tensors,
  size: GraphSize,
  run: (graph: Graph, feeds: Tensors) => Promise<Tensors>,
): Promise<Tensors> {
  const outputs: Record<string, TensorData> = {};
  const maps: TensorData[] = [];
  const places: Record<string, TensorData> = {};
  const sized = { ...size, lengths: settledBy(inputs) };
  requireMasksRead(model, inputs, sized);
  for (const { name, graph: graphAt } of model.parts) {
    const graph = graphAt(sized);
    const feeds = Object.fromEntries(
      graph.inputs.flatMap((input) => {
        const given = inputs[input.name] ?? outputs[input.name];
        return given ? [[input.name, ofType(given, input.dtype)] as const] : [];
      }),
    );
    // A part that nothing is given for takes no part: the text tower beside a lone image.
    if (Object.keys(feeds).length < graph.inputs.length) continue;
    const found = await run(graph, feeds);
    for (const [index] of graph.probes.entries()) {
      const map = found[tapNames.map(index)];
      const where = found[tapNames.places(index)];
      if (where) places[tapNames.places(maps.length)] = where;
      if (map) for (const each of name === 'text' ? byText(map) : [map]) maps.push(each);
    }
    for (const { name: output } of graph.outputs) {
      const value = found[output];
      if (value) outputs[output] = value;
    }
  }
  const numbered = maps.map((map, index) => [tapNames.map(index), map] as const);
  return { ...outputs, ...Object.fromEntries(numbered), ...places };
}

/** Numbers that are 0. */
function zerosIn({ data }: TensorData): number {
  let zeros = 0;
  for (let at = 0; at < data.length; at++) if (Number(data[at]) === 0) zeros++;
  return zeros;
}

/**
 * Refuses images that were padded to one size if the library's model looks at which pixels were,
 * and no part here does: it would take them for a part of the image.
 */
function requireMasksRead(
  { parts, recognition }: Model,
  { pixel_mask: mask }: Tensors,
  size: GraphSize,
): void {
  if (!mask || recognition.family === null || !recognition.masksPixels || zerosIn(mask) === 0) return;
  if (parts.some(({ graph }) => graph(size).inputs.some(({ name }) => name === 'pixel_mask'))) return;
  throw new Error(
    `pixel_mask [${mask.shape.join(', ')}] has ${zerosIn(mask)} zeros: images padded to one size are not ` +
      `run with ${recognition.title}; run each by itself, or images of one size without padding`,
  );
}

/** Integers for an input that takes such, whatever type a file keeps them in. */
function ofType(given: TensorData, wanted: DType): TensorData {
  if (wanted !== 'I64' || given.dtype === 'I64') return given;
  const data = new BigInt64Array(given.data.length);
  for (let index = 0; index < data.length; index++)
    data[index] = BigInt(Math.round(Number(given.data[index])));
  return { dtype: 'I64', shape: given.shape, data };
}

/** A map `[texts, heads, queries, keys]` as one for each text. */
function byText(map: TensorData): readonly TensorData[] {
  const { shape, data } = map;
  if (shape.length !== 4 || !(data instanceof Float32Array)) return [map];
  const own = shape.slice(1);
  const size = elementCount(own);
  return Array.from({ length: at(shape, 0) }, (_, text) => ({
    ...map,
    shape: own,
    data: data.subarray(text * size, (text + 1) * size),
  }));
}
