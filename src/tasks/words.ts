import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { largest } from '../domain/lists';
import type { Checkpoint } from '../checkpoint/checkpoint';
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

/** Encoded texts as tensors `[texts, tokens]`. */
export interface EncodedTexts {
  readonly ids: GivenTensor;
  readonly mask: GivenTensor;
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
  return { ids: asTensor(padded, ({ ids }) => ids), mask: asTensor(padded, ({ mask }) => mask) };
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
