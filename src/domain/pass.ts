/**
 * Of which tokens a decoder's graph is written:
 * - `whole`: all of a given text, which keeps nothing.
 * - `start`: the first ones of a generated text, in one row; their keys and values come out.
 * - `step`: one more token for each row; keys and values of those before it go in.
 */
export type Pass = 'whole' | 'start' | 'step';

/** Keys and values by which attentions remember earlier tokens. */
export type Kept = 'key' | 'value';

/** Names of the inputs and outputs by which generation goes on from step to step. */
export const passNames = {
  /** Input `[rows, tokens]` of int64. */
  ids: 'token_ids',
  /** Input `[1]` of int64: how many tokens with ids stand before the one of this step. */
  position: 'position',
  /** Output `[rows, words]`: scores of what follows the last token of each row. */
  scores: 'logits',
  /** Output `[rows, heads, tokens, d]`: what the n-th self-attention has made of these tokens. */
  made: (index: number, kept: Kept): string => `made.${index}.${kept}`,
  /** Input `[rows, heads, capacity, d]`: what it has made of those before. */
  past: (index: number, kept: Kept): string => `past.${index}.${kept}`,
  /** Output of the start, input of every step: what the n-th cross-attention sees, of one row. */
  other: (index: number, kept: Kept): string => `other.${index}.${kept}`,
} as const;

/** Lengths that passes of generation are written for, by their names in `GraphSize.lengths`. */
export interface PassLengths {
  /** Tokens of the start. */
  readonly prompt: number;
  /** Rows of a step: beams, or sequences that are drawn side by side. */
  readonly rows: number;
  /** Tokens with ids that a step can look back at. */
  readonly past: number;
}
