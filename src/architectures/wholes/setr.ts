import { at, last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { withValue, type Tokens } from '../blocks/layers';
import { gridOf, layerNormOfMap, resizedMap, tokensToMap } from '../blocks/maps';
import { patchesOnly } from '../blocks/specialTokens';
import type { Maps } from '../blocks/stages';
import { countOf, shapeOf } from '../decide';
import { stored } from '../evidence';
import { convUnit } from '../heads/semantic';
import { settle, type FoundWhole, type PartContext, type Whole } from '../whole';
import { sideOf, titleAround } from './detectors';
import { depthOfBackbone, lastTokens, layersRead, numberOfBackbone, quarters, tokensOf } from './innerLayers';

/** What SETR's heads are written by. */
interface SetrConfig {
  /** Blocks that are read, from 0. */
  readonly layers: readonly number[];
  readonly depth: number;
  /** Convolutions, or branches of two, each of which ends in an enlargement. */
  readonly steps: number;
  readonly scale: number;
  /** Epsilon of the backbone's last norm, if it has one. */
  readonly eps: number;
}

/** Epsilon of the norms of the maps that are read, in every config of SETR. */
const mapEps = 1e-6;
const seg = 'decode_head.conv_seg.weight';
const steps = 'decode_head.up_convs';

/**
 * Patches of a block as a map; mmsegmentation norms those of the last block if the backbone has a
 * last norm (`final_norm`).
 */
export function mapOfBlock(
  b: GraphBuilder,
  maps: Maps,
  layer: number,
  config: Pick<SetrConfig, 'depth' | 'eps'>,
) {
  const tokens: Tokens = tokensOf(maps, layer);
  const isNormed = layer === config.depth - 1 && b.has('norm.weight');
  const normed = isNormed ? withValue(tokens, b.layerNorm(tokens.value, 'norm', config.eps)) : tokens;
  return tokensToMap(b, patchesOnly(b, normed));
}

/** How much finer each step makes its map: no weight tells, and each published head has its own. */
function scaleOf(found: FoundWhole, usual: number) {
  return settle<number>(found, 'up_scale', {
    config: [],
    otherwise: stored(usual, 'as published (Zheng et al. 2021, §3.3)'),
    is: (value) => typeof value === 'number' && value >= 1,
    needed: 'a number of at least 1',
  });
}

function recogniseAs(found: FoundWhole, title: string, otherwise: readonly number[], usual: number) {
  const depth = depthOfBackbone(found);
  const layers = layersRead(found, { config: 'out_indices', from: 0, otherwise });
  const scale = scaleOf(found, usual);
  return {
    label: 'setr',
    title: titleAround(title, found),
    evidence: {
      out_layers: layers,
      up_scale: scale,
      decoder_dim: sideOf(found, seg, 1),
      classes: sideOf(found, seg, 0),
    },
    config: {
      layers: layers.value,
      depth,
      steps: countOf(found.tensors, steps),
      scale: scale.value,
      eps: numberOfBackbone(found, 'eps', mapEps),
    },
    reading: { task: 'segment', rule: 'semantic' } as const,
  };
}

/** A map so many times finer. */
function enlarged(b: GraphBuilder, map: ValueInfo, scale: number): ValueInfo {
  const [rows, columns] = gridOf(map);
  return resizedMap(b, map, [Math.floor(rows * scale), Math.floor(columns * scale)]);
}

function answer(b: GraphBuilder, map: ValueInfo, { imageSize }: PartContext): void {
  const scores = convolution(b, map, 'decode_head.conv_seg');
  b.output('logits', resizedMap(b, scores, imageSize), 'masks');
}

/** One step of 1 × 1 to four times the size (naive), or several of 3 × 3 that double it (PUP). */
function buildUp(b: GraphBuilder, config: SetrConfig, context: PartContext): void {
  const all = context.backbone();
  lastTokens(b, all);
  const read = mapOfBlock(b, all, last(config.layers), config);
  let map = layerNormOfMap(b, read, 'decode_head.norm', mapEps);
  for (let step = 0; step < config.steps; step++)
    map = enlarged(b, convUnit(b, map, `${steps}.${step}.0`), config.scale);
  answer(b, map, context);
}

/**
 * Multi-level aggregation (§3.3): each map added to those of the layers behind it, two convolutions
 * each, all side by side.
 */
function buildMla(b: GraphBuilder, config: SetrConfig, context: PartContext): void {
  const all = context.backbone();
  lastTokens(b, all);
  const projected = config.layers.map((layer, index) => {
    const normed = layerNormOfMap(b, mapOfBlock(b, all, layer, config), `neck.norm.${index}`, mapEps);
    return convUnit(b, normed, `neck.mla.channel_proj.${index}`);
  });
  const summed: ValueInfo[] = [];
  for (const map of projected.toReversed()) {
    const before = summed.at(-1);
    summed.push(before ? b.add('Add', [before, map]) : map);
  }
  const branches = summed.map((map, index) => {
    const mixed = convUnit(b, map, `neck.mla.feat_extract.${index}`);
    const twice = convUnit(b, convUnit(b, mixed, `${steps}.${index}.0`), `${steps}.${index}.1`);
    return enlarged(b, twice, config.scale);
  });
  answer(b, b.concat(branches, 1), context);
}

/** Convolutions in front of batch norms have no bias. */
const hasNoBias = (path: string, has: (name: string) => boolean): boolean =>
  path.endsWith('.conv') && has(`${path.replace(/conv$/, 'bn')}.running_mean`);

const common = {
  row: 'segmentation',
  task: 'segment',
  hasNoBias,
  isTower: true,
  assumable: ['out_layers', 'up_scale'],
  // Heads that training alone computes.
  idle: /^auxiliary_head\./,
} as const;

/** SETR of mmsegmentation (Zheng et al. 2021), naive and PUP: one layer, made finer by steps. */
export const setr: Whole<SetrConfig> = {
  ...common,
  name: 'setr',
  title: 'SETR',
  signature: ['decode_head.norm.weight', `${steps}.0.0.conv.weight`, seg],
  recognise(found) {
    const [, , kernel = 3] = shapeOf(found.tensors, `${steps}.0.0.conv.weight`);
    const isNaive = kernel === 1;
    const end = [depthOfBackbone(found) - 1];
    return recogniseAs(found, isNaive ? 'SETR naive' : 'SETR PUP', end, isNaive ? 4 : 2);
  },
  parts: [{ name: 'whole', build: buildUp }],
};

/** SETR of mmsegmentation with the aggregation of several layers (MLA). */
export const setrMla: Whole<SetrConfig> = {
  ...common,
  name: 'setr-mla',
  title: 'SETR',
  signature: [
    'neck.mla.channel_proj.0.conv.weight',
    'neck.mla.feat_extract.0.conv.weight',
    'neck.norm.0.weight',
    `${steps}.0.1.conv.weight`,
    seg,
  ],
  recognise: (found) => recogniseAs(found, 'SETR MLA', quarters(depthOfBackbone(found)), 4),
  parts: [{ name: 'whole', build: (b, config, context) => buildMla(b, checked(config), context) }],
};

/** The config if each layer that is read has its branch. Throws if not. */
function checked(config: SetrConfig): SetrConfig {
  at(config.layers, config.steps - 1);
  return config;
}
