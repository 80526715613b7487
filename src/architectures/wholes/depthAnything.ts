import type { Size } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { activate } from '../blocks/layers';
import { resizedMap } from '../blocks/maps';
import { shapeOf } from '../decide';
import { assumed, stored } from '../evidence';
import { depthOf } from '../heads/densePrediction';
import { backboneTitle, settle, type FoundWhole, type PartContext, type Whole } from '../whole';
import { fusedMaps, hasNoBias, headMap, neverComputed, recogniseNeck, type DptConfig } from './dpt';
import { numberOfBackbone } from './innerLayers';
import { depthAnythingNames } from './scratch';

/** What Depth Anything is written by. */
interface DepthAnythingConfig extends DptConfig {
  readonly type: DepthType;
  /** Factor of the last activation; metres of the farthest point where depth is metric. */
  readonly maxDepth: number;
  readonly patch: number;
}

type DepthType = 'relative' | 'metric';

/** What of relative and of metric depth differs in nothing that is stored. */
function scaleOf(found: FoundWhole) {
  const type = settle<DepthType>(found, 'depth_type', {
    config: ['depth_estimation_type'],
    otherwise: assumed<DepthType>('relative', 'metric models have the same names and shapes'),
    is: (value) => value === 'relative' || value === 'metric',
    needed: 'relative or metric',
  });
  const maxDepth = settle<number>(found, 'max_depth', {
    config: ['max_depth'],
    otherwise:
      type.value === 'relative'
        ? stored(1, 'as published')
        : assumed(20, 'metres; 20 indoors and 80 outdoors in published models'),
    is: (value) => typeof value === 'number' && value > 0,
    needed: 'a number above 0',
  });
  return { depth_type: type, max_depth: maxDepth };
}

function recognise(found: FoundWhole) {
  const { evidence, config } = recogniseNeck(found, true);
  const { readout: _, ...rest } = evidence;
  const scale = scaleOf(found);
  const [head = 0] = shapeOf(found.tensors, 'head.conv2.weight');
  return {
    label: 'depth-anything',
    title: `Depth Anything, ${backboneTitle(found)} backbone`,
    evidence: { ...rest, head: stored(head, 'head.conv2.weight'), ...scale },
    config: {
      ...config,
      // It never reads the class token.
      readout: 'ignore' as const,
      toNext: true,
      type: scale.depth_type.value,
      maxDepth: scale.max_depth.value,
      patch: numberOfBackbone(found, 'patch', 14),
    },
    reading: {
      task: 'depth',
      unit: scale.depth_type.value === 'metric' ? 'metres' : 'relative',
    } as const,
  };
}

/** Convolutions to one number a pixel, at the size of whole patches. */
function depthHead(
  b: GraphBuilder,
  map: ValueInfo,
  [height, width]: Size,
  { type, maxDepth, patch }: DepthAnythingConfig,
): ValueInfo {
  const size = [height - (height % patch), width - (width % patch)] as const;
  const finer = resizedMap(b, convolution(b, map, 'conv1'), size, { alignCorners: true });
  const mixed = activate(b, convolution(b, finer, 'conv2'), 'relu');
  const last = activate(b, convolution(b, mixed, 'conv3'), type === 'metric' ? 'sigmoid' : 'relu');
  return depthOf(b, maxDepth === 1 ? last : b.add('Mul', [last, b.scalar(maxDepth)]));
}

function build(b: GraphBuilder, config: DepthAnythingConfig, context: PartContext): void {
  const { steps } = fusedMaps(b, config, context);
  const map = headMap(steps, config.headIndex);
  const depth = b.scope('head', () => depthHead(b, map, context.imageSize, config), {
    title: 'Depth head',
  });
  b.output('predicted_depth', depth, 'depth');
}

/** Depth Anything (Yang et al. 2024) and V2 (Yang et al. 2024b): DPT's neck over DINOv2. */
export const depthAnything: Whole<DepthAnythingConfig> = {
  name: 'depth-anything',
  row: 'depth',
  title: 'Depth Anything',
  task: 'depth',
  signature: [
    'neck.fusion_stage.layers.0.projection.weight',
    'neck.convs.0.weight',
    'head.conv1.weight',
    'head.conv2.weight',
    'head.conv3.weight',
  ],
  renames: depthAnythingNames,
  hasNoBias,
  isTower: true,
  assumable: ['out_layers', 'layers_normed', 'depth_type', 'max_depth'],
  idle: neverComputed,
  recognise,
  parts: [{ name: 'whole', build }],
};
