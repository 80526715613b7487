import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { maybeNorm, norm, residual, withValue, type Tokens } from '../blocks/layers';
import { mapNorm, mapToTokens, meanOfMap, paddedToMultiple, tokensToMap } from '../blocks/maps';
import { mergeHeads, mlp, queryKeyValue, splitHeads } from '../blocks/transformer';
import { windowAttention, windowsOf } from '../blocks/windows';
import type { BuildOptions, EvidenceRecord, Family, Found, Recognised } from '../family';
import { assumed, numberOf, numbersOf, pairOf, stored, wordOf } from '../figures';
import { activationOf, epsOf, wordFigure } from '../groups/isotropicFigures';
import { sizeTitle, type Sizes } from '../sizes';
import {
  classesOf,
  countOf,
  decide,
  headsOf,
  imageSizeOf,
  recognisedFrom,
  sourcesOf,
  type Sources,
} from '../sources';
import { davitNames } from './names';

/** Sizes of Ding et al. 2022 (DaViT, table 1). */
const sizes: Sizes = {
  '1,1,3,1 96': 'T',
  '1,1,9,1 96': 'S',
  '1,1,9,1 128': 'B',
  '1,1,9,1 192': 'L',
  '1,1,9,1 256': 'H',
  '1,1,12,3 384': 'G',
};

/** Florence-2 names the two blocks of a pair, others number them; the first attends in windows, the second over channels. */
const pairs = [
  ['spatial_block', 'channel_block'],
  ['0', '1'],
] as const;

const blocksOf = (stage: number): string => `stages.${stage}.blocks`;

function pairOfNames({ tensors }: Found): (typeof pairs)[number] | undefined {
  return pairs.find(([first]) => tensors.has(`${blocksOf(0)}.0.${first}.attn.qkv.weight`));
}

/** Published heads are listed block by block; here one number stands for a stage. */
function headsByStage(
  sources: Sources,
  depths: readonly number[],
  dims: readonly number[],
): EvidenceRecord[string] {
  const firsts = depths.map((_, stage) => depths.slice(0, stage).reduce((sum, depth) => sum + depth, 0));
  const published = sources.published.map((model) => ({
    ...model,
    heads: model.heads && firsts.map((first) => model.heads![first]!),
  }));
  return headsOf({ ...sources, published }, dims, { config: ['num_heads'], perHead: 32 });
}

/** What differs between the paper's models and Florence-2's image tower, which the names of the blocks tell apart. */
function variant(sources: Sources, florence: boolean): EvidenceRecord {
  const like = florence ? 'as in Florence-2, whose block names these are' : 'as in the paper';
  return {
    window: decide(sources, 'window', {
      config: ['window_size'],
      named: [
        [/^davit_\w+_fl$/, 12],
        [/^davit_/, 7],
      ],
      otherwise: assumed(florence ? 12 : 7, `${like}; not stored in the weights`),
      is: (value) => [value].flat().every((side) => Number.isInteger(side) && Number(side) > 0),
      needed: 'a number, or rows and columns',
    }),
    channel_scale: wordFigure(sources, 'channel_scale', {
      config: [],
      words: ['channels', 'tokens'],
      otherwise: stored(florence ? 'tokens' : 'channels', like),
    }),
  };
}

function recognise(evidences: Found): Recognised | undefined {
  const { tensors } = evidences;
  const sources = sourcesOf(evidences);
  const names = pairOfNames(evidences);
  const channels = tensors.get('stem.conv.weight')?.shape[1];
  if (!names || !channels) return undefined;
  const stages = Array.from(
    { length: countOf(tensors, 'stages') },
    (_, stage) => `${blocksOf(stage)}.0.${names[0]}`,
  );
  const depths = stages.map((_, stage) => countOf(tensors, blocksOf(stage)));
  const side = (name: string, axis: number): number => tensors.get(name)?.shape[axis] ?? 0;
  const dims = stages.map((block) => side(`${block}.attn.qkv.weight`, 1));
  if ([...dims, ...depths].includes(0)) return undefined;
  const { imageSize, figure } = imageSizeOf(sources);
  const figures: EvidenceRecord = {
    patch: stored(4, 'stride of the stem'),
    channels: stored(channels, 'stem.conv.weight'),
    dim: stored(dims, `${stages[0]}.attn.qkv.weight`),
    depth: stored(depths, `${blocksOf(depths.length - 1)}.${depths.at(-1)! - 1}`),
    heads: headsByStage(sources, depths, dims),
    ...variant(sources, names[0] === 'spatial_block'),
    activation: activationOf(sources),
    eps: epsOf(sources),
    classes: classesOf(tensors, 'head.fc'),
    image_size: figure,
  };
  return recognisedFrom(sources, {
    label: 'davit',
    title: sizeTitle('DaViT', sizes, depths, dims),
    evidence: figures,
    imageSize,
    sizeStep: [4, 4],
    pixels: 'imagenet',
  });
}

/** A smaller map at the start of a stage: a norm and a strided convolution, which pads around itself where its kernel is odd. */
function downsampled(b: GraphBuilder, map: ValueInfo, eps: number): ValueInfo {
  const write = (): ValueInfo => {
    const normed = mapNorm(b, map, 'norm', eps);
    const kernel = b.shapeOf('conv.weight')[2]!;
    const even = kernel % 2 === 0;
    return convolution(b, even ? paddedToMultiple(b, normed, kernel) : normed, 'conv', {
      stride: 2,
      ...(even && { padding: 0 }),
    });
  };
  return b.scope('downsample', write, { title: 'Downsampling' });
}

interface Settings {
  readonly heads: number;
  readonly eps: number;
  readonly activation: string;
  readonly window: readonly [number, number];
  readonly channelScale: string;
}

type Attend = (b: GraphBuilder, tokens: Tokens, layer: string, settings: Settings) => ValueInfo;

/** Attention of tokens within windows, which always have their full size: small maps are padded. */
const spatialAttention: Attend = (b, tokens, layer, { heads, window }) => {
  const windows = windowsOf(tokens.layout.grid as readonly [number, number], window);
  return windowAttention(b, tokens, windows, { heads, layer }).value;
};

/**
 * Attention of channels within groups (Ding et al. 2022, §3.3): the map is `[batch, groups, d, d]`. The paper's models score keys against
 * values and mix the queries, Florence-2 does as attention usually does, and divides by the root of the number of tokens.
 */
const channelAttention: Attend = (b, tokens, layer, { heads, channelScale }) => {
  const [q, k, v] = queryKeyValue(b, tokens.value).map((x) =>
    b.transpose(splitHeads(b, x, tokens.batch, heads), [0, 1, 3, 2]),
  );
  const channels = { special: [], channels: q!.shape[2]! };
  const probe = { layer, kind: 'channel', queries: channels, keys: channels } as const;
  const byTokens = channelScale === 'tokens';
  const scale = 1 / Math.sqrt(byTokens ? tokens.count : q!.shape[2]!);
  const mixed = byTokens
    ? b.attention(q!, k!, v!, { scale, probe })
    : b.attention(k!, v!, q!, { scale, probe });
  return b.linear(mergeHeads(b, b.transpose(mixed, [0, 1, 3, 2])), 'proj');
};

/** x + depthwise convolution of x: positions without a table (Chu et al. 2023, CPVT). */
const positioned = (b: GraphBuilder, map: ValueInfo, name: string): ValueInfo =>
  residual(b, map, convolution(b, map, `${name}.proj`));

/** One block over a map: attention and, where it is stored, an MLP, each behind a convolution for positions and a norm. */
function block(b: GraphBuilder, map: ValueInfo, attend: Attend, settings: Settings): ValueInfo {
  const layer = b.scopePath;
  const tokens = mapToTokens(b, positioned(b, map, 'cpe1'));
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', settings.eps));
  const attended = b.scope('attn', () => attend(b, normed, layer, settings), {
    title: `Attention, ${settings.heads} heads`,
  });
  const mixed = tokensToMap(b, withValue(tokens, residual(b, tokens.value, attended)));
  const placed = mapToTokens(b, positioned(b, mixed, 'cpe2'));
  if (!b.has('mlp.fc1.weight')) return tokensToMap(b, placed);
  const hidden = mlp(b, norm(b, placed.value, 'norm2', settings.eps), 'mlp', settings);
  return tokensToMap(b, withValue(placed, residual(b, placed.value, hidden)));
}

/** Pairs of blocks: windows, then channels. */
function dualBlocks(b: GraphBuilder, map: ValueInfo, depth: number, settings: Settings): ValueInfo {
  const names = pairs.find(([first]) => b.has(`blocks.0.${first}.attn.qkv.weight`))!;
  let inner = map;
  for (let index = 0; index < depth; index++) {
    const write = (name: string, attend: Attend, title: string): ValueInfo =>
      b.scope(`blocks.${index}.${name}`, () => block(b, inner, attend, settings), { title });
    inner = write(names[0], spatialAttention, 'Window attention block');
    inner = write(names[1], channelAttention, 'Channel attention block');
  }
  return inner;
}

function build(b: GraphBuilder, { evidence: figures }: Recognised, { imageSize, batch }: BuildOptions): void {
  const pixels = b.input('pixel_values', [batch, numberOf(figures, 'channels'), ...imageSize]);
  const eps = numberOf(figures, 'eps');
  let map = b.scope(
    'stem',
    () => mapNorm(b, convolution(b, paddedToMultiple(b, pixels, 4), 'conv', { stride: 4 }), 'norm', eps),
    { title: 'Stem' },
  );
  for (const [stage, depth] of numbersOf(figures, 'depth').entries()) {
    const settings: Settings = {
      eps,
      heads: numbersOf(figures, 'heads')[stage]!,
      activation: wordOf(figures, 'activation'),
      window: pairOf(figures, 'window'),
      channelScale: wordOf(figures, 'channel_scale'),
    };
    const write = (): ValueInfo => dualBlocks(b, stage > 0 ? downsampled(b, map, eps) : map, depth, settings);
    map = b.scope(`stages.${stage}`, write, { title: `Stage ${stage + 1}` });
  }
  const last = mapNorm(b, map, 'norm_pre', eps);
  answer(b, maybeNorm(b, meanOfMap(b, last), 'head.norm', eps), last, 'head.fc');
}

/** Dual Attention Vision Transformer (Ding et al. 2022), also as Florence-2's image tower (Xiao et al. 2023). */
export const davit: Family<Recognised, void> = {
  name: 'davit',
  title: 'Dual Attention Vision Transformer',
  names: davitNames,
  assumable: ['heads', 'window', 'channel_scale', 'activation', 'eps'],
  recognise,
  build,
};
