import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Temporary folders carry the id of the process that needs them, so that another one can tell which
 * are left over.
 */
const pattern = /^vitrine-(\d+)-/;

/** The system's folder for temporary files is missing, full, or not to be written to. */
export class TemporaryFolderError extends Error {
  override readonly name = 'TemporaryFolderError';
}

const problems: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'is no folder',
  ENOSPC: 'is full',
  EDQUOT: 'is full for this user (a quota)',
  EACCES: 'cannot be written to',
  EPERM: 'cannot be written to',
  EROFS: 'cannot be written to (read-only)',
};

/**
 * A new folder that only this user can read. Throws `TemporaryFolderError`.
 */
export function createTemporaryFolder(): string {
  try {
    return mkdtempSync(join(tmpdir(), `vitrine-${process.pid}-`));
  } catch (error) {
    throw temporaryFailure(error);
  }
}

/** Says of a failed call in the temporary folder what is wrong with that, and what to do. */
export function temporaryFailure(error: unknown, bytes?: number): TemporaryFolderError {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const problem = Object.hasOwn(problems, code) ? problems[code] : `cannot be used: ${message}`;
  const variable = process.platform === 'win32' ? 'TEMP' : 'TMPDIR';
  const size = bytes === undefined ? '' : ` of ${Math.ceil(bytes / 1e6).toLocaleString('en')} MB`;
  return new TemporaryFolderError(
    `the temporary folder ${tmpdir()} ${problem}${code && ` (${code})`}; a copy${size} of weights that ` +
      `cannot be read where they lie is written to it. Make room there, or let ${variable} name another folder`,
    { cause: error },
  );
}

export function removeTemporaryFolder(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // On Windows a mapped file cannot be removed while a session uses it; the next start does it.
  }
}

/** Removes the folders of a process that ended. */
export function removeTemporaryFolders(processId: number): void {
  removeWhere((owner) => owner === processId);
}

/** Removes the folders of processes that crashed or were killed, whoever started them. */
export function removeLeftovers(): void {
  removeWhere((owner) => !isRunning(owner));
}

function removeWhere(wanted: (processId: number) => boolean): void {
  for (const name of names()) {
    const owner = pattern.exec(name)?.[1];
    if (owner !== undefined && wanted(Number(owner))) removeTemporaryFolder(join(tmpdir(), name));
  }
}

function names(): readonly string[] {
  try {
    return readdirSync(tmpdir());
  } catch {
    return [];
  }
}

function isRunning(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    // EPERM: it runs, and belongs to somebody else.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
