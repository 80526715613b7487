import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { bothSides } from '../../domain/probes';
import { convolution } from '../blocks/convolution';
import { norm, withValue, type Tokens } from '../blocks/layers';
import { mapToTokens, sequence, tokensToMap } from '../blocks/maps';
import { patchesOnly, specialsOnly, tokenAt, withSpecialTokens } from '../blocks/specialTokens';
import { configuredImageSize } from '../config';
import type { BuildOptions, ConfigValue, Evidence, Family, Found, Recognised } from '../family';
import { assumed, numberOf, numbersOf, sideOrPair, stored, wordOf } from '../figures';
import { distilled } from '../groups/plainAnswer';
import { preNormBlock } from '../groups/plainBlocks';
import { sizeTitle, type Sizes } from '../sizes';
import {
  classesOf,
  countOf,
  decide,
  headsOf,
  onlySizeOf,
  recognisedFrom,
  sourcesOf,
  type Sources,
} from '../sources';
import { pitNames } from './names';

/** Sizes of Heo et al. 2021 (PiT, table 1). */
const sizes: Sizes = { '2,6,4 64': 'Ti', '2,6,4 96': 'XS', '2,6,4 144': 'S', '3,6,4 256': 'B' };

type Pair = readonly [number, number];

/** Places of a strided kernel along one side, without padding. */
const places = (side: number, kernel: number, stride: number): number =>
  Math.floor((side - kernel) / stride) + 1;

/** Pixels between patches, which overlap by half in all published models; the position table and an image size together tell others. */
function strideOf(sources: Sources, patch: Pair, grid: Pair): Evidence {
  const { checkpoint, imageSize } = sources.found;
  const half = patch[0] >> 1;
  const size = imageSize ?? configuredImageSize(checkpoint)?.size;
  const fits = (stride: number): boolean =>
    size !== undefined && size.every((side, axis) => places(side, patch[axis]!, stride) === grid[axis]);
  const told = [half, ...Array.from({ length: patch[0] }, (_, index) => index + 1)].find(fits);
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

function recognise(evidences: Found): Recognised | undefined {
  const { tensors } = evidences;
  const sources = sourcesOf(evidences);
  const kernel = tensors.get('patch_embed.conv.weight')?.shape;
  const table = tensors.get('pos_embed')?.shape;
  const stages = countOf(tensors, 'transformers');
  if (kernel?.length !== 4 || table?.length !== 4 || stages === 0) return undefined;
  const [patch, grid]: readonly [Pair, Pair] = [
    [kernel[2]!, kernel[3]!],
    [table[2]!, table[3]!],
  ];
  const paths = Array.from({ length: stages }, (_, stage) => `transformers.${stage}.blocks`);
  const dims = paths.map((path) => tensors.get(`${path}.0.norm1.weight`)?.shape[0] ?? 0);
  const stride = strideOf(sources, patch, grid);
  const step = Number(stride.value);
  const own: Pair = [(grid[0] - 1) * step + patch[0], (grid[1] - 1) * step + patch[1]];
  const { imageSize, figure } = onlySizeOf(sources, own, 'pos_embed', (size) =>
    size.every((side, axis) => places(side, patch[axis]!, step) === grid[axis]),
  );
  const depths = paths.map((path) => countOf(tensors, path));
  const distilled = tensors.get('cls_token')?.shape[1] === 2;
  return recognisedFrom(sources, {
    label: 'pit',
    title: `${sizeTitle('PiT', sizes, depths, dims)}${distilled ? ' distilled' : ''}`,
    evidence: {
      depth: stored(depths, `${paths.at(-1)!}.${depths.at(-1)! - 1}`),
      dim: stored(dims, 'transformers.0.blocks.0.norm1.weight'),
      heads: headsOf(sources, dims, { config: ['heads'], perHead: 32 }),
      mlp_ratio: stored(
        paths.map((path, stage) => (tensors.get(`${path}.0.mlp.fc1.weight`)?.shape[0] ?? 0) / dims[stage]!),
        'transformers.0.blocks.0.mlp.fc1.weight',
      ),
      patch: stored(sideOrPair(patch), 'patch_embed.conv.weight'),
      patch_stride: stride,
      grid: stored(grid, 'pos_embed'),
      activation: stored('gelu', 'fixed by the library'),
      eps: stored(1e-6, 'fixed by the library'),
      pool: stored('token', 'cls_token'),
      channels: stored(kernel[1]!, 'patch_embed.conv.weight'),
      classes: classesOf(tensors, 'head'),
      image_size: figure,
    },
    imageSize,
    sizeStep: [0, 0],
    pixels: 'imagenet',
  });
}

/** The class token, and the distillation token where there are two. */
const specialNames = (count: number): readonly string[] => ['cls', 'dist'].slice(0, count);

/** A map and the special tokens `[batch, n, dim]` beside it. */
interface Features {
  readonly map: ValueInfo;
  readonly special: ValueInfo;
}

/** Patches plus their position table, which is a map of the same size. */
function embed(
  b: GraphBuilder,
  { evidence: figures }: Recognised,
  { imageSize, batch }: BuildOptions,
): Features {
  const pixels = b.input('pixel_values', [batch, numberOf(figures, 'channels'), ...imageSize]);
  const patches = b.scope(
    'patch_embed',
    () =>
      convolution(b, pixels, 'conv', { stride: bothSides(numberOf(figures, 'patch_stride')), padding: 0 }),
    { title: 'Overlapping patch embedding' },
  );
  const token = b.parameter('cls_token');
  const special = batch === 1 ? token : b.add('Expand', [token, b.indices([batch, ...token.shape.slice(1)])]);
  return { map: b.add('Add', [patches, b.parameter('pos_embed')]), special };
}

/** Pooling between stages (Heo et al. 2021): a strided depthwise convolution widens the map, a linear layer the special tokens. */
function pool(b: GraphBuilder, { map, special }: Features): Features {
  return b.scope(
    'pool',
    () => {
      const [batch, count, dim] = special.shape as readonly [number, number, number];
      const wide = b.linear(b.reshape(special, [batch * count, dim]), 'fc');
      return {
        map: convolution(b, map, 'conv', { stride: 2 }),
        special: b.reshape(wide, [batch, count, wide.shape[1]!]),
      };
    },
    { title: 'Pooling', formula: 'depthwise(map), W · special tokens' },
  );
}

interface StageSettings {
  readonly depth: number;
  readonly heads: number;
  readonly eps: number;
  readonly activation: string;
}

/** A stage of a plain transformer over special tokens and map, pooled before where it stores a pooling. */
function stage(b: GraphBuilder, features: Features, { depth, ...settings }: StageSettings): Features {
  const pooled = b.has('pool.conv.weight') ? pool(b, features) : features;
  const names = specialNames(pooled.special.shape[1]!);
  let tokens: Tokens = withSpecialTokens(b, pooled.special, names, mapToTokens(b, pooled.map));
  for (let index = 0; index < depth; index++) {
    const block = (): ValueInfo => preNormBlock(b, tokens, { ...settings, index });
    tokens = withValue(tokens, b.scope(`blocks.${index}`, block, { title: 'Transformer block' }));
  }
  return { map: tokensToMap(b, patchesOnly(b, tokens)), special: specialsOnly(b, tokens) };
}

/** Stages over a shrinking map; the special tokens alone are classified, each by its own head. */
function build(b: GraphBuilder, recognised: Recognised, options: BuildOptions): void {
  const { evidence: figures } = recognised;
  const [heads, eps] = [numbersOf(figures, 'heads'), numberOf(figures, 'eps')];
  let features = embed(b, recognised, options);
  for (const [index, depth] of numbersOf(figures, 'depth').entries()) {
    const settings = { depth, heads: heads[index]!, eps, activation: wordOf(figures, 'activation') };
    features = b.scope(`transformers.${index}`, () => stage(b, features, settings), {
      title: `Stage ${index + 1}`,
    });
  }
  const [, count, dim] = features.special.shape as readonly [number, number, number];
  const value = b.reshape(norm(b, features.special, 'norm', eps), [options.batch * count, dim]);
  const tokens = { value, batch: options.batch, count, layout: { special: specialNames(count) } };
  if (count > 1) return distilled(b, tokens);
  const all = sequence(b, tokens);
  answer(b, tokenAt(b, tokens, 0), all);
}

/** Pooling-based Vision Transformer (Heo et al. 2021): stages over a map that convolutions shrink, special tokens beside it. */
export const pit: Family<Recognised, void> = {
  name: 'pit',
  title: 'Pooling-based Vision Transformer',
  names: pitNames,
  assumable: ['heads', 'patch_stride'],
  recognise,
  build,
};
