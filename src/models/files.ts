import { stat } from 'node:fs/promises';

/** A file as it was when its header was read; a file that differs from it must not be run. */
export interface FileState {
  readonly file: string;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
}

/** The states of files as they are now. */
export async function fileStates(files: readonly string[]): Promise<readonly FileState[]> {
  return Promise.all(
    files.map(async (file) => {
      const { size, mtimeMs } = await stat(file);
      return { file, size, modified: mtimeMs };
    }),
  );
}
