import type { Features } from '../answer';
import { outputJson, vectorOf } from '../outputs/reading';
import { cannotRun, imageProgram, outputOf, type Task } from '../task';

/** Computes what a model without a head gives: its features, or else its first output. */
export const features: Task<Features> = {
  serves: cannotRun,
  program: (model, size) =>
    imageProgram(model, size, (outputs) => {
      const features = outputOf(outputs, 'features');
      return features ? [features] : outputs.slice(0, 1);
    }),
  read(outputs) {
    const vector = outputOf(outputs, 'features');
    return { kind: 'features', ...(vector && { vector: vectorOf(vector) }) };
  },
  json: ({ vector }) => ({
    top: [],
    labels: '',
    score: 'none',
    ...(vector && { outputs: [outputJson(vector)] }),
  }),
};
