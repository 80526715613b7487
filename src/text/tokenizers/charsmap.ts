import { TextError } from '../errors';
import { textLimits } from '../limits';
import { textOfBytes } from './unicode';

/** A rule that fits the start of a text: how many bytes it takes, and what stands for them. */
export interface Rule {
  readonly length: number;
  readonly text: string;
}

/**
 * A compiled normalisation table of SentencePiece (`precompiled_charsmap`): a double-array trie
 * (Darts-clone: 32-bit units holding label, offset and a mark for "ends here"), and the texts that
 * its values point at, each ended by a zero byte.
 */
export class Charsmap {
  private constructor(
    private readonly units: Uint32Array,
    private readonly texts: Uint8Array,
  ) {}

  /** Throws `TextError` for a table that is cut off or too large. */
  static of(bytes: Uint8Array): Charsmap {
    if (bytes.length > textLimits.charsmapBytes)
      throw new TextError(`the normalisation table has ${bytes.length} bytes, too many to be one`);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const size = bytes.length >= 4 ? view.getUint32(0, true) : 0;
    if (size < 4 || size % 4 !== 0 || 4 + size > bytes.length)
      throw new TextError('the normalisation table is cut off');
    const units = Uint32Array.from({ length: size / 4 }, (_, index) => view.getUint32(4 + index * 4, true));
    return new Charsmap(units, bytes.subarray(4 + size));
  }

  /** Rules that fit the start of these bytes, shortest first. */
  prefixes(bytes: Uint8Array, from = 0): Rule[] {
    const found: Rule[] = [];
    let at = offsetOf(this.units[0] ?? 0);
    for (let next = from; next < bytes.length; next++) {
      const byte = bytes[next] ?? 0;
      at ^= byte;
      const unit = this.units[at];
      if (unit === undefined || byte === 0 || (unit & 0x800000ff) !== byte) break;
      at ^= offsetOf(unit);
      if ((unit & 0x100) !== 0)
        found.push({ length: next + 1 - from, text: this.textAt((this.units[at] ?? 0) & 0x7fffffff) });
    }
    return found;
  }

  private textAt(start: number): string {
    const end = this.texts.indexOf(0, start);
    return textOfBytes(this.texts.subarray(start, end === -1 ? undefined : end));
  }
}

const offsetOf = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);
