// What the library answers for tricky strings: folders with a tokenizer's files, `ids.jsonl`,
// `pairs.jsonl` and `about.json`, made by test/fixtures/tokenizers/make.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { TextFiles } from '../../src/text/tokenizers/openTokenizer';

/** A string and what becomes of it. */
export interface TokenizedText {
  readonly text: string;
  /** With special tokens, cut to the length of `about.json`. */
  readonly ids: readonly number[];
  /** Cut and padded to its short length. */
  readonly short: readonly number[];
  /** Ones in the mask of `short`; absent if the class makes none. */
  readonly short_mask?: number;
  /** Tokens without special ones, uncut. */
  readonly plain_length: number;
  /** Of `ids`, special tokens left out; absent if the text was cut. */
  readonly decoded?: string;
}

/** Two strings and what becomes of them, cut to the short length. */
export interface TokenizedPair {
  readonly text: string;
  readonly pair: string;
  readonly input_ids?: readonly number[];
  readonly token_type_ids?: readonly number[];
  readonly fails?: string;
}

export interface TokenizerCase {
  readonly folder: string;
  readonly length: number;
  readonly short: number;
  readonly tokenizer_class: string;
  readonly vocabulary: number;
  readonly padding_side: string;
  readonly special: Readonly<Record<string, readonly [string, number]>>;
  readonly names: readonly string[];
  readonly texts: readonly TokenizedText[];
  readonly pairs: readonly TokenizedPair[];
}

/** Folder of the cases: VITRINE_CASES, or those that come with the tests. */
export const tokenizersFolder = process.env.VITRINE_CASES ?? 'test/fixtures/tokenizers';

/** Every case of a folder, of its folders and of its folder `tokenizers`. */
export function readTokenizerCases(folder: string = tokenizersFolder): readonly TokenizerCase[] {
  const inside = existsSync(join(folder, 'tokenizers')) ? [join(folder, 'tokenizers')] : [];
  const folders = [folder, ...inside].flatMap((each) => [
    each,
    ...readdirSync(each).map((name) => join(each, name)),
  ]);
  return folders
    .filter((name) => existsSync(join(name, 'ids.jsonl')))
    .map((name) => ({
      ...(JSON.parse(readFileSync(join(name, 'about.json'), 'utf8')) as TokenizerCase),
      folder: name,
      texts: readLines<TokenizedText>(join(name, 'ids.jsonl')),
      pairs: readLines<TokenizedPair>(join(name, 'pairs.jsonl')),
    }));
}

const readLines = <T>(path: string): readonly T[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);

/** Files of a folder, without some. */
export const filesIn = (folder: string, without: readonly string[] = []): TextFiles => ({
  async read(name, most) {
    const path = join(folder, name);
    if (without.includes(name) || !existsSync(path)) return undefined;
    if ((await stat(path)).size > most) throw new Error(`${name} is larger than ${most} bytes`);
    return readFile(path);
  },
});
