import type { GraphOutput } from '../../graph/graph';
import type { Outputs } from '../answer';
import { labelsOfHeads } from '../../labels/labels';
import { cannotRun, imageProgram, type ReadContext, type Task } from '../task';
import { outputJson, readOutputs } from './reading';
import { outputLine } from './text';

/** What is drawn elsewhere or hands something on to a next step. */
const notShown: ReadonlySet<GraphOutput['means']> = new Set(['attention', 'state']);

const shown = (outputs: readonly GraphOutput[]): readonly GraphOutput[] =>
  outputs.filter(({ means }) => !notShown.has(means));

/** Maps, or several vectors: more than the features of a model without a head. */
function isMore(outputs: readonly GraphOutput[]): boolean {
  const count = (means: GraphOutput['means']): number =>
    outputs.filter((output) => output.means === means).length;
  return count('logits') === 0 && (count('maps') > 0 || count('features') > 1);
}

/**
 * Names of the classes on a map, which may show fewer of them than there are: of the first list
 * beside the weights that is long enough, or of config.json; `class 3` without any.
 */
function categoryNames(context: ReadContext, classes: number): (value: number) => string {
  const lists = (context.classNames ?? []).map(({ names }) => names.length);
  const counts = [...lists.filter((length) => length >= classes), classes];
  const found = counts.flatMap((count) => labelsOfHeads(context, [count])).find(({ assumed }) => !assumed);
  return (value) => found?.names[value] ?? `class ${value}`;
}

/** Shows what a graph gives that is no classifier: every output by its name, as its shape is. */
export const outputs: Task<Outputs> = {
  answerName: 'outputs',
  serves(model) {
    const reason = cannotRun(model);
    if (reason !== undefined) return reason;
    const found = model.parts.some(({ graph }) => isMore(graph().outputs));
    return found ? undefined : 'it has no output that is a map';
  },
  program: (model, size) => imageProgram(model, size, shown),
  read: (outputs, _seen, context) => ({
    kind: 'outputs',
    outputs: readOutputs(outputs, context.imageSize, (classes) => categoryNames(context, classes)),
  }),
  lines: ({ outputs }) => outputs.map(outputLine),
  answers: () => ({}),
  json: ({ outputs }) => ({ top: [], labels: '', score: 'none', outputs: outputs.map(outputJson) }),
};
