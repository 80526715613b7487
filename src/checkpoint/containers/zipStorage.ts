import type { Storage } from '../tensors';
import { isDeflated, locate, probeDeflated, type ZipArchive, type ZipEntry } from './zip';

/**
 * An entry of a zip as the place of a storage; of a deflated one the stream is checked as far as
 * that is cheap.
 */
export async function entryStorage(
  archive: ZipArchive,
  entry: ZipEntry,
): Promise<Extract<Storage, { kind: 'file' }>> {
  const offset = await locate(archive, entry);
  const place = { kind: 'file', file: archive.source.file, offset, length: entry.packed } as const;
  if (!isDeflated(entry)) return place;
  await probeDeflated(archive, entry, offset);
  return { ...place, deflated: { size: entry.size } };
}
