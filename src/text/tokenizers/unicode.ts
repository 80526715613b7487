// Character classes as the tokenizers library (Rust) and Python have them, where JavaScript's
// own differ: \s of JavaScript holds U+FEFF and lacks U+0085, toLowerCase looks at the whole
// word. Tables of classes are the runtime's: characters that Unicode added after the library's
// tables (8 for BERT's, 16 for expressions) may fall into another class there.

/** White space by Unicode, as Rust's char::is_whitespace. */
export const isSpace = (character: string): boolean => /^\p{White_Space}$/u.test(character);

/**
 * Lower case, character by character: the library has no final sigma, which `toLowerCase` of a
 * whole word writes.
 */
export function lowerCaseEach(text: string): string {
  if (!text.includes('Σ')) return text.toLowerCase();
  return Array.from(text, (character) => character.toLowerCase()).join('');
}

/** Cuts white space off both ends or one. */
export function trimSpace(text: string, start: boolean, end: boolean): string {
  const cut = start ? text.replace(/^\p{White_Space}+/u, '') : text;
  return end ? cut.slice(0, spaceStart(cut)) : cut;
}

/** Where the white space at the end of a text begins. */
export function spaceStart(text: string): number {
  let end = text.length;
  // All white space lies in the basic plane: one code unit each.
  while (end > 0 && isSpace(text.charAt(end - 1))) end--;
  return end;
}

/** Where the white space at the start of a text ends. */
export function spaceEnd(text: string): number {
  let start = 0;
  while (start < text.length && isSpace(text.charAt(start))) start++;
  return start;
}

/** Punctuation as BERT has it: every ASCII symbol, and Unicode's punctuation. */
export const isPunctuation = (character: string): boolean => /^[!-/:-@[-`{-~\p{P}]$/u.test(character);

/** What Python's str.isspace holds: Unicode's white space and four separators of ASCII. */
const pythonSpace = '[\\p{White_Space}\\x1c-\\x1f]';
const pythonSpaces = new RegExp(`${pythonSpace}+`, 'gu');
const pythonEnds = new RegExp(`^${pythonSpace}+|${pythonSpace}+$`, 'gu');

/** Python's str.strip(). */
export const strip = (text: string): string => text.replace(pythonEnds, '');

/** Python's re.sub(r"\s+", " ", text). */
export const oneSpace = (text: string): string => text.replace(pythonSpaces, ' ');

/** Characters of a text by code point: a lone surrogate is one. */
export const characters = (text: string): string[] => Array.from(text);

const encoder = new TextEncoder();

export const bytesOf = (text: string): Uint8Array => encoder.encode(text);

/** Bytes as text; what is no UTF-8 becomes U+FFFD. A byte order mark stays. */
export const textOfBytes = (bytes: Uint8Array): string =>
  new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
