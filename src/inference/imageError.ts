/** An image that cannot be read; the message names the file, what was found and what is allowed. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
  constructor(
    readonly kind: 'malformed' | 'unsupported' | 'unreadable',
    readonly path: string,
    readonly detail: string,
    options?: ErrorOptions,
  ) {
    super(`${path}: ${detail}`, options);
  }
}
