/** Carries out the steps of a preprocessing on pictures. */
import { at } from '../domain/lists';
import { cut, resize, resizeFloat } from './resize';
import type { FloatPicture, Picture, RasterSize, Window } from './resize';
import { PreprocessingError, resizedSize, roundHalfEven } from './steps';
import type {
  CropRounding,
  CropStep,
  FlipStep,
  NormalizeStep,
  PadStep,
  Preprocessing,
  RescaleStep,
  ResizeStep,
  Step,
  Triple,
} from './steps';

export { describeStep, PreprocessingError } from './steps';
export type * from './steps';

export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Pixels of the model's input that show nothing of the picture. */
export interface Padding {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** What the model sees of one picture. */
export interface View {
  /**
   * The part of the original picture that the input shows, in its pixels; the input less its
   * padding lies exactly on it.
   */
  readonly region: Rectangle;
  readonly padding: Padding;
  /**
   * The input before normalisation, padding included; red, green, blue whatever order the model
   * takes.
   */
  readonly seen: Picture;
}

export interface ModelInput extends View {
  /** Planes of red, green, blue (or the reverse). */
  readonly pixelValues: Float32Array;
  /** [1, 3, H, W]; [1, 1, 3, H, W] for a video model. */
  readonly shape: readonly number[];
}

export interface BatchInput {
  readonly pixelValues: Float32Array;
  /** [pictures, 3, H, W]; [1, frames, 3, H, W] for a video model. */
  readonly shape: readonly number[];
  /**
   * 1 where there is picture, 0 in padding: [pictures, H, W]; only where a pad step asks for it.
   */
  readonly pixelMask?: Uint8Array;
  readonly views: readonly View[];
}

/** 8192 × 8192: 0.8 GB of float32 input, far beyond what attention can be computed for. */
export const maxInputPixels = 2 ** 26;

/**
 * Offset of the output's first row in the picture; negative where the picture is smaller and gets
 * padded.
 */
const cropStart: Record<CropRounding, (difference: number) => number> = {
  torchvision: (difference) => (difference < 0 ? Math.ceil(difference / 2) : roundHalfEven(difference / 2)),
  transformers: (difference) => Math.floor(difference / 2),
};

function cropWindow(step: CropStep, picture: RasterSize): Window {
  const start = cropStart[step.rounding];
  return {
    left: start(picture.width - step.width),
    top: start(picture.height - step.height),
    height: step.height,
    width: step.width,
  };
}

/** The window's part that lies inside the picture. */
function inside({ left, top, height, width }: Window, picture: RasterSize): Window {
  const [x, y] = [Math.max(left, 0), Math.max(top, 0)];
  return {
    left: x,
    top: y,
    width: Math.min(left + width, picture.width) - x,
    height: Math.min(top + height, picture.height) - y,
  };
}

interface Placed {
  readonly picture: Picture | FloatPicture;
  /** What the picture's extent is in the original picture's pixels; larger than it where padded. */
  readonly extent: Rectangle;
}

function checkPixels({ height, width }: RasterSize): void {
  if (height * width <= maxInputPixels) return;
  throw new PreprocessingError(
    `the input would have ${width} × ${height} pixels; at most ${maxInputPixels} are allowed. Choose a smaller image size.`,
  );
}

/**
 * Carries out a resize and the crop after it as one: what the crop would throw away is never
 * computed.
 */
function place(placed: Placed, resizing: ResizeStep | undefined, crop: CropStep | undefined): Placed {
  const { picture, extent } = placed;
  const size: RasterSize = resizing ? resizedSize(resizing, picture) : picture;
  const window = crop ? cropWindow(crop, size) : { left: 0, top: 0, height: size.height, width: size.width };
  checkPixels(window);
  const visible = inside(window, size);
  const shown = resizing ? resized(picture, size, resizing, visible) : cut(picture, visible);
  const [scaleX, scaleY] = [extent.width / size.width, extent.height / size.height];
  return {
    picture: crop ? surround(shown, window, visible, crop.fill) : shown,
    extent: {
      x: extent.x + window.left * scaleX,
      y: extent.y + window.top * scaleY,
      width: window.width * scaleX,
      height: window.height * scaleY,
    },
  };
}

function resized(picture: Picture | FloatPicture, size: RasterSize, step: ResizeStep, window: Window) {
  if (!(picture.rgb instanceof Uint8Array))
    throw new PreprocessingError('a picture is resized as floats only once');
  const { filter, floats } = step;
  const bytes = { ...picture, rgb: picture.rgb };
  if (!floats) return resize(bytes, size, filter, window);
  if (filter === 'bilinear' || filter === 'bicubic') return resizeFloat(bytes, size, filter, window);
  throw new PreprocessingError(`the filter ${filter} is not defined on floats; bilinear and bicubic are`);
}

function surround(picture: Picture | FloatPicture, window: Window, visible: Window, fill: Triple) {
  if (window.height === visible.height && window.width === visible.width) return picture;
  return onto(picture, window, visible.left - window.left, visible.top - window.top, fill);
}

/** Puts the picture on a canvas of one colour. */
function onto<Any extends Picture | FloatPicture>(
  picture: Any,
  { height, width }: RasterSize,
  left: number,
  top: number,
  fill: Triple,
): Any {
  const samples = height * width * 3;
  const rgb = picture.rgb instanceof Uint8Array ? new Uint8Array(samples) : new Float32Array(samples);
  if (fill.some((value) => value !== 0)) for (let i = 0; i < samples; i++) rgb[i] = fill[i % 3] ?? 0;
  for (let y = 0; y < picture.height; y++) {
    const row = picture.rgb.subarray(y * picture.width * 3, (y + 1) * picture.width * 3);
    rgb.set(row, ((top + y) * width + left) * 3);
  }
  return { ...picture, height, width, rgb };
}

/** Bytes of float samples, for the eye. */
function toBytes({ height, width, rgb }: Picture | FloatPicture): Picture {
  if (rgb instanceof Uint8Array) return { height, width, rgb };
  return { height, width, rgb: new Uint8Array(Uint8ClampedArray.from(rgb).buffer) };
}

function placeAll(picture: Picture, steps: readonly Step[]): Placed {
  let placed: Placed = { picture, extent: { x: 0, y: 0, width: picture.width, height: picture.height } };
  for (const [i, step] of steps.entries()) {
    const [before, after] = [steps[i - 1], steps[i + 1]];
    if (step.kind === 'resize') placed = place(placed, step, after?.kind === 'crop' ? after : undefined);
    else if (step.kind === 'crop' && before?.kind !== 'resize') placed = place(placed, undefined, step);
  }
  checkPixels(placed.picture);
  return placed;
}

type ValueStep = RescaleStep | NormalizeStep | FlipStep;

function isValueStep(step: Step): step is ValueStep {
  return step.kind === 'rescale' || step.kind === 'normalize' || step.kind === 'flip';
}

/** What an output plane holds: a source channel, and the function that its values go through. */
interface Plane {
  readonly channel: number;
  readonly value: (sample: number) => number;
}

/** Rounds to float32 after every operation, as NumPy and torch do. */
function planeOf(plane: number, steps: readonly ValueStep[]): Plane {
  const flips = steps.filter((step) => step.kind === 'flip').length;
  const source = flips % 2 === 1 ? 2 - plane : plane;
  let current = source;
  const stages: ((v: number) => number)[] = [];
  for (const step of steps) {
    if (step.kind === 'flip') current = 2 - current;
    if (step.kind === 'rescale') {
      const { factor, offset } = step;
      stages.push((v) => Math.fround(Math.fround(v * factor) + offset));
    }
    if (step.kind === 'normalize') {
      const mean = Math.fround(at(step.mean, current));
      const std = Math.fround(at(step.std, current));
      stages.push((v) => Math.fround(Math.fround(v - mean) / std));
    }
  }
  return { channel: source, value: (sample) => stages.reduce((v, stage) => stage(v), sample) };
}

/**
 * Interleaved samples to planes. A byte has 256 values, so its arithmetic is done once per value.
 */
function planesOf({ rgb }: Picture | FloatPicture, steps: readonly ValueStep[]): Float32Array {
  const pixels = rgb.length / 3;
  const out = new Float32Array(rgb.length);
  for (let c = 0; c < 3; c++) {
    const { channel, value } = planeOf(c, steps);
    const table =
      rgb instanceof Uint8Array ? Float32Array.from({ length: 256 }, (_, v) => value(v)) : undefined;
    for (let i = 0, at = channel; i < pixels; i++, at += 3) {
      const sample = rgb[at] ?? 0;
      out[c * pixels + i] = table ? (table[sample] ?? 0) : value(sample);
    }
  }
  return out;
}

/** One picture's input before padding to a batch. */
interface Prepared extends Placed {
  readonly planes: Float32Array;
}

function prepare(picture: Picture, steps: readonly Step[]): Prepared {
  const placed = placeAll(picture, steps);
  return { ...placed, planes: planesOf(placed.picture, steps.filter(isValueStep)) };
}

function paddedSize(step: PadStep, prepared: readonly Prepared[]): RasterSize {
  const height = Math.max(...prepared.map(({ picture }) => picture.height));
  const width = Math.max(...prepared.map(({ picture }) => picture.width));
  if (step.height === undefined || step.width === undefined) return { height, width };
  if (height <= step.height && width <= step.width) return { height: step.height, width: step.width };
  throw new PreprocessingError(
    `a picture is ${width} × ${height} after resizing; the configured padding allows ${step.width} × ${step.height}`,
  );
}

/** Zeros after normalisation are the mean colour before it. */
function meanColour(steps: readonly Step[]): Triple {
  const step = steps.find((other): other is NormalizeStep => other.kind === 'normalize');
  return step ? (step.mean.map((v) => Math.round(v * 255)) as unknown as Triple) : [0, 0, 0];
}

function pad(prepared: Prepared, size: RasterSize, colour: Triple): Prepared {
  const { picture, extent, planes } = prepared;
  if (picture.height === size.height && picture.width === size.width) return prepared;
  const out = new Float32Array(size.height * size.width * 3);
  for (let row = 0; row < 3 * picture.height; row++) {
    const [plane, y] = [Math.floor(row / picture.height), row % picture.height];
    const line = planes.subarray(row * picture.width, (row + 1) * picture.width);
    out.set(line, (plane * size.height + y) * size.width);
  }
  return {
    planes: out,
    picture: onto(picture, size, 0, 0, colour),
    extent: {
      ...extent,
      width: (extent.width * size.width) / picture.width,
      height: (extent.height * size.height) / picture.height,
    },
  };
}

function maskOf(prepared: readonly Prepared[], { height, width }: RasterSize): Uint8Array {
  const mask = new Uint8Array(prepared.length * height * width);
  prepared.forEach(({ picture }, n) => {
    for (let y = 0; y < picture.height; y++) {
      const start = (n * height + y) * width;
      mask.fill(1, start, start + picture.width);
    }
  });
  return mask;
}

/**
 * One axis of the extent, split into the part on the picture and the padding before and after, in
 * input pixels.
 */
function split(start: number, length: number, pixels: number, end: number) {
  const perPixel = length / pixels;
  const before = Math.max(0, Math.round(-start / perPixel));
  const after = Math.max(0, Math.round((start + length - end) / perPixel));
  const [from, to] = [Math.max(0, start), Math.min(end, start + length)];
  return { before, after, from, length: to - from };
}

function viewOf({ picture, extent }: Placed, original: RasterSize): View {
  const x = split(extent.x, extent.width, picture.width, original.width);
  const y = split(extent.y, extent.height, picture.height, original.height);
  return {
    region: { x: x.from, y: y.from, width: x.length, height: y.length },
    padding: { left: x.before, right: x.after, top: y.before, bottom: y.after },
    seen: toBytes(picture),
  };
}

function concatenated(parts: readonly Float32Array[]): Float32Array {
  const [first] = parts;
  if (first && parts.length === 1) return first;
  const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/**
 * Prepares several pictures as one input. Without a pad step all must come out at the same size.
 * Throws `PreprocessingError`.
 */
export function applyBatch(preprocessing: Preprocessing, pictures: readonly Picture[]): BatchInput {
  const { steps, video } = preprocessing;
  const prepared = pictures.map((picture) => prepare(picture, steps));
  const padding = steps.find((step): step is PadStep => step.kind === 'pad');
  const size = padding ? paddedSize(padding, prepared) : at(prepared, 0).picture;
  const odd = prepared.find(({ picture }) => picture.height !== size.height || picture.width !== size.width);
  if (!padding && odd) {
    throw new PreprocessingError(
      `the pictures come out at different sizes (${size.width} × ${size.height}, ` +
        `${odd.picture.width} × ${odd.picture.height}); run them one at a time`,
    );
  }
  checkPixels(size);
  const padded = padding ? prepared.map((each) => pad(each, size, meanColour(steps))) : prepared;
  const lead = video ? [1, pictures.length] : [pictures.length];
  return {
    pixelValues: concatenated(padded.map(({ planes }) => planes)),
    shape: [...lead, 3, size.height, size.width],
    ...(padding && { pixelMask: maskOf(prepared, size) }),
    views: padded.map((each, i) => viewOf(each, at(pictures, i))),
  };
}

/**
 * Prepares one picture. Throws `PreprocessingError` if the picture's size does not fit the
 * steps.
 */
export function apply(preprocessing: Preprocessing, picture: Picture): ModelInput {
  const { pixelValues, shape, views } = applyBatch(preprocessing, [picture]);
  return { pixelValues, shape, ...at(views, 0) };
}
