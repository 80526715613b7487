/** A tokenizer file, or a setting, that cannot be used. The message names the item, for people. */
export class TextError extends Error {
  override readonly name = 'TextError';
}
