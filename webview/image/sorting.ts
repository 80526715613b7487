import type { AttentionRows } from '../../src/domain/query';
import type { Probe } from '../../src/domain/probes';
import type { Size } from '../../src/domain/size';
import type { TileKey } from '../marks/tiles';
import { headSummaries, type HeadSummary } from './headSummary';

/** By what the small maps are ordered. */
export type SortKind = 'layer' | 'entropy' | 'distance' | 'maximum' | 'special';

interface Sort {
  readonly name: string;
  /** What the tiles are ordered by; absent for their places in the model. */
  readonly of?: (summary: HeadSummary) => number | undefined;
}

export const SORTS: Readonly<Record<SortKind, Sort>> = {
  layer: { name: 'layer' },
  entropy: { name: 'entropy, widest first', of: ({ entropy }) => entropy },
  distance: { name: 'distance, farthest first', of: ({ distance }) => distance },
  maximum: { name: 'largest weight', of: ({ maximum }) => maximum },
  special: { name: 'share on special tokens', of: ({ special }) => special },
};

/** All heads, the largest value first; undefined where they stay in their places. */
export function sortedTiles(
  kind: SortKind,
  answer: AttentionRows,
  probes: readonly Probe[],
  inputSize: Size,
): readonly TileKey[] | undefined {
  const { of } = SORTS[kind];
  if (!of || answer.method === 'rollout') return undefined;
  const valued = probes.flatMap((probe, layer) => {
    const summaries = headSummaries(answer, probes, layer, inputSize);
    return Array.from({ length: probe.heads }, (_, head) => {
      const summary = summaries[head];
      return { layer, head, value: (summary && of(summary)) ?? -Infinity };
    });
  });
  return valued.sort((one, other) => other.value - one.value);
}
