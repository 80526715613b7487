import { at, largest } from '../domain/lists';
import type { Graph } from '../graph/graph';
import { isView } from '../graph/operators';
import { readBy } from '../graph/order';
import { workOf, type Work } from './work';

/** The moment at which most operator outputs are alive. */
export interface Peak {
  readonly bytes: number;
  /** Name of the operator that is running. */
  readonly at: string;
}

/** Value whose memory a value lies in. */
function owners(work: readonly Work[]): ReadonlyMap<string, string> {
  const owner = new Map<string, string>();
  for (const { node } of work)
    if (isView(node)) {
      const [source = ''] = node.inputs;
      for (const output of node.outputs) owner.set(output, owner.get(source) ?? source);
    }
  return owner;
}

/**
 * Largest sum of float32 bytes of operator outputs that are alive at once, running one operator
 * after the other: an output lives from its operator to its last reader, the model's outputs to the
 * end. Weights and the image are not counted.
 */
export function peakMemory(graph: Graph): Peak {
  const work = workOf(graph);
  const owner = owners(work);
  const ownerOf = (value: string): string => owner.get(value) ?? value;
  const last = new Map<string, number>();
  work.forEach(({ node }, index) => readBy(node).forEach((input) => last.set(ownerOf(input), index)));
  for (const { value } of graph.outputs) last.set(ownerOf(value), work.length);
  const freed = work.map((): number => 0);
  let live = 0;
  let peak: Peak = { bytes: 0, at: '' };
  work.forEach(({ node, bytes }, index) => {
    live += bytes;
    if (live > peak.bytes) peak = { bytes: live, at: node.name };
    if (bytes > 0) {
      const end = largest(node.outputs.map((output) => last.get(output) ?? index));
      if (end < work.length) freed[end] = at(freed, end) + bytes;
    }
    live -= at(freed, index);
  });
  return peak;
}
