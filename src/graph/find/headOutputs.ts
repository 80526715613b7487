import { elementCount } from '../../checkpoint/tensors';
import type { Probe } from '../../domain/probes';
import { at } from '../../domain/lists';
import { intOf, intsOf, outputName, valueOf, type Graph, type Node } from '../graph';
import { factorsOf, keepsElements, operatorOf } from '../operators';
import { changingWith, readers } from '../order';
import { perGraph } from '../perGraph';

/** What the heads of a layer make of the values, and the linear layer that joins them. */
export interface HeadOutputs {
  /** Values that the map multiplies, `[1, heads, keys, d]`. */
  readonly values: string;
  /** What the output projection reads, `[…, queries, width]`. */
  readonly read: string;
  /** For each of its columns the head, and the place inside of it. */
  readonly columns: readonly { readonly head: number; readonly place: number }[];
  readonly projection: Node;
  /** Weight of the projection: `[width, out]`, or `[out, width]`. */
  readonly weight: string;
  readonly isTransposed: boolean;
  /** Nothing but an order of elements stands between heads and projection: no norm. */
  readonly isDirect: boolean;
}

export const readersOf = perGraph(readers);

/** Values that change with the image. */
export const valuesOfImage = perGraph((graph) =>
  changingWith(
    graph,
    graph.inputs.map(({ name }) => name),
  ),
);

const isProduct = (node: Node): boolean => operatorOf(node)?.kind === 'product';

/** Steps from a value to what is looked for: the nodes on the way, the last one included. */
export function pathTo(
  graph: Graph,
  from: string,
  isEnd: (node: Node, value: string) => boolean,
  mayPass: (node: Node, value: string) => boolean,
): readonly Node[] | undefined {
  const seen = new Set<string>([from]);
  let ways: readonly { readonly value: string; readonly nodes: readonly Node[] }[] = [
    { value: from, nodes: [] },
  ];
  while (ways.length > 0) {
    const next: { value: string; nodes: readonly Node[] }[] = [];
    for (const { value, nodes } of ways)
      for (const node of readersOf(graph).get(value) ?? []) {
        if (isEnd(node, value)) return [...nodes, node];
        const output = outputName(node);
        if (seen.has(output) || !mayPass(node, value)) continue;
        seen.add(output);
        next.push({ value: output, nodes: [...nodes, node] });
      }
    ways = next;
  }
  return undefined;
}

/** Whether an operator gives all elements, in another order or shape. */
export const isLayout = (node: Node): boolean => keepsElements(node) || node.op === 'Transpose';

/** Whether an operator works on each element, or on each row: its output lies as its input does. */
export function keepsShape(graph: Graph, node: Node, value: string): boolean {
  const kind = operatorOf(node)?.kind;
  const isAlike = valueOf(graph, outputName(node)).shape.join() === valueOf(graph, value).shape.join();
  return isAlike && (kind === 'elementwise' || kind === 'normalisation' || kind === 'activation');
}

/** Whether a product multiplies a value by weights from the right. */
function isProjection(graph: Graph, node: Node, value: string): boolean {
  const [left, right] = factorsOf(node);
  const isPlain = node.op === 'MatMul' || (node.op === 'Gemm' && intOf(node, 'transA', 0) === 0);
  return (
    isPlain && left === value && !valuesOfImage(graph).has(right) && valueOf(graph, right).shape.length === 2
  );
}

/** Place in the input of each element of an output. */
function ordered(graph: Graph, node: Node, order: Int32Array): Int32Array {
  if (keepsElements(node)) return order;
  const { shape } = valueOf(graph, at(node.inputs, 0));
  const given = intsOf(node, 'perm');
  const perm = given.length > 0 ? given : shape.map((_, axis) => shape.length - 1 - axis);
  const steps = shape.map((_, axis) => elementCount(shape.slice(axis + 1)));
  const [sides, strides] = [perm.map((axis) => at(shape, axis)), perm.map((axis) => at(steps, axis))];
  const place = new Int32Array(sides.length);
  const result = new Int32Array(order.length);
  let source = 0;
  for (let index = 0; index < result.length; index++) {
    result[index] = order[source] ?? 0;
    for (let axis = sides.length - 1; axis >= 0; axis--) {
      const [side, stride] = [sides[axis] ?? 1, strides[axis] ?? 0];
      const next = (place[axis] ?? 0) + 1;
      source += stride;
      if (next < side) {
        place[axis] = next;
        break;
      }
      place[axis] = 0;
      source -= side * stride;
    }
  }
  return result;
}

/** Head and place of each column of `[queries, width]`; undefined if rows are not the queries. */
function columnsOf(
  order: Int32Array,
  [heads, queries, width]: readonly [heads: number, queries: number, width: number],
): HeadOutputs['columns'] | undefined {
  const whole = heads * width;
  const columns = Array.from({ length: whole }, (_, column) => {
    const source = order[column] ?? 0;
    return { head: Math.floor(source / (queries * width)), place: source % width };
  });
  const fits = order.every((source, index) => {
    const { head, place } = at(columns, index % whole);
    return source === (head * queries + Math.floor(index / whole)) * width + place;
  });
  return fits ? columns : undefined;
}

/** Finds them by the graph; undefined without the map's product, or a linear layer behind it. */
export function headOutputs(graph: Graph, probe: Probe): HeadOutputs | undefined {
  const { shape } = valueOf(graph, probe.value);
  const [queries = 1, keys = 1] = shape.slice(-2);
  if (elementCount(shape) !== probe.heads * queries * keys) return undefined;
  const toProduct = pathTo(
    graph,
    probe.value,
    (node, value) =>
      isProduct(node) && factorsOf(node)[0] === value && valuesOfImage(graph).has(factorsOf(node)[1]),
    keepsElements,
  );
  const mix = toProduct?.at(-1);
  if (!mix) return undefined;
  const [, values] = factorsOf(mix);
  const mixed = valueOf(graph, outputName(mix));
  const way = pathTo(
    graph,
    mixed.name,
    (node, value) => isProjection(graph, node, value),
    (node, value) => isLayout(node) || keepsShape(graph, node, value),
  );
  const projection = way?.at(-1);
  if (!way || !projection) return undefined;
  const between = way.slice(0, -1);
  let order: Int32Array = Int32Array.from({ length: elementCount(mixed.shape) }, (_, index) => index);
  for (const node of between) if (isLayout(node)) order = ordered(graph, node, order);
  const [read, weight] = factorsOf(projection);
  const columns = columnsOf(order, [probe.heads, queries, at(mixed.shape, mixed.shape.length - 1)]);
  return (
    columns && {
      values,
      read,
      columns,
      projection,
      weight,
      isTransposed: intOf(projection, 'transB', 0) === 1,
      isDirect: between.every(isLayout),
    }
  );
}
