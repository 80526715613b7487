import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, truncate, writeFile, copyFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { decodeImage, maxImagePixels, ImageError } from '../../src/inference/decode';
import { pictureExtensions } from '../../src/inference/imageFormats';
import { folder, readLines, readTensors } from '../unit/preprocessing/goldens';

interface Line {
  readonly file: string;
  readonly mode: string;
  readonly frames: number;
  readonly exif_orientation: number;
  readonly rgb: string;
  readonly rgb_exif?: string;
  readonly rgb_over_white?: string;
  readonly rgb_high_byte?: string;
}

const lines = readLines<Line>('images.jsonl');
const decoded = readTensors('decoded.safetensors');
const pathOf = (file: string) => join(folder, 'images', file);

interface Gap {
  readonly largest: number;
  readonly mean: number;
  readonly pixels: number;
}

function difference(actual: Uint8Array, expected: Uint8Array): Gap {
  assert.equal(actual.length, expected.length);
  let [largest, sum] = [0, 0];
  const differing = new Set<number>();
  expected.forEach((value, i) => {
    const gap = Math.abs(value - actual[i]!);
    largest = Math.max(largest, gap);
    sum += gap;
    if (gap > 0) differing.add(Math.floor(i / 3));
  });
  return { largest, mean: sum / expected.length, pixels: differing.size };
}

/** What may differ from Pillow, by file, and how far; everything else is equal byte for byte. */
const tolerated: Readonly<Record<string, (gap: Gap) => boolean>> = {
  // 4:2:0 chroma is upsampled by another filter: large at hard edges only.
  'avif.avif': ({ mean, largest }) => mean < 6 && largest <= 140,
  'avif-alpha.avif': ({ mean, largest }) => mean < 10 && largest <= 180,
};

describe('decoding equals Pillow', () => {
  it('covers the whole gate', () => assert.equal(lines.length, 57));

  for (const line of lines) {
    it(`${line.file}, as stored and turned`, async () => {
      const stored = await decodeImage(pathOf(line.file), { asStored: true });
      const turned = await decodeImage(pathOf(line.file));
      const storedName = line.rgb_high_byte ?? line.rgb;
      // Pillow turns TIFF files while loading, so the tensor as stored is turned already.
      const turnedName = line.file.endsWith('.tif') ? line.rgb : (line.rgb_exif ?? storedName);
      for (const [image, name] of [
        [stored, storedName],
        [turned, turnedName],
      ] as const) {
        const { shape, bytes } = decoded.get(name)!;
        assert.deepEqual([image.height, image.width, 3], shape);
        const gap = difference(image.rgb, bytes);
        const allowed = tolerated[line.file] ?? (({ largest }) => largest === 0);
        assert.ok(allowed(gap), `${name}: ${JSON.stringify(gap)}`);
      }
      assert.equal(turned.orientation, line.exif_orientation);
      assert.equal(turned.applied, line.exif_orientation !== 1);
    });
  }

  it('says what it did to an image that is not plain RGB', async () => {
    const notes = async (file: string) => (await decodeImage(pathOf(file))).notes.join('; ');
    assert.match(await notes('gif-animated.gif'), /first of 3 frames/);
    assert.match(await notes('png-gray16.png'), /high byte/);
    assert.match(await notes('png-rgba.png'), /transparency dropped/);
    assert.match(await notes('jpeg-cmyk-adobe.jpg'), /CMYK/);
    assert.match(await notes('avif.avif'), /chroma of 4:2:0: not decoded exactly as Pillow does/);
    assert.equal(await notes('jpeg-420.jpg'), '');
  });

  it('is exactly as good as the list of extensions: every one has an image here that decodes', () => {
    const aliases: Readonly<Record<string, string>> = {
      '.jpeg': '.jpg',
      '.jpe': '.jpg',
      '.jfif': '.jpg',
      '.tiff': '.tif',
    };
    const tested = new Set(lines.map(({ file }) => extname(file)));
    assert.deepEqual(new Set(pictureExtensions.map((extension) => aliases[extension] ?? extension)), tested);
  });
});

interface HostileCase {
  readonly id: string;
  readonly file: string;
  readonly format: string;
  readonly what: string;
  readonly expect: 'refused' | 'opens with warning' | 'opens';
  readonly also_accept?: readonly string[];
  readonly must_mention: readonly string[];
}

describe('broken and hostile images', () => {
  const hostile = join('test', 'fixtures', 'hostile');
  let cases: HostileCase[] = [];

  before(async () => {
    const all = JSON.parse(await readFile(join(hostile, 'cases.json'), 'utf8')) as HostileCase[];
    cases = all.filter(({ format }) => format === 'image');
  });

  it('end as each case says, in under a second, with a message that names the file', async () => {
    assert.equal(cases.length, 27);
    for (const { id, file, expect, also_accept, must_mention } of cases) {
      const path = join(hostile, 'files', file);
      const started = performance.now();
      const outcome = await decodeImage(path).catch((error: unknown) => error);
      assert.ok(performance.now() - started < 1000, `${id}: took too long`);
      const refused = outcome instanceof Error;
      if (refused) {
        assert.ok(outcome instanceof ImageError, `${id}: ${outcome.stack}`);
        assert.ok(outcome.message.startsWith(path), id);
        for (const words of must_mention) assert.match(outcome.message, new RegExp(words, 'i'), id);
      }
      const allowed = [expect, ...(also_accept ?? [])];
      assert.ok(allowed.includes(refused ? 'refused' : 'opens'), `${id}: ${String(outcome)}`);
    }
  });
});

describe('images that cannot be read', () => {
  let temporary = '';
  before(async () => (temporary = await mkdtemp(join(tmpdir(), 'vitrine-decode-'))));
  after(() => rm(temporary, { recursive: true, force: true }));

  const refusal = (path: string, kind: ImageError['kind'], words: RegExp) =>
    assert.rejects(decodeImage(path), (error: unknown) => {
      assert.ok(error instanceof ImageError, String(error));
      assert.equal(error.kind, kind);
      assert.match(error.message, words);
      return true;
    });

  it('are told apart: missing, a folder, nothing in it, not an image', async () => {
    await refusal(join(temporary, 'missing.png'), 'unreadable', /cannot be read.*no such file/i);
    await refusal(temporary, 'unsupported', /not a regular file/);
    const empty = join(temporary, 'empty.bmp');
    await writeFile(empty, '');
    await refusal(empty, 'malformed', /empty/);
    const text = join(temporary, 'text.png');
    await writeFile(text, 'BR, not BM');
    await refusal(text, 'unsupported', /supported are JPEG, PNG/);
  });

  it('of every format are refused when cut in half', async () => {
    const names = (await readdir(join(folder, 'images'))).filter((name) =>
      /^(jpeg-420|png-rgb|webp-lossless|bmp-24|tiff-lzw|avif)\.\w+$/.test(name),
    );
    assert.equal(names.length, 6);
    for (const name of names) {
      const path = join(temporary, name);
      await copyFile(pathOf(name), path);
      await truncate(path, Math.floor((await readFile(path)).length / 2));
      await refusal(path, 'malformed', /corrupt or cut off/);
    }
  });

  it('include a BMP that claims more pixels than the limit', async () => {
    const bytes = await readFile(pathOf('bmp-24.bmp'));
    bytes.writeUInt32LE(maxImagePixels, 18);
    const path = join(temporary, 'bomb.bmp');
    await writeFile(path, bytes);
    await refusal(path, 'unsupported', /too large/);
  });

  it('are read again after the file was overwritten', async () => {
    const path = join(temporary, 'changing.png');
    await copyFile(pathOf('png-rgb.png'), path);
    const first = await decodeImage(path);
    await copyFile(pathOf('png-display-p3.png'), path);
    const second = await decodeImage(path);
    assert.notEqual(crc32(first.rgb), crc32(second.rgb));
  });
});
