import { labelsOfHeads, topK, type Activation, type Labels } from '../../labels/labels';
import type { Model } from '../../models/model';
import type { Classes } from '../answer';
import type { OutputMeaning } from '../../graph/graph';
import { formatPercent } from '../../domain/units';
import { cannotRun, imageProgram, outputOf, type OutputValues, type Task } from '../task';

const scoreKinds: Readonly<Record<Activation, Classes['scoreKind']>> = {
  softmax: 'softmax',
  sigmoid: 'sigmoid',
  none: 'value',
};

/** The output named `logits`, or every head that has a name of its own. */
function headsIn<T extends { readonly name: string; readonly means: OutputMeaning }>(
  outputs: readonly T[],
): readonly T[] {
  const heads = outputs.filter(({ means }) => means === 'logits');
  const main = heads.find(({ name }) => name === 'logits');
  return main ? [main] : heads;
}

function classesOf(
  { name, values, activation: stated }: OutputValues,
  { names, activation: configured, source, warnings }: Labels,
  count: number,
): Classes {
  const activation = stated ?? configured;
  const top = topK(values, count, activation).map(({ index, probability }) => ({
    index,
    label: names[index] ?? `class ${index}`,
    score: probability,
  }));
  const scoreKind = scoreKinds[activation];
  return {
    kind: 'classes',
    head: name,
    top,
    classes: values.length,
    scoreKind,
    labelSource: source,
    ...(warnings.length > 0 && { warnings }),
  };
}

const guessLines = ({ scoreKind, top }: Classes): readonly string[] =>
  top.map(({ label, score: value }) => {
    const score = scoreKind === 'value' ? String(value) : formatPercent(value);
    return `${score.padStart(8)}  ${label}`;
  });

function jsonOf({ top, labelSource, scoreKind }: Classes): object {
  const guesses = top.map(({ index, label, score }) => ({ index, label, probability: score }));
  return { top: guesses, labels: labelSource, score: scoreKind };
}

/**
 * Names the classes of an image: the output that means logits, with the labels of the checkpoint.
 */
export const classify: Task<Classes> = {
  answerName: 'classes',
  serves(model: Model) {
    const reason = cannotRun(model);
    if (reason !== undefined) return reason;
    const classifies = model.parts.some(({ graph }) => outputOf(graph().outputs, 'logits'));
    return classifies ? undefined : 'it has no classifier: features only';
  },
  program: (model, size) => imageProgram(model, size, headsIn),
  read(outputs, _seen, context) {
    const heads = headsIn(outputs);
    const labels = labelsOfHeads(
      context,
      heads.map(({ values }) => values.length),
    );
    const [first, ...others] = heads.flatMap((output, index) => {
      const own = labels[index];
      return own ? [classesOf(output, own, context.topK)] : [];
    });
    if (!first) return { kind: 'classes', top: [], classes: 0, scoreKind: 'softmax', labelSource: '' };
    return others.length === 0 ? first : { ...first, heads: [first, ...others] };
  },
  lines: (answer) =>
    answer.heads?.flatMap((head) => [`${head.head ?? ''}:`, ...guessLines(head)]) ?? guessLines(answer),
  answers: ({ top }) => ({
    list: [top.map(({ index, label, score }) => ({ label: index, name: label, score }))],
  }),
  json: (answer) => ({
    ...jsonOf(answer),
    ...(answer.heads && {
      heads: Object.fromEntries(answer.heads.map((head) => [head.head, jsonOf(head)])),
    }),
  }),
};
