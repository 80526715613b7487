/** The preprocessing as lines that a person reads and changes. */
import type { PreprocessingLine } from '../../protocol/imagePanel';
import { normalisations } from './normalisations';
import type { NormalisationName } from './normalisations';
import { describeStep, PreprocessingError, resizedSize } from './pipeline';
import type { Evidence, Figure, Preprocessing, Step, Triple } from './pipeline';
import { filters } from './resize';
import type { Size } from './resize';
import { defaults } from './resolve';
import type { Overrides } from './resolve';
import { filterKind, fraction, mean, std } from './settings';
import type { Kind } from './settings';
import { cropModes } from './timm';

const titles: Readonly<Record<Figure, string>> = {
  image_size: 'Input',
  resize: 'Resize',
  crop: 'Crop',
  filter: 'Filter',
  rescale: 'Rescale',
  mean: 'Mean',
  std: 'Standard deviation',
  channels: 'Channels',
};

const normalisationNames = Object.keys(normalisations) as NormalisationName[];

/** What is offered when a figure is edited; figures without choices but with a place here take a typed value. */
const choices: Readonly<Partial<Record<Figure, readonly string[]>>> = {
  resize: cropModes,
  crop: ['0.875', '0.9', '0.95', '1'],
  filter: filters,
  mean: normalisationNames,
  std: normalisationNames,
};

function sizeText({ width, height }: Size): string {
  return `${width} × ${height}`;
}

function stepText(step: Step | undefined, picture: Size | undefined): string | undefined {
  if (step?.kind !== 'resize' || !picture) return step && describeStep(step);
  return `${sizeText(picture)} → ${sizeText(resizedSize(step, picture))} (${describeStep(step)})`;
}

/** A triple by its published name, where it has one. */
function nameOf(value: Evidence['value'], part: 'mean' | 'std'): string | undefined {
  return normalisationNames.find((name) => String(normalisations[name][part]) === String(value));
}

function plainText(value: Evidence['value']): string {
  return Array.isArray(value) ? value.join(', ') : String(value);
}

function lineOf(figure: Figure, evidence: Evidence, text: string): PreprocessingLine {
  const named = figure === 'mean' || figure === 'std' ? nameOf(evidence.value, figure) : undefined;
  return {
    key: figure,
    text: `${titles[figure]}: ${text}`,
    source: evidence.source,
    assumed: evidence.source.startsWith('assumed'),
    value: named ?? plainText(evidence.value),
    ...(choices[figure] && { choices: choices[figure] }),
  };
}

/** One line per figure, in the order of the steps; with the picture's size, the resize says what becomes of it. */
export function preprocessingLines(preprocessing: Preprocessing, picture?: Size): PreprocessingLine[] {
  const { evidence, steps, inputSize } = preprocessing;
  const texts: Partial<Record<Figure, string | undefined>> = {
    image_size: inputSize && sizeText({ height: inputSize[0], width: inputSize[1] }),
    resize: stepText(
      steps.find(({ kind }) => kind === 'resize'),
      picture,
    ),
    crop: stepText(
      steps.find(({ kind }) => kind === 'crop'),
      picture,
    ),
    rescale: stepText(
      steps.find(({ kind }) => kind === 'rescale'),
      picture,
    ),
  };
  return (Object.keys(titles) as Figure[]).flatMap((figure) => {
    const found = evidence[figure];
    return found ? [lineOf(figure, found, texts[figure] ?? plainText(found.value))] : [];
  });
}

/** A number, three of them, or a published name. */
function tripleOf(text: string, part: 'mean' | 'std'): unknown {
  if (Object.hasOwn(normalisations, text)) return normalisations[text as NormalisationName][part];
  const numbers = text.split(/[,\s]+/).map(Number);
  return numbers.length === 1 ? numbers[0] : numbers;
}

function checked<Value>(key: string, text: string, value: unknown, kind: Kind<Value>, more = ''): Value {
  const found = kind.parse(value);
  if (found !== undefined) return found;
  throw new PreprocessingError(`${key} is "${text}"; needed is ${kind.needed}${more}`);
}

const oneOf = <Value extends string>(values: readonly Value[]): Kind<Value> => ({
  parse: (value) => values.find((each) => each === value),
  needed: `one of ${values.join(', ')}`,
});

const orName = `, or one of ${normalisationNames.join(', ')}`;

/** How a typed text becomes an override, by the key of its line. */
const parsers: Readonly<Record<string, (text: string, key: string) => Overrides>> = {
  defaults: (text, key) => ({
    defaults: checked(key, text, text, oneOf(Object.keys(defaults) as (keyof typeof defaults)[])),
  }),
  resize: (text, key) => ({ cropMode: checked(key, text, text, oneOf(cropModes)) }),
  crop: (text, key) => ({ cropPct: checked(key, text, Number(text), fraction) }),
  filter: (text, key) => ({ filter: checked(key, text, text, filterKind) }),
  mean: (text, key) => ({ mean: checked<Triple>(key, text, tripleOf(text, 'mean'), mean, orName) }),
  std: (text, key) => ({ std: checked<Triple>(key, text, tripleOf(text, 'std'), std, orName) }),
};

/**
 * Reads what the user set, by the keys of `preprocessingLines` and `defaults`. Throws `PreprocessingError` that names the
 * known keys or the allowed values.
 */
export function parseOverrides(given: Readonly<Record<string, string>>): Overrides {
  return Object.entries(given).reduce<Overrides>((overrides, [key, text]) => {
    const parse = Object.hasOwn(parsers, key) ? parsers[key] : undefined;
    if (!parse)
      throw new PreprocessingError(`${key} cannot be set; known are ${Object.keys(parsers).join(', ')}`);
    return { ...overrides, ...parse(text.trim(), key) };
  }, {});
}
