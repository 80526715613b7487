import { at, last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { averagePool, convNorm } from './convolution';
import { residual } from './layers';

/**
 * Convolutions `convs` on parts of a map's channels, each reading what the one before gave, too;
 * the last part passes (Gao et al. 2021, Res2Net §3.1). Where a stage begins, none reads another's,
 * and the last part is averaged.
 */
export function scales(
  b: GraphBuilder,
  map: ValueInfo,
  stride: number,
  begins: boolean,
  { eps, activation }: { readonly eps: number; readonly activation: string },
): ValueInfo {
  const [width = 0] = b.shapeOf('convs.0.weight');
  const parts = b.split(map, Array<number>(at(map.shape, 1) / width).fill(width), 1);
  const maps: ValueInfo[] = [];
  for (const [index, part] of parts.slice(0, -1).entries()) {
    const before = maps.at(-1);
    const read = begins || !before ? part : residual(b, before, part);
    maps.push(convNorm(b, read, `convs.${index}`, `bns.${index}`, { eps, activation, stride }));
  }
  const kept = begins ? averagePool(b, last(parts), { kernel: 3, stride, padding: 1 }) : last(parts);
  return b.concat([...maps, kept], 1);
}
