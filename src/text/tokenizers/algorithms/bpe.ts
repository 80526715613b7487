import { TextError } from '../../errors';
import { asFlag, asList, asText, type Json } from '../../json';
import { textLimits } from '../../limits';
import { bytesOf, characters } from '../unicode';
import { Heap } from './heap';
import type { Model } from './model';
import { Vocabulary } from './vocabulary';

interface Settings {
  readonly unknown: string | undefined;
  readonly prefix: string;
  readonly suffix: string;
  readonly fusesUnknown: boolean;
  readonly bytes: boolean;
  readonly ignoresMerges: boolean;
}

/** A pair of ids as one key: ids stay under 2^26, so that their product is exact. */
const idSpan = 2 ** 26;

/** Positions of a word under one rank of a heap's key. */
const positionSpan = 2 ** 26;

/**
 * Byte-pair encoding: starts from characters and joins, again and again, the pair whose merge was
 * learned first, the leftmost of equals (Sennrich, Haddow and Birch 2016, section 3.2).
 *
 * Written anew rather than taken from @huggingface/tokenizers 0.2.0, which joins unknown characters
 * across words, looks merges up by JSON text (580 000 of them in Gemma's file) and has no prefix.
 */
export class Bpe implements Model {
  readonly kind = 'BPE';

  private constructor(
    private readonly vocabulary: Vocabulary,
    /** From a pair's key to its rank. */
    private readonly ranks: ReadonlyMap<number, number>,
    /** From a rank to the id of what the pair becomes. */
    private readonly joined: readonly number[],
    private readonly settings: Settings,
  ) {}

  /** Reads the `model` of tokenizer.json. Throws `TextError`. */
  static of(model: Json): Bpe {
    const vocabulary = Vocabulary.of(model['vocab']);
    const settings = {
      unknown: asText(model['unk_token']),
      prefix: asText(model['continuing_subword_prefix']) ?? '',
      suffix: asText(model['end_of_word_suffix']) ?? '',
      fusesUnknown: asFlag(model['fuse_unk']) ?? false,
      bytes: asFlag(model['byte_fallback']) ?? false,
      ignoresMerges: asFlag(model['ignore_merges']) ?? false,
    };
    const merges = asList(model['merges']) ?? [];
    if (merges.length > textLimits.merges)
      throw new TextError(`the vocabulary has ${merges.length} merges; ${textLimits.merges} are read`);
    const ranks = new Map<number, number>();
    const joined: number[] = [];
    for (const merge of merges) {
      const [left, right] = pairOf(merge);
      ranks.set(vocabulary.need(left) * idSpan + vocabulary.need(right), joined.length);
      joined.push(vocabulary.need(left + right.slice(settings.prefix.length)));
    }
    return new Bpe(vocabulary, ranks, joined, settings);
  }

  get size(): number {
    return this.vocabulary.size;
  }

  idOf(token: string): number | undefined {
    return this.vocabulary.idOf(token);
  }

  tokenOf(id: number): string | undefined {
    return this.vocabulary.tokenOf(id);
  }

  ids(piece: string): readonly number[] {
    const whole = this.settings.ignoresMerges ? this.vocabulary.idOf(piece) : undefined;
    return whole === undefined ? this.merge(this.symbols(piece)) : [whole];
  }

  /** Ids of single characters; unknown ones as bytes, as the unknown token, or left out. */
  private symbols(piece: string): number[] {
    const { prefix, suffix, bytes, fusesUnknown, unknown } = this.settings;
    const all = characters(piece);
    const ids: number[] = [];
    let afterUnknown = false;
    for (const [index, character] of all.entries()) {
      const symbol = (index > 0 ? prefix : '') + character + (index === all.length - 1 ? suffix : '');
      const id = this.vocabulary.idOf(symbol);
      const spelled = id === undefined && bytes ? this.byteIds(symbol) : undefined;
      if (id !== undefined) ids.push(id);
      else if (spelled !== undefined) for (const each of spelled) ids.push(each);
      else if (unknown !== undefined && !(fusesUnknown && afterUnknown))
        ids.push(this.vocabulary.need(unknown));
      // Bytes do not end a run of unknown characters, as in the library.
      if (spelled === undefined) afterUnknown = id === undefined;
    }
    return ids;
  }

  private byteIds(symbol: string): readonly number[] | undefined {
    const ids = Array.from(bytesOf(symbol), (byte) =>
      this.vocabulary.idOf(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
    );
    return ids.every((id) => id !== undefined) ? ids : undefined;
  }

  private merge(ids: number[]): readonly number[] {
    const next = Int32Array.from(ids, (_, index) => (index + 1 < ids.length ? index + 1 : -1));
    const before = Int32Array.from(ids, (_, index) => index - 1);
    const isGone = new Uint8Array(ids.length);
    const heap = new Heap();
    const rankAt = (at: number): number | undefined => {
      const right = next[at] ?? -1;
      return right < 0 ? undefined : this.ranks.get((ids[at] ?? 0) * idSpan + (ids[right] ?? 0));
    };
    const offer = (at: number) => {
      const rank = rankAt(at);
      if (rank !== undefined) heap.push(rank * positionSpan + at);
    };
    for (let at = 0; at + 1 < ids.length; at++) offer(at);
    for (let top = heap.pop(); top !== undefined; top = heap.pop()) {
      const at = top % positionSpan;
      const rank = isGone[at] ? undefined : rankAt(at);
      const id = this.joined[Math.floor(top / positionSpan)];
      // An entry is stale if its pair has become another since; the same result counts as the same.
      if (rank === undefined || id === undefined || this.joined[rank] !== id) continue;
      const right = next[at] ?? -1;
      const after = next[right] ?? -1;
      ids[at] = id;
      isGone[right] = 1;
      next[at] = after;
      if (after >= 0) before[after] = at;
      const left = before[at] ?? -1;
      if (left >= 0) offer(left);
      offer(at);
    }
    return ids.filter((_, index) => !isGone[index]);
  }
}

/** A merge is written `[left, right]`, in older files `"left right"`. */
function pairOf(merge: unknown): readonly [string, string] {
  const parts = typeof merge === 'string' ? merge.split(' ') : asList(merge);
  const left = asText(parts?.[0]);
  const right = asText(parts?.[1]);
  if (parts?.length !== 2 || left === undefined || right === undefined)
    throw new TextError(`a merge is no pair: ${JSON.stringify(merge)}`);
  return [left, right];
}
