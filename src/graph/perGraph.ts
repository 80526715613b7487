import type { Graph } from './graph';

/**
 * The same function, asked once per graph: what is read off a graph costs milliseconds, and each
 * image asks again.
 */
export function perGraph<T>(read: (graph: Graph) => T): (graph: Graph) => T {
  const known = new WeakMap<Graph, { readonly value: T }>();
  return (graph) => {
    const found = known.get(graph) ?? { value: read(graph) };
    known.set(graph, found);
    return found.value;
  };
}
