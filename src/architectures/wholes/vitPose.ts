import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { batchNorm, convolution, transposedConvolution } from '../blocks/convolution';
import { activate } from '../blocks/layers';
import { gridOf, resizedMap, sequence, tokensToMap } from '../blocks/maps';
import type { TokenMaps } from '../blocks/stages';
import { shapeOf } from '../decide';
import { assumed, stored } from '../evidence';
import { settle, type FoundWhole, type PartContext, type Whole } from '../whole';
import { ofFile, titleAround } from './detectors';
import { depthOfBackbone } from './innerLayers';

interface VitPoseConfig {
  /** How much finer the simple decoder's heatmaps are than the patches; 0 of the classic one. */
  readonly scale: number;
}

/** Epsilon of the classic decoder's batch norms: torch's default. */
const eps = 1e-5;

/** How much finer heatmaps are than patches; the classic decoder's layers tell. */
function scaleOf(found: FoundWhole) {
  return settle<number>(found, 'scale_factor', {
    config: ['scale_factor'],
    otherwise: assumed(4, 'as published (Xu et al. 2022, §3.2); not stored in the weights'),
    is: (value) => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 64,
    needed: 'a whole number from 1 to 64',
  });
}

/** The head reads the last block, as published models do. Throws `ConfigError` of another. */
function requireLastBlock(found: FoundWhole): void {
  const depth = depthOfBackbone(found);
  settle<readonly number[]>(found, 'out_layers', {
    config: ['backbone_config.out_indices'],
    otherwise: stored([depth], 'as published'),
    is: (value) => Array.isArray(value) && value.length === 1 && [depth, -1].includes(Number(value[0])),
    needed: `the last block, ${depth}, alone`,
  });
}

function recognise(found: FoundWhole) {
  const { tensors } = found;
  const isClassic = tensors.has('head.deconv1.weight');
  const [keypoints = 0] = shapeOf(tensors, 'head.conv.weight');
  requireLastBlock(found);
  const scale = scaleOf(found);
  return {
    label: 'vitpose',
    title: titleAround('ViTPose', found),
    evidence: {
      keypoints: stored(keypoints, ofFile(found, 'head.conv.weight')),
      decoder_kind: isClassic
        ? stored('classic: two transposed convolutions', ofFile(found, 'head.deconv1.weight'))
        : stored('simple: enlarged, one convolution', 'no transposed convolutions'),
      ...(!isClassic && { scale_factor: scale }),
    },
    config: { scale: isClassic ? 0 : scale.value },
    reading: { task: 'keypoints' } as const,
    modelType: 'vitpose',
    // The grid of positions is that of the model's own image.
    sizeStep: [0, 0] as const,
  };
}

/** A layer of the classic decoder: twice as fine, normed, ReLU. */
const finer = (b: GraphBuilder, map: ValueInfo, index: 1 | 2): ValueInfo =>
  activate(
    b,
    batchNorm(b, transposedConvolution(b, map, `deconv${index}`, 2, 1), `batchnorm${index}`, eps),
    'relu',
  );

/** ReLU, bilinear enlargement, and a convolution behind it (§3.2, "simple decoder"). */
function enlarged(b: GraphBuilder, map: ValueInfo, scale: number): ValueInfo {
  const [rows, columns] = gridOf(map);
  return resizedMap(b, activate(b, map, 'relu'), [scale * rows, scale * columns]);
}

function build(b: GraphBuilder, { scale }: VitPoseConfig, { backbone }: PartContext): void {
  const { tokens } = backbone() as TokenMaps;
  const map = tokensToMap(b, tokens);
  const heatmaps = b.scope(
    'head',
    () => convolution(b, scale > 0 ? enlarged(b, map, scale) : finer(b, finer(b, map, 1), 2), 'conv'),
    { title: 'Keypoint head' },
  );
  b.output('heatmaps', heatmaps, 'heatmaps');
  b.output('tokens', sequence(b, tokens), 'tokens');
}

/**
 * ViTPose (Xu et al. 2022): a plain transformer, and a map for every keypoint of one person. Under
 * transformers' names alone: files of the authors' do not tell how their patches are padded.
 */
export const vitPose: Whole<VitPoseConfig> = {
  name: 'vitpose',
  title: 'ViTPose',
  task: 'keypoints',
  isTower: true,
  signature: [
    'head.conv.weight',
    'head.conv.bias',
    'backbone.embeddings.position_embeddings',
    'backbone.layernorm.weight',
  ],
  hasNoBias: (path) => path.startsWith('head.deconv'),
  assumable: ['scale_factor'],
  recognise,
  parts: [{ name: 'whole', build }],
};
