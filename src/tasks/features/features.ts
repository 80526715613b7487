import type { Features } from '../answer';
import { imageProgram, outputOf, type Task } from '../task';

/** Computes what a model without a head gives: its features, or else its first output. */
export const features: Task<Features> = {
  serves({ recognition }) {
    return recognition.family === null ? recognition.reason : undefined;
  },
  program: (model, size) =>
    imageProgram(model, size, (outputs) => {
      const features = outputOf(outputs, 'features');
      return features ? [features] : outputs.slice(0, 1);
    }),
  read: () => ({ kind: 'features' }),
  json: () => ({ top: [], labels: '', score: 'none' }),
};
