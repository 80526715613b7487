import type { DefaultsName } from '../preprocessing/defaults';
import { ParameterError } from '../graph/builder';
import { at } from '../domain/lists';
import type { Size } from '../domain/size';
import { nearestDivisor } from './divisors';
import { listLength } from './listLength';
import { activations } from './blocks/layers';
import { configured, configuredArchitecture, keysOf, sizeToRun, type ConfigName } from './config';
import { ConfigError, defaultOf, noteRead, passOver } from './configKeys';
import type { ConfigValue, Evidence, Found, EvidenceRecord, Described, Recognised } from './family';
import { assumed, firstOf, given, stored } from './evidence';
import { publishedArchitecture, publishedHeaders, type PublishedHeader } from './published/headers';

/** What is known of a published model, whichever table it stands in. */
interface PublishedModel {
  readonly models: readonly string[];
  /** Name of its preprocessing; undefined if it is unknown. */
  readonly pixels?: DefaultsName | undefined;
}

/** What decides a family's hyper-parameters beside names and shapes. */
export interface Sources<P extends PublishedModel = PublishedHeader> {
  readonly found: Found;
  /**
   * Published models with the same names and shapes; the one that config.json names alone, if it is
   * among them.
   */
  readonly published: readonly P[];
}

export function sourcesOf(found: Found): Sources {
  const { checkpoint } = found;
  const published = publishedAs(found);
  const architecture = configuredArchitecture(checkpoint);
  const named = published.filter(({ models }) =>
    models.some((model) => model.split('.')[0] === architecture),
  );
  if (named.length > 0 || architecture === undefined)
    return { found, published: named.length > 0 ? named : published };
  const own = publishedArchitecture(architecture);
  return { found, published: own ? [own] : published };
}

/** Published models with the file's names and shapes, or with those of the network by itself. */
function publishedAs({ checkpoint, ownTensors }: Found): readonly PublishedHeader[] {
  const whole = publishedHeaders(checkpoint.selected.tensors);
  return whole.length > 0 ? whole : publishedHeaders(ownTensors());
}

/**
 * Names of the published models, or the architecture in config.json alone: what tables by name look
 * at.
 */
export function namesOf({ found, published }: Sources<PublishedModel>): readonly string[] {
  const architecture = configuredArchitecture(found.checkpoint);
  return architecture === undefined ? published.flatMap(({ models }) => models) : [architecture];
}

/** Names of the published models of the same names and shapes. */
export const namesIn = ({ published }: Sources<PublishedModel>): readonly string[] =>
  published.flatMap(({ models }) => models);

/** A hyper-parameter that names and shapes leave open, and how it may be found. */
export interface Question<T extends ConfigValue, P extends PublishedModel = PublishedHeader> {
  /**
   * Keys of config.json, the first that is there; or a name under which config.ts lists all
   * libraries' keys.
   */
  readonly config?: readonly string[] | ConfigName;
  /** Values of the config that say a value of this hyper-parameter in other words. */
  readonly words?: Readonly<Record<string, NoInfer<T>>>;
  /** What the architecture that config.json names implies. */
  readonly implied?: (architecture: string) => T | undefined;
  /** What a published model has. */
  readonly published?: (model: P) => T | undefined;
  /**
   * What models of a published name have, by timm's entry functions; the first row that fits the
   * name.
   */
  readonly named?: readonly (readonly [name: RegExp, value: NoInfer<T>])[];
  /** What stands if nothing decides: an assumption, or a default that the library fixes. */
  readonly otherwise: Evidence<T>;
  /**
   * Whether a value as the user or a config writes it is one that the family can compute with; any
   * of the kind of `otherwise` is without it.
   */
  readonly is?: (value: ConfigValue) => boolean;
  /** `a number that divides the width 192`, for the message if the user's value is not one. */
  readonly needed?: string;
  /** Ends that message otherwise: `these weights allow token, avg`. */
  readonly refusal?: string;
}

/**
 * Decides a hyper-parameter by the first of: the user, config.json (and what its class has where it
 * leaves a key out), the architecture that it names, published models of the same names and shapes
 * if they agree, tables by their names, `otherwise`. Throws if the user's value cannot be, and
 * `ConfigError` if config.json's cannot; one that contradicts the weights is passed over and warned
 * of.
 */
export function decide<T extends ConfigValue, P extends PublishedModel = PublishedHeader>(
  sources: Sources<P>,
  key: string,
  question: Question<T, P>,
): Evidence<T> {
  const { named = [], otherwise } = question;
  const { is = isLike(otherwise.value), needed = wordOf(otherwise.value) } = question;
  const { refusal = `${needed} is needed` } = question;
  const { checkpoint } = sources.found;
  const fits = (evidence: Evidence | undefined): evidence is Evidence<T> =>
    evidence !== undefined && is(evidence.value);
  const user = given(sources.found, key);
  if (user && !fits(user)) throw new Error(`${key}: ${String(user.value)} found; ${refusal}`);
  const config = user ? undefined : inOurWords(configured(checkpoint, question.config ?? []), question.words);
  if (config && !fits(config)) unfit(sources.found, key, config, refusal);
  const usual = classDefault(sources.found, question.config ?? []);
  // What a name says of a model of another width is no fact about this one.
  const possible = (evidence: Evidence<T> | undefined): Evidence<T> | undefined =>
    evidence && question.is?.(evidence.value) !== false ? evidence : undefined;
  return firstOf(
    otherwise,
    user,
    fits(config) ? config : undefined,
    !config && fits(usual) ? usual : undefined,
    possible(impliedBy(configuredArchitecture(checkpoint), question.implied)),
    possible(agreed(sources.published, question.published)),
    possible(byName(namesOf(sources), named)),
  );
}

/** Whether a value is of the kind of another: finite number, word, flag or list of numbers. */
const isLike =
  (like: ConfigValue) =>
  (value: ConfigValue): boolean =>
    Array.isArray(like)
      ? Array.isArray(value) && value.every(Number.isFinite)
      : typeof value === typeof like && (typeof value !== 'number' || Number.isFinite(value));

const wordOf = (like: ConfigValue): string =>
  Array.isArray(like) ? 'a list of numbers' : typeof like === 'string' ? 'a word' : `a ${typeof like}`;

function inOurWords(
  said: Evidence | undefined,
  words: Readonly<Record<string, ConfigValue>> = {},
): Evidence | undefined {
  const key = String(said?.value);
  return said && Object.hasOwn(words, key) ? { ...said, value: words[key] ?? said.value } : said;
}

/** Hyper-parameters whose values in config.json the weights may contradict. */
const toldByWeights: ReadonlySet<string> = new Set(['heads', 'pool']);

/** Whether a text would read as a number, and is none for any library. */
const isQuotedNumber = (value: ConfigValue): boolean =>
  typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value));

/** Passes over what the weights contradict; what cannot be computed is refused. */
function unfit(found: Found, key: string, { value, source }: Evidence, refusal: string): void {
  const said = `${source} is ${isQuotedNumber(value) ? JSON.stringify(value) : String(value)}`;
  if (!toldByWeights.has(key)) throw new ConfigError(`${said}; ${refusal}`);
  // An empty word for pooling is timm's for none.
  if (value !== '') passOver(found, `${said}, which cannot be: ${refusal}. It was passed over.`);
}

/** What the configuration class has for a key that config.json leaves out. */
function classDefault(found: Found, config: readonly string[] | ConfigName): Evidence | undefined {
  const keys = keysOf(config);
  noteRead(found, keys);
  const usual = defaultOf(found.checkpoint, keys);
  return (
    usual && stored(usual.value, `default of ${usual.modelType} models; config.json leaves ${usual.key} out`)
  );
}

function impliedBy<T extends ConfigValue>(
  architecture: string | undefined,
  fact: ((architecture: string) => T | undefined) | undefined,
): Evidence<T> | undefined {
  const value = architecture === undefined ? undefined : fact?.(architecture);
  return value === undefined
    ? undefined
    : { value, source: `config.json: architecture ${architecture}`, assumed: false };
}

/** `as published: swin_t, swin_s and 3 more` */
const asPublished = (names: readonly string[]): string =>
  `as published: ${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}`;

/** The value on which all published models agree. */
function agreed<T extends ConfigValue, P extends PublishedModel>(
  models: readonly P[],
  fact: ((model: P) => T | undefined) | undefined,
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

/** The value that all have, if there is one. */
function onOne<T extends ConfigValue>(
  values: readonly (T | undefined)[],
  models: () => readonly string[],
): Evidence<T> | undefined {
  const [value] = values;
  const same = value !== undefined && values.every((each) => JSON.stringify(each) === JSON.stringify(value));
  return same ? { value, source: asPublished(models()), assumed: false } : undefined;
}

/** Which activations can be computed, as a check and in words. */
export const knownActivation = {
  is: (value: ConfigValue): value is string => Object.hasOwn(activations, String(value)),
  needed: `one of ${Object.keys(activations).join(', ')}`,
} as const;

/**
 * The activation of the MLPs: by config.json or by `more`, if it is one that is known;
 * else `otherwise`, by default the library's GELU.
 */
export function activationOf<P extends PublishedModel = PublishedHeader>(
  sources: Sources<P>,
  otherwise: Evidence<string> = stored('gelu', `default of ${sources.found.dialect.title}`),
  more: Pick<Question<string, P>, 'config' | 'implied' | 'published' | 'named'> = {},
): Evidence<string> {
  return decide<string, P>(sources, 'activation', {
    config: ['hidden_act', 'act_layer'],
    ...more,
    ...knownActivation,
    otherwise,
  });
}

/** How a family asks for the heads of its stages. */
interface HeadsQuestion {
  /** Keys of config.json; one number or one per stage. */
  readonly config: readonly string[];
  /** Channels per head if nothing decides; the nearest number that divides each width is taken. */
  readonly perHead: number;
}

/**
 * Heads as the user, a config or a published model writes them, one number for each of `count`
 * widths.
 */
export function headsOfEach(value: ConfigValue, count: number): readonly number[] {
  const heads = [value].flat().map(Number);
  const [all = 0] = heads;
  return heads.length === 1 ? Array<number>(count).fill(all) : heads;
}

/** Whether the numbers of heads are as many as the widths, and divide them. */
export const headsDivide = (heads: readonly number[], widths: readonly number[]): boolean =>
  heads.length === widths.length &&
  widths.every((width, index) => at(heads, index) > 0 && width % at(heads, index) === 0);

/**
 * Heads of every stage with attention, whose `widths` they must divide; one number stands for all
 * stages. Of a single stage the value is a number.
 */
export function headsOf(
  sources: Sources,
  widths: readonly number[],
  { config, perHead }: HeadsQuestion,
): Evidence<number | readonly number[]> {
  const fits = (value: ConfigValue): boolean => headsDivide(headsOfEach(value, widths.length), widths);
  const usual = widths.map((width) => nearestDivisor(width, width / perHead));
  const evidence = decide(sources, 'heads', {
    config,
    published: ({ heads }) => (heads && fits(heads) ? heads : undefined),
    otherwise: assumed(usual, `${perHead} per head; not stored in the weights`),
    is: fits,
    needed: `a number for each of the widths ${widths.join(', ')} that divides it`,
  });
  const heads = headsOfEach(evidence.value, widths.length);
  return { ...evidence, value: heads.length === 1 ? at(heads, 0) : heads };
}

/** An image size, and the evidence `image_size` that shows it. */
export interface SettledSize {
  readonly imageSize: Size;
  readonly evidence: Evidence<Size>;
}

/**
 * Image size by the user, preprocessor_config.json, config.json or the published models, else the
 * usual one or the one that
 * the weights show.
 */
export function imageSizeOf(
  { found, published }: Sources,
  usual: Size | Evidence<Size> = [224, 224],
): SettledSize {
  const config = sizeToRun(found.checkpoint);
  const sized: Evidence<Size> =
    (found.imageSize && stored(found.imageSize, 'given by the user')) ??
    (config && stored(config.size, config.source)) ??
    agreed(published, ({ imageSize }) => imageSize) ??
    ('value' in usual ? usual : assumed(usual, 'the usual size; the weights take others as well'));
  const [height, width] = sized.value;
  return { imageSize: [height, width], evidence: sized };
}

/** Image sizes that are known of the published models, and whose they are. */
export const publishedSizes = ({
  published,
}: Sources): readonly { readonly size: Size; readonly model: string }[] =>
  published.flatMap(({ imageSize, models }) =>
    imageSize ? [{ size: imageSize, model: at(models, 0) }] : [],
  );

/**
 * Refuses every image size but the one that the weights are made for, for models whose positions
 * cannot be resampled.
 */
export function requireOwnSize(size: Size, own: Size): void {
  if (size[0] === own[0] && size[1] === own[1]) return;
  const stored = `the positions stored in the weights are those of ${own.join(' × ')} pixels`;
  throw new Error(`image size ${size.join(' × ')} found; ${stored}, the only size that this model takes.`);
}

/**
 * Image size of a model whose positions, in the tensor `table`, cannot be resampled: the one that
 * somebody asks for or states if it `fits` the table, else `own`. Throws if the user asks for
 * one that does not fit.
 */
export function onlySizeOf(
  sources: Sources,
  own: Size,
  table: string,
  fits: (size: Size) => boolean = (size) => size.every((side, axis) => side === own[axis]),
): SettledSize {
  const inTable = stored(own, `${table}: its positions cannot be resampled`);
  const told = imageSizeOf(sources, inTable);
  if (fits(told.imageSize)) return told;
  if (sources.found.imageSize) requireOwnSize(told.imageSize, own);
  return { imageSize: own, evidence: inTable };
}

/** Refuses image sizes whose sides are no multiples of `step`, and names the nearest that are. */
export function requireMultiple(size: Size, step: Size): void {
  if (size.every((side, axis) => side % at(step, axis) === 0)) return;
  const nearest = step.map((each, axis) => Math.max(1, Math.round(at(size, axis) / each)) * each);
  const needed = `the sides must be multiples of ${step.join(' × ')} pixels`;
  throw new Error(
    `image size ${size.join(' × ')} found; ${needed}. The nearest size is ${nearest.join(' × ')}.`,
  );
}

/** What a family adds to its sources. */
interface Settled<C> {
  readonly label: string;
  readonly title: string;
  readonly evidence: EvidenceRecord;
  readonly config: C;
  readonly imageSize: Size;
  readonly sizeStep: Size;
  /** Preprocessing if the published models leave it open. */
  readonly pixels: DefaultsName;
  readonly choices?: Described['choices'];
  readonly warnings?: readonly string[];
}

/**
 * A recognition with everything that follows from the sources: candidates, preprocessing, and the
 * task by the number of classes.
 */
export function recognisedFrom<C>(
  { published }: Sources<PublishedModel>,
  described: Settled<C>,
): Recognised<C> {
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

/** Shape of a parameter. Throws `ParameterError` if the file has none of this name. */
export function shapeOf(tensors: Found['tensors'], name: string): readonly number[] {
  const found = tensors.get(name);
  if (!found) throw new ParameterError(name, 'not in the checkpoint');
  return found.shape;
}

/** Side of a parameter along an axis; -1 is the last. Throws `ParameterError` if there is none. */
export function sideOf(tensors: Found['tensors'], name: string, axis: number): number {
  const side = shapeOf(tensors, name).at(axis);
  if (side === undefined) throw new ParameterError(name, `no axis ${axis}`);
  return side;
}

/**
 * Number of modules in the list `path.0`, `path.1` … Throws `ParameterError` if there are too many.
 */
export function countOf(tensors: Found['tensors'], path: string): number {
  const starts = `${path}.`;
  const indices = [...tensors.keys()]
    .filter((name) => name.startsWith(starts))
    .map((name) => Number.parseInt(name.slice(starts.length), 10));
  return listLength(
    path,
    indices.filter((index) => !Number.isNaN(index)),
  );
}

/** Blocks of each stage, if the stages in the list `path` hold a list `blocks`. */
export const stageDepths = (tensors: Found['tensors'], path = 'stages'): readonly number[] =>
  Array.from({ length: countOf(tensors, path) }, (_, stage) => countOf(tensors, `${path}.${stage}.blocks`));

/** Outputs of the classifier: 0 if none is stored. */
export function classesOf(tensors: Found['tensors'], head: string): Evidence<number> {
  const classes = tensors.get(`${head}.weight`)?.shape[0] ?? 0;
  return stored(classes, classes > 0 ? `${head}.weight` : 'no classifier in the file');
}
