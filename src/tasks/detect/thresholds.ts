import type { Reading } from '../../domain/reading';

type Rule = Extract<Reading, { readonly task: 'detect' }>['rule'];

/**
 * Score from which a box is shown if nobody says another; the libraries' own examples take it.
 * Where texts are compared with an image, few boxes come near to 1.
 */
export const usualThresholds: Readonly<Record<Rule, number>> = {
  softmax: 0.5,
  pairs: 0.5,
  texts: 0.1,
  phrases: 0.25,
};
/** Probability from which a token belongs to the name of its box. */
export const usualTextThreshold = 0.25;
/** Boxes below the threshold that are kept for whoever lowers it. */
export const lowestThreshold = 0.05;
