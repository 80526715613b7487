import type { Format } from '../format';
import type { ByteSource } from '../byteSource';
import { CheckpointError } from '../errors';
import { JsonError, JsonScanner } from '../containers/json';
import { limits } from '../limits';
import { shapeProblem, shown } from '../shape';
import { byteLength, dtypes, type DType, type Tensor } from '../tensors';
import { unwrapNames } from '../unwrap';

/**
 * https://github.com/huggingface/safetensors#format: u64 header length, JSON header, then the
 * tensors without gaps.
 */
export const safetensors: Format = {
  name: 'safetensors',

  matches(head) {
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
    return (
      head.length > 9 && head[8] === 0x7b && view.getUint32(4, true) === 0 && view.getUint32(0, true) <= 100e6
    );
  },

  async read(source) {
    const { start, text } = await readHeader(source);
    const { tensors, metadata, warnings } = parseHeader(source, text, start);
    if (tensors.length === 0)
      throw refuse(source, 'the header is empty: it names no tensor, so there is nothing to show');
    requireCovered(source, tensors, start);
    return {
      format: 'safetensors',
      files: [source.file],
      stateDicts: unwrapNames(tensors),
      extras: [],
      metadata,
      warnings,
    };
  },
};

async function readHeader(source: ByteSource): Promise<{ start: number; text: string }> {
  if (source.size < 8)
    throw refuse(
      source,
      `too short for a safetensors header: ${source.size} bytes, at least 8 are needed; the file is truncated`,
    );
  const prefix = await source.read(0, 8);
  const stated = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  const length = Number(stated);
  if (length < 2) throw refuse(source, `the header length is ${stated}, a header has at least 2 bytes`);
  if (length > limits.safetensorsHeaderBytes)
    throw refuse(
      source,
      `the header length is ${stated} bytes, at most ${limits.safetensorsHeaderBytes} are allowed; this may be no safetensors file at all`,
    );
  if (8 + length > source.size)
    throw refuse(
      source,
      `the header (${length} bytes) goes beyond the end of the file (${source.size} bytes); the file is truncated, download it again`,
    );
  return { start: 8 + length, text: decode(source, await source.read(8, length)) };
}

function decode(source: ByteSource, bytes: Uint8Array): string {
  if (bytes[0] !== 0x7b)
    throw refuse(source, `the header starts with byte ${bytes[0]} instead of the "{" of a JSON object`);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw refuse(source, 'the header is not valid UTF-8');
  }
}

interface Header {
  readonly tensors: Tensor[];
  readonly metadata: Record<string, string>;
  readonly warnings: string[];
}

function parseHeader(source: ByteSource, text: string, start: number): Header {
  const scanner = new JsonScanner(text);
  const tensors: Tensor[] = [];
  const names = new Set<string>();
  let metadata: Record<string, string> = {};
  try {
    scanner.object((name) => {
      if (names.has(name)) throw refuse(source, `the header names ${shown(name)} twice (a duplicate key)`);
      names.add(name);
      const value = scanner.value();
      if (name === '__metadata__') metadata = parseMetadata(source, value);
      else tensors.push(parseEntry(source, name, value, start));
    });
    scanner.end();
  } catch (error) {
    if (error instanceof JsonError) throw refuse(source, `the header ${error.message}`);
    throw error;
  }
  return { tensors, metadata, warnings: [] };
}

function parseMetadata(source: ByteSource, value: unknown): Record<string, string> {
  if (!isRecord(value))
    throw refuse(source, `the header's __metadata__ is ${shown(value)}, an object of texts is allowed`);
  const wrong = Object.entries(value).find(([, text]) => typeof text !== 'string');
  if (wrong)
    throw refuse(
      source,
      `the header's __metadata__ has ${shown(wrong[1])} under ${shown(wrong[0])}, only texts are allowed`,
    );
  return value as Record<string, string>;
}

function parseEntry(source: ByteSource, name: string, entry: unknown, start: number): Tensor {
  const item = `tensor ${shown(name)} in the header`;
  if (!isRecord(entry))
    throw refuse(
      source,
      `${item} is ${shown(entry)}, an object with dtype, shape and data_offsets is allowed`,
    );
  const dtype = parseDtype(source, item, entry.dtype);
  const problem = shapeProblem(entry.shape, dtype);
  if (problem) throw refuse(source, `${item}: ${problem}`);
  const shape = entry.shape as number[];
  const [begin, end] = parseOffsets(source, item, entry.data_offsets);
  const needed = byteLength({ dtype, shape });
  if (end - begin !== needed)
    throw refuse(
      source,
      `${item}: shape ${shown(shape)} of ${dtype} needs ${needed} bytes, data_offsets ${begin} to ${end} hold ${end - begin}`,
    );
  if (start + end > source.size)
    throw refuse(
      source,
      `${item}: data_offsets end at ${end}, beyond the end of the file (${source.size - start} bytes of data); the file is truncated, download it again`,
    );
  return {
    name,
    dtype,
    shape,
    storage: { kind: 'file', file: source.file, offset: start + begin, length: needed },
    start: 0,
  };
}

function parseDtype(source: ByteSource, item: string, dtype: unknown): DType {
  if (typeof dtype === 'string' && Object.hasOwn(dtypes, dtype) && dtype !== 'STRING') return dtype as DType;
  const known = Object.keys(dtypes).filter((name) => name !== 'STRING');
  throw new CheckpointError(
    typeof dtype === 'string' ? 'unsupported' : 'malformed',
    source.path,
    `${item}: dtype ${shown(dtype)} is none of ${known.join(', ')}`,
  );
}

function parseOffsets(source: ByteSource, item: string, offsets: unknown): [begin: number, end: number] {
  const valid =
    Array.isArray(offsets) &&
    offsets.length === 2 &&
    offsets.every((offset) => Number.isSafeInteger(offset) && offset >= 0);
  if (!valid)
    throw refuse(
      source,
      `${item}: data_offsets ${shown(offsets)} are not two whole numbers from 0 to 2^53 - 1`,
    );
  const [begin, end] = offsets as [number, number];
  if (begin > end) throw refuse(source, `${item}: data_offsets begin at ${begin}, after their end at ${end}`);
  return [begin, end];
}

/**
 * The format demands that the tensors cover the data exactly: that is what keeps a second file from
 * hiding in the gaps.
 */
function requireCovered(source: ByteSource, tensors: readonly Tensor[], start: number): void {
  const ranges = tensors.map((tensor) => ({
    name: tensor.name,
    ...(tensor.storage as { offset: number; length: number }),
  }));
  ranges.sort((a, b) => a.offset - b.offset || a.length - b.length);
  let covered = start;
  for (const { name, offset, length } of ranges) {
    if (offset < covered)
      throw refuse(
        source,
        `tensor ${shown(name)} overlaps the one before it by ${covered - offset} bytes (data_offsets)`,
      );
    if (offset > covered)
      throw refuse(
        source,
        `a hole of ${offset - covered} bytes before tensor ${shown(name)}: data_offsets must follow each other without a gap`,
      );
    covered = offset + length;
  }
  if (covered < source.size)
    throw refuse(
      source,
      `${source.size - covered} trailing bytes follow the last tensor: the tensors must cover the file to its end`,
    );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refuse(source: ByteSource, detail: string): CheckpointError {
  return new CheckpointError('malformed', source.path, detail);
}
