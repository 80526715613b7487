import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { largest, sum } from '../domain/lists';
import type { Checkpoint } from '../checkpoint/checkpoint';
import type { TextsRead } from '../domain/reading';
import type { Model } from '../models/model';
import type { TextFiles } from '../text/tokenizers/openTokenizer';
import type { Encoding, Tokenizer } from '../text/tokenizers/tokenizer';
import type { Given } from './run';
import type { GivenTensor } from './task';

const opened = new WeakMap<Checkpoint, Promise<Tokenizer | string>>();

/** The tokenizer beside a model's weights. Throws with the file that is missing. */
export async function tokenizerOf({ checkpoint }: Model): Promise<Tokenizer> {
  const known = opened.get(checkpoint) ?? openBeside(checkpoint);
  opened.set(checkpoint, known);
  const found = await known;
  if (typeof found === 'string') throw new Error(found);
  return found;
}

async function openBeside({ files: [file = '.'] }: Checkpoint): Promise<Tokenizer | string> {
  const { openTokenizer } = await import('../text/tokenizers/openTokenizer');
  return openTokenizer(filesIn(dirname(file)));
}

/** Files of a folder by name. Throws if one is larger than may be read. */
const filesIn = (folder: string): TextFiles => ({
  async read(name, most) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    if (!found?.isFile()) return undefined;
    if (found.size > most) throw new Error(`${path}: ${found.size} bytes found, at most ${most} are read`);
    return readFile(path);
  },
});

/** A list of texts that a user gives under a name, one text among them. */
export function textsIn(given: Given, name: string): readonly string[] {
  const value = given[name];
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : [];
}

/** A text that an image is compared with, and what is called so. */
export interface Prompt {
  readonly text: string;
  readonly label: string;
}

/**
 * Texts that are given: as they are written out (`prompts`, `texts`, `text`), or each label in its
 * template. Labels name them if there are as many.
 */
export function promptsIn(given: Given): readonly Prompt[] {
  const labels = textsIn(given, 'labels');
  const [template = '{}'] = textsIn(given, 'template');
  const written = ['prompts', 'texts', 'text'].flatMap((name) => textsIn(given, name));
  const texts = written.length > 0 ? written : labels.map((label) => template.replaceAll('{}', label));
  const named = labels.length === texts.length ? labels : texts;
  return texts.map((text, index) => ({ text, label: named[index] ?? text }));
}

/** Token ids of texts as a model reads them, by the tokenizer beside it. */
export const readTexts = async (
  model: Model,
  texts: readonly string[],
  { context, padding }: TextsRead,
): Promise<EncodedTexts> =>
  encodeTexts(await tokenizerOf(model), texts, {
    most: context,
    ...(padding === 'context' && { padTo: context }),
  });

/** Encoded texts as tensors `[texts, tokens]`. */
export interface EncodedTexts {
  readonly ids: GivenTensor;
  readonly mask: GivenTensor;
  /** Tokens that did not fit, of all texts. */
  readonly cut: number;
}

/** Token ids of texts, padded to the longest of them or to a length; longer ones are cut. */
export function encodeTexts(
  tokenizer: Tokenizer,
  texts: readonly string[],
  { most, padTo }: { readonly most: number; readonly padTo?: number },
): EncodedTexts {
  const bare = texts.map((text) => tokenizer.encode(text, { maxLength: most }));
  const length = padTo ?? largest(bare.map(({ ids }) => ids.length));
  const padded = texts.map((text) =>
    tokenizer.encode(text, { maxLength: most, padTo: length, padSide: 'right' }),
  );
  return {
    ids: asTensor(padded, ({ ids }) => ids),
    mask: asTensor(padded, ({ mask }) => mask),
    cut: sum(bare.map(({ cut }) => cut)),
  };
}

function asTensor(texts: readonly Encoding[], of: (text: Encoding) => readonly number[]): GivenTensor {
  const rows = texts.map(of);
  const [first = []] = rows;
  const data = new BigInt64Array(rows.length * first.length);
  rows.forEach((row, text) =>
    row.forEach((id, index) => {
      data[text * first.length + index] = BigInt(id);
    }),
  );
  return { dtype: 'I64', shape: [rows.length, first.length], data };
}
