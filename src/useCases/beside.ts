import { open, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Checkpoint } from '../checkpoint/checkpoint';
import type { BesideFile } from '../protocol/inspector';

/** Bytes of a file that are shown: a config with a thousand class names has half as many. */
const shownBytes = 64e3;

/**
 * Files that were read with the weights, with the beginning of their text. One that is gone by now
 * is left out.
 */
export async function besideFiles({ beside }: Checkpoint): Promise<readonly BesideFile[]> {
  const found = await Promise.all([...new Set(beside)].map((path) => readBeginning(path)));
  return found.filter((file) => file !== undefined);
}

async function readBeginning(path: string): Promise<BesideFile | undefined> {
  const state = await stat(path).catch(() => undefined);
  if (!state?.isFile()) return undefined;
  const file = await open(path).catch(() => undefined);
  if (!file) return undefined;
  try {
    const length = Math.min(state.size, shownBytes);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, 0);
    const text = buffer.toString('utf8', 0, bytesRead);
    return { name: basename(path), path, bytes: state.size, text, cut: state.size > bytesRead };
  } finally {
    await file.close();
  }
}
