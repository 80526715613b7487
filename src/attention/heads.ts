/** Heads taken together, or one of them by its index from 0. */
export type HeadChoice = 'mean' | 'max' | number;

/** Heads into one row: `[heads, keys]` to `[keys]`. */
export function reduceHeads(rows: Float32Array, heads: number, choice: HeadChoice): Float32Array {
  const keys = rows.length / heads;
  if (typeof choice === 'number') return rows.slice(choice * keys, (choice + 1) * keys);
  return choice === 'mean' ? meanOverHeads(rows, heads) : maxOverHeads(rows, heads);
}

/** Mean over heads: `[heads, …]` to `[…]`. */
export function meanOverHeads(maps: Float32Array, heads: number): Float32Array {
  const size = maps.length / heads;
  const mean = new Float32Array(size);
  for (let at = 0; at < size; at++) {
    let sum = 0;
    for (let head = 0; head < heads; head++) sum += maps[head * size + at]!;
    mean[at] = sum / heads;
  }
  return mean;
}

/** Largest of the heads at each place: `[heads, …]` to `[…]`. */
export function maxOverHeads(maps: Float32Array, heads: number): Float32Array {
  const size = maps.length / heads;
  const most = maps.slice(0, size);
  for (let at = size; at < maps.length; at++)
    most[at % size] = Math.max(most[at % size] ?? NaN, maps[at] ?? NaN);
  return most;
}

/**
 * `weights · map` per head: `[heads, queries, keys]` to `[heads, keys]`. Rows of weight 0 cost
 * nothing.
 */
export function weightedRows(map: Float32Array, heads: number, weights: Float32Array): Float32Array {
  const queries = weights.length;
  const keys = map.length / heads / queries;
  const rows = new Float32Array(heads * keys);
  weights.forEach((weight, query) => {
    if (weight === 0) return;
    for (let head = 0; head < heads; head++) {
      const from = (head * queries + query) * keys;
      for (let key = 0; key < keys; key++) rows[head * keys + key]! += weight * map[from + key]!;
    }
  });
  return rows;
}
