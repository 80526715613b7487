/** transformers' image processor classes: their defaults, and which model takes which. */
import { normalisations } from './normalisations';
import type { NormalisationName } from './normalisations';
import type { Filter } from './resize';
import type { Json } from './settings';
import type { ResizeStep, SurroundStep } from './steps';

/** Any of the spellings of `size` and `crop_size`, as transformers' size dictionaries. */
export interface SizeSetting {
  readonly height?: number;
  readonly width?: number;
  readonly shortest_edge?: number;
  readonly longest_edge?: number;
}

/** How a processor class resizes, if that is not plain `size`. */
export type Resizing =
  | 'plain'
  | 'convnext'
  | 'levit'
  | 'cropPct'
  | 'longest'
  | 'bounded'
  | 'edges'
  | 'aspect'
  | 'multiple'
  | 'patches'
  | 'donut'
  | 'person';

/** A processor class: its defaults, and where it departs from resize, crop, rescale, normalise. */
export interface Processor {
  readonly size: SizeSetting;
  /** An int `size` means a square; otherwise the shorter side. */
  readonly square?: true;
  readonly crop?: SizeSetting;
  readonly doCrop?: true;
  readonly filter: Filter;
  readonly normalisation: NormalisationName;
  readonly doNormalize?: false;
  readonly doResize?: false;
  /** The key that switches resizing, if the class does not call it `do_resize`. */
  readonly resizeKey?: 'do_affine_transform';
  /** The key that shifts rescaled values by -1, if the class does not call it `offset`. */
  readonly offsetKey?: 'rescale_offset';
  /** Divides by the deviations once more, unless the configuration says otherwise. */
  readonly dividesTwice?: true;
  readonly resizing?: Resizing;
  readonly cropPct?: number;
  /** What sides are multiples of; a key of the configuration may say another. */
  readonly multiple?: number;
  readonly multipleKey?: 'size_divisor' | 'ensure_multiple_of';
  readonly rounding?: 'up';
  /** Keeps the aspect unless the configuration says otherwise. */
  readonly keepsAspect?: boolean;
  /** Zeros after normalisation: unless, only if, or whatever the configuration says. */
  readonly pads?: 'usually' | 'if asked' | 'always';
  /** Pads to multiples of `size_divisor`, on all sides. */
  readonly padsAround?: true;
  /** Puts the resized image in the middle of its size, on black. */
  readonly centres?: true;
  /** Puts the resized image at the top left of a square of its longer side, on black. */
  readonly boxes?: true;
  /** A list in `size` is [width, height]. */
  readonly widthFirst?: true;
  /** Hands out which pixels are padding. */
  readonly masks?: true;
  /** Surrounds the image before it is resized, if it pads at all. */
  readonly surround?: SurroundStep['rule'];
  /** Where samples are read if the resize is of floats. */
  readonly sampling?: NonNullable<ResizeStep['sampling']>;
  /** Side and number of patches that the image is cut into. */
  readonly patches?: { readonly size: number; readonly count: number };
  /** What images are padded to; the largest of the batch if it is absent. */
  readonly padSize?: SizeSetting;
  readonly flips?: true;
  readonly video?: true;
  /** Rescales before it resizes, so that nothing is rounded to bytes. */
  readonly floats?: true;
  readonly rescale?: { readonly factor: number; readonly offset: boolean };
}

export const square = (side: number): SizeSetting => ({ height: side, width: side });
export const shorter = (side: number): SizeSetting => ({ shortest_edge: side });

const vit: Processor = {
  size: square(224),
  square: true,
  filter: 'bilinear',
  normalisation: 'half',
};
const clip: Processor = {
  size: shorter(224),
  crop: square(224),
  doCrop: true,
  filter: 'bicubic',
  normalisation: 'clip',
};
const detr: Processor = {
  size: { shortest_edge: 800, longest_edge: 1333 },
  filter: 'bilinear',
  normalisation: 'imagenet',
  resizing: 'bounded',
  pads: 'usually',
  masks: true,
};
const maskFormer: Processor = {
  ...detr,
  pads: 'always',
  multiple: 32,
  multipleKey: 'size_divisor',
  rounding: 'up',
};
const mobileNet: Processor = { ...clip, size: shorter(256), filter: 'bilinear', normalisation: 'half' };

/** Defaults of the classes, keyed by their name without `ImageProcessor…` or `FeatureExtractor`. */
const processors: Readonly<Record<string, Processor>> = {
  ViT: vit,
  DeiT: {
    size: square(256),
    square: true,
    crop: square(224),
    doCrop: true,
    filter: 'bicubic',
    normalisation: 'half',
  },
  Beit: { size: square(224), square: true, crop: square(224), filter: 'bicubic', normalisation: 'half' },
  Siglip: { size: square(224), square: true, filter: 'bicubic', normalisation: 'half' },
  Segformer: { size: square(512), square: true, filter: 'bilinear', normalisation: 'imagenet' },
  Pvt: { size: square(224), square: true, filter: 'bicubic', normalisation: 'imagenet' },
  DINOv3ViT: {
    size: square(224),
    square: true,
    filter: 'bilinear',
    normalisation: 'imagenet',
    floats: true,
  },
  CLIP: clip,
  ChineseCLIP: clip,
  Bit: clip,
  Blip: { size: square(384), square: true, filter: 'bicubic', normalisation: 'clip' },
  ConvNext: {
    size: shorter(384),
    filter: 'bicubic',
    normalisation: 'half',
    resizing: 'convnext',
    cropPct: 0.875,
  },
  Levit: { ...clip, normalisation: 'imagenet', resizing: 'levit' },
  PoolFormer: { ...clip, normalisation: 'imagenet', resizing: 'cropPct', cropPct: 0.9 },
  MobileViT: { ...clip, crop: square(256), normalisation: 'half', doNormalize: false, flips: true },
  MobileNetV1: mobileNet,
  MobileNetV2: mobileNet,
  VideoMAE: { ...clip, filter: 'bilinear', normalisation: 'half', video: true },
  Vivit: { ...mobileNet, video: true, rescale: { factor: 1 / 127.5, offset: true } },
  Detr: detr,
  ConditionalDetr: detr,
  DeformableDetr: detr,
  Yolos: { ...detr, multiple: 16 },
  GroundingDino: detr,
  OneFormer: { ...detr, pads: 'always' },
  RTDetr: { ...detr, size: square(640), doNormalize: false, pads: 'if asked' },
  MaskFormer: maskFormer,
  Mask2Former: maskFormer,
  Eomt: {
    size: { shortest_edge: 640, longest_edge: 640 },
    filter: 'bilinear',
    normalisation: 'imagenet',
    resizing: 'bounded',
    pads: 'if asked',
    boxes: true,
  },
  OwlViT: {
    size: square(768),
    square: true,
    crop: square(768),
    filter: 'bicubic',
    normalisation: 'clip',
  },
  Owlv2: {
    size: square(960),
    square: true,
    filter: 'bilinear',
    normalisation: 'clip',
    pads: 'usually',
    surround: 'square',
    floats: true,
    sampling: 'blurred',
  },
  DPT: {
    size: square(384),
    square: true,
    filter: 'bicubic',
    normalisation: 'half',
    resizing: 'aspect',
    multiple: 1,
    multipleKey: 'ensure_multiple_of',
    pads: 'if asked',
    padsAround: true,
  },
  GLPN: {
    size: {},
    filter: 'bilinear',
    normalisation: 'half',
    doNormalize: false,
    resizing: 'multiple',
    multiple: 32,
    multipleKey: 'size_divisor',
  },
  ZoeDepth: {
    size: { height: 384, width: 512 },
    square: true,
    filter: 'bilinear',
    normalisation: 'half',
    resizing: 'aspect',
    keepsAspect: true,
    multiple: 1 / 32,
    multipleKey: 'ensure_multiple_of',
    pads: 'usually',
    surround: 'mirror',
    floats: true,
    sampling: 'corners',
  },
  EfficientNet: {
    size: square(346),
    square: true,
    crop: square(289),
    filter: 'bicubic',
    normalisation: 'half',
    offsetKey: 'rescale_offset',
    dividesTwice: true,
  },
  VitPose: {
    size: { height: 256, width: 192 },
    filter: 'bilinear',
    normalisation: 'imagenet',
    resizing: 'person',
    resizeKey: 'do_affine_transform',
  },
  // Its only backend resizes tensors, which differ from Pillow's images by a level in places.
  Sam2: { size: square(1024), square: true, filter: 'bilinear', normalisation: 'imagenet' },
  Swin2SR: {
    size: {},
    filter: 'bilinear',
    normalisation: 'half',
    doNormalize: false,
    doResize: false,
    multiple: 8,
    multipleKey: 'size_divisor',
    pads: 'usually',
    surround: 'repeat',
  },
  Siglip2: {
    size: {},
    filter: 'bilinear',
    normalisation: 'half',
    resizing: 'patches',
    patches: { size: 16, count: 256 },
  },
  Vilt: {
    size: shorter(384),
    filter: 'bicubic',
    normalisation: 'half',
    resizing: 'edges',
    multiple: 32,
    multipleKey: 'size_divisor',
    pads: 'usually',
    masks: true,
  },
  Donut: {
    size: { height: 2560, width: 1920 },
    square: true,
    filter: 'bilinear',
    normalisation: 'half',
    resizing: 'donut',
    pads: 'usually',
    centres: true,
    widthFirst: true,
  },
  Sam: {
    size: { longest_edge: 1024 },
    filter: 'bilinear',
    normalisation: 'imagenet',
    resizing: 'longest',
    pads: 'usually',
    padSize: square(1024),
  },
};

interface Model {
  readonly processor: string;
  /**
   * Keys of preprocessor_config.json in which its checkpoints usually depart from the class's
   * defaults.
   */
  readonly usual?: Json;
}

function values(name: NormalisationName): Json {
  return { image_mean: normalisations[name].mean, image_std: normalisations[name].std };
}

const dinov2: Model = {
  processor: 'Bit',
  usual: { ...values('imagenet'), size: shorter(256), crop_size: square(224) },
};
const clipModel: Model = { processor: 'CLIP' };
const siglip: Model = { processor: 'Siglip' };
const convnext: Model = { processor: 'ConvNext', usual: { ...values('imagenet'), size: shorter(224) } };
const swin: Model = { processor: 'ViT', usual: { ...values('imagenet'), resample: 3 } };
const beit: Model = { processor: 'Beit', usual: { resample: 2 } };
const imagenetViT: Model = { processor: 'ViT', usual: values('imagenet') };
const blip: Model = { processor: 'Blip' };
const rtDetr: Model = { processor: 'RTDetr' };
const depthAnything: Model = {
  processor: 'DPT',
  usual: {
    ...values('imagenet'),
    size: square(518),
    ensure_multiple_of: 14,
    keep_aspect_ratio: true,
    resample: 3,
  },
};
const eomt: Model = { processor: 'Eomt', usual: { do_pad: true } };
const mobileViT: Model = { processor: 'MobileViT', usual: { size: shorter(288) } };

/** What each model_type's processor is. */
const models: Readonly<Record<string, Model>> = {
  vit: { processor: 'ViT' },
  vit_hybrid: { processor: 'ViT' },
  vit_mae: imagenetViT,
  vit_msn: imagenetViT,
  ijepa: imagenetViT,
  swin,
  swinv2: swin,
  deit: { processor: 'DeiT', usual: values('imagenet') },
  beit,
  'data2vec-vision': beit,
  dinov2,
  dinov2_with_registers: dinov2,
  dinov3_vit: { processor: 'DINOv3ViT' },
  dinov3_convnext: { processor: 'DINOv3ViT' },
  focalnet: dinov2,
  hiera: dinov2,
  bit: { processor: 'Bit', usual: values('half') },
  clip: clipModel,
  clip_vision_model: clipModel,
  metaclip_2: clipModel,
  siglip,
  siglip_vision_model: siglip,
  siglip2: { processor: 'Siglip2' },
  convnext,
  convnextv2: convnext,
  cvt: convnext,
  resnet: convnext,
  regnet: convnext,
  levit: { processor: 'Levit' },
  poolformer: { processor: 'PoolFormer' },
  pvt: { processor: 'Pvt' },
  pvt_v2: { processor: 'Pvt' },
  segformer: { processor: 'Segformer' },
  mobilevit: mobileViT,
  mobilevitv2: mobileViT,
  mobilenet_v1: { processor: 'MobileNetV1' },
  mobilenet_v2: { processor: 'MobileNetV2' },
  detr: { processor: 'Detr' },
  conditional_detr: { processor: 'ConditionalDetr' },
  deformable_detr: { processor: 'DeformableDetr' },
  'dab-detr': { processor: 'ConditionalDetr' },
  'table-transformer': { processor: 'Detr', usual: { size: { shortest_edge: 800, longest_edge: 1000 } } },
  'grounding-dino': { processor: 'GroundingDino' },
  rt_detr: rtDetr,
  rt_detr_v2: rtDetr,
  yolos: { processor: 'Yolos' },
  owlvit: { processor: 'OwlViT' },
  owlv2: { processor: 'Owlv2' },
  maskformer: { processor: 'MaskFormer' },
  mask2former: { processor: 'Mask2Former' },
  oneformer: { processor: 'OneFormer' },
  // torchvision's SemanticSegmentation, which differs from this class in nothing that is computed.
  'torchvision-segmentation': {
    processor: 'Bit',
    usual: { ...values('imagenet'), size: shorter(520), do_center_crop: false, resample: 2 },
  },
  eomt,
  eomt_dinov3: eomt,
  upernet: { processor: 'Segformer' },
  dpt: { processor: 'DPT', usual: { resample: 2 } },
  depth_anything: depthAnything,
  glpn: { processor: 'GLPN' },
  zoedepth: { processor: 'ZoeDepth', usual: { ensure_multiple_of: 32 } },
  blip: blip,
  'blip-2': { processor: 'Blip', usual: { size: square(224) } },
  git: clipModel,
  florence2: {
    processor: 'CLIP',
    usual: { ...values('imagenet'), size: square(768), do_center_crop: false },
  },
  chinese_clip: { processor: 'ChineseCLIP' },
  vilt: { processor: 'Vilt' },
  'donut-swin': { processor: 'Donut' },
  sam: { processor: 'Sam' },
  sam2: { processor: 'Sam2' },
  vitpose: { processor: 'VitPose' },
  swin2sr: { processor: 'Swin2SR' },
  videomae: { processor: 'VideoMAE', usual: values('imagenet') },
  timesformer: { processor: 'VideoMAE' },
  vjepa2: {
    processor: 'VideoMAE',
    usual: { ...values('imagenet'), size: shorter(292), crop_size: square(256) },
  },
  vivit: { processor: 'Vivit' },
};

function modelOf(type: unknown): Model | undefined {
  return typeof type === 'string' && Object.hasOwn(models, type) ? models[type] : undefined;
}

/**
 * The preprocessor_config.json that checkpoints of this model_type usually have; `undefined` for an
 * unknown one.
 */
export function usualConfig(modelType: unknown): Json | undefined {
  const model = modelOf(modelType);
  return model && { image_processor_type: `${model.processor}ImageProcessor`, ...model.usual };
}

export interface Chosen {
  readonly name: string;
  readonly processor: Processor;
  readonly known: boolean;
}

const suffix = /(ImageProcessor(Fast|Pil)?|FeatureExtractor)$/;

/**
 * The class that AutoImageProcessor takes: the one named (in any age's spelling), else the model
 * type's.
 */
export function chooseProcessor(preprocessor: Json, config: Json | undefined): Chosen {
  const stated = preprocessor['image_processor_type'] ?? preprocessor['feature_extractor_type'];
  const model = modelOf(config?.['model_type']);
  const name = typeof stated === 'string' ? stated.replace(suffix, '') : (model?.processor ?? '');
  const processor = Object.hasOwn(processors, name) ? processors[name] : undefined;
  return { name, processor: processor ?? vit, known: processor !== undefined };
}
