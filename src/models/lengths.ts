import { knownLengths as known } from '../domain/lengths';
import type { LengthRow } from '../domain/report';
import type { Model } from './model';

type Lengths = Readonly<Record<string, number>>;

/**
 * Other names for what a model reads: one whose words are its decoder's alone calls them by either
 * name.
 */
const otherName: Readonly<Record<string, string>> = { text: 'decoder', decoder: 'text' };

/** What a model is counted for, and what of the question it has no use for. */
export interface AskedLengths {
  readonly lengths: Lengths;
  /** Sentences about what was asked and changes nothing. */
  readonly warnings: readonly string[];
}

/** The model's own texts, tokens, frames and prompts; none of one that reads images alone. */
export const ownLengths = ({ recognition }: Pick<Model, 'recognition'>): Lengths =>
  recognition.family === null ? {} : (recognition.lengths ?? {});

/**
 * The lengths that a model is counted at: those asked for, else its own. Throws, with the bounds,
 * if one is not between them.
 */
export function askedLengths(model: Model, asked: Lengths = {}): AskedLengths {
  const own = ownLengths(model);
  const given: Record<string, number> = {};
  const warnings: string[] = [];
  for (const [name, value] of Object.entries(asked)) {
    const key = [name, otherName[name] ?? ''].find(
      (each) => each in own && !(each !== name && each in asked),
    );
    if (key === undefined) {
      // A model that reads one text with its image reads one.
      if (name === 'texts' && value === 1 && 'text' in own) continue;
      warnings.push(`${name}=${value} changes nothing: this model ${readsText(own)}.`);
      continue;
    }
    const { least, most, step } = boundsOf(model, key);
    if (!Number.isInteger(value) || value < least || value > most || (value - least) % step !== 0)
      throw new Error(
        `${model.checkpoint.path}: ${key}=${value} found; ${boundsText({ least, most, step })} needed`,
      );
    given[key] = value;
  }
  return { lengths: { ...own, ...given }, warnings };
}

const readsText = (own: Lengths): string =>
  Object.keys(own).length === 0 ? 'reads images alone' : `has ${Object.keys(own).join(', ')}`;

/** The lengths of a model with their bounds, at these values. */
export const lengthRows = (model: Model, lengths: Lengths): readonly LengthRow[] =>
  Object.entries(ownLengths(model)).map(([name, own]) => ({
    name,
    title: known[name]?.title ?? name,
    value: lengths[name] ?? own,
    own,
    ...boundsOf(model, name),
  }));

interface Bounds {
  readonly least: number;
  readonly most: number;
  readonly step: number;
}

const boundsText = ({ least, most, step }: Bounds): string =>
  least === most
    ? `${least}, which the weights fix, is`
    : `${least} to ${most}${step > 1 ? ` in steps of ${step}` : ''} is`;

/** What the model can be written for: its own bounds, as far as it states them. */
function boundsOf({ recognition }: Model, name: string): Bounds {
  const { bounds = {}, lengths = {} } = recognition.family === null ? {} : recognition;
  const { least = 1, most, step = 1 } = bounds[name] ?? {};
  const own = lengths[name] ?? 1;
  return { least, most: most ?? Math.max(known[name]?.most ?? 512, own), step };
}
