import { pushAll } from '../../domain/lists';
import { TextError } from '../errors';
import { textLimits } from '../limits';
import type { Template, TemplatePart } from './templates';

export type Side = 'left' | 'right';

/** Special tokens that transformers has names for. */
export const specialNames = ['bos', 'eos', 'unk', 'sep', 'pad', 'cls', 'mask'] as const;
export type SpecialName = (typeof specialNames)[number];

export interface EncodeOptions {
  /** A second text. */
  readonly pair?: string;
  /** Most tokens, special ones included; the texts are cut, the longer of two first. */
  readonly maxLength?: number;
  /** Pads to so many tokens. */
  readonly padTo?: number;
  /** Where padding goes; the tokenizer's own side otherwise. */
  readonly padSide?: Side;
  /** Puts special tokens around the texts; true if left out. */
  readonly addSpecial?: boolean;
}

export interface Encoding {
  readonly ids: readonly number[];
  /** 1 for a token, 0 for padding. */
  readonly mask: readonly number[];
  /** For tokenizers whose models ask for it: 0 for the first text, 1 for the second. */
  readonly typeIds?: readonly number[];
  /** Tokens of the texts that did not fit: what they say, the model does not see. */
  readonly cut: number;
}

/** Turns texts into token ids and back, as transformers 5.23 does for the same files. */
export interface Tokenizer {
  /** The class of transformers that it follows. */
  readonly kind: string;
  /** Files that were read, and what was assumed of them, for people. */
  readonly source: string;
  /** Ids of the named special tokens; a name without a token is absent. */
  readonly special: Readonly<Partial<Record<SpecialName, number>>>;
  /** Most tokens that the model was made for; undefined if no file says it. */
  readonly maxLength: number | undefined;
  readonly padSide: Side;
  /** Inputs of the model that it makes: `attention_mask` is absent for SigLIP. */
  readonly inputs: readonly string[];
  /** Tokens, added ones included. */
  readonly size: number;
  encode(text: string, options?: EncodeOptions): Encoding;
  decode(ids: readonly number[], options?: { readonly skipSpecial?: boolean }): string;
  /** One token as the vocabulary writes it; undefined for an id that it lacks. */
  token(id: number): string | undefined;
  id(token: string): number | undefined;
}

/** What differs between tokenizers: the rest is cutting, special tokens and padding. */
export interface TokenizerParts extends Omit<Tokenizer, 'encode'> {
  readonly template: Template;
  readonly cutSide: Side;
  /** Whether an empty second text counts as one. */
  readonly pairsEmpty: boolean;
  /** Ids of a text, without special tokens around it. */
  idsOf(text: string): readonly number[];
  /** An end token that is not put behind a text that ends with it. */
  readonly endOnce?: number;
  /**
   * Gives the odd token of two texts that are cut alike to the first, as transformers' own code
   * does.
   */
  readonly oddToFirst?: boolean;
}

/** Makes a tokenizer of its parts. */
export function tokenizerOf(parts: TokenizerParts): Tokenizer {
  const { template, cutSide, pairsEmpty, idsOf, endOnce, oddToFirst = false, ...shared } = parts;
  return {
    ...shared,
    encode(text, options = {}) {
      const { pair, maxLength, addSpecial = true } = options;
      const isPair = pair !== undefined && (pair !== '' || pairsEmpty);
      const layout = (isPair ? template.pair : template.single).filter(
        ({ ids }) => addSpecial || ids === undefined,
      );
      const texts = [text, ...(isPair ? [pair] : [])].map((each) => idsOf(bounded(each)));
      const room = maxLength === undefined ? Infinity : Math.max(0, maxLength - specialCount(layout));
      const kept = shorten(texts, room, cutSide, oddToFirst);
      const cut = count(texts) - count(kept);
      const filled = fill(layout, kept, endOnce);
      const withTypes = parts.inputs.includes('token_type_ids') ? { typeIds: filled.types } : {};
      return padded({ ids: filled.ids, mask: filled.ids.map(() => 1), ...withTypes, cut }, parts, options);
    },
  };
}

function bounded(text: string): string {
  if (text.length > textLimits.textCharacters)
    throw new TextError(`the text has ${text.length} characters; ${textLimits.textCharacters} are read`);
  return text;
}

const count = (texts: readonly (readonly number[])[]): number =>
  texts.reduce((total, { length }) => total + length, 0);

const specialCount = (layout: readonly TemplatePart[]): number =>
  layout.reduce((total, { ids }) => total + (ids?.length ?? 0), 0);

/**
 * Cuts texts to a common room, the longer first, then both to a half each. A token that is left
 * over goes to the longer; of two of one length to the second (the tokenizers library) or the
 * first.
 */
function shorten(
  texts: readonly (readonly number[])[],
  room: number,
  side: Side,
  oddToFirst: boolean,
): readonly (readonly number[])[] {
  if (count(texts) <= room) return texts;
  const [a = [], b] = texts;
  const lengths = b === undefined ? [room] : sharedRoom(a.length, b.length, room, oddToFirst);
  return texts.map((ids, index) => {
    const length = lengths[index] ?? 0;
    return side === 'right' ? ids.slice(0, length) : ids.slice(Math.max(0, ids.length - length));
  });
}

function sharedRoom(a: number, b: number, room: number, oddToFirst: boolean): readonly [number, number] {
  const short = Math.min(a, b);
  if (short * 2 <= room) return a > b ? [room - short, short] : [short, room - short];
  const half = Math.floor(room / 2);
  const isFirstMore = a > b || oddToFirst;
  return isFirstMore ? [room - half, half] : [half, room - half];
}

function fill(
  layout: readonly TemplatePart[],
  texts: readonly (readonly number[])[],
  endOnce: number | undefined,
) {
  const ids: number[] = [];
  const types: number[] = [];
  let before: readonly number[] = [];
  for (const { text, ids: special = [], type } of layout) {
    const part = text === undefined ? special : (texts[text === 'A' ? 0 : 1] ?? []);
    if (text !== undefined) before = part;
    else if (endOnce !== undefined && special[0] === endOnce && before.at(-1) === endOnce) continue;
    pushAll(ids, part);
    pushAll(
      types,
      part.map(() => type),
    );
  }
  return { ids, types };
}

function padded(encoding: Encoding, parts: TokenizerParts, options: EncodeOptions): Encoding {
  const { padTo = 0, padSide = parts.padSide } = options;
  const missing = padTo - encoding.ids.length;
  if (missing <= 0) return encoding;
  const pad = parts.special.pad;
  if (pad === undefined) throw new TextError('the tokenizer has no padding token');
  if (padTo > textLimits.tokens)
    throw new TextError(`padding to ${padTo} tokens; ${textLimits.tokens} at most`);
  const extend = (list: readonly number[], value: number) => {
    const padding = Array.from({ length: missing }, () => value);
    return padSide === 'right' ? [...list, ...padding] : [...padding, ...list];
  };
  return {
    ids: extend(encoding.ids, pad),
    mask: extend(encoding.mask, 0),
    ...(encoding.typeIds && { typeIds: extend(encoding.typeIds, 0) }),
    cut: encoding.cut,
  };
}
