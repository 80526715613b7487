import type { Graph, Node } from './graph';

/** The node that makes each value; parameters, constants and graph inputs have none. */
export function producers(graph: Pick<Graph, 'nodes'>): ReadonlyMap<string, Node> {
  const found = new Map<string, Node>();
  for (const node of graph.nodes) for (const output of node.outputs) found.set(output, node);
  return found;
}

/** Names a node reads, without optional inputs left out. */
export const readBy = (node: Node): readonly string[] => node.inputs.filter((input) => input !== '');

/** The nodes that the given values depend on, in execution order. */
export function neededNodes(graph: Pick<Graph, 'nodes'>, values: Iterable<string>): readonly Node[] {
  const needed = new Set(values);
  const nodes = graph.nodes.toReversed().filter((node) => {
    if (!node.outputs.some((output) => needed.has(output))) return false;
    for (const input of readBy(node)) needed.add(input);
    return true;
  });
  return nodes.reverse();
}

/**
 * Values that change with any of the given ones, these included; by ways through values that pass
 * alone, if it is said which do.
 */
export function changingWith(
  { nodes }: Pick<Graph, 'nodes'>,
  roots: Iterable<string>,
  passes: (value: string) => boolean = () => true,
): ReadonlySet<string> {
  const changing = new Set(roots);
  for (const node of nodes)
    if (readBy(node).some((input) => changing.has(input)))
      for (const output of node.outputs) if (output !== '' && passes(output)) changing.add(output);
  return changing;
}

/** Values that any of the given ones is made of, these included. */
export function madeOf(graph: Pick<Graph, 'nodes'>, ends: Iterable<string>): ReadonlySet<string> {
  const found = new Set(ends);
  for (const node of neededNodes(graph, found)) for (const input of readBy(node)) found.add(input);
  return found;
}

/** The nodes that read each value, in execution order. */
export function readers(graph: Pick<Graph, 'nodes'>): ReadonlyMap<string, readonly Node[]> {
  const found = new Map<string, Node[]>();
  for (const node of graph.nodes)
    for (const input of readBy(node)) {
      const list = found.get(input);
      if (list) list.push(node);
      else found.set(input, [node]);
    }
  return found;
}
