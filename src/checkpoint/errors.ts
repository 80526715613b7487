/** What kept a file from being opened; the kinds of `error.kind` in the command line's JSON. */
export type CheckpointErrorKind = 'malformed' | 'unsupported' | 'unreadable' | 'unsafe';

/**
 * A file that is refused. The message names the file, the item inside it, what was found and what
 * is allowed.
 *
 * - `malformed`: the bytes break their format's rules; trying again will not help.
 * - `unsupported`: well-formed, but nothing this reader handles (a kind, a version, a data type).
 * - `unreadable`: the file system failed (missing, no permission, changed while reading); trying
 *   again may help.
 * - `unsafe`: the file would call into the system or reach outside its folder.
 */
export class CheckpointError extends Error {
  constructor(
    readonly kind: CheckpointErrorKind,
    /** Path of the file that is refused. */
    readonly path: string,
    /** Item, found value, allowed value: everything but the file's name, which is put before it. */
    readonly detail: string,
    options?: ErrorOptions,
  ) {
    super(`${path}: ${detail}`, options);
    this.name = 'CheckpointError';
  }
}
