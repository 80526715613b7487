import { TextError } from '../errors';
import { asNumber, asText, parseJson, type Json } from '../json';
import type { Specials } from './specials';
import { specialNames, type Side, type SpecialName } from './tokenizer';

/** Every file that a tokenizer is read from. */
export const tokenizerFiles = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'vocab.txt',
  'spiece.model',
  'sentencepiece.bpe.model',
  'source.spm',
  'target.spm',
  'target_vocab.json',
  'config.json',
] as const;
export type TokenizerFile = (typeof tokenizerFiles)[number];

/** Files beside a model that are there. */
export type Sidecars = ReadonlyMap<TokenizerFile, Uint8Array>;

/** The object of a JSON file; an empty one if the file is not there. Throws `TextError`. */
export function jsonOf(given: Sidecars, name: TokenizerFile): Json {
  const bytes = given.get(name);
  return bytes === undefined ? {} : parseJson(bytes, name);
}

/** Throws `TextError` naming the file that is missing. */
export function needFile(given: Sidecars, name: TokenizerFile): Uint8Array {
  const bytes = given.get(name);
  if (bytes === undefined) throw new TextError(`${name} is missing`);
  return bytes;
}

/** Lengths above this say "no limit": transformers writes 1e30. */
const mostLength = 1e9;

/** What tokenizer_config.json settles alike for every class. */
export function commonOf(config: Json, padSide: Side, inputs: readonly string[]) {
  const length = asNumber(config['model_max_length']) ?? asNumber(config['max_len']);
  const names = config['model_input_names'];
  return {
    maxLength: length !== undefined && length > 0 && length < mostLength ? Math.floor(length) : undefined,
    padSide: sideOf(config['padding_side']) ?? padSide,
    cutSide: sideOf(config['truncation_side']) ?? ('right' as const),
    inputs: Array.isArray(names) ? names.filter((name) => typeof name === 'string') : inputs,
  };
}

const sideOf = (value: unknown): Side | undefined => {
  const side = asText(value);
  return side === 'left' || side === 'right' ? side : undefined;
};

/** Ids of the named special tokens. */
export function specialIds(
  { named }: Specials,
  id: (token: string) => number | undefined,
): Partial<Record<SpecialName, number>> {
  const ids: Partial<Record<SpecialName, number>> = {};
  for (const name of specialNames) {
    const content = named[name]?.content;
    const found = content === undefined ? undefined : id(content);
    if (found !== undefined) ids[name] = found;
  }
  return ids;
}
