import { warningsOf } from '../tasks/answer';
import type { InputSize, ProviderView, Run, RunOptions } from '../tasks/run';
import type { Pixels } from '../domain/pixels';
import type { Probe } from '../domain/probes';
import type { Size } from '../domain/size';
import type { AttentionRows, Method, Query } from '../domain/query';
import type { CallOptions } from '../protocol/channel';
import { runAllParts } from './allParts';
import { at, pushAll } from '../domain/lists';
import { keyGrid, queryGrid } from '../attention/reading';
import { EncodedImages, encodedKey, imageKey, type EncodedImage, type KeptMaps } from './encodedImages';
import { givenTensor } from './given';
import { modelRequest } from './modelRequest';
import { withAnySignal } from '../domain/aborting';
import { Recent } from '../domain/recent';
import { hasGraph, type GraphSize, type Model } from '../models/model';
import type {
  Hello,
  ModelRequest,
  ImageRequest,
  Report,
  TextSoFar,
  ImageRun,
  ImageView,
  SessionRequest,
  StepRequest,
  TensorData,
} from './remoteApi';
import { withClassActivation } from '../graph/rewrite/classActivation';
import { namesOf, ownLayerNames } from '../analysis/ownNames';
import { rowsOfText, writtenMaps, type WrittenMaps } from './writtenMaps';
import { CancelledError, InferenceClient, type Log, type RemoteInference } from './client';
import { readsTexts } from '../models/reads';
import { requireMemory, type Limits } from './memory';
import type { OpenedModel } from '../models/openedModels';
import type { Preprocessing } from '../preprocessing/pipeline';
import { leftToGraph } from '../preprocessing/inside';
import { resolvePreprocessing } from '../preprocessing/resolve';
import { describePreprocessing, parseOverrides } from '../preprocessing/lines';
import type { Graph } from '../graph/graph';
import type { AttentionBudget } from '../graph/rewrite/taps';
import {
  graphOf,
  nothingGiven,
  graphsOfText,
  type Prepared,
  type ReadContext,
  type Step,
  type Written,
} from '../tasks/task';
import { taskOf, type NamedTask } from '../tasks/tasks';
import type { TextRun } from '../tasks/textRun';
import { ProviderChoice, type Choice } from './providerChoice';
import { preparedText, runText, type TextRequest } from './texts';
import { providerTitle, requireProvider, viewProviders, type VerdictStore } from './providers';
import { missingRuntime } from './runtime';

export interface InferenceOptions {
  /** The bundled process entry, `dist/process.js`. */
  readonly processPath: string;
  /** Where verdicts about providers are remembered. */
  readonly store: VerdictStore;
  readonly log: Log;
  /** Asked at every request, so that a changed setting holds at once. */
  readonly limits: () => Limits;
  /** What is going on, for a progress line. */
  readonly onProgress?: (message: string) => void;
  /** A background check of the providers ended for this checkpoint. */
  readonly onProviders?: (checkpoint: string, providers: readonly ProviderView[]) => void;
  /**
   * Check GPUs in the background after an answer of `auto`; a command that ends after its answer
   * does not.
   */
  readonly background?: boolean;
  /** Added to the environment of the inference process. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

// From a click to the child, a request is a ClassifyRequest (what is asked, of which opened model),
// a StepRequest (model, image and step, resolved) and its ModelRequest and ImageRequest.

/** An image, and the opened model that is asked about it. */
export interface ClassifyRequest {
  readonly opened: OpenedModel;
  readonly image: string;
  /** All frames of a clip in the order of time; the image alone without it. */
  readonly frames?: readonly string[];
  readonly options?: RunOptions;
  /** Number of guesses; 5 by default. */
  readonly topK?: number;
  /** Keep attention maps, so that `attention` can be asked for this run. */
  readonly attention?: boolean;
  /** Longest side of `SeenImage.pixels`; 1024 by default, 0 for none. */
  readonly displaySide?: number;
  readonly signal?: AbortSignal;
  /** What is going on with this request; `InferenceOptions.onProgress` if it is not given. */
  readonly onProgress?: ((message: string) => void) | undefined;
  /** The text that is being written, after each of its tokens. */
  readonly onText?: ((text: string) => void) | undefined;
}

/** A request with the size that its image becomes, if the image decides it. */
type SizedRequest = ClassifyRequest & { readonly processed?: Size };

/** Tensors for the inputs of an opened model. */
export interface TensorsRequest {
  readonly opened: OpenedModel;
  readonly inputs: Readonly<Record<string, TensorData>>;
  readonly provider?: string;
  readonly signal?: AbortSignal;
}

/** A graph that was made of an opened model's own, and tensors for its inputs. */
export interface GraphRequest {
  readonly opened: OpenedModel;
  readonly graph: Graph;
  /** Tells the graphs that are made of one model apart. */
  readonly variant: string;
  readonly inputs: Readonly<Record<string, TensorData>>;
  readonly signal?: AbortSignal;
}

/**
 * What the extension host and the command line ask of inference. Every call ends: an answer, an
 * error, or `cancelled`.
 */
export interface Inference {
  /** Starts the inference process, so that it is there when a checkpoint has been read. */
  warmUp(): void;
  /** Asks a model what its task is about an image, from path to answer. */
  classify(request: ClassifyRequest): Promise<Run>;
  /** Asks a model that reads no image what its task is about a text. */
  write(request: TextRequest): Promise<TextRun>;
  /** Attention of one query over all layers of an earlier run. */
  attention(run: number, query: Query, method: Method, call?: CallOptions): Promise<AttentionRows>;
  /**
   * Mean attention distance of each head of a layer over all query patches of an earlier run, in
   * pixels of the input; empty where patches do not attend to patches.
   */
  distances(run: number, layer: number, call?: CallOptions): Promise<Float64Array>;
  /**
   * Every output, and every attention map as `attention.N`, for given inputs. The image size is
   * that of the input.
   */
  runTensors(request: TensorsRequest): Promise<Readonly<Record<string, TensorData>>>;
  /** Every output of a graph that was made of a model's own, on the CPU. */
  runGraph(request: GraphRequest): Promise<Readonly<Record<string, TensorData>>>;
  /** What a model would see of an image. */
  preprocess(
    request: Omit<ClassifyRequest, 'attention' | 'topK'>,
  ): Promise<ImageView & { readonly pixelValues: TensorData; readonly preprocessing: Preprocessing }>;
  /** Sets every provider beside the CPU again, whatever is remembered. */
  checkProviders(request: ClassifyRequest): Promise<readonly ProviderView[]>;
  /** A small image as a data URL. */
  thumbnail(path: string, side: number): Promise<string>;
  image(path: string, asStored: boolean, side: number): Promise<Pixels>;
  /** Why models cannot be run on this machine; empty if they can. */
  readonly problem: string;
  /** Ends the text that is being written: its request answers with what there is. */
  stopText(): void;
  /** Ends everything that runs or waits with `cancelled`, and the inference process with it. */
  cancel(): void;
  /** Ends the inference processes and waits until they are gone. */
  dispose(): Promise<void>;
}

/** A panel is seldom wider, and 1024² pixels are 3 MB. */
const displaySide = 1024;
/**
 * Attention maps of one run that are kept whole; above it rows are made of queries and keys when
 * they are asked for, which takes longer than reading them. 197 tokens need 22 MB, 577 need 190.
 */
const wholeBytes = 64e6;
/**
 * Share of the memory that a model may need which one run may keep of queries and keys, and of
 * means over heads: 4097 tokens of a ViT-B need 302 MB and 806 MB.
 */
const keptShare = 1 / 8;
/**
 * Graphs made of one model that stay loaded together: the plain one, and two with derivatives. They
 * map the same weights.
 */
const keptVariants = 3;
/** Maps that are asked for as tensors: what one message between processes carries well. */
const tensorBudget: AttentionBudget = { whole: 1e9, kept: 0 };
/**
 * Runs whose request is remembered, so that their attention can be asked for after the process was
 * let go.
 */
const rememberedRuns = 64;

/** Runs whose words can be asked for what they looked at, without being written again. */
const rememberedTexts = 8;

/** Starts nothing: the inference process is forked at the first request. */
export function createInference(options: InferenceOptions): Inference {
  return new InferenceService(options);
}

/** A run as its asker knows it, and where the maps of each of its steps are now. */
interface RememberedRun {
  readonly prepared: PreparedRun;
  readonly choice: Choice;
  maps: readonly KeptMaps[];
  readonly hasWords: boolean;
}

/** A question about a step of a run whose maps the process keeps as `child`. */
type AskStep<T> = (remote: RemoteInference, child: number) => Promise<T>;

/** The steps behind the first one as they ran. */
interface LaterRuns {
  readonly ran: ImageRun;
  readonly maps: readonly KeptMaps[];
  /** What the words looked at, if any were written. */
  readonly words?: WrittenMaps;
}

/** Graphs for prompts of other lengths that stay loaded beside the one that is used. */
const promptsKept = 2;

/** Files whose sizes as a model's input are remembered. */
const rememberedSizes = 64;

/** A step behind the one that reads the image. */
interface LaterStep {
  readonly step: Step;
  /** What runs it; of a text that is generated, the start. */
  readonly model: ModelRequest;
  /** Of a text that is generated, what runs once for each of its tokens. */
  readonly each?: ModelRequest;
  /** Whether its maps lie on the image, so that they are shown. */
  readonly looks: boolean;
}

/** A request with everything resolved that needs no inference process. */
interface PreparedRun extends StepRequest {
  /** What runs behind the step that reads the image, with the model of each. */
  readonly later: readonly LaterStep[];
  readonly given: Prepared;
  readonly opened: OpenedModel;
  /** The opened model as understood for the image size that was asked for. */
  readonly understood: Model;
  readonly inputSize: InputSize;
  readonly asked: NamedTask;
}

class InferenceService implements Inference {
  readonly problem = missingRuntime();
  private readonly client: InferenceClient;
  private readonly choice: ProviderChoice;
  private readonly runs = new Recent<number, RememberedRun>(rememberedRuns);
  /** What the words of the latest runs looked at. */
  private readonly words = new Recent<number, WrittenMaps>(rememberedTexts);
  /** Keys of the models in the process, the one used last at the end. */
  private loaded: { generation: number; keys: readonly string[] } = { generation: 0, keys: [] };
  private readonly encoded = new EncodedImages();
  /** Rows of an image's own layers that were asked for last. */
  private lastRows: { readonly key: string; readonly rows: AttentionRows['rows'] } | undefined;
  private readonly sizes = new Recent<string, Size>(rememberedSizes);
  private nextRun = 1;
  private idle: NodeJS.Timeout | undefined;
  private pending = 0;
  private cancelling = new AbortController();

  constructor(private readonly options: InferenceOptions) {
    const { processPath, log, environment, onProgress } = options;
    const settings = { processPath, log, environment, onProgress };
    this.client = new InferenceClient(settings);
    this.choice = new ProviderChoice(
      options.store,
      log,
      () => new InferenceClient({ ...settings, onProgress: undefined }),
    );
  }

  async classify(request: ClassifyRequest): Promise<Run> {
    this.requireRuntime();
    const { options = {}, attention = false } = request;
    this.warmUp();
    const prepared = await this.prepare(await this.sized(request));
    const answer = async (remote: RemoteInference, hello: Hello): Promise<Run> => {
      const choice = await this.chooseProvider(remote, hello, prepared, options.provider ?? 'auto');
      const first = await this.encode(remote, prepared, choice, attention);
      const { ran, maps, words } = await this.runLater(remote, prepared, first, attention);
      const isKept = words !== undefined || maps.some(({ child }) => child > 0);
      const run = isKept ? this.remember(prepared, first.choice, maps, words) : 0;
      if (choice.automatic) this.checkLater(prepared, hello);
      return this.view(request, prepared, { ...ran, run }, first.choice, words);
    };
    const textOf = prepared.given.textOf ?? ((ids) => ids.join(' '));
    const { onText } = request;
    const told = request.onProgress ?? this.options.onProgress;
    return this.ask(request.signal, answer, told, ({ ids }) => (onText ?? told)?.(textOf(ids)));
  }

  async write(request: TextRequest): Promise<TextRun> {
    this.requireRuntime();
    this.warmUp();
    const prepared = await preparedText(request, this.limits.threads);
    const run = (remote: RemoteInference): Promise<TextRun> =>
      runText(remote, prepared, (...asked) => this.load(remote, ...asked));
    const { textOf } = prepared.given;
    const { signal, onProgress, onText } = request;
    return this.ask(signal, run, onProgress, ({ ids }) => onText?.(textOf?.(ids) ?? ids.join(' ')));
  }

  warmUp(): void {
    // A failure is met again by the request that it was for.
    if (!this.problem && this.client.processId === undefined)
      void this.ask(undefined, async (remote) => remote.warmUp()).catch(() => undefined);
  }

  async attention(run: number, query: Query, method: Method, call?: CallOptions): Promise<AttentionRows> {
    const rows: Float32Array[] = [];
    for (const [step, count] of this.probeCounts(run).entries())
      if (count > 0) pushAll(rows, await this.rowsOf(run, step, query, method, call));
    return { run, query, method, rows: [...rows, ...this.rowsOfWords(run, query, method)] };
  }

  /** Rows of the words that a run has written, which stay here. */
  private rowsOfWords(run: number, query: Query, method: Method): readonly Float32Array[] {
    if (!this.requireRun(run).hasWords) return [];
    const words = this.words.get(run);
    if (!words) throw new Error('what these words looked at is no longer kept; run the image again');
    return rowsOfText(words, query, method);
  }

  /** Rows of one step; those of an image that several prompts go on from are read once. */
  private async rowsOf(
    run: number,
    step: number,
    query: Query,
    method: Method,
    call: CallOptions | undefined,
  ): Promise<AttentionRows['rows']> {
    const { prepared } = this.requireRun(run);
    const isKept = step === 0 && prepared.later.length > 0;
    const keyOf = (): string => JSON.stringify([this.requireRun(run).maps[0], query, method]);
    if (isKept && this.lastRows?.key === keyOf()) return this.lastRows.rows;
    const ask: AskStep<AttentionRows> = (remote, child) => remote.attention(child, query, method);
    const { rows } = await this.askStep(run, step, ask, call);
    if (isKept) this.lastRows = { key: keyOf(), rows };
    return rows;
  }

  distances(run: number, layer: number, call?: CallOptions): Promise<Float64Array> {
    let first = 0;
    const counts = this.probeCounts(run);
    const step = counts.findIndex((count) => layer < (first += count));
    // Words have no place on the image to be far from.
    if (step < 0) return Promise.resolve(new Float64Array());
    const own = layer - (first - (counts[step] ?? 0));
    const size = this.requireRun(run).prepared.inputSize.current;
    return this.askStep(run, step, (remote, child) => remote.distances(child, own, size), call);
  }

  /** Layers of each step of an earlier run that are shown. */
  private probeCounts(run: number): readonly number[] {
    const { model, later } = this.requireRun(run).prepared;
    return [
      model.graph.probes.length,
      ...later.map((each) => (each.looks ? each.model.graph.probes.length : 0)),
    ];
  }

  private requireRun(run: number): RememberedRun {
    const known = this.runs.get(run);
    if (!known) throw new Error('the attention maps of this image are no longer known; run it again');
    return known;
  }

  /** Asks about a step of an earlier run, which is repeated if the process no longer keeps it. */
  private askStep<T>(
    run: number,
    step: number,
    ask: AskStep<T>,
    { signal, onProgress }: CallOptions = {},
  ): Promise<T> {
    const answer = async (remote: RemoteInference): Promise<T> => {
      const known = this.requireRun(run);
      const child = (): number => at(known.maps, step).child;
      if (at(known.maps, step).generation !== this.client.generation) await this.repeat(remote, known, step);
      try {
        return await ask(remote, child());
      } catch (error) {
        // Pushed out by newer runs, or its model was let go: the step is run once more.
        if ((error as Error).name !== 'RunGoneError') throw error;
        await this.repeat(remote, known, step);
        return ask(remote, child());
      }
    };
    return this.ask(signal, answer, onProgress);
  }

  async runTensors(request: TensorsRequest): Promise<Readonly<Record<string, TensorData>>> {
    this.requireRuntime();
    const { opened } = request;
    // What has no graph refuses there.
    const readsWords = hasGraph(opened.model) && !opened.model.imageSize;
    const { model, inputs, size } = readsWords
      ? { model: opened.model, inputs: request.inputs, size: {} }
      : imagesGiven(opened.model, request.inputs);
    const provider = request.provider ?? 'cpu';
    return this.ask(request.signal, async (remote) => {
      const used = provider === 'auto' ? 'cpu' : provider;
      requireProvider(used);
      const settings = { threads: this.limits.threads, attention: tensorBudget };
      return runAllParts(model, inputs, size, async (graph, feeds) => {
        const asked = modelRequest(opened, graph, settings);
        await this.load(remote, asked, { provider: used, attention: true });
        return remote.runTensors(asked.key, feeds, used);
      });
    });
  }

  async runGraph({
    opened,
    graph,
    variant,
    inputs,
    signal,
  }: GraphRequest): Promise<Readonly<Record<string, TensorData>>> {
    this.requireRuntime();
    const settings = { threads: this.limits.threads, attention: tensorBudget };
    const asked = modelRequest(opened, graph, settings, variant);
    return this.ask(signal, async (remote) => {
      await this.load(remote, asked, { provider: 'cpu', attention: false }, keptVariants);
      return remote.runTensors(asked.key, inputs, 'cpu');
    });
  }

  async preprocess(request: Omit<ClassifyRequest, 'attention' | 'topK'>) {
    const image = this.imageRequest(request);
    const view = await this.ask(request.signal, (remote) => remote.preprocess(image));
    return { ...view, preprocessing: image.preprocessing };
  }

  async checkProviders(request: ClassifyRequest): Promise<readonly ProviderView[]> {
    this.requireRuntime();
    const prepared = await this.prepare(await this.sized(request));
    return this.untilCancelled(request.signal, async (signal) => {
      const hello = await this.ask(signal, async (_, greeting) => greeting);
      await this.choice.forget(prepared.model.graph, hello);
      return this.checkNow(prepared, hello, signal);
    });
  }

  thumbnail(path: string, side: number): Promise<string> {
    return this.ask(undefined, (remote) => remote.thumbnail(path, side));
  }

  image(path: string, asStored: boolean, side: number): Promise<Pixels> {
    return this.ask(undefined, (remote) => remote.image(path, asStored, side));
  }

  stopText(): void {
    this.client.stopText();
  }

  cancel(): void {
    this.cancelling.abort();
    this.cancelling = new AbortController();
  }

  async dispose(): Promise<void> {
    clearTimeout(this.idle);
    await Promise.all([this.client.dispose(), this.choice.dispose()]);
  }

  private get limits(): Limits {
    return this.options.limits();
  }

  private requireRuntime(): void {
    if (this.problem) throw new Error(this.problem);
  }

  /** Runs a task whose signal aborts with the asker's own, and with `cancel()` from now on. */
  private untilCancelled<T>(
    own: AbortSignal | undefined,
    task: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return withAnySignal([this.cancelling.signal, own], task);
  }

  /** One turn of the inference process, which is let go when nobody asks for a while. */
  private async ask<T>(
    own: AbortSignal | undefined,
    task: (remote: RemoteInference, hello: Hello) => Promise<T>,
    onProgress = this.options.onProgress,
    onText?: (text: TextSoFar) => void,
  ): Promise<T> {
    const onReport = (report: Report): void =>
      typeof report === 'string' ? onProgress?.(report) : onText?.(report);
    clearTimeout(this.idle);
    this.pending++;
    try {
      return await this.untilCancelled(own, (signal) => this.client.request(task, signal, onReport));
    } finally {
      if (--this.pending === 0) this.letGoLater();
    }
  }

  private letGoLater(): void {
    this.idle = setTimeout(() => {
      this.encoded.clear();
      void this.client.stop();
    }, this.limits.idleMilliseconds);
    // A waiting command line may end although the process could still be kept.
    this.idle.unref();
  }

  /**
   * Asks for the size that the library's own processor makes of the image, if the model runs at
   * that.
   */
  private async sized(request: ClassifyRequest): Promise<SizedRequest> {
    const { opened, options = {}, signal, onProgress } = request;
    if (options.imageSize || !followsProcessor(opened.model)) return request;
    const image = uncut(this.imageRequest(request));
    const { inputSize } = image.preprocessing;
    return { ...request, processed: inputSize ?? (await this.measured(image, { signal, onProgress })) };
  }

  /** The size that an image becomes; it is measured once while its file stays what it is. */
  private async measured(image: ImageRequest, { signal, onProgress }: CallOptions): Promise<Size> {
    const key = await imageKey(image);
    const known = key === undefined ? undefined : this.sizes.get(key);
    if (known) return known;
    const size = await this.ask(signal, (remote) => remote.preparedSize(image), onProgress);
    if (key !== undefined) this.sizes.set(key, size);
    return size;
  }

  /** Resolves everything that needs no inference process. Throws if the model cannot be run. */
  private async prepare(request: SizedRequest): Promise<PreparedRun> {
    const { opened, options = {} } = request;
    const understood = opened.model.at(request.processed ?? options.imageSize);
    const image = uncut(this.imageRequest(request));
    const asked = taskOf(understood);
    const given = (await asked.task.prepare?.(understood, options.given ?? {})) ?? nothingGiven;
    const [step, ...more] = asked.task.program(understood, {}, given).steps;
    if (!step) throw new Error(`${opened.path}: nothing to run`);
    const graph = withClassActivation(graphOf(understood, step));
    const { threads, memoryBytes } = this.limits;
    const kept = Math.floor(memoryBytes * keptShare);
    const settings = { threads, attention: { whole: Math.min(wholeBytes, kept), kept } };
    return {
      opened,
      understood,
      inputSize: inputSizeOf(understood, opened.model),
      asked,
      model: modelRequest(opened, graph, settings),
      image,
      step,
      given,
      later: more.map((each) => laterStep(opened, understood, each, settings)),
    };
  }

  /** Says what is to be done to an image; throws if its model has no graph. */
  private imageRequest(request: Omit<ClassifyRequest, 'attention' | 'topK'>): ImageRequest {
    const { opened, image, options = {} } = request;
    if (hasGraph(opened.model) && !opened.model.imageSize) throw new Error(noImages(opened));
    const model = opened.model.at(options.imageSize);
    const channels = channelsOf(model);
    const follows = options.imageSize === undefined && followsProcessor(opened.model);
    return {
      path: image,
      ...clipOf(opened.model, request.frames ?? [image]),
      asStored: options.asStored ?? false,
      preprocessing: preprocessingOf(follows ? { ...model, imageSize: undefined } : model, channels, options),
      displaySide: request.displaySide ?? displaySide,
    };
  }

  /** Loads a model unless it is loaded, after letting go of the ones used longest ago. */
  private async load(
    remote: RemoteInference,
    model: ModelRequest,
    session: SessionRequest,
    steps = 1,
  ): Promise<void> {
    // The session is made with the run, whichever provider and maps it takes.
    if (this.touch(model)) return;
    const { generation } = this.client;
    // What can be refused is refused before another model is let go for it.
    requireMemory(model.graph, this.limits.memoryBytes);
    // Steps of one model stay together, however few models are kept, and so does what the prompts
    // before this one were read by: the next one may be as long as they.
    const keep = Math.max(0, this.limits.models - 1, steps > 1 ? steps - 1 + promptsKept : 0);
    let kept = this.loaded.generation === generation ? this.loaded.keys : [];
    while (kept.length > keep) {
      const [oldest, ...rest] = kept;
      this.loaded = { generation, keys: (kept = rest) };
      if (oldest !== undefined) await remote.release(oldest);
    }
    await remote.load(model, session);
    this.loaded = { generation, keys: [...kept, model.key] };
  }

  /** Marks a model as used last. Returns whether it is loaded. */
  private touch({ key }: ModelRequest): boolean {
    const { generation, keys } = this.loaded;
    if (generation !== this.client.generation || !keys.includes(key)) return false;
    this.loaded = { generation, keys: [...keys.filter((each) => each !== key), key] };
    return true;
  }

  private async chooseProvider(
    remote: RemoteInference,
    hello: Hello,
    { model, image, step }: PreparedRun,
    wanted: string,
  ): Promise<Choice> {
    if (wanted === 'auto') return this.choice.automatic(model.graph, hello);
    requireProvider(wanted);
    await this.load(remote, model, { provider: 'cpu', attention: true });
    return this.choice.chosen(model, hello, wanted, () =>
      remote.check(model.key, image, step, wanted, false),
    );
  }

  /** Runs the step that reads the image, unless the same was run and its outputs are kept. */
  private async encode(
    remote: RemoteInference,
    prepared: PreparedRun,
    choice: Choice,
    attention: boolean,
  ): Promise<EncodedImage> {
    const key = await keptAs(prepared, choice.provider, attention);
    const known = this.encoded.get(key);
    if (known) {
      this.touch(prepared.model);
      return { ...known, ran: { ...known.ran, times: { decode: 0, preprocess: 0, load: 0, run: 0 } } };
    }
    const { answer: ran, choice: used } = await this.runOn(remote, prepared, choice, attention);
    const maps = { child: ran.run, generation: this.client.generation };
    const encoded = { ran, choice: used, maps };
    this.encoded.set(key, encoded);
    return encoded;
  }

  /**
   * Runs on the chosen provider; if `auto` took a GPU that fails, the CPU answers and the
   * failure is remembered.
   */
  private async runOn(
    remote: RemoteInference,
    prepared: PreparedRun,
    choice: Choice,
    attention: boolean,
  ): Promise<{ answer: ImageRun; choice: Choice }> {
    const { model, image, step } = prepared;
    const run = { provider: choice.provider, attention, step };
    const started = performance.now();
    try {
      await this.load(remote, model, run);
      const load = performance.now() - started;
      const answer = await remote.runImage(model.key, image, run);
      const { times } = answer;
      return { answer: { ...answer, times: { ...times, load: times.load + load } }, choice };
    } catch (error) {
      const { name, message } = error as Error;
      if (!choice.automatic || choice.provider === 'cpu') throw error;
      this.options.log.warn(`${providerTitle(choice.provider)} failed: ${message}`);
      const refused = await this.choice.refuse(choice, message);
      // The process itself is gone: this request ends with the reason, the next one runs on the
      // CPU.
      if (name === 'ChannelClosed') throw error;
      return this.runOn(remote, prepared, refused, attention);
    }
  }

  /**
   * Runs the steps behind the one that reads the image, on the CPU: they are short, and what they
   * are given comes from it. Returns the run with the outputs of all, and where the maps of each
   * step are.
   */
  private async runLater(
    remote: RemoteInference,
    { later }: PreparedRun,
    { ran: first, maps: ofFirst }: EncodedImage,
    attention: boolean,
  ): Promise<LaterRuns> {
    let words: WrittenMaps | undefined;
    const outputs = [first.outputs];
    const maps = [ofFirst];
    const written: Written[] = [];
    const parts = 1 + later.reduce((sum, { each }) => sum + (each ? 2 : 1), 0);
    const isHere = ({ generation }: KeptMaps): boolean => generation === this.client.generation;
    let { load, run } = first.times;
    for (const { model, step, each, looks } of later) {
      const { generation } = step;
      const session = { provider: 'cpu', attention: attention && looks };
      const started = performance.now();
      await this.load(remote, model, session, parts);
      if (each) await this.load(remote, each, session, parts);
      load += performance.now() - started;
      const inputs = Object.entries(step.inputs).map(([name, source]) => [
        name,
        givenTensor(source, outputs, first.seen),
      ]);
      if (each && generation) {
        const { name: _, ...asked } = generation;
        const request = {
          ...asked,
          ...{ inputs: Object.fromEntries(inputs), provider: 'cpu', maps: attention && !words },
        };
        const text = await remote.generate({ start: model.key, step: each.key }, request);
        run += text.milliseconds;
        const [best] = text.sequences;
        if (text.maps && best) words = writtenMaps(model.graph.probes, best, text.maps);
        written.push({ generation, sequences: text.sequences });
        outputs.push([]);
        maps.push({ child: 0, generation: this.client.generation });
        continue;
      }
      // What an input is made from stays here: the process gets the numbers.
      const from = { run: isHere(ofFirst) ? ofFirst.child : 0, step: maps.length };
      const asked = { ...session, step: { ...step, inputs: {} }, from };
      const ran = await remote.runStep(model.key, Object.fromEntries(inputs), asked);
      run += ran.milliseconds;
      outputs.push(ran.outputs);
      maps.push({ child: ran.run, generation: this.client.generation });
    }
    const times = { ...first.times, load, run };
    const ran = { ...first, outputs: outputs.flat(), written, times };
    return { ran, maps, ...(words && { words }) };
  }

  private remember(
    prepared: PreparedRun,
    choice: Choice,
    maps: readonly KeptMaps[],
    words: WrittenMaps | undefined,
  ): number {
    const run = this.nextRun++;
    this.runs.set(run, { prepared, choice, maps, hasWords: words !== undefined });
    if (words) this.words.set(run, words);
    return run;
  }

  /** Runs a step of an earlier run again whose maps are gone, and those between. */
  private async repeat(remote: RemoteInference, known: RememberedRun, step: number): Promise<void> {
    const { prepared, choice } = known;
    const key = await keptAs(prepared, choice.provider, true);
    const kept = step > 0 ? this.encoded.get(key) : undefined;
    const first = kept ?? (await this.encodeAgain(remote, prepared, choice));
    this.encoded.set(key, first);
    if (step === 0) known.maps = [first.maps, ...known.maps.slice(1)];
    else known.maps = (await this.runLater(remote, prepared, first, true)).maps;
  }

  private async encodeAgain(
    remote: RemoteInference,
    prepared: PreparedRun,
    choice: Choice,
  ): Promise<EncodedImage> {
    const { model, image, step } = prepared;
    const request = { provider: choice.provider, attention: true, step };
    await this.load(remote, model, request);
    const ran = await remote.runImage(model.key, image, request);
    return { ran, choice, maps: { child: ran.run, generation: this.client.generation } };
  }

  private checkLater(prepared: PreparedRun, hello: Hello): void {
    if (!this.options.background || !this.choice.isOpen(prepared.model, hello)) return;
    void this.checkNow(prepared, hello, this.cancelling.signal).then(
      (views) => this.options.onProviders?.(prepared.opened.path, views),
      (error: Error) => {
        if (!(error instanceof CancelledError))
          this.options.log.warn(`checking providers failed: ${error.message}`);
      },
    );
  }

  private async checkNow(
    prepared: PreparedRun,
    hello: Hello,
    signal: AbortSignal | undefined,
  ): Promise<readonly ProviderView[]> {
    await this.choice.check(prepared, hello, signal);
    const { provider, checks } = this.choice.automatic(prepared.model.graph, hello);
    return viewProviders(provider, checks);
  }

  private view(
    request: ClassifyRequest,
    { opened, understood, inputSize, asked, model, later, image, given }: PreparedRun,
    { run, seen, outputs, times, warnings, written = [] }: ImageRun,
    { provider, checks, warning }: Choice,
    words?: WrittenMaps,
  ): Run {
    const { checkpoint, recognition } = understood;
    const context = {
      config: checkpoint.sidecars.config,
      classNames: checkpoint.classNames,
      topK: request.topK ?? 5,
      imageSize: inputSize.current,
      ...(recognition.family !== null && recognition.reading && { reading: recognition.reading }),
      ...normalisationOf(image.preprocessing),
      given,
      written,
    };
    const { task } = asked;
    const answer = task.read(outputs, seen, context);
    const answers = (request.options?.posts ?? []).map(
      (post) => [post.name, task.read(outputs, seen, { ...context, post })] as const,
    );
    const shown = [model, ...later.filter(({ looks }) => looks).map((each) => each.model)];
    const probes = [...shown.flatMap(({ graph }) => graph.probes), ...(words?.probes ?? [])];
    const isTooMuch = request.attention === true && written.length > 0 && !words;
    return {
      run,
      checkpoint: opened.path,
      modelTitle: recognition.family === null ? checkpoint.format : recognition.title,
      ...(recognition.family !== null && recognition.share && { share: recognition.share }),
      task: asked.name,
      seen,
      answer,
      answers: Object.fromEntries(answers),
      probes,
      layers: ownLayerNames(probes, namesOf(understood)),
      provider: { used: provider, all: viewProviders(provider, checks) },
      times,
      preprocessing: describePreprocessing(image.preprocessing, seen.size),
      inputSize,
      ...(request.options?.given && { given: request.options.given }),
      ...(given.ofImage && { givenIsOfImage: true }),
      warnings: [
        ...(recognition.family === null ? [] : recognition.warnings),
        ...warningsOf(answer),
        ...warnings,
        ...(isTooMuch ? ['what the words looked at is too much to be kept: it is not shown'] : []),
        ...(warning ? [warning] : []),
      ],
    };
  }
}

/** Why a model is not asked about an image, and what to ask instead. */
const noImages = ({ path, model }: OpenedModel): string =>
  readsTexts(model)
    ? `${path}: the model reads texts and no images: ask it with Translate Text, or vitrine translate`
    : `${path}: the model is given embeddings and no images: vitrine run takes them`;

/** A model for the size of the images that it is given, and its inputs. */
function imagesGiven(
  own: Model,
  given: TensorsRequest['inputs'],
): {
  readonly model: Model;
  readonly inputs: TensorsRequest['inputs'];
  readonly size: GraphSize;
} {
  const [first] = Object.values(given);
  if (!first) throw new Error('no input tensor was given; pixel_values [1, 3, height, width] is needed');
  const images = given['pixel_values'] ?? first;
  // Patches have their places apart, and no height and width of their own.
  const isCut = 'spatial_shapes' in given;
  const pixels = isCut ? images : channelsFirst(images, own.graph());
  const batch = pixels.shape.length === 4 ? at(pixels.shape, 0) : 1;
  const [width = 0, height = 0] = pixels.shape.toReversed();
  const size = { batch, ...(!isCut && { imageSize: [height, width] as const }) };
  const model = own.at(size.imageSize);
  const [{ name: only } = { name: undefined }, ...more] = model.graph(size).inputs;
  // An .onnx file names its input as it likes.
  const isAlone = only !== undefined && more.length === 0 && model.parts.length === 1;
  return { model, inputs: isAlone ? { ...given, [only]: pixels } : given, size };
}

/**
 * Images as graphs take them, `[batch, channels, height, width]`: files of other frameworks are
 * given `[batch, height, width, channels]`, and some a single image.
 */
function channelsFirst(pixels: TensorData, { inputs }: Graph): TensorData {
  const [, channels] = inputs[0]?.shape ?? [];
  const shape = pixels.shape.length === 3 ? [1, ...pixels.shape] : pixels.shape;
  const [batch = 1, height = 1, width = 1, last = 1] = shape;
  const isLast = shape.length === 4 && height !== channels && last === channels;
  if (!isLast || !(pixels.data instanceof Float32Array)) return { ...pixels, shape };
  const { data } = pixels;
  const [area, ordered] = [height * width, new Float32Array(data.length)];
  for (let at = 0; at < data.length; at++) {
    const [image, place, channel] = [Math.floor(at / (area * last)), Math.floor(at / last) % area, at % last];
    ordered[(image * last + channel) * area + place] = data[at] ?? 0;
  }
  return { ...pixels, shape: [batch, last, height, width], data: ordered };
}

/** What the first step of a model is kept as; undefined if no other step could go on from it. */
const keptAs = async (
  prepared: PreparedRun,
  provider: string,
  attention: boolean,
): Promise<string | undefined> =>
  prepared.understood.parts.length > 1 ? encodedKey(prepared, { provider, attention }) : undefined;

/** Whether a map's queries or keys lie on the image. */
const looksAtImage = (probe: Probe): boolean =>
  queryGrid(probe) !== undefined || keyGrid(probe) !== undefined;

/** The sizes of a model that runs: its graph was built, so that it has one. */
function inputSizeOf({ imageSize, recognition }: Model, { imageSize: native }: Model): InputSize {
  const step = inputOf(recognition)?.sizeStep;
  if (!imageSize || !native || !step) throw new Error('the model has no image size');
  return { current: imageSize, native, step };
}

/** A step with the graphs that run it. */
function laterStep(
  opened: OpenedModel,
  understood: Model,
  step: Step,
  settings: Pick<ModelRequest, 'threads' | 'attention'>,
): LaterStep {
  const { generation } = step;
  if (!generation) {
    const model = modelRequest(opened, graphOf(understood, step), settings);
    return { step, model, looks: model.graph.probes.some(looksAtImage) };
  }
  const graphs = graphsOfText(understood, step, generation);
  const request = (graph: Graph): ModelRequest =>
    modelRequest(opened, graph, { threads: settings.threads, attention: tensorBudget });
  return { step, model: request(graphs.start), each: request(graphs.step), looks: false };
}

/** Tasks whose models take images of any size and shape, as their processors make them. */
const ofAnySize: ReadonlySet<string> = new Set(['detect', 'segment', 'depth', 'ask', 'restore']);

/**
 * Whether a model runs at the size that its library's processor makes of each image; one that takes
 * its own size alone does not.
 */
const followsProcessor = (model: Model): boolean =>
  model.recognition.family !== null &&
  ((ofAnySize.has(model.recognition.reading?.task ?? '') && !model.recognition.sizeStep?.includes(0)) ||
    cutsPatches(model));

/** Whether the processor cuts each image into patches of a grid of its own (NaFlex). */
const cutsPatches = (model: Model): boolean =>
  preprocessingOf({ ...model, imageSize: undefined }, channelsOf(model), {}).steps.some(isCutting);

const isCutting = ({ kind }: Preprocessing['steps'][number]): boolean => kind === 'patches';

/** A request whose image stays whole: graphs cut patches themselves. */
const uncut = (image: ImageRequest): ImageRequest => ({
  ...image,
  preprocessing: {
    ...image.preprocessing,
    steps: image.preprocessing.steps.filter((step) => !isCutting(step)),
  },
});

/** The frames that a model of clips reads; nothing for a model of images. */
function clipOf({ recognition }: Model, paths: readonly string[]): Pick<ImageRequest, 'clip'> {
  const reading = recognition.family === null ? undefined : recognition.reading;
  return reading?.task === 'video' ? { clip: { paths, frames: reading.frames } } : {};
}

/** What was done to the channels of an image last, if they were normalised. */
function normalisationOf({ steps }: Preprocessing): Pick<ReadContext, 'normalisation'> {
  const step = steps.find(({ kind }) => kind === 'normalize');
  return step?.kind === 'normalize' ? { normalisation: { mean: step.mean, std: step.std } } : {};
}

/** What is known of a model's images, whether its family is or not. */
const inputOf = (recognition: Model['recognition']) =>
  recognition.family === null ? recognition.input : recognition;

/** Channels of the image that a model takes; throws if it has no graph. */
function channelsOf(model: Model): number {
  const { inputs } = model.graph();
  const shape = inputs.find((input) => input.shape.length >= 4)?.shape ?? [];
  const [height, width] = model.imageSize ?? [];
  // Behind rows and columns they come last.
  const isLast = shape.at(-3) === height && shape.at(-2) === width && shape.at(-1) !== width;
  return shape.at(isLast ? -1 : -3) ?? 3;
}

/** The preprocessing of a model, following the size it is run at. */
function preprocessingOf(model: Model, channels: number, options: RunOptions): Preprocessing {
  const { checkpoint, recognition, imageSize } = model;
  const known = recognition.family === null ? undefined : recognition;
  const resolved = resolvePreprocessing({
    sidecars: checkpoint.sidecars,
    fileName: checkpoint.file,
    dialect: recognition.dialect,
    family: known?.label,
    modelType: known?.modelType,
    defaults: known?.pixels,
    imageSize,
    channels,
    overrides: parseOverrides(options.preprocessing, channels),
  });
  const inside = inputOf(recognition)?.inside;
  return inside ? leftToGraph(resolved, inside) : resolved;
}
