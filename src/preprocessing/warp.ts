/** The box of a person on the model's input: VitPoseImageProcessor's affine transform. */
import type { FloatImage, RasterSize, RgbImage } from './resize';
import type { Rectangle } from '../domain/size';
import type { WarpStep } from './steps';

/** The library's unit of a box: pixels by 200, in float32. */
const unit = 200;

/** How one axis of the input lies on the image: input pixel `i` shows `start + i · step`. */
export interface WarpedAxis {
  /** Pixels of the input. */
  readonly length: number;
  readonly start: number;
  readonly step: number;
}

/** Both axes of a box's middle and extent, rounded as the library rounds them to float32. */
interface PersonBox {
  readonly centre: readonly [x: number, y: number];
  readonly extent: readonly [width: number, height: number];
}

/**
 * The whole image as a person's box: widened to the input's proportions, `step.factor` times as
 * large (`box_to_center_and_scale`).
 */
function boxOf({ width, height, factor }: WarpStep, image: RasterSize): PersonBox {
  const aspect = width / height;
  const wide = Math.max(image.width, aspect * image.height);
  const high = Math.max(image.height, image.width / aspect);
  const scaled = (side: number): number =>
    Math.fround(Math.fround(Math.fround(side / unit) * Math.fround(factor)) * unit);
  return {
    centre: [Math.fround(image.width * 0.5), Math.fround(image.height * 0.5)],
    extent: [scaled(wide), scaled(high)],
  };
}

/**
 * The axes of the input on the image, columns first: first and last pixels lie on the box's edges,
 * as unbiased data processing has it (Huang et al. 2020; `get_warp_matrix`, `scipy_warp_affine`).
 */
export function warpedAxes(step: WarpStep, image: RasterSize): readonly [WarpedAxis, WarpedAxis] {
  const { centre, extent } = boxOf(step, image);
  const axis = (length: number, middle: number, side: number): WarpedAxis => {
    const scale = (length - 1) / side;
    const offset = Math.fround(scale * Math.fround(0.5 * side - middle));
    const stored = Math.fround(scale);
    return { length, start: -offset / stored, step: 1 / stored };
  };
  return [axis(step.width, centre[0], extent[0]), axis(step.height, centre[1], extent[1])];
}

/** What an axis of the input covers of the image, whole pixels counted from their edges. */
const covered = ({ start, step, length }: WarpedAxis): readonly [from: number, length: number] => [
  start + 0.5 - 0.5 * step,
  length * step,
];

/** What the whole input covers in the image's pixels. */
export function extentOfWarp(step: WarpStep, image: RasterSize): Rectangle {
  const [columns, rows] = warpedAxes(step, image);
  const [[x, width], [y, height]] = [covered(columns), covered(rows)];
  return { x, y, width, height };
}

/** The two pixels of the image that an input pixel lies between, and the share of the second. */
interface Tap {
  readonly first: number;
  readonly second: number;
  readonly share: number;
}

/** Taps of an axis; undefined beyond the outermost pixels' middles, where the input is black. */
const tapsOf = ({ start, step, length }: WarpedAxis, side: number): readonly (Tap | undefined)[] =>
  Array.from({ length }, (_, index) => {
    const place = step * index + start;
    if (place < 0 || place > side - 1) return undefined;
    const first = Math.floor(place);
    return { first, second: Math.min(first + 1, side - 1), share: place - first };
  });

/**
 * The image as the input shows it, between pixels bilinear, beside it black: scipy's
 * `affine_transform` of order 1, bytes rounded half up.
 */
export function warped(image: RgbImage | FloatImage, step: WarpStep): RgbImage | FloatImage {
  const [columns, rows] = warpedAxes(step, image);
  const [across, down] = [tapsOf(columns, image.width), tapsOf(rows, image.height)];
  const { height, width } = step;
  const isBytes = image.rgb instanceof Uint8Array;
  const rgb = isBytes ? new Uint8Array(3 * height * width) : new Float32Array(3 * height * width);
  const sample = (row: number, column: number, channel: number): number =>
    image.rgb[(row * image.width + column) * 3 + channel] ?? 0;
  down.forEach((v, y) => {
    across.forEach((h, x) => {
      if (!v || !h) return;
      for (let c = 0; c < 3; c++) {
        const value =
          sample(v.first, h.first, c) * (1 - v.share) * (1 - h.share) +
          sample(v.first, h.second, c) * (1 - v.share) * h.share +
          sample(v.second, h.first, c) * v.share * (1 - h.share) +
          sample(v.second, h.second, c) * v.share * h.share;
        rgb[(y * width + x) * 3 + c] = isBytes ? Math.floor(value + 0.5) : value;
      }
    });
  });
  return rgb instanceof Uint8Array ? { height, width, rgb } : { height, width, rgb };
}
