import type { Features } from '../answer';
import { imageStep, outputOf, type Task } from '../task';

/** Computes what a model without a head gives: its features, or else its first output. */
export const features: Task<Features> = {
  serves({ recognition }) {
    return recognition.family === null ? recognition.reason : undefined;
  },
  program(model, size) {
    const graph = model.graph(size);
    const output = outputOf(graph.outputs, 'features') ?? graph.outputs[0];
    if (!output) throw new Error('the graph has no output');
    return { steps: [imageStep(graph, output)] };
  },
  read: () => ({ kind: 'features' }),
  json: () => ({ top: [], labels: '', score: 'none' }),
};
