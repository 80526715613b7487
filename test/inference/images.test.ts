import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { openCheckpoint } from '../../src/checkpoint/open';
import { readTensor, toFloat32 } from '../../src/checkpoint/values';
import { decodeFor, decodeForDisplay, decodeImage, ImageError } from '../../src/inference/decode';
import { isRaster } from '../../src/preprocessing/bands';

/** A file of `files.safetensors`, and what decoding it must come to. */
interface Line {
  readonly file: string;
  /** As Pillow's colours, as the bands that are stored, or not at all. */
  readonly expect: 'equal' | 'bands' | 'refused';
  readonly channels?: number;
  /** What a refusal says. */
  readonly mentions?: string;
  /** The Node that decodes it; an older one refuses it by its kind. */
  readonly since?: string;
}

const folder = join('test', 'fixtures', 'images');
const lines = readFileSync(join(folder, 'cases.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Line);

const isBefore = (version: string): boolean =>
  process.versions.node.localeCompare(version, 'en', { numeric: true }) < 0;

describe('images of every kind', () => {
  let temporary = '';
  const files = new Map<string, Uint8Array>();
  const expected = new Map<string, { readonly shape: readonly number[]; readonly values: Float32Array }>();

  before(async () => {
    temporary = await mkdtemp(join(tmpdir(), 'vitrine-images-'));
    for (const tensor of (await openCheckpoint(join(folder, 'files.safetensors'))).selected.tensors)
      files.set(tensor.name, await readTensor(tensor));
    for (const tensor of (await openCheckpoint(join(folder, 'expected.safetensors'))).selected.tensors)
      expected.set(tensor.name, {
        shape: tensor.shape,
        values: toFloat32(await readTensor(tensor), tensor.dtype),
      });
  });
  after(() => rm(temporary, { recursive: true, force: true }));

  async function put(file: string, name = file): Promise<string> {
    const path = join(temporary, name);
    const bytes = files.get(file);
    assert(bytes, file);
    await writeFile(path, bytes);
    return path;
  }

  function assertEqual(actual: ArrayLike<number>, file: string): void {
    const { values } = expected.get(file) ?? assert.fail(file);
    assert.equal(actual.length, values.length);
    assert.equal(
      values.findIndex((value, i) => !Object.is(actual[i], value) && actual[i] !== value),
      -1,
    );
  }

  const refusal = (path: string, decoded: Promise<unknown>, words: string) =>
    assert.rejects(decoded, (error: unknown) => {
      assert.ok(error instanceof ImageError, String(error));
      assert.ok(error.message.startsWith(path), error.message);
      assert.match(error.message, new RegExp(words));
      const isDamage = /cut off/.test(words);
      assert.equal(/corrupt|cut off/.test(error.message), isDamage, error.message);
      assert.equal(error.kind, isDamage ? 'malformed' : 'unsupported');
      return true;
    });

  it('are all there', () => {
    const count = (wanted: Line['expect']) => lines.filter(({ expect }) => expect === wanted).length;
    assert.ok(count('equal') >= 130 && count('bands') >= 95 && count('refused') >= 20);
  });

  for (const { file, expect, channels = 4, mentions = 'not decoded', since } of lines) {
    const isOld = since !== undefined && isBefore(since);
    if (expect === 'refused' || isOld)
      it(`${file} is refused by its kind`, async () => {
        const path = await put(file);
        const decoded = file.endsWith('.png') ? decodeFor(path, channels) : decodeImage(path);
        await refusal(path, decoded, mentions);
      });
    else if (expect === 'equal')
      it(`${file} equals Pillow's`, async () => {
        const { width, height, rgb } = await decodeImage(await put(file));
        assert.deepEqual([height, width, 3], expected.get(file)?.shape);
        assertEqual(rgb, file);
      });
    else
      it(`${file} has the values that are stored`, async () => {
        const { source } = await decodeFor(await put(file), channels);
        assert.ok(isRaster(source));
        assert.deepEqual([source.height, source.width, source.channels], expected.get(file)?.shape);
        assertEqual(source.samples, file);
      });
  }

  it('of bands are refused for another number of channels, with both numbers and what is needed', async () => {
    const wrong = async (file: string, channels: number, words: RegExp) => {
      const path = await put(file);
      await assert.rejects(decodeFor(path, channels), words);
    };
    await wrong(
      'bands-u2-5.tif',
      13,
      /takes 13 channels; the image has 5 samples per pixel.*TIFF of 13 bands/,
    );
    await wrong('bands-u2-5-pages.tif', 4, /takes 4 channels; the image has 5 pages of one sample/);
    await wrong('fortran-order.npy', 4, /takes 4 channels; the image has 7.*\[4, height, width\]/);
    await wrong('rgb-None.tif', 4, /takes 4 channels; the image has 3 samples per pixel/);
    await wrong('plain-24.bmp', 4, /takes 4 channels; the image has 3 \(red, green, blue\)/);
  });

  it('of bands have a picture for the eye', async () => {
    for (const file of ['bands-f4-5.tif', 'bands-u2-2-planes.tif', 'fortran-order.npy', 'bands-u1-5.tif']) {
      const { width, height, rgb } = await decodeForDisplay(await put(file), {});
      assert.deepEqual([rgb.length, rgb.some((value) => value > 0)], [width * height * 3, true]);
    }
  });

  it('are read whatever their name says, brackets too', async () => {
    for (const name of ['page [page=1].tif', 'a[b=1,c].tif', '[2].tif']) {
      const path = await put('rgb-jpeg.tif', name);
      assertEqual((await decodeImage(path)).rgb, 'rgb-jpeg.tif');
      assert.equal(basename(path), name);
    }
  });

  it('say what was done to numbers that are no bytes', async () => {
    const notes = async (file: string) => (await decodeImage(await put(file))).notes.join('; ');
    assert.match(await notes('float-None.tif'), /32-bit floating-point numbers, cut to 0 … 255/);
    assert.match(await notes('rgb16-big.tif'), /16 bits per channel, of which the high byte/);
    assert.match(await notes('rgb-and-two.tif'), /2 further samples/);
    assert.match(await notes('pages.tif'), /first of 2 pages/);
    assert.equal(await notes('rgb-None.tif'), '');
  });
});

describe('formats that are not decoded', () => {
  let temporary = '';
  before(async () => (temporary = await mkdtemp(join(tmpdir(), 'vitrine-formats-'))));
  after(() => rm(temporary, { recursive: true, force: true }));

  const heads: Readonly<Record<string, readonly [bytes: string, name: RegExp]>> = {
    'picture.ppm': ['P6 2 2 255\n123456789012', /Netpbm/],
    'picture.jp2': ['\0\0\0\x0cjP  \r\n\x87\n', /JPEG 2000/],
    'picture.j2k': ['\xff\x4f\xff\x51', /JPEG 2000/],
    'picture.jxl': ['\xff\x0a', /JPEG XL/],
    'picture.ico': ['\0\0\x01\0\x01\0', /ICO/],
    'picture.jpg': ['\x1f\x8b\x08\0', /gzip/],
    'picture.dcm': ['\0'.repeat(128) + 'DICM', /DICOM/],
    'picture.exr': ['\x76\x2f\x31\x01', /OpenEXR/],
    'picture.hdr': ['#?RADIANCE\n', /Radiance/],
    'picture.h5': ['\x89HDF\r\n\x1a\n', /HDF5/],
    'picture.fits': ['SIMPLE  =   T', /FITS/],
    'picture.tga': ['\0\0\x02\0\0\0\0\0\0\0\0\0', /no image format known/],
  };
  for (const [name, [bytes, words]] of Object.entries(heads))
    it(`are told by their name: ${name}`, async () => {
      const path = join(temporary, name);
      await writeFile(path, bytes, 'latin1');
      await assert.rejects(decodeImage(path), words);
      await assert.rejects(decodeImage(path), /unsupported format/);
    });
});
