import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Temporary folders carry the id of the process that needs them, so that another one can tell which
 * are left over.
 */
const pattern = /^vitrine-(\d+)-/;

/** A new folder that only this user can read. */
export function createTemporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), `vitrine-${process.pid}-`));
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
