import { TextError } from '../../errors';
import { textLimits } from '../../limits';
import { Charsmap } from '../charsmap';
import { Heap } from '../algorithms/heap';
import { bytesOf, characters, textOfBytes } from '../unicode';
import { pieceKinds, type SentencePieceModel } from './model';

const space = '▁';
const unknownPenalty = 10;
const algorithms = { unigram: 1, bytePairs: 2 } as const;

/** A part of the normalised text and its id. */
interface Part {
  readonly text: string;
  readonly id: number;
}

/**
 * SentencePiece itself, as SigLIP's and Marian's tokenizers call it: it differs from the tokenizers
 * library in normalisation (the longest rule that fits, spaces of its own) and in its sums, which
 * are 32-bit floats.
 */
export class Processor {
  private readonly ids = new Map<string, number>();
  /** Pieces that a text can be cut into. */
  private readonly cuttable = new Map<string, number>();
  /** Symbols that the trainer was told to keep whole, longest first. */
  private readonly userDefined: readonly string[];
  private readonly userDefinedBytes: readonly Uint8Array[];
  private readonly charsmap: Charsmap | undefined;
  private readonly longest: number;
  private readonly least: number;
  private readonly most: number;

  /** Throws `TextError` for an algorithm that is not read. */
  constructor(private readonly model: SentencePieceModel) {
    const { pieces, algorithm, charsmap } = model;
    if (algorithm !== algorithms.unigram && algorithm !== algorithms.bytePairs)
      throw new TextError('a SentencePiece model of words or characters is not supported');
    let longest = 0;
    let least = Infinity;
    let most = -Infinity;
    for (const [id, { text, score, kind }] of pieces.entries()) {
      if (!this.ids.has(text)) this.ids.set(text, id);
      if (kind === pieceKinds.normal) {
        least = Math.min(least, score);
        most = Math.max(most, score);
      }
      if (kind !== pieceKinds.normal && kind !== pieceKinds.userDefined && kind !== pieceKinds.unused)
        continue;
      this.cuttable.set(text, id);
      longest = Math.max(longest, text.length);
    }
    this.longest = Math.min(longest, textLimits.pieceCharacters);
    this.least = least;
    this.most = most;
    this.userDefined = pieces
      .filter(({ kind }) => kind === pieceKinds.userDefined)
      .map(({ text }) => text)
      .sort((a, b) => b.length - a.length);
    this.userDefinedBytes = this.userDefined.map(bytesOf);
    this.charsmap = charsmap.length > 0 ? Charsmap.of(charsmap) : undefined;
  }

  get size(): number {
    return this.model.pieces.length;
  }

  /** The id of a piece; that of the unknown one for others. */
  idOf(piece: string): number {
    return this.ids.get(piece) ?? this.model.unknownId;
  }

  has(piece: string): boolean {
    return this.ids.has(piece);
  }

  pieceOf(id: number): string | undefined {
    return this.model.pieces[id]?.text;
  }

  /** Pieces of a text; neighbours that are unknown are one. */
  encode(text: string): readonly string[] {
    const normalized = this.normalize(text);
    const parts =
      this.model.algorithm === algorithms.unigram ? this.unigram(normalized) : this.bytePairs(normalized);
    return this.join(parts);
  }

  /** Text of pieces, unknown ones as they are. */
  decode(pieces: readonly string[]): string {
    const { addsPrefix, removesSpaces, unknownSurface, unknownPiece } = this.model;
    let out = '';
    let bytes: number[] = [];
    let isFirst = true;
    const flush = () => {
      if (bytes.length > 0) out += textOfBytes(Uint8Array.from(bytes));
      bytes = [];
    };
    let sawSpace = false;
    for (const piece of pieces) {
      const id = this.idOf(piece);
      const kind = this.model.pieces[id]?.kind;
      if (kind === pieceKinds.byte) {
        bytes.push(parseInt(piece.slice(3, 5), 16));
        continue;
      }
      flush();
      if (sawSpace || out !== '') isFirst = false;
      sawSpace = false;
      if (kind === pieceKinds.control) continue;
      if (kind === pieceKinds.unknown) {
        out += piece === unknownPiece ? unknownSurface : piece;
        continue;
      }
      const drops = isFirst && (addsPrefix || removesSpaces) && piece.startsWith(space);
      sawSpace = drops && !removesSpaces;
      out += (drops ? piece.slice(space.length) : piece).replaceAll(space, ' ');
    }
    flush();
    return out;
  }

  /** The text that is cut: rules applied, spaces written as ▁. */
  normalize(text: string): string {
    const { addsPrefix, removesSpaces, escapesSpaces, spaceIsSuffix } = this.model;
    const written = escapesSpaces ? space : ' ';
    const rules = this.rules(text);
    if (removesSpaces) while (rules[0] === ' ') rules.shift();
    if (rules.length === 0) return '';
    let out = addsPrefix && !spaceIsSuffix ? written : '';
    let isAfterSpace = removesSpaces;
    for (const rule of rules) {
      const part = isAfterSpace ? rule.replace(/^ +/, '') : rule;
      out += escapesSpaces ? part.replaceAll(' ', space) : part;
      if (part !== '') isAfterSpace = removesSpaces && part.endsWith(' ');
    }
    if (removesSpaces) while (out.endsWith(written)) out = out.slice(0, -written.length);
    return addsPrefix && spaceIsSuffix ? out + written : out;
  }

  /** What stands for each stretch of a text: the longest rule that fits, else a character. */
  private rules(text: string): string[] {
    const bytes = bytesOf(text);
    const out: string[] = [];
    for (let at = 0; at < bytes.length;) {
      const own = this.ownSymbolAt(bytes, at);
      const rule = own === undefined ? this.charsmap?.prefixes(bytes, at).at(-1) : undefined;
      const length = own?.length ?? rule?.length ?? characterBytes(bytes[at] ?? 0);
      out.push(rule?.text ?? textOfBytes(bytes.subarray(at, at + length)));
      at += length;
    }
    return out;
  }

  /** A symbol that the trainer was told to keep whole, as bytes. */
  private ownSymbolAt(bytes: Uint8Array, at: number): Uint8Array | undefined {
    if (this.userDefined.length === 0) return undefined;
    return this.userDefinedBytes.find((symbol) => symbol.every((byte, index) => bytes[at + index] === byte));
  }

  /** Kudo 2018; a kept symbol scores more than any other way, an unused piece does not count. */
  private unigram(text: string): readonly Part[] {
    const unknownScore = Math.fround(this.least - unknownPenalty);
    const scores = new Float32Array(text.length + 1);
    const from = new Int32Array(text.length + 1).fill(-1);
    const ids = new Int32Array(text.length + 1);
    const offer = (start: number, end: number, score: number, id: number) => {
      if (from[end] !== -1 && score <= (scores[end] ?? 0)) return;
      scores[end] = score;
      from[end] = start;
      ids[end] = id;
    };
    let start = 0;
    for (const character of characters(text)) {
      const before = scores[start] ?? 0;
      const single = start + character.length;
      let hasSingle = false;
      for (let end = single; end <= Math.min(text.length, start + this.longest); end++) {
        const id = this.cuttable.get(text.slice(start, end));
        const piece = id === undefined ? undefined : this.model.pieces[id];
        if (id === undefined || piece === undefined || piece.kind === pieceKinds.unused) continue;
        hasSingle ||= end === single;
        const bytes = bytesOf(piece.text).length;
        const score =
          piece.kind === pieceKinds.userDefined ? Math.fround(bytes * this.most) - 0.1 : piece.score;
        offer(start, end, before + score, id);
      }
      if (!hasSingle) offer(start, single, Math.fround(before + unknownScore), this.model.unknownId);
      start = single;
    }
    const parts: Part[] = [];
    for (let end = text.length; end > 0; end = from[end] ?? 0)
      parts.push({ text: text.slice(from[end] ?? 0, end), id: ids[end] ?? 0 });
    return parts.reverse();
  }

  /** Joins the pair with the best score, the leftmost of equals, until no pair is a piece. */
  private bytePairs(text: string): readonly Part[] {
    const parts = this.symbols(text);
    const next = Int32Array.from(parts, (_, index) => (index + 1 < parts.length ? index + 1 : -1));
    const before = Int32Array.from(parts, (_, index) => index - 1);
    const isKept = parts.map((symbol) => this.userDefined.includes(symbol));
    const heap = new Heap();
    const order = this.scoreOrder();
    const rankAt = (at: number): number | undefined => {
      const right = next[at] ?? -1;
      if (right < 0 || isKept[at] || isKept[right]) return undefined;
      const id = this.cuttable.get((parts[at] ?? '') + (parts[right] ?? ''));
      return id === undefined ? undefined : order[id];
    };
    const offer = (at: number) => {
      const rank = at < 0 ? undefined : rankAt(at);
      if (rank !== undefined) heap.push(rank * 2 ** 26 + at);
    };
    for (let at = 0; at + 1 < parts.length; at++) offer(at);
    const unused = new Map<string, readonly [string, string]>();
    for (let top = heap.pop(); top !== undefined; top = heap.pop()) {
      const at = top % 2 ** 26;
      if (parts[at] === '' || rankAt(at) !== Math.floor(top / 2 ** 26)) continue;
      const right = next[at] ?? -1;
      const pair = [parts[at] ?? '', parts[right] ?? ''] as const;
      const whole = pair[0] + pair[1];
      if (this.kindOf(whole) === pieceKinds.unused) unused.set(whole, pair);
      parts[at] = whole;
      parts[right] = '';
      next[at] = next[right] ?? -1;
      const after = next[at] ?? -1;
      if (after >= 0) before[after] = at;
      offer(before[at] ?? -1);
      offer(at);
    }
    return parts
      .filter((part) => part !== '')
      .flatMap((part) => resegment(part, unused))
      .map((part) => ({ text: part, id: this.cuttable.get(part) ?? this.model.unknownId }));
  }

  private kindOf(piece: string): number | undefined {
    const id = this.cuttable.get(piece);
    return id === undefined ? undefined : this.model.pieces[id]?.kind;
  }

  /** Ranks of pieces by their scores: equal scores have one rank. */
  private scoreOrder(): readonly number[] {
    const scores = [...new Set(this.model.pieces.map(({ score }) => score))].sort((a, b) => b - a);
    const rank = new Map(scores.map((score, index) => [score, index]));
    return this.model.pieces.map(({ score }) => rank.get(score) ?? 0);
  }

  private symbols(text: string): string[] {
    const out: string[] = [];
    for (let at = 0; at < text.length;) {
      const own = this.userDefined.find((symbol) => symbol !== '' && text.startsWith(symbol, at));
      const symbol = own ?? String.fromCodePoint(text.codePointAt(at) ?? 0);
      out.push(symbol);
      at += symbol.length;
    }
    return out;
  }

  private join(parts: readonly Part[]): readonly string[] {
    const out: string[] = [];
    let wasUnknown = false;
    for (const { text, id } of parts) {
      const isUnknown = this.model.pieces[id]?.kind === pieceKinds.unknown;
      if (isUnknown && this.model.bytes)
        for (const byte of bytesOf(text)) out.push(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
      else if (isUnknown && wasUnknown) out[out.length - 1] = (out.at(-1) ?? '') + text;
      else out.push(text);
      wasUnknown = isUnknown;
    }
    return out;
  }
}

/** Bytes of the character that starts with a byte; the text is well-formed UTF-8. */
function characterBytes(first: number): number {
  if (first < 0x80) return 1;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}

/** Takes a piece that is not to be used apart again, as it was joined. */
function resegment(
  part: string,
  unused: ReadonlyMap<string, readonly [string, string]>,
  depth = 0,
): readonly string[] {
  const pair = depth < textLimits.pieceCharacters ? unused.get(part) : undefined;
  return pair === undefined ? [part] : pair.flatMap((half) => resegment(half, unused, depth + 1));
}
