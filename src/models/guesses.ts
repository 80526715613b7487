import { hyperparameterOf, labelOf, valueText } from '../architectures/hyperparameters';
import type { Evidence, Known, Recognition } from '../architectures/family';
import { keepGraph } from '../architectures/recognise/recognise';

/**
 * Words of other warnings that tell of a guess already, and what to do; `set KEY` tells of any key.
 */
const toldBy: Readonly<Record<string, RegExp>> = {
  grid: /State the image size or the grid/,
  image_size: /State the image size or the grid/,
  position_slots: /State the image size or the grid/,
  head: /set (?:head_input|pool)\b/,
  activation: /was assumed, whose activation is/,
};

const isTold = (key: string, warnings: readonly string[]): boolean =>
  warnings.some(
    (warning) => toldBy[key]?.test(warning) === true || new RegExp(`\\bset ${key}\\b`).test(warning),
  );

/** Keys whose two numbers are sides. */
const sides: ReadonlySet<string> = new Set(['image_size', 'grid', 'resolution', 'second_grid']);

/** `heads 12`, `image size 224 × 224`, `heads (1, 2, 4)` */
function guessText([key, { value }]: readonly [string, Evidence]): string {
  const label = labelOf(key);
  const words = /^.[A-Z]/.test(label) ? label : label.charAt(0).toLowerCase() + label.slice(1);
  if (sides.has(key) && typeof value === 'object') return `${words} ${value.join(' × ')}`;
  return `${words} ${typeof value === 'object' ? `(${valueText(value)})` : valueText(value)}`;
}

/** Warns in one line of all that was assumed and changes the answer; undefined if nothing was. */
export function guessWarning({
  evidence,
  warnings,
}: Pick<Known, 'evidence' | 'warnings'>): string | undefined {
  const guesses = Object.entries(evidence).filter(
    ([key, { assumed }]) => assumed && hyperparameterOf(key)?.isOpen !== false && !isTold(key, warnings),
  );
  return guesses.length > 0
    ? `Assumed, not stored in the file: ${guesses.map(guessText).join(', ')}.`
    : undefined;
}

/** A recognition that warns of what was assumed. */
export function withGuesses<R extends Recognition>(recognition: R): R {
  if (recognition.family === null) return recognition;
  const warning = guessWarning(recognition);
  if (warning === undefined) return recognition;
  const warned = { ...recognition, warnings: [...recognition.warnings, warning] };
  keepGraph(recognition, warned);
  return warned;
}
