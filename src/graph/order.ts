import type { Graph, Node } from './graph';

/** The node that makes each value; parameters, constants and graph inputs have none. */
export function producers(graph: Pick<Graph, 'nodes'>): ReadonlyMap<string, Node> {
  return new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
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
