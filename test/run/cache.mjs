// Where downloaded tools are kept between runs, outside the repository and outside the extension.
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';

/** The cache folder: `VITRINE_CACHE`, else `vitrine` under the user's cache folder. */
export function cacheFolder() {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return process.env.VITRINE_CACHE || join(base, 'vitrine');
}

/**
 * Gives a folder of the cache, filling it first where it is missing. The folder appears under its
 * name only when `fill` has finished, so that an interrupted download is never taken for a whole
 * one.
 *
 * @param {string} name folder name, the version in it
 * @param {(folder: string) => Promise<void>} fill writes the content into an empty folder
 * @returns {Promise<string>} the absolute path
 */
export async function provideFolder(name, fill) {
  const folder = join(cacheFolder(), name);
  if (existsSync(folder)) return folder;
  const partial = join(dirname(folder), `.partial-${basename(folder)}-${process.pid}`);
  await mkdir(partial, { recursive: true });
  try {
    await fill(partial);
    await rename(partial, folder).catch((error) => {
      if (!existsSync(folder)) throw error; // another run was first: its folder is as good
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return folder;
}
