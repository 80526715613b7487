// The entries of a zip archive as they are stored, and an archive of such entries: nothing is
// unpacked that is not asked for. APPNOTE.TXT of PKWARE, sections 4.3.7, 4.3.12 and 4.3.16.
import { inflateRawSync } from 'node:zlib';

/**
 * @typedef {object} Entry
 * @property {Buffer} header its line of the central directory, name and all
 * @property {string} name
 * @property {number} size bytes when unpacked
 * @property {0 | 8} method stored or deflated
 * @property {Buffer} packed
 */

const signatures = { local: 0x04034b50, central: 0x02014b50, end: 0x06054b50 };
/** Of the fixed part of each record. */
const lengths = { local: 30, central: 46, end: 22 };
/** General purpose bit 3: sizes follow the data instead of standing before it. */
const sizesFollow = 8;

/**
 * @param {Buffer} archive of fewer than 65,535 entries and 4 GiB, without a comment
 * @returns {Entry[]} in the order of the central directory
 */
export function readZip(archive) {
  const end = archive.length - lengths.end;
  if (archive.readUInt32LE(end) !== signatures.end) throw new Error('not a zip archive without a comment');
  const entries = [];
  let at = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left--) {
    const entry = readEntry(archive, at);
    entries.push(entry);
    at += entry.header.length;
  }
  return entries;
}

/** @param {Buffer} archive @param {number} at @returns {Entry} */
function readEntry(archive, at) {
  if (archive.readUInt32LE(at) !== signatures.central) throw new Error(`no entry of a zip archive at ${at}`);
  const nameLength = archive.readUInt16LE(at + 28);
  const more = archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
  const header = archive.subarray(at, at + lengths.central + nameLength + more);
  const name = header.toString('utf8', lengths.central, lengths.central + nameLength);
  const method = header.readUInt16LE(10);
  if (method !== 0 && method !== 8)
    throw new Error(`${name}: compression method ${method}; 0 and 8 are read`);
  const local = header.readUInt32LE(42);
  const start = local + lengths.local + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
  const packed = archive.subarray(start, start + header.readUInt32LE(20));
  return { header, name, size: header.readUInt32LE(24), method, packed };
}

/** @param {Entry} entry */
export function unpack({ method, packed }) {
  return method === 0 ? packed : inflateRawSync(packed);
}

/** @param {readonly Entry[]} entries */
export function writeZip(entries) {
  /** @type {Buffer[]} */
  const files = [];
  /** @type {Buffer[]} */
  const directory = [];
  let at = 0;
  for (const entry of entries) {
    const central = Buffer.from(entry.header);
    central.writeUInt16LE(central.readUInt16LE(8) & ~sizesFollow, 8);
    central.writeUInt16LE(entry.method, 10);
    central.writeUInt32LE(entry.packed.length, 20);
    central.writeUInt32LE(at, 42);
    const local = localHeader(central);
    files.push(local, entry.packed);
    directory.push(central);
    at += local.length + entry.packed.length;
  }
  const end = Buffer.alloc(lengths.end);
  end.writeUInt32LE(signatures.end, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(Buffer.concat(directory).length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...files, ...directory, end]);
}

/**
 * What stands before an entry's data repeats its line of the central directory, without extra
 * fields and comment.
 *
 * @param {Buffer} central
 */
function localHeader(central) {
  const nameLength = central.readUInt16LE(28);
  const local = Buffer.alloc(lengths.local + nameLength);
  local.writeUInt32LE(signatures.local, 0);
  central.copy(local, 4, 6, 30);
  central.copy(local, lengths.local, lengths.central, lengths.central + nameLength);
  return local;
}
