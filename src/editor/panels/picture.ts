import { readFile, stat } from 'node:fs/promises';
import { extname } from 'node:path';

/** What every browser decodes; anything else waits for the decoder of the inference process. */
const types: Readonly<Record<string, string>> = {
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.png': 'image/png',
  '.webp': 'image/webp',
  '.gif': 'image/gif',
};
/** Bytes sent to a page for its first paint; larger files are not there sooner that way. */
const most = 32e6;

/**
 * An image's file for a page that decodes it by itself, so that it is painted before a model is
 * loaded. Undefined if it cannot be: the run, which decodes it too, says why.
 */
export async function readPicture(path: string): Promise<{ bytes: Uint8Array; type: string } | undefined> {
  const type = types[extname(path).toLowerCase()];
  if (type === undefined) return undefined;
  try {
    const { size } = await stat(path);
    return size <= most ? { bytes: new Uint8Array(await readFile(path)), type } : undefined;
  } catch {
    return undefined;
  }
}
