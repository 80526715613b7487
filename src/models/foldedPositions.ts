import type { Checkpoint } from '../checkpoint/checkpoint';
import { elementCount, type Tensor } from '../checkpoint/tensors';
import { softmaxes, type Softmax } from '../graph/find/softmax';
import { outputName, type Graph, type Node } from '../graph/graph';
import { keepsElements } from '../graph/operators';
import { producers } from '../graph/order';
import type { Probe } from '../domain/probes';

/**
 * Returns the stored arrays `[…, tokens, tokens]` that are added to scores in windows: what
 * `foldedPositions` needs the values of.
 */
export const positionTensors = (graph: Graph, checkpoint: Checkpoint): readonly Tensor[] => [
  ...new Set(additions(graph, checkpoint).map(({ tensor }) => tensor)),
];

/**
 * Counts the learnable parameters behind the arrays that an exporter computed from them and that
 * are added to scores in windows, by tensor name: a gathered relative position bias `[heads, n, n]`
 * repeats a table of (2·rows − 1)·(2·columns − 1) distances (Liu et al. 2021, §3.2), the mask of
 * shifted windows holds none. Arrays that are neither are left out: they count as they are stored.
 */
export function foldedPositions(
  graph: Graph,
  checkpoint: Checkpoint,
  values: ReadonlyMap<string, Float32Array>,
): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const { tensor, probe } of additions(graph, checkpoint)) {
    const stored = values.get(tensor.name);
    const count = stored && parametersBehind(tensor, stored, probe);
    if (count !== undefined) found.set(tensor.name, count);
  }
  return found;
}

interface Addition {
  readonly tensor: Tensor;
  readonly probe: Probe;
}

/** The arrays of windows that have a value for every pair of tokens. */
function additions(graph: Graph, { selected }: Checkpoint): readonly Addition[] {
  const tensors = new Map(selected.tensors.map((tensor) => [tensor.name, tensor]));
  return graph.probes
    .filter(({ kind }) => kind === 'window')
    .flatMap((probe) =>
      addedToScores(graph, probe).flatMap((name) => {
        const tensor = tensors.get(name);
        const [across, down] = tensor?.shape.toReversed() ?? [];
        const tokens = tokensOf(probe);
        return tensor && across === tokens && down === tokens ? [{ tensor, probe }] : [];
      }),
    );
}

function tokensOf({ keys }: Probe): number {
  const [rows = 0, columns = 0] = keys.grid ?? [];
  return rows * columns;
}

/**
 * Stored arrays that are added to the scores of an attention, reshaped or converted on their way.
 */
function addedToScores(graph: Graph, { value }: Probe): readonly string[] {
  const from = producers(graph);
  const search = (name: string): readonly string[] => {
    const node = from.get(name);
    if (node?.op === 'Add' || node?.op === 'QLinearAdd') return node.inputs.flatMap(search);
    if (node) return keepsElements(node) ? node.inputs.slice(0, 1).flatMap(search) : [];
    const data = graph.initializers.get(name)?.data;
    return data?.kind === 'parameter' ? [data.tensor] : [];
  };
  return search(scoresBefore(value, from, softmaxes(graph)));
}

/** The scores of an attention map, which may be converted and cut since. */
function scoresBefore(value: string, from: ReadonlyMap<string, Node>, found: readonly Softmax[]): string {
  const softmax = found.find(({ node }) => outputName(node) === value);
  const maker = from.get(value);
  if (softmax || !maker) return softmax?.input ?? value;
  const isPassed = keepsElements(maker) || maker.op === 'Gather';
  return isPassed ? scoresBefore(maker.inputs[0] ?? '', from, found) : value;
}

function parametersBehind(tensor: Tensor, values: Float32Array, probe: Probe): number | undefined {
  const { heads, keys } = probe;
  const [rows = 0, columns = 0] = keys.grid ?? [];
  const tokens = rows * columns;
  const [, , ofHeads = 1] = tensor.shape.toReversed();
  if (ofHeads === 1 && isMask(tensor, values)) return 0;
  if (elementCount(tensor.shape) !== heads * tokens * tokens) return undefined;
  return isByDistance(values, rows, columns) ? heads * (2 * rows - 1) * (2 * columns - 1) : undefined;
}

/** Nothing, or something that softmax turns into nothing; in integers any two values. */
const isMask = ({ dtype }: Tensor, values: Float32Array): boolean =>
  new Set(values).size === 2 &&
  (/^[IU]/.test(dtype) || (values.includes(0) && values.some((value) => value < 0)));

/** Pairs of tokens that lie alike to one another have the same bias. */
function isByDistance(values: Float32Array, rows: number, columns: number): boolean {
  const tokens = rows * columns;
  const distances = (2 * rows - 1) * (2 * columns - 1);
  const table = new Float32Array((values.length / tokens ** 2) * distances).fill(NaN);
  return values.every((value, at) => {
    const [head, query, key] = [Math.floor(at / tokens ** 2), Math.floor(at / tokens) % tokens, at % tokens];
    const row = Math.floor(query / columns) - Math.floor(key / columns) + rows - 1;
    const column = (query % columns) - (key % columns) + columns - 1;
    const entry = head * distances + row * (2 * columns - 1) + column;
    if (Number.isNaN(table[entry])) table[entry] = value;
    return table[entry] === value;
  });
}
