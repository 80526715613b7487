import type { PreprocessingLine } from './line';
import { normalisations } from './normalisations';
import { describeStep, type SettingName, type Preprocessing, type Step } from './pipeline';
import { defaults, type DefaultsName } from './defaults';
import type { Overrides } from './resolve';
import { filters } from './resize';
import { cropModes } from './libraries/timm';

/** A line's key: what it is called in the view and in `RunOptions.preprocessing`. */
type LineKey = keyof Overrides;

interface LineKind {
  readonly key: LineKey;
  readonly label: string;
  readonly setting: SettingName;
  /** The step that the line describes. */
  readonly step: Step['kind'];
  /** The line's text among all others. */
  readonly summary: (text: string) => string;
  readonly choices: readonly string[];
}

const alone = (text: string): string => text;
/** The resize step names its filter. */
const saidByFit = (): string => '';

const lineKinds: readonly LineKind[] = [
  { key: 'cropMode', label: 'Fit', setting: 'resize', step: 'resize', summary: alone, choices: cropModes },
  { key: 'filter', label: 'Filter', setting: 'filter', step: 'resize', summary: saidByFit, choices: filters },
  {
    key: 'cropPct',
    label: 'Crop',
    setting: 'crop',
    step: 'crop',
    summary: alone,
    choices: ['0.875', '0.9', '0.95', '1'],
  },
  {
    key: 'mean',
    label: 'Mean',
    setting: 'mean',
    step: 'normalize',
    summary: (text) => `mean ${text}`,
    choices: Object.keys(normalisations),
  },
  {
    key: 'std',
    label: 'Deviation',
    setting: 'std',
    step: 'normalize',
    summary: (text) => `deviation ${text}`,
    choices: Object.keys(normalisations),
  },
];

/**
 * What is done to an image, one line per setting that can be changed. `size` is the decoded
 * image's.
 */
export function describePreprocessing(
  preprocessing: Preprocessing,
  size: readonly [width: number, height: number],
): readonly PreprocessingLine[] {
  const { inputSize, evidence, library, steps } = preprocessing;
  const source = evidence.image_size?.source ?? '';
  const [height, width] = inputSize ?? [];
  const input = inputSize ? `${size[0]} × ${size[1]} → ${width} × ${height}` : `${size[0]} × ${size[1]}`;
  const shapeSource = source === '' ? (evidence.resize?.source ?? '') : source;
  const sourceOf = (step: Step): string =>
    step.kind === 'warp' ? (evidence.box?.source ?? shapeSource) : shapeSource;
  const as = `as ${library} does`;
  const image = line('image_size', 'Image', { text: input, source, value: inputSize?.join('x') ?? '' });
  const lines = lineKinds.flatMap((kind) => lineOf(kind, preprocessing));
  const channels = channelsLine(preprocessing);
  const padding = steps.flatMap((step) => {
    const label = shapeLabels[step.kind];
    return label === undefined
      ? []
      : [line(step.kind, label, { text: describeStep(step), source: sourceOf(step), value: '' })];
  });
  // The crop or the padding, which come later, name the size that the model takes.
  const isNamed = padding.length > 0 || lines.some(({ key }) => key === 'cropPct');
  return [
    isNamed ? { ...image, summary: `${size[0]} × ${size[1]}` } : image,
    ...channels,
    ...lines,
    ...padding,
    { ...line('defaults', 'Defaults', { text: as, source: '', value: '' }), choices: Object.keys(defaults) },
  ];
}

/** What becomes of an image's channels; nothing of colours that stay colours. */
function channelsLine({ channels, evidence }: Preprocessing): readonly PreprocessingLine[] {
  const found = evidence.channels;
  if (channels === undefined || !found) return [];
  return [line('channels', 'Channels', { text: String(found.value), source: found.source, value: '' })];
}

/** What changes the input's shape besides a resize and a crop, and cannot be set by hand. */
const shapeLabels: Readonly<Partial<Record<Step['kind'], string>>> = {
  surround: 'Surroundings',
  pad: 'Padding',
  warp: 'Person',
  patches: 'Patches',
};

const line = (
  key: string,
  label: string,
  { text, source, value }: Pick<PreprocessingLine, 'text' | 'source' | 'value'>,
): PreprocessingLine => ({
  key,
  label,
  text,
  summary: text,
  source,
  assumed: source.startsWith('assumed'),
  value,
});

function lineOf(kind: LineKind, { steps, evidence }: Preprocessing): readonly PreprocessingLine[] {
  const step = steps.find((each) => each.kind === kind.step);
  const found = evidence[kind.setting];
  const { key, label, choices } = kind;
  // A crop that follows from how the image is resized has no setting of its own.
  if (step?.kind === 'crop' && !found)
    return [line(key, label, { text: describeStep(step), source: evidence.resize?.source ?? '', value: '' })];
  if (!step || !found) return [];
  const value = Array.isArray(found.value) ? found.value.join(', ') : String(found.value);
  const text = key === 'cropMode' || key === 'cropPct' ? describeStep(step) : named(value);
  return [
    { ...line(key, label, { text, source: found.source, value }), summary: kind.summary(text), choices },
  ];
}

/** `0.485, 0.456, 0.406 (imagenet)`. */
function named(value: string): string {
  const same = Object.entries(normalisations).find(([, { mean, std }]) =>
    [mean.join(', '), std.join(', ')].includes(value),
  );
  return same ? `${value} (${same[0]})` : value;
}

/**
 * Reads what a user set by line, for a model of so many channels. Throws with the key, the value
 * found and the values allowed.
 */
export function parseOverrides(values: Readonly<Record<string, string>> = {}, channels = 3): Overrides {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => {
      const parse = parsers[key as LineKey];
      if (!parse)
        throw new Error(`preprocessing ${key} cannot be set; ${Object.keys(parsers).join(', ')} can`);
      return [key, parse(value, channels)];
    }),
  );
}

type Parser = (value: string, channels: number) => Overrides[LineKey];

const parsers: Readonly<Record<LineKey, Parser>> = {
  defaults: (value) => one('defaults', value, Object.keys(defaults) as DefaultsName[]),
  filter: (value) => one('filter', value, filters),
  cropMode: (value) => one('cropMode', value, cropModes),
  cropPct: (value) => {
    const share = Number(value);
    if (share > 0 && share <= 1) return share;
    throw new Error(`preprocessing cropPct: ${value} found; a number above 0 and up to 1 is needed`);
  },
  mean: (value, channels) => perChannel('mean', value, channels),
  std: (value, channels) => perChannel('std', value, channels),
};

function one<T extends string>(key: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === value);
  if (found === undefined)
    throw new Error(`preprocessing ${key}: ${value} found; ${allowed.join(', ')} are known`);
  return found;
}

/** A published set by name, one number for all channels, or one for each. */
function perChannel(key: 'mean' | 'std', value: string, channels: number): readonly number[] {
  const published = Object.entries(normalisations).find(([name]) => name === value);
  if (published) return published[1][key];
  const numbers = value.split(',').map(Number);
  const [only = NaN] = numbers;
  const isAny = numbers.length === 1 || numbers.length === channels;
  const fits = isAny && value.trim() !== '' && numbers.every(Number.isFinite);
  if (fits && (key === 'mean' || numbers.every((number) => number !== 0)))
    return numbers.length === 1 ? Array.from({ length: channels }, () => only) : numbers;
  const names = Object.keys(normalisations).join(', ');
  const each = channels === 3 ? 'three' : channels;
  throw new Error(
    `preprocessing ${key}: ${value} found; one number, ${each} with commas, or ${names} are needed`,
  );
}
