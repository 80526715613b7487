/** Writes protobuf messages for tests: `field(1, 'name')`, `field(7, graph)`, `int(1, 8)`. */

/** A length-delimited field: text, or the fields of a message. */
export function field(tag: number, ...content: readonly (string | Uint8Array)[]): Buffer {
  const payload = Buffer.concat(content.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  return Buffer.concat([head(tag, payload.length), payload]);
}

/** Key and length of a length-delimited field whose payload follows. */
export function head(tag: number, length: number): Buffer {
  return Buffer.concat([varint(tag * 8 + 2), varint(length)]);
}

/** A varint field; negative numbers are written in two's complement of 64 bits. */
export function int(tag: number, value: number | bigint): Buffer {
  return Buffer.concat([varint(tag * 8), varint(value)]);
}

/** A 32-bit field. */
export function float(tag: number, value: number): Buffer {
  return Buffer.concat([varint(tag * 8 + 5), Buffer.from(Float32Array.of(value).buffer)]);
}

export function varint(value: number | bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
}
