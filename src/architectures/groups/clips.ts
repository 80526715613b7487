import { at } from '../../domain/lists';
import { tokenCount, type TokenLayout } from '../../domain/probes';
import type { Size } from '../../domain/size';
import { ParameterError, type GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import type { DefaultsName } from '../../preprocessing/defaults';
import type { Tokens } from '../blocks/layers';
import type { Maps } from '../blocks/stages';
import { decide, headsOf, recognisedFrom, type SettledSize, type Sources } from '../decide';
import { configOf, sideOrPair, stored, type ConfigOf } from '../evidence';
import type { BuildOptions, Evidence, Recognised } from '../family';
import { sizeTitle, type Sizes } from '../sizes';
import { isotropicEvidence, type BlockConfig } from './isotropicConfig';
import type { Sides } from '../../domain/probes';

/** What a transformer over the frames of a clip hands to its head. */
export interface ClipMaps extends Maps {
  readonly tokens: Tokens;
}

/** What pixels of a clip become tokens by. */
export interface ClipConfig extends BlockConfig {
  readonly depth: number;
  readonly frames: number;
  /** Frames that one token is made of. */
  readonly tubelet: number;
  readonly patch: Sides;
  readonly channels: number;
}

/** How a kernel cuts a clip: `[dim, channels, frames, rows, columns]`, or of one frame. */
export interface Cut {
  readonly tubelet: number;
  readonly patch: Size;
  readonly channels: number;
}

/** The kernel that embeds patches or tubelets; undefined if there is none. */
export function cutOf({ found: { tensors } }: Sources): Cut | undefined {
  const shape = tensors.get('patch_embed.proj.weight')?.shape ?? [];
  const [, channels, ...sides] = shape;
  const [width, height, tubelet = 1] = sides.toReversed();
  return channels !== undefined && height !== undefined && width !== undefined && sides.length <= 3
    ? { tubelet, patch: [height, width], channels }
    : undefined;
}

/** Frames of a clip: the user, config.json, else what the model's own weights or papers say. */
export function framesOf(sources: Sources, tubelet: number, otherwise: Evidence<number>): Evidence<number> {
  return decide<number>(sources, 'frames', {
    config: ['num_frames', 'frames_per_clip'],
    otherwise,
    is: (value) => typeof value === 'number' && value > 0 && value % tubelet === 0,
    needed: tubelet === 1 ? 'a number of frames' : `a multiple of ${tubelet}, the frames of a token,`,
  });
}

/** What a family of clips has settled by itself. */
interface ClipFamily {
  readonly label: string;
  /** The family's name and its published sizes, by depth and width. */
  readonly title: readonly [family: string, sizes: Sizes];
  readonly cut: Cut;
  readonly frames: Evidence<number>;
  readonly size: SettledSize;
  readonly pixels: DefaultsName;
  readonly activation?: Evidence<string>;
  /** Positions of frames are computed: a clip may have any number. */
  readonly anyFrames?: true;
}

/** Frames that are counted at most; published models read 8 to 96. */
const mostFrames = 128;

const evidenceOf = (
  sources: Sources,
  { cut, frames, size, activation }: ClipFamily,
  isotropic: NonNullable<ReturnType<typeof isotropicEvidence>>,
) => ({
  ...isotropic,
  ...(activation && { activation }),
  heads: headsOf(sources, [isotropic.dim.value], {
    config: ['num_attention_heads', 'num_heads'],
    perHead: 64,
  }) as Evidence<number>,
  patch: stored(sideOrPair(cut.patch), 'patch_embed.proj.weight'),
  channels: stored(cut.channels, 'patch_embed.proj.weight'),
  tubelet: stored(cut.tubelet, 'patch_embed.proj.weight'),
  frames,
  image_size: size.evidence,
});

/** A transformer over clips, whose blocks are all as wide; undefined if a part is missing. */
export function recogniseClips(
  sources: Sources,
  family: ClipFamily,
): Recognised<ConfigOf<ReturnType<typeof evidenceOf>>> | undefined {
  const isotropic = isotropicEvidence(sources);
  if (!isotropic) return undefined;
  const settled = evidenceOf(sources, family, isotropic);
  const { frames, size, label, title, pixels, cut, anyFrames } = family;
  const own = frames.value;
  const recognised = recognisedFrom(sources, {
    label,
    title: sizeTitle(...title, [isotropic.depth.value], [isotropic.dim.value]),
    evidence: settled,
    config: configOf(settled),
    imageSize: size.imageSize,
    // Its positions are those of one grid alone.
    sizeStep: [0, 0],
    pixels,
  });
  return {
    ...recognised,
    task: isotropic.classes.value > 0 ? 'video' : 'features',
    reading: { task: 'video', frames: own },
    lengths: { frames: own },
    bounds: {
      frames: anyFrames
        ? { least: cut.tubelet, most: Math.max(mostFrames, own), step: cut.tubelet }
        : { least: own, most: own },
    },
  };
}

/** Hyper-parameters of transformers over clips that the user may set. */
export const clipAssumable = ['heads', 'activation', 'eps', 'frames'] as const;

/** Tokens of a clip by time, rows and columns, `[batch, tokens, dim]`, and that grid. */
export interface Tubelets {
  readonly value: ValueInfo;
  readonly grid: readonly [times: number, rows: number, columns: number];
}

/**
 * Pixels `[batch, frames, channels, height, width]` to tubelets (Arnab et al. 2021, ViViT, §3.2,
 * fig. 3): a convolution in three axes that steps by its own kernel, written as one in two axes
 * over the frames of a tubelet side by side, with the same numbers in the same order.
 */
export function embedTubelets(
  b: GraphBuilder,
  { frames, tubelet, channels }: ClipConfig,
  { batch, imageSize }: BuildOptions,
): Tubelets {
  const pixels = b.input('pixel_values', [batch, frames, channels, ...imageSize]);
  return b.scope(
    'patch_embed',
    () => {
      const times = frames / tubelet;
      const cut = b.reshape(pixels, [batch, times, tubelet, channels, ...imageSize]);
      const sideBySide = b.reshape(b.transpose(cut, [0, 1, 3, 2, 4, 5]), [
        batch * times,
        channels * tubelet,
        ...imageSize,
      ]);
      const map = convolved(b, sideBySide, channels * tubelet);
      const [, dim = 0, rows = 0, columns = 0] = map.shape;
      const apart = b.transpose(b.reshape(map, [batch * times, dim, rows * columns]), [0, 2, 1]);
      return { value: b.reshape(apart, [batch, times * rows * columns, dim]), grid: [times, rows, columns] };
    },
    { title: tubelet === 1 ? 'Patch embedding' : 'Tubelet embedding' },
  );
}

/** The convolution `proj`, whose kernel `[dim, channels, frames, rows, columns]` is read flat. */
function convolved(b: GraphBuilder, x: ValueInfo, channels: number): ValueInfo {
  const shape = b.shapeOf('proj.weight');
  const [dim = 0] = shape;
  const sides = shape.slice(-2);
  return b.conv2d(x, 'proj', { stride: sides, shape: [dim, channels, ...sides] });
}

/** A learned table `[1, rows, dim]` added to a sequence of as many tokens. */
export function withTable(b: GraphBuilder, value: ValueInfo, name: string): ValueInfo {
  const table = b.parameter(name);
  const [rows, tokens] = [at(table.shape, 1), at(value.shape, 1)];
  if (rows !== tokens) throw new ParameterError(name, `${rows} rows found, ${tokens} needed`);
  return b.add('Add', [value, table]);
}

/** A sequence with the class token in front, `[batch, 1 + count, dim]`. */
export function behindClassToken(b: GraphBuilder, value: ValueInfo): ValueInfo {
  const [batch = 1, , dim = 0] = value.shape;
  const token = b.parameter('cls_token', [1, 1, dim]);
  const each = batch === 1 ? token : b.add('Expand', [token, b.indices([batch, 1, dim])]);
  return b.concat([each, value], 1);
}

/** Tokens of a layout of a sequence `[batch, count, dim]`. */
export function tokensOf(b: GraphBuilder, value: ValueInfo, layout: TokenLayout): Tokens {
  const [batch = 1, , dim = 0] = value.shape;
  const count = tokenCount(layout);
  return { value: b.reshape(value, [batch * count, dim]), batch, count, layout };
}
