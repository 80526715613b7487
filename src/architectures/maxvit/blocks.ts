import { at } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { byHead, type ByHead } from '../blocks/byHead';
import {
  averagePool,
  batchNorm,
  convolution,
  maxPool,
  squeezeGate,
  type Padding,
} from '../blocks/convolution';
import { gridPartition, gridProbe, gridReverse } from '../blocks/gridWindows';
import { activate, layerScale, residual, withValue, type Tokens } from '../blocks/layers';
import { gridOf, gridOfLayout, layerScaleOfMap, mapNorm, mapToTokens, tokensToMap } from '../blocks/maps';
import { parameterSide, splitInThree } from '../blocks/parts';
import { mapMlp } from '../blocks/pointwise';
import {
  continuousTable,
  distances,
  gatheredBias,
  geometricTable,
  logCoordinates,
  tableBias,
} from '../blocks/relativePosition';
import { mergeHeads, mlp, splitHeads } from '../blocks/transformer';
import { windowPartition, windowProbe, windowReverse, windowsOf } from '../blocks/windows';
import { placesRoom, room } from '../../graph/limits';

/** What halves a map: the depthwise convolution, or a pooling before the first one. */
export type StrideMode = 'depthwise' | 'pooling';

/** What the blocks of a model have in common and its weights do not hold. */
export interface MaxVitSettings {
  readonly convolution: {
    readonly eps: number;
    readonly activation: string;
    /** TensorFlow's padding, or half of what a kernel reaches. */
    readonly padding: 'same' | 'half';
    /** Whether an activation follows the first norm. */
    readonly preActivation: boolean;
    /** Activation inside squeeze and excitation. */
    readonly gateActivation: string;
    readonly stride: StrideMode;
  };
  readonly transformer: {
    readonly eps: number;
    readonly activation: string;
    /**
     * Order of the fused layer's outputs: queries, keys and values of each head, or all queries,
     * then all keys, all values.
     */
    readonly qkv: 'by head' | 'apart';
    /** Scores are divided by the root of a head's width, or of the whole. */
    readonly scale: 'head' | 'width';
  };
  /** How shortcuts are halved. */
  readonly pool: keyof typeof pools;
  /** Tokens of a window or grid, and those that the stored tables were made for. */
  readonly window: Grid;
  readonly nativeWindow: Grid;
}

/** Where a block stands. */
interface Place {
  readonly stride: 1 | 2;
  /** Sides of the map that the stored tables of the stage were made for. */
  readonly nativeMap: Grid;
}

type PoolMaker = (b: GraphBuilder, map: ValueInfo, padding: Padding) => ValueInfo;

/** Ways to halve a map, by timm's names; `avg3` is torchvision's. */
export const pools = {
  avg2: (b, map, padding) => averagePool(b, map, { kernel: 2, padding }),
  avg3: (b, map) => averagePool(b, map, { kernel: 3, stride: 2, padding: 1 }),
  max: (b, map) => maxPool(b, map, { kernel: 3, stride: 2, padding: 1 }),
} as const satisfies Readonly<Record<string, PoolMaker>>;

/** `expand` if the number of channels changes, after halving the map. */
function shortcut(
  b: GraphBuilder,
  x: ValueInfo,
  { stride }: Place,
  pool: keyof typeof pools,
  padding: Padding = 0,
): ValueInfo {
  if (stride === 1) return x;
  const small = pools[pool](b, x, padding);
  return b.has('shortcut.expand.weight') ? convolution(b, small, 'shortcut.expand') : small;
}

/** Batch norm if running statistics are stored, else LayerNorm over the channels. */
export const normOfMap = (b: GraphBuilder, x: ValueInfo, name: string, eps: number): ValueInfo =>
  b.has(`${name}.running_mean`) ? batchNorm(b, x, name, eps) : mapNorm(b, x, name, eps);

/**
 * Squeeze and excitation if it is stored. A gate per channel inside of a block: the family's maps
 * are those of its attention.
 */
function excited(b: GraphBuilder, x: ValueInfo, name: string, activation: string): ValueInfo {
  if (!b.has(`${name}.fc1.weight`)) return x;
  const options = { reduce: 'fc1', expand: 'fc2', activation, gate: 'sigmoid' };
  return b.scope(name, () => b.add('Mul', [x, squeezeGate(b, x, options)]), {
    title: 'Squeeze and excitation',
    formula: `x · sigmoid(W₂ · ${activation}(W₁ · mean(x)))`,
  });
}

/**
 * Inverted bottleneck with squeeze and excitation (Sandler et al. 2018; Tan & Le 2019), norms first
 * as CoAtNet has it (Dai et al. 2021, §2.1).
 */
function mbConv(
  b: GraphBuilder,
  x: ValueInfo,
  { convolution: own, pool }: MaxVitSettings,
  place: Place,
): ValueInfo {
  const { eps, activation, gateActivation, preActivation } = own;
  const padding = own.padding === 'same' ? ({ padding: 'same' } as const) : {};
  const active = (value: ValueInfo): ValueInfo => activate(b, value, activation);
  const pooled = own.stride === 'pooling' && place.stride === 2;
  const normed = normOfMap(b, x, 'pre_norm', eps);
  const first = preActivation ? active(normed) : normed;
  const small = pooled ? pools.avg2(b, first, padding.padding ?? 0) : first;
  const wide = active(normOfMap(b, convolution(b, small, 'conv1_1x1'), 'norm1', eps));
  const stride = pooled ? 1 : place.stride;
  const local = excited(
    b,
    convolution(b, wide, 'conv2_kxk', { stride, ...padding }),
    'se_early',
    gateActivation,
  );
  const weighed = excited(b, active(normOfMap(b, local, 'norm2', eps)), 'se', gateActivation);
  return residual(b, shortcut(b, x, place, pool, padding.padding), convolution(b, weighed, 'conv3_1x1'));
}

/** ConvNeXt block (Liu et al. 2022) that may halve the map. */
function convNext(
  b: GraphBuilder,
  x: ValueInfo,
  { convolution: own }: MaxVitSettings,
  place: Place,
): ValueInfo {
  const local = normOfMap(b, convolution(b, x, 'conv_dw', { stride: place.stride }), 'norm', own.eps);
  const mixed = layerScaleOfMap(b, mapMlp(b, local, 'mlp', own.activation), 'ls');
  return residual(b, shortcut(b, x, place, 'avg2'), mixed);
}

/**
 * Whether a token lies `distance` further than another: `[length · length, distances]`, keys after
 * queries.
 */
function oneHot(b: GraphBuilder, length: number): ValueInfo {
  return b.shared(`one-hot distances ${length}`, () => {
    const count = 2 * length - 1;
    const table = new Float32Array(room(length * length * count));
    for (let query = 0; query < length; query++)
      for (let key = 0; key < length; key++)
        table[(query * length + key) * count + key - query + length - 1] = 1;
    return b.constant('/one_hot', 'F32', [length * length, count], table);
  });
}

/**
 * Bias `[heads, n, n]` as TensorFlow's MaxViT reads it off a table `[heads, rows, columns]` of
 * distances: by products with one-hot tables, which count as work of the attention (timm,
 * layers/pos_embed_rel.py reindex_2d_einsum_lookup).
 */
function productBias(b: GraphBuilder, name: string, window: Grid, native: Grid): ValueInfo {
  const heads = parameterSide(b, name, 0);
  const rows = b.transpose(b.parameter(name, [heads, distances(native)]), [1, 0]);
  const isNative = window.every((side, axis) => side === native[axis]);
  // einsum makes a copy of the table: what is multiplied is no parameter any more. A Gather of all
  // rows does the same here.
  const all = Array.from({ length: placesRoom(distances(native)) }, (_, index) => index);
  const table = isNative ? b.add('Gather', [rows, b.indices(all)]) : geometricTable(b, rows, native, window);
  const sides = [2 * window[0] - 1, 2 * window[1] - 1] as const;
  const plane = b.reshape(b.transpose(table, [1, 0]), [heads, ...sides]);
  const down = b.add('MatMul', [oneHot(b, window[0]), plane], {}, { name: '/rows' });
  const both = b.add('MatMul', [down, b.transpose(oneHot(b, window[1]), [1, 0])], {}, { name: '/columns' });
  const [height, width] = window;
  const apart = b.transpose(b.reshape(both, [heads, height, height, width, width]), [0, 1, 3, 2, 4]);
  return b.reshape(apart, [heads, height * width, height * width]);
}

/**
 * Relative position bias `[heads, n, n]` of the current scope, in the way its parameters are
 * stored.
 */
function relativeBias(b: GraphBuilder, window: Grid, native: Grid): ValueInfo {
  return b.scope('rel_pos', () => {
    if (b.has('mlp.fc1.weight')) {
      const coordinates = b.shared(`log distances ${window.join('x')}`, () =>
        b.constant('/log_distances', 'F32', [distances(window), 2], logCoordinates(window, 'cr')),
      );
      return gatheredBias(b, continuousTable(b, ['mlp.fc1', 'mlp.fc2'], coordinates), window);
    }
    const name = 'relative_position_bias_table';
    return b.shapeOf(name).length === 3
      ? productBias(b, name, window, native)
      : tableBias(b, name, window, { native });
  });
}

/** Queries, keys and values `[batch, heads, n, d]` of rows. */
function rowHeads(b: GraphBuilder, tokens: Tokens, heads: number, order: 'by head' | 'apart'): ByHead {
  if (order === 'apart') return byHead(b, tokens, heads);
  // A fused layer's outputs: `[batch, heads, n, 3 · d]`.
  return splitInThree(b, splitHeads(b, b.linear(tokens.value, 'qkv'), tokens.batch, heads), 3);
}

/** Attention within windows, or within grids spread over the map (Tu et al. 2022, §3.2). */
function partitionAttention(
  b: GraphBuilder,
  tokens: Tokens,
  kind: 'window' | 'grid',
  layer: string,
  { transformer, window, nativeWindow }: MaxVitSettings,
): ValueInfo {
  const windows = windowsOf(gridOfLayout(tokens.layout), window);
  const parts = kind === 'window' ? windowPartition(b, tokens, windows) : gridPartition(b, tokens, windows);
  const bias = relativeBias(b, window, nativeWindow);
  const [q, k, v] = rowHeads(b, parts, at(bias.shape, 0), transformer.qkv);
  const mixed = b.attention(q, k, v, {
    bias,
    ...(transformer.scale === 'width' && { scale: 1 / Math.sqrt(at(tokens.value.shape, 1)) }),
    probe: kind === 'window' ? windowProbe(windows, layer) : gridProbe(windows, layer),
  });
  const out = withValue(parts, b.linear(mergeHeads(b, mixed), 'proj'));
  return (kind === 'window' ? windowReverse(b, out, windows) : gridReverse(b, out, windows)).value;
}

/** x + s₁·mix(norm(x)), then x + s₂·mlp(norm(x)) over rows of the current scope. */
function transformerBlock(
  b: GraphBuilder,
  tokens: Tokens,
  { transformer: { eps, activation } }: MaxVitSettings,
  mix: (normed: Tokens) => ValueInfo,
): Tokens {
  const mixed = mix(withValue(tokens, b.layerNorm(tokens.value, 'norm1', eps)));
  const first = residual(b, tokens.value, layerScale(b, mixed, 'ls1'));
  const hidden = mlp(b, b.layerNorm(first, 'norm2', eps), 'mlp', { activation, eps });
  return withValue(tokens, residual(b, first, layerScale(b, hidden, 'ls2')));
}

const partitionNotes = {
  window: { title: 'Window attention', formula: 'softmax(QKᵀ/√d + B)·V within windows' },
  grid: { title: 'Grid attention', formula: 'softmax(QKᵀ/√d + B)·V within grids spread over the map' },
} as const;

/**
 * MaxViT block (Tu et al. 2022, §3.3): convolution, attention within windows, attention within
 * spread grids; MaxxViT-V2 leaves the windows out.
 */
function maxVitBlock(b: GraphBuilder, x: ValueInfo, settings: MaxVitSettings, place: Place): ValueInfo {
  const map = b.scope('conv', () => convolutionBlock(b, x, settings, place));
  const attended = (tokens: Tokens, name: string, kind: 'window' | 'grid'): Tokens =>
    b.has(`${name}.norm1.weight`)
      ? b.scope(
          name,
          () => {
            const layer = b.scopePath;
            return transformerBlock(b, tokens, settings, (normed) =>
              b.scope('attn', () => partitionAttention(b, normed, kind, layer, settings)),
            );
          },
          partitionNotes[kind],
        )
      : tokens;
  return tokensToMap(b, attended(attended(mapToTokens(b, map), 'attn_block', 'window'), 'attn_grid', 'grid'));
}

/**
 * timm's parallel MaxViT block: convolutions one after the other, then windows and grids side by
 * side, each for half of the channels.
 */
function parallelBlock(b: GraphBuilder, x: ValueInfo, settings: MaxVitSettings, place: Place): ValueInfo {
  let map = x;
  for (let index = 0; b.has(`conv.${index}.norm1.weight`) || b.has(`conv.${index}.norm.weight`); index++)
    map = b.scope(`conv.${index}`, () =>
      convolutionBlock(b, map, settings, index === 0 ? place : { ...place, stride: 1 }),
    );
  const tokens = b.scope('attn', () =>
    transformerBlock(b, mapToTokens(b, map), settings, (normed) => {
      const part = (name: string, kind: 'window' | 'grid'): ValueInfo =>
        b.scope(name, () => partitionAttention(b, normed, kind, b.scopePath, settings), partitionNotes[kind]);
      return b.concat([part('attn_block', 'window'), part('attn_grid', 'grid')], 1);
    }),
  );
  return tokensToMap(b, tokens);
}

/**
 * Self-attention over all positions of a map, with a relative position bias and 1 × 1 convolutions
 * (Dai et al. 2021, CoAtNet §2.2).
 */
function mapAttention(b: GraphBuilder, map: ValueInfo, layer: string, native: Grid): ValueInfo {
  const [batch, , rows, columns] = map.shape as readonly [number, number, number, number];
  const grid = gridOf(map);
  const bias = relativeBias(b, grid, native);
  const fused = convolution(b, map, 'qkv');
  const heads = at(bias.shape, 0);
  const width = at(fused.shape, 1);
  const apart = b.reshape(fused, [batch, heads, width / heads, rows * columns]);
  const [q, k, v] = splitInThree(b, b.transpose(apart, [0, 1, 3, 2]), 3);
  const layout = { special: [], grid };
  const mixed = b.attention(q, k, v, {
    bias,
    probe: { layer, kind: 'self', queries: layout, keys: layout },
  });
  const merged = b.reshape(b.transpose(mixed, [0, 1, 3, 2]), [batch, width / 3, rows, columns]);
  return convolution(b, merged, 'proj');
}

/**
 * CoAtNet's transformer block (Dai et al. 2021, §2.2), which may halve the map: pool(x) +
 * attention(pool(norm(x))), then the MLP.
 */
function coAtBlock(b: GraphBuilder, x: ValueInfo, settings: MaxVitSettings, place: Place): ValueInfo {
  const { pool, transformer } = settings;
  const halves = place.stride === 2;
  const layer = b.scopePath;
  const normed = normOfMap(b, x, halves ? 'norm1.norm' : 'norm1', transformer.eps);
  const small = halves ? pools[pool](b, normed, 0) : normed;
  const mixed = b.scope('attn', () => mapAttention(b, small, layer, place.nativeMap), {
    title: 'Relative self-attention',
    formula: 'softmax(QKᵀ/√d + B)·V',
  });
  const first = residual(b, shortcut(b, x, place, pool), layerScaleOfMap(b, mixed, 'ls1'));
  const hidden = mapMlp(b, normOfMap(b, first, 'norm2', transformer.eps), 'mlp', transformer.activation);
  return residual(b, first, layerScaleOfMap(b, hidden, 'ls2'));
}

type BlockBuilder = (b: GraphBuilder, x: ValueInfo, settings: MaxVitSettings, place: Place) => ValueInfo;

/**
 * Kinds of blocks by a parameter that only they have; `letter` is timm's, and the papers', for the
 * kind.
 */
export const maxVitBlocks = [
  { has: 'attn_grid.norm1.weight', letter: 'M', title: 'MaxViT block', build: maxVitBlock },
  { has: 'attn.attn_grid.qkv.weight', letter: 'PM', title: 'Parallel MaxViT block', build: parallelBlock },
  { has: 'attn.qkv.weight', letter: 'T', title: 'Transformer block', build: coAtBlock },
  { has: 'conv_dw.weight', letter: 'C', title: 'ConvNeXt block', build: convNext },
  { has: 'conv1_1x1.weight', letter: 'C', title: 'MBConv block', build: mbConv },
] as const satisfies readonly { has: string; letter: string; title: string; build: BlockBuilder }[];

/** The convolutional block of the current scope. */
const convolutionBlock: BlockBuilder = (b, x, settings, place) =>
  b.has('conv_dw.weight') ? convNext(b, x, settings, place) : mbConv(b, x, settings, place);
