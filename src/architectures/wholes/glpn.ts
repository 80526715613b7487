import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { batchNorm, convolution } from '../blocks/convolution';
import { activate } from '../blocks/layers';
import { gridOf, resizedMap } from '../blocks/maps';
import { shapeOf } from '../decide';
import { assumed, stored } from '../evidence';
import { depthOf } from '../heads/densePrediction';
import { settle, type FoundWhole, type PartContext, type Whole } from '../whole';
import { mapOf, titleAround } from './detectors';

interface GlpnConfig {
  /** Metres of the farthest point. */
  readonly maxDepth: number;
}

function recognise(found: FoundWhole) {
  const [dim = 0] = shapeOf(found.tensors, 'head.head.0.weight');
  const maxDepth = settle<number>(found, 'max_depth', {
    config: ['max_depth'],
    otherwise: assumed(10, 'metres; 10 indoors (NYU), 80 outdoors (KITTI)'),
    is: (value) => typeof value === 'number' && value > 0,
    needed: 'a number above 0',
  });
  return {
    label: 'glpn',
    title: titleAround('GLPN', found),
    evidence: { decoder_dim: stored(dim, 'head.head.0.weight'), max_depth: maxDepth },
    config: { maxDepth: maxDepth.value },
    reading: { task: 'depth', unit: 'metres' } as const,
  };
}

/** Convolution, batch norm and ReLU of a `Sequential`. */
const mixedBy = (b: GraphBuilder, map: ValueInfo, name: string): ValueInfo =>
  activate(b, batchNorm(b, convolution(b, map, `${name}.0`), `${name}.1`, 1e-5), 'relu');

/**
 * Selective feature fusion (Kim et al. 2022, §3.4): a weight for each of the two maps at every
 * place, made of both.
 */
function selected(b: GraphBuilder, local: ValueInfo, global: ValueInfo): ValueInfo {
  const first = mixedBy(b, b.concat([local, global], 1), 'convolutional_layer1');
  const second = mixedBy(b, first, 'convolutional_layer2');
  const weights = b.split(activate(b, convolution(b, second, 'convolutional_layer3'), 'sigmoid'), 2, 1);
  const parts = [local, global].map((map, index) => b.add('Mul', [map, at(weights, index)]));
  return b.add('Add', parts);
}

/** Twice as many rows and columns. */
function doubled(b: GraphBuilder, map: ValueInfo): ValueInfo {
  const [rows, columns] = gridOf(map);
  return resizedMap(b, map, [2 * rows, 2 * columns]);
}

/** From the coarsest map to the image's size, joining one finer map in each stage. */
function decoded(b: GraphBuilder, maps: readonly ValueInfo[]): ValueInfo {
  let before: ValueInfo | undefined;
  for (const [stage, map] of maps.toReversed().entries()) {
    const global = before;
    before = b.scope(`stages.${stage}`, () => {
      const local = b.has('convolution.weight') ? convolution(b, map, 'convolution') : map;
      return doubled(b, global ? b.scope('fusion', () => selected(b, local, global)) : local);
    });
  }
  if (!before) throw new Error('the backbone hands on no maps');
  return doubled(b, before);
}

function build(b: GraphBuilder, { maxDepth }: GlpnConfig, { backbone }: PartContext): void {
  const maps = backbone().stages.map((stage) => mapOf(b, stage));
  const map = b.scope('decoder', () => decoded(b, maps), { title: 'Selective feature fusion decoder' });
  const raw = b.scope('head.head', () => convolution(b, activate(b, convolution(b, map, '0'), 'relu'), '2'), {
    title: 'Depth head',
  });
  const depth = b.add('Mul', [b.add('Sigmoid', [raw]), b.scalar(maxDepth)]);
  b.output('predicted_depth', depthOf(b, depth), 'depth');
}

/** GLPN (Kim et al. 2022): a Mix Transformer and a light decoder that joins its maps. */
export const glpn: Whole<GlpnConfig> = {
  name: 'glpn',
  row: 'depth',
  title: 'GLPN',
  task: 'depth',
  signature: [
    'decoder.stages.1.fusion.convolutional_layer1.1.running_mean',
    'decoder.stages.1.fusion.convolutional_layer3.weight',
    'head.head.0.weight',
    'head.head.2.weight',
  ],
  hasNoBias: () => false,
  isTower: true,
  assumable: ['max_depth'],
  recognise,
  parts: [{ name: 'whole', build }],
};
