import { at } from '../domain/lists';
import { chainLength, type Probe } from '../domain/probes';

/**
 * Attention rollout (Abnar & Zuidema 2020) of one query up to every layer: w · Âₗ · Âₗ₋₁ ⋯ Â₀,
 * where Â = (mean over heads + identity) / 2 with rows scaled to sum 1. `means[layer]` is
 * `[tokens, tokens]`, `weights` the query `[tokens]`. A vector through a chain of matrices costs T²
 * per layer, where the product of the whole would cost T³. Empty for layers that do not chain.
 */
export function rolloutRows(
  probes: readonly Probe[],
  means: readonly Float32Array[],
  weights: Float32Array,
): readonly Float32Array[] {
  const chained = chainLength(probes);
  const rows = Array.from({ length: chained }, () => Float64Array.from(weights));
  // From the last layer down, all rows that begin above a layer pass it together: each mean, which
  // is large, is read once.
  for (let layer = chained - 1; layer >= 0; layer--) pass(rows, layer, at(means, layer));
  return probes.map((_, layer) => Float32Array.from(rows[layer] ?? []));
}

/**
 * The rows from `first` on become w · Â of one layer. Maps whose rows do not sum to 1 (talking
 * heads, gating) are brought to it, so that the result stays a share.
 */
function pass(rows: Float64Array[], first: number, mean: Float32Array): void {
  const tokens = at(rows, first).length;
  const results = rows.map(() => new Float64Array(tokens));
  for (let query = 0; query < tokens; query++) {
    const start = query * tokens;
    let sum = 1;
    for (let key = 0; key < tokens; key++) sum += mean[start + key] ?? 0;
    for (let index = first; index < rows.length; index++) {
      const weight = at(rows, index)[query] ?? 0;
      if (weight === 0) continue;
      const share = weight / sum;
      const result = at(results, index);
      for (let key = 0; key < tokens; key++) result[key]! += share * mean[start + key]!;
      result[query]! += share;
    }
  }
  for (let index = first; index < rows.length; index++) rows[index] = at(results, index);
}
