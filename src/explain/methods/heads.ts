import { headEntropies, meanAttentionDistances } from '../../attention/summary';
import { at } from '../../domain/lists';
import type { Probe } from '../../domain/probes';
import type { Values } from '../explained';
import type { Method } from '../method';
import { float32, whyNoAttention } from './common';

/** Maps whose queries are not the tokens of the image. */
const isUnplaced = ({ kind }: Probe): boolean => ['class', 'pool', 'channel'].includes(kind);

const entropies: Method = {
  name: 'entropy',
  title: 'Entropy of heads',
  text: 'How widely each head looks, in bits: 0 for one key, log₂ of their number for all alike.',
  formula: 'mean over queries of −Σ a · log₂ a',
  source: 'Shannon 1948',
  whyNot: whyNoAttention,
  forwards: () => 1,
  async compute(explained) {
    const maps = await explained.maps();
    const tensors: Record<string, Values> = {};
    maps.forEach(({ probe, map }, index) => {
      if (isUnplaced(probe) || probe.window || !isDistribution(map)) return;
      const [heads = 1, queries = 1] = map.shape;
      tensors[`entropy.${index}`] = float32([heads], headEntropies(map.data, heads, queries));
    });
    return { tensors };
  },
};

/** Rows that sum to 1, of weights that are not negative. */
function isDistribution({ shape, data }: Values): boolean {
  const keys = at(shape, shape.length - 1);
  for (let first = 0; first < data.length; first += keys) {
    let sum = 0;
    for (const weight of data.subarray(first, first + keys)) {
      if (weight < 0) return false;
      sum += weight;
    }
    // Sums of a thousand float32 weights are right to about 1e-6.
    if (Math.abs(sum - 1) > 1e-4) return false;
  }
  return true;
}

const distances: Method = {
  name: 'distance',
  title: 'Mean attention distance',
  text: 'How far each head looks, in pixels between the centres of patches. Weights on special tokens are left out and the rest scaled to sum 1.',
  formula: 'mean over queries of Σ a · ‖p − p′‖',
  source: 'Dosovitskiy et al. 2021, figure 7; Raghu et al. 2021',
  whyNot: whyNoAttention,
  forwards: () => 1,
  async compute(explained) {
    const maps = await explained.maps();
    const tensors: Record<string, Values> = {};
    maps.forEach(({ probe, map }, index) => {
      if (isUnplaced(probe)) return;
      const own = meanAttentionDistances(map.data, probe, explained.imageSize);
      if (own) tensors[`distance.${index}`] = float32([own.length], own);
    });
    return { tensors };
  },
};

/** Figures of each head. */
export const ofHeads: readonly Method[] = [entropies, distances];
