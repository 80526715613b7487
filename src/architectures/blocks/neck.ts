import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution } from './convolution';
import { layerNormOfMap } from './maps';

/** Epsilon of the norms of the neck, whatever the blocks' is. */
const neckEps = 1e-6;

/**
 * Segment Anything's neck over the last map (Kirillov et al. 2023, §A): a norm alone, or
 * convolution and norm twice, which give the width that the mask decoder reads.
 */
export function neck(b: GraphBuilder, map: ValueInfo): ValueInfo {
  if (b.has('neck.weight')) return layerNormOfMap(b, map, 'neck', neckEps);
  return b.scope(
    'neck',
    () => {
      const narrow = layerNormOfMap(b, convolution(b, map, '0'), '1', neckEps);
      return layerNormOfMap(b, convolution(b, narrow, '2'), '3', neckEps);
    },
    { title: 'Neck' },
  );
}
