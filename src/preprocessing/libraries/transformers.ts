/**
 * transformers' image processors as their `pil` backend computes them (DINOv3: `torchvision`, the
 * only one it has).
 */
import type { Sourced } from '../../domain/evidence';
import type { Size } from '../../domain/size';
import { normalisations } from '../normalisations';
import { PreprocessingError, roundHalfEven } from '../steps';
import type { SettingRecord, Preprocessing, ResizeStep, Step } from '../steps';
import { chooseProcessor, shorter, square } from '../processors';
import type { Processor, Resizing, SizeSetting } from '../processors';
import type { Filter, RasterSize } from '../resize';
import {
  factor,
  filterKind,
  flag,
  fraction,
  isObject,
  isSide,
  meanOf,
  SettingsReader,
  stdOf,
} from '../settings';
import type { Json, Kind } from '../settings';

const sideKeys = ['height', 'width', 'shortest_edge', 'longest_edge'] as const;

/** A dictionary with nothing but the longer side, which is what SAM's class resizes. */
const longestKind: Kind<SizeSetting> = {
  parse: (value) =>
    isObject(value) && isSide(value['longest_edge']) ? { longest_edge: value['longest_edge'] } : undefined,
  needed: '{longest_edge} from 1 to 16384',
};

/**
 * An int, a [height, width] list, or a dictionary, with the meaning of an int that the class gives
 * it.
 */
function sizeKind(squareInt: boolean, longest: unknown): Kind<SizeSetting> {
  return {
    parse: (value) => {
      if (isSide(value)) {
        if (squareInt) return square(value);
        return isSide(longest) ? { shortest_edge: value, longest_edge: longest } : shorter(value);
      }
      if (Array.isArray(value)) {
        return value.length === 2 && value.every(isSide) ? { height: value[0], width: value[1] } : undefined;
      }
      return isObject(value) ? sizeDictionary(value) : undefined;
    },
    needed: 'a side, [height, width], {height, width} or {shortest_edge}, each from 1 to 16384',
  };
}

function sizeDictionary(value: Json): SizeSetting | undefined {
  const given = sideKeys.filter((key) => value[key] !== undefined && value[key] !== null);
  if (given.some((key) => !isSide(value[key]))) return undefined;
  const size: SizeSetting = Object.fromEntries(given.map((key) => [key, value[key]]));
  return (size.height && size.width) || size.shortest_edge ? size : undefined;
}

/** All settings of a processor, checked. */
interface Settings {
  readonly doResize: boolean;
  readonly size: Sourced<SizeSetting>;
  readonly filter: Sourced<Filter>;
  readonly cropPct: Sourced<number>;
  readonly crop: Sourced<SizeSetting> | undefined;
  readonly rescale: Sourced<number> | undefined;
  readonly offset: boolean;
  readonly mean: Sourced<readonly number[]>;
  readonly normalize: { readonly mean: readonly number[]; readonly std: readonly number[] } | undefined;
  readonly std: Sourced<readonly number[]>;
  readonly flips: boolean;
  readonly pad: SizeSetting | true | undefined;
}

function readSettings(reader: SettingsReader, json: Json, processor: Processor, channels: number): Settings {
  const normalisation = normalisations[processor.normalisation];
  // The classes of the DETR family take 1333 if an int size stands alone.
  const longest = processor.resizing === 'bounded' ? (json['max_size'] ?? 1333) : undefined;
  const sizeOf =
    processor.resizing === 'longest' ? longestKind : sizeKind(processor.square === true, longest);
  const crop = reader.read('crop_size', sizeKind(true, undefined), processor.crop ?? square(224));
  const rescale = reader.read('rescale_factor', factor, processor.rescale?.factor ?? 1 / 255);
  const means = reader.read('image_mean', meanOf(channels), normalisation.mean);
  const stds = reader.read('image_std', stdOf(channels), normalisation.std);
  const read = (key: string, fallback: boolean) => reader.read(key, flag, fallback).value;
  const doPad = read('do_pad', processor.pads === true) && processor.pads === true;
  const fallback = processor.padSize ?? {};
  const padSize = reader.has('pad_size')
    ? reader.read('pad_size', sizeKind(true, undefined), fallback).value
    : fallback;
  return {
    doResize: read('do_resize', true),
    size: reader.read('size', sizeOf, processor.size),
    filter: reader.read('resample', filterKind, processor.filter),
    cropPct: reader.read('crop_pct', fraction, processor.cropPct ?? 1),
    crop: read('do_center_crop', processor.doCrop === true) ? crop : undefined,
    rescale: read('do_rescale', true) ? rescale : undefined,
    offset: read('offset', processor.rescale?.offset ?? false),
    mean: means,
    std: stds,
    normalize: read('do_normalize', processor.doNormalize ?? true)
      ? { mean: means.value, std: stds.value }
      : undefined,
    flips: read('do_flip_channel_order', processor.flips === true) && processor.flips === true,
    pad: doPad ? (padSize.height ? padSize : true) : undefined,
  };
}

/**
 * The same settings for a model that runs at another size: the resize keeps its proportion to the
 * crop.
 */
function atImageSize(settings: Settings, processor: Processor, size: Sourced<Size>): Settings {
  const [height, width] = size.value;
  const target = { value: { height, width }, source: size.source };
  const { crop, size: from } = settings;
  if (processor.resizing === 'convnext' && height === width) {
    return { ...settings, doResize: true, size: { value: shorter(height), source: size.source } };
  }
  if (processor.resizing === 'longest') {
    const longer = { value: { longest_edge: Math.max(height, width) }, source: size.source };
    return { ...settings, doResize: true, size: longer, pad: target.value };
  }
  if (!crop) return { ...settings, doResize: true, size: target };
  const scale = (side: number, to: number, cropped: number) =>
    Math.max(1, roundHalfEven((side * to) / cropped));
  const [cropHeight, cropWidth] = [crop.value.height ?? height, crop.value.width ?? width];
  const edge = from.value.shortest_edge;
  const exact = {
    height: scale(edge ?? sidesOf(from.value).height, height, cropHeight),
    width: scale(edge ?? sidesOf(from.value).width, width, cropWidth),
  };
  const keepsAspect = edge !== undefined && height === width;
  return {
    ...settings,
    crop: target,
    size: {
      value: keepsAspect ? shorter(exact.height) : exact,
      source: `${from.source}, scaled to the image size`,
    },
  };
}

/**
 * Both sides; of a size that gives the shorter side alone, a square's. Throws `PreprocessingError`
 * if it gives neither, which no size does that was read or is a default.
 */
function sidesOf({ height, width, shortest_edge: edge }: SizeSetting): RasterSize {
  const [rows, columns] = [height ?? edge, width ?? edge];
  if (rows === undefined || columns === undefined)
    throw new PreprocessingError('height and width, or the shorter side of a size are needed');
  return { height: rows, width: columns };
}

function resizeStep(size: SizeSetting, filter: Filter, rule: Partial<ResizeStep> = {}): ResizeStep {
  const { shortest_edge: edge } = size;
  if (edge !== undefined)
    return { kind: 'resize', rule: 'shorter', height: edge, width: edge, filter, ...rule };
  return { kind: 'resize', rule: 'exact', ...sidesOf(size), filter, ...rule };
}

function cropStep(size: SizeSetting): Step {
  return { kind: 'crop', ...sidesOf(size), rounding: 'transformers', fill: [0, 0, 0] };
}

const resizings: Record<Resizing, (settings: Settings, processor: Processor) => Step[]> = {
  plain: ({ size, filter }, { floats }) => [resizeStep(size.value, filter.value, floats && { floats })],
  convnext: ({ size, filter, cropPct }) => {
    const edge = size.value.shortest_edge;
    if (edge === undefined || edge >= 384) {
      const side = edge === undefined ? size.value : square(edge);
      return [resizeStep(side, filter.value)];
    }
    return [resizeStep(shorter(Math.trunc(edge / cropPct.value)), filter.value), cropStep(square(edge))];
  },
  levit: ({ size, filter }) => {
    const edge = size.value.shortest_edge;
    return [resizeStep(edge ? shorter(Math.trunc((256 / 224) * edge)) : size.value, filter.value)];
  },
  cropPct: ({ size, filter, cropPct }) => {
    const { shortest_edge: edge } = size.value;
    const { height, width } = sidesOf(size.value);
    const scaled = (side: number) => Math.trunc(side / cropPct.value);
    if (edge !== undefined || height === width)
      return [resizeStep(shorter(scaled(edge ?? height)), filter.value)];
    return [resizeStep({ height: scaled(height), width: scaled(width) }, filter.value)];
  },
  longest: ({ size, filter, pad }) => {
    const { longest_edge: edge = sidesOf(size.value).height } = size.value;
    const { height = edge, width = edge } = pad === true ? {} : (pad ?? {});
    // What is padded to no square must fit into it whichever side is the longer one.
    const box = height === width ? square(edge) : { height, width };
    return [resizeStep(box, filter.value, { rule: height === width ? 'longest' : 'contain' })];
  },
  bounded: ({ size, filter }, { multiple }) => {
    const { shortest_edge: edge, longest_edge: longest } = size.value;
    if (edge === undefined) return [resizeStep(size.value, filter.value)];
    const rule = { rule: 'bounded', width: longest ?? edge, ...(multiple && { multiple }) } as const;
    return [resizeStep(size.value, filter.value, rule)];
  },
};

function stepsOf(settings: Settings, processor: Processor): Step[] {
  const { doResize, crop, rescale, offset, normalize, flips, pad } = settings;
  const resizing = doResize ? resizings[processor.resizing ?? 'plain'](settings, processor) : [];
  const rescaling: Step[] = rescale
    ? [{ kind: 'rescale', factor: rescale.value, offset: offset ? -1 : 0 }]
    : [];
  const steps = [...resizing, ...(crop ? [cropStep(crop.value)] : []), ...rescaling];
  if (normalize) steps.push({ kind: 'normalize', ...normalize });
  if (flips) steps.push({ kind: 'flip' });
  if (pad) steps.push({ kind: 'pad', ...(pad !== true && { height: pad.height, width: pad.width }) });
  return steps;
}

/** What comes out of the steps, if it does not depend on the image. */
function outputSize(steps: readonly Step[]): Size | undefined {
  const padding = steps.find((step) => step.kind === 'pad');
  if (padding) return padding.height && padding.width ? [padding.height, padding.width] : undefined;
  const last = steps.findLast((step) => step.kind === 'crop' || step.kind === 'resize');
  if (!last || (last.kind === 'resize' && last.rule !== 'exact')) return undefined;
  return [last.height, last.width];
}

function sizeText({ height, width, shortest_edge: edge, longest_edge: longest }: SizeSetting): string {
  if (height === undefined && edge === undefined) return `longer side ${longest}`;
  if (edge === undefined) return `${height} × ${width}`;
  return `shorter side ${edge}${longest === undefined ? '' : `, longer at most ${longest}`}`;
}

function evidenceOf(settings: Settings, imageSize: Sourced<Size> | undefined): SettingRecord {
  const { doResize, size, filter, crop, rescale, normalize, mean, std, flips } = settings;
  return {
    ...(imageSize && { image_size: imageSize }),
    ...(doResize && {
      resize: { value: sizeText(size.value), source: size.source },
      filter: filter,
    }),
    ...(crop && { crop: { value: sizeText(crop.value), source: crop.source } }),
    ...(rescale && { rescale: rescale }),
    ...(normalize && { mean: mean, std: std }),
    ...(flips && { channels: { value: 'BGR', source: size.source } }),
  };
}

/** Where a transformers configuration was read. */
export interface TransformersFiles {
  /** Content of preprocessor_config.json, or what stands in for it. */
  readonly preprocessor: Json;
  /** config.json, for `model_type` if the preprocessor does not name its class. */
  readonly config?: Json | undefined;
  /** Says for all settings where they come from, if `preprocessor` is no file. */
  readonly source?: string;
}

/**
 * Reads preprocessor_config.json of any age (`…FeatureExtractor` of 2021, `…ImageProcessor`,
 * `…Fast`) as AutoImageProcessor does. Missing keys take the class's defaults; unusable values take
 * them with a warning. With `imageSize` the input comes out at that size.
 */
export function readTransformers(
  files: TransformersFiles,
  imageSize?: Sourced<Size>,
  channels = 3,
): Preprocessing {
  const { preprocessor, config, source } = files;
  const file = 'preprocessor_config.json';
  const { name, processor, known } = chooseProcessor(preprocessor, config);
  const byDefault = source ?? `default of ${known ? name : 'ViT'}ImageProcessor`;
  const reader = new SettingsReader(preprocessor, file, byDefault, source);
  const read = readSettings(reader, preprocessor, processor, channels);
  const settings = imageSize ? atImageSize(read, processor, imageSize) : read;
  const steps = stepsOf(settings, processor);
  const size = outputSize(steps);
  const unknown = `${file}: ${name ? `the image processor ${name} is not known` : 'no image processor is named'}; the rest is read as ViTImageProcessor's`;
  const sizeSource = imageSize?.source ?? settings.crop?.source ?? settings.size.source;
  return {
    library: 'transformers',
    steps,
    ...(size && { inputSize: size }),
    ...(processor.video && { video: true }),
    evidence: evidenceOf(settings, size && { value: size, source: sizeSource }),
    warnings: known ? reader.warnings : [unknown, ...reader.warnings],
  };
}
