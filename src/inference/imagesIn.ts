import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { pictureExtensions } from './imageFormats';

/** Files of a folder that are looked at: a minute of film has 1,800 frames. */
const mostFiles = 100_000;

/** Images of a folder by their names, numbers in them in their order; none of its sub-folders. */
export async function imagesIn(folder: string): Promise<readonly string[]> {
  const names = (await readdir(folder)).slice(0, mostFiles);
  return names
    .filter((name) => pictureExtensions.includes(extname(name).toLowerCase()))
    .sort((one, other) => one.localeCompare(other, undefined, { numeric: true }))
    .map((name) => join(folder, name));
}
