import type { Tensor as OrtTensor } from 'onnxruntime-node';
import { elementCount } from '../checkpoint/tensors';
import { tokenCount } from '../domain/probes';
import type { Loaded, ModelRequest, TensorData } from './remoteApi';
import { providerTitle } from './providers';
import type { Runtime } from './runtime';
import { createSession, fromRuntime, toRuntime, type Session } from './sessions';
import { tapNames } from '../graph/rewrite/tapNames';
import { keptNames, planTaps, queryShape, withRowTaps, type Tap } from '../graph/rewrite/taps';
import { Tails } from './tails';
import { placeWeights, requireUnchanged, type Placement } from './weights';

/** Milliseconds without a request after which the packed session is built. */
const quiet = 250;
/** Runs after which it is built at once: a batch leaves no quiet moment. */
const patience = 3;

/** A session and what stands behind its outputs. */
interface Ready {
  readonly session: Session;
  readonly attention: boolean;
  readonly packed: boolean;
}

/**
 * A model in the inference process: its weights in place, and one session per provider.
 *
 * If the weights are float32 in the user's own file, the first CPU session does no prepacking:
 * it is there in a fifth of the time, and the weights stay shared pages of the file. The packed
 * one, which runs faster, is built in the first quiet moment and takes over.
 */
export class LoadedModel {
  readonly taps: readonly Tap[];
  private readonly tails: Tails;
  private readonly sessions = new Map<string, Ready>();
  private timer: NodeJS.Timeout | undefined;
  private runs = 0;
  private turn: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly runtime: Runtime,
    readonly request: ModelRequest,
    private readonly placement: Placement,
    private readonly progress: (message: string) => void,
  ) {
    this.taps = planTaps(request.graph, request.attention);
    this.tails = new Tails(runtime, request, placement, this.taps);
  }

  static async load(
    runtime: Runtime,
    request: ModelRequest,
    progress: (message: string) => void,
  ): Promise<LoadedModel> {
    await requireUnchanged(request.files);
    const placement = await placeWeights(request.graph, request.tensors);
    return new LoadedModel(runtime, request, placement, progress);
  }

  get facts(): Pick<Loaded, 'materialisedBytes'> {
    return { materialisedBytes: this.placement.materialisedBytes };
  }

  /** Makes the session that a run will need. */
  prepare(provider: string, attention: boolean): Promise<void> {
    return this.exclusive(() => this.ensure(provider, attention));
  }

  private async ensure(provider: string, attention: boolean): Promise<void> {
    await requireUnchanged(this.request.files);
    const ready = this.sessions.get(provider);
    // A session with attention outputs serves runs without them too, at 1 %; one without is
    // replaced.
    if (ready && (ready.attention || !attention)) return;
    const packed = provider !== 'cpu' || !this.placement.shared || ready?.packed === true;
    if (provider !== 'cpu')
      this.progress(`compiling shaders and copying weights for ${providerTitle(provider)}`);
    this.sessions.delete(provider);
    await ready?.session.release();
    this.sessions.set(provider, await this.create(provider, attention, packed));
  }

  /** Runs on `inputs` and fetches the named outputs. */
  run(
    provider: string,
    attention: boolean,
    inputs: Readonly<Record<string, TensorData>>,
    outputs: readonly string[],
  ): Promise<Readonly<Record<string, OrtTensor>>> {
    clearTimeout(this.timer);
    return this.exclusive(async () => {
      await this.ensure(provider, attention);
      if (provider === 'cpu' && ++this.runs >= patience) await this.pack();
      const session = this.sessions.get(provider)?.session;
      if (!session) throw new Error(`no session runs on ${providerTitle(provider)}`);
      const fed = Object.entries({ ...inputs, ...unaskedQueries(session, inputs, this.request) });
      const feeds = fed.map(([name, tensor]) => [name, toRuntime(this.runtime, name, tensor)] as const);
      const fetched = await session.run(Object.fromEntries(feeds), outputs);
      if (provider === 'cpu') this.packLater();
      return fetched;
    });
  }

  /** Asks the tails of a run of this model: one at a time with its runs. */
  ask<T>(question: (tails: Tails) => Promise<T>): Promise<T> {
    return this.exclusive(async () => {
      await requireUnchanged(this.request.files);
      return question(this.tails);
    });
  }

  /** The same over plain data, with every output and every attention map. */
  async runAll(
    provider: string,
    inputs: Readonly<Record<string, TensorData>>,
  ): Promise<Readonly<Record<string, TensorData>>> {
    const cut = this.taps.find(({ kind }) => kind !== 'full');
    if (cut)
      throw new Error(
        `the attention maps of ${this.taps.length} layers with ${tokenCount(cut.probe.keys)} tokens do not fit into ${this.request.attention.whole / 1e6} MB; choose a smaller image size or batch`,
      );
    const names = [
      ...this.request.graph.outputs.map(({ name }) => name),
      ...this.taps.map(({ index }) => tapNames.map(index)),
      ...this.taps.flatMap(({ index, probe }) =>
        probe.places === undefined ? [] : [tapNames.places(index)],
      ),
    ];
    const outputs = await this.run(provider, this.taps.length > 0, inputs, names);
    const maps = new Set(
      this.request.graph.probes.flatMap(({ window }, index) =>
        window ? [] : [tapNames.map(index), tapNames.places(index)],
      ),
    );
    const entries = Object.entries(outputs).map(([name, tensor]) => {
      const data = fromRuntime(tensor);
      return [name, maps.has(name) ? withoutBatch(data) : data] as const;
    });
    return Object.fromEntries(entries);
  }

  release(): Promise<void> {
    return this.exclusive(async () => {
      clearTimeout(this.timer);
      const sessions = [...this.sessions.values()];
      this.sessions.clear();
      for (const { session } of sessions) await session.release();
      await this.tails.release();
      this.placement.close();
    });
  }

  private packLater(): void {
    clearTimeout(this.timer);
    // Should it fail (the file changed, memory), the next run says so.
    this.timer = setTimeout(() => void this.exclusive(() => this.pack()).catch(() => undefined), quiet);
  }

  /** Replaces the session without prepacking by the packed one. */
  private async pack(): Promise<void> {
    const peek = this.sessions.get('cpu');
    if (!peek || peek.packed) return;
    await requireUnchanged(this.request.files);
    // First the one, then the other: together they would hold the weights twice. Should packing
    // fail, the next run makes a session again.
    this.sessions.delete('cpu');
    await peek.session.release();
    this.sessions.set('cpu', await this.create('cpu', peek.attention, true));
  }

  /**
   * One at a time: the runtime's calls only look asynchronous, and a session must not be released
   * under a run.
   */
  private exclusive<T>(task: () => Promise<T>): Promise<T> {
    const result = this.turn.then(task);
    this.turn = result.catch(() => undefined);
    return result;
  }

  private async create(provider: string, attention: boolean, packed: boolean): Promise<Ready> {
    const { graph, threads } = this.request;
    const taps = attention ? this.taps : [];
    const ofKind = (wanted: Tap['kind']): readonly Tap[] => taps.filter(({ kind }) => kind === wanted);
    const tapped = withRowTaps(graph, ofKind('rows'));
    const settings = {
      provider,
      threads,
      prepack: packed,
      probes: ofKind('full').map(({ index }) => index),
      kept: keptNames(taps),
    };
    try {
      const session = await createSession(this.runtime, tapped, this.placement, settings);
      return { session, attention, packed };
    } catch (error) {
      // A file that changed under the runtime's hands is the better reason.
      await requireUnchanged(this.request.files);
      throw error;
    }
  }
}

/** Returns the queries of row taps that nobody asks: a session needs them, as zeros. */
function unaskedQueries(
  session: Session,
  inputs: Readonly<Record<string, TensorData>>,
  { graph }: ModelRequest,
): Readonly<Record<string, TensorData>> {
  const own = new Set(graph.inputs.map(({ name }) => name));
  const missing = session.inputNames.filter((name) => !own.has(name) && !(name in inputs));
  return Object.fromEntries(
    missing.map((name) => {
      const probe = graph.probes.find((_, index) => tapNames.query(index) === name);
      if (!probe) throw new Error(`the graph takes ${name}, which was not given`);
      const shape = queryShape(graph, probe);
      return [name, { dtype: 'F32', shape, data: new Float32Array(elementCount(shape)) }];
    }),
  );
}

/** A map of one image as `[heads, queries, keys]`, and the places of its keys likewise. */
const withoutBatch = (map: TensorData): TensorData =>
  map.shape.length >= 4 && map.shape[0] === 1 ? { ...map, shape: map.shape.slice(1) } : map;
