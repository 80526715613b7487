/** A file whose kind is known and is not decoded here; the message names the kind. */
export class UnsupportedImage extends Error {
  override readonly name = 'UnsupportedImage';
}
