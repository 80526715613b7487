import { bytesOf, textOfBytes } from './unicode';

/**
 * GPT-2's printable stand-ins for the 256 bytes: bytes that print stand for themselves, the others
 * follow from U+0100 on.
 */
const standIns: readonly string[] = (() => {
  const prints = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(prints(byte) ? byte : next++));
})();

const byteOf: ReadonlyMap<string, number> = new Map(standIns.map((character, byte) => [character, byte]));

/** A text's UTF-8 bytes as stand-ins. */
export const toStandIns = (text: string): string =>
  Array.from(bytesOf(text), (byte) => standIns[byte]).join('');

/** Tokens of stand-ins as text; a token with another character gives its own bytes. */
export function fromStandIns(tokens: readonly string[]): string {
  const bytes: number[] = [];
  for (const token of tokens) {
    const own = Array.from(token, (character) => byteOf.get(character));
    const all = own.every((byte) => byte !== undefined) ? own : bytesOf(token);
    for (const byte of all) bytes.push(byte ?? 0);
  }
  return textOfBytes(Uint8Array.from(bytes));
}
