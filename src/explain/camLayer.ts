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
    return isLast
      ? { grid: [second, third], channels: fourth, special: 0, channelsFirst: false }
      : { grid: [third, fourth], channels: second, special: 0, channelsFirst: true };
  }
  const rows = product(shape.slice(0, -1));
  const found = gridOfRows(graph.probes, rows, image);
  return found && { ...found, channels: at(shape, shape.length - 1), channelsFirst: false };
}

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
 * The layer that maps are usually taken at: of transformers the norm in front of the last block's
 * attention, since behind it only the class token's row leads to the scores; of convolutional
 * networks the last map.
 */
export function usualCamLayer(graph: Graph, image: Size): CamLayer {
  const last = lastMap(graph, image);
  const probe = graph.probes.findLast(({ kind, keys }) => kind !== 'class' && keys.grid?.length === 2);
  const position = (value: string): number => graph.nodes.findIndex(({ outputs }) => outputs.includes(value));
  if (probe && !(last && position(last.value) > position(probe.value))) {
    const block = probe.layer.includes('.')
      ? probe.layer.slice(0, probe.layer.lastIndexOf('.'))
      : probe.layer;
    const norm = graph.nodes.find(
      (node) => operatorOf(node)?.kind === 'normalisation' && parentOf(node.scope) === block,
    );
    if (norm) return camLayerAt(graph, norm.scope, image);
  }
  if (last) return last;
  throw new Error('no layer has a map that lies on the image');
}

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('.')));

/** The last value that is a map `[1, channels, rows, columns]` of more than one place. */
function lastMap(graph: Graph, image: Size): CamLayer | undefined {
  const isMap = (node: Node): boolean => {
    const { shape } = valueOf(graph, at(node.outputs, 0));
    return shape.length === 4 && shape[0] === 1 && product(shape.slice(2)) > 1 && (shape[1] ?? 0) > 1;
  };
  const maps = new Set(graph.probes.map(({ value }) => value));
  const node = graph.nodes.findLast((each) => isMap(each) && !maps.has(at(each.outputs, 0)) && !each.atLoad);
  const value = node && at(node.outputs, 0);
  const layout = value === undefined ? undefined : layoutOf(graph, value, image);
  return node && value !== undefined && layout ? { path: node.scope, value, ...layout } : undefined;
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
