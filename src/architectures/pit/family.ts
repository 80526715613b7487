import { at, last } from '../../domain/lists';
import { bothSides } from '../../domain/probes';
import type { Grid, Size } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { norm, withValue, type Tokens } from '../blocks/layers';
import { mapToTokens, sequence, tokensToMap } from '../blocks/maps';
import { patchesOnly, specialsOnly, tokenAt, withSpecialTokens } from '../blocks/specialTokens';
import { eachBlock, mapStage, stages, type Maps } from '../blocks/stages';
import { configuredImageSize } from '../config';
import type { BuildOptions, ConfigValue, Evidence, Family, Found, Recognised } from '../family';
import { assumed, configOf, sideOrPair, stored, type ConfigOf } from '../evidence';
import { preNormBlock } from '../groups/plainBlocks';
import { answer } from '../heads/classifier';
import { distilledTokens } from '../heads/tokens';
import { sizeTitle, type Sizes } from '../sizes';
import {
  classesOf,
  countOf,
  decide,
  headsOf,
  headsOfEach,
  onlySizeOf,
  recognisedFrom,
  sideOf,
  sourcesOf,
  type Sources,
} from '../decide';
import { pitNames } from './names';

/** Sizes of Heo et al. 2021 (PiT, table 1). */
const sizes: Sizes = { '2,6,4 64': 'Ti', '2,6,4 96': 'XS', '2,6,4 144': 'S', '3,6,4 256': 'B' };

/** Places of a strided kernel along one side, without padding. */
const places = (side: number, kernel: number, stride: number): number =>
  Math.floor((side - kernel) / stride) + 1;

/** Whether the patches of an image of this size lie on the grid. */
const fills = ([height, width]: Size, patch: Size, stride: number, [rows, columns]: Grid): boolean =>
  places(height, patch[0], stride) === rows && places(width, patch[1], stride) === columns;

/**
 * Pixels between patches, which overlap by half in all published models; the position table and an
 * image size together determine others.
 */
function strideOf(sources: Sources, patch: Size, grid: Grid): Evidence<number> {
  const { found } = sources;
  const half = patch[0] >> 1;
  const size = found.imageSize ?? configuredImageSize(found.checkpoint)?.size;
  const told =
    size &&
    [half, ...Array.from({ length: patch[0] }, (_, index) => index + 1)].find((stride) =>
      fills(size, patch, stride, grid),
    );
  return decide(sources, 'patch_stride', {
    config: ['stride'],
    published: () => half,
    otherwise:
      told === undefined
        ? assumed(half, 'half a patch, as in all published models; not stored in the weights')
        : stored(told, 'pos_embed and the image size'),
    is: (value: ConfigValue) => Number.isInteger(value) && Number(value) > 0,
    needed: 'a whole number above 0',
  });
}

/** What is read off names and shapes. */
interface Shapes {
  /** Channels of the image. */
  readonly channels: number;
  readonly patch: Size;
  readonly grid: Grid;
  /** Lists of the blocks of every stage. */
  readonly paths: readonly string[];
  readonly dims: readonly number[];
  readonly depths: readonly number[];
}

function shapesOf({ tensors }: Found): Shapes | undefined {
  const [, channels, height, width] = tensors.get('patch_embed.conv.weight')?.shape ?? [];
  const [, , rows, columns] = tensors.get('pos_embed')?.shape ?? [];
  const count = countOf(tensors, 'transformers');
  if (channels === undefined || height === undefined || width === undefined) return undefined;
  if (rows === undefined || columns === undefined || count === 0) return undefined;
  const paths = Array.from({ length: count }, (_, stage) => `transformers.${stage}.blocks`);
  return {
    channels,
    patch: [height, width],
    grid: [rows, columns],
    paths,
    dims: paths.map((path) => sideOf(tensors, `${path}.0.norm1.weight`, 0)),
    depths: paths.map((path) => countOf(tensors, path)),
  };
}

/** The hyper-parameters, in the order in which people see them. */
function evidenceOf(
  sources: Sources,
  { channels, patch, grid, paths, dims, depths }: Shapes,
  stride: Evidence<number>,
  imageSize: Evidence<Size>,
) {
  const { tensors } = sources.found;
  const hidden = paths.map((path) => tensors.get(`${path}.0.mlp.fc1.weight`)?.shape[0] ?? 0);
  return {
    depth: stored(depths, `${last(paths)}.${last(depths) - 1}`),
    dim: stored(dims, 'transformers.0.blocks.0.norm1.weight'),
    heads: headsOf(sources, dims, { config: ['heads'], perHead: 32 }),
    mlp_ratio: stored(
      hidden.map((width, stage) => width / at(dims, stage)),
      'transformers.0.blocks.0.mlp.fc1.weight',
    ),
    patch: stored(sideOrPair(patch), 'patch_embed.conv.weight'),
    patch_stride: stride,
    grid: stored(grid, 'pos_embed'),
    activation: stored('gelu', 'fixed by the library'),
    eps: stored(1e-6, 'fixed by the library'),
    pool: stored('token', 'cls_token'),
    channels: stored(channels, 'patch_embed.conv.weight'),
    classes: classesOf(tensors, 'head'),
    image_size: imageSize,
  };
}

type PitConfig = Omit<ConfigOf<ReturnType<typeof evidenceOf>>, 'heads'> & {
  readonly heads: readonly number[];
};

function recognise(found: Found): Recognised<PitConfig> | undefined {
  const sources = sourcesOf(found);
  const shapes = shapesOf(found);
  if (!shapes) return undefined;
  const { patch, grid, dims, depths } = shapes;
  const stride = strideOf(sources, patch, grid);
  const step = stride.value;
  const own: Size = [(grid[0] - 1) * step + patch[0], (grid[1] - 1) * step + patch[1]];
  const { imageSize, evidence: sized } = onlySizeOf(sources, own, 'pos_embed', (size) =>
    fills(size, patch, step, grid),
  );
  const settled = evidenceOf(sources, shapes, stride, sized);
  const distilled = found.tensors.get('cls_token')?.shape[1] === 2;
  return recognisedFrom(sources, {
    label: 'pit',
    title: `${sizeTitle('PiT', sizes, depths, dims)}${distilled ? ' distilled' : ''}`,
    config: { ...configOf(settled), heads: headsOfEach(settled.heads.value, dims.length) },
    evidence: settled,
    imageSize,
    sizeStep: [0, 0],
    pixels: 'imagenet',
  });
}

/** The class token, and the distillation token if there are two. */
const specialNames = (count: number): readonly string[] => ['cls', 'dist'].slice(0, count);

/** A map and the special tokens `[batch, n, dim]` beside it. */
interface Features {
  readonly map: ValueInfo;
  readonly special: ValueInfo;
}

/** Patches plus their position table, which is a map of the same size. */
function embed(b: GraphBuilder, config: PitConfig, { imageSize, batch }: BuildOptions): Features {
  const pixels = b.input('pixel_values', [batch, config.channels, ...imageSize]);
  const patches = b.scope(
    'patch_embed',
    () => convolution(b, pixels, 'conv', { stride: bothSides(config.patch_stride), padding: 0 }),
    { title: 'Overlapping patch embedding' },
  );
  const token = b.parameter('cls_token');
  const special = batch === 1 ? token : b.add('Expand', [token, b.indices([batch, ...token.shape.slice(1)])]);
  return { map: b.add('Add', [patches, b.parameter('pos_embed')]), special };
}

/**
 * Pooling between stages (Heo et al. 2021): a strided depthwise convolution widens the map, a
 * linear layer the special tokens.
 */
function pool(b: GraphBuilder, { map, special }: Features): Features {
  return b.scope(
    'pool',
    () => {
      const [batch, count, dim] = special.shape as readonly [number, number, number];
      const wide = b.linear(b.reshape(special, [batch * count, dim]), 'fc');
      return {
        map: convolution(b, map, 'conv', { stride: 2 }),
        special: b.reshape(wide, [batch, count, at(wide.shape, 1)]),
      };
    },
    { title: 'Pooling', formula: 'depthwise(map), W · special tokens' },
  );
}

interface PitMaps extends Maps {
  /** Special tokens alone, after their norm. */
  readonly special: Tokens;
}

interface StageSettings {
  readonly depth: number;
  readonly heads: number;
  readonly eps: number;
  readonly activation: string;
}

/**
 * A stage of a plain transformer over special tokens and map, pooled before if it stores a pooling.
 */
function stage(b: GraphBuilder, features: Features, { depth, ...settings }: StageSettings): Features {
  const pooled = b.has('pool.conv.weight') ? pool(b, features) : features;
  const [, count = 0] = pooled.special.shape;
  const tokens = withSpecialTokens(b, pooled.special, specialNames(count), mapToTokens(b, pooled.map));
  const ends = eachBlock(b, tokens, {
    depth,
    block: (x, index) => withValue(x, preNormBlock(b, x, { ...settings, index })),
    note: { title: 'Transformer block' },
  });
  const end = last(ends);
  return { map: tokensToMap(b, patchesOnly(b, end)), special: specialsOnly(b, end) };
}

/** Writes stages over a shrinking map, and the norm of the special tokens behind the last. */
function build(b: GraphBuilder, config: PitConfig, options: BuildOptions): PitMaps {
  const { eps, activation, depth, heads } = config;
  const ends = stages(b, embed(b, config, options), {
    depths: depth.map(() => 1),
    path: ({ stage }) => `transformers.${stage}`,
    block: (x, place) =>
      stage(b, x, { depth: at(depth, place.stage), heads: at(heads, place.stage), eps, activation }),
    note: (place) => ({ title: `Stage ${place.stage + 1}` }),
  });
  const { special } = last(ends);
  const [batch, count, dim] = special.shape as readonly [number, number, number];
  const value = b.reshape(norm(b, special, 'norm', eps), [batch * count, dim]);
  return {
    stages: ends.map(({ map }) => mapStage(map, options.imageSize)),
    special: { value, batch, count, layout: { special: specialNames(count) } },
  };
}

/** Ends with the classifier of the class token, or of both special tokens, each by its own head. */
function head(b: GraphBuilder, { special }: PitMaps): void {
  if (special.count > 1) return distilledTokens(b, special);
  const all = sequence(b, special);
  answer(b, tokenAt(b, special, 0), all);
}

/**
 * Pooling-based Vision Transformer (Heo et al. 2021): stages over a map that convolutions shrink,
 * special tokens beside it.
 */
export const pit: Family<PitConfig, PitMaps> = {
  name: 'pit',
  title: 'Pooling-based Vision Transformer',
  names: pitNames,
  assumable: ['heads', 'patch_stride'],
  recognise,
  build,
  head,
};
