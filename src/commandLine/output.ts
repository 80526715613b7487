import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { isShardIndex } from '../checkpoint/formats/shards';

/**
 * Refuses an output before anything long is done for it: its folder must be there, and it must be
 * none of the files that are read. A folder or an index among `inputs` stands for every file beside
 * it.
 */
export async function requireOutput(out: string, inputs: readonly string[]): Promise<void> {
  const folder = await existing(dirname(resolve(out)));
  if (folder === undefined)
    throw new Error(`--out ${out}: the folder ${dirname(out)} does not exist; create it first`);
  const file = join(folder, basename(out));
  if ((await existing(file)) === undefined) return;
  if ((await stat(file)).isDirectory()) throw new Error(`--out ${out}: this is a folder; name a file in it`);
  for (const input of inputs)
    if (await holds(input, file))
      throw new Error(
        `--out ${out}: this would overwrite a file that is read (${input}); choose another name`,
      );
}

/** Refuses a folder for outputs that is a file. Makes none: whoever writes does. */
export async function requireFolder(out: string): Promise<void> {
  const found = await stat(out).catch(() => undefined);
  if (found && !found.isDirectory()) throw new Error(`--out ${out}: this is a file; name a folder`);
}

const existing = (path: string): Promise<string | undefined> => realpath(path).catch(() => undefined);

async function holds(input: string, file: string): Promise<boolean> {
  const source = await existing(input);
  if (source === undefined) return false;
  const isFolder = (await stat(source)).isDirectory();
  if (isFolder || isShardIndex(input)) return dirname(file) === (isFolder ? source : dirname(source));
  return source === (await existing(file));
}
