import type { Graph } from '../graph/graph';
import { carriedInputs } from '../graph/operators';

/** Where values come from. */
export interface Provenance {
  /**
   * A stored parameter, only moved or converted since: what makes a matrix product a linear layer.
   */
  readonly isParameter: (value: string) => boolean;
  /** Does not depend on the model's inputs: computed once, when the graph is loaded. */
  readonly isStatic: (value: string) => boolean;
}

/** Follows parameters and constants through the graph, in execution order. */
export function traceProvenance(graph: Graph): Provenance {
  const fixed = new Set(graph.initializers.keys());
  const parameters = new Set(
    [...graph.initializers.values()].filter(({ data }) => data.kind === 'parameter').map(({ name }) => name),
  );
  for (const node of graph.nodes) {
    if (!node.inputs.every((input) => input === '' || fixed.has(input))) continue;
    // A Gather chooses by position, and arithmetic makes a new quantity: neither carries a
    // parameter.
    const carried = carriedInputs(node).some((input) => parameters.has(input));
    for (const output of node.outputs) {
      fixed.add(output);
      if (carried) parameters.add(output);
    }
  }
  return { isParameter: (value) => parameters.has(value), isStatic: (value) => fixed.has(value) };
}
