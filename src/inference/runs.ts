import { elementCount } from '../checkpoint/tensors';
import { at, sum } from '../domain/lists';
import { meanAttentionDistances } from '../attention/summary';
import type { AttentionRows, Method, Query } from '../domain/query';
import type { Size } from '../domain/size';
import { chainLength } from '../domain/probes';
import { CheckpointChangedError } from './weights';
import type { LoadedModel } from './loadedModel';
import { floats, fromRuntime } from './sessions';
import type { Kept } from './tails';
import { tapNames } from '../graph/rewrite/tapNames';
import { keptNames, queryShape, shapeOf, type Tap } from '../graph/rewrite/taps';
import { meanOverHeads } from '../attention/heads';
import { placeRows, readingWeights, readMap } from '../attention/reading';
import { rolloutRows } from '../attention/rollout';
import { placesOfToken } from '../attention/sampling';
import { defaultQuery, queryWeights, tokenIndex } from '../attention/tokenLayout';
import type { SessionRequest, TensorData } from './remoteApi';

/** Runs whose maps are kept: one per open panel, and a few more. */
const keptRuns = 8;
/**
 * Bytes of all kept maps, two runs of a ViT-B; the oldest go first, the newest stays whatever it
 * has. A run that went is repeated on demand.
 */
const keptBytes = 48e6;

/**
 * Bytes of a map that is made whole for its statistics alone: 1370 tokens of a ViT-B need 90 MB,
 * 4097 would need 806.
 */
const mapBytes = 256e6;

/** A question about a run that is no longer kept. */
export class RunGoneError extends Error {
  override readonly name = 'RunGoneError';
}

interface KeptRun {
  readonly id: number;
  /** The run of the first step of its program, its own if it is that, and which step it is. */
  readonly first: number;
  readonly step: number;
  readonly model: LoadedModel;
  readonly provider: string;
  readonly inputs: Readonly<Record<string, TensorData>>;
  /** Per probe: the map `[windows, heads, queries, keys]`, where it was fetched whole. */
  readonly maps: readonly (Float32Array | undefined)[];
  /** Per probe of deformable attention: where all keys lie, `[heads, queries, keys, 2]`. */
  readonly places: readonly (Float32Array | undefined)[];
  /** What rows of cut maps are made of. */
  readonly values: Kept;
  /** Per probe: mean over heads `[queries, keys]`; computed when it is first needed. */
  readonly means: (Float32Array | undefined)[];
  /** Rows `[windows, heads, keys]` of the query that the run itself carried, where it did. */
  readonly asked: { readonly query: Query; readonly rows: readonly (Float32Array | undefined)[] };
  readonly bytes: number;
}

/** The run of a program's first step that a step goes on from, and which step that is. */
export interface GoesOn {
  readonly run: number;
  readonly step: number;
}

/** Of a first step. */
const nothingBefore: GoesOn = { run: 0, step: 0 };

/** What one run answered. */
export interface Answered {
  readonly run: number;
  /** Values of the wanted outputs, in their order. */
  readonly values: readonly Float32Array[];
}

/**
 * The latest runs with their attention maps, so that any query can be asked later without running
 * again.
 */
export class Runs {
  private kept: KeptRun[] = [];
  private next = 1;

  /**
   * Runs a model for the named outputs, keeping the attention maps if they are wanted: beside those
   * of the run that it goes on from, in place of what went on from it before.
   */
  async run(
    model: LoadedModel,
    { provider, attention }: SessionRequest,
    inputs: Readonly<Record<string, TensorData>>,
    answers: readonly string[],
    from: GoesOn = nothingBefore,
  ): Promise<Answered> {
    const wanted = attention && model.taps.length > 0;
    const query = defaultQuery(model.request.graph.probes);
    const kept = keptNames(model.taps);
    const names = wanted ? [...model.taps.flatMap(outputsOf), ...kept] : [];
    const feeds = wanted ? { ...inputs, ...queryInputs(model, query) } : inputs;
    const outputs = await model.run(provider, wanted, feeds, [...new Set([...answers, ...names])]);
    const values = answers.map((name) => floats(name, outputs[name]));
    if (!wanted) return { run: 0, values };
    const get = (name: string): Float32Array | undefined =>
      outputs[name] === undefined ? undefined : floats(name, outputs[name]);
    const maps = model.taps.map(({ index }) => get(tapNames.map(index)));
    const rows = model.taps.map(({ index }) => get(tapNames.rows(index)));
    const means = model.taps.map(({ index }) => get(tapNames.mean(index)));
    const tensors = kept.flatMap((name) => {
      const tensor = outputs[name];
      return tensor ? [[name, fromRuntime(tensor)] as const] : [];
    });
    const places = model.taps.map(({ index }) => get(tapNames.places(index)));
    const fetched = [...maps, ...rows, ...means, ...places].filter((map) => map !== undefined);
    const bytes = sum([...fetched, ...tensors.map(([, { data }]) => data)].map((data) => data.byteLength));
    const attentionOf = { maps, places, means, values: Object.fromEntries(tensors), asked: { query, rows } };
    return { run: this.keep({ model, provider, inputs, ...attentionOf, bytes }, from), values };
  }

  /**
   * What a method makes of one query in all layers. One that nothing kept can answer runs the
   * model again.
   */
  async attention(run: number, query: Query, method: Method): Promise<AttentionRows> {
    const kept = this.find(run);
    return { run, query, method, rows: await methods[method](kept, query), places: placesOf(kept, query) };
  }

  /**
   * Mean attention distance of each head of a layer, over all its query patches, in pixels of the
   * input; empty where patches do not attend to patches, and for maps that are not kept and too
   * large to be made for that.
   */
  async distances(run: number, layer: number, inputSize: Size): Promise<Float64Array> {
    const { model, maps, values } = this.find(run);
    const tap = at(model.taps, layer);
    const isSmall = 4 * elementCount(shapeOf(model.request.graph, tap.probe)) <= mapBytes;
    const map =
      maps[layer] ??
      (tap.kind === 'cut' && isSmall
        ? await changedIsGone(model.ask((tails) => tails.map(values, tap)))
        : undefined);
    return (map && meanAttentionDistances(map, tap.probe, inputSize)) ?? new Float64Array();
  }

  /** Forgets the runs of a model that is let go. */
  forget(model: LoadedModel): void {
    this.kept = this.kept.filter((run) => run.model !== model);
  }

  private find(run: number): KeptRun {
    const kept = this.kept.find(({ id }) => id === run);
    if (kept) return kept;
    throw new RunGoneError('the attention maps of this image are no longer kept; run it again');
  }

  private keep(run: Omit<KeptRun, 'id' | 'first' | 'step'>, from: GoesOn): number {
    const id = this.next++;
    const goesOn = this.kept.some((each) => each.id === from.run);
    const [first, step] = goesOn ? [from.run, from.step] : [id, 0];
    const others = this.kept.filter((each) => each.first !== first);
    const own = this.kept.filter((each) => each.first === first && each.step !== step);
    this.kept = [...others, ...own, { id, first, step, ...run }];
    while (this.isFull()) {
      const oldest = this.kept[0]?.first;
      if (oldest === first) break;
      this.kept = this.kept.filter((each) => each.first !== oldest);
    }
    return id;
  }

  private isFull(): boolean {
    const firsts = new Set(this.kept.map((each) => each.first));
    return firsts.size > keptRuns || sum(this.kept.map(({ bytes }) => bytes)) > keptBytes;
  }
}

const methods: Readonly<Record<Method, (kept: KeptRun, query: Query) => Promise<readonly Float32Array[]>>> = {
  raw: rowsOf,
  rollout: rolloutOf,
};

/** Where the keys of a query lie, of each layer that says so. */
const placesOf = ({ model, places }: KeptRun, query: Query): readonly Float32Array[] =>
  model.taps.map(({ probe, index }) => {
    const all = places[index];
    const token = tokenIndex(probe.queries, query);
    return all && token !== undefined ? placesOfToken(all, probe, token) : new Float32Array();
  });

async function rowsOf(kept: KeptRun, query: Query): Promise<readonly Float32Array[]> {
  const { model, maps, asked, values } = kept;
  const known = JSON.stringify(asked.query) === JSON.stringify(query);
  const missing = model.taps.some(({ kind }) => kind === 'rows');
  const computed = known || !missing ? asked.rows : await rerun(kept, query);
  const cut = model.taps.some(({ kind }) => kind === 'cut')
    ? await changedIsGone(model.ask((tails) => tails.rows(values, (probe) => readingWeights(probe, query))))
    : undefined;
  return model.taps.map(({ probe, index }) => {
    const weights = readingWeights(probe, query);
    if (!weights) return new Float32Array();
    const map = maps[index];
    return map
      ? readMap(map, probe, weights)
      : placeRows(cut?.get(index) ?? computed[index] ?? unfetched(index), probe, weights);
  });
}

/**
 * Rollout of one query up to every layer; empty if layers do not chain or their means are too large
 * to keep.
 */
async function rolloutOf(kept: KeptRun, query: Query): Promise<readonly Float32Array[]> {
  const probes = kept.model.taps.map(({ probe }) => probe);
  const chained = kept.model.taps.slice(0, chainLength(probes));
  const weights = chained[0] && queryWeights(chained[0].probe.queries, query);
  if (!weights || !chained.every(({ mean }) => mean)) return probes.map(() => new Float32Array());
  return rolloutRows(probes, await meansOf(kept, chained), weights);
}

/** Means over heads of layers that chain, each made once. */
async function meansOf(kept: KeptRun, chained: readonly Tap[]): Promise<readonly Float32Array[]> {
  const { model, maps, means, values } = kept;
  const made = chained.some(({ kind, index }) => kind === 'cut' && !means[index])
    ? await changedIsGone(model.ask((tails) => tails.means(values)))
    : undefined;
  return chained.map(({ probe, index }) => {
    const map = maps[index];
    const mean =
      means[index] ?? made?.get(index) ?? (map ? meanOverHeads(map, probe.heads) : unfetched(index));
    means[index] = mean;
    return mean;
  });
}

/** A checkpoint that is another one by now has no answer to a query of an earlier run. */
async function changedIsGone<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof CheckpointChangedError)) throw error;
    throw new RunGoneError(`${error.message}, and run the image again`, { cause: error });
  }
}

function unfetched(layer: number): never {
  throw new RangeError(`the attention of layer ${layer} was not fetched`);
}

const outputsByKind: Readonly<Record<Tap['kind'], (tap: Tap) => readonly string[]>> = {
  full: ({ index, probe }) => [
    tapNames.map(index),
    ...(probe.places === undefined ? [] : [tapNames.places(index)]),
  ],
  cut: () => [],
  rows: ({ index, mean }) => [tapNames.rows(index), ...(mean ? [tapNames.mean(index)] : [])],
};
const outputsOf = (tap: Tap): readonly string[] => outputsByKind[tap.kind](tap);

function queryInputs(model: LoadedModel, query: Query): Readonly<Record<string, TensorData>> {
  const rows = model.taps.filter(({ kind }) => kind === 'rows');
  return Object.fromEntries(
    rows.flatMap(({ probe, index }) => {
      const data = readingWeights(probe, query);
      const shape = queryShape(model.request.graph, probe);
      return data ? [[tapNames.query(index), { dtype: 'F32', shape, data }]] : [];
    }),
  );
}

async function rerun(kept: KeptRun, query: Query): Promise<readonly (Float32Array | undefined)[]> {
  const { model, provider, inputs } = kept;
  const rows = model.taps.filter(({ kind }) => kind === 'rows').map(({ index }) => index);
  const feeds = { ...inputs, ...queryInputs(model, query) };
  const outputs = await changedIsGone(model.run(provider, true, feeds, rows.map(tapNames.rows)));
  return model.taps.map(({ index }) =>
    rows.includes(index) ? floats(tapNames.rows(index), outputs[tapNames.rows(index)]) : undefined,
  );
}
