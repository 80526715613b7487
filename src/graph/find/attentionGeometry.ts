import type { ProbeKind, TokenLayout, WindowLayout } from '../../domain/probes';
import { at } from '../../domain/lists';
import { intOf, intsOf, outputName, valueOf, type Graph, type Node } from '../graph';
import { operatorOf } from '../operators';
import { graphLimits, TooLargeError } from '../limits';
import { producers } from '../order';

type Parts = Pick<Graph, 'nodes' | 'values' | 'initializers'>;
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
  /** Product of the axes before heads: images, or images times windows. */
  readonly batch: number;
}

/**
 * Geometry of an attention over a map without special tokens: in windows (a map reshaped to rows
 * and columns of windows before the queries' product: Liu et al. 2021), or with the grids of the
 * convolutions or poolings that queries and keys come of (Wang et al. 2021). Undefined if
 * neither is found: special tokens, sequences.
 */
export function geometryOf(scores: Scores, graph: Parts, lineage: Lineage): Geometry | undefined {
  return windowGeometry(scores, graph, lineage) ?? gridGeometry(scores, graph, lineage);
}

/** What each value of a graph comes from, and how much of it may still be looked at. */
export class Lineage {
  readonly producers: ReadonlyMap<string, Node>;
  /** Whether any map may be cut into windows. */
  readonly hasPartitions: boolean;
  private steps = 0;

  constructor(graph: Pick<Graph, 'nodes'>) {
    this.producers = producers(graph);
    this.hasPartitions = graph.nodes.some((node) => intsOf(node, 'perm').join() in partitions);
  }

  /**
   * Nodes that a value comes from, nearest first. Throws `TooLargeError` if all searches together
   * come to more steps than the limit.
   */
  *ancestors(value: string): Generator<Node> {
    const seen = new Set<Node>();
    let level = [value];
    while (level.length > 0) {
      const next: string[] = [];
      for (const name of level) {
        const node = this.producers.get(name);
        if (!node || seen.has(node)) continue;
        seen.add(node);
        this.step();
        yield node;
        for (const input of node.inputs) if (input !== '') next.push(input);
      }
      level = next;
    }
  }

  private step(): void {
    if (++this.steps > graphLimits.geometrySteps)
      throw new TooLargeError(
        `attention lies behind more than ${graphLimits.geometrySteps} operators, all layers together`,
      );
  }
}

const shapeOf = (graph: Parts, value: string): readonly number[] => graph.values.get(value)?.shape ?? [];

/** Whether a map of another size begins with what the operator makes. */
function makesMap(node: Node): boolean {
  const row = operatorOf(node);
  return row?.kind === 'conv' || row?.pools === 'windows';
}

/**
 * Sizes of the map that a convolution or pooling makes; undefined if it makes none. Maps in blocks
 * of channels have as many as are taken out of them.
 */
export function mapOf(
  node: Node,
  graph: Pick<Graph, 'nodes' | 'values'>,
): { readonly channels: number; readonly rows: number; readonly columns: number } | undefined {
  const shape = graph.values.get(outputName(node))?.shape ?? [];
  const isLast = operatorOf(node)?.channelsLast === true || intOf(node, 'channels_last', 0) === 1;
  const [channels, rows, columns] = isLast ? [shape[3], shape[1], shape[2]] : shape.slice(1);
  if (shape.length !== 4 || channels === undefined || rows === undefined || columns === undefined)
    return undefined;
  const ordered = node.domain.endsWith('.nchwc') ? orderedBy(node, graph.nodes) : undefined;
  return { channels: ordered ? intOf(ordered, 'channels', channels) : channels, rows, columns };
}

/** The operator that takes a map out of its blocks. */
export const orderedBy = (node: Node, nodes: readonly Node[]): Node | undefined =>
  nodes.find(({ op, inputs }) => op === 'ReorderOutput' && inputs[0] === outputName(node));

function gridGeometry(
  { operands, queries, keys }: Scores,
  graph: Parts,
  lineage: Lineage,
): Geometry | undefined {
  const [from, to] = [
    gridOf(operands[0], queries, graph, lineage),
    gridOf(operands[1], keys, graph, lineage),
  ];
  if (!from || !to) return undefined;
  const layouts = { queries: { special: [], grid: from }, keys: { special: [], grid: to } };
  if (queries === keys) return { kind: 'self', ...layouts };
  const reduction = from[0] / to[0];
  const even = reduction > 1 && from[1] / to[1] === reduction && Number.isInteger(reduction);
  return keys < queries ? { kind: 'reduced', ...layouts, ...(even && { reduction }) } : undefined;
}

/** Rows and columns of the nearest map of so many tokens that a value comes from. */
function gridOf(value: string, tokens: number, graph: Parts, lineage: Lineage): Pair | undefined {
  for (const node of lineage.ancestors(value)) {
    if (!makesMap(node)) continue;
    const map = mapOf(node, graph);
    if (map && map.rows * map.columns === tokens) return [map.rows, map.columns];
  }
  return undefined;
}

/**
 * Orders of the axes of `[batch, ·, ·, ·, ·, channels]` that bring those of the windows before
 * those inside of them.
 */
const partitions: Readonly<
  Record<string, { readonly windows: Pair; readonly inside: Pair; readonly dilated: boolean }>
> = {
  '0,1,3,2,4,5': { windows: [1, 3], inside: [2, 4], dilated: false },
  '0,2,4,1,3,5': { windows: [2, 4], inside: [1, 3], dilated: true },
};

function windowGeometry(
  { operands, queries, keys, batch }: Scores,
  graph: Parts,
  lineage: Lineage,
): Geometry | undefined {
  if (queries !== keys || !lineage.hasPartitions) return undefined;
  for (const node of lineage.ancestors(operands[0])) {
    const partition = partitionOf(node, graph, lineage);
    if (!partition) continue;
    const { size, windows, dilated, before } = partition;
    // The way back from windows to a map looks alike, but does not begin with a map.
    const padded = mapSides(graph, before);
    const isMap = padded?.[0] === size[0] * windows[0] && padded[1] === size[1] * windows[1];
    if (!isMap || area(size) !== queries || batch % area(windows) !== 0) continue;
    const layout = { special: [], grid: size };
    const { map, shift, rolls } = beforePartition(before, padded, graph, lineage);
    const moved = area(padded) > area(map) && area(shift) > 0;
    const window = {
      size: single(size),
      shift: single(shift),
      map,
      padded,
      windows,
      ...(moved && { rolls }),
      ...(dilated && { dilated }),
    };
    return { kind: 'window', queries: layout, keys: layout, window };
  }
  return undefined;
}

/** A map cut into windows. */
interface Partition {
  readonly size: Pair;
  readonly windows: Pair;
  readonly dilated: boolean;
  /** Value of the map. */
  readonly before: string;
}

/** What a Transpose behind a Reshape cuts a map into; undefined for any other node. */
function partitionOf(node: Node, graph: Parts, lineage: Lineage): Partition | undefined {
  const [source = ''] = node.inputs;
  const split = node.op === 'Transpose' ? lineage.producers.get(source) : undefined;
  const axes = partitions[intsOf(node, 'perm').join()];
  if (!axes || split?.op !== 'Reshape') return undefined;
  const { shape } = valueOf(graph, outputName(split));
  const [size, windows] = [pick(shape, axes.inside), pick(shape, axes.windows)];
  return { size, windows, dilated: axes.dilated, before: at(split.inputs, 0) };
}

/** Rows and columns of a map `[batch, rows, columns, channels]`; undefined for any other value. */
function mapSides(graph: Parts, value: string): Pair | undefined {
  const [, rows, columns, channels, ...rest] = shapeOf(graph, value);
  const isMap = rows !== undefined && columns !== undefined && channels !== undefined && rest.length === 0;
  return isMap ? [rows, columns] : undefined;
}

interface Unrolled {
  readonly map: Pair;
  readonly shift: Pair;
  readonly rolls: 'map' | 'padded';
}

/**
 * What was done to a map `[batch, rows, columns, channels]` before windows were cut: zeros at its
 * end, and a cyclic shift by each axis.
 */
function beforePartition(value: string, padded: Pair, graph: Parts, lineage: Lineage): Unrolled {
  let [map, from] = [padded, value];
  const shift: [number, number] = [0, 0];
  let rolls: Unrolled['rolls'] = 'padded';
  for (;;) {
    const node = lineage.producers.get(from);
    const [source = ''] = node?.inputs ?? [];
    const rolled = node && rollOf(node, graph, lineage);
    if (node?.op === 'Pad') {
      map = pick(shapeOf(graph, source), [1, 2]);
      if (area(shift) === 0) rolls = 'map';
      from = source;
    } else if (rolled) {
      if (rolled.axis === 1 || rolled.axis === 2) shift[rolled.axis - 1] = rolled.by;
      from = rolled.source;
    } else return { map, shift, rolls };
  }
}

/**
 * torch.roll(x, −s) is x[s:] before x[:s]: two slices of one value. Undefined for any other node.
 */
function rollOf(
  node: Node,
  graph: Parts,
  lineage: Lineage,
): { readonly axis: number; readonly by: number; readonly source: string } | undefined {
  const axis = node.attributes['axis'];
  const [head = '', tail = '', ...more] = node.inputs;
  if (node.op !== 'Concat' || axis?.type !== 'int' || tail === '' || more.length > 0) return undefined;
  const [first, second] = [lineage.producers.get(head), lineage.producers.get(tail)];
  const [source = ''] = first?.inputs ?? [];
  if (first?.op !== 'Slice' || second?.op !== 'Slice' || second.inputs[0] !== source) return undefined;
  const along = axis.value < 0 ? axis.value + 4 : axis.value;
  return { axis: along, by: at(shapeOf(graph, tail), along), source };
}

const pick = (values: readonly number[], [first, second]: Pair): Pair => [
  at(values, first),
  at(values, second),
];
const area = ([rows, columns]: Pair): number => rows * columns;
const single = (sides: Pair): number | Pair => (sides[0] === sides[1] ? sides[0] : sides);
