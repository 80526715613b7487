import type { AttentionRows, Query } from '../domain/query';
import { chainLength } from '../domain/probes';
import { CheckpointChangedError } from './weights';
import type { LoadedModel } from './loadedModel';
import { floats } from './sessions';
import { queryShape, tapNames, type Tap } from '../graph/rewrite/taps';
import { meanOverHeads } from '../attention/heads';
import { placeRows, readingWeights, readMap } from '../attention/reading';
import { rolloutRows } from '../attention/rollout';
import { defaultQuery, queryWeights } from '../attention/tokenLayout';
import type { SessionRequest, TensorData } from './remoteApi';

/** Runs whose maps are kept: one per open panel, and a few more. */
const keptRuns = 8;
/**
 * Bytes of all kept maps, two runs of a ViT-B; the oldest go first, the newest stays whatever it
 * has. A run that went is repeated on demand.
 */
const keptBytes = 48e6;

/** A question about a run that is no longer kept. */
export class RunGoneError extends Error {
  override readonly name = 'RunGoneError';
}

interface KeptRun {
  readonly id: number;
  readonly model: LoadedModel;
  readonly provider: string;
  readonly inputs: Readonly<Record<string, TensorData>>;
  /** Per probe: the map `[windows, heads, queries, keys]`, where it was fetched whole. */
  readonly maps: readonly (Float32Array | undefined)[];
  /** Per probe: mean over heads `[queries, keys]`; computed when it is first needed. */
  readonly means: (Float32Array | undefined)[];
  /**
   * Rows `[windows, heads, keys]` of the query that the run itself carried, where maps were not
   * fetched whole.
   */
  readonly asked: { readonly query: Query; readonly rows: readonly (Float32Array | undefined)[] };
  readonly bytes: number;
}

/** What one run answered. */
export interface Answered {
  readonly run: number;
  /** Values of the wanted outputs, in their order. */
  readonly values: readonly Float32Array[];
  readonly attention: readonly Float32Array[];
}

/**
 * The latest runs with their attention maps, so that any query can be asked later without running
 * again.
 */
export class Runs {
  private kept: KeptRun[] = [];
  private next = 1;

  /** Runs a model for the named outputs, keeping the attention maps if they are wanted. */
  async run(
    model: LoadedModel,
    { provider, attention }: SessionRequest,
    inputs: Readonly<Record<string, TensorData>>,
    answers: readonly string[],
  ): Promise<Answered> {
    const wanted = attention && model.taps.length > 0;
    const query = defaultQuery(model.request.graph.probes);
    const names = wanted ? model.taps.flatMap(outputsOf) : [];
    const feeds = wanted ? { ...inputs, ...queryInputs(model, query) } : inputs;
    const outputs = await model.run(provider, wanted, feeds, [...answers, ...names]);
    const values = answers.map((name) => floats(name, outputs[name]));
    if (!wanted) return { run: 0, values, attention: [] };
    const get = (name: string): Float32Array | undefined =>
      outputs[name] === undefined ? undefined : floats(name, outputs[name]);
    const maps = model.taps.map(({ index }) => get(tapNames.map(index)));
    const rows = model.taps.map(({ index }) => get(tapNames.rows(index)));
    const means = model.taps.map(({ index }) => get(tapNames.mean(index)));
    const fetched = [...maps, ...rows, ...means].filter((map) => map !== undefined);
    const bytes = fetched.reduce((sum, map) => sum + map.byteLength, 0);
    const run = this.keep({ model, provider, inputs, maps, means, asked: { query, rows }, bytes });
    return {
      run,
      values,
      attention: model.taps.map((_, index) => maps[index] ?? rows[index] ?? unfetched(index)),
    };
  }

  /**
   * Rows of one query over all layers and heads. A query that the kept maps cannot answer runs the
   * model again.
   */
  async attention(run: number, query: Query): Promise<AttentionRows> {
    const kept = this.kept.find(({ id }) => id === run);
    if (!kept) throw new RunGoneError('the attention maps of this image are no longer kept; run it again');
    const rows = await this.rows(kept, query);
    return { run, query, rows, rollout: rolloutOf(kept, query) };
  }

  /** Forgets the runs of a model that is let go. */
  forget(model: LoadedModel): void {
    this.kept = this.kept.filter((run) => run.model !== model);
  }

  private keep(run: Omit<KeptRun, 'id'>): number {
    const id = this.next++;
    this.kept.push({ id, ...run });
    const total = (): number => this.kept.reduce((sum, { bytes }) => sum + bytes, 0);
    while (this.kept.length > 1 && (this.kept.length > keptRuns || total() > keptBytes)) this.kept.shift();
    return id;
  }

  private async rows(kept: KeptRun, query: Query): Promise<readonly Float32Array[]> {
    const { model, maps, asked } = kept;
    const known = JSON.stringify(asked.query) === JSON.stringify(query);
    const missing = model.taps.filter(({ kind }) => kind === 'rows');
    const computed = known || missing.length === 0 ? asked.rows : await rerun(kept, query);
    return model.taps.map(({ probe, index }) => {
      const weights = readingWeights(probe, query);
      if (!weights) return new Float32Array();
      const map = maps[index];
      return map
        ? readMap(map, probe, weights)
        : placeRows(computed[index] ?? unfetched(index), probe, weights);
    });
  }
}

function unfetched(layer: number): never {
  throw new RangeError(`the attention of layer ${layer} was not fetched`);
}

const outputsOf = ({ index, kind, mean }: Tap): readonly string[] =>
  kind === 'full' ? [tapNames.map(index)] : [tapNames.rows(index), ...(mean ? [tapNames.mean(index)] : [])];

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
  try {
    const feeds = { ...inputs, ...queryInputs(model, query) };
    const outputs = await model.run(provider, true, feeds, rows.map(tapNames.rows));
    return model.taps.map(({ index }) =>
      rows.includes(index) ? floats(tapNames.rows(index), outputs[tapNames.rows(index)]) : undefined,
    );
  } catch (error) {
    if (!(error instanceof CheckpointChangedError)) throw error;
    throw new RunGoneError(`${error.message}, and run the image again`, { cause: error });
  }
}

/**
 * Rollout of the query up to every layer; empty if layers do not chain or their means were too
 * large to keep.
 */
function rolloutOf(kept: KeptRun, query: Query): readonly Float32Array[] {
  const probes = kept.model.taps.map(({ probe }) => probe);
  const chained = kept.model.taps.slice(0, chainLength(probes));
  for (const { probe, index } of chained) {
    const map = kept.maps[index];
    if (!kept.means[index] && map) kept.means[index] = meanOverHeads(map, probe.heads);
  }
  const weights = chained[0] && queryWeights(chained[0].probe.queries, query);
  const means = kept.means.slice(0, chained.length).filter((mean) => mean !== undefined);
  if (!weights || means.length < chained.length) return probes.map(() => new Float32Array());
  return rolloutRows(probes, means, weights);
}
