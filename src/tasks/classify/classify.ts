import { resolveLabels, topK, type Activation } from '../../labels/labels';
import type { Model } from '../../models/model';
import type { Classes } from '../answer';
import { imageProgram, outputOf, type Task } from '../task';

const scoreKinds: Readonly<Record<Activation, Classes['scoreKind']>> = {
  softmax: 'softmax',
  sigmoid: 'sigmoid',
  none: 'value',
};

/**
 * Names the classes of an image: the output that means logits, with the labels of the checkpoint.
 */
export const classify: Task<Classes> = {
  serves(model: Model) {
    if (model.recognition.family === null) return model.recognition.reason;
    const classifies = model.parts.some(({ graph }) => outputOf(graph().outputs, 'logits'));
    return classifies ? undefined : 'it has no classifier: features only';
  },
  program: (model, size) => imageProgram(model, size, (outputs) => outputOf(outputs, 'logits')),
  read(outputs, _seen, { config, topK: count }) {
    const logits = outputOf(outputs, 'logits');
    const values = logits?.values ?? new Float32Array();
    const { names, activation: configured, source } = resolveLabels({ config, classes: values.length });
    const activation = logits?.activation ?? configured;
    const top = topK(values, count, activation).map(({ index, probability }) => ({
      index,
      label: names[index] ?? `class ${index}`,
      score: probability,
    }));
    const scoreKind = scoreKinds[activation];
    return { kind: 'classes', top, classes: values.length, scoreKind, labelSource: source };
  },
  json({ top, labelSource, scoreKind }) {
    const guesses = top.map(({ index, label, score }) => ({ index, label, probability: score }));
    return { top: guesses, labels: labelSource, score: scoreKind };
  },
};
