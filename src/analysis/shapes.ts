import type { Graph } from '../graph/graph';

/** Images that the graph takes at once. */
export const batchOf = (graph: Graph): number => graph.inputs[0]?.shape[0] ?? 1;

/**
 * A value's shape for one image. Linear layers work on the rows of all images at once, so the
 * first axis may be a multiple of the batch.
 */
export function withoutBatch(graph: Graph, shape: readonly number[]): readonly number[] {
  const [lead = 1, ...rest] = shape;
  const batch = batchOf(graph);
  if (rest.length === 0 || lead === batch) return rest;
  return [lead % batch === 0 ? lead / batch : lead, ...rest];
}
