/** Reads PNGs as tests need them: 8 bits, grey or RGB, not interlaced. */
import assert from 'node:assert/strict';
import { inflateSync } from 'node:zlib';

export interface Png {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly bits: number;
  /** Samples row by row, big-endian if of 16 bits. */
  readonly data: Uint8Array;
}

const channelsOf: Readonly<Record<number, 1 | 3>> = { 0: 1, 2: 3 };

/** The predictor of PNG's filter 4 (PNG specification, 9.4). */
function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}

function unfiltered(raw: Uint8Array, height: number, stride: number, pixel: number): Uint8Array {
  const out = new Uint8Array(height * stride);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)]!;
    for (let i = 0; i < stride; i++) {
      const at = y * stride + i;
      const left = i < pixel ? 0 : out[at - pixel]!;
      const up = y === 0 ? 0 : out[at - stride]!;
      const corner = i < pixel || y === 0 ? 0 : out[at - stride - pixel]!;
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter]!;
      out[at] = raw[y * (stride + 1) + 1 + i]! + guess;
    }
  }
  return out;
}

export function readPng(file: Uint8Array): Png {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const parts: Uint8Array[] = [];
  for (let at = 8; at < file.length; at += 12 + view.getUint32(at)) {
    const kind = String.fromCharCode(...file.subarray(at + 4, at + 8));
    if (kind === 'IDAT') parts.push(file.subarray(at + 8, at + 8 + view.getUint32(at)));
  }
  const [width, height, bits] = [view.getUint32(16), view.getUint32(20), file[24]!];
  const channels = channelsOf[file[25]!];
  assert.ok(channels && bits >= 8 && file[28] === 0, 'grey or RGB of 8 or 16 bits, not interlaced');
  const pixel = (channels * bits) / 8;
  const raw = inflateSync(Buffer.concat(parts));
  return { width, height, channels, bits, data: unfiltered(raw, height, width * pixel, pixel) };
}
