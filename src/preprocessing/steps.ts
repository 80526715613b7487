/**
 * What happens to an image before a model sees it, as a flat list of steps with their evidence.
 */
import type { Sourced } from '../domain/evidence';
import type { Size } from '../domain/size';
import type { Filter, RasterSize } from './resize';

/** Red, green, blue. */
export type Triple = readonly [number, number, number];

/**
 * How the size after a resize follows from the image's:
 * - `exact`: `height` × `width`, whatever the aspect;
 * - `shorter`: the shorter side becomes `height`, the longer keeps the aspect, rounded down;
 * - `cover`, `contain`: the smallest size of the image's aspect that covers `height` × `width`,
 *   or the largest inside it;
 * - `longest`: the longer side becomes `height`, both rounded half up (SAM);
 * - `bounded`: like `shorter`, shrunk until the longer side is at most `width` (DETR), brought to
 *   multiples of `multiple`, down (YOLOS) or up (MaskFormer);
 * - `edges`: the same bound, rounded half up and floored to multiples of `multiple` (ViLT);
 * - `aspect`: whichever of the two scales to `height` and `width` changes less, both sides rounded
 *   to multiples of `multiple` (DPT, ZoeDepth);
 * - `multiple`: both sides floored to multiples of `multiple` (GLPN);
 * - `patches`: as large as `height` patches of `multiple` pixels a side allow (SigLIP 2 NaFlex);
 * - `thumbnail`: never enlarged, cut down to `height` × `width` as Donut does.
 */
export type ResizeRule =
  | 'exact'
  | 'shorter'
  | 'cover'
  | 'contain'
  | 'longest'
  | 'bounded'
  | 'edges'
  | 'aspect'
  | 'multiple'
  | 'patches'
  | 'thumbnail';

export interface ResizeStep {
  readonly kind: 'resize';
  readonly rule: ResizeRule;
  readonly height: number;
  readonly width: number;
  readonly multiple?: number;
  readonly rounding?: 'down' | 'up';
  readonly filter: Filter;
  /** Where float samples are read if not as `floats` alone says; `interpolation.ts` has both. */
  readonly sampling?: 'corners' | 'blurred';
  /** As torch resizes float tensors: not rounded to bytes, not clipped. */
  readonly floats?: true;
  /** As torchvision resizes tensors of bytes: rounded to bytes once, after both passes. */
  readonly tensor?: true;
}

/** Where a centred crop starts when the difference is odd: the libraries disagree by one pixel. */
export type CropRounding = 'torchvision' | 'transformers';

/** Cuts the centre out; if the image is smaller, surrounds it with `fill`. */
export interface CropStep {
  readonly kind: 'crop';
  readonly height: number;
  readonly width: number;
  readonly rounding: CropRounding;
  /**
   * Bytes, one per channel. Put in before the values are rescaled, so they end as
   * `(fill / 255 - mean) / std`.
   */
  readonly fill: readonly number[];
}

/** `value * factor + offset`. */
export interface RescaleStep {
  readonly kind: 'rescale';
  readonly factor: number;
  readonly offset: number;
}

/** `(value - mean) / std` per channel. */
export interface NormalizeStep {
  readonly kind: 'normalize';
  /** One per channel. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Red and blue change places (models trained on BGR). */
export interface FlipStep {
  readonly kind: 'flip';
}

/**
 * Zeros after all else: to the right and at the bottom, up to the given size or the largest of the
 * batch; with `multiple`, on all sides of each image up to multiples of it.
 */
export interface PadStep {
  readonly kind: 'pad';
  readonly height?: number;
  readonly width?: number;
  readonly multiple?: number;
  /** The model is told what is padding. */
  readonly mask?: true;
}

/**
 * What an image is surrounded with before it is resized:
 * - `square`: black to the right and at the bottom until both sides are equal (OWLv2);
 * - `mirror`: its own reflection on all sides, `3 √(side / 2)` pixels of it (ZoeDepth);
 * - `repeat`: its reflection, outermost pixels twice, to the right and at the bottom, up to the
 *   next multiple of `multiple`, which is never the side itself (Swin2SR).
 */
export interface SurroundStep {
  readonly kind: 'surround';
  readonly rule: 'square' | 'mirror' | 'repeat';
  readonly multiple?: number;
}

/**
 * Puts the box of a person onto `height` × `width` pixels, widened to their proportions and
 * `factor` times as large: the whole image is the box (ViTPose). Bilinear; black beside the image.
 */
export interface WarpStep {
  readonly kind: 'warp';
  readonly height: number;
  readonly width: number;
  readonly factor: number;
}

/** Cuts the planes into patches of `size` × `size`, and adds zeros up to `count` patches. */
export interface PatchStep {
  readonly kind: 'patches';
  readonly size: number;
  readonly count: number;
}

export type Step =
  | ResizeStep
  | CropStep
  | RescaleStep
  | NormalizeStep
  | FlipStep
  | PadStep
  | SurroundStep
  | WarpStep
  | PatchStep;

/** The settings that a person may want to check. */
export type SettingName =
  'image_size' | 'resize' | 'crop' | 'filter' | 'rescale' | 'mean' | 'std' | 'channels' | 'box';

/** A setting's value as it is shown. */
export type SettingValue = string | number | readonly number[];

/** What is known of each setting, and from where. */
export type SettingRecord = Readonly<Partial<Record<SettingName, Sourced<SettingValue>>>>;

/**
 * Everything that is done to an image, in order. Plain data: it crosses process borders and is
 * shown as it is.
 */
export interface Preprocessing {
  /** Whose arithmetic and conventions the steps follow. */
  readonly library: 'timm' | 'torchvision' | 'transformers';
  readonly steps: readonly Step[];
  /**
   * Channels that the model takes; three if it is absent. One is grey, had of colours as Pillow's
   * `convert("L")` has it; others are bands, which an image must have.
   */
  readonly channels?: number;
  /** What comes out; absent if it follows from the image's aspect. */
  readonly inputSize?: Size;
  /** Images are the frames of one video: [1, frames, channels, H, W]. */
  readonly video?: true;
  readonly evidence: SettingRecord;
  readonly warnings: readonly string[];
}

/**
 * An image that this preprocessing cannot be applied to, or a configuration that describes none.
 */
export class PreprocessingError extends Error {
  override readonly name = 'PreprocessingError';
}

/** Python's round(): halves go to the even neighbour. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

const rules: Record<ResizeRule, (step: ResizeStep, image: RasterSize) => RasterSize> = {
  exact: ({ height, width }) => ({ height, width }),
  shorter: ({ height: edge }, { height, width }) =>
    width <= height
      ? { height: Math.trunc((edge * height) / width), width: edge }
      : { height: edge, width: Math.trunc((edge * width) / height) },
  cover: (step, image) => byRatio(image, Math.min(image.height / step.height, image.width / step.width)),
  contain: (step, image) => byRatio(image, Math.max(image.height / step.height, image.width / step.width)),
  longest: ({ height: edge }, { height, width }) => {
    const scale = edge / Math.max(height, width);
    return { height: Math.floor(height * scale + 0.5), width: Math.floor(width * scale + 0.5) };
  },
  bounded: (step, image) =>
    toMultiples(bounded(step, image), step.multiple ?? 1, step.rounding === 'up' ? Math.ceil : Math.floor),
  edges: (step, image) => toMultiples(edges(step, image), step.multiple ?? 1, Math.floor),
  aspect: ({ height, width, multiple = 1 }, image) => {
    const [byHeight, byWidth] = [height / image.height, width / image.width];
    const scale = Math.abs(1 - byWidth) < Math.abs(1 - byHeight) ? byWidth : byHeight;
    const size = { height: scale * image.height, width: scale * image.width };
    return toMultiples(size, multiple, roundHalfEven);
  },
  multiple: ({ multiple = 1 }, image) => toMultiples(image, multiple, Math.floor),
  patches: ({ height: count, multiple = 1 }, image) => withinPatches(image, count, multiple),
  thumbnail: (step, image) => {
    const height = Math.min(image.height, step.height);
    const width = Math.min(image.width, step.width);
    if (height === image.height && width === image.width) return image;
    return image.height > image.width
      ? { height, width: Math.trunc((image.width * height) / image.height) }
      : {
          height: image.width > image.height ? Math.trunc((image.height * width) / image.width) : height,
          width,
        };
  },
};

function byRatio({ height, width }: RasterSize, ratio: number): RasterSize {
  return { height: roundHalfEven(height / ratio), width: roundHalfEven(width / ratio) };
}

/**
 * The DETR family's get_size_with_aspect_ratio; `raw` keeps the fraction that the rounded shorter
 * side loses.
 */
function bounded(
  { height: shortest, width: longest }: ResizeStep,
  { height, width }: RasterSize,
): RasterSize {
  const [low, high] = [Math.min(height, width), Math.max(height, width)];
  const binds = (high / low) * shortest > longest;
  const raw = binds ? (longest * low) / high : shortest;
  const edge = roundHalfEven(raw);
  if (low === edge) return { height, width };
  return width < height
    ? { height: Math.trunc((raw * height) / width), width: edge }
    : { height: edge, width: Math.trunc((raw * width) / height) };
}

/** A multiple may be a fraction (1/32 is ZoeDepth's default): whole pixels remain. */
function toMultiples(
  { height, width }: RasterSize,
  multiple: number,
  round: (value: number) => number,
): RasterSize {
  const side = (value: number): number => Math.trunc(round(value / multiple) * multiple);
  return { height: side(height), width: side(width) };
}

/** ViLT's get_resize_output_image_size before it is floored: scaled twice, rounded half up once. */
function edges({ height: shortest, width: longest }: ResizeStep, image: RasterSize): RasterSize {
  const first = shortest / Math.min(image.height, image.width);
  const isWide = image.height < image.width;
  const size = {
    height: isWide ? shortest : first * image.height,
    width: isWide ? first * image.width : shortest,
  };
  const longer = Math.max(size.height, size.width);
  const second = longer > longest ? longest / longer : 1;
  return { height: Math.trunc(second * size.height + 0.5), width: Math.trunc(second * size.width + 0.5) };
}

/** How fine, and up to what, a scale is searched for: the library's, from which its bits follow. */
const scaleStep = 1e-5;
const largestScale = 100;

/**
 * The size at the largest scale, found by bisection, at which the image takes at most `count`
 * patches: SigLIP 2's get_image_size_for_max_num_patches. Sides are rounded up to whole patches.
 */
function withinPatches({ height, width }: RasterSize, count: number, patch: number): RasterSize {
  const sized = (scale: number): RasterSize => ({
    height: Math.max(1, Math.ceil((height * scale) / patch)),
    width: Math.max(1, Math.ceil((width * scale) / patch)),
  });
  let [low, high] = [scaleStep / 10, largestScale];
  while (high - low >= scaleStep) {
    const middle = (low + high) / 2;
    const grid = sized(middle);
    if (grid.height * grid.width <= count) low = middle;
    else high = middle;
  }
  const grid = sized(low);
  return { height: grid.height * patch, width: grid.width * patch };
}

/** The size that an image is resized to. Throws `PreprocessingError` if a side would vanish. */
export function resizedSize(step: ResizeStep, image: RasterSize): RasterSize {
  const size = rules[step.rule](step, image);
  if (size.height < 1 || size.width < 1) {
    throw new PreprocessingError(
      `an image of ${image.width} × ${image.height} pixels would be resized to ${size.width} × ${size.height} ` +
        `(${describeStep(step)}); both sides must be at least 1. Choose another crop mode, or crop the image first.`,
    );
  }
  return size;
}

const ruleTexts: Record<ResizeRule, (step: ResizeStep) => string> = {
  exact: ({ height, width }) => `${width} × ${height}, aspect not kept`,
  shorter: ({ height }) => `shorter side to ${height}`,
  cover: ({ height, width }) => `until it covers ${width} × ${height}`,
  contain: ({ height, width }) => `until it fits into ${width} × ${height}`,
  longest: ({ height }) => `longer side to ${height}`,
  bounded: ({ height, width, multiple, rounding = 'down' }) =>
    `shorter side to ${height}, longer at most ${width}${multiplesText(multiple, `${rounding} to`)}`,
  edges: ({ height, width, multiple }) =>
    `shorter side to ${height}, longer at most ${width}${multiplesText(multiple, 'down to')}`,
  aspect: ({ height, width, multiple }) =>
    `aspect kept, to ${width} × ${height} by the side that changes less${multiplesText(multiple, 'to the nearest')}`,
  multiple: ({ multiple = 1 }) => `sides down to multiples of ${multiple}`,
  patches: ({ height, multiple = 1 }) =>
    `until it takes at most ${height} patches of ${multiple} × ${multiple}`,
  thumbnail: ({ height, width }) => `cut down to ${width} × ${height} if larger`,
};

function multiplesText(multiple: number | undefined, direction: string): string {
  return multiple === undefined || multiple === 1 ? '' : `, ${direction} multiples of ${multiple}`;
}

/** What becomes of the sides, in a few words. */
export const describeSize = (step: ResizeStep): string => ruleTexts[step.rule](step);

function listed(values: readonly number[]): string {
  return values.every((value) => value === values[0]) ? String(values[0]) : values.join(', ');
}

function rescaleText({ factor, offset }: RescaleStep): string {
  const divisor = 1 / factor;
  const rounded = Math.round(divisor * 1e6) / 1e6;
  return `÷ ${rounded}${offset === 0 ? '' : ` ${offset < 0 ? '−' : '+'} ${Math.abs(offset)}`}`;
}

const surroundTexts: Record<SurroundStep['rule'], (step: SurroundStep) => string> = {
  square: () => 'padded to a square',
  mirror: () => 'surrounded by its reflection',
  repeat: ({ multiple = 1 }) => `continued by its reflection to a multiple of ${multiple}`,
};

/** One step in a few words: `shorter side to 248, bicubic`. */
export function describeStep(step: Step): string {
  switch (step.kind) {
    case 'resize':
      return `${ruleTexts[step.rule](step)}, ${step.filter}${step.floats ? ', not rounded to bytes' : ''}`;
    case 'crop':
      return `centre ${step.width} × ${step.height}`;
    case 'rescale':
      return rescaleText(step);
    case 'normalize':
      return `mean ${listed(step.mean)}, std ${listed(step.std)}`;
    case 'flip':
      return 'blue, green, red';
    case 'pad':
      if (step.multiple !== undefined) return `padded around to multiples of ${step.multiple}`;
      return step.width === undefined ? 'padded to the batch' : `padded to ${step.width} × ${step.height}`;
    case 'surround':
      return surroundTexts[step.rule](step);
    case 'warp':
      return `the whole image as one person, ${step.factor} times as much of it, on ${step.width} × ${step.height}`;
    case 'patches':
      return `${step.count} patches of ${step.size} × ${step.size}`;
  }
}
