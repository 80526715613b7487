import { smallest } from '../../../domain/lists';
import { TextError } from '../../errors';
import { asFlag, asList, asNumber, asText, type Json } from '../../json';
import { textLimits } from '../../limits';
import { bytesOf, characters } from '../unicode';
import type { Model } from './model';

/** How much less likely than the least likely piece an unknown character is. */
const unknownPenalty = 10;

/** The best way to a place of the text: from where, and by which piece. */
interface Step {
  readonly score: number;
  readonly from: number;
  readonly id: number | undefined;
}

/**
 * A unigram language model: of all ways to cut a text into pieces the one whose scores,
 * logarithms of probabilities, add up to the most (Kudo 2018, section 3.2), found by dynamic
 * programming from left to right; the first found of equals wins.
 *
 * Written anew rather than taken from @huggingface/tokenizers 0.2.0, which breaks ties the other
 * way, joins unknown characters across words and has no bytes.
 */
export class Unigram implements Model {
  readonly kind = 'Unigram';
  private readonly idByToken = new Map<string, number>();
  private readonly longest: number;
  private readonly unknownScore: number;

  private constructor(
    private readonly pieces: readonly (readonly [string, number])[],
    private readonly unknown: number | undefined,
    private readonly bytes: boolean,
  ) {
    let longest = 0;
    for (const [id, [piece]] of pieces.entries()) {
      this.idByToken.set(piece, id);
      longest = Math.max(longest, piece.length);
    }
    this.longest = Math.min(longest, textLimits.pieceCharacters);
    this.unknownScore = smallest(pieces.map(([, score]) => score)) - unknownPenalty;
  }

  /** Reads the `model` of tokenizer.json. Throws `TextError`. */
  static of(model: Json): Unigram {
    const list = asList(model['vocab']);
    if (list === undefined) throw new TextError('the vocabulary is no list of pieces and scores');
    return Unigram.from(
      list.map((item) => {
        const piece = asText(asList(item)?.[0]);
        const score = asNumber(asList(item)?.[1]);
        if (piece === undefined || score === undefined)
          throw new TextError(`a piece has no text or score: ${JSON.stringify(item)}`);
        return [piece, score];
      }),
      asNumber(model['unk_id']),
      asFlag(model['byte_fallback']) ?? false,
    );
  }

  /** Throws `TextError` for too many pieces. */
  static from(
    pieces: readonly (readonly [string, number])[],
    unknown: number | undefined,
    bytes: boolean,
  ): Unigram {
    if (pieces.length > textLimits.vocabulary)
      throw new TextError(`the vocabulary has ${pieces.length} pieces; ${textLimits.vocabulary} are read`);
    return new Unigram(pieces, unknown, bytes);
  }

  get size(): number {
    return this.pieces.length;
  }

  idOf(token: string): number | undefined {
    return this.idByToken.get(token);
  }

  tokenOf(id: number): string | undefined {
    return this.pieces[id]?.[0];
  }

  ids(piece: string): readonly number[] {
    return this.cut(piece).flatMap((part) => this.idsOfPart(part));
  }

  private idsOfPart(part: string): readonly number[] {
    const id = this.idByToken.get(part);
    if (id !== undefined) return [id];
    const bytes = this.bytes
      ? Array.from(bytesOf(part), (byte) =>
          this.idByToken.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
        )
      : [];
    if (this.bytes && bytes.every((each) => each !== undefined)) return bytes;
    if (this.unknown === undefined) throw new TextError('the vocabulary has no unknown token');
    return [this.unknown];
  }

  /** Parts of the text; neighbours that are unknown are one. */
  private cut(text: string): readonly string[] {
    const steps = this.bestSteps(text);
    const parts: string[] = [];
    let unknownEnd = -1;
    for (let end = text.length; end > 0;) {
      const { from, id } = steps[end] ?? { from: end - 1, id: undefined };
      const isUnknown = id !== undefined && id === this.unknown;
      if (isUnknown && unknownEnd < 0) unknownEnd = end;
      const continues = isUnknown && from > 0 && steps[from]?.id === this.unknown;
      if (!continues) parts.push(text.slice(from, isUnknown ? unknownEnd : end));
      if (!continues) unknownEnd = -1;
      end = from;
    }
    return parts.reverse();
  }

  /** The best step to each place, counted in code units. */
  private bestSteps(text: string): readonly (Step | undefined)[] {
    const best: (Step | undefined)[] = Array.from({ length: text.length + 1 });
    const offer = (to: number, step: Step) => {
      const known = best[to];
      if (known === undefined || step.score > known.score) best[to] = step;
    };
    let start = 0;
    for (const character of characters(text)) {
      const score = best[start]?.score ?? 0;
      const single = start + character.length;
      let hasSingle = false;
      for (let end = single; end <= Math.min(text.length, start + this.longest); end++) {
        const id = this.idByToken.get(text.slice(start, end));
        if (id === undefined) continue;
        hasSingle ||= end === single;
        offer(end, { score: score + (this.pieces[id]?.[1] ?? 0), from: start, id });
      }
      if (!hasSingle) offer(single, { score: score + this.unknownScore, from: start, id: this.unknown });
      start = single;
    }
    return best;
  }
}
