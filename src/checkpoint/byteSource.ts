import { constants, type Stats } from 'node:fs';
import { open, realpath, stat, type FileHandle } from 'node:fs/promises';
import { resolve } from 'node:path';
import { CheckpointError } from './errors';

/** Random access to a file's bytes; the only way the readers see a file. */
export interface ByteSource {
  /** Path as the user named it, for messages. */
  readonly path: string;
  /** Absolute path with symbolic links resolved: what `Storage.file` says. */
  readonly file: string;
  /** Size in bytes. */
  readonly size: number;
  /**
   * Reads exactly `length` bytes at `offset`. Throws a `CheckpointError` of kind `malformed` when
   * the range lies outside the file, `unreadable` when the file system fails.
   */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/**
 * Opens a regular file for reading. Directories, FIFOs, sockets and devices are refused without
 * being opened, because opening a FIFO blocks until somebody writes and reading /dev/zero never
 * ends. Throws `CheckpointError` of kind `unreadable`.
 */
export async function openFile(path: string): Promise<ByteSource> {
  const file = await attempt(path, () => realpath(resolve(path)));
  requireRegularFile(path, await attempt(path, () => stat(file)));
  // O_NONBLOCK (absent on Windows): should a FIFO take the file's place between the two calls,
  // opening it still returns.
  const handle = await attempt(path, () => open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)));
  try {
    const stats = await attempt(path, () => handle.stat());
    requireRegularFile(path, stats);
    return new FileSource(path, file, stats.size, handle);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Opens a file for a reader: `openFile`, or one that several readers share. */
export type Opener = (path: string) => Promise<ByteSource>;

/** Files that several readers share: each is opened once, and stays open until `close`. */
export class SharedFiles {
  private readonly sources = new Map<string, Promise<ByteSource>>();
  /** Real paths: a file of 20 000 small tensors asks as often. */
  private readonly paths = new Map<string, Promise<string>>();

  /** Opens a file like `openFile`, or hands out the one that is open; closing it leaves it open. */
  readonly open: Opener = async (path) => {
    const asked = this.paths.get(path) ?? attempt(path, () => realpath(resolve(path)));
    this.paths.set(path, asked);
    const real = await asked;
    const source = this.sources.get(real) ?? openFile(path);
    this.sources.set(real, source);
    const { file, size } = await source;
    const read = async (offset: number, length: number) => (await source).read(offset, length);
    return { path, file, size, read, close: async () => undefined };
  };

  async close(): Promise<void> {
    const sources = await Promise.allSettled(this.sources.values());
    for (const source of sources) if (source.status === 'fulfilled') await source.value.close();
  }
}

/** The same over bytes in memory, for tests and for files inside files. */
export function fromBytes(path: string, bytes: Uint8Array): ByteSource {
  return {
    path,
    file: path,
    size: bytes.length,
    async read(offset, length) {
      requireRange(path, bytes.length, offset, length);
      return bytes.subarray(offset, offset + length);
    },
    async close() {},
  };
}

class FileSource implements ByteSource {
  constructor(
    readonly path: string,
    readonly file: string,
    readonly size: number,
    private readonly handle: FileHandle,
  ) {}

  async read(offset: number, length: number): Promise<Uint8Array> {
    requireRange(this.path, this.size, offset, length);
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const { bytesRead } = await attempt(this.path, () =>
        this.handle.read(bytes, done, length - done, offset + done),
      );
      if (bytesRead === 0) throw shrunk(this.path, this.size, offset + done);
      done += bytesRead;
    }
    return bytes;
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

function requireRange(path: string, size: number, offset: number, length: number): void {
  if (offset >= 0 && length >= 0 && offset + length <= size) return;
  throw new CheckpointError(
    'malformed',
    path,
    `bytes ${offset} to ${offset + length} lie beyond the end of the file (${size} bytes); it may be truncated, download it again`,
  );
}

function shrunk(path: string, size: number, end: number): CheckpointError {
  return new CheckpointError(
    'unreadable',
    path,
    `the file changed while it was open: it ends at byte ${end} instead of ${size}; open it again`,
  );
}

const kinds: readonly [test: (stats: Stats) => boolean, name: string][] = [
  [(stats) => stats.isDirectory(), 'a directory (a folder)'],
  [(stats) => stats.isFIFO(), 'a FIFO'],
  [(stats) => stats.isSocket(), 'a socket'],
  [(stats) => stats.isCharacterDevice() || stats.isBlockDevice(), 'a device'],
];

function requireRegularFile(path: string, stats: Stats): void {
  if (stats.isFile()) return;
  const found = kinds.find(([is]) => is(stats))?.[1] ?? 'not a file';
  throw new CheckpointError('unreadable', path, `this is ${found}; only a regular file can be opened`);
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist (ENOENT); it may have been moved or deleted, or a download has not finished',
  EACCES: 'no permission to read it (EACCES); change its access rights',
  EPERM: 'no permission to read it (EPERM); change its access rights',
  ELOOP: 'a symbolic link that leads back to itself (ELOOP); link it to the real file',
  ENOTDIR: 'a part of its path is no directory (ENOTDIR)',
  EMFILE: 'too many files are open (EMFILE); close some and try again',
};

/** Runs a file system call; its failure becomes a `CheckpointError` of kind `unreadable`. */
export async function attempt<T>(path: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? '';
    throw new CheckpointError('unreadable', path, reasons[code] ?? (error as Error).message, {
      cause: error,
    });
  }
}
