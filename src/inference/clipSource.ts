import { readFile, stat, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { at } from '../domain/lists';
import { countFrames, readFrames } from './decoders/ffmpeg';
import { decodePages } from './decoders/withSharp';
import { ImageError } from './imageError';
import { imagesIn } from './imagesIn';
import { pictureExtensions } from './imageFormats';
import { createTemporaryFolder, removeTemporaryFolder } from './temporary';
import { isVideo } from './videoFormats';

/** Frames of a clip, wherever they come from. */
export interface ClipSource {
  /** Frames that there are. */
  readonly count: number;
  /** What they are called: `images of the folder`. */
  readonly what: string;
  /**
   * Makes these frames, whose numbers do not fall, and hands back a file for each; it is there
   * until `use` has ended.
   */
  with<T>(numbers: readonly number[], use: (paths: readonly string[]) => Promise<T>): Promise<T>;
}

/** Formats whose files may hold several pictures. */
const severalIn: ReadonlySet<string> = new Set(['.gif', '.webp', '.tif', '.tiff']);

/**
 * The frames of a clip: the images that are given, those of a folder by their names, the pictures
 * of an animated GIF or WebP and of a TIFF of several pages, or of a video. Throws `ImageError`.
 */
export async function clipSource(paths: readonly string[]): Promise<ClipSource> {
  const path = at(paths, 0);
  if (paths.length > 1) return ofFiles(paths, 'images');
  const state = await stat(path).catch((error: unknown) => {
    throw new ImageError('unreadable', path, (error as Error).message);
  });
  if (state.isDirectory()) return ofFiles(await framesIn(path), 'images of the folder');
  if (isVideo(path)) return ofVideo(path);
  const pages = severalIn.has(extname(path).toLowerCase()) ? await pagesOf(path) : undefined;
  return pages && pages.count > 1 ? ofPages(pages, extname(path)) : ofFiles([path], 'images');
}

const ofFiles = (files: readonly string[], what: string): ClipSource => ({
  count: files.length,
  what,
  with: (numbers, use) => use(numbers.map((number) => at(files, number))),
});

/** Frames of a clip that lie in a folder. Throws if there are none. */
async function framesIn(folder: string): Promise<readonly string[]> {
  const images = await imagesIn(folder);
  if (images.length > 0) return images;
  throw new ImageError(
    'unsupported',
    folder,
    `no image in this folder; the frames of a clip are needed: ${pictureExtensions.join(', ')}`,
  );
}

type Pages = Awaited<ReturnType<typeof decodePages>>;

/** The pictures of a file; one that sharp does not read is left to the decoder of images. */
const pagesOf = async (path: string): Promise<Pages | undefined> =>
  decodePages(await readFile(path)).catch(() => undefined);

const ofPages = ({ count, page }: Pages, extension: string): ClipSource => ({
  count,
  what: /tif/i.test(extension) ? 'pages' : 'frames of the file',
  with: (numbers, use) =>
    inFolder(async (write) => use(await each(numbers, async (number) => write(number, await page(number))))),
});

async function ofVideo(path: string): Promise<ClipSource> {
  const count = await countFrames(path);
  return {
    count,
    what: 'frames of the video',
    with: (numbers, use) =>
      inFolder(async (write) => {
        const wanted = [...new Set(numbers)];
        const pictures = await readFrames(path, wanted);
        const last = pictures.length - 1;
        return use(
          await each(numbers, (number) => {
            const index = Math.min(last, wanted.indexOf(number));
            return write(index, at(pictures, index));
          }),
        );
      }),
  };
}

/** One after the other: decoders take what memory they find. */
async function each<T>(
  numbers: readonly number[],
  make: (number: number) => Promise<T>,
): Promise<readonly T[]> {
  const made: T[] = [];
  for (const number of numbers) made.push(await make(number));
  return made;
}

type Write = (number: number, png: Uint8Array) => Promise<string>;

/** A folder for frames that are read out of a file, which is gone afterwards. */
async function inFolder<T>(use: (write: Write) => Promise<T>): Promise<T> {
  const folder = createTemporaryFolder();
  const written = new Map<number, string>();
  try {
    return await use(async (number, png) => {
      const known = written.get(number);
      if (known !== undefined) return known;
      const file = join(folder, `${number}.png`);
      await writeFile(file, png);
      written.set(number, file);
      return file;
    });
  } finally {
    removeTemporaryFolder(folder);
  }
}
