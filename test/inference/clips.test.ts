import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import { tmpdir } from 'node:os';
import sharp, { type Sharp } from 'sharp';
import { clipSource } from '../../src/inference/clipSource';
import { countFrames, findFfmpeg, splitPngs } from '../../src/inference/decoders/ffmpeg';
import { ImageError } from '../../src/inference/decode';
import { guessesOf } from '../../src/tasks/answer';
import { checkpointPath, readCases } from '../support/cases';
import { skip } from '../support/skip';
import { temporaryFolder, testInference } from './support';

const [width, height] = [24, 16];
/** Colours that no palette and no lossless file changes. */
const colours = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
  [255, 255, 255],
  [0, 0, 0],
  [255, 255, 0],
  [0, 255, 255],
] as const;

const pngOf = ([r, g, b]: readonly [number, number, number]): Promise<Buffer> =>
  sharp({ create: { width, height, channels: 3, background: { r, g, b } } })
    .png()
    .toBuffer();

async function colourOf(path: string): Promise<readonly number[]> {
  const { data } = await sharp(path).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return [...data.subarray(0, 3)];
}

/** The colours of these frames of a clip. */
const coloursOf = async (path: string, numbers: readonly number[]): Promise<unknown> => {
  const source = await clipSource([path]);
  return source.with(numbers, (paths) => Promise.all(paths.map(colourOf)));
};

describe('clips', () => {
  const folder = temporaryFolder();
  let frames: readonly Buffer[] = [];
  before(async () => {
    frames = await Promise.all(colours.map(pngOf));
    const animated = (): Sharp => sharp([...frames], { join: { animated: true } });
    await animated().gif().toFile(join(folder, 'clip.gif'));
    await animated().webp({ lossless: true }).toFile(join(folder, 'clip.webp'));
    await animated().tiff({ compression: 'lzw' }).toFile(join(folder, 'clip.tiff'));
    await mkdir(join(folder, 'frames'));
    for (const [index, png] of frames.entries())
      await writeFile(join(folder, 'frames', `frame-${8 + index}.png`), png);
    await writeFile(join(folder, 'frames', 'notes.txt'), 'no image');
  });

  for (const name of ['clip.gif', 'clip.webp', 'clip.tiff', 'frames'])
    it(`${name}: frames in their order, and no file left behind`, async () => {
      const leftovers = async (): Promise<number> =>
        (await readdir(tmpdir())).filter((each) => each.startsWith(`vitrine-${process.pid}-`)).length;
      const before = await leftovers();
      const path = join(folder, name);
      assert.equal((await clipSource([path])).count, colours.length);
      assert.deepEqual(await coloursOf(path, [0, 2, 2, 4]), [colours[0], colours[2], colours[2], colours[4]]);
      assert.equal(await leftovers(), before);
    });

  it('a folder without images is refused with what is needed', () =>
    assert.rejects(clipSource([dirname(process.execPath)]), (error) => {
      assert(error instanceof ImageError);
      return /no image in this folder; the frames of a clip are needed: \.jpg/.test(error.message);
    }));

  it('a video asks for ffmpeg where it is not on the PATH', async () => {
    const path = process.env['PATH'];
    process.env['PATH'] = folder;
    try {
      await writeFile(join(folder, 'a.mp4'), 'no video');
      await assert.rejects(clipSource([join(folder, 'a.mp4')]), /ffmpeg is not on the PATH\. Install it/);
    } finally {
      process.env['PATH'] = path;
    }
  });

  it('a program is taken from whole paths of the PATH alone', async function () {
    if (process.platform === 'win32') return skip(this, 'programs are no scripts there');
    const bin = join(folder, 'bin');
    await mkdir(bin, { recursive: true });
    await writeFile(join(bin, 'ffmpeg'), '#!/bin/sh\n');
    await chmod(join(bin, 'ffmpeg'), 0o755);
    assert.equal(await findFfmpeg([bin, '/usr'].join(delimiter)), join(bin, 'ffmpeg'));
    const beside = process.cwd();
    process.chdir(folder);
    try {
      assert.equal(await findFfmpeg(['bin', './bin', ''].join(delimiter)), undefined);
    } finally {
      process.chdir(beside);
    }
  });

  it('pictures that a decoder writes one behind the other are told apart', () => {
    assert.deepEqual(
      splitPngs(Buffer.concat([...frames])).map((picture) => Buffer.from(picture)),
      frames,
    );
    const cut = Buffer.concat([...frames]).subarray(0, -5);
    assert.equal(splitPngs(cut).length, frames.length - 1, 'half a picture is none');
  });

  it('a video’s frames are read where ffmpeg is', async function () {
    const program = await findFfmpeg();
    if (program === undefined) return skip(this, 'ffmpeg is not on the PATH');
    const { execFileSync } = await import('node:child_process');
    const video = join(folder, 'clip.mkv');
    const input = ['-framerate', '5', '-i', join(folder, 'frames', 'frame-%d.png')];
    execFileSync(program, ['-loglevel', 'error', '-start_number', '8', ...input, '-c:v', 'ffv1', video]);
    assert.equal(await countFrames(video), colours.length);
    assert.deepEqual(await coloursOf(video, [1, 3, 4]), [colours[1], colours[3], colours[4]]);
  });

  it('a model answers a file of frames as it answers the frames', async () => {
    const golden = readCases().find(({ id }) => id === 'timesformer-video-transformers-safetensors');
    assert.ok(golden);
    const inference = testInference();
    try {
      const request = { checkpoint: checkpointPath(golden), options: { provider: 'cpu' } } as const;
      const paths = colours.map((_, index) => resolve(folder, 'frames', `frame-${8 + index}.png`));
      const ofFrames = await inference.classify({ ...request, image: paths[0] ?? '', frames: paths });
      for (const name of ['clip.gif', 'frames']) {
        const path = join(folder, name);
        const ofFile = await inference.classify({ ...request, image: path });
        const [found, expected] = [guessesOf(ofFile.answer), guessesOf(ofFrames.answer)];
        assert.deepEqual(
          found.map(({ index }) => index),
          expected.map(({ index }) => index),
        );
        // The runtime's threads take sums in another order from run to run.
        found.forEach(({ score }, rank) =>
          assert.ok(Math.abs(score - (expected[rank]?.score ?? NaN)) < 1e-6, `${name}: ${score}`),
        );
        assert.equal(ofFile.seen.image, path);
        const count: number = Number(
          (golden.config as { frames?: number }).frames ?? ofFile.seen.frames?.length,
        );
        assert.deepEqual(
          ofFile.seen.frames?.map(({ number }) => number),
          Array.from({ length: count }, (_, index) => Math.floor((index * colours.length) / count)),
        );
        assert.match(ofFile.warnings.join(), /so many of the 7 .* are taken, evenly spaced/);
      }
    } finally {
      await inference.dispose();
    }
  });
});
