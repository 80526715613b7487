/** Random access to a file's bytes; the only way the readers see a file. */
export interface ByteSource {
  /** Path as the user named it, for messages. */
  readonly path: string;
  /** Size in bytes. */
  readonly size: number;
  /**
   * Reads exactly `length` bytes at `offset`.
   * Throws a `CheckpointError` of kind `malformed` when the range lies outside the file, `unreadable` when the file system fails.
   */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}
