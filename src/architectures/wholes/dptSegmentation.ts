import { last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { batchNorm, convolution } from '../blocks/convolution';
import { activate } from '../blocks/layers';
import { shapeOf } from '../decide';
import { stored } from '../evidence';
import { doubled } from '../heads/densePrediction';
import { backboneTitle, type FoundWhole, type PartContext, type Whole } from '../whole';
import { fusedMaps, hasNoBias, headMap, neverComputed, recogniseNeck, type DptConfig } from './dpt';
import { dptNames } from './scratch';

function recognise(found: FoundWhole) {
  const { evidence, config } = recogniseNeck(found);
  const [classes = 0] = shapeOf(found.tensors, 'head.head.4.weight');
  return {
    label: 'dpt',
    title: `DPT for segmentation, ${backboneTitle(found)} backbone`,
    evidence: { ...evidence, classes: stored(classes, 'head.head.4.weight') },
    config,
    reading: { task: 'segment', rule: 'semantic' } as const,
  };
}

/** Convolution, batch norm, ReLU and scores of classes (Ranftl et al. 2021, appendix A). */
function scores(b: GraphBuilder, map: ValueInfo): ValueInfo {
  const mixed = batchNorm(b, convolution(b, map, 'head.0'), 'head.1', 1e-5);
  return convolution(b, activate(b, mixed, 'relu'), 'head.4');
}

function build(b: GraphBuilder, config: DptConfig, context: PartContext): void {
  const { steps } = fusedMaps(b, config, context);
  const map = headMap(steps, config.headIndex);
  const logits = b.scope('head', () => doubled(b, scores(b, map)), { title: 'Segmentation head' });
  b.output('logits', logits, 'masks');
  // Training alone needs it; transformers computes it in every pass.
  if (!b.has('auxiliary_head.head.0.weight')) return;
  const auxiliary = b.scope('auxiliary_head', () => scores(b, last(steps)), { title: 'Auxiliary head' });
  b.output('auxiliary_logits', auxiliary, 'state');
}

/** DPT (Ranftl et al. 2021) that tells classes of pixels. */
export const dptSegmentation: Whole<DptConfig> = {
  name: 'dpt-segmentation',
  row: 'depth',
  title: 'DPT',
  task: 'segment',
  signature: [
    'neck.fusion_stage.layers.0.projection.weight',
    'neck.convs.0.weight',
    'head.head.1.running_mean',
    'head.head.4.weight',
  ],
  renames: dptNames,
  hasNoBias,
  isTower: true,
  assumable: ['out_layers', 'readout', 'readout_activation', 'layers_normed'],
  idle: neverComputed,
  recognise,
  parts: [{ name: 'whole', build }],
};
