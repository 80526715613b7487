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
  return probes.map((_, layer) => {
    if (layer >= chained) return new Float32Array();
    let row: Float32Array = weights;
    for (let below = layer; below >= 0; below--) row = step(row, at(means, below));
    return row;
  });
}

/**
 * The whole rollout matrix `[tokens, tokens]` of all given layers: row q says where query q looks
 * in the image.
 */
export function rollout(means: readonly Float32Array[], tokens: number): Float32Array {
  const result = new Float32Array(tokens * tokens);
  for (let query = 0; query < tokens; query++) {
    let row: Float32Array = new Float32Array(tokens);
    row[query] = 1;
    for (const mean of means.toReversed()) row = step(row, mean);
    result.set(row, query * tokens);
  }
  return result;
}

/**
 * w · Â of one layer. Maps whose rows do not sum to 1 (talking heads, gating) are brought to it, so
 * that the result stays a share.
 */
function step(weights: Float32Array, mean: Float32Array): Float32Array {
  const tokens = weights.length;
  const result = new Float64Array(tokens);
  weights.forEach((weight, query) => {
    if (weight === 0) return;
    const row = mean.subarray(query * tokens, (query + 1) * tokens);
    const share = weight / (1 + row.reduce((sum, value) => sum + value, 0));
    row.forEach((value, key) => (result[key]! += share * value));
    result[query] = (result[query] ?? 0) + share;
  });
  return Float32Array.from(result);
}
