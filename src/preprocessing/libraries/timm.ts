/**
 * timm's evaluation transform: `create_transform(**resolve_data_config(...), is_training=False)`.
 */
import type { Sourced } from '../../domain/evidence';
import type { Size } from '../../domain/size';
import { normalisations } from '../normalisations';
import type { Preprocessing, Step } from '../steps';
import type { Filter } from '../resize';
import { filterKind, fraction, inputSize, meanOf, SettingsReader, stdOf } from '../settings';
import type { Json, Kind } from '../settings';

/**
 * `center` keeps the aspect and loses the margins, `squash` gives the aspect up, `border` keeps the
 * whole image and pads.
 */
export const cropModes = ['center', 'squash', 'border'] as const;
export type CropMode = (typeof cropModes)[number];

const cropMode: Kind<CropMode> = {
  parse: (value) => cropModes.find((mode) => mode === value),
  needed: cropModes.join(', '),
};

/** What timm's pretrained_cfg says about images. */
export interface TimmSettings {
  readonly imageSize: Sourced<Size>;
  readonly filter: Sourced<Filter>;
  /** The crop's share of the resized image. */
  readonly cropPct: Sourced<number>;
  readonly cropMode: Sourced<CropMode>;
  readonly mean: Sourced<readonly number[]>;
  readonly std: Sourced<readonly number[]>;
}

const black = [0, 0, 0] as const;

function geometry(
  [height, width]: Size,
  pct: number,
  mode: CropMode,
  filter: Filter,
  mean: readonly number[],
): Step[] {
  const scaled = { height: Math.floor(height / pct), width: Math.floor(width / pct) };
  const crop = { kind: 'crop', height, width, rounding: 'torchvision', fill: black } as const;
  if (mode === 'squash') return [{ kind: 'resize', rule: 'exact', ...scaled, filter }, crop];
  if (mode === 'border') {
    const fill = mean.map((value) => Math.round(255 * value));
    return [
      { kind: 'resize', rule: 'contain', ...scaled, filter },
      { ...crop, fill },
    ];
  }
  // torchvision's Resize rounds the longer side down, timm's own for rectangles to the nearest.
  const rule = scaled.height === scaled.width ? 'shorter' : 'cover';
  return [{ kind: 'resize', rule, ...scaled, filter }, crop];
}

/** The steps that timm's settings mean. */
export function timmPreprocessing(settings: TimmSettings, warnings: readonly string[] = []): Preprocessing {
  const { imageSize, filter, cropPct, cropMode: mode, mean, std } = settings;
  return {
    library: 'timm',
    steps: [
      ...geometry(imageSize.value, cropPct.value, mode.value, filter.value, mean.value),
      { kind: 'rescale', factor: 1 / 255, offset: 0 },
      { kind: 'normalize', mean: mean.value, std: std.value },
    ],
    inputSize: imageSize.value,
    evidence: {
      image_size: imageSize,
      resize: mode,
      crop: cropPct,
      filter: filter,
      mean: mean,
      std: std,
    },
    warnings,
  };
}

/**
 * Reads timm's `pretrained_cfg` as `resolve_data_config` does; missing keys take timm's defaults.
 * With `imageSize` the model runs at another size than the configured one, and the resize keeps its
 * proportion to the crop.
 */
export function readTimm(
  pretrainedCfg: Json,
  file: string,
  imageSize?: Sourced<Size>,
  channels = 3,
): Preprocessing {
  const reader = new SettingsReader(pretrainedCfg, file, "timm's default");
  const { imagenet } = normalisations;
  const settings = {
    imageSize: imageSize ?? reader.read('input_size', inputSize, [224, 224]),
    filter: reader.read('interpolation', filterKind, 'bicubic'),
    cropPct: reader.read('crop_pct', fraction, 0.875),
    cropMode: reader.read('crop_mode', cropMode, 'center'),
    mean: reader.read('mean', meanOf(channels), imagenet.mean),
    std: reader.read('std', stdOf(channels), imagenet.std),
  };
  return timmPreprocessing(settings, reader.warnings);
}
