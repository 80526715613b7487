/** What the numbers of a head stand for. */
import { at } from '../domain/lists';
import type { ClassNames } from '../checkpoint/classNames';
import { imagenetNames } from './imagenet';

type Json = Readonly<Record<string, unknown>>;

/** How a head's outputs are read: one class of all, each class by itself, or plain values. */
export type Activation = 'softmax' | 'sigmoid' | 'none';

export interface Labels {
  /** One per class; `class 17` if nothing is known. */
  readonly names: readonly string[];
  /** Where the names come from. */
  readonly source: string;
  /** Nothing stored says so; shown with a warning. */
  readonly assumed: boolean;
  readonly activation: Activation;
  /** Why that activation. */
  readonly activationSource: string;
  readonly warnings: readonly string[];
}

export interface LabelsInput {
  /** config.json of Hugging Face or of timm's hub layout. */
  readonly config?: Json | undefined;
  /** Lists of names that lie beside the weights or in their file. */
  readonly classNames?: readonly ClassNames[] | undefined;
  /** Number of outputs of the head. */
  readonly classes: number;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** transformers fills in LABEL_7 if nobody gave a name. */
const placeholder = /^LABEL_\d+$/;

type Named = Omit<ClassNames, 'given'>;

function cleaned(names: readonly unknown[]): (string | undefined)[] {
  return names.map((name) =>
    typeof name === 'string' && name.trim() && !placeholder.test(name) ? name : undefined,
  );
}

/** A map from index to name, or from name to index, as names by index. */
function byIndex(entries: readonly (readonly [unknown, unknown])[], classes: number): (string | undefined)[] {
  const names = Array<unknown>(classes).fill(undefined);
  for (const [key, name] of entries) {
    const index = Number(key);
    if (Number.isInteger(index) && index >= 0 && index < classes) names[index] = name;
  }
  return cleaned(names);
}

function fromHuggingFace(config: Json, classes: number): Named | undefined {
  const { id2label, label2id } = config;
  if (Array.isArray(id2label))
    return { names: cleaned(id2label.slice(0, classes)), source: 'config.json: id2label' };
  if (isObject(id2label)) {
    return { names: byIndex(Object.entries(id2label), classes), source: 'config.json: id2label' };
  }
  if (!isObject(label2id)) return undefined;
  const entries = Object.entries(label2id).map(([name, index]) => [index, name] as const);
  return { names: byIndex(entries, classes), source: 'config.json: label2id' };
}

const wordNetId = /^n\d{8}$/;

/** timm keeps short names in order, and longer descriptions by name. */
function fromTimm(config: Json, classes: number): Named | undefined {
  const holder = [config, config['pretrained_cfg']].find(
    (each): each is Json => isObject(each) && Array.isArray(each['label_names']),
  );
  if (!holder) return undefined;
  const { label_names: given, label_descriptions: descriptions } = holder;
  const names = cleaned((given as unknown[]).slice(0, classes));
  if (isObject(descriptions)) {
    const described = names.map((name) => (name === undefined ? name : (descriptions[name] ?? name)));
    return { names: cleaned(described), source: 'config.json: label_descriptions' };
  }
  // Bare WordNet ids tell a person nothing; the published list of this size has their names.
  if (names.every((name) => name !== undefined && wordNetId.test(name)) && imagenetNames(classes))
    return undefined;
  return { names, source: 'config.json: label_names' };
}

const unnamed = (index: number): string => `class ${index}`;

function settle({ names, source, note }: Named, config: Json, classes: number): Omit<Labels, Decision> {
  const all = Array.from({ length: classes }, (_, i) => names[i] ?? unnamed(i));
  const known = names.filter((name) => name !== undefined).length;
  const missing = classes - known;
  const given = isObject(config['id2label']) ? Object.keys(config['id2label']).length : names.length;
  return {
    names: all,
    source: missing > 0 ? `${source} (${missing} of ${classes} without a name)` : source,
    assumed: false,
    warnings: [
      ...(given === classes
        ? []
        : [`${source} names ${given} classes, but the head has ${classes}; check which belong together`]),
      ...(note === undefined ? [] : [`Class names, ${source}: ${note}`]),
    ],
  };
}

type Decision = 'activation' | 'activationSource';

function namesFor({ config = {}, classNames = [], classes }: LabelsInput): Omit<Labels, Decision> {
  const given = classNames.find((each) => each.given && each.names.length === classes);
  if (given) return settle({ ...given, names: cleaned(given.names) }, {}, classes);
  const stored = fromTimm(config, classes) ?? fromHuggingFace(config, classes);
  if (stored?.names.some((name) => name !== undefined)) return settle(stored, config, classes);
  const beside = classNames.find(({ names }) => names.length === classes);
  if (beside) return settle({ ...beside, names: cleaned(beside.names) }, {}, classes);
  const others = classNames.map(
    ({ source, names }) => `${source} names ${names.length} classes, but the head has ${classes}`,
  );
  const published = imagenetNames(classes);
  if (published) {
    const source = `assumed: ${published.title}, because the head has ${classes} classes; no names are stored`;
    return { names: published.names, source, assumed: true, warnings: others };
  }
  const numbered = Array.from({ length: classes }, (_, i) => unnamed(i));
  const source = `no names are stored, and none of the class lists that come with Vitrine has ${classes} classes`;
  return { names: numbered, source, assumed: false, warnings: others };
}

const problemTypes: Readonly<Record<string, Activation>> = {
  single_label_classification: 'softmax',
  multi_label_classification: 'sigmoid',
  regression: 'none',
};

function activationFor({ config = {}, classes }: LabelsInput): Pick<Labels, Decision> {
  const type = config['problem_type'];
  const activation = typeof type === 'string' ? problemTypes[type] : undefined;
  if (activation) return { activation, activationSource: `config.json: problem_type ${String(type)}` };
  // transformers takes a single output for a regression; a softmax over it would always say 100 %.
  if (classes === 1) return { activation: 'none', activationSource: 'a head of one output: its value' };
  return { activation: 'softmax', activationSource: 'one class of all, as usual' };
}

/**
 * The labels of a head, with their source. In order: what the user points at; timm's
 * label_descriptions or label_names; Hugging Face's id2label; a list of exactly as many names that
 * lies beside or in the file; the names of ImageNet-1k or a published ImageNet-21k list where the
 * head has exactly its size (said to be assumed); else `class 17`.
 */
export function resolveLabels(input: LabelsInput): Labels {
  return { ...namesFor(input), ...activationFor(input) };
}

/**
 * The labels of each head of a model: a list that has the size of another head says nothing of this
 * one.
 */
export function labelsOfHeads(
  { config, classNames = [] }: Omit<LabelsInput, 'classes'>,
  heads: readonly number[],
): readonly Labels[] {
  const isOf = (names: ClassNames['names'], classes: number): boolean =>
    names.length === classes || !heads.includes(names.length);
  return heads.map((classes) =>
    resolveLabels({ config, classNames: classNames.filter(({ names }) => isOf(names, classes)), classes }),
  );
}

/** Numerically stable: the largest logit becomes exp(0). float64 inside. */
function softmax(logits: ArrayLike<number>): Float64Array {
  let largest = -Infinity;
  for (const logit of Array.from(logits)) largest = Math.max(largest, logit);
  const out = Float64Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = out.reduce((total, value) => total + value, 0);
  return out.map((value) => value / sum);
}

/** Neither branch exponentiates a positive number, so nothing overflows. */
function sigmoid(logit: number): number {
  if (logit >= 0) return 1 / (1 + Math.exp(-logit));
  const power = Math.exp(logit);
  return power / (1 + power);
}

const activations: Record<Activation, (logits: ArrayLike<number>) => Float64Array> = {
  softmax,
  sigmoid: (logits) => Float64Array.from(logits, sigmoid),
  none: (logits) => Float64Array.from(logits),
};

/** Probabilities (softmax: they sum to 1; sigmoid: each for itself), or the values themselves. */
export function probabilities(logits: ArrayLike<number>, activation: Activation): Float64Array {
  return activations[activation](logits);
}

export interface Ranked {
  readonly index: number;
  /** A probability, or the head's value if there is no activation. */
  readonly probability: number;
  readonly logit: number;
}

/**
 * The k classes with the largest logits, largest first; equal ones by index. A class whose value is
 * no number is no answer and left out; throws if no class has one.
 */
export function topK(logits: ArrayLike<number>, k: number, activation: Activation): Ranked[] {
  const values = probabilities(logits, activation);
  const order = Array.from(values, (_, i) => i)
    .filter((index) => !Number.isNaN(values[index]))
    .sort((a, b) => rank(at(logits, b)) - rank(at(logits, a)) || a - b);
  if (order.length === 0 && logits.length > 0)
    throw new Error(
      `the model answers with no numbers (NaN or infinite values in ${logits.length} classes), so there is no label: its weights are damaged, ` +
        'or an assumed hyper-parameter is wrong. Inspect the checkpoint and download or save it again.',
    );
  return order
    .slice(0, k)
    .map((index) => ({ index, probability: at(values, index), logit: at(logits, index) }));
}

/** Finite stand-ins, because the difference of two infinities orders nothing. */
function rank(logit: number): number {
  return Math.min(Math.max(logit, -Number.MAX_VALUE / 2), Number.MAX_VALUE / 2);
}
