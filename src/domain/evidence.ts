/** A value and where it was found. */
export interface Sourced<T> {
  readonly value: T;
  /**
   * `blocks.0 … blocks.11`, `config.json: num_heads`,
   * `assumed: 64 per head; not stored in the weights`.
   */
  readonly source: string;
}

/** A hyper-parameter's value: one number or word, or a list per stage. */
export type ConfigValue = number | string | boolean | readonly number[] | readonly string[];

/** A hyper-parameter's value and how it was found. */
export interface Evidence<T extends ConfigValue = ConfigValue> extends Sourced<T> {
  /**
   * Neither the weights, a config nor the user decided it: shown with a warning and can be changed
   * in place.
   */
  readonly assumed: boolean;
}
