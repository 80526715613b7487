import { TextError } from '../../errors';
import { asJson, needIndex } from '../../json';
import { textLimits } from '../../limits';

/** Tokens and their ids. */
export class Vocabulary {
  private readonly tokens = new Map<number, string>();

  constructor(private readonly ids: ReadonlyMap<string, number>) {
    if (ids.size > textLimits.vocabulary)
      throw new TextError(`the vocabulary has ${ids.size} tokens; ${textLimits.vocabulary} are read`);
    for (const [token, id] of ids) this.tokens.set(id, token);
  }

  /** Reads `{ token: id }`. Throws `TextError`. */
  static of(value: unknown): Vocabulary {
    const object = asJson(value);
    if (object === undefined) throw new TextError('the vocabulary is no object of tokens and ids');
    return new Vocabulary(
      new Map(
        Object.entries(object).map(([token, id]) => [
          token,
          needIndex(id, `the id of ${JSON.stringify(token)}`),
        ]),
      ),
    );
  }

  get size(): number {
    return this.ids.size;
  }

  idOf(token: string): number | undefined {
    return this.ids.get(token);
  }

  tokenOf(id: number): string | undefined {
    return this.tokens.get(id);
  }

  /** Throws `TextError` if the vocabulary lacks the token. */
  need(token: string): number {
    const id = this.ids.get(token);
    if (id === undefined) throw new TextError(`the vocabulary lacks ${JSON.stringify(token)}`);
    return id;
  }
}
