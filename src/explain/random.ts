/**
 * Mulberry32, the well-known 32-bit generator: numbers in [0, 1) that are the same for a seed on
 * every machine.
 */
export function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) >>> 0;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Normally distributed numbers, one of two uniform ones each (Box & Muller 1958). */
export const normals =
  (next: () => number): (() => number) =>
  () => {
    const [first, second] = [1 - next(), next()];
    return Math.sqrt(-2 * Math.log(first)) * Math.cos(2 * Math.PI * second);
  };

/** The numbers from 0 to n − 1 in a random order (Fisher & Yates, from the end). */
export function shuffled(n: number, seed: number): Uint32Array {
  const next = mulberry32(seed);
  const order = Uint32Array.from({ length: n }, (_, index) => index);
  for (let index = n - 1; index > 0; index--) {
    const other = Math.floor(next() * (index + 1));
    [order[index], order[other]] = [order[other] ?? 0, order[index] ?? 0];
  }
  return order;
}
