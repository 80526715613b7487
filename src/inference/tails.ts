import { at, largest, product } from '../domain/lists';
import type { Probe } from '../domain/probes';
import { mapsOfTails, placeNames, rowsOfTails } from '../graph/rewrite/attentionTail';
import { tapNames } from '../graph/rewrite/tapNames';
import { queryShape, withRowTaps, type Tap } from '../graph/rewrite/taps';
import type { ModelRequest, TensorData } from './remoteApi';
import type { Runtime } from './runtime';
import { createSession, floats, toRuntime, type Session } from './sessions';
import type { Placement } from './weights';

/** Values of a run from which rows of its maps are made, by name. */
export type Kept = Readonly<Record<string, TensorData>>;

/** Per probe of a cut tap, by its index: values of what was asked. */
export type ByProbe = ReadonlyMap<number, Float32Array>;

/**
 * Rows of one query that are made one by one; beyond it (the mean of all patches) the whole map
 * is made and thrown away again, layer by layer.
 */
const fewRows = 8;

/** A row of one map, and how much it counts. */
interface WeightedRow {
  readonly window: number;
  readonly row: number;
  readonly weight: number;
}

/**
 * The operators behind the kept values of a model, on the CPU wherever the model itself runs: a row
 * costs less than its way to a GPU.
 */
export class Tails {
  private readonly cuts: readonly Tap[];
  private rowSession: Promise<Session> | undefined;

  constructor(
    private readonly runtime: Runtime,
    private readonly request: ModelRequest,
    private readonly placement: Placement,
    taps: readonly Tap[],
  ) {
    this.cuts = taps.filter(({ kind }) => kind === 'cut');
  }

  /**
   * Rows `[windows, heads, keys]` of every cut map, weighted by `[windows, queries]`; none for maps
   * without such a query.
   */
  async rows(kept: Kept, weightsOf: (probe: Probe) => Float32Array | undefined): Promise<ByProbe> {
    const asked = new Map(this.cuts.map(({ probe, index }) => [index, weightsOf(probe)] as const));
    const rows = this.cuts.map(({ probe, index }) =>
      weightedRowsOf(asked.get(index), at(queryShape(this.request.graph, probe), 3)),
    );
    const most = largest([0, ...rows.map(({ length }) => length)]);
    if (most === 0) return new Map();
    return most <= fewRows ? this.rowByRow(kept, rows, most) : this.weighted(kept, asked);
  }

  /** Means over heads `[queries, keys]` of the cut maps that chain. */
  async means(kept: Kept): Promise<ByProbe> {
    const chained = this.cuts.filter(({ mean }) => mean);
    return this.withMaps(kept, chained, new Map(), tapNames.mean);
  }

  /** A whole map `[windows, heads, queries, keys]` of a cut tap. */
  async map(kept: Kept, { index, keep, probe }: Tap): Promise<Float32Array> {
    const session = await this.session(mapsOfTails(this.request.graph, [{ index, keep, probe }]), [index]);
    try {
      const name = tapNames.map(index);
      return (await this.run(session, kept, [name]))(name);
    } finally {
      await session.release();
    }
  }

  async release(): Promise<void> {
    await (await this.rowSession?.catch(() => undefined))?.release();
    this.rowSession = undefined;
  }

  private async rowByRow(
    kept: Kept,
    rows: readonly (readonly WeightedRow[])[],
    most: number,
  ): Promise<ByProbe> {
    this.rowSession ??= this.session(rowsOfTails(this.request.graph, this.cuts));
    const session = await this.rowSession;
    const sums = new Map<number, Float32Array>();
    for (let turn = 0; turn < most; turn++) {
      const places = this.cuts.flatMap(({ index }, place) => {
        const { window, row } = rows[place]?.[turn] ?? { window: 0, row: 0 };
        return [int64(placeNames.row(index), row), int64(placeNames.window(index), window)];
      });
      const names = this.cuts.map(({ index }) => tapNames.rows(index));
      const outputs = await this.run(session, { ...kept, ...Object.fromEntries(places) }, names);
      this.cuts.forEach(({ probe, index }, place) => {
        const asked = rows[place]?.[turn];
        const [windows = 1] = queryShape(this.request.graph, probe);
        if (asked) addRow(sums, index, windows, asked, outputs(tapNames.rows(index)));
      });
    }
    return sums;
  }

  private weighted(kept: Kept, asked: ReadonlyMap<number, Float32Array | undefined>): Promise<ByProbe> {
    const cuts = this.cuts.filter(({ index }) => asked.get(index));
    return this.withMaps(
      kept,
      cuts.map((tap) => ({ ...tap, mean: false })),
      asked,
      tapNames.rows,
    );
  }

  /**
   * What whole maps are asked for. The session goes at once: its maps, which are large, stay in its
   * memory as long as it lives.
   */
  private async withMaps(
    kept: Kept,
    cuts: readonly Tap[],
    asked: ReadonlyMap<number, Float32Array | undefined>,
    nameOf: (index: number) => string,
  ): Promise<ByProbe> {
    const { graph } = this.request;
    const queries = cuts.map(({ probe, index }): readonly [string, TensorData] => {
      const shape = queryShape(graph, probe);
      const data = asked.get(index) ?? new Float32Array(product(shape));
      return [tapNames.query(index), { dtype: 'F32', shape, data }] as const;
    });
    const session = await this.session(withRowTaps(mapsOfTails(graph, cuts), cuts));
    try {
      const names = cuts.map(({ index }) => nameOf(index));
      const outputs = await this.run(session, { ...kept, ...Object.fromEntries(queries) }, names);
      return new Map(cuts.map(({ index }) => [index, outputs(nameOf(index))]));
    } finally {
      await session.release();
    }
  }

  private session(graph: ModelRequest['graph'], probes: readonly number[] = []): Promise<Session> {
    const { threads } = this.request;
    return createSession(this.runtime, graph, this.placement, {
      provider: 'cpu',
      threads,
      prepack: false,
      probes,
    });
  }

  private async run(
    session: Session,
    tensors: Readonly<Record<string, TensorData>>,
    names: readonly string[],
  ): Promise<(name: string) => Float32Array> {
    const wanted = new Set(session.inputNames);
    const feeds = Object.entries(tensors)
      .filter(([name]) => wanted.has(name))
      .map(([name, tensor]) => [name, toRuntime(this.runtime, name, tensor)] as const);
    const outputs = await session.run(Object.fromEntries(feeds), names);
    return (name) => floats(name, outputs[name]);
  }
}

const int64 = (name: string, value: number): readonly [string, TensorData] => [
  name,
  { dtype: 'I64', shape: [1], data: BigInt64Array.of(BigInt(value)) },
];

/** The rows that weights `[windows, queries]` ask for; one more than a few if there are more. */
function weightedRowsOf(weights: Float32Array | undefined, queries: number): readonly WeightedRow[] {
  const rows: WeightedRow[] = [];
  weights?.forEach((weight, place) => {
    if (weight !== 0 && rows.length <= fewRows)
      rows.push({ window: Math.floor(place / queries), row: place % queries, weight });
  });
  return rows;
}

/** Adds one row `[heads, keys]` of a window to the sums `[windows, heads, keys]`. */
function addRow(
  sums: Map<number, Float32Array>,
  index: number,
  windows: number,
  { window, weight }: WeightedRow,
  values: Float32Array,
): void {
  const whole = sums.get(index) ?? new Float32Array(windows * values.length);
  sums.set(index, whole);
  const first = window * values.length;
  values.forEach((value, key) => (whole[first + key]! += weight * value));
}
