import { at, last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { byHead } from '../blocks/byHead';
import { convolution, maxPool } from '../blocks/convolution';
import { norm, residual, withValue, type Tokens } from '../blocks/layers';
import { gridOf, mapNorm, mapToTokens, meanOfMap, tokensToMap } from '../blocks/maps';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import { mlp } from '../blocks/transformer';
import { windowPartition, windowProbe, windowReverse, windowsOf, type Windows } from '../blocks/windows';
import type { BuildOptions, Family, Found, Recognised } from '../family';
import { assumed, configOf, numbersIn, stored } from '../evidence';
import { answer } from '../heads/classifier';
import { sizeTitle, type Sizes } from '../sizes';
import { classesOf, countOf, decide, headsOf, recognisedFrom, sourcesOf } from '../decide';
import { nestNames } from './names';
import { quantity } from '../../domain/units';

/** Sizes of Zhang et al. 2022 (NesT, table A1). */
const sizes: Sizes = { '2,2,8 96': 'T', '2,2,20 96': 'S', '2,2,20 128': 'B' };

type Padding = 'same' | 'symmetric';

interface NestConfig {
  readonly depth: readonly number[];
  readonly heads: readonly number[];
  readonly eps: number;
  readonly channels: number;
  readonly patch: number;
  /** Side of a block of the image, in tokens. */
  readonly window: number;
  readonly padding: Padding;
}

function recognise(found: Found): Recognised<NestConfig> | undefined {
  const { tensors } = found;
  const sources = sourcesOf(found);
  const levels = countOf(tensors, 'levels');
  const tables = Array.from(
    { length: levels },
    (_, level) => tensors.get(`levels.${level}.pos_embed`)?.shape ?? [],
  );
  const embedding = tensors.get('patch_embed.proj.weight')?.shape;
  const [, blocks = 0, positions = 0] = tables[0] ?? [];
  const side = Math.sqrt(blocks * positions);
  if (embedding?.length !== 4 || tables.length === 0) return undefined;
  if (!Number.isInteger(side) || tables.some((table) => table.length !== 4)) return undefined;
  const [, channels = 0, height = 0, width = 0] = embedding;
  const depth = tables.map((_, level) => countOf(tensors, `levels.${level}.transformer_encoder`));
  const dim = tables.map((table) => at(table, 3));
  const imageSize = [side * height, side * width] as const;
  const settled = {
    depth: stored(depth, `levels.0.transformer_encoder … of ${levels} levels`),
    dim: stored(dim, 'levels.0.pos_embed …'),
    heads: headsOf(sources, dim, { config: [], perHead: 32 }),
    patch: stored(height, 'patch_embed.proj.weight'),
    window: stored(
      Math.sqrt(positions),
      `levels.0.pos_embed: ${positions} positions in each of ${blocks} blocks`,
    ),
    padding: decide<Padding>(sources, 'padding', {
      named: [
        [/_jx/, 'same'],
        [/^nest_/, 'symmetric'],
      ],
      otherwise: assumed<Padding>('same', 'as in the weights published in JAX; the weights do not tell'),
      is: (value) => value === 'same' || value === 'symmetric',
      needed: 'same or symmetric',
    }),
    activation: stored('gelu', 'as in every published NesT'),
    eps: stored(1e-6, 'as timm has it'),
    pool: stored('avg', 'the mean over the last map'),
    classes: classesOf(tensors, 'head'),
    image_size: stored(imageSize, 'levels.0.pos_embed'),
  };
  return recognisedFrom(sources, {
    label: 'nest',
    title: sizeTitle('NesT', sizes, depth, dim),
    evidence: settled,
    config: { ...configOf(settled), heads: numbersIn(settled.heads.value), channels },
    choices: { padding: ['same', 'symmetric'] },
    imageSize,
    // Every block of the image has positions of its own, and timm does not resample them.
    sizeStep: [0, 0],
    pixels: 'imagenet',
  });
}

/**
 * Self-attention inside the blocks. The heads of a channel lie side by side when they are merged,
 * not the channels of a head as elsewhere.
 */
function blockAttention(b: GraphBuilder, tokens: Tokens, windows: Windows, heads: number): ValueInfo {
  const layer = b.scopePath;
  return b.scope(
    'attn',
    () => {
      const mixed = b.attention(...byHead(b, tokens, heads), { probe: windowProbe(windows, layer) });
      return b.linear(b.reshape(b.transpose(mixed, [0, 2, 3, 1]), tokens.value.shape), 'proj');
    },
    { title: `Attention inside blocks, ${quantity(heads, 'head')}`, formula: 'softmax(QKᵀ/√d)·V' },
  );
}

/** x + attn(norm1(x)), then x + mlp(norm2(x)), within each block of the image. */
function layer(b: GraphBuilder, tokens: Tokens, windows: Windows, heads: number, eps: number): ValueInfo {
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', eps));
  const attended = blockAttention(b, normed, windows, heads);
  const x = residual(b, tokens.value, attended);
  return residual(b, x, mlp(b, norm(b, x, 'norm2', eps), 'mlp', { activation: 'gelu', eps }));
}

/**
 * Block aggregation (Zhang et al. 2022, §3.2): convolution, norm and max pooling over the whole map
 * let neighbouring blocks talk.
 */
function aggregate(b: GraphBuilder, map: ValueInfo, config: NestConfig): ValueInfo {
  const padding = config.padding === 'same' ? 'same' : 1;
  return b.scope(
    'pool',
    () => {
      const mixed = mapNorm(b, convolution(b, map, 'conv', { padding }), 'norm', config.eps);
      return maxPool(b, mixed, { kernel: 3, stride: 2, padding });
    },
    { title: 'Block aggregation', formula: 'max pool(LN(conv(x)))' },
  );
}

/** Tokens of the map in their blocks, each with positions of its own. */
function placedBlocks(b: GraphBuilder, map: ValueInfo, windows: Windows): Tokens {
  const tokens = windowPartition(b, mapToTokens(b, map), windows);
  const [, ...table] = b.shapeOf('pos_embed');
  const apart = b.reshape(tokens.value, [at(map.shape, 0), ...table]);
  return withValue(tokens, b.reshape(b.add('Add', [apart, b.parameter('pos_embed')]), tokens.value.shape));
}

/** One level: transformer layers inside blocks of the map. */
function level(b: GraphBuilder, map: ValueInfo, index: number, config: NestConfig): ValueInfo {
  const { depth, heads, eps, window } = config;
  const windows = windowsOf(gridOf(map), window);
  const ends = stages(b, placedBlocks(b, map, windows), {
    depths: [at(depth, index)],
    path: (place) => `transformer_encoder.${place.index}`,
    block: (x) => withValue(x, layer(b, x, windows, at(heads, index), eps)),
    note: { title: 'Transformer layer' },
  });
  return tokensToMap(b, windowReverse(b, last(ends), windows));
}

/** Writes levels, between which blocks are aggregated, and the norm of the last map. */
function build(b: GraphBuilder, config: NestConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const { channels, patch, depth, eps } = config;
  const pixels = b.input('pixel_values', [batch, channels, ...imageSize]);
  const first = b.scope('patch_embed', () => b.conv2d(pixels, 'proj', { stride: patch }), {
    title: 'Patch embedding',
  });
  const ends = stages(b, first, {
    depths: depth.map(() => 1),
    path: ({ stage }) => `levels.${stage}`,
    block: (map, { stage }) => level(b, stage === 0 ? map : aggregate(b, map, config), stage, config),
    note: ({ stage }) => ({ title: `Level ${stage + 1}` }),
  });
  return {
    stages: ends.map((map) => mapStage(map, imageSize)),
    map: mapNorm(b, last(ends), 'norm', eps),
  };
}

/**
 * Nested Transformer (Zhang et al. 2022, "Nested Hierarchical Transformer"): attention inside
 * blocks that merge from level to level.
 */
export const nest: Family<NestConfig, ImageMaps> = {
  name: 'nest',
  title: 'NesT',
  names: nestNames,
  assumable: ['heads', 'padding'],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map),
};
