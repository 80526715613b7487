import { answer } from '../heads/classifier';
import { last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { averagePool, convolution } from '../blocks/convolution';
import { activate, maybeNorm, norm, residual, withValue, type Tokens } from '../blocks/layers';
import { mapNorm, mapToTokens, meanOfTokens, sequence } from '../blocks/maps';
import { eachBlock, mapStage, stages, tokenStage, type TokenMaps } from '../blocks/stages';
import { selfAttention } from '../blocks/transformer';
import type { BuildOptions, Family, Found, Recognised } from '../family';
import { configOf, stored } from '../evidence';
import { epsOf, type BlockConfig } from '../groups/isotropicConfig';
import { placed, positionsOf, type PlacedBy, type PositionTable } from '../groups/positionTable';
import { sizeTitle, type Sizes } from '../sizes';
import {
  type Sources,
  activationOf,
  classesOf,
  countOf,
  headsOf,
  imageSizeOf,
  recognisedFrom,
  sourcesOf,
} from '../decide';
import { vitaminNames } from './names';

const stem = 'patch_embed.backbone';

/**
 * Halvings of the image before the transformer: stem, two convolutional stages, the last
 * convolution.
 */
const step = 16;

/** Sizes of Chen et al. 2024 (ViTamin, table 1), by their transformer. */
const sizes: Sizes = { '14 384': 'S', '14 768': 'B', '31 1024': 'L', '32 1152': 'XL' };

/** The largest models have no positions but those that convolutions bring. */
function withoutTable(sources: Sources): PositionTable {
  const { imageSize, evidence: sized } = imageSizeOf(sources);
  return { imageSize, evidence: { image_size: sized }, warnings: [] };
}

interface VitaminConfig extends BlockConfig, PlacedBy {
  readonly channels: number;
  /** Blocks of each convolutional stage, and of the transformer behind them. */
  readonly convolutional_depth: readonly number[];
  readonly depth: number;
}

function recognise(found: Found): Recognised<VitaminConfig> | undefined {
  const { tensors } = found;
  const sources = sourcesOf(found);
  const dim = tensors.get('blocks.0.norm1.weight')?.shape[0];
  if (!dim) return undefined;
  const depth = countOf(tensors, 'blocks');
  const heads = headsOf(sources, [dim], { config: [], perHead: 64 });
  const positions = positionsOf(sources, [step, step]) ?? withoutTable(sources);
  const convolutional = Array.from({ length: countOf(tensors, `${stem}.stages`) }, (_, stage) => stage);
  const settled = {
    depth: stored(depth, 'blocks.0 …'),
    convolutional_depth: stored(
      convolutional.map((stage) => countOf(tensors, `${stem}.stages.${stage}`)),
      `${stem}.stages`,
    ),
    dim: stored(dim, 'blocks.0.norm1.weight'),
    heads,
    patch: stored(step, `${stem}: four convolutions of stride 2`),
    activation: activationOf(sources),
    eps: epsOf(sources),
    pool: stored('avg', tensors.has('fc_norm.weight') ? 'fc_norm.weight' : 'as timm has it'),
    channels: stored(tensors.get(`${stem}.stem.conv1.weight`)?.shape[1] ?? 3, `${stem}.stem.conv1.weight`),
    classes: classesOf(tensors, 'head'),
    ...positions.evidence,
  };
  return recognisedFrom(sources, {
    label: 'vitamin',
    title: sizeTitle('ViTamin', sizes, [depth], [dim]),
    evidence: settled,
    config: { ...configOf(settled), heads: Number(heads.value) },
    imageSize: positions.imageSize,
    sizeStep: [step, step],
    pixels: 'clip',
    warnings: positions.warnings,
  });
}

/**
 * Inverted bottleneck behind a norm over channels (Sandler et al. 2018; Chen et al. 2024, §3.4),
 * the first of a stage at half the size.
 */
function convolutionalBlock(
  b: GraphBuilder,
  map: ValueInfo,
  stride: number,
  { activation, eps }: BlockConfig,
): ValueInfo {
  const normed = mapNorm(b, map, 'pre_norm', eps);
  const wide = activate(b, convolution(b, normed, 'conv1_1x1'), activation);
  const mixed = activate(b, convolution(b, wide, 'conv2_kxk', { stride }), activation);
  return residual(b, shortcut(b, map, stride), convolution(b, mixed, 'conv3_1x1'));
}

/** The map itself, pooled if the block halves it, widened if the block does. */
function shortcut(b: GraphBuilder, map: ValueInfo, stride: number): ValueInfo {
  if (stride === 1) return b.has('shortcut.weight') ? convolution(b, map, 'shortcut') : map;
  const pooled = averagePool(b, map, { kernel: 3, stride, padding: 1, countPadding: false });
  return b.has('shortcut.expand.weight') ? convolution(b, pooled, 'shortcut.expand') : pooled;
}

/** Pixels to the map of the first convolutions, `[batch, channels, rows, columns]`. */
function buildStem(b: GraphBuilder, pixels: ValueInfo, { activation, eps }: BlockConfig): ValueInfo {
  return b.scope('stem', () => {
    const first = mapNorm(b, convolution(b, pixels, 'conv1', { stride: 2 }), 'norm1', eps);
    return convolution(b, activate(b, first, activation), 'conv2');
  });
}

/** Maps of the convolutional stages, and the patches that the transformer reads. */
interface Embedded {
  readonly maps: readonly ValueInfo[];
  readonly patches: Tokens;
}

function embed(b: GraphBuilder, config: VitaminConfig, { imageSize, batch }: BuildOptions): Embedded {
  const pixels = b.input('pixel_values', [batch, config.channels, ...imageSize]);
  const { maps, map } = b.scope(
    stem,
    () => {
      const ends = stages(b, buildStem(b, pixels, config), {
        depths: config.convolutional_depth,
        path: ({ stage, index }) => `stages.${stage}.${index}`,
        block: (x, { index }) => convolutionalBlock(b, x, index === 0 ? 2 : 1, config),
        note: { title: 'Inverted bottleneck' },
      });
      const pooled = b.scope('pool', () =>
        convolution(b, mapNorm(b, last(ends), 'norm', config.eps), 'proj', { stride: 2 }),
      );
      return { maps: ends, map: pooled };
    },
    { title: 'Convolutional stages' },
  );
  const patches = mapToTokens(b, map);
  return { maps, patches: b.has('pos_embed') ? withValue(patches, placed(b, patches, config)) : patches };
}

/** GEGLU (Shazeer 2020) with a norm of its own: w₂(act(w₀x) ⊙ w₁x). */
function gatedMlp(b: GraphBuilder, x: ValueInfo, { activation, eps }: BlockConfig): ValueInfo {
  return b.scope(
    'mlp',
    () => {
      const normed = norm(b, x, 'norm', eps);
      const gate = activate(b, b.linear(normed, 'w0'), activation);
      return b.linear(b.add('Mul', [gate, b.linear(normed, 'w1')]), 'w2');
    },
    { title: 'Gated multi-layer perceptron', formula: 'W₂ · (act(W₀x) ⊙ W₁x)' },
  );
}

/** x + attn(norm1(x)), then x + mlp(norm2(x)). */
function block(b: GraphBuilder, tokens: Tokens, config: BlockConfig): Tokens {
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', config.eps));
  const x = residual(b, tokens.value, selfAttention(b, normed, 'attn', b.scopePath, config));
  return withValue(tokens, residual(b, x, gatedMlp(b, norm(b, x, 'norm2', config.eps), config)));
}

/** Convolutional stages, then the blocks of a transformer: a stage of both for each. */
function build(b: GraphBuilder, config: VitaminConfig, options: BuildOptions): TokenMaps {
  const { maps, patches } = embed(b, config, options);
  const blocks = eachBlock(b, patches, {
    depth: config.depth,
    block: (tokens) => block(b, tokens, config),
    note: { title: 'Transformer block' },
  });
  const end = last(blocks);
  return {
    stages: [
      ...maps.map((map) => mapStage(map, options.imageSize)),
      ...blocks.map((tokens) => tokenStage(tokens, options.imageSize)),
    ],
    tokens: withValue(end, maybeNorm(b, end.value, 'norm', config.eps)),
  };
}

/** The mean of all tokens, normalised if `fc_norm` is stored. */
function head(b: GraphBuilder, { tokens }: TokenMaps, { eps }: VitaminConfig): void {
  const output = sequence(b, tokens);
  answer(b, maybeNorm(b, meanOfTokens(b, tokens), 'fc_norm', eps), output);
}

/**
 * ViTamin (Chen et al. 2024): two stages of inverted bottlenecks, then a transformer with gated
 * MLPs.
 */
export const vitamin: Family<VitaminConfig, TokenMaps> = {
  name: 'vitamin',
  title: 'ViTamin',
  names: vitaminNames,
  assumable: ['heads', 'activation', 'eps', 'grid'],
  recognise,
  build,
  head,
};
