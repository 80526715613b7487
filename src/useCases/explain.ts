import { ownLayerNames, namesOf } from '../analysis/ownNames';
import { at } from '../domain/lists';
import type { Size } from '../domain/size';
import { camLayerAt, modulesOf, type CamLayer } from '../explain/camLayer';
import {
  Explained,
  onlyOutputs,
  valuesIn,
  type Named,
  type Question,
  type RunGraph,
  type Values,
} from '../explain/explained';
import { explain, type Outcome } from '../explain/methods';
import type { ExplainOptions } from '../explain/method';
import type { TensorData } from '../inference/remoteApi';
import type { Inference } from '../inference/service';
import { labelsOfHeads } from '../labels/labels';
import type { Graph } from '../graph/graph';
import type { Model } from '../models/model';
import type { OpenedModel } from '../models/openedModels';
import { explainedGraph, type ExplainedGraph, type ScoresOf, type Subject } from './subject';

/** What is to be explained, of an opened model and what it sees. */
export interface ExplainRequest {
  readonly opened: OpenedModel;
  /** `[1, channels, height, width]`, float32, as the model sees the image. */
  readonly pixels: TensorData;
  /** What of the answer is explained: texts that are given, an object's query. */
  readonly subject?: Subject;
  readonly methods: readonly string[] | 'all';
  /** Number or name of a class; the likeliest one without it. */
  readonly target?: string;
  /** A second class, which the first is held against. */
  readonly contrast?: string;
  /** Module whose output activation maps are made of, by the graph's name or the file's own. */
  readonly camLayer?: string;
  readonly options?: Omit<ExplainOptions, 'camLayer'>;
  readonly signal?: AbortSignal;
  readonly progress?: (message: string) => void;
}

/** A class by its number, and what it is called. */
export interface NamedClass {
  readonly index: number;
  readonly label: string;
}

/** What methods found of an image. */
export interface ExplainedImage {
  readonly output: string;
  readonly target: NamedClass;
  readonly contrast?: NamedClass;
  readonly imageSize: Size;
  readonly outcomes: readonly Outcome[];
}

/**
 * Explains one value of a model's output for an image. Throws if the model has no scores or vector
 * of the image, if it has no class of the name, or if an operator on the way has no derivative.
 */
export async function explainImage(inference: Inference, request: ExplainRequest): Promise<ExplainedImage> {
  const { opened, pixels, methods, signal, progress, options = {} } = request;
  const [height = 0, width = 0] = pixels.shape.slice(2);
  const imageSize: Size = [height, width];
  const model = opened.model.at(imageSize);
  const subject = request.subject ?? {};
  const run = graphRunner(inference, opened, { subject, signal });
  const seen = { shape: pixels.shape, data: pixels.data as Float32Array };
  const asked = await explainedGraph(model, imageSize, subject, scoresBy(run, seen));
  const { graph } = asked;
  const question = {
    ...questionOf(asked),
    pixels: seen,
    run,
    ...(signal && { signal }),
    ...(progress && { progress }),
  };
  const first = new Explained({ ...question, target: 0 });
  const scores = await first.outputOf(seen);
  const labels = asked.labels ?? explainedLabels(model, first);
  const target =
    request.target === undefined ? likeliest(scores) : indexOf(request.target, labels, scores.length);
  const contrast =
    request.contrast === undefined ? undefined : indexOf(request.contrast, labels, scores.length);
  const explained = new Explained({ ...question, target, ...(contrast !== undefined && { contrast }) });
  const camLayer =
    request.camLayer === undefined ? undefined : namedLayer(model, graph, request.camLayer, imageSize);
  const outcomes = await explain(explained, methods, { ...options, ...(camLayer && { camLayer }) });
  const named = (index: number): NamedClass => ({
    index,
    label: labels[index] ?? `${explained.output.name} ${index}`,
  });
  return {
    output: explained.output.name,
    target: named(target),
    ...(contrast !== undefined && { contrast: named(contrast) }),
    imageSize,
    outcomes,
  };
}

/** What of a graph that answers a question goes into the question. */
export const questionOf = ({
  graph,
  words,
  query,
}: ExplainedGraph): Pick<Question, 'graph' | 'words' | 'query'> => ({
  graph,
  ...(words && { words }),
  ...(query && { query }),
});

/** Runs a graph for the scores of all queries. */
export const scoresBy =
  (run: RunGraph, pixels: Values): ScoresOf =>
  async (graph, output) => {
    const input = at(graph.inputs, 0).name;
    const found = await run('queries', onlyOutputs(graph, [output]), { [input]: pixels });
    return valuesIn(found, output.name).data;
  };

/**
 * Runs graphs that are made of an opened model's own; graphs that differ by what is explained have
 * names of their own.
 */
export function graphRunner(
  inference: Inference,
  opened: OpenedModel,
  { subject = {}, signal }: { readonly subject?: Subject; readonly signal?: AbortSignal | undefined },
): RunGraph {
  const about = JSON.stringify(subject);
  return async (variant, graph, inputs) => {
    const given = Object.entries(inputs).map(
      ([name, { shape, data }]) => [name, { dtype: 'F32', shape, data }] as const,
    );
    const found = await inference.runGraph({
      opened,
      graph,
      variant: `explain ${variant} ${about}`,
      inputs: Object.fromEntries<TensorData>(given),
      ...(signal && { signal }),
    });
    return floatsOf(found);
  };
}

function floatsOf(found: Readonly<Record<string, TensorData>>): Named {
  const entries = Object.entries(found).flatMap(([name, { shape, data }]) =>
    data instanceof Float32Array ? [[name, { shape, data }] as const] : [],
  );
  return Object.fromEntries(entries);
}

/** What classes are called; nothing if the output has none. */
export function explainedLabels({ checkpoint }: Model, explained: Explained): readonly string[] {
  if (!explained.hasClasses) return [];
  const { sidecars, classNames } = checkpoint;
  return labelsOfHeads({ config: sidecars.config, classNames }, [explained.classes])[0]?.names ?? [];
}

const likeliest = (scores: Float32Array): number =>
  scores.reduce((best, score, index) => (score > at(scores, best) ? index : best), 0);

/** A class by its number or its name, whatever its case. */
function indexOf(text: string, labels: readonly (string | undefined)[], classes: number): number {
  const number = Number(text);
  if (text.trim() !== '' && Number.isInteger(number)) {
    if (number >= 0 && number < classes) return number;
    throw new Error(`class ${text}: a number from 0 to ${classes - 1} is needed`);
  }
  const wanted = text.trim().toLowerCase();
  const found = labels.flatMap((label = '', index) =>
    label.split(',').some((name) => name.trim().toLowerCase() === wanted) || label.toLowerCase() === wanted
      ? [index]
      : [],
  );
  if (found.length === 1) return at(found, 0);
  if (found.length > 1)
    throw new Error(`class ${text}: ${found.join(', ')} are called so; name one by its number`);
  throw new Error(`class ${text}: none is called so; a number from 0 to ${classes - 1} works, too`);
}

/**
 * Libraries of other versions call what lies around a module otherwise: `encoder.layer.2.norm1` and
 * `layers.2.norm1`.
 */
function isAlike(own: string, named: string): boolean {
  const told = (path: string): string =>
    path
      .split('.')
      .filter((part, index, all) => /^\d+$/.test(part) || index === all.length - 1)
      .join('.');
  return own.includes('.') && told(own) === told(named);
}

function namedLayer(model: Model, graph: Graph, name: string, image: Size): CamLayer {
  const paths = modulesOf(graph);
  if (paths.includes(name)) return camLayerAt(graph, name, image);
  const own = ownLayerNames(
    paths.map((layer) => ({ layer })),
    namesOf(model),
  );
  const exact = own.indexOf(name);
  const index = exact < 0 ? own.findIndex((path) => isAlike(path, name)) : exact;
  if (index < 0)
    throw new Error(`${name}: the model has no such module; ${paths.slice(-3).join(', ')} are some`);
  return camLayerAt(graph, at(paths, index), image);
}
