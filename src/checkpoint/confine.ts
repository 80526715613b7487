import { dirname, isAbsolute, join, normalize, sep } from 'node:path';
import { CheckpointError } from './errors';

/**
 * The path of a file that a name *inside* another file points to: it must lie in that file's
 * folder. Names are checked as text; links of the file system are the user's own and are followed
 * (Hugging Face caches are made of them). Throws `CheckpointError` of kind `unsafe`.
 */
export function confinedPath(path: string, item: string, location: string): string {
  const problem = locationProblem(location);
  if (problem)
    throw new CheckpointError(
      'unsafe',
      path,
      `${item} points to ${JSON.stringify(location)}, ${problem}; only files in the same folder are opened`,
    );
  return join(dirname(path), location);
}

function locationProblem(location: string): string | undefined {
  if (location === '') return 'an empty path';
  if (location.includes('\0')) return 'a path with a NUL';
  if (/^[a-z][a-z0-9+.-]+:/i.test(location)) return 'an address (URL): nothing is fetched';
  if (isAbsolute(location) || /^[\\/]|^[a-z]:/i.test(location)) return 'an absolute path';
  const inside = normalize(location.replaceAll('\\', '/'));
  return inside === '..' || inside.startsWith(`..${sep}`) || inside.startsWith('../')
    ? 'a path outside of its folder'
    : undefined;
}
