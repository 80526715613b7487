import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { batchNorm, maxPool, transposedConvolution } from '../blocks/convolution';
import { activate } from '../blocks/layers';
import { tokensToMap } from '../blocks/maps';
import { patchesOnly } from '../blocks/specialTokens';
import { shapeOf } from '../decide';
import { stored } from '../evidence';
import { convolutionHead, upperNetHead } from '../heads/semantic';
import { backboneTitle, type FoundWhole, type PartContext, type Whole } from '../whole';

import { depthOfBackbone, lastTokens, layersRead, quarters, tokensOf } from './innerLayers';
import { poolScales } from './upernet';

/** What BEiT's segmentation head is written by. */
interface BeitSegmentationConfig {
  readonly layers: readonly number[];
  readonly scales: readonly number[];
}

/** transformers counts the embedded patches as the first layer, and layers from 1. */
const countedFrom = 2;

function recognise(found: FoundWhole) {
  const [dim = 0] = shapeOf(found.tensors, 'decode_head.bottleneck.conv.weight');
  const [classes = 0] = shapeOf(found.tensors, 'decode_head.classifier.weight');
  const depth = depthOfBackbone(found);
  // [3, 5, 7, 11] and [7, 11, 15, 23] in config.json of the published models.
  const published = depth === 12 ? [1, 3, 5, 9] : quarters(depth).map((layer) => layer - 1);
  const layers = layersRead(found, {
    config: 'out_indices',
    from: countedFrom,
    otherwise: depth === 24 ? [5, 9, 13, 21] : published,
  });
  const scales = poolScales(found);
  return {
    label: 'beit',
    title: `${backboneTitle(found)} with UPerNet`,
    evidence: {
      out_layers: layers,
      decoder_dim: stored(dim, 'decode_head.bottleneck.conv.weight'),
      pool_scales: scales,
      classes: stored(classes, 'decode_head.classifier.weight'),
    },
    config: { layers: layers.value, scales: scales.value },
    reading: { task: 'segment', rule: 'semantic' } as const,
  };
}

/** Maps of strides 4, 8, 16 and 32 of four with 16 (Bao et al. 2022, appendix). */
function pyramid(b: GraphBuilder, maps: readonly ValueInfo[]): readonly ValueInfo[] {
  const [first, second, third, fourth] = maps;
  if (!first || !second || !third || !fourth) throw new Error('four layers are needed');
  const finer = batchNorm(b, transposedConvolution(b, first, 'fpn1.0', 2), 'fpn1.1', 1e-5);
  return [
    transposedConvolution(b, activate(b, finer, 'gelu'), 'fpn1.3', 2),
    transposedConvolution(b, second, 'fpn2.0', 2),
    third,
    maxPool(b, fourth, { kernel: 2 }),
  ];
}

function build(b: GraphBuilder, { layers, scales }: BeitSegmentationConfig, { backbone }: PartContext): void {
  const all = backbone();
  lastTokens(b, all);
  const maps = pyramid(
    b,
    layers.map((layer) => tokensToMap(b, patchesOnly(b, tokensOf(all, layer)))),
  );
  const scores = b.scope('decode_head', () => upperNetHead(b, maps, scales), { title: 'UPerNet head' });
  b.output('logits', scores, 'masks');
  const third = maps[2];
  if (!third || !b.has('auxiliary_head.classifier.weight')) return;
  const auxiliary = b.scope('auxiliary_head', () => convolutionHead(b, third), { title: 'Auxiliary head' });
  b.output('auxiliary_logits', auxiliary, 'state');
}

/** BEiT (Bao et al. 2022) with UPerNet's head over four of its layers. */
export const beitSegmentation: Whole<BeitSegmentationConfig> = {
  name: 'beit-segmentation',
  row: 'beit',
  title: 'BEiT with UPerNet',
  task: 'segment',
  signature: [
    'fpn1.0.weight',
    'fpn1.3.weight',
    'fpn2.0.weight',
    'decode_head.psp_modules.0.1.bn.running_mean',
    'decode_head.bottleneck.conv.weight',
    'decode_head.fpn_bottleneck.conv.weight',
    'decode_head.classifier.weight',
  ],
  hasNoBias: (path) => path.endsWith('.conv'),
  isTower: true,
  assumable: ['out_layers', 'pool_scales'],
  idle: /^beit\.(?:embeddings\.mask_token$|pooler\.)/,
  recognise,
  parts: [{ name: 'whole', build }],
};
