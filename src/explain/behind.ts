import { neededNodes, readBy } from '../graph/order';
import { cutAt, besides } from '../graph/rewrite/splice';
import { onlyOutputs, valuesIn, type Explained, type Named, type Values } from './explained';
import type { Graph } from '../graph/graph';

/** Runs a graph made of the model's own on those of the values that it reads. */
export async function runOn(
  { question }: Explained,
  name: string,
  graph: Graph,
  inputs: Named,
): Promise<Named> {
  question.signal?.throwIfAborted();
  const ends = graph.outputs.map(({ value }) => value);
  const read = new Set([...neededNodes(graph, ends).flatMap(readBy), ...ends]);
  const given = Object.entries(inputs).filter(([input]) => read.has(input));
  return question.run(name, graph, Object.fromEntries(given));
}

/** Whether the output is made of a value alone: nothing of the image gets past it. */
export const isAllOf = ({ graph, output }: Explained, value: string): boolean =>
  besides(graph, value, [output.value]).length === 0;

/**
 * The output for other values in place of one of the graph's: only what lies behind it is run. What
 * the output is made of besides is computed once, for the image.
 */
export function outputWith(explained: Explained, value: string, other: Values): Promise<Float32Array> {
  const { graph, output } = explained;
  const prepared = explained.once(`behind ${value}`, async () => {
    const names = besides(graph, value, [output.value]);
    const found = names.length > 0 ? await explained.values(names) : [];
    const given = Object.fromEntries(names.map((name, index) => [name, found[index] as Values]));
    return { given, rest: cutAt(onlyOutputs(graph, [output]), [value, ...names]) };
  });
  return prepared.then(async ({ given, rest }) => {
    const made = await runOn(explained, `behind ${value}`, rest, { ...given, [value]: other });
    return valuesIn(made, output.name).data;
  });
}
