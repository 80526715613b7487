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
 * - `bounded`: like `shorter`, shrunk until the longer side is at most `width` (DETR), floored to
 *   multiples of `multiple`.
 */
export type ResizeRule = 'exact' | 'shorter' | 'cover' | 'contain' | 'longest' | 'bounded';

export interface ResizeStep {
  readonly kind: 'resize';
  readonly rule: ResizeRule;
  readonly height: number;
  readonly width: number;
  readonly multiple?: number;
  readonly filter: Filter;
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

/** Zeros to the right and at the bottom, up to the given size or the largest of the batch. */
export interface PadStep {
  readonly kind: 'pad';
  readonly height?: number;
  readonly width?: number;
}

export type Step = ResizeStep | CropStep | RescaleStep | NormalizeStep | FlipStep | PadStep;

/** The settings that a person may want to check. */
export type SettingName =
  'image_size' | 'resize' | 'crop' | 'filter' | 'rescale' | 'mean' | 'std' | 'channels';

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
  bounded: (step, image) => floored(bounded(step, image), step.multiple ?? 1),
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

function floored({ height, width }: RasterSize, multiple: number): RasterSize {
  return { height: height - (height % multiple), width: width - (width % multiple) };
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
  bounded: ({ height, width }) => `shorter side to ${height}, longer at most ${width}`,
};

function listed(values: readonly number[]): string {
  return values.every((value) => value === values[0]) ? String(values[0]) : values.join(', ');
}

function rescaleText({ factor, offset }: RescaleStep): string {
  const divisor = 1 / factor;
  const rounded = Math.round(divisor * 1e6) / 1e6;
  return `÷ ${rounded}${offset === 0 ? '' : ` ${offset < 0 ? '−' : '+'} ${Math.abs(offset)}`}`;
}

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
      return step.width === undefined ? 'padded to the batch' : `padded to ${step.width} × ${step.height}`;
  }
}
