import type { Probe, TokenLayout } from '../../src/domain/probes';

/** Two special tokens before a grid of 2 × 3. */
export const layout: TokenLayout = { special: ['cls', 'dist'], grid: [2, 3] };
/** A self-attention map of two heads over that layout, but for `changes`. */
export const probe = (changes: Partial<Probe> = {}): Probe => ({
  value: 'map',
  layer: 'blocks.0',
  kind: 'self',
  heads: 2,
  queries: layout,
  keys: layout,
  ...changes,
});
