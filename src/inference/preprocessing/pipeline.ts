/** What happens to a picture before a model sees it: a flat description, and the one function that carries it out. */
import { cut, resize, resizeFloat } from './resize';
import type { Filter, FloatPicture, Picture, Size, Window } from './resize';

/** Red, green, blue. */
export type Triple = readonly [number, number, number];

/** Rows, columns. */
export type ImageSize = readonly [height: number, width: number];

/**
 * How the size after a resize follows from the picture's:
 * - `exact`: `height` × `width`, whatever the aspect;
 * - `shorter`: the shorter side becomes `height`, the longer keeps the aspect, rounded down;
 * - `cover`, `contain`: the smallest size of the picture's aspect that covers `height` × `width`, or the largest inside it;
 * - `bounded`: like `shorter`, shrunk until the longer side is at most `width` (DETR), floored to multiples of `multiple`.
 */
export type ResizeRule = 'exact' | 'shorter' | 'cover' | 'contain' | 'bounded';

export interface ResizeStep {
  readonly kind: 'resize';
  readonly rule: ResizeRule;
  readonly height: number;
  readonly width: number;
  readonly multiple?: number;
  readonly filter: Filter;
}

/** Where a centred crop starts when the difference is odd: the libraries disagree by one pixel. */
export type CropRounding = 'torchvision' | 'transformers';

/** Cuts the centre out; where the picture is smaller, surrounds it with `fill`. */
export interface CropStep {
  readonly kind: 'crop';
  readonly height: number;
  readonly width: number;
  readonly rounding: CropRounding;
  /** Bytes. Put in before the values are rescaled, so they end as `(fill / 255 - mean) / std`. */
  readonly fill: Triple;
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
  readonly mean: Triple;
  readonly std: Triple;
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

/** The figures that a person may want to check. */
export type Figure = 'image_size' | 'resize' | 'crop' | 'filter' | 'rescale' | 'mean' | 'std' | 'channels';

/** A figure and where it comes from. */
export interface Evidence {
  readonly value: string | number | readonly number[];
  readonly source: string;
}

/** Everything that is done to a picture, in order. Plain data: it crosses process borders and is shown as it is. */
export interface Preprocessing {
  /** Whose arithmetic and conventions the steps follow. */
  readonly library: 'timm' | 'torchvision' | 'transformers';
  readonly steps: readonly Step[];
  /** What comes out; absent where it follows from the picture's aspect. */
  readonly inputSize?: ImageSize;
  /** Pictures are the frames of one video: [1, frames, 3, H, W]. */
  readonly video?: true;
  readonly evidence: Readonly<Partial<Record<Figure, Evidence>>>;
  readonly warnings: readonly string[];
}

/** A picture that this preprocessing cannot be applied to, or a configuration that describes none. */
export class PreprocessingError extends Error {
  override readonly name = 'PreprocessingError';
}

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
  /** What the whole input covers, in the original picture's pixels; reaches outside it where padding was added. */
  readonly region: Rectangle;
  readonly padding: Padding;
  /** The input before normalisation, padding included; red, green, blue whatever order the model takes. */
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
  /** 1 where there is picture, 0 in padding: [pictures, H, W]; only where a pad step asks for it. */
  readonly pixelMask?: Uint8Array;
  readonly views: readonly View[];
}

/** 8192 × 8192: 0.8 GB of float32 input, far beyond what attention can be computed for. */
export const maxInputPixels = 2 ** 26;

/** Python's round(): halves go to the even neighbour. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

const rules: Record<ResizeRule, (step: ResizeStep, picture: Size) => Size> = {
  exact: ({ height, width }) => ({ height, width }),
  shorter: ({ height: edge }, { height, width }) =>
    width <= height
      ? { height: Math.trunc((edge * height) / width), width: edge }
      : { height: edge, width: Math.trunc((edge * width) / height) },
  cover: (step, picture) =>
    byRatio(picture, Math.min(picture.height / step.height, picture.width / step.width)),
  contain: (step, picture) =>
    byRatio(picture, Math.max(picture.height / step.height, picture.width / step.width)),
  bounded: (step, picture) => floored(bounded(step, picture), step.multiple ?? 1),
};

function byRatio({ height, width }: Size, ratio: number): Size {
  return { height: roundHalfEven(height / ratio), width: roundHalfEven(width / ratio) };
}

/** The DETR family's get_size_with_aspect_ratio; `raw` keeps the fraction that the rounded shorter side loses. */
function bounded({ height: shortest, width: longest }: ResizeStep, { height, width }: Size): Size {
  const [low, high] = [Math.min(height, width), Math.max(height, width)];
  const binds = (high / low) * shortest > longest;
  const raw = binds ? (longest * low) / high : shortest;
  const edge = roundHalfEven(raw);
  if (low === edge) return { height, width };
  return width < height
    ? { height: Math.trunc((raw * height) / width), width: edge }
    : { height: edge, width: Math.trunc((raw * width) / height) };
}

function floored({ height, width }: Size, multiple: number): Size {
  return { height: height - (height % multiple), width: width - (width % multiple) };
}

/** The size that a picture is resized to. Throws `PreprocessingError` where a side would vanish. */
export function resizedSize(step: ResizeStep, picture: Size): Size {
  const size = rules[step.rule](step, picture);
  if (size.height < 1 || size.width < 1) {
    throw new PreprocessingError(
      `a picture of ${picture.width} × ${picture.height} pixels would be resized to ${size.width} × ${size.height} ` +
        `(${describeStep(step)}); both sides must be at least 1. Choose another crop mode, or crop the picture first.`,
    );
  }
  return size;
}

/** Offset of the output's first row in the picture; negative where the picture is smaller and gets padded. */
const cropStart: Record<CropRounding, (difference: number) => number> = {
  torchvision: (difference) => (difference < 0 ? Math.ceil(difference / 2) : roundHalfEven(difference / 2)),
  transformers: (difference) => Math.floor(difference / 2),
};

function cropWindow(step: CropStep, picture: Size): Window {
  const start = cropStart[step.rounding];
  return {
    left: start(picture.width - step.width),
    top: start(picture.height - step.height),
    height: step.height,
    width: step.width,
  };
}

/** The window's part that lies inside the picture. */
function inside({ left, top, height, width }: Window, picture: Size): Window {
  const [x, y] = [Math.max(left, 0), Math.max(top, 0)];
  return {
    left: x,
    top: y,
    width: Math.min(left + width, picture.width) - x,
    height: Math.min(top + height, picture.height) - y,
  };
}

interface Placed {
  readonly picture: Picture;
  /** What the picture's extent is in the original picture's pixels; larger than it where padded. */
  readonly extent: Rectangle;
}

function checkPixels({ height, width }: Size): void {
  if (height * width <= maxInputPixels) return;
  throw new PreprocessingError(
    `the input would have ${width} × ${height} pixels; at most ${maxInputPixels} are allowed. Choose a smaller image size.`,
  );
}

/** Carries out a resize and the crop after it as one: what the crop would throw away is never computed. */
function place(placed: Placed, resizing: ResizeStep | undefined, crop: CropStep | undefined): Placed {
  const { picture, extent } = placed;
  const size: Size = resizing ? resizedSize(resizing, picture) : picture;
  const window = crop ? cropWindow(crop, size) : { left: 0, top: 0, height: size.height, width: size.width };
  checkPixels(window);
  const visible = inside(window, size);
  const shown = resizing ? resize(picture, size, resizing.filter, visible) : cut(picture, visible);
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

function surround(picture: Picture, window: Window, visible: Window, fill: Triple): Picture {
  if (window.height === visible.height && window.width === visible.width) return picture;
  return onto(picture, window, visible.left - window.left, visible.top - window.top, fill);
}

/** Puts the picture on a canvas of one colour. */
function onto(picture: Picture, { height, width }: Size, left: number, top: number, fill: Triple): Picture {
  const rgb = new Uint8Array(height * width * 3);
  if (fill.some((value) => value !== 0)) for (let i = 0; i < rgb.length; i++) rgb[i] = fill[i % 3]!;
  for (let y = 0; y < picture.height; y++) {
    const row = picture.rgb.subarray(y * picture.width * 3, (y + 1) * picture.width * 3);
    rgb.set(row, ((top + y) * width + left) * 3);
  }
  return { height, width, rgb };
}

function placeAll(picture: Picture, steps: readonly Step[]): Placed {
  let placed: Placed = { picture, extent: { x: 0, y: 0, width: picture.width, height: picture.height } };
  for (let i = 0; i < steps.length; i++) {
    const step = steps[i]!;
    const next = steps[i + 1];
    if (step.kind === 'resize' && next?.kind === 'crop') {
      placed = place(placed, step, next);
      i++;
    } else if (step.kind === 'resize') placed = place(placed, step, undefined);
    else if (step.kind === 'crop') placed = place(placed, undefined, step);
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
      const [mean, std] = [Math.fround(step.mean[current]!), Math.fround(step.std[current]!)];
      stages.push((v) => Math.fround(Math.fround(v - mean) / std));
    }
  }
  return { channel: source, value: (sample) => stages.reduce((v, stage) => stage(v), sample) };
}

/** Interleaved samples to planes. A byte has 256 values, so its arithmetic is done once per value. */
function planesOf({ rgb }: Picture | FloatPicture, steps: readonly ValueStep[]): Float32Array {
  const pixels = rgb.length / 3;
  const out = new Float32Array(rgb.length);
  for (let c = 0; c < 3; c++) {
    const { channel, value } = planeOf(c, steps);
    const table =
      rgb instanceof Uint8Array ? Float32Array.from({ length: 256 }, (_, v) => value(v)) : undefined;
    for (let i = 0, at = channel; i < pixels; i++, at += 3) {
      out[c * pixels + i] = table ? table[rgb[at]!]! : value(rgb[at]!);
    }
  }
  return out;
}

/** One picture's input before padding to a batch. */
interface Prepared extends Placed {
  readonly planes: Float32Array;
}

function prepare(picture: Picture, steps: readonly Step[]): Prepared {
  const rescale = steps.findIndex((step) => step.kind === 'rescale');
  const resizing = steps.findIndex((step) => step.kind === 'resize');
  if (rescale >= 0 && resizing > rescale) return prepareFloats(picture, steps, resizing);
  const placed = placeAll(picture, steps);
  return { ...placed, planes: planesOf(placed.picture, steps.filter(isValueStep)) };
}

/** DINOv3: rescaled first, then resized as floats, which are never rounded to bytes. */
function prepareFloats(picture: Picture, steps: readonly Step[], at: number): Prepared {
  const step = steps[at] as ResizeStep;
  if (step.filter !== 'bilinear' && step.filter !== 'bicubic') {
    throw new PreprocessingError(
      `the filter ${step.filter} is not defined on rescaled values; bilinear and bicubic are`,
    );
  }
  const size = resizedSize(step, picture);
  checkPixels(size);
  const scale = steps.find((other): other is RescaleStep => other.kind === 'rescale')!;
  const rescaled = Float32Array.from(picture.rgb, (v) => Math.fround(v * scale.factor) + scale.offset);
  const resized = resizeFloat({ ...picture, rgb: rescaled }, size, step.filter);
  const rgb = Uint8ClampedArray.from(resized.rgb, (v) => (v - scale.offset) / scale.factor);
  return {
    picture: { ...size, rgb: new Uint8Array(rgb.buffer) },
    extent: { x: 0, y: 0, width: picture.width, height: picture.height },
    planes: planesOf(resized, steps.slice(at).filter(isValueStep)),
  };
}

function paddedSize(step: PadStep, prepared: readonly Prepared[]): Size {
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

function pad(prepared: Prepared, size: Size, colour: Triple): Prepared {
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

function maskOf(prepared: readonly Prepared[], { height, width }: Size): Uint8Array {
  const mask = new Uint8Array(prepared.length * height * width);
  prepared.forEach(({ picture }, n) => {
    for (let y = 0; y < picture.height; y++) {
      const start = (n * height + y) * width;
      mask.fill(1, start, start + picture.width);
    }
  });
  return mask;
}

/** How many of an axis' input pixels lie before and after the picture. */
function outside(start: number, length: number, pixels: number, end: number): readonly [number, number] {
  const perPixel = length / pixels;
  return [
    Math.max(0, Math.round(-start / perPixel)),
    Math.max(0, Math.round((start + length - end) / perPixel)),
  ];
}

function viewOf({ picture, extent }: Placed, original: Size): View {
  const [left, right] = outside(extent.x, extent.width, picture.width, original.width);
  const [top, bottom] = outside(extent.y, extent.height, picture.height, original.height);
  return { region: extent, padding: { left, right, top, bottom }, seen: picture };
}

function concatenated(parts: readonly Float32Array[]): Float32Array {
  if (parts.length === 1) return parts[0]!;
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
  const size = padding ? paddedSize(padding, prepared) : prepared[0]!.picture;
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
    views: padded.map((each, i) => viewOf(each, pictures[i]!)),
  };
}

/** Prepares one picture. Throws `PreprocessingError` where the picture's size does not fit the steps. */
export function apply(preprocessing: Preprocessing, picture: Picture): ModelInput {
  const { pixelValues, shape, views } = applyBatch(preprocessing, [picture]);
  return { pixelValues, shape, ...views[0]! };
}

const ruleTexts: Record<ResizeRule, (step: ResizeStep) => string> = {
  exact: ({ height, width }) => `${width} × ${height}, aspect not kept`,
  shorter: ({ height }) => `shorter side to ${height}`,
  cover: ({ height, width }) => `until it covers ${width} × ${height}`,
  contain: ({ height, width }) => `until it fits into ${width} × ${height}`,
  bounded: ({ height, width }) => `shorter side to ${height}, longer at most ${width}`,
};

function triple(values: Triple): string {
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
      return `${ruleTexts[step.rule](step)}, ${step.filter}`;
    case 'crop':
      return `centre ${step.width} × ${step.height}`;
    case 'rescale':
      return rescaleText(step);
    case 'normalize':
      return `mean ${triple(step.mean)}, std ${triple(step.std)}`;
    case 'flip':
      return 'blue, green, red';
    case 'pad':
      return step.width === undefined ? 'padded to the batch' : `padded to ${step.width} × ${step.height}`;
  }
}
