import type { GraphBuilder } from '../../graph/builder';
import { float, int, text, type ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { activate } from '../blocks/layers';
import { gridOf, repeatedMap, resizedMap } from '../blocks/maps';

/** How a map of features becomes an image: the library's words; `none` keeps its size. */
export type EnlargementKind =
  'pixelshuffle' | 'pixelshuffle_aux' | 'pixelshuffledirect' | 'nearest+conv' | 'none';

/** An enlargement, and the parameter that shows it. */
export interface Enlargement {
  readonly kind: EnlargementKind;
  readonly scale: number;
  /** Channels of the image that comes out. */
  readonly channels: number;
  readonly source: string;
}

/** A parameter that one kind alone has, and the convolution that makes the image. */
const kinds: readonly (readonly [kind: EnlargementKind, shows: string, last: string])[] = [
  ['pixelshuffle_aux', 'upsample.conv_bicubic', 'upsample.final_convolution'],
  ['nearest+conv', 'upsample.conv_up1', 'upsample.final_convolution'],
  ['pixelshuffle', 'upsample.conv_before_upsample', 'upsample.final_convolution'],
  ['pixelshuffledirect', 'upsample.conv', 'upsample.conv'],
  ['none', 'final_convolution', 'final_convolution'],
];

/** Parameters of a file, as far as they tell how it enlarges. */
type Shapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

const sideOf = (tensors: Shapes, name: string): number => tensors.get(`${name}.weight`)?.shape[0] ?? 0;

const shuffled = 'upsample.upsample.convolution';

/** Doublings that are looked for: 16 times as large is more than any published model makes. */
const mostDoublings = 4;

/** How many times as many rows the layers make; not a whole number if they fit none. */
function scaleOf(tensors: Shapes, kind: EnlargementKind, channels: number): number {
  if (kind === 'none') return 1;
  if (kind === 'nearest+conv') return 4;
  if (kind === 'pixelshuffledirect') return Math.sqrt(sideOf(tensors, 'upsample.conv') / channels);
  if (tensors.has(`${shuffled}.weight`)) return 3;
  const places = Array.from({ length: mostDoublings }, (_, index) => `${shuffled}_${index}.weight`);
  return 2 ** places.filter((name) => tensors.has(name)).length;
}

/**
 * The enlargement that a file has layers of; undefined if it has none. What comes out is taken to
 * have as many `channels` as what goes in, if no layer tells.
 */
export function enlargementOf(tensors: Shapes, channels: number): Enlargement | undefined {
  const found = kinds.find(([, shows]) => tensors.has(`${shows}.weight`));
  if (!found) return undefined;
  const [kind, shows, last] = found;
  const scale = scaleOf(tensors, kind, channels);
  const out = kind === 'pixelshuffledirect' ? channels : sideOf(tensors, last);
  return Number.isInteger(scale) ? { kind, scale, channels: out, source: `${shows}.weight` } : undefined;
}

/** Depth to space as torch's `PixelShuffle` orders it (Shi et al. 2016, §2.2). */
const shuffle = (b: GraphBuilder, map: ValueInfo, by: number): ValueInfo =>
  b.add('DepthToSpace', [map], { blocksize: int(by), mode: text('CRD') });

/** Convolutions and shuffles: each twice as fine, or one three times. */
function shuffles(b: GraphBuilder, map: ValueInfo, scale: number): ValueInfo {
  return b.scope('upsample', () => {
    if (b.has('convolution.weight')) return shuffle(b, convolution(b, map, 'convolution'), scale);
    let finer = map;
    for (let index = 0; index < Math.log2(scale); index++)
      finer = shuffle(b, convolution(b, finer, `convolution_${index}`), 2);
    return finer;
  });
}

/** LeakyReLU with the slope of the layers of super-resolution, 0.2. */
export const leaky = (b: GraphBuilder, x: ValueInfo): ValueInfo =>
  b.add('LeakyRelu', [x], { alpha: float(0.2) });

/** `nn.LeakyReLU` as torch has it behind a convolution. */
const activated = (b: GraphBuilder, map: ValueInfo, name: string): ValueInfo =>
  activate(b, convolution(b, map, name), 'leaky_relu');

function doubled(b: GraphBuilder, map: ValueInfo, name: string): ValueInfo {
  const [rows, columns] = gridOf(map);
  return leaky(b, convolution(b, repeatedMap(b, map, [2 * rows, 2 * columns]), name));
}

/** The image by its features and itself enlarged, which steady the training (Conde et al. 2022). */
function withGuide(b: GraphBuilder, map: ValueInfo, pixels: ValueInfo, scale: number): ValueInfo {
  const [rows, columns] = gridOf(pixels);
  const enlarged = resizedMap(b, pixels, [scale * rows, scale * columns], { mode: 'cubic' });
  const guide = convolution(b, enlarged, 'conv_bicubic');
  const draft = convolution(b, activated(b, map, 'conv_before_upsample'), 'conv_aux');
  const finer = shuffles(b, activated(b, draft, 'conv_after_aux.0'), scale);
  return convolution(b, b.add('Add', [finer, guide]), 'final_convolution');
}

type Write = (b: GraphBuilder, map: ValueInfo, pixels: ValueInfo, scale: number) => ValueInfo;

const writes: Readonly<Record<EnlargementKind, Write>> = {
  pixelshuffle: (b, map, _, scale) =>
    convolution(b, shuffles(b, activated(b, map, 'conv_before_upsample'), scale), 'final_convolution'),
  pixelshuffle_aux: withGuide,
  pixelshuffledirect: (b, map, _, scale) => shuffle(b, convolution(b, map, 'conv'), scale),
  'nearest+conv': (b, map) => {
    const finer = doubled(b, doubled(b, activated(b, map, 'conv_before_upsample'), 'conv_up1'), 'conv_up2');
    return convolution(b, leaky(b, convolution(b, finer, 'conv_hr')), 'final_convolution');
  },
  none: (b, map, pixels) => b.add('Add', [pixels, convolution(b, map, 'final_convolution')]),
};

/**
 * The image `[batch, channels, scale · rows, scale · columns]` that features
 * `[batch, width, rows, columns]` become, in the model's own range of pixels; `pixels` are those
 * that the model was given, of as many rows and columns.
 */
export const enlarged = (
  b: GraphBuilder,
  map: ValueInfo,
  pixels: ValueInfo,
  { kind, scale }: Pick<Enlargement, 'kind' | 'scale'>,
): ValueInfo => {
  const write = (): ValueInfo => writes[kind](b, map, pixels, scale);
  return kind === 'none' ? write() : b.scope('upsample', write, { title: `Enlargement, ${scale} ×` });
};
