import { crc32, createInflateRaw, type InflateRaw } from 'node:zlib';
import type { ByteSource } from '../byteSource';
import { CheckpointError } from '../errors';
import { limits } from '../limits';

/** One file of a zip archive, as the central directory states it. */
export interface ZipEntry {
  readonly name: string;
  readonly method: number;
  readonly encrypted: boolean;
  readonly crc: number;
  /** Bytes in the archive. */
  readonly packed: number;
  /** Bytes when unpacked. */
  readonly size: number;
  /** Where its local header begins. */
  readonly offset: number;
}

export interface ZipArchive {
  readonly source: ByteSource;
  readonly entries: ReadonlyMap<string, ZipEntry>;
}

const localSignature = 0x04034b50;
const centralSignature = 0x02014b50;
const endSignature = 0x06054b50;
const end64Signature = 0x06064b50;
const locator64Signature = 0x07064b50;
const stored = 0;
const deflate = 8;

/**
 * Reads a zip's central directory (APPNOTE 6.3.10). Stricter than most: the end record must end the
 * file and the directory must lie right before it, no name may occur twice and no entry may reach
 * into the next, so that no two programs can see different files.
 */
export async function readZip(source: ByteSource): Promise<ZipArchive> {
  const directory = await findDirectory(source);
  const bytes = await source.read(directory.offset, directory.size);
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let index = 0; index < directory.count; index++) {
    const { entry, next } = parseEntry(source, bytes, at, index);
    if (entries.has(entry.name))
      throw refuse(source, `the entry ${entry.name} is there twice (duplicate name)`);
    entries.set(entry.name, entry);
    at = next;
  }
  if (at !== bytes.length)
    throw refuse(
      source,
      `the central directory has more bytes than its ${directory.count} entries: the count is wrong`,
    );
  requireDisjoint(source, [...entries.values()], directory.offset);
  return { source, entries };
}

interface Directory {
  readonly offset: number;
  readonly size: number;
  readonly count: number;
}

async function findDirectory(source: ByteSource): Promise<Directory> {
  const length = Math.min(source.size, limits.zipEndBytes);
  const start = source.size - length;
  const tail = await source.read(start, length);
  const view = dataView(tail);
  for (let at = length - 22; at >= 0; at--) {
    if (view.getUint32(at, true) !== endSignature || at + 22 + view.getUint16(at + 20, true) !== length)
      continue;
    return checkedDirectory(source, await parseEnd(source, view, at, start), start + at);
  }
  throw refuse(
    source,
    'no end of central directory: the zip file is truncated or incomplete (an interrupted download?), or bytes were added at its end; download it again',
  );
}

async function parseEnd(
  source: ByteSource,
  view: DataView,
  at: number,
  start: number,
): Promise<Directory & { end: number }> {
  const end32 = {
    count: view.getUint16(at + 10, true),
    size: view.getUint32(at + 12, true),
    offset: view.getUint32(at + 16, true),
    end: start + at,
  };
  const locatorAt = start + at - 20;
  if (locatorAt < 0) return end32;
  const locator = dataView(await source.read(locatorAt, 20));
  if (locator.getUint32(0, true) !== locator64Signature) return end32;
  const recordAt = Number(locator.getBigUint64(8, true));
  if (recordAt + 56 > locatorAt)
    throw refuse(source, `the zip64 end record at ${recordAt} lies beyond its locator`);
  const record = dataView(await source.read(recordAt, 56));
  if (record.getUint32(0, true) !== end64Signature)
    throw refuse(source, `no zip64 end record at byte ${recordAt}`);
  return {
    count: Number(record.getBigUint64(32, true)),
    size: Number(record.getBigUint64(40, true)),
    offset: Number(record.getBigUint64(48, true)),
    end: recordAt,
  };
}

function checkedDirectory(
  source: ByteSource,
  directory: Directory & { end: number },
  endRecord: number,
): Directory {
  const { offset, size, count, end } = directory;
  if (offset + size !== end)
    throw refuse(
      source,
      `the central directory (offset ${offset}, size ${size}) does not end where its end record begins (${end}): bytes were put before it, or the end record at ${endRecord} lies`,
    );
  if (size > limits.zipDirectoryBytes)
    throw refuse(
      source,
      `the central directory has a size of ${size} bytes, at most ${limits.zipDirectoryBytes} are allowed`,
    );
  if (count > limits.zipEntries || count * 46 > size)
    throw refuse(
      source,
      `the central directory of ${size} bytes cannot hold the ${count} entries that its end record counts`,
    );
  return { offset, size, count };
}

function parseEntry(
  source: ByteSource,
  bytes: Uint8Array,
  at: number,
  index: number,
): { entry: ZipEntry; next: number } {
  const view = dataView(bytes);
  if (at + 46 > bytes.length || view.getUint32(at, true) !== centralSignature)
    throw refuse(
      source,
      `entry ${index} of the central directory is no entry: the directory is damaged or its count is wrong`,
    );
  const [nameLength, extraLength, commentLength] = [28, 30, 32].map((field) =>
    view.getUint16(at + field, true),
  ) as [number, number, number];
  const extraAt = at + 46 + nameLength;
  const next = extraAt + extraLength + commentLength;
  if (next > bytes.length)
    throw refuse(source, `entry ${index} goes beyond the end of the central directory`);
  const name = decodeName(bytes.subarray(at + 46, extraAt));
  const sizes = parseSizes(source, name, view, at, bytes.subarray(extraAt, extraAt + extraLength));
  const flags = view.getUint16(at + 8, true);
  const entry = {
    name,
    method: view.getUint16(at + 10, true),
    encrypted: (flags & 1) !== 0,
    crc: view.getUint32(at + 16, true),
    ...sizes,
  };
  if (entry.method === stored && entry.packed !== entry.size && !entry.encrypted)
    throw refuse(
      source,
      `${name} is stored, but its two sizes differ: ${entry.packed} and ${entry.size} bytes`,
    );
  return { entry, next };
}

/**
 * Sizes and offset; a field of all ones stands in the zip64 extra field (id 1), in this order, only
 * those that need it.
 */
function parseSizes(source: ByteSource, name: string, view: DataView, at: number, extra: Uint8Array) {
  const plain = {
    size: view.getUint32(at + 24, true),
    packed: view.getUint32(at + 20, true),
    offset: view.getUint32(at + 42, true),
  };
  const keys = (['size', 'packed', 'offset'] as const).filter((key) => plain[key] === 0xffffffff);
  if (keys.length > 0) {
    const wide = zip64Field(extra);
    if (!wide || wide.byteLength < keys.length * 8)
      throw refuse(
        source,
        `${name}: its zip64 field is ${wide ? 'too short' : 'missing'}, the size is not known`,
      );
    keys.forEach((key, index) => (plain[key] = Number(wide.getBigUint64(index * 8, true))));
  }
  if (plain.offset + plain.packed > source.size)
    throw refuse(
      source,
      `${name}: offset ${plain.offset} and size ${plain.packed} lie beyond the end of the file (${source.size} bytes)`,
    );
  return plain;
}

function zip64Field(extra: Uint8Array): DataView | undefined {
  const view = dataView(extra);
  for (let at = 0; at + 4 <= extra.length; at += 4 + view.getUint16(at + 2, true)) {
    const length = view.getUint16(at + 2, true);
    if (view.getUint16(at, true) === 1 && at + 4 + length <= extra.length)
      return new DataView(extra.buffer, extra.byteOffset + at + 4, length);
  }
  return undefined;
}

/**
 * Names are UTF-8 with flag bit 11, else whatever the writer's system had; PyTorch writes UTF-8
 * without the flag.
 */
function decodeName(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return Buffer.from(bytes).toString('latin1');
  }
}

function requireDisjoint(source: ByteSource, entries: ZipEntry[], directoryAt: number): void {
  const sorted = entries.sort((a, b) => a.offset - b.offset);
  sorted.forEach((entry, index) => {
    const end = entry.offset + 30 + Buffer.byteLength(entry.name) + entry.packed;
    const next = sorted[index + 1];
    if (end > (next?.offset ?? directoryAt))
      throw refuse(
        source,
        `${entry.name} (size ${entry.packed}) overlaps ${next?.name ?? 'the central directory, it goes beyond the data'}`,
      );
  });
}

/**
 * Where an entry's bytes begin. Checks that this entry can be read at all and that its local header
 * agrees with the directory.
 */
export async function locate({ source }: ZipArchive, entry: ZipEntry): Promise<number> {
  if (entry.encrypted)
    throw unsupported(source, `${entry.name} is encrypted; unpack the archive with its password first`);
  if (entry.method !== stored && entry.method !== deflate)
    throw unsupported(
      source,
      `${entry.name} has compression method ${entry.method}${entry.method === 14 ? ' (LZMA)' : ''}; only stored (0) and deflated (8) entries can be read`,
    );
  const nameLength = Buffer.byteLength(entry.name);
  const header = await source.read(entry.offset, Math.min(30 + nameLength, source.size - entry.offset));
  const view = dataView(header);
  if (header.length < 30 || view.getUint32(0, true) !== localSignature)
    throw refuse(source, `${entry.name}: there is no local header at offset ${entry.offset}`);
  const local = view.getUint16(26, true) === nameLength ? decodeName(header.subarray(30)) : undefined;
  if (local !== entry.name)
    throw refuse(source, `${entry.name}: its local header has another name than the central directory`);
  const start = entry.offset + 30 + nameLength + view.getUint16(28, true);
  if (start + entry.packed > source.size)
    throw refuse(source, `${entry.name} goes beyond the end of the file`);
  return start;
}

/** A whole small entry, unpacked and with its checksum verified. */
export async function readEntry(archive: ZipArchive, entry: ZipEntry, atMost: number): Promise<Uint8Array> {
  const { source } = archive;
  if (entry.size > atMost || entry.packed > atMost)
    throw unsupported(source, `${entry.name} has ${entry.size} bytes, at most ${atMost} are allowed`);
  const start = await locate(archive, entry);
  const bytes = isDeflated(entry)
    ? await inflateRange(source, entry.name, start, entry.packed, 0, entry.size)
    : await source.read(start, entry.size);
  if (crc32(bytes) >>> 0 !== entry.crc)
    throw refuse(
      source,
      `${entry.name}: its checksum (CRC) is wrong, the file was altered or damaged; download it again`,
    );
  return bytes;
}

export function isDeflated(entry: ZipEntry): boolean {
  return entry.method === deflate;
}

/**
 * Finds out at the door whether a deflated entry can be what it says: a small stream is unpacked
 * and must give exactly its size, of a large one the beginning must be readable and the ratio
 * possible. The bytes are thrown away.
 */
export async function probeDeflated(archive: ZipArchive, entry: ZipEntry, start: number): Promise<void> {
  const { source } = archive;
  if (entry.size > (entry.packed + 8) * limits.deflateRatio)
    throw refuse(
      source,
      `${entry.name}: ${entry.packed} bytes cannot inflate to the stated size of ${entry.size}`,
    );
  if (entry.packed <= limits.zipProbeBytes && entry.size <= limits.zipProbeBytes * 16)
    await inflateRange(source, entry.name, start, entry.packed, 0, entry.size);
  else
    await inflatePrefix(source, entry.name, start, entry.packed, Math.min(entry.size, limits.zipProbeBytes));
}

/** The first `length` bytes of a deflated stream, or all of a shorter one. */
export async function inflatePrefix(
  source: ByteSource,
  name: string,
  offset: number,
  packed: number,
  length: number,
): Promise<Uint8Array> {
  const out = new Uint8Array(length);
  let filled = 0;
  for await (const chunk of inflate(source, name, offset, packed)) {
    out.set(chunk.subarray(0, length - filled), filled);
    filled += Math.min(chunk.length, length - filled);
    if (filled === length) break;
  }
  return out.subarray(0, filled);
}

/**
 * Bytes `start` to `start + length` of a deflated stream that must unpack to at least that many; a
 * range that ends at the stream's stated end is checked to be its real end. Memory: the result and
 * two chunks.
 */
export async function inflateRange(
  source: ByteSource,
  name: string,
  offset: number,
  packed: number,
  start: number,
  length: number,
  ends = true,
): Promise<Uint8Array> {
  const out = new Uint8Array(length);
  let at = 0;
  for await (const chunk of inflate(source, name, offset, packed)) {
    const from = Math.max(start - at, 0);
    const to = Math.min(chunk.length, start + length - at);
    if (from < to) out.set(chunk.subarray(from, to), at + from - start);
    at += chunk.length;
    if (at > start + length || (!ends && at === start + length)) break;
  }
  if (at < start + length || (ends && at > start + length))
    throw refuse(
      source,
      `${name} inflates to ${at > start + length ? 'more' : 'less'} than its stated size of ${start + length} bytes`,
    );
  return out;
}

const inflateChunkBytes = 65_536;

/** Unpacks a deflated stream piece by piece. Stopping the iteration stops the work. */
async function* inflate(
  source: ByteSource,
  name: string,
  offset: number,
  packed: number,
): AsyncGenerator<Uint8Array> {
  const stream = createInflateRaw({ chunkSize: inflateChunkBytes });
  const feeding = feed(stream, source, offset, packed);
  try {
    for await (const chunk of stream) yield chunk as Uint8Array;
    await feeding;
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    throw refuse(
      source,
      `${name} is no valid deflate stream (${(error as Error).message}): it cannot be inflated, the file is corrupt`,
    );
  } finally {
    stream.destroy();
    feeding.catch(() => undefined);
  }
}

async function feed(stream: InflateRaw, source: ByteSource, offset: number, packed: number): Promise<void> {
  try {
    for (let at = 0; at < packed && !stream.destroyed; at += inflateChunkBytes) {
      const chunk = await source.read(offset + at, Math.min(inflateChunkBytes, packed - at));
      if (!stream.write(chunk))
        await new Promise((resolve) => stream.once('drain', resolve).once('close', resolve));
    }
    if (!stream.destroyed) stream.end();
  } catch (error) {
    stream.destroy(error as Error);
  }
}

function dataView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function refuse(source: ByteSource, detail: string): CheckpointError {
  return new CheckpointError('malformed', source.path, detail);
}

function unsupported(source: ByteSource, detail: string): CheckpointError {
  return new CheckpointError('unsupported', source.path, detail);
}
