/** The mean over heads of maps `[heads, queries, keys]`: `[queries, keys]`. */
export function meanOfHeads(maps: Float32Array, heads: number): Float32Array {
  const size = maps.length / heads;
  const mean = new Float32Array(size);
  for (let head = 0; head < heads; head++)
    for (let at = 0; at < size; at++) mean[at] = (mean[at] ?? 0) + (maps[head * size + at] ?? 0) / heads;
  return mean;
}

/** A square map with NaN where a token would look at one that was not there yet. */
export const withoutLater = (map: Float32Array, keys: number): Float32Array =>
  map.map((value, at) => (at % keys > Math.floor(at / keys) ? NaN : value));

/**
 * The highest weight behind the first `skipped` ones: a token that can look at one alone says
 * nothing about the others. That of all if there are no others.
 */
export function highestOf(map: Float32Array, skipped: number): number {
  let high = 0;
  for (const value of map.subarray(map.length > skipped ? skipped : 0)) if (value > high) high = value;
  return high;
}
