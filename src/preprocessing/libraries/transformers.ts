/**
 * transformers' image processors as their `pil` backend computes them (DINOv3: `torchvision`, the
 * only one it has).
 */
import type { Sourced } from '../../domain/evidence';
import type { Size } from '../../domain/size';
import { normalisations } from '../normalisations';
import { describeSize, PreprocessingError, roundHalfEven } from '../steps';
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
function sizeKind(squareInt: boolean, longest?: unknown, widthFirst = false): Kind<SizeSetting> {
  return {
    parse: (value) => {
      if (isSide(value)) {
        if (squareInt) return square(value);
        return isSide(longest) ? { shortest_edge: value, longest_edge: longest } : shorter(value);
      }
      if (Array.isArray(value)) {
        if (value.length !== 2 || !value.every(isSide)) return undefined;
        const [height, width] = widthFirst ? value.toReversed() : value;
        return { height, width };
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
  /** Divides by the deviations once more (EfficientNet with its classifier). */
  readonly dividesTwice: boolean;
  /** What is padded to; true for the largest of the batch. */
  readonly pad: SizeSetting | true | undefined;
  readonly multiple: Sourced<number>;
  /** Sides that an image is padded around to are multiples of it. */
  readonly padMultiple: number | undefined;
  readonly keepsAspect: boolean;
  readonly surrounds: boolean;
  readonly centres: boolean;
  readonly boxes: boolean;
  readonly thumbnail: boolean;
  readonly patches: Patching | undefined;
  /** The size is the one that the model runs at, whatever the class makes of an image's sides. */
  readonly fixed?: true;
}

interface Patching {
  readonly size: Sourced<number>;
  readonly count: Sourced<number>;
}

const side: Kind<number> = {
  parse: (value) => (isSide(value) ? value : undefined),
  needed: 'a whole number from 1 to 16384',
};

/** A whole number, or a fraction of a pixel: 1/32 is ZoeDepth's default. */
const multipleKind: Kind<number> = {
  parse: (value) => (isSide(value) || value === 1 / 32 ? value : undefined),
  needed: side.needed,
};

function readSettings(reader: SettingsReader, json: Json, processor: Processor, channels: number): Settings {
  const normalisation = normalisations[processor.normalisation];
  // The classes of the DETR family take 1333 if an int size stands alone.
  const longest = processor.resizing === 'bounded' ? (json['max_size'] ?? 1333) : undefined;
  const sizeOf =
    processor.resizing === 'longest'
      ? longestKind
      : sizeKind(processor.square === true, longest, processor.widthFirst);
  const crop = reader.read('crop_size', sizeKind(true, undefined), processor.crop ?? square(224));
  const rescale = reader.read('rescale_factor', factor, processor.rescale?.factor ?? 1 / 255);
  const means = reader.read('image_mean', meanOf(channels), normalisation.mean);
  const stds = reader.read('image_std', stdOf(channels), normalisation.std);
  const read = (key: string, fallback: boolean) => reader.read(key, flag, fallback).value;
  const pads = doesPad(reader, processor);
  const fallback = processor.padSize ?? {};
  const padSize = reader.has('pad_size')
    ? reader.read('pad_size', sizeKind(true, undefined), fallback).value
    : fallback;
  return {
    doResize: processor.doResize !== false && read(processor.resizeKey ?? 'do_resize', true),
    size: reader.read('size', sizeOf, processor.size),
    filter: reader.read('resample', filterKind, processor.filter),
    cropPct: reader.read('crop_pct', fraction, processor.cropPct ?? 1),
    crop: read('do_center_crop', processor.doCrop === true) ? crop : undefined,
    rescale: read('do_rescale', true) ? rescale : undefined,
    offset: read(processor.offsetKey ?? 'offset', processor.rescale?.offset ?? false),
    mean: means,
    std: stds,
    dividesTwice: processor.dividesTwice === true && read('include_top', true),
    normalize: read('do_normalize', processor.doNormalize ?? true)
      ? { mean: means.value, std: stds.value }
      : undefined,
    flips: read('do_flip_channel_order', processor.flips === true) && processor.flips === true,
    pad: pads && padsAtEnd(processor) ? (padSize.height ? padSize : true) : undefined,
    multiple: multipleOf(reader, processor),
    padMultiple:
      pads && processor.padsAround && reader.has('size_divisor')
        ? reader.read('size_divisor', side, 1).value
        : undefined,
    keepsAspect: read('keep_aspect_ratio', processor.keepsAspect ?? false),
    surrounds: pads && processor.surround !== undefined,
    centres: pads && processor.centres === true,
    boxes: pads && processor.boxes === true,
    thumbnail: read('do_thumbnail', true),
    patches: processor.patches && {
      size: reader.read('patch_size', side, processor.patches.size),
      count: reader.read('max_num_patches', side, processor.patches.count),
    },
  };
}

const padsAtEnd = ({ surround, padsAround, centres, boxes }: Processor): boolean =>
  surround === undefined && !padsAround && !centres && !boxes;

/** What sides are multiples of. Swin2SR's class called its key `pad_size` until 2025. */
function multipleOf(reader: SettingsReader, processor: Processor): Sourced<number> {
  const { multipleKey, multiple = 1, surround } = processor;
  if (!multipleKey) return { value: multiple, source: 'the processor' };
  const isOld = surround === 'repeat' && !reader.has(multipleKey);
  return reader.read(isOld ? 'pad_size' : multipleKey, multipleKind, multiple);
}

/** `pad_and_return_pixel_mask` is what DETR's class called it before 2024. */
function doesPad(reader: SettingsReader, { pads }: Processor): boolean {
  if (pads === undefined || pads === 'always') return pads === 'always';
  const key = reader.has('do_pad') ? 'do_pad' : 'pad_and_return_pixel_mask';
  return reader.read(key, flag, pads === 'usually').value;
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
  if (settings.boxes && height === width) {
    const box = { value: { shortest_edge: height, longest_edge: width }, source: size.source };
    return { ...settings, doResize: true, size: box };
  }
  if (!crop) return { ...settings, doResize: true, size: target, fixed: true, padMultiple: undefined };
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

/** How much more than a person's box is seen (`box_to_center_and_scale`). */
const personFactor = 1.25;

const resizings: Record<Resizing, (settings: Settings, processor: Processor) => Step[]> = {
  plain: ({ size, filter }, { floats, sampling }) => [
    resizeStep(size.value, filter.value, { ...(floats && { floats }), ...(sampling && { sampling }) }),
  ],
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
  bounded: ({ size, filter, multiple: { value: multiple } }, { rounding }) => {
    const { shortest_edge: edge, longest_edge: longest } = size.value;
    if (edge === undefined) {
      const { height, width } = sidesOf(size.value);
      const up = (side: number): number => (rounding ? Math.ceil(side / multiple) * multiple : side);
      return [resizeStep({ height: up(height), width: up(width) }, filter.value)];
    }
    const rule = { rule: 'bounded', width: longest ?? edge, ...(multiple !== 1 && { multiple }) } as const;
    return [resizeStep(size.value, filter.value, { ...rule, ...(rounding && { rounding }) })];
  },
  edges: ({ size, filter, multiple }) => {
    const edge = size.value.shortest_edge ?? sidesOf(size.value).height;
    const width = Math.trunc((1333 / 800) * edge);
    return [resizeStep(shorter(edge), filter.value, { rule: 'edges', width, multiple: multiple.value })];
  },
  aspect: ({ size, filter, keepsAspect, multiple: { value: multiple } }, { floats, sampling }) => {
    const { height, width } = sidesOf(size.value);
    const whole = (side: number): number => Math.trunc(roundHalfEven(side / multiple) * multiple);
    const box = keepsAspect ? { height, width } : { height: whole(height), width: whole(width) };
    const read = { ...(floats && { floats }), ...(sampling && { sampling }) };
    return [resizeStep(box, filter.value, { ...(keepsAspect && { rule: 'aspect', multiple }), ...read })];
  },
  multiple: ({ filter, multiple }) => [
    { kind: 'resize', rule: 'multiple', height: 0, width: 0, multiple: multiple.value, filter: filter.value },
  ],
  patches: ({ filter, patches }, { patches: usual = { size: 16, count: 256 } }) => {
    const count = patches?.count.value ?? usual.count;
    const multiple = patches?.size.value ?? usual.size;
    return [{ kind: 'resize', rule: 'patches', height: count, width: count, multiple, filter: filter.value }];
  },
  person: ({ size }) => [{ kind: 'warp', ...sidesOf(size.value), factor: personFactor }],
  donut: ({ size, filter, thumbnail }) => {
    const { height, width } = sidesOf(size.value);
    const first = resizeStep(shorter(Math.min(height, width)), filter.value);
    return thumbnail ? [first, resizeStep({ height, width }, filter.value, { rule: 'thumbnail' })] : [first];
  },
};

/** What an image's own sides decide; a model that runs at a size of its own takes that. */
const bySides: readonly Resizing[] = ['bounded', 'edges', 'aspect', 'multiple', 'patches'];

function resizingOf(settings: Settings, processor: Processor): Step[] {
  const { resizing = 'plain', floats, sampling } = processor;
  if (settings.fixed && bySides.includes(resizing)) {
    const read = { ...(floats && { floats }), ...(sampling && { sampling }) };
    return [resizeStep(settings.size.value, settings.filter.value, read)];
  }
  return resizings[resizing](settings, processor);
}

function stepsOf(settings: Settings, processor: Processor): Step[] {
  const { doResize, crop, rescale, offset, normalize, flips, pad, padMultiple, patches } = settings;
  const resizing = doResize ? resizingOf(settings, processor) : [];
  const rescaling: Step[] = rescale
    ? [{ kind: 'rescale', factor: rescale.value, offset: offset ? -1 : 0 }]
    : [];
  const around: Step[] =
    settings.surrounds && processor.surround
      ? [
          {
            kind: 'surround',
            rule: processor.surround,
            ...(processor.surround === 'repeat' && { multiple: settings.multiple.value }),
          },
        ]
      : [];
  const box: Step[] = settings.boxes ? [{ kind: 'surround', rule: 'square' }] : [];
  const canvas: Step[] = settings.centres
    ? [{ kind: 'crop', ...sidesOf(settings.size.value), rounding: 'torchvision', fill: [0, 0, 0] }]
    : [];
  const steps = [
    ...around,
    ...resizing,
    ...box,
    ...canvas,
    ...(crop ? [cropStep(crop.value)] : []),
    ...rescaling,
  ];
  if (normalize) steps.push({ kind: 'normalize', ...normalize });
  if (settings.dividesTwice)
    steps.push({ kind: 'normalize', mean: settings.std.value.map(() => 0), std: settings.std.value });
  if (flips) steps.push({ kind: 'flip' });
  const mask = processor.masks && { mask: true as const };
  if (pad)
    steps.push({ kind: 'pad', ...(pad !== true && { height: pad.height, width: pad.width }), ...mask });
  if (padMultiple !== undefined) steps.push({ kind: 'pad', multiple: padMultiple });
  if (patches) steps.push({ kind: 'patches', size: patches.size.value, count: patches.count.value });
  return steps;
}

/** What comes out of the steps, if it does not depend on the image. */
function outputSize(steps: readonly Step[]): Size | undefined {
  const padding = steps.find((step) => step.kind === 'pad');
  if (padding) return padding.height && padding.width ? [padding.height, padding.width] : undefined;
  const at = steps.findLastIndex(({ kind }) => kind === 'crop' || kind === 'resize' || kind === 'warp');
  const last = steps[at];
  if (last?.kind === 'warp') return [last.height, last.width];
  const isBoxed = last?.kind === 'resize' && last.rule === 'bounded' && last.height === last.width;
  if (isBoxed && steps[at + 1]?.kind === 'surround') return [last.height, last.width];
  if (!last || (last.kind !== 'crop' && last.kind !== 'resize')) return undefined;
  if (last.kind === 'resize' && last.rule !== 'exact') return undefined;
  return [last.height, last.width];
}

function sizeText({ height, width, shortest_edge: edge, longest_edge: longest }: SizeSetting): string {
  if (height === undefined && edge === undefined) return `longer side ${longest}`;
  if (edge === undefined) return `${height} × ${width}`;
  return `shorter side ${edge}${longest === undefined ? '' : `, longer at most ${longest}`}`;
}

/** What is made of the sides, and what says so. */
function resizeEvidence(settings: Settings, processor: Processor, steps: readonly Step[]): Sourced<string> {
  const { size, multiple, patches } = settings;
  const step = steps.find((each) => each.kind === 'resize');
  const { resizing = 'plain' } = processor;
  if (!step || settings.fixed || !bySides.includes(resizing) || resizing === 'bounded')
    return { value: sizeText(size.value), source: size.source };
  const sources = { multiple: multiple.source, patches: patches?.count.source ?? size.source };
  const source = resizing === 'multiple' || resizing === 'patches' ? sources[resizing] : size.source;
  return { value: describeSize(step), source };
}

/** Why the box of a person is the whole image. */
const wholeImage = 'assumed: no detector says where a person is';

function evidenceOf(
  settings: Settings,
  resize: Sourced<string>,
  imageSize: Sourced<Size> | undefined,
  isPerson: boolean,
): SettingRecord {
  const { doResize, size, filter, crop, rescale, normalize, mean, std, flips } = settings;
  return {
    ...(imageSize && { image_size: imageSize }),
    ...(doResize &&
      !isPerson && {
        resize,
        filter: filter,
      }),
    ...(isPerson && { box: { value: 'the whole image', source: wholeImage } }),
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
  if (processor.widthFirst && preprocessor['do_align_long_axis'] === true)
    reader.warnings.push(`${file}: do_align_long_axis is not carried out: no image is turned`);
  if (processor.boxes && preprocessor['do_split_image'] === true)
    reader.warnings.push(
      `${file}: do_split_image is not carried out: the library cuts an image into windows and merges their answers; here the image is resized as a whole`,
    );
  if (
    processor.resizing === 'person' &&
    ![undefined, null, 200].includes(preprocessor['normalize_factor'] as never)
  )
    reader.warnings.push(`${file}: normalize_factor is not carried out; boxes are normalised by 200`);
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
    evidence: evidenceOf(
      settings,
      resizeEvidence(settings, processor, steps),
      size && { value: size, source: sizeSource },
      steps.some(({ kind }) => kind === 'warp'),
    ),
    warnings: known ? reader.warnings : [unknown, ...reader.warnings],
  };
}
