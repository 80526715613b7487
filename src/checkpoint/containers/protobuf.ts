import type { ByteSource } from '../byteSource';
import { CheckpointError } from '../errors';
import { limits } from '../limits';

/** One field of a protobuf message: a number, or the place of its payload. */
export interface ProtoField {
  readonly number: number;
  readonly wire: 0 | 1 | 2 | 5;
  /** Wire type 0: the varint; 64-bit fields are unsigned here (see `signed`). */
  readonly value: number | bigint;
  /** Wire types 1, 2 and 5: the payload. */
  readonly payload: ProtoMessage;
}

/** A piece of the file read into memory. */
interface Block {
  readonly start: number;
  readonly bytes: Uint8Array;
}

/** Counts fields over a whole file, so that no file can make the reader walk forever. */
interface Budget {
  fields: number;
}

const firstWindowBytes = 8192;

/**
 * A length-delimited message that is read field by field. Small messages are read in one piece; a
 * large one is walked through a window that jumps over payloads larger than a block, so that
 * weights (raw_data) are never read. Wire format: https://protobuf.dev/programming-guides/encoding/
 */
export class ProtoMessage {
  private constructor(
    private readonly source: ByteSource,
    /** Absolute position of the first byte in the file. */
    readonly start: number,
    readonly end: number,
    private readonly budget: Budget,
    private readonly block?: Block,
  ) {}

  static of(source: ByteSource): ProtoMessage {
    return new ProtoMessage(source, 0, source.size, { fields: 0 });
  }

  get length(): number {
    return this.end - this.start;
  }

  /** All fields in their order. Throws `CheckpointError` of kind `malformed`. */
  async fields(): Promise<ProtoField[]> {
    const fields: ProtoField[] = [];
    let block =
      this.block ??
      (await this.load(
        this.start,
        this.length <= limits.protobufBlockBytes ? this.length : firstWindowBytes,
      ));
    let window = firstWindowBytes;
    for (let at = this.start; at < this.end;) {
      // A key and a varint take at most 20 bytes; a window that may cut them is moved on.
      if (at + 20 > block.start + block.bytes.length && block.start + block.bytes.length < this.end) {
        window =
          at < block.start + block.bytes.length + firstWindowBytes
            ? Math.min(window * 2, limits.protobufBlockBytes)
            : firstWindowBytes;
        block = await this.load(at, window);
      }
      const field = this.parseField(block, at);
      const inside = field.end <= block.start + block.bytes.length;
      if (!inside && field.end - field.start <= limits.protobufBlockBytes && field.end > field.start) {
        window = Math.max(window, field.end - at);
        block = await this.load(at, window);
        continue;
      }
      if (++this.budget.fields > limits.protobufFields)
        throw this.refuse(`more than ${limits.protobufFields} fields`, 'unsupported');
      const payload = new ProtoMessage(
        this.source,
        field.start,
        field.end,
        this.budget,
        inside ? block : undefined,
      );
      fields.push({ number: field.number, wire: field.wire, value: field.value, payload });
      at = field.end;
    }
    return fields;
  }

  /** The payload's bytes. */
  async bytes(): Promise<Uint8Array> {
    const block = this.block ?? (await this.load(this.start, this.length));
    return block.bytes.subarray(this.start - block.start, this.end - block.start);
  }

  async text(): Promise<string> {
    return Buffer.from(await this.bytes()).toString('utf8');
  }

  /** Packed varints (`repeated int64 … [packed = true]`). */
  async varints(): Promise<(number | bigint)[]> {
    const bytes = await this.bytes();
    const block = { start: this.start, bytes };
    const values: (number | bigint)[] = [];
    for (let at = this.start; at < this.end;) {
      const { value, end } = this.varint(block, at, this.end);
      values.push(value);
      at = end;
    }
    return values;
  }

  private async load(start: number, length: number): Promise<Block> {
    return { start, bytes: await this.source.read(start, Math.min(length, this.end - start)) };
  }

  private parseField(block: Block, at: number) {
    const key = this.varint(block, at, this.end);
    const number = Math.floor(Number(key.value) / 8);
    const wire = Number(key.value) % 8;
    if (number === 0 || number > 0x1fffffff)
      throw this.refuse(`field number ${number} at byte ${at}, 1 to 2^29 - 1 are allowed`);
    if (wire === 0) {
      const { value, end } = this.varint(block, key.end, this.end);
      return { number, wire, value, start: end, end } as const;
    }
    if (wire === 1 || wire === 5) return this.span(number, wire, key.end, wire === 1 ? 8 : 4);
    if (wire !== 2)
      throw this.refuse(
        `wire type ${wire}${wire === 3 || wire === 4 ? ' (a group)' : ''} at byte ${at}, 0, 1, 2 and 5 are allowed`,
      );
    const length = this.varint(block, key.end, this.end);
    return this.span(number, wire, length.end, Number(length.value));
  }

  private span(number: number, wire: 1 | 2 | 5, start: number, length: number) {
    if (start + length > this.end)
      throw this.refuse(
        `field ${number} at byte ${start} has a length of ${length}, which goes beyond the end of its message (byte ${this.end}); the file may be truncated`,
      );
    return { number, wire, value: 0, start, end: start + length };
  }

  private varint(block: Block, at: number, limit: number): { value: number | bigint; end: number } {
    let value = 0;
    let wide = 0n;
    for (let index = 0; index < 10; index++) {
      const byte = at + index < limit ? block.bytes[at + index - block.start] : undefined;
      if (byte === undefined)
        throw this.refuse(
          `a varint at byte ${at} goes beyond the end of its message (byte ${limit}); the file may be truncated`,
        );
      if (index < 7) value += (byte & 0x7f) * 2 ** (7 * index);
      else wide += BigInt(byte & 0x7f) << BigInt(7 * index);
      if (byte < 0x80)
        return { value: wide === 0n ? value : unsigned64(wide + BigInt(value)), end: at + index + 1 };
    }
    throw this.refuse(`a varint at byte ${at} is longer than 10 bytes`);
  }

  private refuse(detail: string, kind: 'malformed' | 'unsupported' = 'malformed'): CheckpointError {
    return new CheckpointError(kind, this.source.path, `no valid protobuf of an ONNX model: ${detail}`);
  }
}

function unsigned64(value: bigint): number | bigint {
  const cut = BigInt.asUintN(64, value);
  return cut <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(cut) : cut;
}

/** An int64 or int32 field: negative numbers are ten-byte varints of their two's complement. */
export function signed(value: number | bigint): number | bigint {
  if (typeof value === 'number') return value;
  const negative = BigInt.asIntN(64, value);
  const number = Number(negative);
  return Number.isSafeInteger(number) ? number : negative;
}
