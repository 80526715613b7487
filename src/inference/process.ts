/**
 * Entry of the inference process: a forked child, because the runtime blocks its event loop, a
 * crash must not take the extension host along, and killing it is the only way to cancel a run and
 * the only sure way to get the memory back. The only file that loads onnxruntime-node.
 */
import { readdirSync, readlinkSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { byteLength, elementCount } from '../checkpoint/tensors';
import { valueOf } from '../graph/graph';
import { defaultQuery } from '../attention/tokenLayout';
import { at } from '../domain/lists';
import type { ModelInput } from '../preprocessing/pipeline';
import { createChannel, type CallContext, type Packet } from '../protocol/channel';
import {
  inferenceVersion,
  type InferenceApi,
  type ModelRequest,
  type ImageRequest,
  type ProviderCheck,
  type RuntimeFacts,
  type TensorData,
} from './remoteApi';
import type { OutputValues, Step } from '../tasks/task';
import { LoadedModel } from './loadedModel';
import { displayImage, prepareImage, thumbnail, type Prepared } from './images';
import { generateTexts } from './generating';
import { compareAnswers, softwareAdapter } from './providers';
import { Runs } from './runs';
import { missingRuntime, processReport, runtimeFailure, type Runtime } from './runtime';
import { removeLeftovers, removeTemporaryFolders } from './temporary';

const models = new Map<string, LoadedModel>();
const runs = new Runs();
let loadedRuntime: Runtime | undefined;

/** Loads the native runtime once; throws what to tell the user if there is none. */
async function runtime(): Promise<Runtime> {
  const missing = missingRuntime();
  if (missing) throw new Error(missing);
  try {
    return (loadedRuntime ??= await import('onnxruntime-node'));
  } catch (error) {
    throw new Error(runtimeFailure(error), { cause: error });
  }
}

async function runtimeFacts(): Promise<RuntimeFacts> {
  try {
    const { env, listSupportedBackends } = await runtime();
    const providers = listSupportedBackends().map(({ name }) => name);
    return { version: env.versions.node ?? env.versions.common, providers };
  } catch (error) {
    return { version: null, reason: (error as Error).message };
  }
}

function model(key: string): LoadedModel {
  const found = models.get(key);
  if (!found) throw new Error(`model ${key} is not loaded`);
  return found;
}

/** Reports to the caller of the call that is answered: requests run one at a time. */
let report: CallContext['progress'] = () => undefined;

async function load(request: ModelRequest): Promise<LoadedModel> {
  const loaded = await LoadedModel.load(await runtime(), request, (message) => report(message));
  models.set(request.key, loaded);
  return loaded;
}

function megabytes({ tensors }: ModelRequest): string {
  const bytes = tensors.reduce((sum, tensor) => sum + byteLength(tensor), 0);
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

async function release(key: string): Promise<void> {
  const found = models.get(key);
  if (!found) return;
  models.delete(key);
  runs.forget(found);
  await found.release();
  collectGarbage();
}

/**
 * Attention maps lie outside of V8's heap, which therefore sees no reason to hurry; a released
 * model's memory should be given back now.
 */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

/** The image whose size was asked for last: it is run next, as a rule. */
let measured: { readonly request: string; readonly prepared: Prepared } | undefined;

/** Decodes and preprocesses an image, unless that was just done to measure it. */
async function takePrepared(image: ImageRequest): Promise<Prepared> {
  const known = measured?.request === JSON.stringify(image) ? measured.prepared : undefined;
  measured = undefined;
  return known ?? prepareImage(image);
}

/** Returns what a step's inputs get of an image. Throws if the model takes another shape. */
function feed(
  loaded: LoadedModel,
  { inputs }: Step,
  { pixelValues, shape }: ModelInput,
): Readonly<Record<string, TensorData>> {
  for (const { name, shape: own } of loaded.request.graph.inputs)
    if (inputs[name] === 'image' && own.join() !== shape.join()) {
      // What cannot be changed by another size is not said to be.
      const advice = own.at(-3) === shape.at(-3) ? '; choose another image size or preprocessing' : '';
      throw new Error(
        `the image becomes [${shape.join(', ')}], and the model takes ${name} [${own.join(', ')}]${advice}`,
      );
    }
  const image: TensorData = { dtype: 'F32', shape, data: pixelValues };
  return Object.fromEntries(
    Object.entries(inputs).map(([name, source]) => {
      if (source !== 'image' && !('dtype' in source))
        throw new Error(`${name} is made by a step that has not run`);
      return [name, source === 'image' ? image : source];
    }),
  );
}

/** Returns the wanted outputs of a run with what they stand for. */
function outputsOf(
  { request }: LoadedModel,
  names: readonly string[],
  values: readonly Float32Array[],
): readonly OutputValues[] {
  return names.map((name, index) => {
    const output = request.graph.outputs.find((each) => each.name === name);
    if (!output) throw new Error(`the graph has no output ${name}`);
    const { means, activation } = output;
    const found = at(values, index);
    const { shape: inferred, dtype } = valueOf(request.graph, output.value);
    // What the runtime makes of an operator that only it knows may have another shape.
    const shape = elementCount(inferred) === found.length ? inferred : [found.length];
    return {
      name,
      means,
      ...(activation && { activation }),
      ...(/^[IU]|^BOOL/.test(dtype) && { integers: true as const }),
      shape,
      values: found,
    };
  });
}

async function timed<T>(task: () => Promise<T>): Promise<readonly [result: T, milliseconds: number]> {
  const started = performance.now();
  const result = await task();
  return [result, performance.now() - started];
}

async function check(
  key: string,
  image: ImageRequest,
  step: Step,
  provider: string,
  repeat: boolean,
  { progress }: CallContext,
): Promise<ProviderCheck> {
  report = progress;
  const loaded = model(key);
  const { input } = await prepareImage(image);
  const inputs = feed(loaded, step, input);
  const answer = async (name: string) => {
    const session = { provider: name, attention: true };
    const { run, values } = await runs.run(loaded, session, inputs, step.outputs);
    const query = defaultQuery(loaded.request.graph.probes);
    const attention = run === 0 ? [] : (await runs.attention(run, query, 'raw')).rows;
    return { outputs: outputsOf(loaded, step.outputs, values), attention };
  };
  const median = async (name: string): Promise<number> => {
    const times: number[] = [];
    for (let run = 0; run < 3; run++) {
      times.push((await timed(() => loaded.run(name, true, inputs, step.outputs)))[1]);
    }
    return at(
      times.sort((a, b) => a - b),
      1,
    );
  };
  const unknown = { provider, agrees: false, software: '', cpuMilliseconds: 0, providerMilliseconds: 0 };
  const cpu = await answer('cpu');
  // Both sessions at their best: the packed one on the CPU, compiled shaders on a GPU (the first
  // answer is the warm-up).
  const cpuMilliseconds = repeat ? await median('cpu') : 0;
  try {
    const [other, first] = await timed(() => answer(provider));
    const verdict = compareAnswers(cpu, other);
    const software = softwareAdapter(processReport().sharedObjects, openFiles());
    const providerMilliseconds = repeat && verdict.agrees && !software ? await median(provider) : first;
    return { provider, ...verdict, software, cpuMilliseconds, providerMilliseconds };
  } catch (error) {
    return { ...unknown, reason: (error as Error).message };
  }
}

/** Paths of this process's open files, where the system tells (Linux). */
function openFiles(): readonly string[] {
  const folder = '/proc/self/fd';
  try {
    return readdirSync(folder).flatMap((name) => {
      try {
        return [readlinkSync(`${folder}/${name}`)];
      } catch {
        return []; // Closed since it was listed: the listing's own handle always is.
      }
    });
  } catch {
    return [];
  }
}

/** Ends the text that is being generated. */
let stopping = new AbortController();

const api: InferenceApi = {
  hello: async () => ({ version: inferenceVersion, runtime: await runtimeFacts() }),
  async warmUp() {
    // If it is missing, the first image says so.
    await import('sharp').catch(() => undefined);
  },
  async load(request, { provider, attention }, { progress }) {
    report = progress;
    const known = models.get(request.key);
    const started = performance.now();
    if (!known) progress(`loading ${megabytes(request)}`);
    const loaded = known ?? (await load(request));
    try {
      await loaded.prepare(provider, attention);
    } catch (error) {
      // Whoever asked knows of no model that could not be loaded, and would never let it go.
      if (!known) await release(request.key);
      throw error;
    }
    return { ...loaded.facts, milliseconds: known ? 0 : performance.now() - started };
  },
  release,
  async runImage(key, image, { provider, attention, step }, { progress }) {
    report = progress;
    const loaded = model(key);
    const { input, view } = await takePrepared(image);
    const inputs = feed(loaded, step, input);
    const session = { provider, attention };
    const [, prepared] = await timed(() => loaded.prepare(provider, attention));
    const [answer, run] = await timed(() => runs.run(loaded, session, inputs, step.outputs));
    return {
      ...view,
      times: { ...view.times, run, load: prepared },
      run: answer.run,
      outputs: outputsOf(loaded, step.outputs, answer.values),
    };
  },
  async runStep(key, inputs, { step, from, ...session }, { progress }) {
    report = progress;
    const loaded = model(key);
    const [answer, milliseconds] = await timed(() => runs.run(loaded, session, inputs, step.outputs, from));
    return { run: answer.run, outputs: outputsOf(loaded, step.outputs, answer.values), milliseconds };
  },
  async generate(keys, request, { progress }) {
    stopping = new AbortController();
    const { signal } = stopping;
    return generateTexts(model(keys.start), model(keys.step), request, { signal, progress });
  },
  stop: () => stopping.abort(),
  async runTensors(key, inputs, provider, { progress }) {
    report = progress;
    return model(key).runAll(provider, inputs);
  },
  attention: (run, query, method) => runs.attention(run, query, method),
  distances: (run, layer, inputSize) => runs.distances(run, layer, inputSize),
  check,
  async preparedSize(image) {
    const prepared = await prepareImage(image);
    const [height = 0, width = 0] = prepared.input.shape.slice(-2);
    measured = { request: JSON.stringify(image), prepared };
    return [height, width];
  },
  async preprocess(image) {
    const { input, view } = await prepareImage(image);
    return { ...view, pixelValues: { dtype: 'F32', shape: input.shape, data: input.pixelValues } };
  },
  thumbnail,
  image: displayImage,
  memory: () => process.memoryUsage.rss(),
};

const channel = createChannel<object>((packet) => void process.send?.(packet), api);
process.on('message', (packet: Packet) => channel.receive(packet));
// The extension host is gone: nobody will ask again, and nothing may be left behind.
process.on('disconnect', () => {
  void Promise.allSettled([...models.keys()].map(release)).then(() => {
    // Of a model that was still being loaded, too.
    removeTemporaryFolders(process.pid);
    process.exit(0);
  });
});
removeLeftovers();
