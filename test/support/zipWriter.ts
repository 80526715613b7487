import { crc32 } from 'node:zlib';

/** An entry of a zip: its bytes, or the size of a hole of zeros whose checksum nobody looks at. */
export interface ZipPart {
  readonly name: string;
  readonly content: Uint8Array | number;
}

/**
 * Pieces of a zip of stored entries, every size and offset in zip64 fields; a number is a hole of
 * so many zeros.
 */
export function zipPieces(parts: readonly ZipPart[]): (Uint8Array | number)[] {
  const pieces: (Uint8Array | number)[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const { name, content } of parts) {
    const size = typeof content === 'number' ? content : content.length;
    const checksum = typeof content === 'number' ? 0 : crc32(content);
    const local = Buffer.concat([
      u32(0x04034b50),
      Buffer.alloc(22),
      u16(name.length),
      u16(0),
      Buffer.from(name),
    ]);
    pieces.push(local, content);
    const wide = Buffer.concat([u16(1), u16(24), u64(size), u64(size), u64(at)]);
    const none = u32(0xffffffff);
    directory.push(u32(0x02014b50), Buffer.alloc(12), u32(checksum), none, none);
    directory.push(u16(name.length), u16(wide.length), Buffer.alloc(10), none, Buffer.from(name), wide);
    at += local.length + size;
  }
  return [...pieces, ...endPieces(Buffer.concat(directory), parts.length, at)];
}

function endPieces(directory: Buffer, entries: number, at: number): Buffer[] {
  const count = u64(entries);
  const size = u64(directory.length);
  const end64 = Buffer.concat([u32(0x06064b50), u64(44), Buffer.alloc(12), count, count, size, u64(at)]);
  const locator = Buffer.concat([u32(0x07064b50), u32(0), u64(at + directory.length), u32(1)]);
  const end = Buffer.concat([u32(0x06054b50), Buffer.alloc(4, 0xff), Buffer.alloc(12, 0xff), u16(0)]);
  return [directory, end64, locator, end];
}

export function u16(value: number): Buffer {
  return Buffer.of(value & 255, value >> 8);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
