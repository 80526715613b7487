import type { Tensor as OrtTensor } from 'onnxruntime-node';
import { elementCount } from '../checkpoint/tensors';
import { at } from '../domain/lists';
import { passNames, type Kept } from '../domain/pass';
import type { Probe } from '../domain/probes';
import { valueOf, type Graph } from '../graph/graph';
import { tapNames } from '../graph/rewrite/tapNames';
import { generate, type GeneratedSequence } from '../text/generation/generate';
import type { LoadedModel } from './loadedModel';
import type { GeneratedTexts, GenerateRequest, TensorData, TextSoFar } from './remoteApi';
import { floats } from './sessions';

/**
 * Bytes of the maps of one text that are kept: 64 steps of 12 layers and heads with 577 keys, for
 * five beams, need 107 MB. A longer text is written without them.
 */
const mapBytes = 256e6;

const both: readonly Kept[] = ['key', 'value'];

/** Keys or values of one attention for all rows `[rows, heads, capacity, width]`. */
interface Memory {
  readonly index: number;
  readonly kept: Kept;
  readonly heads: number;
  readonly width: number;
  data: Float32Array<ArrayBuffer>;
  /** Where rows are put into another order. */
  spare: Float32Array<ArrayBuffer>;
}

/** What self-attentions remember of the tokens of each row; it stays where the model runs. */
class Cache {
  readonly rows: number;
  readonly capacity: number;
  /** Places that tokens have taken: the same in all rows. */
  taken = 0;
  private readonly memories: readonly Memory[];

  constructor(step: Graph) {
    const inputs = new Map(step.inputs.map(({ name, shape }) => [name, shape]));
    const memories: Memory[] = [];
    for (let index = 0; inputs.has(passNames.past(index, 'key')); index++)
      for (const kept of both) {
        const shape = inputs.get(passNames.past(index, kept)) ?? [];
        const [data, spare] = [new Float32Array(elementCount(shape)), new Float32Array(elementCount(shape))];
        memories.push({ index, kept, heads: at(shape, 1), width: at(shape, 3), data, spare });
      }
    this.memories = memories;
    const [rows = 1, , capacity = 0] = inputs.get(passNames.past(0, 'key')) ?? [];
    this.rows = rows;
    this.capacity = capacity;
  }

  /** Takes what a pass has made of `count` more tokens of each of its rows. */
  take(outputs: Fetched, count: number): void {
    if (this.taken + count > this.capacity)
      throw new Error(
        `${this.taken + count} tokens do not fit into the ${this.capacity} places of this graph`,
      );
    for (const { index, kept, heads, width, data } of this.memories) {
      const name = passNames.made(index, kept);
      const made = floats(name, outputs[name]);
      const size = count * width;
      for (let lane = 0; lane * size < made.length; lane++)
        data.set(made.subarray(lane * size, (lane + 1) * size), (lane * this.capacity + this.taken) * width);
      if (made.length % (heads * size) !== 0) throw new Error(`${name}: ${made.length} numbers found`);
    }
    this.taken += count;
  }

  /** Goes on in each row from the row that `order` names. */
  reorder(order: readonly number[]): void {
    if (order.every((from, row) => from === row)) return;
    for (const memory of this.memories) {
      const { heads, width, data, spare } = memory;
      const lane = this.capacity * width;
      order.forEach((from, row) => {
        for (let head = 0; head < heads; head++) {
          const begin = (from * heads + head) * lane;
          spare.set(data.subarray(begin, begin + this.taken * width), (row * heads + head) * lane);
        }
      });
      [memory.data, memory.spare] = [spare, data];
    }
  }

  get inputs(): Tensors {
    return Object.fromEntries(
      this.memories.map(({ index, kept, heads, width, data }) => [
        passNames.past(index, kept),
        { dtype: 'F32', shape: [this.rows, heads, this.capacity, width], data },
      ]),
    );
  }
}

type Fetched = Readonly<Record<string, OrtTensor>>;
type Tensors = Readonly<Record<string, TensorData>>;

/** What a pass looked at: of each probe `[rows, heads, queries, keys]`, without untaken places. */
interface SeenMaps {
  readonly rows: number;
  readonly queries: number;
  readonly maps: readonly Float32Array[];
}

const isOwn = ({ kind }: Probe): boolean => kind !== 'cross';

/**
 * A step's map with the keys that are there alone: of own tokens those that are taken, and behind
 * the capacity the token itself.
 */
function takenKeys(map: Float32Array, lanes: number, taken: number): Float32Array {
  const keys = map.length / lanes;
  if (keys === taken + 1) return map;
  const kept = new Float32Array(lanes * (taken + 1));
  for (let lane = 0; lane < lanes; lane++) {
    kept.set(map.subarray(lane * keys, lane * keys + taken), lane * (taken + 1));
    kept[lane * (taken + 1) + taken] = at(map, lane * keys + keys - 1);
  }
  return kept;
}

/** Runs the passes of a decoder for the search, and keeps what they looked at. */
class Decoder {
  private readonly cache: Cache;
  private others: Tensors = {};
  private readonly seen: SeenMaps[] = [];
  private bytes = 0;
  readonly logits: Float32Array[] = [];

  constructor(
    private readonly start: LoadedModel,
    private readonly step: LoadedModel,
    private readonly request: GenerateRequest,
  ) {
    this.cache = new Cache(step.request.graph);
  }

  private get keepsMaps(): boolean {
    return this.request.maps && this.bytes <= mapBytes;
  }

  readonly next = async (
    ids: readonly (readonly number[])[],
    order: readonly number[],
  ): Promise<readonly Float32Array[]> => {
    const logits = this.cache.taken === 0 ? await this.first(at(ids, 0)) : await this.more(ids, order);
    if (this.request.logits) this.logits.push(at(logits, 0));
    return logits;
  };

  private async first(prompt: readonly number[]): Promise<readonly Float32Array[]> {
    const { graph } = this.start.request;
    const outputs = await this.run(this.start, {
      ...this.request.inputs,
      ...idsOf(prompt, [1, prompt.length]),
    });
    const made = graph.outputs.find(({ name }) => name === passNames.made(0, 'key'));
    const count = made ? at(valueOf(graph, made.value).shape, 2) : prompt.length;
    this.cache.take(outputs, count);
    this.others = othersOf(graph, outputs);
    const { probes } = graph;
    this.keep(1, count, () => probes.map((_, index) => mapOf(outputs, index)));
    return [floats(passNames.scores, outputs[passNames.scores])];
  }

  private async more(
    rows: readonly (readonly number[])[],
    order: readonly number[],
  ): Promise<readonly Float32Array[]> {
    const { cache, step } = this;
    const { probes } = step.request.graph;
    cache.reorder(order);
    // Rows that no sequence needs any more repeat the first: the graph has as many as it has.
    const place = at(rows, 0).length - 1;
    const last = Array.from({ length: cache.rows }, (_, row) => at(rows[row] ?? at(rows, 0), place));
    const position = { dtype: 'I64', shape: [1], data: BigInt64Array.of(BigInt(place)) } as const;
    const outputs = await this.run(step, {
      ...cache.inputs,
      ...this.others,
      ...idsOf(last, [cache.rows, 1]),
      [passNames.position]: position,
    });
    const { taken } = cache;
    this.keep(cache.rows, 1, () =>
      probes.map((probe, index) => {
        const map = mapOf(outputs, index);
        return isOwn(probe) ? takenKeys(map, cache.rows * probe.heads, taken) : map;
      }),
    );
    cache.take(outputs, 1);
    const scores = floats(passNames.scores, outputs[passNames.scores]);
    const words = scores.length / cache.rows;
    return rows.map((_, row) => scores.subarray(row * words, (row + 1) * words));
  }

  private run(model: LoadedModel, inputs: Tensors): Promise<Fetched> {
    const { graph } = model.request;
    const names = graph.outputs.map(({ name }) => name);
    const maps = this.keepsMaps ? graph.probes.map((_, index) => tapNames.map(index)) : [];
    return model.run(this.request.provider, this.request.maps, inputs, [...names, ...maps]);
  }

  private keep(rows: number, queries: number, maps: () => readonly Float32Array[]): void {
    if (!this.keepsMaps) return;
    const found = maps();
    this.seen.push({ rows, queries, maps: found });
    this.bytes += found.reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (!this.keepsMaps) this.seen.length = 0;
  }

  /**
   * What each token of a sequence but the last looked at, probe by probe `[heads, tokens, keys]`;
   * undefined if it was too much to keep.
   */
  mapsOf({ tokens }: GeneratedSequence): readonly TensorData[] | undefined {
    const steps = this.seen.slice(0, tokens.length);
    if (!this.request.maps || steps.length < tokens.length) return undefined;
    const queries = steps.reduce((sum, each) => sum + each.queries, 0);
    return this.start.request.graph.probes.map((probe, index) => {
      const own = isOwn(probe);
      const first = at(steps, 0);
      const keys = own ? queries : at(first.maps, index).length / (probe.heads * first.queries);
      const data = new Float32Array(probe.heads * queries * keys);
      let query = 0;
      steps.forEach(({ rows, queries: count, maps }, place) => {
        const map = at(maps, index);
        const row = rows === 1 ? 0 : at(tokens, place).row;
        const seen = map.length / (rows * probe.heads * count);
        for (let head = 0; head < probe.heads; head++)
          for (let of = 0; of < count; of++) {
            const from = ((row * probe.heads + head) * count + of) * seen;
            data.set(map.subarray(from, from + seen), (head * queries + query + of) * keys);
          }
        query += count;
      });
      return { dtype: 'F32', shape: [probe.heads, queries, keys], data };
    });
  }
}

const idsOf = (ids: readonly number[], shape: readonly number[]): Tensors => ({
  [passNames.ids]: { dtype: 'I64', shape, data: BigInt64Array.from(ids, BigInt) },
});

const mapOf = (outputs: Fetched, index: number): Float32Array =>
  floats(tapNames.map(index), outputs[tapNames.map(index)]);

/** What cross-attentions see, which is the same in all steps. */
function othersOf(graph: Graph, outputs: Fetched): Tensors {
  const names = new Set(graph.outputs.map(({ name }) => name));
  const found: [string, TensorData][] = [];
  for (let index = 0; names.has(passNames.other(index, 'key')); index++)
    for (const kept of both) {
      const name = passNames.other(index, kept);
      const tensor = outputs[name];
      if (tensor) found.push([name, { dtype: 'F32', shape: tensor.dims, data: floats(name, tensor) }]);
    }
  return Object.fromEntries(found);
}

/**
 * Writes text with a decoder's two passes: the start once, then a step for each token, whose keys
 * and values stay here. A signal ends it with what there is.
 */
export async function generateTexts(
  start: LoadedModel,
  step: LoadedModel,
  request: GenerateRequest,
  call: { readonly signal: AbortSignal; readonly progress: (value: TextSoFar) => void },
): Promise<GeneratedTexts> {
  const started = performance.now();
  const decoder = new Decoder(start, step, request);
  let steps = 0;
  const sequences = await generate(request.prompt, request.settings, decoder.next, {
    ...(request.encoderIds && { encoderIds: request.encoderIds }),
    signal: call.signal,
    onStep: (ids) => {
      steps++;
      call.progress({ ids: ids.slice(request.prompt.length) });
    },
  });
  const maps = decoder.mapsOf(at(sequences, 0));
  return {
    sequences,
    steps,
    milliseconds: performance.now() - started,
    ...(maps && { maps }),
    ...(request.logits && { logits: decoder.logits }),
  };
}
