import type {
  Explainable,
  ExplainQuestion,
  Faithfulness,
  OfferedMethod,
  Shown,
  Walk,
  WalkQuestion,
} from '../domain/explanation';
import { at, sum } from '../domain/lists';
import { Recent } from '../domain/recent';
import { elementCount } from '../checkpoint/tensors';
import { encodeSafetensors } from '../checkpoint/formats/safetensorsWriter';
import { Explained, type Found, type Named, type RunGraph, type Values } from '../explain/explained';
import { faithfulness, passesOfCurve, type TestedMap } from '../explain/faithfulness';
import type { Explanation } from '../explain/method';
import { checkedOf } from '../explain/checked';
import { explain, methodBytes, methodOf, methods } from '../explain/methods';
import { shownOf } from '../explain/shown';
import { sumsOf } from '../explain/sums';
import { walk } from '../explain/walk';
import { valueOf } from '../graph/graph';
import type { ClassifyRequest, Inference } from '../inference/service';
import type { Model } from '../models/model';
import type { OpenedModel } from '../models/openedModels';
import { explainedLabels, graphRunner, questionOf, scoresBy } from './explain';
import { explainedGraph, type ExplainedGraph, type Subject } from './subject';

/** The image that is explained, as it was run. */
export type ExplainingRequest = Pick<ClassifyRequest, 'image' | 'options'> & { readonly opened: OpenedModel };

/** How one question is asked. */
export interface Asked {
  readonly signal: AbortSignal;
  readonly progress: (message: string) => void;
}

/** Bytes of maps and their derivatives that are kept between questions. */
const keptBytes = 256e6;
/** Targets whose maps and derivatives are kept at most: a class and the one it is held against. */
const keptTargets = 2;
/** Explanations that are kept to be looked at again, without what is drawn of none. */
const keptShown = 32;
/** Bytes of tensors up to which an explanation is kept to be saved. */
const savedBytes = 64e6;
/**
 * Milliseconds that a pass may go on after nobody wants it any more: ending it ends the process,
 * which then loads the model again.
 */
const patience = 2000;

/**
 * One image and one model, asked why again and again: what questions have in common is computed
 * once. Questions are answered one after the other; one that nobody wants any more ends after the
 * pass that runs.
 */
export class Explaining {
  private readonly found: Recent<number, Found>;
  private readonly shown = new Recent<string, Shown>(keptShown);
  private readonly tensors = new Recent<string, Named>(keptTargets);
  private turn: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly inference: Inference,
    private readonly opened: OpenedModel,
    private readonly asked: ExplainedGraph,
    private readonly subject: Subject,
    private readonly pixels: Values,
    readonly explainable: Explainable,
  ) {
    const { graph } = asked;
    const bytes = sum(graph.probes.map(({ value }) => 2 * 4 * elementCount(valueOf(graph, value).shape)));
    const room = Math.floor(keptBytes / Math.max(1, bytes));
    this.found = new Recent(Math.min(keptTargets, room));
  }

  /**
   * Prepares the image as its run did and asks for the scores of all classes. Throws if the model
   * has nothing that can be explained.
   */
  static async open(inference: Inference, request: ExplainingRequest, asked: Asked): Promise<Explaining> {
    const { opened } = request;
    const { signal } = asked;
    const { pixelValues } = await inference.preprocess({
      ...request,
      displaySide: 0,
      signal,
      onProgress: asked.progress,
    });
    const { shape, data } = pixelValues;
    if (shape.length !== 4 || shape[0] !== 1 || !(data instanceof Float32Array))
      throw new Error('Explanations are made of models that read one image as numbers; this one does not.');
    const pixels = { shape, data };
    const model = opened.model.at([at(shape, 2), at(shape, 3)]);
    const given = request.options?.given;
    const subject: Subject = given ? { given } : {};
    const run = patientRun(inference, opened, subject, signal);
    const explained = await explainedGraph(
      model,
      [at(shape, 2), at(shape, 3)],
      subject,
      scoresBy(run, pixels),
    );
    const first = new Explained({ ...questionOf(explained), pixels, target: 0, run });
    const scores = await first.outputOf(pixels);
    const labels = explained.labels ?? explainedLabels(model, first);
    const explainable: Explainable = {
      output: first.output.name,
      hasClasses: first.hasClasses,
      labels: Array.from(scores, (_, index) => labels[index] ?? `${first.output.name} ${index}`),
      scores: Float32Array.from(scores),
      methods: methods.map((method) => offered(method, first, architectureOf(model))),
      perCurve: passesOfCurve(first),
    };
    return new Explaining(inference, opened, explained, subject, pixels, explainable);
  }

  /** Explains one value. Throws if the method says nothing of this model, or the signal aborts. */
  explain(question: ExplainQuestion, asked: Asked): Promise<Shown> {
    return this.next(() => this.shownNow(question, asked));
  }

  /** How well the maps of methods say what matters for a value. */
  faithfulness(names: readonly string[], target: number, asked: Asked): Promise<Faithfulness> {
    return this.next(async () => {
      const tested: TestedMap[] = [];
      for (const method of names) {
        const { map } = await this.shownNow({ method, target }, asked);
        if (map) tested.push({ method, map });
      }
      const score = `${this.explainable.hasClasses ? 'probability' : 'value'} of ${at(this.explainable.labels, target)}`;
      return faithfulness(this.explained(target, asked), tested, score);
    });
  }

  /** One patch through one block. Throws if the block is none of a plain pre-norm transformer. */
  walk(question: WalkQuestion, asked: Asked): Promise<Walk> {
    return this.next(async () => walk(this.explained(0, asked), question));
  }

  /** All that a method found, as a safetensors file. */
  file(question: ExplainQuestion, asked: Asked): Promise<Uint8Array> {
    return this.next(async () => {
      const key = JSON.stringify(question);
      const tensors = this.tensors.get(key) ?? (await this.compute(question, asked)).tensors;
      const named = Object.entries(tensors).map(([name, { shape, data }]) => ({
        name,
        dtype: 'F32' as const,
        shape,
        bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      }));
      return Buffer.concat(encodeSafetensors(named));
    });
  }

  private async shownNow(question: ExplainQuestion, asked: Asked): Promise<Shown> {
    const key = JSON.stringify(question);
    const known = this.shown.get(key);
    if (known) return known;
    const explanation = await this.compute(question, asked);
    const explained = this.explained(question.target, asked);
    const sums = await sumsOf(explained, question.method, explanation);
    const shown = shownOf(explained, methodOf(question.method), explanation, sums);
    this.shown.set(key, shown);
    const bytes = sum(Object.values(explanation.tensors).map(({ data }) => data.byteLength));
    if (bytes <= savedBytes) this.tensors.set(key, explanation.tensors);
    return shown;
  }

  private async compute({ method, target }: ExplainQuestion, asked: Asked): Promise<Explanation> {
    const [outcome] = await explain(this.explained(target, asked), [method], {});
    if (outcome && 'explanation' in outcome) return outcome.explanation;
    throw new Error(`${outcome?.method.title ?? method}: ${outcome?.reason ?? 'nothing was found'}`);
  }

  private explained(target: number, { signal, progress }: Asked): Explained {
    const { asked, subject, pixels, inference, opened } = this;
    const run = patientRun(inference, opened, subject, signal);
    const found = this.found.ensure(target, () => new Map());
    return new Explained({ ...questionOf(asked), pixels, target, run, signal, progress }, found);
  }

  private next<T>(task: () => Promise<T>): Promise<T> {
    const own = this.turn.then(task);
    this.turn = own.catch(() => undefined);
    return own;
  }
}

/** The architecture whose graph was written here; undefined if the graph is a file's own. */
const architectureOf = ({ recognition }: Model): string | undefined =>
  recognition.family !== null && recognition.translation ? recognition.architecture : undefined;

const offered = (
  method: (typeof methods)[number],
  explained: Explained,
  architecture: string | undefined,
): OfferedMethod => {
  const { name, title, text, formula, source } = method;
  const whyNot = method.whyNot(explained);
  const forwards = whyNot === undefined ? method.forwards(explained, {}) : 0;
  const bytes = whyNot === undefined ? methodBytes(method, explained, {}) : undefined;
  const checked = checkedOf(name, architecture);
  return {
    ...{ name, title, text, formula, source, forwards },
    ...(bytes && { bytes }),
    ...(whyNot !== undefined && { whyNot }),
    ...(checked && { checked }),
  };
};

/** Runs graphs; a pass that nobody wants any more may end by itself, if it ends soon. */
function patientRun(
  inference: Inference,
  opened: OpenedModel,
  subject: Subject,
  signal: AbortSignal,
): RunGraph {
  return async (...asked) => {
    signal.throwIfAborted();
    const kill = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const soon = (): void => {
      timer = setTimeout(() => kill.abort(), patience);
    };
    signal.addEventListener('abort', soon, { once: true });
    try {
      const found = await graphRunner(inference, opened, { subject, signal: kill.signal })(...asked);
      signal.throwIfAborted();
      return found;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', soon);
    }
  };
}
