/** Finds out which preprocessing a checkpoint wants, and from what. */
import type { Sourced } from '../domain/evidence';
import type { Size } from '../domain/size';
import type { Sidecars } from '../checkpoint/checkpoint';
import { forChannels } from './channels';
import { defaults, type Defaults, type DefaultsName } from './defaults';
import { normalisations } from './normalisations';
import type { SettingName, SettingRecord, Preprocessing, Step } from './steps';
import { findPublished, type Published } from './published/published';
import type { Filter } from './resize';
import { isObject, isSide } from './settings';
import type { Json } from './settings';
import { readTimm, timmPreprocessing } from './libraries/timm';
import type { CropMode } from './libraries/timm';
import { defaultPreset, torchvisionPreprocessing } from './libraries/torchvision';
import { usualConfig } from './processors';
import { readTransformers } from './libraries/transformers';

/** What the original repositories trained with, by the dialect of their tensor names. */
export const dialectDefaults: Readonly<Record<string, DefaultsName>> = {
  'google-jax': 'half',
  beit: 'half',
  clip: 'clip',
  open_clip: 'clip',
  torchvision: 'torchvision',
  dinov2: 'imagenet',
  mae: 'imagenet',
  swin: 'imagenet-0.9',
  pvt: 'imagenet',
  cvt: 'imagenet',
  sam: 'imagenet',
};

/** What the user set by hand; it wins over everything. */
export interface Overrides {
  /** Takes the place of whatever the files say. */
  readonly defaults?: DefaultsName;
  /** One for every channel, or one for all. */
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly filter?: Filter;
  readonly cropPct?: number;
  readonly cropMode?: CropMode;
}

export interface ResolveInput {
  readonly sidecars: Sidecars;
  /** Path of the weights; the file's or a folder's name may be a published one. */
  readonly fileName: string;
  readonly dialect: string;
  /** Label of the family, for messages. */
  readonly family?: string | undefined;
  /** The model_type that the model has by its names, where no config.json states one. */
  readonly modelType?: string | undefined;
  /** The family's own default. */
  readonly defaults?: DefaultsName | undefined;
  /**
   * The size the model is run at; the pipeline follows it. Without it the configured size is taken.
   */
  readonly imageSize?: Size | undefined;
  /** Channels that the model takes; without them what a configuration says, else three. */
  readonly channels?: number | undefined;
  readonly overrides?: Overrides | undefined;
}

/**
 * A pretrained_cfg at config.json's own level (timm's hub layout), or nested in a transformers
 * wrapper.
 */
function timmConfig(config: Json | undefined): Json | undefined {
  const cfg = config?.['pretrained_cfg'];
  return isObject(cfg) ? cfg : undefined;
}

type Found = Preprocessing | undefined;
type Finder = (input: ResolveInput, size: Sourced<Size> | undefined) => Found;

const fromPreprocessor: Finder = ({ sidecars: { preprocessor, config }, channels }, size) => {
  if (!preprocessor) return undefined;
  const saysNothing = !preprocessor['image_processor_type'] && !preprocessor['feature_extractor_type'];
  const type = preprocessor['image_processor_type'];
  // transformers' wrapper around a timm model keeps timm's own configuration.
  if (timmConfig(config) && (saysNothing || type === 'TimmWrapperImageProcessor')) return undefined;
  return readTransformers({ preprocessor, config }, size, channels);
};

const fromConfig: Finder = ({ sidecars: { config }, channels }, size) => {
  const cfg = timmConfig(config);
  return cfg && readTimm(cfg, 'config.json: pretrained_cfg', size, channels);
};

/** timm's words for open_clip's `resize_mode`. */
const openClipModes: Readonly<Record<string, CropMode>> = {
  shortest: 'center',
  longest: 'border',
  squash: 'squash',
};

/** A side, or [height, width]. */
function sizeOf(value: unknown): Size | undefined {
  const [height, width = height]: readonly unknown[] = Array.isArray(value) ? value : [value];
  return isSide(height) && isSide(width) ? [height, width] : undefined;
}

/** The size that open_clip's configuration states for the transform, else for the tower. */
function openClipSize(openClip: Json): Sourced<Size> | undefined {
  const section = (value: unknown): Json => (isObject(value) ? value : {});
  const tower = section(section(openClip['model_cfg'])['vision_cfg']);
  const stated = [
    ['preprocess_cfg: size', section(openClip['preprocess_cfg'])['size']],
    ['model_cfg: vision_cfg: image_size', tower['image_size']],
  ] as const;
  for (const [key, value] of stated) {
    const size = sizeOf(value);
    if (size) return { value: size, source: `open_clip_config.json: ${key}` };
  }
  return undefined;
}

/**
 * open_clip's evaluation transform resizes to the whole image that it crops:
 * `image_transform(..., is_train=False)`.
 */
const fromOpenClip: Finder = ({ sidecars: { openClip }, channels }, size) => {
  const cfg = openClip?.['preprocess_cfg'];
  if (!openClip || !isObject(cfg)) return undefined;
  const { mean, std } = normalisations.clip;
  const mode = openClipModes[String(cfg['resize_mode'] ?? 'shortest')];
  const said = {
    mean,
    std,
    interpolation: 'bicubic',
    ...cfg,
    crop_pct: 1,
    crop_mode: mode ?? cfg['resize_mode'],
  };
  const own = size ?? openClipSize(openClip);
  return readTimm(said, 'open_clip_config.json: preprocess_cfg', own, channels);
};

function fromPublished(found: Published, source: string, size: Sourced<Size> | undefined): Preprocessing {
  if (found.kind === 'torchvision') return torchvisionPreprocessing(found.preset, source, size);
  const { imageSize, filter, cropPct, cropMode, mean, std } = found.profile;
  const say = <Value>(value: Value): Sourced<Value> => ({ value, source });
  return timmPreprocessing({
    imageSize: size ?? say(imageSize),
    filter: say(filter),
    cropPct: say(cropPct),
    cropMode: say(cropMode),
    mean: say(mean),
    std: say(std),
  });
}

const fromName: Finder = ({ fileName, dialect, sidecars }, size) => {
  if (dialect.startsWith('transformers')) return undefined;
  const architecture = sidecars.config?.['architecture'];
  const found = (typeof architecture === 'string' && findPublished(architecture)) || findPublished(fileName);
  return found && fromPublished(found, `as published for ${found.name}, by its name`, size);
};

const whyNoPreprocessor = ({ invalid }: Sidecars): string =>
  invalid?.preprocessor === undefined
    ? 'there is no preprocessor_config.json'
    : `preprocessor_config.json ${invalid.preprocessor}`;

const fromModelType: Finder = ({ sidecars, modelType }, size) => {
  const { config } = sidecars;
  const type = config?.['model_type'] ?? modelType;
  const preprocessor = usualConfig(type);
  const source = `assumed: what ${String(type)} models usually take; ${whyNoPreprocessor(sidecars)}`;
  return preprocessor && readTransformers({ preprocessor, config, source }, size);
};

const fallbackSize: Sourced<Size> = { value: [224, 224], source: 'assumed: nothing says another size' };

function fromDefaults(name: DefaultsName, source: string, size: Sourced<Size> = fallbackSize): Preprocessing {
  if (name === 'torchvision') return torchvisionPreprocessing(defaultPreset, source, size);
  const { normalisation, cropPct, cropMode, filter }: Defaults = defaults[name];
  const say = <Value>(value: Value): Sourced<Value> => ({ value, source });
  const { mean, std } = normalisations[normalisation];
  return timmPreprocessing({
    imageSize: size,
    filter: say(filter),
    cropPct: say(cropPct),
    cropMode: say(cropMode),
    mean: say(mean),
    std: say(std),
  });
}

const fromFamily: Finder = ({ dialect, family, defaults: own }, size) => {
  const repository = Object.hasOwn(dialectDefaults, dialect) ? dialectDefaults[dialect] : undefined;
  // `half` is what a plain ViT says of itself under any names; the repositories know better what
  // they trained.
  const useOwn = own !== undefined && (own !== 'half' || repository === undefined);
  const name = useOwn ? own : (repository ?? 'half');
  const whose = useOwn || !repository ? `${family ?? 'such'} models` : `checkpoints with ${dialect} names`;
  return fromDefaults(name, `assumed: what ${whose} usually take; not stored in the file`, size);
};

/** What the files beside the weights say themselves. */
const stated: readonly Finder[] = [fromPreprocessor, fromConfig, fromOpenClip];

/** In order of trust; the first that finds anything decides. */
const finders: readonly Finder[] = [...stated, fromName, fromModelType, fromFamily];

/**
 * Bands of which no file says anything. What models of colours take says nothing of them: they keep
 * their values, and an image of the model's own size stays as it is.
 */
function fromBands(channels: number, size: Sourced<Size> = fallbackSize): Preprocessing {
  const source = `assumed: nothing is stored of how its ${channels} channels are normalised`;
  const say = <Value>(value: Value): Sourced<Value> => ({ value, source });
  const all = (value: number): readonly number[] => Array.from({ length: channels }, () => value);
  const warning =
    `assumed: the ${channels} channels go in as they are stored (bytes divided by 255), ` +
    'mean 0 and deviation 1; nothing is stored of how they are normalised';
  const settings = {
    imageSize: size,
    filter: say('bilinear' as const),
    cropPct: say(1),
    cropMode: say('center' as const),
    mean: say(all(0)),
    std: say(all(1)),
  };
  return timmPreprocessing(settings, [warning]);
}

/** Channels that a configuration states; three if it is silent. */
function statedChannels({ config }: Sidecars): number {
  const section = (value: unknown): Json => (isObject(value) ? value : {});
  const input = timmConfig(config)?.['input_size'];
  const values: readonly unknown[] = [
    section(config?.['model_args'])['in_chans'],
    config?.['num_channels'],
    config?.['in_chans'],
    Array.isArray(input) ? input[0] : undefined,
  ];
  return values.find(isChannels) ?? 3;
}

/** More would be no image: hyperspectral cameras have some hundred. */
const maxChannels = 4096;

const isChannels = (value: unknown): value is number =>
  Number.isInteger(value) && Number(value) >= 1 && Number(value) <= maxChannels;

function replaced(step: Step, { mean, std, filter }: Overrides): Step {
  if (step.kind === 'resize') return { ...step, filter: filter ?? step.filter };
  if (step.kind === 'normalize') return { ...step, mean: mean ?? step.mean, std: std ?? step.std };
  return step;
}

const chosen = 'chosen by you';

/** Replaces what does not change the geometry. */
function withValues(found: Preprocessing, overrides: Overrides): Preprocessing {
  const { mean, std, filter } = overrides;
  const normalizes = found.steps.some((step) => step.kind === 'normalize');
  const steps = found.steps.map((step) => replaced(step, overrides));
  if (!normalizes && (mean || std)) {
    const { unit } = normalisations;
    steps.push({ kind: 'normalize', mean: mean ?? unit.mean, std: std ?? unit.std });
  }
  const evidence: SettingRecord = {
    ...found.evidence,
    ...(mean && { mean: { value: mean, source: chosen } }),
    ...(std && { std: { value: std, source: chosen } }),
    ...(filter && { filter: { value: filter, source: chosen } }),
  };
  return { ...found, steps, evidence };
}

/** Another crop is another geometry: timm's, which has all the modes, around the values found. */
function withCrop(found: Preprocessing, { cropPct, cropMode }: Overrides): Preprocessing {
  const { evidence, steps, inputSize } = found;
  const normalize = steps.find((step) => step.kind === 'normalize') ?? normalisations.unit;
  const filter = steps.find((step) => step.kind === 'resize')?.filter ?? 'bicubic';
  const pct = typeof evidence.crop?.value === 'number' ? evidence.crop.value : 1;
  const mode =
    evidence.resize?.value === 'squash' || evidence.resize?.value === 'border'
      ? evidence.resize.value
      : 'center';
  const keep = <Value>(value: Value, setting: SettingName): Sourced<Value> => ({
    value,
    source: evidence[setting]?.source ?? 'assumed',
  });
  const choose = <Value>(given: Value | undefined, value: Value, setting: SettingName): Sourced<Value> =>
    given === undefined ? keep(value, setting) : { value: given, source: chosen };
  return timmPreprocessing(
    {
      imageSize: inputSize ? keep(inputSize, 'image_size') : fallbackSize,
      filter: keep(filter, 'filter'),
      cropPct: choose(cropPct, pct, 'crop'),
      cropMode: choose(cropMode, mode, 'resize'),
      mean: keep(normalize.mean, 'mean'),
      std: keep(normalize.std, 'std'),
    },
    found.warnings,
  );
}

function overridden(found: Preprocessing, overrides: Overrides): Preprocessing {
  const cropped = overrides.cropPct !== undefined || overrides.cropMode !== undefined;
  return withValues(cropped ? withCrop(found, overrides) : found, overrides);
}

function find(input: ResolveInput, size: Sourced<Size> | undefined): Preprocessing {
  const { channels = 3 } = input;
  const isOfColours = channels === 1 || channels === 3;
  for (const finder of isOfColours ? finders : stated) {
    const found = finder(input, size);
    if (found) return found;
  }
  return isOfColours ? fromDefaults('half', 'assumed: nothing says more', size) : fromBands(channels, size);
}

/**
 * The preprocessing of a checkpoint, with the source of every setting. In order: the user's
 * overrides; the preprocessor_config or timm's pretrained_cfg beside the weights; the file's name
 * if it is a published one; what the model type, the family or the dialect usually takes. A model
 * of one channel takes grey images, one of other channels bands. Never throws: what a configuration
 * says wrongly becomes a warning and a default.
 */
export function resolvePreprocessing(input: ResolveInput): Preprocessing {
  const channels = input.channels ?? statedChannels(input.sidecars);
  return forChannels(resolveStated({ ...input, channels }), channels);
}

function resolveStated(input: ResolveInput): Preprocessing {
  const { imageSize, overrides = {} } = input;
  const describe = (size?: Sourced<Size>) =>
    overrides.defaults ? fromDefaults(overrides.defaults, chosen, size) : find(input, size);
  const configured = describe();
  const [height, width] = configured.inputSize ?? [];
  // If the model runs at the configured size, the configuration is taken to the letter; one that
  // was only assumed configures nothing.
  const unsaid = configured.evidence.image_size?.source === fallbackSize.source;
  if (!imageSize || (height === imageSize[0] && width === imageSize[1] && !unsaid))
    return overridden(configured, overrides);
  const assumed = configured.evidence.image_size?.source.startsWith('assumed');
  const instead = height && width && !assumed ? `, not the configured ${height} × ${width}` : '';
  const size = { value: imageSize, source: `the size the model is run at${instead}` };
  return overridden(describe(size), overrides);
}
