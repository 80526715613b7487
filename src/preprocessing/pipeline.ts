/** Carries out the steps of a preprocessing on images. */
import { groupSteps, greyOf, isRaster } from './bands';
import { pictureOf, threeChannels, type Raster } from './raster';
import { at, largest, pushAll } from '../domain/lists';
import type { Grid, Rectangle } from '../domain/size';
import { extentOfWarp, warped } from './warp';
import { cut, resample, resize, resizeFloat } from './resize';
import type { Axis, FloatImage, RgbImage, RasterSize, Taps, Window } from './resize';
import {
  blurredTaps,
  interpolationTaps,
  reflected,
  repeated,
  type Beyond,
  type Interpolation,
} from './interpolation';
import { PreprocessingError, resizedSize, roundHalfEven } from './steps';
import type {
  CropRounding,
  CropStep,
  FlipStep,
  NormalizeStep,
  PadStep,
  PatchStep,
  Preprocessing,
  RescaleStep,
  ResizeStep,
  Step,
  SurroundStep,
  Triple,
  WarpStep,
} from './steps';

export { describeStep, PreprocessingError } from './steps';
export type * from './steps';

/** Pixels of the model's input that show nothing of the image. */
export interface Padding {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** What the model sees of one image. */
export interface View {
  /**
   * The part of the original image that the input shows, in its pixels; the input less its
   * padding lies on it, exactly if the padding is of whole pixels.
   */
  readonly region: Rectangle;
  /**
   * What the whole input covers, padding included, in the original image's pixels: a point at a
   * share (u, v) of the input lies at (x + u width, y + v height). Reaches outside of the image
   * where there is padding.
   */
  readonly extent: Rectangle;
  readonly padding: Padding;
  /**
   * The input before normalisation, padding included; red, green, blue whatever order the model
   * takes.
   */
  readonly seen: RgbImage;
}

export interface ModelInput extends View {
  /** Planes of red, green, blue (or the reverse), of grey, or of bands. */
  readonly pixelValues: Float32Array;
  /**
   * [1, channels, H, W]; [1, 1, channels, H, W] for a video model; [1, patches, samples] if the
   * model takes patches.
   */
  readonly shape: readonly number[];
  /** 1 on the image, 0 in padding: [1, H, W]; only if a pad step asks for it. */
  readonly pixelMask?: Uint8Array;
  readonly patches?: Patches;
}

/** What goes with pixel values that are patches. */
export interface Patches {
  /** 1 for a patch of the image, 0 for one that fills up: [images, patches]. */
  readonly mask: Uint8Array;
  /** Rows and columns of patches of every image. */
  readonly shapes: readonly Grid[];
}

export interface BatchInput {
  readonly pixelValues: Float32Array;
  /**
   * [images, channels, H, W]; [1, frames, channels, H, W] for a video model; [images, patches,
   * samples] if the model takes patches, the samples of one row by row, colours together.
   */
  readonly shape: readonly number[];
  /**
   * 1 on the image, 0 in padding: [images, H, W]; only if a pad step asks for it.
   */
  readonly pixelMask?: Uint8Array;
  readonly patches?: Patches;
  readonly views: readonly View[];
}

/** 8192 × 8192: 0.8 GB of float32 input, far beyond what attention can be computed for. */
export const maxInputPixels = 2 ** 26;

/**
 * Offset of the output's first row in the image; negative if the image is smaller and gets
 * padded.
 */
const cropStart: Record<CropRounding, (difference: number) => number> = {
  torchvision: (difference) => (difference < 0 ? Math.ceil(difference / 2) : roundHalfEven(difference / 2)),
  transformers: (difference) => Math.floor(difference / 2),
};

function cropWindow(step: CropStep, image: RasterSize): Window {
  const start = cropStart[step.rounding];
  return {
    left: start(image.width - step.width),
    top: start(image.height - step.height),
    height: step.height,
    width: step.width,
  };
}

/** The window's part that lies inside the image. */
function inside({ left, top, height, width }: Window, image: RasterSize): Window {
  const [x, y] = [Math.max(left, 0), Math.max(top, 0)];
  return {
    left: x,
    top: y,
    width: Math.min(left + width, image.width) - x,
    height: Math.min(top + height, image.height) - y,
  };
}

interface Placed {
  readonly image: RgbImage | FloatImage;
  /** What the image's extent is in the original image's pixels; larger than it if padded. */
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
  const { image, extent } = placed;
  const size: RasterSize = resizing ? resizedSize(resizing, image) : image;
  const window = crop ? cropWindow(crop, size) : { left: 0, top: 0, height: size.height, width: size.width };
  checkPixels(window);
  const visible = inside(window, size);
  const shown = resizing ? resized(image, size, resizing, visible) : cut(image, visible);
  const [scaleX, scaleY] = [extent.width / size.width, extent.height / size.height];
  return {
    image: crop ? surround(shown, window, visible, crop.fill) : shown,
    extent: {
      x: extent.x + window.left * scaleX,
      y: extent.y + window.top * scaleY,
      width: window.width * scaleX,
      height: window.height * scaleY,
    },
  };
}

function resized(image: RgbImage | FloatImage, size: RasterSize, step: ResizeStep, window: Window) {
  const { filter, floats, tensor } = step;
  const isSmooth = filter === 'bilinear' || filter === 'bicubic';
  if (step.sampling && (isSmooth || step.sampling === 'blurred')) {
    const taps = samplings[step.sampling];
    const axis = (from: number, to: number, start: number, length: number) =>
      taps({ from, to, start, length }, isSmooth ? filter : 'bilinear');
    return resample(
      image,
      axis(image.height, size.height, window.top, window.height),
      axis(image.width, size.width, window.left, window.width),
    );
  }
  if (image.rgb instanceof Uint8Array && !floats && !(tensor && isSmooth))
    return resize({ ...image, rgb: image.rgb }, size, filter, window);
  if (!floats && image.height === size.height && image.width === size.width) return cut(image, window);
  if (isSmooth) {
    const smooth = resizeFloat(image, size, filter, window);
    return tensor && image.rgb instanceof Uint8Array ? toBytes(smooth) : smooth;
  }
  throw new PreprocessingError(`the filter ${filter} is not defined on floats; bilinear and bicubic are`);
}

const samplings: Record<
  NonNullable<ResizeStep['sampling']>,
  (axis: Axis, filter: Interpolation) => Taps<Float64Array>
> = {
  corners: (axis, filter) => interpolationTaps(axis, filter, 'corners'),
  blurred: (axis) => blurredTaps(axis),
};

function surround(image: RgbImage | FloatImage, window: Window, visible: Window, fill: readonly number[]) {
  if (window.height === visible.height && window.width === visible.width) return image;
  return onto(image, window, visible.left - window.left, visible.top - window.top, fill);
}

/** Puts the image on a canvas of one colour. */
function onto<Any extends RgbImage | FloatImage>(
  image: Any,
  { height, width }: RasterSize,
  left: number,
  top: number,
  fill: readonly number[],
): Any {
  const samples = height * width * 3;
  const rgb = image.rgb instanceof Uint8Array ? new Uint8Array(samples) : new Float32Array(samples);
  const colour = tripleOf(fill);
  if (fill.some((value) => value !== 0)) for (let i = 0; i < samples; i++) rgb[i] = colour[i % 3] ?? 0;
  for (let y = 0; y < image.height; y++) {
    const row = image.rgb.subarray(y * image.width * 3, (y + 1) * image.width * 3);
    rgb.set(row, ((top + y) * width + left) * 3);
  }
  return { ...image, height, width, rgb };
}

/** Values of three channels; of one it is repeated. */
function tripleOf([first = 0, second = first, third = first]: readonly number[]): Triple {
  return [first, second, third];
}

/** Bytes of float samples, for the eye. */
function toBytes({ height, width, rgb }: RgbImage | FloatImage): RgbImage {
  if (rgb instanceof Uint8Array) return { height, width, rgb };
  return { height, width, rgb: new Uint8Array(Uint8ClampedArray.from(rgb).buffer) };
}

/** ZoeDepth's padding: enough that no border of the depth map lies on the image. */
const mirrored = (side: number): number => Math.trunc(Math.sqrt(side / 2) * 3);

/** A canvas, where the image lies on it, and what lies around it. */
interface Canvas extends RasterSize {
  readonly left: number;
  readonly top: number;
  /** Which of its pixels continues the image; black if it is absent. */
  readonly beyond?: Beyond;
}

const canvases: Record<SurroundStep['rule'], (image: RasterSize, step: SurroundStep) => Canvas> = {
  square: ({ height, width }) => {
    const side = Math.max(height, width);
    return { height: side, width: side, left: 0, top: 0 };
  },
  mirror: ({ height, width }) => {
    const [left, top] = [mirrored(width), mirrored(height)];
    return { height: height + 2 * top, width: width + 2 * left, left, top, beyond: reflected };
  },
  repeat: ({ height, width }, { multiple = 1 }) => {
    const next = (side: number): number => (Math.floor(side / multiple) + 1) * multiple;
    return { height: next(height), width: next(width), left: 0, top: 0, beyond: repeated };
  },
};

/** The image inside of a larger one; its own pixels stay as they are. */
function surrounded({ image, extent }: Placed, step: SurroundStep): Placed {
  const canvas = canvases[step.rule](image, step);
  const { left, top, beyond } = canvas;
  checkPixels(canvas);
  const [scaleX, scaleY] = [extent.width / image.width, extent.height / image.height];
  return {
    image: beyond ? continued(image, canvas, beyond) : onto(image, canvas, left, top, [0]),
    extent: {
      x: extent.x - left * scaleX,
      y: extent.y - top * scaleY,
      width: canvas.width * scaleX,
      height: canvas.height * scaleY,
    },
  };
}

function continued<Any extends RgbImage | FloatImage>(
  image: Any,
  { height, width, left, top }: Canvas,
  beyond: Beyond,
): Any {
  const samples = height * width * 3;
  const rgb = image.rgb instanceof Uint8Array ? new Uint8Array(samples) : new Float32Array(samples);
  const columns = Int32Array.from({ length: width }, (_, x) => beyond(x - left, image.width) * 3);
  for (let y = 0, out = 0; y < height; y++) {
    const row = beyond(y - top, image.height) * image.width * 3;
    for (const column of columns) {
      rgb[out++] = image.rgb[row + column] ?? 0;
      rgb[out++] = image.rgb[row + column + 1] ?? 0;
      rgb[out++] = image.rgb[row + column + 2] ?? 0;
    }
  }
  return { ...image, height, width, rgb };
}

/** A person's box on the input; it comes first, so that the image is the original one. */
function onBox({ image }: Placed, step: WarpStep): Placed {
  checkPixels(step);
  return { image: warped(image, step), extent: extentOfWarp(step, image) };
}

function placeAll(image: RgbImage | FloatImage, steps: readonly Step[]): Placed {
  let placed: Placed = { image, extent: { x: 0, y: 0, width: image.width, height: image.height } };
  for (const [i, step] of steps.entries()) {
    const [before, after] = [steps[i - 1], steps[i + 1]];
    if (step.kind === 'surround') placed = surrounded(placed, step);
    else if (step.kind === 'warp') placed = onBox(placed, step);
    else if (step.kind === 'resize') placed = place(placed, step, after?.kind === 'crop' ? after : undefined);
    else if (step.kind === 'crop' && before?.kind !== 'resize') placed = place(placed, undefined, step);
  }
  checkPixels(placed.image);
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
 * Interleaved samples to planes, of grey to one. A byte has 256 values, so its arithmetic is done
 * once per value.
 */
function planesOf(
  { rgb }: RgbImage | FloatImage,
  steps: readonly ValueStep[],
  channels: number,
): Float32Array {
  const pixels = rgb.length / 3;
  const out = new Float32Array(pixels * channels);
  for (let c = 0; c < channels; c++) {
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

/** One image's input before padding to a batch. */
interface Prepared extends Placed {
  readonly planes: Float32Array;
}

function prepare(image: RgbImage | FloatImage, steps: readonly Step[], channels: number): Prepared {
  const placed = placeAll(image, steps);
  return { ...placed, planes: planesOf(placed.image, steps.filter(isValueStep), channels) };
}

const upTo = (multiple: number, { height, width }: RasterSize): RasterSize => ({
  height: Math.ceil(height / multiple) * multiple,
  width: Math.ceil(width / multiple) * multiple,
});

function paddedSize(step: PadStep, prepared: readonly Prepared[]): RasterSize {
  const height = largest(prepared.map(({ image }) => image.height));
  const width = largest(prepared.map(({ image }) => image.width));
  if (step.height === undefined || step.width === undefined) return { height, width };
  if (height <= step.height && width <= step.width) return { height: step.height, width: step.width };
  throw new PreprocessingError(
    `an image is ${width} × ${height} after resizing; the configured padding allows ${step.width} × ${step.height}`,
  );
}

/** Zeros after normalisation are the mean colour before it. */
function meanColour(steps: readonly Step[]): Triple {
  const step = steps.find((other): other is NormalizeStep => other.kind === 'normalize');
  return step ? tripleOf(step.mean.map((v) => Math.round(v * 255))) : [0, 0, 0];
}

/** Zeros to the right and at the bottom, or, if centred, half of them before the image. */
function pad(prepared: Prepared, size: RasterSize, colour: Triple, centred: boolean): Prepared {
  const { image, extent, planes } = prepared;
  const [left, top] = centred
    ? [Math.floor((size.width - image.width) / 2), Math.floor((size.height - image.height) / 2)]
    : [0, 0];
  const [scaleX, scaleY] = [extent.width / image.width, extent.height / image.height];
  if (image.height === size.height && image.width === size.width) return prepared;
  const channels = planes.length / (image.height * image.width);
  const out = new Float32Array(size.height * size.width * channels);
  for (let row = 0; row < channels * image.height; row++) {
    const [plane, y] = [Math.floor(row / image.height), row % image.height];
    const line = planes.subarray(row * image.width, (row + 1) * image.width);
    out.set(line, (plane * size.height + top + y) * size.width + left);
  }
  return {
    planes: out,
    image: onto(image, size, left, top, colour),
    extent: {
      x: extent.x - left * scaleX,
      y: extent.y - top * scaleY,
      width: size.width * scaleX,
      height: size.height * scaleY,
    },
  };
}

/** All at the size of the batch, or each at its own multiples. */
function paddedAll(prepared: readonly Prepared[], step: PadStep, colour: Triple): readonly Prepared[] {
  const { multiple } = step;
  const batch = multiple === undefined ? paddedSize(step, prepared) : undefined;
  return prepared.map((each) => {
    const size = batch ?? upTo(multiple ?? 1, each.image);
    checkPixels(size);
    return pad(each, size, colour, batch === undefined);
  });
}

function maskOf(prepared: readonly Prepared[], { height, width }: RasterSize): Uint8Array {
  const mask = new Uint8Array(prepared.length * height * width);
  prepared.forEach(({ image }, n) => {
    for (let y = 0; y < image.height; y++) {
      const start = (n * height + y) * width;
      mask.fill(1, start, start + image.width);
    }
  });
  return mask;
}

/**
 * One axis of the extent, split into the part on the image and the padding before and after, in
 * input pixels.
 */
function split(start: number, length: number, pixels: number, end: number) {
  const perPixel = length / pixels;
  const before = Math.max(0, Math.round(-start / perPixel));
  const after = Math.max(0, Math.round((start + length - end) / perPixel));
  const [from, to] = [Math.max(0, start), Math.min(end, start + length)];
  return { before, after, from, length: to - from };
}

function viewOf({ image, extent }: Placed, original: RasterSize): View {
  const x = split(extent.x, extent.width, image.width, original.width);
  const y = split(extent.y, extent.height, image.height, original.height);
  return {
    region: { x: x.from, y: y.from, width: x.length, height: y.length },
    extent,
    padding: { left: x.before, right: x.after, top: y.before, bottom: y.after },
    seen: toBytes(image),
  };
}

/**
 * Cuts planes into patches, row by row, and fills up with zeros: [count, size × size × channels],
 * colours of a pixel together, as NaFlex has them. Throws `PreprocessingError` if there are more.
 */
function patchesOf({ planes, image }: Prepared, { size, count }: PatchStep, channels: number): Float32Array {
  const { rows, columns } = patchGrid(image, size);
  if (rows * columns > count)
    throw new PreprocessingError(
      `the image has ${rows} × ${columns} patches of ${size} × ${size} pixels; at most ${count} are allowed`,
    );
  const out = new Float32Array(count * size * size * channels);
  const plane = image.height * image.width;
  let to = 0;
  for (let patch = 0; patch < rows * columns; patch++) {
    const corner = Math.floor(patch / columns) * size * image.width + (patch % columns) * size;
    for (let i = 0; i < size * size; i++) {
      const pixel = corner + Math.floor(i / size) * image.width + (i % size);
      for (let c = 0; c < channels; c++) out[to++] = planes[c * plane + pixel] ?? 0;
    }
  }
  return out;
}

const patchGrid = ({ height, width }: RasterSize, size: number) => ({
  rows: Math.floor(height / size),
  columns: Math.floor(width / size),
});

function asPatches(prepared: readonly Prepared[], step: PatchStep, channels: number) {
  const grids = prepared.map(({ image }) => patchGrid(image, step.size));
  const mask = new Uint8Array(prepared.length * step.count);
  grids.forEach(({ rows, columns }, n) => mask.fill(1, n * step.count, n * step.count + rows * columns));
  return {
    pixelValues: concatenated(prepared.map((each) => patchesOf(each, step, channels))),
    shape: [prepared.length, step.count, step.size * step.size * channels],
    patches: { mask, shapes: grids.map(({ rows, columns }): Grid => [rows, columns]) },
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
 * Prepares several images as one input, grey if the model takes one channel. Without a pad step all
 * must come out at the same size. Throws `PreprocessingError`.
 */
export function applyBatch(
  preprocessing: Preprocessing,
  given: readonly (RgbImage | FloatImage)[],
): BatchInput {
  const { steps, video } = preprocessing;
  const channels = preprocessing.channels === 1 ? 1 : 3;
  const images = channels === 1 ? given.map(greyOf) : given;
  const prepared = images.map((image) => prepare(image, steps, channels));
  const cutting = steps.find((step) => step.kind === 'patches');
  if (cutting) {
    const views = prepared.map((each, i) => viewOf(each, at(images, i)));
    return { ...asPatches(prepared, cutting, channels), views };
  }
  const padding = steps.find((step) => step.kind === 'pad');
  const padded = padding ? paddedAll(prepared, padding, meanColour(steps)) : prepared;
  const size = at(padded, 0).image;
  const odd = padded.find(({ image }) => image.height !== size.height || image.width !== size.width);
  if (odd) {
    throw new PreprocessingError(
      `the images come out at different sizes (${size.width} × ${size.height}, ` +
        `${odd.image.width} × ${odd.image.height}); run them one at a time`,
    );
  }
  const lead = video ? [1, images.length] : [images.length];
  return {
    pixelValues: concatenated(padded.map(({ planes }) => planes)),
    shape: [...lead, channels, size.height, size.width],
    ...(padding?.mask && { pixelMask: maskOf(prepared, size) }),
    views: padded.map((each, i) => viewOf(each, at(images, i))),
  };
}

/**
 * Prepares one image. Throws `PreprocessingError` if the image's size does not fit the
 * steps, or if it has other channels than the model takes.
 */
export function apply(preprocessing: Preprocessing, image: RgbImage | Raster): ModelInput {
  if (isRaster(image)) return applyBands(preprocessing, image);
  const { channels = 3 } = preprocessing;
  if (channels !== 1 && channels !== 3)
    throw new PreprocessingError(`the model takes ${channels} channels; the image has 3 (red, green, blue)`);
  const { views, ...input } = applyBatch(preprocessing, [image]);
  return { ...input, ...at(views, 0) };
}

/** Prepares bands. Every step treats channels alike, so that they go through three at a time. */
function applyBands(preprocessing: Preprocessing, raster: Raster): ModelInput {
  const { channels = 3 } = preprocessing;
  if (raster.channels !== channels)
    throw new PreprocessingError(`the model takes ${channels} channels; the image has ${raster.channels}`);
  const asBytes = raster.samples instanceof Uint8Array;
  const parts: Float32Array[] = [];
  const shape: number[] = [];
  for (let first = 0; first < channels; first += 3) {
    const part = { ...preprocessing, channels: 3, steps: groupSteps(preprocessing, first, asBytes) };
    const { pixelValues, shape: own } = applyBatch(part, [threeChannels(raster, first)]);
    const plane = pixelValues.length / 3;
    parts.push(pixelValues.subarray(0, plane * Math.min(3, channels - first)));
    const known = [...own.slice(0, -3), channels, ...own.slice(-2)];
    shape.length = 0;
    pushAll(shape, known);
  }
  // What is seen takes the same way as the values.
  const seen = { ...preprocessing, channels: 3, steps: groupSteps(preprocessing, 0, true) };
  const { views } = applyBatch(seen, [pictureOf(raster)]);
  return { pixelValues: concatenated(parts), shape, ...at(views, 0) };
}
