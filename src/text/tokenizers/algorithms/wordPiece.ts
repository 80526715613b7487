import { asNumber, asText, needText, type Json } from '../../json';
import { characters } from '../unicode';
import type { Model } from './model';
import { Vocabulary } from './vocabulary';

/**
 * WordPiece: the longest token that fits the start of a word, then the longest that fits the rest,
 * written with a prefix (Wu et al. 2016, section 4.1); a word that leaves a rest is unknown whole.
 */
export class WordPiece implements Model {
  readonly kind = 'WordPiece';

  private constructor(
    private readonly vocabulary: Vocabulary,
    private readonly unknown: string,
    private readonly prefix: string,
    private readonly mostCharacters: number,
  ) {}

  /** Reads the `model` of tokenizer.json. Throws `TextError`. */
  static of(model: Json): WordPiece {
    return new WordPiece(
      Vocabulary.of(model['vocab']),
      needText(model['unk_token'], 'the unknown token'),
      asText(model['continuing_subword_prefix']) ?? '##',
      asNumber(model['max_input_chars_per_word']) ?? 100,
    );
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
    const all = characters(piece);
    const ids: number[] = [];
    for (let start = 0; start < all.length;) {
      const found = all.length > this.mostCharacters ? undefined : this.longest(all, start);
      if (found === undefined) return [this.vocabulary.need(this.unknown)];
      ids.push(found.id);
      start = found.end;
    }
    return ids;
  }

  private longest(all: readonly string[], start: number) {
    for (let end = all.length; end > start; end--) {
      const id = this.vocabulary.idOf((start > 0 ? this.prefix : '') + all.slice(start, end).join(''));
      if (id !== undefined) return { id, end };
    }
    return undefined;
  }
}
