import type { GraphBuilder } from '../builder';
import { valueOf, type Graph, type Node, type ValueInfo } from '../graph';
import { changingWith, producers, readBy } from '../order';
import { extend } from './extend';

/** Values that operators make and others read in their place, by the names of the old ones. */
export type Replacements = ReadonlyMap<string, ValueInfo>;

/**
 * The graph in which other values stand in the place of some: whatever read the old one, outputs
 * included, reads what `write` made, which alone may read the old one.
 */
export function withReplaced(
  graph: Graph,
  scope: string,
  write: (b: GraphBuilder, value: (name: string) => ValueInfo) => Replacements,
): Graph {
  let replaced: Replacements = new Map();
  const grown = extend(graph, scope, (b, value) => (replaced = write(b, value)));
  const rename = (name: string): string => replaced.get(name)?.name ?? name;
  const added = producers({ nodes: grown.nodes.slice(graph.nodes.length) });
  const placed = new Set<Node>();
  const nodes: Node[] = [];
  // New operators stand in front of the first that reads them.
  const place = (node: Node): void => {
    if (placed.has(node)) return;
    placed.add(node);
    for (const input of readBy(node)) {
      const maker = added.get(input);
      if (maker) place(maker);
    }
    nodes.push(node);
  };
  for (const node of graph.nodes) place({ ...node, inputs: node.inputs.map(rename) });
  for (const node of added.values()) place(node);
  const outputs = grown.outputs.map((output) => ({ ...output, value: rename(output.value) }));
  return { ...grown, nodes, outputs, probes: [] };
}

/**
 * The graph behind some of its values, which become its inputs: parameters, too, if they are
 * float32.
 */
export function cutAt(graph: Graph, names: readonly string[]): Graph {
  const cut = new Set(names);
  return {
    ...graph,
    inputs: [...graph.inputs, ...names.map((name) => valueOf(graph, name))],
    nodes: graph.nodes.filter(({ outputs }) => !outputs.some((output) => cut.has(output))),
    initializers: new Map([...graph.initializers].filter(([name]) => !cut.has(name))),
    probes: [],
  };
}

/**
 * Float32 values that the outputs are made of besides a value, if that one is given: where the
 * image gets past it. Values of other types are made anew.
 */
export function besides(graph: Graph, value: string, outputs: readonly string[]): readonly string[] {
  const ofImage = changingWith(
    graph,
    graph.inputs.map(({ name }) => name),
  );
  const behind = changingWith(graph, [value]);
  const makers = producers(graph);
  const found = new Set<string>();
  const seen = new Set<string>();
  const bring = (name: string): void => {
    if (seen.has(name) || name === value || !ofImage.has(name)) return;
    seen.add(name);
    const maker = makers.get(name);
    const isOwn = behind.has(name) || (maker && valueOf(graph, name).dtype !== 'F32');
    if (isOwn && maker) readBy(maker).forEach(bring);
    else found.add(name);
  };
  outputs.forEach(bring);
  return [...found];
}
