import { ParameterError } from '../graph/builder';
import type { Size } from '../domain/size';
import { activations } from './blocks/layers';
import { configuredArchitecture, configuredImageSize, configuredValue } from './config';
import type { ConfigValue, Evidence, Found, EvidenceRecord, Recognised } from './family';
import { assumed, firstOf, given, stored } from './figures';
import { publishedHeaders, type PublishedHeader } from './published/headers';

/** Where a family's figures come from beside names and shapes. */
export interface Sources {
  readonly found: Found;
  /** Published models with the same names and shapes; the one that config.json names alone, where it is among them. */
  readonly published: readonly PublishedHeader[];
}

export function sourcesOf(evidences: Found): Sources {
  const { checkpoint } = evidences;
  const published = publishedAs(evidences);
  const architecture = configuredArchitecture(checkpoint);
  const named = published.filter(({ models }) =>
    models.some((model) => model.split('.')[0] === architecture),
  );
  return { found: evidences, published: named.length > 0 ? named : published };
}

/** Published models with the file's names and shapes, or with those of the network alone that lies in it behind a prefix. */
function publishedAs({ checkpoint, prefix }: Found): readonly PublishedHeader[] {
  const { tensors } = checkpoint.selected;
  const whole = publishedHeaders(tensors);
  if (whole.length > 0 || prefix === '') return whole;
  const inside = tensors.filter(({ name }) => name.startsWith(prefix));
  return publishedHeaders(inside.map((tensor) => ({ ...tensor, name: tensor.name.slice(prefix.length) })));
}

/** Names of the published models and of the architecture in config.json: what tables by name look at. */
export function namesOf({ found: evidences, published }: Sources): readonly string[] {
  const architecture = configuredArchitecture(evidences.checkpoint);
  return architecture === undefined ? published.flatMap(({ models }) => models) : [architecture];
}

/** A hyper-parameter that names and shapes do not tell, and how it may be found. */
export interface Question<T extends ConfigValue> {
  /** Keys of config.json, the first that is there. */
  readonly config?: readonly string[];
  /** What a published model says. */
  readonly published?: (model: PublishedHeader) => T | undefined;
  /** What models of a published name have, by timm's entry functions; the first row that fits the name. */
  readonly named?: readonly (readonly [name: RegExp, value: NoInfer<T>])[];
  /** What stands where nobody says: an assumption, or a default that the library fixes. */
  readonly otherwise: Evidence<T>;
  /** Whether a value as the user or a config writes it is one that the family can compute with; any is without it. */
  readonly is?: (value: ConfigValue) => boolean;
  /** `a number that divides the width 192`, for the message where the user's value is not one. */
  readonly needed?: string;
}

/**
 * A hyper-parameter by the first of: the user, config.json, published models of the same names and shapes where they agree, `otherwise`.
 * Throws where the user's value cannot be; a config's that cannot be is passed over.
 */
export function decide<T extends ConfigValue>(
  sources: Sources,
  key: string,
  question: Question<T>,
): Evidence<T> {
  const { config = [], named = [], otherwise, is = () => true, needed = 'another value' } = question;
  const fits = (evidence: Evidence | undefined): evidence is Evidence<T> =>
    evidence !== undefined && is(evidence.value);
  const user = given(sources.found, key);
  if (user && !fits(user)) throw new Error(`${key}: ${String(user.value)} found; ${needed} is needed`);
  const configured = configuredValue(sources.found.checkpoint, config);
  return firstOf(
    otherwise,
    user,
    fits(configured) ? configured : undefined,
    agreed(sources.published, question.published),
    byName(namesOf(sources), named),
  );
}

/** `as published: swin_t, swin_s and 3 more` */
const asPublished = (names: readonly string[]): string =>
  `as published: ${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}`;

function agreed<T extends ConfigValue>(
  models: readonly PublishedHeader[],
  fact: Question<T>['published'],
): Evidence<T> | undefined {
  const values = models.map((model) => fact?.(model));
  return onOne(values, () => models.flatMap((model) => model.models));
}

function byName<T extends ConfigValue>(
  names: readonly string[],
  rows: readonly (readonly [name: RegExp, value: T])[],
): Evidence<T> | undefined {
  const values = names.map((name) => rows.find(([pattern]) => pattern.test(name))?.[1]);
  return onOne(values, () => names);
}

/** The value that all have, where there is one. */
function onOne<T extends ConfigValue>(
  values: readonly (T | undefined)[],
  models: () => readonly string[],
): Evidence<T> | undefined {
  const [value] = values;
  const same = value !== undefined && values.every((each) => JSON.stringify(each) === JSON.stringify(value));
  return same ? { value, source: asPublished(models()), assumed: false } : undefined;
}

/** The activation as config.json or a published name says, where it is one that is known; else `otherwise`. */
export function activationOf(
  sources: Sources,
  otherwise: Evidence<string>,
  named: Question<string>['named'] = [],
): Evidence<string> {
  return decide(sources, 'activation', {
    config: ['hidden_act', 'act_layer'],
    named,
    otherwise,
    is: (value) => String(value) in activations,
    needed: `one of ${Object.keys(activations).join(', ')}`,
  });
}

/** How a family asks for the heads of its stages. */
interface HeadsQuestion {
  /** Keys of config.json; one number or one per stage. */
  readonly config: readonly string[];
  /** Channels per head where nobody says; the nearest number that divides each width is taken. */
  readonly perHead: number;
}

/** Heads of every stage with attention, whose `widths` they must divide; one number stands for all stages. Of a single stage the value is a number. */
export function headsOf(
  sources: Sources,
  widths: readonly number[],
  question: HeadsQuestion,
): Evidence<number | readonly number[]> {
  const each = (value: ConfigValue): readonly number[] => {
    const heads = [value].flat().map(Number);
    return heads.length === 1 ? widths.map(() => heads[0]!) : heads;
  };
  const fits = (value: ConfigValue): boolean =>
    each(value).length === widths.length &&
    each(value).every((heads, stage) => heads > 0 && widths[stage]! % heads === 0);
  const usual = widths.map((width) => nearestDivisor(width, width / question.perHead));
  const evidence = decide(sources, 'heads', {
    config: question.config,
    published: ({ heads }) => (heads && fits(heads) ? heads : undefined),
    otherwise: assumed(usual, `${question.perHead} per head; not stored in the weights`),
    is: fits,
    needed: `a number for each of the widths ${widths.join(', ')} that divides it`,
  });
  const heads = each(evidence.value);
  return { ...evidence, value: heads.length === 1 ? heads[0]! : heads };
}

/** The divisor of `width` nearest to `wanted`. */
export function nearestDivisor(width: number, wanted: number): number {
  const divisors = Array.from({ length: width }, (_, index) => index + 1).filter(
    (each) => width % each === 0,
  );
  return divisors.reduce((best, each) => (Math.abs(each - wanted) < Math.abs(best - wanted) ? each : best));
}

/** Image size as the user, config.json or the published models say, else the usual one or what the weights tell, and the figure `image_size` that shows it. */
export function imageSizeOf(
  sources: Sources,
  usual: readonly [number, number] | Evidence = [224, 224],
): { readonly imageSize: Size; readonly figure: Evidence } {
  const { found: evidences, published } = sources;
  const config = configuredImageSize(evidences.checkpoint);
  const figure =
    (evidences.imageSize && stored(evidences.imageSize, 'given by the user')) ??
    (config && stored(config.size, config.source)) ??
    agreed(published, ({ imageSize }) => imageSize) ??
    ('value' in usual ? usual : assumed(usual, 'the usual size; the weights take others as well'));
  const [height, width] = figure.value as readonly [number, number];
  return { imageSize: [height, width], figure };
}

/** Image sizes that are known of the published models, and whose they are. */
export const publishedSizes = ({
  published,
}: Sources): readonly { readonly size: Size; readonly model: string }[] =>
  published.flatMap(({ imageSize, models }) => (imageSize ? [{ size: imageSize, model: models[0]! }] : []));

/** Refuses every image size but the one that the weights are made for, for models whose positions cannot be resampled. */
export function requireOwnSize(size: Size, own: readonly [number, number]): void {
  if (size[0] === own[0] && size[1] === own[1]) return;
  throw new Error(
    `image size ${size.join(' × ')} found; the positions stored in the weights are those of ${own.join(' × ')} pixels, the only size that this model takes.`,
  );
}

/**
 * Image size of a model whose positions, in the tensor `table`, cannot be resampled, and the figure that shows it: what somebody says where it
 * `fits` the table, else `own`, whatever config.json says. Throws where the user asks for one that does not fit.
 */
export function onlySizeOf(
  sources: Sources,
  own: readonly [number, number],
  table: string,
  fits: (size: Size) => boolean = (size) => size.every((side, axis) => side === own[axis]),
): ReturnType<typeof imageSizeOf> {
  const inTable = stored(own, `${table}: its positions cannot be resampled`);
  const told = imageSizeOf(sources, inTable);
  if (fits(told.imageSize)) return told;
  if (sources.found.imageSize) requireOwnSize(told.imageSize, own);
  return { imageSize: own, figure: inTable };
}

/** Refuses image sizes whose sides are no multiples of `step`, and names the nearest that are. */
export function requireMultiple(size: Size, step: Size): void {
  if (size.every((side, axis) => side % step[axis]! === 0)) return;
  const nearest = size.map((side, axis) => Math.max(1, Math.round(side / step[axis]!)) * step[axis]!);
  throw new Error(
    `image size ${size.join(' × ')} found; the sides must be multiples of ${step.join(' × ')} pixels. The nearest size is ${nearest.join(' × ')}.`,
  );
}

/** What a family says of itself beside its figures. */
interface Described<C> {
  readonly label: string;
  readonly title: string;
  readonly evidence: EvidenceRecord;
  readonly config?: C;
  readonly imageSize: Size;
  readonly sizeStep: Size;
  /** Pixels where no published model says. */
  readonly pixels: string;
  readonly choices?: Recognised['choices'];
  readonly warnings?: readonly string[];
}

/** A recognition with everything that follows from the sources: candidates, pixels, and the task by the number of classes. */
export function recognisedFrom<C = never>({ published }: Sources, described: Described<C>): Recognised<C> {
  const named = new Set(published.map((model) => model.pixels));
  const [only] = named;
  const classes = described.evidence['classes']?.value;
  return {
    warnings: [],
    ...described,
    task: typeof classes === 'number' && classes > 0 ? 'classify' : 'features',
    candidates: [...new Set(published.flatMap(({ models }) => models))],
    pixels: named.size === 1 && only !== undefined ? only : described.pixels,
  };
}

/** Shape of a parameter. Throws `ParameterError` where the file has none of this name. */
export function shapeOf(tensors: Found['tensors'], name: string): readonly number[] {
  const found = tensors.get(name);
  if (!found) throw new ParameterError(name, 'not in the checkpoint');
  return found.shape;
}

/** Side of a parameter along an axis; -1 is the last. Throws `ParameterError` where there is none. */
export function sideOf(tensors: Found['tensors'], name: string, axis: number): number {
  const side = shapeOf(tensors, name).at(axis);
  if (side === undefined) throw new ParameterError(name, `no axis ${axis}`);
  return side;
}

/** Number of modules in the list `path.0`, `path.1` … */
export function countOf(tensors: Found['tensors'], path: string): number {
  const starts = `${path}.`;
  const indices = [...tensors.keys()]
    .filter((name) => name.startsWith(starts))
    .map((name) => Number.parseInt(name.slice(starts.length), 10));
  return indices.reduce((most, index) => Math.max(most, Number.isNaN(index) ? -1 : index), -1) + 1;
}

/** Blocks of each stage, where the stages in the list `at` hold a list `blocks`. */
export const stageDepths = (tensors: Found['tensors'], at = 'stages'): readonly number[] =>
  Array.from({ length: countOf(tensors, at) }, (_, stage) => countOf(tensors, `${at}.${stage}.blocks`));

/** Outputs of the classifier as a figure: 0 where none is stored. */
export function classesOf(tensors: Found['tensors'], head: string): Evidence<number> {
  const classes = tensors.get(`${head}.weight`)?.shape[0] ?? 0;
  return stored(classes, classes > 0 ? `${head}.weight` : 'no classifier in the file');
}
