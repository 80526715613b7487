import { TextError } from '../errors';
import { characters } from './unicode';

/**
 * A part of a text between cuts; `atStart` if it begins where the text given by the user begins.
 */
export interface Piece {
  readonly text: string;
  readonly atStart: boolean;
}

/** A stretch of a piece, in code units; a match of the pattern, or what lies between two. */
export interface Stretch {
  readonly start: number;
  readonly end: number;
  readonly matches: boolean;
}

/** Finds the stretches of a text, without gaps. */
export type Finder = (text: string) => readonly Stretch[];

/** Stretches that a regular expression finds; it must carry the flag g. */
export const finderOf =
  (pattern: RegExp): Finder =>
  (text) => {
    const found: Stretch[] = [];
    let at = 0;
    for (const match of text.matchAll(pattern)) {
      if (match[0].length === 0) continue;
      if (match.index > at) found.push({ start: at, end: match.index, matches: false });
      at = match.index + match[0].length;
      found.push({ start: match.index, end: at, matches: true });
    }
    if (at < text.length) found.push({ start: at, end: text.length, matches: false });
    return found;
  };

/** One stretch for each run of other characters, and one for each character of a kind. */
export const characterFinder =
  (isMatch: (character: string) => boolean): Finder =>
  (text) => {
    const found: Stretch[] = [];
    let start = 0;
    let at = 0;
    for (const character of characters(text)) {
      const end = at + character.length;
      if (isMatch(character)) {
        if (start < at) found.push({ start, end: at, matches: false });
        found.push({ start: at, end, matches: true });
        start = end;
      }
      at = end;
    }
    if (start < at) found.push({ start, end: at, matches: false });
    return found;
  };

export const inverted =
  (finder: Finder): Finder =>
  (text) =>
    finder(text).map((stretch) => ({ ...stretch, matches: !stretch.matches }));

/** What becomes of a match, by the library's names (SplitDelimiterBehavior). */
const behaviours: Readonly<Record<string, (found: readonly Stretch[]) => readonly Stretch[]>> = {
  Removed: (found) => found.filter(({ matches }) => !matches),
  Isolated: (found) => found,
  Contiguous: (found) => joined(found, (before, now) => before.matches === now.matches),
  MergedWithPrevious: (found) => joined(found, (before, now) => now.matches && !before.matches),
  MergedWithNext: (found) =>
    joined([...found].reverse(), (after, now) => now.matches && !after.matches).toReversed(),
};

/**
 * Joins a stretch to the one before it if `joins` says so of the two, as they were found: what a
 * stretch was joined to does not change its kind.
 */
function joined(
  found: readonly Stretch[],
  joins: (before: Stretch, now: Stretch) => boolean,
): readonly Stretch[] {
  const out: Stretch[] = [];
  let before: Stretch | undefined;
  for (const now of found) {
    const last = out.at(-1);
    if (before !== undefined && last !== undefined && joins(before, now))
      out[out.length - 1] = {
        start: Math.min(last.start, now.start),
        end: Math.max(last.end, now.end),
        matches: last.matches,
      };
    else out.push(now);
    before = now;
  }
  return out;
}

export type Cut = (pieces: readonly Piece[]) => readonly Piece[];

/** Cuts every piece at the stretches; empty pieces are dropped. Throws `TextError`. */
export function cutting(finder: Finder, behaviour: string): Cut {
  const arrange = behaviours[behaviour];
  if (arrange === undefined) throw new TextError(`no way of splitting is called ${behaviour}`);
  return (pieces) =>
    pieces.flatMap(({ text, atStart }) =>
      arrange(finder(text))
        .filter(({ start, end }) => end > start)
        .map(({ start, end }) => ({ text: text.slice(start, end), atStart: atStart && start === 0 })),
    );
}

/** Rewrites every piece; empty ones are dropped. */
export const rewriting =
  (rewrite: (piece: Piece) => string): Cut =>
  (pieces) =>
    pieces
      .map((piece) => ({ text: rewrite(piece), atStart: piece.atStart }))
      .filter(({ text }) => text.length > 0);
