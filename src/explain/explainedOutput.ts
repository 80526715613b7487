import { valueOf, type Graph, type GraphOutput } from '../graph/graph';
import { extend } from '../graph/rewrite/extend';

/** The output that is explained: scores of classes, else a vector of the image. */
export function explainedOutput(graph: Graph): GraphOutput {
  const meanings = ['logits', 'probabilities', 'embedding', 'features'] as const;
  const found = meanings.flatMap((means) => graph.outputs.filter((output) => output.means === means));
  const vector = found.find(({ value }) => valueOf(graph, value).shape.length === 2);
  if (!vector) throw new Error('it has no scores of classes and no vector of the image to be explained');
  return vector;
}

/** The graph with these outputs alone, and no maps beside them. */
export function onlyOutputs(graph: Graph, outputs: readonly GraphOutput[]): Graph {
  return { ...extend(graph, 'explain', () => undefined), outputs, probes: [] };
}
