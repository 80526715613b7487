import type { ProbeKind, TokenLayout, WindowLayout } from '../../domain/probes';
import type { Attribute, Graph, Node } from '../graph';
import { readBy } from '../order';

type Parts = Pick<Graph, 'nodes' | 'values' | 'initializers'>;
type Producers = ReadonlyMap<string, Node>;
type Pair = readonly [number, number];

/** Where the tokens of an attention lie on a map, read off the operators before it. */
export interface Geometry {
  readonly kind: Extract<ProbeKind, 'self' | 'window' | 'reduced'>;
  readonly queries: TokenLayout;
  readonly keys: TokenLayout;
  readonly window?: WindowLayout;
  readonly reduction?: number;
}

/** What is asked about: the product of the scores, and its sizes. */
export interface Scores {
  /** Values of queries and keys, the product's operands. */
  readonly operands: readonly [queries: string, keys: string];
  readonly queries: number;
  readonly keys: number;
  /** Product of the axes before heads: pictures, or pictures times windows. */
  readonly batch: number;
}

/**
 * Geometry of an attention over a map without special tokens: in windows (a map reshaped to rows and columns of windows before the
 * queries' product: Liu et al. 2021), or with the grids of the convolutions or poolings that queries and keys come of (Wang et al. 2021).
 * Undefined where neither is found: special tokens, sequences.
 */
export function geometryOf(scores: Scores, graph: Parts, producers: Producers): Geometry | undefined {
  return windowGeometry(scores, graph, producers) ?? gridGeometry(scores, graph, producers);
}

/** Nodes that a value comes from, nearest first. */
function* ancestors(value: string, producers: Producers): Generator<Node> {
  const seen = new Set<Node>();
  let level = [value];
  while (level.length > 0) {
    const next: string[] = [];
    for (const name of level) {
      const node = producers.get(name);
      if (!node || seen.has(node)) continue;
      seen.add(node);
      yield node;
      next.push(...readBy(node));
    }
    level = next;
  }
}

const shapeOf = (graph: Parts, value: string): readonly number[] => graph.values.get(value)?.shape ?? [];

/** Operators after which a map of another size begins. */
const mapMakers = new Set(['Conv', 'MaxPool', 'AveragePool', 'QLinearConv', 'ConvInteger']);

function gridGeometry(
  { operands, queries, keys }: Scores,
  graph: Parts,
  producers: Producers,
): Geometry | undefined {
  const [from, to] = [
    gridOf(operands[0], queries, graph, producers),
    gridOf(operands[1], keys, graph, producers),
  ];
  if (!from || !to) return undefined;
  const layouts = { queries: { special: [], grid: from }, keys: { special: [], grid: to } };
  if (queries === keys) return { kind: 'self', ...layouts };
  const reduction = from[0] / to[0];
  const even = reduction > 1 && from[1] / to[1] === reduction && Number.isInteger(reduction);
  return keys < queries ? { kind: 'reduced', ...layouts, ...(even && { reduction }) } : undefined;
}

/** Rows and columns of the nearest map of so many tokens that a value comes from. */
function gridOf(value: string, tokens: number, graph: Parts, producers: Producers): Pair | undefined {
  for (const node of ancestors(value, producers)) {
    if (!mapMakers.has(node.op)) continue;
    const [, , rows, columns] = shapeOf(graph, node.outputs[0]!);
    if (rows !== undefined && columns !== undefined && rows * columns === tokens) return [rows, columns];
  }
  return undefined;
}

/** Orders of the axes of `[batch, ·, ·, ·, ·, channels]` that bring those of the windows before those inside of them. */
const partitions: Readonly<
  Record<string, { readonly windows: Pair; readonly inside: Pair; readonly dilated: boolean }>
> = {
  '0,1,3,2,4,5': { windows: [1, 3], inside: [2, 4], dilated: false },
  '0,2,4,1,3,5': { windows: [2, 4], inside: [1, 3], dilated: true },
};

function windowGeometry(
  { operands, queries, keys, batch }: Scores,
  graph: Parts,
  producers: Producers,
): Geometry | undefined {
  if (queries !== keys) return undefined;
  for (const node of ancestors(operands[0], producers)) {
    const split = node.op === 'Transpose' ? producers.get(node.inputs[0]!) : undefined;
    const partition = partitions[integers(node.attributes['perm']).join()];
    if (!partition || split?.op !== 'Reshape') continue;
    const parts = shapeOf(graph, split.outputs[0]!);
    const [size, windows] = [pick(parts, partition.inside), pick(parts, partition.windows)];
    const whole = shapeOf(graph, split.inputs[0]!);
    // The way back from windows to a map looks alike, but does not begin with a map.
    const isMap =
      whole.length === 4 && whole[1] === size[0] * windows[0] && whole[2] === size[1] * windows[1];
    if (!isMap || area(size) !== queries || batch % area(windows) !== 0) continue;
    const layout = { special: [], grid: size };
    const padded = [whole[1]!, whole[2]!] as const;
    const { map, shift, rolls } = beforePartition(split.inputs[0]!, padded, graph, producers);
    const moved = area(padded) > area(map) && area(shift) > 0;
    const window = {
      size: single(size),
      shift: single(shift),
      map,
      padded,
      windows,
      ...(moved && { rolls }),
      ...(partition.dilated && { dilated: true }),
    };
    return { kind: 'window', queries: layout, keys: layout, window };
  }
  return undefined;
}

interface Unrolled {
  readonly map: Pair;
  readonly shift: Pair;
  readonly rolls: 'map' | 'padded';
}

/** What was done to a map `[batch, rows, columns, channels]` before windows were cut: zeros at its end, and a cyclic shift by each axis. */
function beforePartition(value: string, padded: Pair, graph: Parts, producers: Producers): Unrolled {
  let [map, at] = [padded, value];
  const shift: [number, number] = [0, 0];
  let rolls: Unrolled['rolls'] = 'padded';
  for (;;) {
    const node = producers.get(at);
    const axis = node?.attributes['axis'];
    if (node?.op === 'Pad') {
      const shape = shapeOf(graph, node.inputs[0]!);
      map = [shape[1]!, shape[2]!];
      if (area(shift) === 0) rolls = 'map';
      at = node.inputs[0]!;
    } else if (
      node?.op === 'Concat' &&
      node.inputs.length === 2 &&
      axis?.type === 'int' &&
      isRoll(node, producers)
    ) {
      // torch.roll(x, −s) is x[s:] before x[:s].
      const along = axis.value < 0 ? axis.value + 4 : axis.value;
      if (along === 1 || along === 2) shift[along - 1] = shapeOf(graph, node.inputs[1]!)[along]!;
      at = producers.get(node.inputs[0]!)!.inputs[0]!;
    } else return { map, shift, rolls };
  }
}

/** Both parts are slices of one value. */
function isRoll(node: Node, producers: Producers): boolean {
  const parts = node.inputs.map((input) => producers.get(input));
  return parts.every((part) => part?.op === 'Slice' && part.inputs[0] === parts[0]!.inputs[0]);
}

const pick = (values: readonly number[], [first, second]: Pair): Pair => [values[first]!, values[second]!];
const area = ([rows, columns]: Pair): number => rows * columns;
const single = (sides: Pair): number | Pair => (sides[0] === sides[1] ? sides[0] : sides);
const integers = (attribute: Attribute | undefined): readonly number[] =>
  attribute?.type === 'ints' ? attribute.value : [];
