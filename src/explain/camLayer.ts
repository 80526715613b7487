import { at, product } from '../domain/lists';
import { tokenCount, type Probe, type TokenLayout } from '../domain/probes';
import { hasProportions, type Grid, type Size } from '../domain/size';
import { valueOf, type Graph, type Node } from '../graph/graph';
import { readBy } from '../graph/order';
import { operatorOf } from '../graph/operators';
import type { Values } from './explained';

/** Where activation maps are taken, and how their values lie there. */
export interface CamLayer {
  /** Module path in the graph. */
  readonly path: string;
  /** Name of the value that the module hands on. */
  readonly value: string;
  readonly grid: Grid;
  readonly channels: number;
  /** Rows of special tokens in front of those of the grid. */
  readonly special: number;
  /** Whether channels are the second axis, or the last one. */
  readonly channelsFirst: boolean;
}

const isWithin = (scope: string, path: string): boolean => scope === path || scope.startsWith(`${path}.`);

/** The last value of a module that anything outside of it reads. */
function outputOfModule({ nodes, outputs }: Graph, path: string): string | undefined {
  const own = nodes.filter(({ scope }) => isWithin(scope, path));
  const others = nodes.filter(({ scope }) => !isWithin(scope, path));
  const read = new Set([...others.flatMap(readBy), ...outputs.map(({ value }) => value)]);
  return own.flatMap((node) => node.outputs.slice(0, 1)).findLast((name) => read.has(name));
}

/** How a value lies on the image; undefined if it does not. */
function layoutOf(graph: Graph, value: string, image: Size): Omit<CamLayer, 'path' | 'value'> | undefined {
  const { shape } = valueOf(graph, value);
  const [batch = 1, second = 1, third = 1, fourth = 1] = shape;
  if (shape.length === 4 && batch === 1) {
    const isLast = !hasProportions([third, fourth], image) && hasProportions([second, third], image);
    const grid: Grid = isLast ? [second, third] : [third, fourth];
    if (!liesOn(grid, image) || isOfTokens(graph.probes, grid)) return undefined;
    return isLast
      ? { grid, channels: fourth, special: 0, channelsFirst: false }
      : { grid, channels: second, special: 0, channelsFirst: true };
  }
  const rows = product(shape.slice(0, -1));
  const found = gridOfRows(graph.probes, rows, image);
  return found && { ...found, channels: at(shape, shape.length - 1), channelsFirst: false };
}

/**
 * Whether a grid has one step along both sides of the image, up to a cell that padding adds or
 * leaves out: tokens × heads, and heads × channels of each, have not.
 */
const liesOn = ([rows, columns]: Grid, [height, width]: Size): boolean =>
  Math.abs(columns - (width * rows) / height) <= 1;

/** Whether it is queries × keys of a layer: scores of attention, not a map. */
const isOfTokens = (probes: readonly Probe[], [rows, columns]: Grid): boolean =>
  probes.some(({ queries, keys }) => tokenCount(queries) === rows && tokenCount(keys) === columns);

/** The grid of so many tokens: as a layer's map has it, else of the image's proportions. */
function gridOfRows(
  probes: readonly Probe[],
  rows: number,
  image: Size,
): { readonly grid: Grid; readonly special: number } | undefined {
  const layouts: readonly TokenLayout[] = probes.flatMap(({ queries, keys }) => [queries, keys]);
  const fitting = layouts.findLast((layout) => layout.grid?.length === 2 && tokenCount(layout) === rows);
  if (fitting?.grid) return { grid: fitting.grid as Grid, special: fitting.special?.length ?? 0 };
  const plain = layouts.findLast(({ grid = [] }) => grid.length === 2 && product(grid) === rows);
  if (plain?.grid) return { grid: plain.grid as Grid, special: 0 };
  for (let high = 1; high <= rows; high++)
    if (rows % high === 0 && hasProportions([high, rows / high], image))
      return { grid: [high, rows / high], special: 0 };
  return undefined;
}

/** Modules of the graph, outermost first. */
export function modulesOf({ nodes }: Graph): readonly string[] {
  const paths = new Set<string>();
  for (const { scope } of nodes) {
    const parts = scope.split('.');
    for (let length = 1; length <= parts.length; length++) paths.add(parts.slice(0, length).join('.'));
  }
  return [...paths].filter((path) => path !== '');
}

/** A layer by its module path. Throws if there is none, or its values do not lie on the image. */
export function camLayerAt(graph: Graph, path: string, image: Size): CamLayer {
  const value = outputOfModule(graph, path);
  if (value === undefined) throw new Error(`${path}: the model has no such module`);
  const layout = layoutOf(graph, value, image);
  if (!layout)
    throw new Error(
      `${path}: its values [${valueOf(graph, value).shape.join(', ')}] do not lie on the image`,
    );
  return { path, value, ...layout };
}

/**
 * The layer that maps are usually taken at: of transformers the norm before the last attention,
 * since behind it only the class token's row may lead to the scores; of networks that make a map
 * after it, and of those without attention, the last map.
 */
export function usualCamLayer(graph: Graph, image: Size): CamLayer {
  const { nodes, probes } = graph;
  const probe = probes.findLast(({ kind, keys }) => kind !== 'class' && keys.grid?.length === 2);
  const attention = nodes.findIndex(({ outputs }) => probe && outputs.includes(probe.value));
  const found =
    lastOnImage(graph, nodes.slice(attention + 1), image, isMap) ??
    lastOnImage(graph, nodes.slice(0, attention + 1), image, isNorm) ??
    lastOnImage(graph, nodes.slice(0, attention + 1), image, isMap);
  if (!found) throw new Error('no layer has a map that lies on the image');
  return found;
}

/** Whether a node normalises tokens or a map; norms of queries and keys have heads in front. */
const isNorm = (graph: Graph, node: Node, image: Size): boolean => {
  if (operatorOf(node)?.kind !== 'normalisation') return false;
  const { shape } = valueOf(graph, at(node.outputs, 0));
  const [, second = 1, third = 1] = shape;
  return shape.length !== 4 || node.op !== 'LayerNormalization' || liesOn([second, third], image);
};

/**
 * Whether a node computes `[1, channels, rows, columns]` or `[1, rows, columns, channels]` of more
 * than one place. Products of matrices, and what moves their elements, may be heads × tokens.
 */
function isMap(graph: Graph, node: Node): boolean {
  const { shape } = valueOf(graph, at(node.outputs, 0));
  const kind = operatorOf(node)?.kind;
  const computes = kind !== 'layout' && kind !== 'product';
  return (
    computes && shape.length === 4 && shape[0] === 1 && product(shape.slice(2)) > 1 && (shape[1] ?? 0) > 1
  );
}

/** The last of some nodes whose values are of a kind and lie on the image. */
function lastOnImage(
  graph: Graph,
  nodes: readonly Node[],
  image: Size,
  isWanted: (graph: Graph, node: Node, image: Size) => boolean,
): CamLayer | undefined {
  const probed = new Set(graph.probes.map(({ value }) => value));
  for (const node of nodes.toReversed()) {
    const value = at(node.outputs, 0);
    if (node.atLoad || probed.has(value) || !isWanted(graph, node, image)) continue;
    const layout = layoutOf(graph, value, image);
    if (layout) return { path: node.scope === '' ? 'the last map' : node.scope, value, ...layout };
  }
  return undefined;
}

/** A value at the layer as `[channels, rows, columns]`, special tokens left out. */
export function asMap({ grid, channels, special, channelsFirst }: CamLayer, { data }: Values): Values {
  const places = grid[0] * grid[1];
  const shape = [channels, ...grid];
  if (channelsFirst) return { shape, data };
  const result = new Float32Array(channels * places);
  for (let place = 0; place < places; place++)
    for (let channel = 0; channel < channels; channel++)
      result[channel * places + place] = at(data, (special + place) * channels + channel);
  return { shape, data: result };
}
