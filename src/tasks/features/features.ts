import type { Features } from '../answer';
import { outputJson, vectorOf } from '../outputs/reading';
import { outputLine } from '../outputs/text';
import { cannotRun, imageProgram, outputOf, type Task } from '../task';

/** Computes what a model without a head gives: its features, or else its first output. */
export const features: Task<Features> = {
  answerName: 'features',
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
  lines: ({ vector }) => ['no classifier: features only', ...(vector ? [outputLine(vector)] : [])],
  answers: () => ({}),
  json: ({ vector }) => ({
    top: [],
    labels: '',
    score: 'none',
    ...(vector && { outputs: [outputJson(vector)] }),
  }),
};
