import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import { cut, filters, resize, resizeFloat } from '../../../src/preprocessing/resize';
import type { Filter, RgbImage } from '../../../src/preprocessing/resize';
import { readLines } from './goldens';

interface Source {
  readonly kind: 'noise' | 'ramp';
  readonly size: [number, number];
  readonly seed: number;
  readonly crc32: number;
}

interface Line {
  readonly id: string;
  readonly source: Source;
  readonly filter: Filter;
  readonly code: number;
  readonly size: [number, number];
  readonly crc32: number;
  readonly crc32_rows_first?: number;
}

function noise([height, width]: [number, number], seed: number): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length: height * width * 3 }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 24;
  });
}

function ramp([height, width]: [number, number], seed: number): Uint8Array {
  return Uint8Array.from({ length: height * width * 3 }, (_, i) => {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    if ((x + y) % 13 === 0) return 255 * (Math.floor(x / 13) % 2);
    return (7 * x + 5 * y + 61 * c + Math.floor((x * y) / 16) + seed) % 256;
  });
}

const generators = { noise, ramp };

function draw({ kind, size, seed }: Source): RgbImage {
  return { height: size[0], width: size[1], rgb: generators[kind](size, seed) };
}

describe("resize equals Pillow's bit for bit", () => {
  const lines = readLines<Line>('resize.jsonl');
  const sources = new Map(lines.map((line) => [line.source.crc32, line.source]));

  it('covers the whole gate', () => assert.equal(lines.length, 1386));

  for (const source of sources.values()) {
    it(`${source.kind} of ${source.size.join(' × ')} to every size, with every filter`, () => {
      const image = draw(source);
      assert.equal(crc32(image.rgb), source.crc32, 'the generator of the source image');
      for (const line of lines.filter((other) => other.source.crc32 === source.crc32)) {
        const [height, width] = line.size;
        const result = resize(image, { height, width }, line.filter);
        assert.equal(result.rgb.length, height * width * 3, line.id);
        assert.equal(crc32(result.rgb), line.crc32, line.id);
        assert.equal(filters[line.code], line.filter);
      }
    });
  }

  it("has lines that tell Pillow 13's order of passes from the older one", () => {
    const telling = lines.filter((line) => line.crc32_rows_first && line.crc32_rows_first !== line.crc32);
    assert.ok(telling.length > 0);
  });
});

describe('resize of a window', () => {
  const source = draw({ kind: 'noise', size: [61, 47], seed: 9, crc32: 0 });
  const sizes = [
    { height: 30, width: 44 },
    { height: 61, width: 20 },
    { height: 80, width: 47 },
    { height: 17, width: 40 },
    { height: 61, width: 47 },
  ];
  for (const size of sizes) {
    it(`computes the same bytes as cutting it from the whole (${size.height} × ${size.width})`, () => {
      const window = { left: 3, top: 5, height: 9, width: 14 };
      for (const filter of filters) {
        const whole = cut(resize(source, size, filter), window);
        assert.deepEqual(resize(source, size, filter, window), whole, filter);
      }
    });
  }
});

describe('resizeFloat', () => {
  it('agrees with the byte version within the rounding of its two passes', () => {
    const source = draw({ kind: 'noise', size: [37, 53], seed: 21, crc32: 0 });
    const size = { height: 19, width: 24 };
    const bytes = resize(source, size, 'bilinear').rgb;
    const exact = resizeFloat(source, size, 'bilinear').rgb;
    bytes.forEach((byte, i) =>
      assert.ok(Math.abs(byte - exact[i]!) <= 1.01, `sample ${i}: ${byte}, ${exact[i]}`),
    );
  });

  it('computes a window as it would the whole', () => {
    const source = draw({ kind: 'ramp', size: [40, 30], seed: 3, crc32: 0 });
    const size = { height: 25, width: 44 };
    const window = { left: 5, top: 7, height: 10, width: 20 };
    const whole = cut(resizeFloat(source, size, 'bicubic'), window);
    assert.deepEqual(resizeFloat(source, size, 'bicubic', window), whole);
  });

  it('does not clip what a bicubic filter overshoots', () => {
    const edge = { width: 8, height: 1, rgb: Uint8Array.from({ length: 24 }, (_, i) => (i < 12 ? 0 : 255)) };
    const { rgb } = resizeFloat(edge, { width: 32, height: 1 }, 'bicubic');
    assert.ok(Math.max(...rgb) > 258 && Math.min(...rgb) < -3);
  });
});
