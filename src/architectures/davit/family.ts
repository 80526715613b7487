import { at, last, sum } from '../../domain/lists';
import type { Size } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { maybeNorm, norm, residual, withValue, type Tokens } from '../blocks/layers';
import { gridOfLayout, mapNorm, mapToTokens, meanOfMap, paddedToMultiple, tokensToMap } from '../blocks/maps';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import { mergeHeads, mlp, queryKeyValue, splitHeads } from '../blocks/transformer';
import { windowAttention, windowsOf } from '../blocks/windows';
import type { BuildOptions, Evidence, Family, Found, Recognised } from '../family';
import { assumed, configOf, numbersIn, stored } from '../evidence';
import { epsOf, decideWord } from '../groups/isotropicConfig';
import { answer } from '../heads/classifier';
import { sizeTitle, type Sizes } from '../sizes';
import {
  type Sources,
  activationOf,
  classesOf,
  decide,
  headsOf,
  imageSizeOf,
  recognisedFrom,
  sourcesOf,
  stageDepths,
} from '../decide';
import { davitNames } from './names';
import { quantity } from '../../domain/units';

/** Sizes of Ding et al. 2022 (DaViT, table 1). */
const sizes: Sizes = {
  '1,1,3,1 96': 'T',
  '1,1,9,1 96': 'S',
  '1,1,9,1 128': 'B',
  '1,1,9,1 192': 'L',
  '1,1,9,1 256': 'H',
  '1,1,12,3 384': 'G',
};

/**
 * By what scores of channels are divided: the root of a group's channels, or of the number of
 * tokens.
 */
type ChannelScale = 'channels' | 'tokens';

/**
 * What the two blocks of a pair are called: the first attends in windows, the second over channels.
 */
type PairNames = readonly [spatial: string, channel: string];

/** Florence-2 names the blocks of a pair, others number them. */
const florenceNames: PairNames = ['spatial_block', 'channel_block'];
const pairNames: readonly PairNames[] = [florenceNames, ['0', '1']];

interface DaVitConfig {
  readonly channels: number;
  readonly depth: readonly number[];
  readonly heads: readonly number[];
  readonly eps: number;
  readonly activation: string;
  readonly window: Size;
  readonly channelScale: ChannelScale;
  readonly names: PairNames;
}

const blocksOf = (stage: number): string => `stages.${stage}.blocks`;

const namesOf = ({ tensors }: Found): PairNames | undefined =>
  pairNames.find(([first]) => tensors.has(`${blocksOf(0)}.0.${first}.attn.qkv.weight`));

/** Published heads are listed block by block or by stage; here one number stands for a stage. */
function headsByStage(
  sources: Sources,
  depths: readonly number[],
  dims: readonly number[],
): Evidence<number | readonly number[]> {
  const firsts = depths.map((_, stage) => sum(depths.slice(0, stage)));
  const published = sources.published.map(({ heads, ...model }) => ({
    ...model,
    heads: heads && (heads.length === depths.length ? heads : firsts.map((first) => heads[first] ?? NaN)),
  }));
  return headsOf({ ...sources, published }, dims, { config: ['num_heads'], perHead: 32 });
}

/** What differs between the paper's models and Florence-2's image tower. */
type VariantEvidence = {
  readonly window: Evidence<number | readonly number[]>;
  readonly channel_scale: Evidence<ChannelScale>;
};

/** Tells the two apart by the names of the blocks. */
function variant(sources: Sources, florence: boolean): VariantEvidence {
  const like = florence ? 'as in Florence-2, whose block names these are' : 'as in the paper';
  return {
    window: decide<number | readonly number[]>(sources, 'window', {
      config: ['window_size'],
      named: [
        [/^davit_\w+_fl$/, 12],
        [/^davit_/, 7],
      ],
      otherwise: assumed(florence ? 12 : 7, `${like}; not stored in the weights`),
      is: (value) => numbersIn(value).every((side) => Number.isInteger(side) && side > 0),
      needed: 'a number, or rows and columns',
    }),
    channel_scale: decideWord<ChannelScale>(sources, 'channel_scale', {
      config: [],
      words: ['channels', 'tokens'],
      otherwise: stored<ChannelScale>(florence ? 'tokens' : 'channels', like),
    }),
  };
}

function recognise(found: Found): Recognised<DaVitConfig> | undefined {
  const { tensors } = found;
  const sources = sourcesOf(found);
  const names = namesOf(found);
  const channels = tensors.get('stem.conv.weight')?.shape[1];
  if (!names || !channels) return undefined;
  const depths = stageDepths(tensors);
  const width = (stage: number): string => `${blocksOf(stage)}.0.${names[0]}.attn.qkv.weight`;
  const dims = depths.map((_, stage) => tensors.get(width(stage))?.shape[1] ?? 0);
  if ([...dims, ...depths].includes(0)) return undefined;
  const { imageSize, evidence: sized } = imageSizeOf(sources);
  const settled = {
    patch: stored(4, 'stride of the stem'),
    channels: stored(channels, 'stem.conv.weight'),
    dim: stored(dims, width(0)),
    depth: stored(depths, `${blocksOf(depths.length - 1)}.${last(depths) - 1}`),
    heads: headsByStage(sources, depths, dims),
    ...variant(sources, names === florenceNames),
    activation: activationOf(sources),
    eps: epsOf(sources),
    classes: classesOf(tensors, 'head.fc'),
    image_size: sized,
  };
  const sides = numbersIn(settled.window.value);
  return recognisedFrom(sources, {
    label: 'davit',
    title: sizeTitle('DaViT', sizes, depths, dims),
    evidence: settled,
    config: {
      ...configOf(settled),
      heads: numbersIn(settled.heads.value),
      window: [at(sides, 0), last(sides)],
      channelScale: settled.channel_scale.value,
      names,
    },
    imageSize,
    sizeStep: [4, 4],
    pixels: 'imagenet',
  });
}

/**
 * A smaller map at the start of a stage: a norm and a strided convolution, which pads around itself
 * if its kernel is odd.
 */
function downsampled(b: GraphBuilder, map: ValueInfo, eps: number): ValueInfo {
  const write = (): ValueInfo => {
    const normed = mapNorm(b, map, 'norm', eps);
    const kernel = at(b.shapeOf('conv.weight'), 2);
    const even = kernel % 2 === 0;
    return convolution(b, even ? paddedToMultiple(b, normed, kernel) : normed, 'conv', {
      stride: 2,
      ...(even && { padding: 0 }),
    });
  };
  return b.scope('downsample', write, { title: 'Downsampling' });
}

/** What a block reads beside its parameters. */
interface BlockConfig extends Pick<DaVitConfig, 'eps' | 'activation' | 'window' | 'channelScale'> {
  readonly heads: number;
}

type Attend = (b: GraphBuilder, tokens: Tokens, layer: string, config: BlockConfig) => ValueInfo;

/** Attention of tokens within windows, which always have their full size: small maps are padded. */
const spatialAttention: Attend = (b, tokens, layer, { heads, window }) => {
  const windows = windowsOf(gridOfLayout(tokens.layout), window);
  return windowAttention(b, tokens, windows, { heads, layer }).value;
};

/**
 * Attention of channels within groups (Ding et al. 2022, §3.3): the map is `[batch, groups, d, d]`.
 * The paper's models score keys against values and mix the queries, Florence-2 does as attention
 * usually does, and divides by the root of the number of tokens.
 */
const channelAttention: Attend = (b, tokens, layer, { heads, channelScale }) => {
  const [query, key, value] = queryKeyValue(b, tokens.value);
  const byChannel = (x: ValueInfo): ValueInfo =>
    b.transpose(splitHeads(b, x, tokens.batch, heads), [0, 1, 3, 2]);
  const [q, k, v] = [byChannel(query), byChannel(key), byChannel(value)] as const;
  const width = at(q.shape, 2);
  const channels = { special: [], channels: width };
  const probe = { layer, kind: 'channel', queries: channels, keys: channels } as const;
  const byTokens = channelScale === 'tokens';
  const scale = 1 / Math.sqrt(byTokens ? tokens.count : width);
  const mixed = byTokens ? b.attention(q, k, v, { scale, probe }) : b.attention(k, v, q, { scale, probe });
  return b.linear(mergeHeads(b, b.transpose(mixed, [0, 1, 3, 2])), 'proj');
};

/** x + depthwise convolution of x: positions without a table (Chu et al. 2023, CPVT). */
const positioned = (b: GraphBuilder, map: ValueInfo, name: string): ValueInfo =>
  residual(b, map, convolution(b, map, `${name}.proj`));

/**
 * One block over a map: attention and, if it is stored, an MLP, each behind a convolution for
 * positions and a norm.
 */
function block(b: GraphBuilder, map: ValueInfo, attend: Attend, config: BlockConfig): ValueInfo {
  const layer = b.scopePath;
  const tokens = mapToTokens(b, positioned(b, map, 'cpe1'));
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', config.eps));
  const attended = b.scope('attn', () => attend(b, normed, layer, config), {
    title: `Attention, ${quantity(config.heads, 'head')}`,
  });
  const mixed = tokensToMap(b, withValue(tokens, residual(b, tokens.value, attended)));
  const placed = mapToTokens(b, positioned(b, mixed, 'cpe2'));
  if (!b.has('mlp.fc1.weight')) return tokensToMap(b, placed);
  const hidden = mlp(b, norm(b, placed.value, 'norm2', config.eps), 'mlp', config);
  return tokensToMap(b, withValue(placed, residual(b, placed.value, hidden)));
}

/** A block that attends in windows, then one that attends over channels. */
function dualBlock(
  b: GraphBuilder,
  map: ValueInfo,
  [spatial, channel]: PairNames,
  config: BlockConfig,
): ValueInfo {
  const within = b.scope(spatial, () => block(b, map, spatialAttention, config), {
    title: 'Window attention block',
  });
  return b.scope(channel, () => block(b, within, channelAttention, config), {
    title: 'Channel attention block',
  });
}

/** Writes stages of pairs of blocks, with a norm of the last map, if one is stored. */
function build(b: GraphBuilder, config: DaVitConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const { channels, depth, heads, eps, names } = config;
  const pixels = b.input('pixel_values', [batch, channels, ...imageSize]);
  const stem = b.scope(
    'stem',
    () => mapNorm(b, convolution(b, paddedToMultiple(b, pixels, 4), 'conv', { stride: 4 }), 'norm', eps),
    { title: 'Stem' },
  );
  const ends = stages(b, stem, {
    depths: depth,
    module: (stage) => ({ path: `stages.${stage}`, note: { title: `Stage ${stage + 1}` } }),
    enter: (map, stage) => (stage > 0 ? downsampled(b, map, eps) : map),
    path: ({ index }) => `blocks.${index}`,
    block: (map, { stage }) => dualBlock(b, map, names, { ...config, heads: at(heads, stage) }),
  });
  return {
    stages: ends.map((map) => mapStage(map, imageSize)),
    map: mapNorm(b, last(ends), 'norm_pre', eps),
  };
}

/** Classifies the mean of the last map, after its norm. */
function head(b: GraphBuilder, { map }: ImageMaps, { eps }: DaVitConfig): void {
  answer(b, maybeNorm(b, meanOfMap(b, map), 'head.norm', eps), map, 'head.fc');
}

/**
 * Dual Attention Vision Transformer (Ding et al. 2022), also as Florence-2's image tower (Xiao et
 * al. 2023).
 */
export const davit: Family<DaVitConfig, ImageMaps> = {
  name: 'davit',
  title: 'Dual Attention Vision Transformer',
  names: davitNames,
  assumable: ['heads', 'window', 'channel_scale', 'activation', 'eps'],
  recognise,
  build,
  head,
};
