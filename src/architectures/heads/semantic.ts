import { at } from '../../domain/lists';
import type { Size } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { mapToTokens, resizedMap, tokensToMap } from '../blocks/maps';
import { batchNorm, convolution } from '../blocks/convolution';
import { activate, withValue } from '../blocks/layers';
import { adaptiveAveragePool } from '../blocks/adaptivePool';

/** Epsilon of PyTorch's batch norms, which no config of these heads changes. */
const batchNormEps = 1e-5;

/**
 * Convolution without a bias, batch norm, ReLU: what mmsegmentation's heads are made of. Kernels of
 * 3 × 3 keep the map's size.
 */
export function convUnit(b: GraphBuilder, map: ValueInfo, name: string): ValueInfo {
  const norm = b.has(`${name}.bn.weight`) ? 'bn' : 'batch_norm';
  const normed = batchNorm(b, convolution(b, map, `${name}.conv`), `${name}.${norm}`, batchNormEps);
  return activate(b, normed, 'relu');
}

/**
 * SegFormer's head of linear layers (Xie et al. 2021, §3.2): every map projected and enlarged to
 * the finest, all side by side from the coarsest on, mixed by a 1 × 1 convolution. Scores `[batch,
 * classes, rows, columns]` of the finest map's size.
 */
export function allMlpHead(b: GraphBuilder, maps: readonly ValueInfo[]): ValueInfo {
  const [, , rows = 0, columns = 0] = at(maps, 0).shape;
  const projected = maps.map((map, stage) => {
    const tokens = mapToTokens(b, map);
    const value = b.linear(tokens.value, `linear_c.${stage}.proj`);
    return resizedMap(b, tokensToMap(b, withValue(tokens, value)), [rows, columns]);
  });
  const mixed = convolution(b, b.concat(projected.toReversed(), 1), 'linear_fuse');
  return convolution(b, activate(b, batchNorm(b, mixed, 'batch_norm', batchNormEps), 'relu'), 'classifier');
}

/**
 * UPerNet's head (Xiao et al. 2018, §3.1): the coarsest map pooled to grids of `scales` (Zhao et
 * al. 2017, PSPNet, §3.2), a pyramid from there to the finest map (Lin et al. 2017, FPN, §3), all
 * its levels side by side. Scores `[batch, classes, rows, columns]` of the finest map's size.
 */
export function upperNetHead(
  b: GraphBuilder,
  maps: readonly ValueInfo[],
  scales: readonly number[],
): ValueInfo {
  const coarsest = at(maps, maps.length - 1);
  const pooled = scales.map((scale, index) => {
    const bins = b.scope(`psp_modules.${index}`, () =>
      convUnit(b, adaptiveAveragePool(b, coarsest, scale), '1'),
    );
    return resizedMap(b, bins, sizeOf(coarsest));
  });
  const levels = [convUnit(b, b.concat([coarsest, ...pooled], 1), 'bottleneck')];
  for (let index = maps.length - 2; index >= 0; index--) {
    const lateral = convUnit(b, at(maps, index), `lateral_convs.${index}`);
    levels.unshift(b.add('Add', [lateral, resizedMap(b, at(levels, 0), sizeOf(lateral))]));
  }
  const finest = sizeOf(at(levels, 0));
  const smoothed = levels.map((level, index) =>
    resizedMap(b, index < maps.length - 1 ? convUnit(b, level, `fpn_convs.${index}`) : level, finest),
  );
  return convolution(b, convUnit(b, b.concat(smoothed, 1), 'fpn_bottleneck'), 'classifier');
}

/**
 * Convolutions over one map (Long et al. 2015, FCN): the auxiliary head of training, which
 * libraries compute in every pass. `convs.0` … and, if it is stored, one over the map and what they
 * make of it.
 */
export function convolutionHead(b: GraphBuilder, map: ValueInfo): ValueInfo {
  let mixed = map;
  for (let index = 0; b.has(`convs.${index}.conv.weight`); index++)
    mixed = convUnit(b, mixed, `convs.${index}`);
  const joined = b.has('conv_cat.conv.weight') ? convUnit(b, b.concat([map, mixed], 1), 'conv_cat') : mixed;
  return convolution(b, joined, 'classifier');
}

const sizeOf = ({ shape }: ValueInfo): Size => [at(shape, 2), at(shape, 3)];
