import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { layerNormOfMap, resizedMap } from '../blocks/maps';
import { countOf, shapeOf } from '../decide';
import { stored } from '../evidence';
import { convolutionHead, upperNetHead } from '../heads/semantic';
import { settle, type FoundWhole, type PartContext, type Whole } from '../whole';
import { mapOf, ofFile, titleAround } from './detectors';

/** What UPerNet is written by. */
interface UperNetConfig {
  /** Sides of the grids that the coarsest map is pooled to. */
  readonly scales: readonly number[];
  /** Stages of the backbone that are read, from 0. */
  readonly stages: readonly number[];
  /** Epsilon of the norms of these stages. */
  readonly eps: number;
  /** The library computes the head of training in every pass. */
  readonly auxiliary: boolean;
}

/** Epsilons of the norms of a backbone's maps: that of its library's norm layer for maps. */
const mapEps: Readonly<Record<string, number>> = { convnext: 1e-6 };

/** The sides of the pooled grids, one for each of the stored convolutions behind them. */
export function poolScales(found: FoundWhole) {
  const count = countOf(found.tensors, 'decode_head.psp_modules');
  return settle<readonly number[]>(found, 'pool_scales', {
    config: ['pool_scales'],
    otherwise: stored<readonly number[]>([1, 2, 3, 6], 'as published (Xiao et al. 2018)'),
    is: (value) => Array.isArray(value) && value.length === count && value.every(isSide),
    needed: `${count} sides of grids`,
  });
}

const isSide = (value: unknown): boolean => Number.isInteger(value) && Number(value) > 0;

const stageNorm = /^backbone\.hidden_states_norms\.stage(\d+)\.weight$/;

const classifier = 'decode_head.classifier.weight';

/** Stages with a norm of their own are those that are read; of a backbone without any, all. */
function stagesRead({ tensors }: FoundWhole, levels: number): readonly number[] {
  const normed = [...tensors.keys()].flatMap((name) => {
    const stage = stageNorm.exec(name)?.[1];
    return stage === undefined ? [] : [Number(stage) - 1];
  });
  return normed.length > 0
    ? normed.sort((left, right) => left - right)
    : Array.from({ length: levels }, (_, stage) => stage);
}

function recognise(found: FoundWhole) {
  const [dim = 0] = shapeOf(found.tensors, 'decode_head.bottleneck.conv.weight');
  const [classes = 0] = shapeOf(found.tensors, classifier);
  const scales = poolScales(found);
  return {
    label: 'upernet',
    title: titleAround('UPerNet', found),
    evidence: {
      decoder_dim: stored(dim, 'decode_head.bottleneck.conv.weight'),
      pool_scales: scales,
      classes: stored(classes, ofFile(found, classifier)),
    },
    config: {
      scales: scales.value,
      stages: stagesRead(found, countOf(found.tensors, 'decode_head.lateral_convs') + 1),
      eps: mapEps[found.backbone.architecture] ?? 1e-5,
      auxiliary: !ofFile(found, classifier).endsWith('conv_seg.weight'),
    },
    reading: { task: 'segment', rule: 'semantic' } as const,
  };
}

function build(
  b: GraphBuilder,
  { scales, stages, eps, auxiliary: computed }: UperNetConfig,
  context: PartContext,
): void {
  const all = context.backbone().stages;
  const maps = stages.flatMap((index) => {
    const stage = all[index];
    const norm = `backbone.hidden_states_norms.stage${index + 1}`;
    const map = stage && mapOf(b, stage);
    if (!map) return [];
    return [b.has(`${norm}.weight`) ? layerNormOfMap(b, map, norm, eps) : map];
  });
  const scores = b.scope('decode_head', () => upperNetHead(b, maps, scales), { title: 'UPerNet head' });
  b.output('logits', resizedMap(b, scores, context.imageSize), 'masks');
  if (computed) auxiliary(b, maps, context);
}

/** Stage that transformers' auxiliary heads read, from 0. */
const auxiliaryStage = 2;

/**
 * The scores of the head that training alone needs, if it is stored: transformers computes them in
 * every pass, at the image's size.
 */
export function auxiliary(b: GraphBuilder, maps: readonly ValueInfo[], { imageSize }: PartContext): void {
  const map = maps[auxiliaryStage];
  if (!map || !b.has('auxiliary_head.classifier.weight')) return;
  const scores = b.scope('auxiliary_head', () => convolutionHead(b, map), { title: 'Auxiliary head' });
  b.output('auxiliary_logits', resizedMap(b, scores, imageSize), 'state');
}

/** UPerNet (Xiao et al. 2018) over the maps of any backbone with stages. */
export const upernet: Whole<UperNetConfig> = {
  name: 'upernet',
  row: 'segmentation',
  title: 'UPerNet',
  task: 'segment',
  signature: [
    'decode_head.psp_modules.0.1.batch_norm.running_mean',
    'decode_head.bottleneck.conv.weight',
    'decode_head.lateral_convs.0.conv.weight',
    'decode_head.fpn_bottleneck.conv.weight',
    classifier,
  ],
  // Heads over one map, which a neck or the backbone makes maps of several sizes of.
  absent: ['neck.lateral_convs.0.conv.weight', 'neck.upsample_4x.0.weight', 'fpn1.0.weight'],
  hasNoBias: (path) => path.endsWith('.conv'),
  isTower: true,
  assumable: ['pool_scales'],
  // mmsegmentation, which computes its auxiliary head in training alone.
  renames: [
    [/^((?:decode|auxiliary)_head\..+)\.bn\./, '$1.batch_norm.'],
    [/^(decode|auxiliary)_head\.conv_seg\./, '$1_head.classifier.'],
    [/^backbone\.norm(\d)\./, (_, stage = '0') => `backbone.hidden_states_norms.stage${Number(stage) + 1}.`],
  ],
  idle: /^(?:backbone\.swin\.layernorm|auxiliary_head)\./,
  recognise,
  parts: [{ name: 'whole', build }],
};
