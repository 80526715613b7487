import { elementCount } from '../checkpoint/tensors';
import { at, sum } from '../domain/lists';
import { valueOf, type Graph } from '../graph/graph';
import { tapNames } from '../graph/rewrite/tapNames';
import { givenTensor } from './given';
import type { AttentionBudget } from '../graph/rewrite/taps';
import type { OpenedModel } from '../models/openedModels';
import type { Given, SeenImage } from '../tasks/run';
import {
  graphOf,
  graphsOfText,
  nothingGiven,
  type OutputValues,
  type Prepared,
  type Step,
  type Written,
} from '../tasks/task';
import { taskOf, type NamedTask } from '../tasks/tasks';
import type { TextMap, TextRun } from '../tasks/textRun';
import type { RemoteInference } from './client';
import { modelRequest } from './modelRequest';
import type { ModelRequest, SessionRequest, TensorData } from './remoteApi';

/** A text, or what else is given to a model that reads no image. */
export interface TextRequest {
  readonly opened: OpenedModel;
  readonly given: Given;
  /** Hand back what every token looked at. */
  readonly maps?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: ((message: string) => void) | undefined;
  /** The text that is being written, after each of its tokens. */
  readonly onText?: ((text: string) => void) | undefined;
}

/** A step with what runs it; of a text that is generated its two passes. */
interface ReadyStep {
  readonly step: Step;
  readonly graph: Graph;
  readonly model: ModelRequest;
  readonly each?: ModelRequest;
}

/** A text request with everything resolved that needs no inference process. */
export interface PreparedText {
  readonly request: TextRequest;
  readonly asked: NamedTask;
  readonly given: Prepared;
  readonly steps: readonly ReadyStep[];
}

/** Maps of one graph that are asked for as they are: what a message between processes carries. */
const budget: AttentionBudget = { whole: 1e9, kept: 0 };
/**
 * Bytes of an encoder's maps that are handed on: 12 layers and heads of 512 tokens need 151 MB, 6
 * and 8 of 100 tokens 2.
 */
const mapBytes = 256e6;

/** Resolves a request. Throws if the model cannot be run, or says what has to be given. */
export async function preparedText(request: TextRequest, threads: number): Promise<PreparedText> {
  const { opened } = request;
  const { model } = opened;
  const asked = taskOf(model);
  const given = (await asked.task.prepare?.(model, request.given)) ?? nothingGiven;
  const steps = asked.task.program(model, {}, given).steps.map((step): ReadyStep => {
    const ready = (graph: Graph): ModelRequest => modelRequest(opened, graph, { threads, attention: budget });
    if (!step.generation) {
      const graph = graphOf(model, step);
      return { step, graph, model: ready(graph) };
    }
    const graphs = graphsOfText(model, step, step.generation);
    return { step, graph: graphs.start, model: ready(graphs.start), each: ready(graphs.step) };
  });
  return { request, asked, given, steps };
}

/** Loads a model that is one of so many parts of a request. */
export type Load = (model: ModelRequest, session: SessionRequest, parts: number) => Promise<void>;

/** Runs the steps of a text, on the CPU: the runtime's cache of keys and values lies there. */
export async function runText(remote: RemoteInference, prepared: PreparedText, load: Load): Promise<TextRun> {
  const { request, steps } = prepared;
  const outputs: (readonly OutputValues[])[] = [];
  const written: Written[] = [];
  const maps: TextMap[] = [];
  const times = { load: 0, run: 0 };
  const parts = sum(steps.map(({ each }) => (each ? 2 : 1)));
  for (const ready of steps) {
    const { step, model, each } = ready;
    const wantsMaps =
      (request.maps ?? false) && (step.generation ? written.length === 0 : isSmall(ready.graph));
    const session = { provider: 'cpu', attention: wantsMaps };
    const started = performance.now();
    await load(model, session, parts);
    if (each) await load(each, session, parts);
    times.load += performance.now() - started;
    const inputs = Object.fromEntries(
      Object.entries(step.inputs).map(([name, source]) => [name, givenTensor(source, outputs)]),
    );
    if (each && step.generation) {
      const { name: _, ...search } = step.generation;
      const asked = { ...search, inputs, provider: 'cpu', maps: wantsMaps };
      const found = await remote.generate({ start: model.key, step: each.key }, asked);
      times.run += found.milliseconds;
      written.push({ generation: step.generation, sequences: found.sequences });
      for (const [index, map] of (found.maps ?? []).entries()) maps.push(mapOf(ready.graph, index, map));
      outputs.push([]);
      continue;
    }
    const begun = performance.now();
    const found = await remote.runTensors(model.key, inputs, 'cpu');
    times.run += performance.now() - begun;
    outputs.push(step.outputs.map((name) => outputValues(ready.graph, name, found[name])));
    if (wantsMaps)
      ready.graph.probes.forEach((_, index) => {
        const map = found[tapNames.map(index)];
        if (map) maps.push(mapOf(ready.graph, index, map));
      });
  }
  return viewOf(prepared, { outputs: outputs.flat(), written, maps, times });
}

/** Whether the maps of a graph are few enough to be handed on. */
const isSmall = (graph: Graph): boolean =>
  4 * sum(graph.probes.map(({ value }) => elementCount(valueOf(graph, value).shape))) <= mapBytes;

function outputValues(graph: Graph, name: string, found: TensorData | undefined): OutputValues {
  const output = graph.outputs.find((each) => each.name === name);
  if (!output || !(found?.data instanceof Float32Array)) throw new Error(`the model answers no ${name}`);
  return { name, means: output.means, shape: found.shape, values: found.data };
}

/** A map of one text `[heads, queries, keys]`, with the layer that it is of. */
function mapOf({ probes }: Graph, index: number, { shape, data }: TensorData): TextMap {
  const { layer, kind, heads } = at(probes, index);
  const [keys = 0, queries = 0] = shape.toReversed();
  return { layer, kind, heads, queries, keys, values: data as Float32Array };
}

/** What stands for the image where a task reads an answer without one. */
const noImage: SeenImage = {
  image: '',
  pixels: { width: 0, height: 0, rgb: new Uint8Array() },
  size: [0, 0],
  seen: { width: 0, height: 0, rgb: new Uint8Array() },
  region: { x: 0, y: 0, width: 0, height: 0 },
  orientation: { exif: 1, applied: false },
};

const piecesOf = ({ spelling }: Prepared): TextRun['source'] =>
  spelling ? spelling.source.map((id) => ({ id, text: spelling.token(id), shown: spelling.shown(id) })) : [];

interface Found extends Pick<TextRun, 'maps' | 'times'> {
  readonly outputs: readonly OutputValues[];
  readonly written: readonly Written[];
}

function viewOf({ request, asked, given }: PreparedText, { outputs, written, maps, times }: Found): TextRun {
  const { checkpoint, recognition } = request.opened.model;
  const known = recognition.family === null ? undefined : recognition;
  const context = {
    config: checkpoint.sidecars.config,
    topK: 1,
    imageSize: [0, 0] as const,
    ...(known?.reading && { reading: known.reading }),
    given,
    written,
  };
  return {
    checkpoint: request.opened.path,
    modelTitle: known?.title ?? checkpoint.format,
    task: asked.name,
    ...(known?.share && { share: known.share }),
    answer: asked.task.read(outputs, noImage, context),
    source: piecesOf(given),
    maps,
    ...(request.maps &&
      maps.length === 0 && { noMaps: 'The text is too long: what its tokens look at is too much to keep.' }),
    provider: 'cpu',
    times,
    warnings: [...(known?.warnings ?? []), ...(given.remarks ?? [])],
  };
}
