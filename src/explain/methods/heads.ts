import { headEntropies, meanAttentionDistances, placedEntropies } from '../../attention/summary';
import { at, increase } from '../../domain/lists';
import type { Probe } from '../../domain/probes';
import type { Explained, MapOf, Values } from '../explained';
import type { Method } from '../method';
import { float32, whyNoAttention } from './common';

/** Maps whose queries are not the tokens of the image. */
const isUnplaced = ({ kind, queries }: Probe): boolean =>
  ['class', 'pool', 'channel', 'activation'].includes(kind) || queries.special?.[0] === 'gate';

/** Figures of the heads of each layer that has any, by the layer's number. */
async function perLayer(
  explained: Explained,
  figuresOf: (map: MapOf, index: number) => Readonly<Record<string, ArrayLike<number> | undefined>>,
): Promise<{ readonly tensors: Readonly<Record<string, Values>> }> {
  const maps = await explained.maps();
  const tensors: Record<string, Values> = {};
  maps.forEach((map, index) => {
    for (const [name, figures] of Object.entries(figuresOf(map, index)))
      if (figures) tensors[name] = float32([figures.length], figures);
  });
  return { tensors };
}

const entropies: Method = {
  name: 'entropy',
  title: 'Entropy of heads',
  text: 'How widely each head looks, in bits: 0 for one key, log₂ of their number for all alike. Keys that are padding count; queries that are padding do not.',
  formula: 'mean over queries of −Σ a · log₂ a',
  source: 'Shannon 1948',
  whyNot: whyNoAttention,
  forwards: () => 1,
  compute: (explained) =>
    perLayer(explained, ({ probe, map }, index) => {
      if (isUnplaced(probe) || !isDistribution(map)) return {};
      const [heads = 1, queries = 1] = map.shape;
      return {
        [`entropy.${index}`]: probe.window
          ? placedEntropies(map.data, probe)
          : headEntropies(map.data, heads, queries),
      };
    }),
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
  text: 'How far each head looks, in pixels between the centres of patches. Weights on special tokens are left out and the rest scaled to sum 1; unnormalised, as the published code has it, a head that looks at the class token seems to look nearby.',
  formula: 'mean over queries of Σ a · ‖p − p′‖',
  source: 'Dosovitskiy et al. 2021, figure 7; Raghu et al. 2021',
  whyNot: whyNoAttention,
  forwards: () => 1,
  compute: (explained) =>
    perLayer(explained, ({ probe, map }, index) => {
      if (isUnplaced(probe)) return {};
      const distance = (isScaled: boolean): Float64Array | undefined =>
        meanAttentionDistances(map.data, probe, explained.imageSize, isScaled);
      return {
        [`distance.${index}`]: distance(true),
        [`distance.${index}.unnormalised`]: probe.window ? undefined : distance(false),
      };
    }),
};

/** Mean over the patches that ask of what they give to special tokens, for each head. */
function specialShares({ probe, map }: MapOf): Float64Array | undefined {
  const [asking, asked] = [probe.queries.special?.length ?? 0, probe.keys.special?.length ?? 0];
  const [heads = 1, queries = 1, keys = 1] = map.shape.slice(-3);
  const isPlain = map.shape.length === 3 && !probe.keys.sequenceFirst && !probe.queries.sequenceFirst;
  if (asked === 0 || queries === asking || !isPlain) return undefined;
  const shares = new Float64Array(heads);
  for (let head = 0; head < heads; head++)
    for (let query = asking; query < queries; query++)
      for (let key = 0; key < asked; key++)
        increase(shares, head, (map.data[(head * queries + query) * keys + key] ?? 0) / (queries - asking));
  return shares;
}

const shares: Method = {
  name: 'special_share',
  title: 'Share on special tokens',
  text: 'How much of the patches’ attention goes to class token and registers. It has no place on the image: where the share is large, distances and pictures tell of the rest alone.',
  formula: 'mean over patches of Σ a over special tokens',
  source: 'Darcet et al. 2024',
  whyNot: ({ probes }) =>
    probes.some(({ keys }) => (keys.special?.length ?? 0) > 0)
      ? undefined
      : 'it has no special tokens among its keys',
  forwards: () => 1,
  compute: (explained) =>
    perLayer(explained, (map, index) => ({
      [`special_share.${index}`]: isUnplaced(map.probe) ? undefined : specialShares(map),
    })),
};

/** Figures of each head. */
export const ofHeads: readonly Method[] = [entropies, distances, shares];
