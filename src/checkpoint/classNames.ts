import { readdir } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import type { Opener } from './byteSource';
import { CheckpointError } from './errors';
import { limits } from './limits';

/** Names of classes that lie beside a model, or in its file, and where they were found. */
export interface ClassNames {
  /** `classes.txt`, `class_to_idx in the file`. */
  readonly source: string;
  /** A name per class index; holes if unknown. */
  readonly names: readonly (string | undefined)[];
  /** The user pointed at them: they come before what a config says. */
  readonly given?: true;
  /** What to look at before they are believed. */
  readonly note?: string;
}

/** Most classes that a list may name: twice ImageNet-21k's. */
export const mostClasses = 50_000;

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isIndex = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < mostClasses;

/**
 * Keys whose values name classes: `class_to_idx`, `CLASSES`, `label_names`, fastai's `vocab`.
 * `num_classes` counts them, of each head perhaps.
 */
export const namesClasses = (key: string): boolean =>
  /^(?!n(?:um)?_)(?:id2label|label2id|idx_?(?:to|2)_?\w+|\w+_?(?:to|2)_?idx|(?:\w+_)?(?:class(?:es)?|labels?|categor(?:y|ies))(?:_?names?)?|(?:class|label|category)_?(?:names?|map|dict|list)|names|vocab|things?_classes)$/i.test(
    key,
  );

/**
 * Names by index of a value as JSON or a pickle holds it: a list of names, index → name, or name →
 * index; undefined of anything else.
 */
export function namesByIndex(value: unknown): ClassNames['names'] | undefined {
  if (Array.isArray(value)) return listed(value);
  if (!isRecord(value)) return undefined;
  const entries = Object.entries(value);
  if (entries.length === 0 || entries.length > mostClasses) return undefined;
  if (entries.every(([, index]) => isIndex(index)))
    return placed(entries.map(([name, index]) => [index as number, name]));
  const indexed = entries.map(([key, name]) => [Number(key), name] as const);
  return indexed.every(([index, name]) => isIndex(index) && typeof name === 'string')
    ? placed(indexed as readonly (readonly [number, string])[])
    : undefined;
}

function listed(values: readonly unknown[]): ClassNames['names'] | undefined {
  if (values.length === 0 || values.length > mostClasses) return undefined;
  if (values.every((name) => typeof name === 'string')) return values;
  // Categories as COCO writes them: numbered from anywhere, in order.
  const names = values.map((entry) => (isRecord(entry) ? entry['name'] : undefined));
  return names.every((name): name is string => typeof name === 'string') ? names : undefined;
}

function placed(entries: readonly (readonly [number, string])[]): ClassNames['names'] {
  const last = entries.reduce((most, [index]) => Math.max(most, index), -1);
  const names = Array<string | undefined>(last + 1).fill(undefined);
  for (const [index, name] of entries) names[index] = name;
  return names;
}

/** Every list of names in a JSON object, by its key; the value itself has the key ''. */
export function namesInJson(
  value: unknown,
  key = '',
  depth = 0,
): readonly (readonly [string, ClassNames['names']])[] {
  const own = key === '' || namesClasses(key) ? namesByIndex(value) : undefined;
  if (own) return [[key, own]];
  if (!isRecord(value) || depth > deepest) return [];
  return Object.entries(value)
    .slice(0, mostKeys)
    .flatMap(([name, inner]) => (typeof inner === 'object' ? namesInJson(inner, name, depth + 1) : []));
}

/** Names lie at the top of what people save, or one configuration below. */
const deepest = 3;
const mostKeys = 1000;

/** Names of a text file, one a line; `0 cat`, `0: cat` and `cat,` are `cat` if all lines are so. */
export function namesInText(text: string): ClassNames['names'] | undefined {
  const lines = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (lines.length === 0 || lines.length > mostClasses) return undefined;
  const numbered = lines.map((line) => /^(\d+)(?:\s*[:,;=\t]\s*|\s+)(\S.*)$/.exec(line));
  if (numbered.every((match) => match !== null && isIndex(Number(match[1]))))
    return placed(numbered.map((match) => [Number(match?.[1]), match?.[2] ?? '']));
  return lines;
}

/** Files that name classes, by their names: `classes.txt`, `my_labels.json`, `obj.names`. */
export const isNamesFile = (file: string): boolean =>
  /^(?:.*[-_.\s])?(?:class(?:es)?|labels?|categor(?:y|ies)|vocab)(?:[-_]?(?:names?|list|map|indices|index|to[-_]?idx))?\.(?:txt|json|names)$|^(?:.*[-_])?(?:id2label|label2id|idx[-_]?to[-_]?(?:class|label)|(?:class|label)[-_]?to[-_]?idx|class[-_]?indices)\.json$|\.names$/i.test(
    file,
  );

/** Files of a folder that are looked at; a data set may lie beside the weights. */
const mostFiles = 20_000;
/** Lists of names that are read. */
const mostLists = 8;

/**
 * Lists of class names in files beside the weights, and their paths. Nothing that fails to be one.
 */
export async function readClassNames(
  folder: string,
  open: Opener,
): Promise<{ readonly classNames: readonly ClassNames[]; readonly paths: readonly string[] }> {
  const files = (await readdir(folder).catch(() => [])).slice(0, mostFiles);
  const paths = files
    .filter(isNamesFile)
    .toSorted()
    .map((file) => join(folder, file));
  const kept = paths.slice(0, mostLists);
  // What is no list of names is none of the model's business.
  const found = await Promise.all(kept.map((path) => namesOfFile(path, open).catch(() => [])));
  return { classNames: found.flat(), paths: kept };
}

/** Lists of names in a file. Throws if it cannot be read, or is called JSON and is none. */
export async function namesOfFile(path: string, open: Opener): Promise<readonly ClassNames[]> {
  const text = await textOf(path, open);
  const file = basename(path);
  if (extname(path).toLowerCase() !== '.json') {
    const names = text.includes('\0') ? undefined : namesInText(text);
    return names ? [{ source: file, names }] : [];
  }
  return namesInJson(JSON.parse(text)).map(([key, names]) => ({
    source: key ? `${file}: ${key}` : file,
    names,
  }));
}

async function textOf(path: string, open: Opener): Promise<string> {
  const source = await open(path);
  try {
    if (source.size > limits.sidecarBytes)
      throw new CheckpointError('unsupported', path, `has ${source.size} bytes`);
    return Buffer.from(await source.read(0, source.size))
      .toString('utf8')
      .replace(/^\ufeff/, '');
  } finally {
    await source.close();
  }
}
