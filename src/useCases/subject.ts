import { at } from '../domain/lists';
import type { Probe } from '../domain/probes';
import type { Size } from '../domain/size';
import type { Reading } from '../domain/reading';
import { valueOf, type ConstantTensor, type Graph, type GraphOutput } from '../graph/graph';
import { extend } from '../graph/rewrite/extend';
import { joined, withGiven } from '../graph/rewrite/join';
import type { Model } from '../models/model';
import { namesOf } from '../tasks/detect/detect';
import { lengthsOfIds } from '../tasks/partsProgram';
import type { Given } from '../tasks/run';
import { outputOf, type GivenTensor } from '../tasks/task';
import { promptsIn, readTexts } from '../tasks/words';

/** What of a model's answer is explained, beside its classes. */
export interface Subject {
  /** Texts that the image is compared with: `labels` and `template`, as the task reads them. */
  readonly given?: Given;
  /** Number of an object query, of a model that finds objects. */
  readonly query?: number;
}

/** A graph whose one explained output is a row of numbers, and what these are called. */
export interface ExplainedGraph {
  /** Its probes are of the image. */
  readonly graph: Graph;
  /** Attention over the tokens of the texts, one text after the other. */
  readonly words?: readonly Probe[];
  /** Object query whose scores the output is, and how many there are. */
  readonly query?: { readonly index: number; readonly count: number };
  /** What the numbers of the output are called, if the question says so. */
  readonly labels?: readonly (string | undefined)[];
}

/** Runs a graph that gives scores of all queries: `[queries, classes]`, row-major. */
export type ScoresOf = (graph: Graph, output: GraphOutput) => Promise<Float32Array>;

/**
 * The graph that answers a question: of the texts that are given, one score each; of a model that
 * finds objects the classes of one of its queries, the surest one without a number; else the
 * model's own. Throws if the question does not fit the model.
 */
export async function explainedGraph(
  model: Model,
  imageSize: Size,
  subject: Subject,
  scoresOf: ScoresOf,
): Promise<ExplainedGraph> {
  const graph = model.graph({ imageSize });
  const reading = model.recognition.family === null ? undefined : model.recognition.reading;
  if (promptsIn(subject.given ?? {}).length > 0) {
    if (reading?.task !== 'zero-shot')
      throw new Error('a text is given: the model compares no image with texts');
    return withTexts(model, graph, imageSize, subject.given ?? {}, reading);
  }
  const logits = outputOf(graph.outputs, 'logits');
  const finds = logits && reading?.task === 'detect' && valueOf(graph, logits.value).shape.length === 3;
  if (finds) return withQuery(model, graph, logits, subject.query, reading, scoresOf);
  if (subject.query !== undefined)
    throw new Error(`query ${subject.query}: the model finds no objects by queries`);
  return { graph };
}

const asConstant = ({ dtype, shape, data }: GivenTensor): ConstantTensor => ({
  dtype,
  shape,
  bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
});

/** The parts for image, texts and scores as one graph that reads the image alone. */
async function withTexts(
  model: Model,
  image: Graph,
  imageSize: Size,
  given: Given,
  reading: Extract<Reading, { readonly task: 'zero-shot' }>,
): Promise<ExplainedGraph> {
  const prompts = promptsIn(given);
  const texts = prompts.map(({ text }) => text);
  const { ids, mask } = await readTexts(model, texts, reading);
  const tensors = new Map([
    ['input_ids', asConstant(ids)],
    ['attention_mask', asConstant(mask)],
  ]);
  const lengths = lengthsOfIds(ids);
  const [, ...others] = model.parts;
  const whole = others.reduce(
    (graph, part) => joined(graph, withGiven(part.graph({ imageSize, lengths }), tensors), `${part.name}:`),
    image,
  );
  const scores = outputOf(whole.outputs, 'scores');
  if (!scores || whole.inputs.length !== 1)
    throw new Error('the model compares no image with texts by graphs that can be joined');
  return {
    graph: {
      ...whole,
      outputs: [{ ...scores, means: 'logits', activation: reading.scores }],
      probes: image.probes,
    },
    words: whole.probes.slice(image.probes.length),
    labels: prompts.map(({ label }) => label),
  };
}

/** The graph whose output is what one query says of the classes, `[1, classes]`. */
async function withQuery(
  model: Model,
  graph: Graph,
  logits: GraphOutput,
  asked: number | undefined,
  reading: Extract<Reading, { readonly task: 'detect' }>,
  scoresOf: ScoresOf,
): Promise<ExplainedGraph> {
  const [, count = 0, classes = 0] = valueOf(graph, logits.value).shape;
  if (asked !== undefined && !(Number.isInteger(asked) && asked >= 0 && asked < count))
    throw new Error(`query ${asked}: a number from 0 to ${count - 1} is needed`);
  const isSoftmax = reading.rule === 'softmax';
  const index = asked ?? surest(await scoresOf(graph, logits), [count, classes], isSoftmax);
  const ended = extend(graph, 'query', (b, value) => {
    const row = b.slice(value(logits.value), 1, index, index + 1);
    b.output(`query.${index}`, b.reshape(row, [1, classes]), 'logits');
  });
  const { checkpoint } = model;
  const named = isSoftmax ? classes - 1 : classes;
  const context = { config: checkpoint.sidecars.config, classNames: checkpoint.classNames };
  const { names } = namesOf(context, named);
  return {
    graph: {
      ...ended,
      outputs: [
        { ...at(ended.outputs, ended.outputs.length - 1), activation: isSoftmax ? 'softmax' : 'sigmoid' },
      ],
    },
    query: { index, count },
    labels: [
      ...Array.from({ length: named }, (_, place) => names[place] ?? `class ${place}`),
      ...(isSoftmax ? ['no object'] : []),
    ],
  };
}

/** The query whose best class is surest; beside "no object", the last one, if scores are shares. */
function surest(
  scores: Float32Array,
  [count, classes]: readonly [number, number],
  isSoftmax: boolean,
): number {
  let [best, most] = [0, -Infinity];
  for (let query = 0; query < count; query++) {
    const row = scores.subarray(query * classes, (query + 1) * classes);
    const largest = row.reduce((high, value) => Math.max(high, value), -Infinity);
    const total = row.reduce((sum, value) => sum + Math.exp(value - largest), 0);
    const own = row
      .subarray(0, isSoftmax ? classes - 1 : classes)
      .reduce((high, value) => Math.max(high, value), -Infinity);
    const score = isSoftmax ? Math.exp(own - largest) / total : own;
    if (score > most) [best, most] = [query, score];
  }
  return best;
}
