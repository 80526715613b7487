import { asText, type Json } from '../../json';
import type { Model } from './model';
import { Vocabulary } from './vocabulary';

/** A token for each piece that the vocabulary holds, the unknown one for all others. */
export class WordLevel implements Model {
  readonly kind = 'WordLevel';

  private constructor(
    private readonly vocabulary: Vocabulary,
    private readonly unknown: string,
  ) {}

  /** Reads the `model` of tokenizer.json. Throws `TextError`. */
  static of(model: Json): WordLevel {
    return new WordLevel(Vocabulary.of(model['vocab']), asText(model['unk_token']) ?? '<unk>');
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
    return [this.vocabulary.idOf(piece) ?? this.vocabulary.need(this.unknown)];
  }
}
