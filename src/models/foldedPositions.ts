import type { Checkpoint } from '../checkpoint/checkpoint';
import { elementCount, type Tensor } from '../checkpoint/tensors';
import { readTensor, toFloat32 } from '../checkpoint/values';
import type { Graph } from '../graph/graph';
import { producers } from '../graph/order';
import type { Probe } from '../domain/probes';

/** What may stand between a stored bias and the softmax of the scores it is added to. */
const between = new Set(['Add', 'Reshape', 'Cast', 'Identity']);

/**
 * Learnable parameters behind the arrays that an exporter computed from them and that are added to scores in windows, by tensor name: a
 * gathered relative position bias `[heads, n, n]` repeats a table of (2·rows − 1)·(2·columns − 1) distances (Liu et al. 2021, §3.2), the mask
 * of shifted windows holds none. Arrays that are neither are left out: they count as they are stored.
 */
export async function foldedPositions(
  graph: Graph,
  { selected }: Checkpoint,
): Promise<ReadonlyMap<string, number>> {
  const tensors = new Map(selected.tensors.map((tensor) => [tensor.name, tensor]));
  const found = new Map<string, number>();
  for (const probe of graph.probes.filter(({ kind }) => kind === 'window'))
    for (const name of addedToScores(graph, probe)) {
      const tensor = tensors.get(name);
      const count = tensor && (await parametersBehind(tensor, probe));
      if (count !== undefined) found.set(name, count);
    }
  return found;
}

/** Stored arrays that are added to the scores of an attention. */
function addedToScores(graph: Graph, { value }: Probe): readonly string[] {
  const from = producers(graph);
  const search = (name: string): readonly string[] => {
    const node = from.get(name);
    if (node)
      return between.has(node.op) ? node.inputs.slice(0, node.op === 'Add' ? 2 : 1).flatMap(search) : [];
    const data = graph.initializers.get(name)?.data;
    return data?.kind === 'parameter' ? [data.tensor] : [];
  };
  const last = from.get(value);
  return search(last?.op === 'Softmax' ? last.inputs[0]! : value);
}

async function parametersBehind(tensor: Tensor, { heads, keys }: Probe): Promise<number | undefined> {
  const [rows, columns] = keys.grid as readonly [number, number];
  const tokens = rows * columns;
  const [across, down, ofHeads = 1] = tensor.shape.toReversed();
  if (across !== tokens || down !== tokens) return undefined;
  const values = toFloat32(await readTensor(tensor), tensor.dtype);
  if (ofHeads === 1 && isMask(values)) return 0;
  if (elementCount(tensor.shape) !== heads * tokens * tokens) return undefined;
  return isByDistance(values, rows, columns) ? heads * (2 * rows - 1) * (2 * columns - 1) : undefined;
}

/** Nothing, or something that softmax turns into nothing. */
const isMask = (values: Float32Array): boolean =>
  values.includes(0) && values.some((value) => value < 0) && new Set(values).size === 2;

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
