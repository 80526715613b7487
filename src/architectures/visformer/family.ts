import { images } from '../blocks/images';
import { nearestDivisor } from '../divisors';
import { answer } from '../heads/classifier';
import { at, last, smallest } from '../../domain/lists';
import type { Grid, Size } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { batchNorm, convNorm, convolution } from '../blocks/convolution';
import { activate, residual, withValue } from '../blocks/layers';
import { gridOf, layerNormOfMap, mapToTokens, meanOfMap, tokensToMap } from '../blocks/maps';
import { parameterSide, splitInThree } from '../blocks/parts';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import { mergeHeads, selfProbe, splitHeads } from '../blocks/transformer';
import type { BuildOptions, Evidence, Family, Found, Recognised } from '../family';
import { assumed, configOf, stored } from '../evidence';
import { learnedImageSize, requireResolution } from '../groups/learnedMaps';
import { sizeTitle } from '../sizes';
import {
  activationOf,
  classesOf,
  countOf,
  decide,
  imageSizeOf,
  recognisedFrom,
  sideOf,
  sourcesOf,
  type Sources,
} from '../decide';
import { visformerNames } from './names';
import { quantity } from '../../domain/units';

type Tensors = Found['tensors'];

/** PyTorch's default of batch norms, and timm's of norms over channels. */
const [batchEps, layerEps] = [1e-5, 1e-6];

/** Numbers of the stages in the names. */
const numbers = [1, 2, 3] as const;

/**
 * Pixels per position of the map before a stage: the stem halves, the patch embeddings are as wide
 * as their steps.
 */
function strideOf(tensors: Tensors, stage: number): number {
  const side = (name: string): number => tensors.get(name)?.shape[2] ?? 1;
  const patches = numbers
    .filter((each) => each <= stage)
    .map((each) => side(`patch_embed${each}.proj.weight`));
  return patches.reduce((product, each) => product * each, tensors.has('stem.0.weight') ? 2 : 1);
}

/** Stages whose blocks have attention. */
const attentive = (tensors: Tensors): readonly number[] =>
  numbers.filter((stage) => tensors.has(`stage${stage}.0.attn.qkv.weight`));

/**
 * The same number of heads in every stage with attention: it divides the widths of the queries of
 * all.
 */
function headsOf(sources: Sources): Evidence<number> {
  const { tensors } = sources.found;
  const widths = attentive(tensors).map((stage) => sideOf(tensors, `stage${stage}.0.attn.qkv.weight`, 0) / 3);
  const width = smallest(widths);
  return decide(sources, 'heads', {
    config: ['num_heads'],
    published: ({ heads }) => heads?.[0],
    otherwise: assumed(nearestDivisor(width, width / 64), '64 per head; not stored in the weights'),
    is: (value) => Number(value) > 0 && widths.every((each) => each % Number(value) === 0),
    needed: `a number that divides the widths ${widths.join(', ')}`,
  });
}

interface VisformerConfig {
  readonly depth: readonly number[];
  /** The same in every stage with attention; 1 if none has. */
  readonly heads: number;
  readonly activation: string;
}

function recognise(found: Found): Recognised<VisformerConfig> {
  const { tensors } = found;
  const sources = sourcesOf(found);
  const dims = numbers.map((stage) => tensors.get(`stage${stage}.0.norm2.weight`)?.shape[0] ?? 0);
  const depths = numbers.map((stage) => countOf(tensors, `stage${stage}`));
  const [rows, columns] = tensors.get('pos_embed1')?.shape.slice(2) ?? [];
  const first = strideOf(tensors, 1);
  const { imageSize, evidence: sized } =
    rows && columns
      ? learnedImageSize(sources, stored<Grid>([rows, columns], 'pos_embed1'), first)
      : imageSizeOf(sources);
  const patch = strideOf(tensors, 3);
  const heads = attentive(tensors).length > 0 ? headsOf(sources) : undefined;
  const settled = {
    depth: stored(depths, 'stage1 … stage3'),
    dim: stored(dims, 'stage*.0.norm2'),
    ...(heads && { heads }),
    patch: stored(first, 'stem, patch_embed1.proj.weight'),
    image_size: sized,
    classes: classesOf(tensors, 'head'),
    activation: activationOf(sources, stored('gelu', "Visformer's in timm")),
  };
  return recognisedFrom(sources, {
    label: 'visformer',
    title: sizeTitle('Visformer', { '7,4,4 96': 'Ti', '7,4,4 192': 'S' }, depths, dims),
    imageSize,
    sizeStep: [patch, patch],
    pixels: 'imagenet',
    evidence: settled,
    config: { ...configOf(settled), heads: heads?.value ?? 1 },
  });
}

/** Batch norm or norm over the channels of a map, whichever is stored; x itself if none is. */
function normed(b: GraphBuilder, map: ValueInfo, name: string): ValueInfo {
  if (b.has(`${name}.running_mean`)) return batchNorm(b, map, name, batchEps);
  return b.has(`${name}.weight`) ? layerNormOfMap(b, map, name, layerEps) : map;
}

/**
 * Self-attention over all positions of a map, its linear layers written as 1 × 1 convolutions (Chen
 * et al. 2021, Visformer §3.3).
 */
function attention(b: GraphBuilder, map: ValueInfo, layer: string, heads: number): ValueInfo {
  return b.scope(
    'attn',
    () => {
      const fused = mapToTokens(b, convolution(b, map, 'qkv'));
      const split = (x: ValueInfo): ValueInfo => splitHeads(b, x, fused.batch, heads);
      const [query, key, value] = splitInThree(b, fused.value, 1);
      const mixed = b.attention(split(query), split(key), split(value), { probe: selfProbe(fused, layer) });
      return convolution(b, tokensToMap(b, withValue(fused, mergeHeads(b, mixed))), 'proj');
    },
    { title: `Multi-head self-attention, ${quantity(heads, 'head')}`, formula: 'softmax(QKᵀ/√d)·V' },
  );
}

/**
 * Two 1 × 1 convolutions, a grouped 3 × 3 one between them if it is stored (Chen et al. 2021,
 * §3.3: ResNeXt's block).
 */
function spatialMlp(b: GraphBuilder, map: ValueInfo, activation: string): ValueInfo {
  return b.scope(
    'mlp',
    () => {
      const hidden = activate(b, convolution(b, map, 'conv1'), activation);
      const spatial = b.has('conv2.weight')
        ? activate(b, convolution(b, hidden, 'conv2'), activation)
        : hidden;
      return convolution(b, spatial, 'conv3');
    },
    { title: 'Multi-layer perceptron', formula: 'W₃ · act(conv(act(W₁x)))' },
  );
}

function block(b: GraphBuilder, map: ValueInfo, { heads, activation }: VisformerConfig): ValueInfo {
  const layer = b.scopePath;
  const mixed = b.has('attn.qkv.weight')
    ? residual(b, map, attention(b, normed(b, map, 'norm1'), layer, heads))
    : map;
  return residual(b, mixed, spatialMlp(b, normed(b, mixed, 'norm2'), activation));
}

/**
 * The patch embedding before a stage and its position embeddings, which are not resampled: their
 * map is the only one that fits.
 */
function embed(b: GraphBuilder, map: ValueInfo, stage: number, imageSize: Size): ValueInfo {
  const path = `patch_embed${stage}`;
  if (!b.has(`${path}.proj.weight`)) return map;
  const patches = b.scope(
    path,
    () => {
      const side = parameterSide(b, 'proj.weight', 2);
      return normed(b, convolution(b, map, 'proj', { stride: side, padding: 0 }), 'norm');
    },
    { title: 'Patch embedding' },
  );
  const table = `pos_embed${stage}`;
  if (!b.has(table)) return patches;
  const own: Grid = [parameterSide(b, table, 2), parameterSide(b, table, 3)];
  const stride = Math.round(imageSize[0] / gridOf(patches)[0]);
  requireResolution(gridOf(patches), own, imageSize, stride, 'the position embeddings were');
  return b.add('Add', [patches, b.parameter(table)]);
}

/** Patch embeddings and blocks of three stages (Chen et al. 2021, §3.3). */
function build(b: GraphBuilder, config: VisformerConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'stem.0');
  const options = { stride: 2, eps: batchEps, activation: 'relu' } as const;
  const stem = b.has('stem.0.weight') ? convNorm(b, pixels, 'stem.0', 'stem.1', options) : pixels;
  const maps = stages(b, stem, {
    depths: config.depth,
    enter: (map, stage) => embed(b, map, at(numbers, stage), imageSize),
    path: ({ stage, index }) => `stage${at(numbers, stage)}.${index}`,
    block: (map) => block(b, map, config),
    note: { title: 'Visformer block' },
  });
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: normed(b, last(maps), 'norm') };
}

/**
 * Visformer (Chen et al. 2021): convolutions in the first stage, self-attention over whole maps in
 * the others.
 */
export const visformer: Family<VisformerConfig, ImageMaps> = {
  name: 'visformer',
  title: 'Visformer',
  names: visformerNames,
  assumable: ['heads', 'activation'],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map),
};
