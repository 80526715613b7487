import { TextError } from '../errors';
import { asFlag, asText, type Json } from '../json';
import { textLimits } from '../limits';
import type { Model } from './algorithms/model';
import type { Normalize } from './normalizers';
import type { Piece } from './pieces';
import { spaceEnd, spaceStart } from './unicode';

/** A token that is found in a text before the model sees it. */
export interface AddedToken {
  readonly content: string;
  /** Left out of decoded text where special tokens are. */
  readonly special: boolean;
  /** Looked for in the normalised text rather than in the given one. */
  readonly normalized: boolean;
  /** Takes the white space before it, behind it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Found between characters that are no letters only. */
  readonly singleWord: boolean;
}

export const plainToken = (content: string, special: boolean): AddedToken => ({
  content,
  special,
  normalized: !special,
  lstrip: false,
  rstrip: false,
  singleWord: false,
});

/** Reads a token as files write it; a text is a plain token. Undefined for anything else. */
export function readAddedToken(value: unknown, special: boolean): AddedToken | undefined {
  if (typeof value === 'string') return plainToken(value, special);
  const object = typeof value === 'object' && value !== null ? (value as Json) : undefined;
  const content = asText(object?.['content']);
  if (object === undefined || content === undefined) return undefined;
  const isSpecial = asFlag(object['special']) ?? special;
  return {
    content,
    special: isSpecial,
    normalized: asFlag(object['normalized']) ?? !isSpecial,
    lstrip: asFlag(object['lstrip']) ?? false,
    rstrip: asFlag(object['rstrip']) ?? false,
    singleWord: asFlag(object['single_word']) ?? false,
  };
}

/** What a text is cut into: tokens that are found whole, and pieces between them. */
export type Section = Piece | { readonly id: number };

/** Tokens by the text that they are looked for as. */
type Words = Map<string, AddedToken & { readonly id: number }>;

/** The added tokens of a tokenizer, in the order and with the ids that the library gives them. */
export class AddedTokens {
  private readonly byId = new Map<number, AddedToken>();
  private readonly idByContent = new Map<string, number>();
  /** How a token is looked for is said by its first version, how it strips by its last. */
  private readonly first = new Map<string, AddedToken>();
  private readonly specials = new Set<string>();
  private given: Words = new Map();
  private normalized: Words = new Map();

  constructor(
    private readonly model: Model,
    private readonly normalize: Normalize,
  ) {}

  /** Adds tokens; what the vocabulary holds keeps its id, others follow it. Throws `TextError`. */
  add(tokens: readonly AddedToken[]): void {
    for (const token of tokens) {
      if (token.content === '' || this.isKnown(token)) continue;
      if (token.content.length > textLimits.pieceCharacters || this.byId.size >= textLimits.addedTokens)
        throw new TextError(`more or longer added tokens than are read (${textLimits.addedTokens})`);
      if (token.special) this.specials.add(token.content);
      const id = this.idByContent.get(token.content) ?? this.model.idOf(token.content) ?? this.nextId();
      this.idByContent.set(token.content, id);
      this.byId.set(id, token);
      if (!this.first.has(token.content)) this.first.set(token.content, token);
    }
    this.index();
  }

  idOf(token: string): number | undefined {
    return this.idByContent.get(token);
  }

  /** A token as it is shown: what is looked for in normalised text is shown normalised. */
  tokenOf(id: number): string | undefined {
    const token = this.byId.get(id);
    return token?.normalized ? this.normalize(token.content) : token?.content;
  }

  isSpecial(token: string): boolean {
    return this.specials.has(token);
  }

  /** Tokens of the vocabulary and those that follow it. */
  get size(): number {
    let beyond = 0;
    for (const content of this.idByContent.keys()) if (this.model.idOf(content) === undefined) beyond++;
    return this.model.size + beyond;
  }

  /** The sections of a text, pieces normalised. */
  split(text: string): readonly Section[] {
    const pieces = split({ text, atStart: true }, this.given);
    return pieces.flatMap((piece) => {
      if ('id' in piece) return [piece];
      const normalised = { text: this.normalize(piece.text), atStart: piece.atStart };
      return normalised.text === '' ? [] : split(normalised, this.normalized);
    });
  }

  private isKnown(token: AddedToken): boolean {
    const id = this.idByContent.get(token.content);
    const known = id === undefined ? undefined : this.byId.get(id);
    return known !== undefined && JSON.stringify(known) === JSON.stringify(token);
  }

  private nextId(): number {
    let next = this.model.size;
    for (const id of this.byId.keys()) next = Math.max(next, id + 1);
    return next;
  }

  private index(): void {
    this.given = new Map();
    this.normalized = new Map();
    for (const [content, { normalized }] of this.first) {
      const id = this.idByContent.get(content);
      const token = id === undefined ? undefined : this.byId.get(id);
      if (id === undefined || token === undefined) continue;
      if (normalized) this.normalized.set(this.normalize(content), { ...token, id });
      else this.given.set(content, { ...token, id });
    }
  }
}

const isWordEnd = (text: string): boolean => /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u.test(text);
const isWordStart = (text: string): boolean =>
  /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u.test(text);

/** Finds words from left to right, the longest of those that start at one place. */
function split({ text, atStart }: Piece, words: Words): readonly Section[] {
  if (text === '') return [];
  const lengths = [...new Set(Array.from(words.keys(), ({ length }) => length))]
    .filter((length) => length > 0)
    .sort((a, b) => b - a);
  const sections: Section[] = [];
  let done = 0;
  const put = (end: number) => {
    if (end > done) sections.push({ text: text.slice(done, end), atStart: atStart && done === 0 });
  };
  for (let at = 0; at < text.length;) {
    const found = longestAt(text, at, lengths, words);
    if (found === undefined) {
      at++;
      continue;
    }
    const { word, token } = found;
    const end = at + word.length;
    const isInside = token.singleWord && (isWordEnd(text.slice(0, at)) || isWordStart(text.slice(end)));
    if (!isInside) {
      put(token.lstrip ? Math.max(done, spaceStart(text.slice(0, at))) : at);
      sections.push({ id: token.id });
      done = token.rstrip ? end + spaceEnd(text.slice(end)) : end;
    }
    at = end;
  }
  put(text.length);
  return sections;
}

function longestAt(text: string, at: number, lengths: readonly number[], words: Words) {
  for (const length of lengths) {
    const word = text.slice(at, at + length);
    const token = word.length === length ? words.get(word) : undefined;
    if (token !== undefined) return { word, token };
  }
  return undefined;
}
