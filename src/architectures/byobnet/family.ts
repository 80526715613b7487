import { images } from '../blocks/images';
import { at, last, sum } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { channelAttention } from '../blocks/channelAttention';
import { averagePool, batchNorm, convNormModule, convolution, maxPool } from '../blocks/convolution';
import { activate, residual, withValue } from '../blocks/layers';
import { gridOf, mapToTokens, meanOfMap, meanOfTokens, sequence } from '../blocks/maps';
import { resampled } from '../blocks/positions';
import { tokenAt, withSpecialTokens } from '../blocks/specialTokens';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import { selfAttention } from '../blocks/transformer';
import { activationOf, decide, type Sources } from '../decide';
import { assumed, stored } from '../evidence';
import type { BuildOptions, Evidence, Family, Found } from '../family';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import { flag } from '../groups/valueKinds';
import { answer } from '../heads/classifier';
import { byobNetNames } from './names';

const eps = 1e-5;

/** What may halve the map behind the stem's convolutions. */
const pools = ['none', 'max', 'mean'] as const;
type Pool = (typeof pools)[number];

/** What the network is, and what goes with it as published though no weight tells. */
interface Kind {
  readonly title: string;
  readonly activation: 'relu' | 'silu';
  readonly pool: Pool;
}

/** Paths of the stem's convolutions, with and without norms behind them. */
function stemOf(has: (name: string) => boolean): readonly string[] {
  if (has('stem.conv.weight')) return ['stem'];
  const numbered = [1, 2, 3, 4].map((number) => `stem.conv${number}`);
  return numbered.filter((name) => has(`${name}.weight`) || has(`${name}.conv.weight`));
}

function kindOf({ tensors }: Found, depths: readonly number[], grouped: boolean): Kind {
  const stem = stemOf((name) => tensors.has(name));
  const widths = stem.map((path) => tensors.get(`${path}.conv.weight`)?.shape[0]);
  const name = `${grouped ? 'ResNeXt' : 'ResNet'}-${2 + 3 * sum(depths)}`;
  const isInverted = ![...tensors.keys()].some((each) => each.includes('.shortcut.'));
  if (isInverted) return { title: 'RegNetZ', activation: 'silu', pool: 'none' };
  if (stem.length === 1) return { title: 'GENet', activation: 'relu', pool: 'none' };
  // The stem of OpenAI's networks; those of timm grow with each convolution.
  if (stem.length === 3 && widths[0] === widths[1])
    return { title: `${name} of CLIP`, activation: 'relu', pool: 'mean' };
  return { title: name, activation: 'silu', pool: grouped && stem.length === 3 ? 'max' : 'none' };
}

/** Names of the published networks. */
const known = /^(?:gernet|regnetz|test_byobnet|(?:eca_|gc|se)?resne[xt])/;

function settingsOf(sources: Sources, kind: Kind, stem: number, depths: readonly number[]) {
  const why = `as in ${kind.title} of timm; no weight tells`;
  const usual = depths.map((_, stage) => ((stem === 1 ? stage < 4 : stage > 0) ? 2 : 1));
  return {
    activation: activationOf(sources, assumed(kind.activation, why), {
      named: [
        [/^(?:gernet|gcresnet50t(?:\.|$)|test_)|_clip|_mlp/, 'relu'],
        [known, 'silu'],
      ],
    }),
    strides: decide<readonly number[]>(sources, 'strides', {
      named: [[known, usual]],
      otherwise: assumed(usual, why),
      is: (value) => [value].flat().length === depths.length,
      needed: `1 or 2 for each of ${depths.length} stages`,
    }),
    stem_pooling: decide<Pool>(sources, 'stem_pooling', {
      named: [
        [/_clip|_mlp/, 'mean'],
        [/resnext/, 'max'],
        [known, 'none'],
      ],
      otherwise: assumed<Pool>(kind.pool, why),
      is: (value) => pools.some((pool) => pool === value),
      needed: `one of ${pools.join(', ')}`,
    }),
    mean_strides: decide(sources, 'mean_strides', {
      ...flag,
      named: [
        [/_clip|_mlp/, true],
        [known, false],
      ],
      otherwise: assumed(kind.pool === 'mean', why),
    }),
  };
}

/** Attention pools if its positions are stored; the answer is that of the mean. */
function poolSetting(sources: Sources): { readonly pool?: Evidence<string> } {
  if (!sources.found.tensors.has('head.pos_embed')) return {};
  return {
    pool: decide(sources, 'pool', {
      config: ['global_pool'],
      otherwise: stored('token', 'head.pos_embed'),
      is: (value) => value === 'token',
      refusal: 'these weights allow token',
    }),
  };
}

/** What ends a block, by its kind. */
const ends = ['conv3_1x1.conv.weight', 'conv2_kxk.conv.weight', 'conv2_1x1.conv.weight'];

function recognise(found: Found) {
  const { tensors } = found;
  const measured = measureStages(found, 'stages.*.*', ends);
  // Positions of the pooling on a grid that is no square do not tell its sides.
  const places = (tensors.get('head.pos_embed')?.shape[0] ?? 1) - 1;
  if (!measured || !Number.isInteger(Math.sqrt(places))) return undefined;
  const { sources, depths, each } = measured;
  const inner = each(['conv2_kxk.conv.weight', 'conv1_kxk.conv.weight'], 1);
  const grouped = inner.value[0] === 32 && each('conv2_kxk.conv.weight', 0).value[0] !== 32;
  const kind = kindOf(found, depths, grouped);
  const stem = stemOf((name) => tensors.has(name)).length;
  return stagedConfig(measured, {
    label: 'byobnet',
    title: `${kind.title}, ${depths.join(' + ')} blocks`,
    head: tensors.has('head.pos_embed') ? 'head.proj' : 'head.fc',
    stride: 32,
    shapes: { group_width: inner },
    settings: { ...settingsOf(sources, kind, stem, depths), ...poolSetting(sources) },
    plumbing: { linear: kind.title === 'RegNetZ' },
  });
}

type ByobNetConfig = SettledBy<typeof recognise>;

/** The convolutions of which every kind of block has some, in their order. */
const convolutions = ['conv1_1x1', 'conv1_kxk', 'conv2_kxk', 'conv2b_kxk', 'conv2_1x1', 'conv3_1x1'];

const halved = (b: GraphBuilder, x: ValueInfo): ValueInfo => averagePool(b, x, { kernel: 2 });

/** The input in the shape of the block's output; undefined if a block that changes it has none. */
function shortcutOf(b: GraphBuilder, x: ValueInfo, stride: number, width: number): ValueInfo | undefined {
  if (b.has('shortcut.conv.weight')) return convNormModule(b, x, 'shortcut', { eps, stride });
  if (!b.has('shortcut.conv.conv.weight')) return stride === 1 && at(x.shape, 1) === width ? x : undefined;
  const mean = stride === 1 ? x : averagePool(b, x, { kernel: 2, stride, ceil: true, countPadding: false });
  return convNormModule(b, mean, 'shortcut.conv', { eps });
}

/** A residual block of the convolutions that are stored; the first wide one strides. */
function block(b: GraphBuilder, x: ValueInfo, stride: number, config: ByobNetConfig): ValueInfo {
  const { activation, linear, mean_strides: means } = config;
  const names = convolutions.filter((name) => b.has(`${name}.conv.weight`));
  const strided = names.find((name) => name.endsWith('kxk'));
  const branch = names.reduce((before, name) => {
    const isLast = name === last(names);
    const step = name === strided ? stride : 1;
    const map = convNormModule(b, isLast ? channelAttention(b, before, 'attn') : before, name, {
      eps,
      activation: isLast ? undefined : activation,
      stride: means ? 1 : step,
    });
    return means && step === 2 ? halved(b, map) : map;
  }, x);
  const weighed = channelAttention(b, branch, 'attn_last');
  const shortcut = shortcutOf(b, x, stride, at(branch.shape, 1));
  const out = shortcut ? residual(b, weighed, shortcut) : weighed;
  return linear ? out : activate(b, out, activation);
}

/** One convolution, half of the size; or several and a pooling, or a second stride: a quarter. */
function stem(b: GraphBuilder, pixels: ValueInfo, config: ByobNetConfig): ValueInfo {
  const { activation, stem_pooling: pool } = config;
  const paths = stemOf((name) => b.has(name));
  const map = paths.reduce((x, path, index) => {
    const isEnd = index === paths.length - 1 && index > 0 && pool === 'none';
    const stride = index === 0 || isEnd ? 2 : 1;
    return b.has(`${path}.conv.weight`)
      ? convNormModule(b, x, path, { eps, activation, stride })
      : convolution(b, x, path, { stride });
  }, pixels);
  if (paths.length === 1 || pool === 'none') return map;
  return pool === 'max' ? maxPool(b, map, { kernel: 3, stride: 2, padding: 1 }) : halved(b, map);
}

function build(b: GraphBuilder, config: ByobNetConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const { depth, strides, activation } = config;
  const pixels = images(b, [batch, ...imageSize], 'stem.conv', 'stem.conv1', 'stem.conv1.conv');
  const maps = stages(b, stem(b, pixels, config), {
    depths: depth,
    path: ({ stage, index }) => `stages.${stage}.${index}`,
    block: (x, { stage, index }) => block(b, x, index === 0 ? at(strides, stage) : 1, config),
    note: { title: 'Residual block', formula: `${activation}(x + convolutions(x))` },
  });
  const end = last(maps);
  return {
    stages: maps.map((map) => mapStage(map, imageSize)),
    map: b.has('final_conv.conv.weight') ? convNormModule(b, end, 'final_conv', { eps, activation }) : end,
  };
}

/** Channels per head of the attention that pools. */
const headWidth = 64;

/**
 * Attention in the place of a mean (Radford et al. 2021, §2.4): of all positions and their mean,
 * whose answer is taken; the classifier is its projection.
 */
function attended(b: GraphBuilder, map: ValueInfo): void {
  const grid = gridOf(map);
  const cells = mapToTokens(b, map);
  const [rows, dim] = b.shapeOf('head.pos_embed') as readonly [number, number];
  const side = Math.sqrt(rows - 1);
  const mean = b.reshape(meanOfTokens(b, cells), [cells.batch, 1, dim]);
  const tokens = withSpecialTokens(b, mean, ['mean'], cells);
  const table = b.reshape(b.parameter('head.pos_embed', [rows, dim]), [1, rows, dim]);
  const places = b.slice(table, 1, 1, rows);
  const own = resampled(b, places, [side, side], grid, 'bicubic, antialias');
  const placed = b.add('Add', [sequence(b, tokens), b.concat([b.slice(table, 1, 0, 1), own], 1)]);
  const value = b.reshape(placed, tokens.value.shape);
  const heads = at(b.shapeOf('head.q_proj.weight'), 0) / headWidth;
  const mixed = selfAttention(b, withValue(tokens, value), 'head', 'head', { heads, eps, bare: true });
  // The library projects all of them.
  if (b.has('head.proj.weight'))
    b.output('logits', tokenAt(b, withValue(tokens, b.linear(mixed, 'head.proj')), 0), 'logits');
  b.output('features', tokenAt(b, withValue(tokens, mixed), 0), 'features');
  b.output('tokens', map, 'tokens');
}

/** The mean; for some, a norm and a hidden layer before the classifier; or attention. */
function head(b: GraphBuilder, { map }: ImageMaps, { activation }: ByobNetConfig): void {
  if (b.has('head.pos_embed')) return attended(b, map);
  const mean = meanOfMap(b, map);
  const normed = b.has('head.norm.running_mean') ? batchNorm(b, mean, 'head.norm', eps) : mean;
  const isDeep = b.has('head.pre_logits.fc.weight');
  const features = isDeep ? activate(b, b.linear(normed, 'head.pre_logits.fc'), activation) : normed;
  answer(b, features, map, 'head.fc');
}

/**
 * Residual networks that timm puts together of kinds of blocks (byobnet.py): GENet (Lin et al.
 * 2020), RegNetZ (Dollár et al. 2021), ResNets of its own, CLIP's with means (Radford et al. 2021).
 */
export const byobNet: Family<ByobNetConfig, ImageMaps> = {
  name: 'byobnet',
  row: 'cnn',
  title: 'Residual network of chosen blocks',
  names: byobNetNames,
  assumable: ['activation', 'strides', 'stem_pooling', 'mean_strides'],
  recognise,
  build,
  head,
};
