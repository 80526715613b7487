import { readingWeights, readMap } from '../attention/reading';
import type { Method, Query } from '../domain/query';
import type { Probe, TokenLayout } from '../domain/probes';
import type { GeneratedSequence } from '../text/generation/generate';
import type { TensorData } from './remoteApi';

/** What the tokens of a written text looked at. */
export interface WrittenMaps {
  readonly probes: readonly Probe[];
  /** For each probe `[heads, tokens, keys]`. */
  readonly maps: readonly Float32Array[];
}

/**
 * Maps of a text's best sequence with probes that say what they are: those of the start, whose own
 * tokens have grown by all that were written but the last.
 */
export function writtenMaps(
  start: readonly Probe[],
  { tokens }: GeneratedSequence,
  maps: readonly TensorData[],
): WrittenMaps {
  const grown = (layout: TokenLayout): TokenLayout => ({
    ...layout,
    sequence: (layout.sequence ?? 0) + tokens.length - 1,
  });
  return {
    probes: start.map((probe) => ({
      ...probe,
      queries: grown(probe.queries),
      keys: probe.kind === 'cross' ? probe.keys : grown(probe.keys),
    })),
    maps: maps.map(({ data }) => data as Float32Array),
  };
}

/** What one query of a written text looked at in all layers; nothing where a layer lacks it. */
export const rowsOfText = (
  { probes, maps }: WrittenMaps,
  query: Query,
  method: Method,
): readonly Float32Array[] =>
  probes.map((probe, index) => {
    const weights = method === 'raw' ? readingWeights(probe, query) : undefined;
    const map = maps[index];
    return weights && map ? readMap(map, probe, weights) : new Float32Array();
  });
