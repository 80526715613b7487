import { images } from '../blocks/images';
import { at, last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution, maxPool, squeezeGate } from '../blocks/convolution';
import { activate, layerScale, norm, residual, withValue, type Tokens } from '../blocks/layers';
import { gridOf, layerNormOfMap, mapToTokens, meanOfMap, tokensToMap } from '../blocks/maps';
import { splitInTwo } from '../blocks/parts';
import { tableBias } from '../blocks/relativePosition';
import { mapStage, type ImageMaps } from '../blocks/stages';
import { mergeHeads, mlp, splitHeads } from '../blocks/transformer';
import {
  windowAttention,
  windowPartition,
  windowProbe,
  windowReverse,
  windowsOf,
  type Windows,
} from '../blocks/windows';
import type { BuildOptions, Evidence, Family, Found } from '../family';
import { stored } from '../evidence';
import { windowsOfTable } from '../groups/shiftedWindows';
import { answer } from '../heads/classifier';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import type { Sizes } from '../sizes';
import { onlySizeOf } from '../decide';
import { gcvitNames } from './names';
import { possibleSizes, windowsAt, type StageWindow } from './size';
import { quantity } from '../../domain/units';

const eps = 1e-5;
const activation = 'gelu';
const table = 'attn.rel_pos.relative_position_bias_table';

/** Sizes of Hatamizadeh et al. 2023 (GC ViT, table 7), XX-Tiny's depths as published. */
const sizes: Sizes = {
  '2,2,6,2 64': 'XXTiny',
  '3,4,6,5 64': 'XTiny',
  '3,4,19,5 64': 'Tiny',
  '3,4,19,5 96': 'Small',
  '3,4,19,5 128': 'Base',
};

/** Windows as people see them: a number for each stage, or rows × columns. */
function windowEvidence(windows: readonly StageWindow[]): Evidence {
  const source = `stages.*.blocks.0.${table}`;
  return windows.every(({ window: [rows, columns] }) => rows === columns)
    ? stored(
        windows.map(({ window: [side] }) => side),
        source,
      )
    : stored(
        windows.map(({ window }) => window.join('×')),
        source,
      );
}

function recognise(found: Found) {
  const { tensors } = found;
  const measured = measureStages(found, 'stages.*.blocks.*', 'attn.proj.weight');
  if (!measured) return undefined;
  const { sources, each, ratio } = measured;
  const traces = each(table, 0).value.map((rows, stage) => ({
    windows: windowsOfTable(rows),
    queryBlocks: queryBlocks((name) => tensors.has(name), `stages.${stage}.global_block`),
  }));
  const possible = possibleSizes(traces);
  const [own] = possible;
  if (!own) return undefined;
  const image = onlySizeOf(sources, own, `stages.0.blocks.0.${table}`, (size) =>
    possible.some((other) => other.join() === size.join()),
  );
  const windows = windowsAt(image.imageSize, traces);
  if (!windows) return undefined;
  return stagedConfig(measured, {
    label: 'gcvit',
    title: ['GCViT', sizes],
    head: 'head.fc',
    // No other size fits the windows.
    stride: 0,
    image,
    shapes: {
      heads: each(table, 1),
      mlp_ratio: ratio('mlp.fc1.weight'),
      window: windowEvidence(windows),
    },
    plumbing: { windows },
  });
}

type GcVitConfig = SettledBy<typeof recognise>;

/** Number of blocks that make the pooled queries of a stage. */
function queryBlocks(has: (name: string) => boolean, path: string): number {
  let count = 0;
  while (has(`${path}.blocks.conv${count + 1}.conv_dw.weight`)) count++;
  return count;
}

/**
 * Depthwise convolution, squeeze and excitation, and a pointwise one, without norms (Hatamizadeh et
 * al. 2023, eq. 2).
 */
function mbConv(b: GraphBuilder, x: ValueInfo, name: string): ValueInfo {
  return b.scope(
    name,
    () => {
      const local = activate(b, convolution(b, x, 'conv_dw'), activation);
      const excite = { reduce: 'fc1', expand: 'fc2', activation, gate: 'sigmoid' };
      const gate = b.scope('se', () => squeezeGate(b, local, excite), { title: 'Squeeze and excitation' });
      return residual(b, x, convolution(b, b.add('Mul', [local, gate]), 'conv_pw'));
    },
    { title: 'Fused inverted bottleneck', formula: 'x + W · (gate · gelu(depthwise(x)))' },
  );
}

/** Halves a map, between two norms (Hatamizadeh et al. 2023, §3.1). */
function downsample(b: GraphBuilder, x: ValueInfo, name: string): ValueInfo {
  return b.scope(
    name,
    () => {
      const local = mbConv(b, layerNormOfMap(b, x, 'norm1', eps), 'conv_block');
      return layerNormOfMap(b, convolution(b, local, 'reduction', { stride: 2 }), 'norm2', eps);
    },
    { title: 'Downsampling' },
  );
}

/**
 * The map pooled to one window: what every window of a block with global queries asks with
 * (Hatamizadeh et al. 2023, §3.2).
 */
function globalQueries(b: GraphBuilder, map: ValueInfo, { halvings }: StageWindow): Tokens {
  const count = queryBlocks((name) => b.has(name), 'global_block');
  const pooled = b.scope(
    'global_block.blocks',
    () =>
      Array.from({ length: count }, (_, index) => index).reduce((x, index) => {
        const local = mbConv(b, x, `conv${index + 1}`);
        return index < halvings ? maxPool(b, local, { kernel: 3, stride: 2, padding: 1 }) : local;
      }, map),
    { title: 'Global queries' },
  );
  return mapToTokens(b, pooled);
}

/**
 * Attention inside of windows whose queries are the pooled map's, the same for all of an image
 * (Hatamizadeh et al. 2023, eq. 4).
 */
function globalWindowAttention(
  b: GraphBuilder,
  tokens: Tokens,
  queries: Tokens,
  { windows, heads, layer, bias }: { windows: Windows; heads: number; layer: string; bias: ValueInfo },
): Tokens {
  const windowed = windowPartition(b, tokens, windows);
  const width = tokens.value.shape[1] ?? 0;
  const [key, value] = splitInTwo(b, b.linear(windowed.value, 'qkv'), 1);
  const each = b.reshape(queries.value, [tokens.batch, 1, queries.count * width]);
  const repeats = windowed.batch / tokens.batch;
  const repeated = b.add('Expand', [each, b.indices([tokens.batch, repeats, queries.count * width])]);
  const query = b.reshape(repeated, [windowed.batch * windowed.count, width]);
  const split = (x: ValueInfo): ValueInfo => splitHeads(b, x, windowed.batch, heads);
  const mixed = b.attention(split(query), split(key), split(value), {
    bias: [bias],
    probe: windowProbe(windows, layer),
  });
  return windowReverse(b, withValue(windowed, b.linear(mergeHeads(b, mixed), 'proj')), windows);
}

/**
 * Window attention, its own queries or the pooled ones, and an MLP, each behind its norm
 * (Hatamizadeh et al. 2023, fig. 2).
 */
function block(
  b: GraphBuilder,
  tokens: Tokens,
  queries: Tokens | undefined,
  { windows, heads }: { windows: Windows; heads: number },
): Tokens {
  const layer = b.scopePath;
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', eps));
  const attended = b.scope(
    'attn',
    () => {
      const bias = tableBias(b, 'rel_pos.relative_position_bias_table', windows.size);
      return queries
        ? globalWindowAttention(b, normed, queries, { windows, heads, layer, bias })
        : windowAttention(b, normed, windows, { heads, layer, bias });
    },
    {
      title: `Window attention, ${quantity(heads, 'head')}${queries ? ', global queries' : ''}`,
      formula: 'softmax(QKᵀ/√d + B)·V',
    },
  );
  const mixed = residual(b, tokens.value, layerScale(b, attended.value, 'ls1'));
  const hidden = mlp(b, norm(b, mixed, 'norm2', eps), 'mlp', { activation, eps });
  return withValue(tokens, residual(b, mixed, layerScale(b, hidden, 'ls2')));
}

/**
 * Blocks of a stage: the first asks with its own queries, the next with the pooled ones, and so on.
 */
function stageOf(b: GraphBuilder, before: ValueInfo, stage: number, config: GcVitConfig): ValueInfo {
  return b.scope(`stages.${stage}`, () => {
    const map = stage === 0 ? before : downsample(b, before, 'downsample');
    const place = at(config.windows, stage);
    const queries = globalQueries(b, map, place);
    const windows = windowsOf(gridOf(map), place.window);
    const heads = at(config.heads, stage);
    let tokens = mapToTokens(b, map);
    for (let index = 0; index < at(config.depth, stage); index++)
      tokens = b.scope(
        `blocks.${index}`,
        () => block(b, tokens, index % 2 === 1 ? queries : undefined, { windows, heads }),
        { title: 'GCViT block' },
      );
    const isLast = stage === config.depth.length - 1;
    return tokensToMap(b, isLast ? withValue(tokens, norm(b, tokens.value, 'norm', eps)) : tokens);
  });
}

function build(b: GraphBuilder, config: GcVitConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'stem.conv1');
  const stem = b.scope('stem', () => downsample(b, convolution(b, pixels, 'conv1', { stride: 2 }), 'down'));
  const maps: ValueInfo[] = [];
  for (const stage of config.depth.keys()) maps.push(stageOf(b, maps.at(-1) ?? stem, stage, config));
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/**
 * Global Context Vision Transformer (Hatamizadeh et al. 2023): windows that ask for themselves, and
 * windows asked with queries of the whole image.
 */
export const gcvit: Family<GcVitConfig, ImageMaps> = {
  name: 'gcvit',
  title: 'GCViT',
  names: gcvitNames,
  assumable: [],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map, 'head.fc'),
};
