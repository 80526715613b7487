import { at } from '../../domain/lists';

/** A stream of numbers from 0 to below 1: the same for the same seed, here and on every machine. */
export type Draw = () => number;

/**
 * Draws by a counter that is mixed (Steele, Lea and Flood 2014, SplitMix, in its 32-bit form).
 * It is not torch's generator: the same seed draws other tokens there.
 */
export function drawsFrom(seed: number): Draw {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
  };
}

/** Draws an index by weights that need not add up to one; the last one with weight at the end. */
export function drawIndex(weights: ArrayLike<number>, draw: Draw): number {
  let total = 0;
  for (let index = 0; index < weights.length; index++) total += at(weights, index);
  let left = draw() * total;
  let last = 0;
  for (let index = 0; index < weights.length; index++) {
    const weight = at(weights, index);
    if (weight <= 0) continue;
    last = index;
    left -= weight;
    if (left < 0) break;
  }
  return last;
}
