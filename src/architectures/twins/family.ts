import { at, last } from '../../domain/lists';
import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { norm, withValue, type Tokens } from '../blocks/layers';
import { gridOfLayout, mapToTokens, meanOfTokens, sequence, tokensToMap } from '../blocks/maps';
import { reducedBlock, stagePatches, type ReducedSettings } from '../blocks/reducedAttention';
import { stages, tokenStage, type TokenMaps } from '../blocks/stages';
import { mergeHeads, queryKeyValue, splitHeads } from '../blocks/transformer';
import { windowPartition, windowProbe, windowReverse, windowsOf } from '../blocks/windows';
import type { BuildOptions, Evidence, Family, Found } from '../family';
import { assumed, stored } from '../evidence';
import { decidePerStage } from '../groups/perStage';
import { leastSide, patchesAt, pyramidShapes, reductionOf, stageSettings } from '../groups/pyramidConfig';
import { pyramidAssumable } from '../groups/pyramids';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import type { Sizes } from '../sizes';
import type { Sources } from '../decide';
import { twinsNames } from './names';
import { quantity } from '../../domain/units';

const blocksOf = (stage: number): string => `blocks.${stage}`;

/** Twins-PCPVT has the blocks of PVT, Twins-SVT windows in every other one. */
const sizes: Readonly<Record<'PCPVT' | 'SVT', Sizes>> = {
  PCPVT: { '3,4,6,3 64': 'S', '3,4,18,3 64': 'B', '3,8,27,3 64': 'L' },
  SVT: { '2,2,10,4 64': 'S', '2,2,18,2 96': 'B', '2,2,18,2 128': 'L' },
};

/** Path of a stage's patch embedding. */
const patchesOf = (stage: number): string => `patch_embeds.${stage}`;

/** Sides of the windows per stage, which no weight stores. */
const windowOf = (sources: Sources, count: number): Evidence<readonly number[]> =>
  decidePerStage(sources, 'window', count, {
    config: ['wss'],
    named: [[/^twins_svt/, 7]],
    otherwise: assumed(7, 'the side of all published windows; not stored in the weights'),
    is: (side) => Number.isInteger(side) && side > 1,
    needed: 'whole number above 1',
  });

function recognise(found: Found) {
  const measured = measureStages(found, 'blocks.*.*', 'norm1.weight');
  const patches = measured && patchesAt(found.tensors, patchesOf, measured.depths.length);
  if (!patches) return undefined;
  const { sources, depths } = measured;
  const windowed = found.tensors.has('blocks.0.0.attn.qkv.weight');
  const kind = windowed ? 'SVT' : 'PCPVT';
  const reduction = reductionOf(sources, blocksOf, depths.length, windowed ? 1 : 0);
  const defaults = { configuredEps: false, perHead: windowed ? 32 : 64 };
  return stagedConfig(measured, {
    label: 'twins',
    title: [`Twins-${kind}`, sizes[kind]],
    head: 'head',
    stride: leastSide(patches.kernels, reduction),
    shapes: {
      ...pyramidShapes(measured, blocksOf, defaults),
      patch: stored(patches.kernels, 'patch_embeds.0.proj.weight'),
      ...(windowed && { window: windowOf(sources, depths.length) }),
      reduction,
      pool: stored('avg', 'the mean over the last tokens'),
      channels: stored(patches.channels, 'patch_embeds.0.proj.weight'),
    },
  });
}

type TwinsConfig = SettledBy<typeof recognise>;

/**
 * Locally-grouped self-attention (Chu et al. 2021, Twins-SVT): inside windows, whose padding takes
 * part as zero tokens. The projection comes after the windows are put back, without the padding.
 */
function localAttention(b: GraphBuilder, tokens: Tokens, heads: number, side: number): ValueInfo {
  const layer = b.scopePath;
  return b.scope(
    'attn',
    () => {
      const windows = windowsOf(gridOfLayout(tokens.layout), side);
      const windowed = windowPartition(b, tokens, windows);
      const parts = queryKeyValue(b, windowed.value).map((x) => splitHeads(b, x, windowed.batch, heads));
      const mixed = b.attention(at(parts, 0), at(parts, 1), at(parts, 2), {
        probe: windowProbe(windows, layer),
      });
      return b.linear(windowReverse(b, withValue(windowed, mergeHeads(b, mixed)), windows).value, 'proj');
    },
    {
      title: `Locally-grouped self-attention, ${quantity(heads, 'head')}`,
      formula: 'softmax(QKᵀ/√d)·V inside windows',
    },
  );
}

/**
 * Positional encoding generator (Chu et al. 2023, CPVT): x + depthwise 3 × 3 convolution, which
 * marks places by the zeros around the map.
 */
function positionGenerator(b: GraphBuilder, tokens: Tokens, name: string): Tokens {
  const map = tokensToMap(b, tokens);
  return b.scope(name, () => mapToTokens(b, b.add('Add', [convolution(b, map, 'proj.0'), map])), {
    title: 'Positional encoding generator',
    formula: 'x + depthwise(x)',
  });
}

/** A block: its attention stays inside windows of this side if q, k and v are one layer. */
function block(b: GraphBuilder, tokens: Tokens, settings: ReducedSettings, window: number): Tokens {
  return b.has('attn.qkv.weight')
    ? reducedBlock(b, tokens, settings, (_, rows, { heads }) => localAttention(b, rows, heads, window))
    : reducedBlock(b, tokens, settings);
}

/** Stages of patches and blocks, a position generator behind the first block of each. */
function build(b: GraphBuilder, config: TwinsConfig, { imageSize, batch }: BuildOptions): TokenMaps {
  const pixels = b.input('pixel_values', [batch, config.channels, ...imageSize]);
  const cut = { eps: config.sampling_eps };
  const ends = stages(b, stagePatches(b, pixels, patchesOf(0), cut), {
    depths: config.depth,
    path: ({ stage, index }) => `blocks.${stage}.${index}`,
    enter: (tokens, stage) =>
      stage === 0 ? tokens : stagePatches(b, tokensToMap(b, tokens), patchesOf(stage), cut),
    block: (tokens, { stage }) => block(b, tokens, stageSettings(config, stage), config.window?.[stage] ?? 0),
    note: { title: 'Block' },
    behind: (tokens, { stage, index }) =>
      index === 0 ? positionGenerator(b, tokens, `pos_block.${stage}`) : tokens,
  });
  const final = last(ends);
  return {
    stages: ends.map((tokens) => tokenStage(tokens, imageSize)),
    tokens: withValue(final, norm(b, final.value, 'norm', config.eps)),
  };
}

/** Classifies the mean of the last tokens. */
function head(b: GraphBuilder, { tokens }: TokenMaps): void {
  const all = sequence(b, tokens);
  answer(b, meanOfTokens(b, tokens), all);
}

/**
 * Twins (Chu et al. 2021): reduced keys in every block (PCPVT), or in turn with windows (SVT), and
 * places marked by convolutions.
 */
export const twins: Family<TwinsConfig, TokenMaps> = {
  name: 'twins',
  title: 'Twins',
  names: twinsNames,
  assumable: [...pyramidAssumable, 'window'],
  recognise,
  build,
  head,
};
