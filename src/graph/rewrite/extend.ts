import { GraphBuilder } from '../builder';
import { valueOf, type Graph, type ValueInfo } from '../graph';

/**
 * The one way to grow a finished graph: `write` adds operators, inputs, outputs and probes to a
 * copy of it, with names that begin with `scope`. `value` looks up what the graph already makes and
 * throws `GraphError` for what it does not.
 */
export function extend(
  graph: Graph,
  scope: string,
  write: (b: GraphBuilder, value: (name: string) => ValueInfo) => void,
): Graph {
  const b = GraphBuilder.continuing(graph, scope);
  write(b, (name) => valueOf(graph, name));
  return b.build();
}
