import { last } from '../domain/lists';
import type { Size } from '../domain/size';
import type { Checkpoint } from '../checkpoint/checkpoint';
import { readTransformers } from '../preprocessing/libraries/transformers';
import type { ConfigValue, Evidence } from './family';
import { modelLimits } from './limits';

type Json = Readonly<Record<string, unknown>>;

/** Hyper-parameters under the names that libraries give them in config.json. */
const keys = {
  heads: ['num_attention_heads', 'num_heads'],
  activation: ['hidden_act', 'act_layer', 'hidden_activation'],
  eps: ['layer_norm_eps', 'norm_eps', 'layernorm_eps'],
  pool: ['global_pool'],
  image: ['img_size', 'image_size', 'input_size'],
} as const satisfies Record<string, readonly string[]>;

/** A hyper-parameter that goes by several keys in config.json. */
export type ConfigName = keyof typeof keys;

/** The keys that a question reads. */
export const keysOf = (wanted: ConfigName | readonly string[]): readonly string[] =>
  typeof wanted === 'string' ? keys[wanted] : wanted;

/** Objects in which larger models keep the configuration of their image backbone. */
const parts = ['backbone_config', 'vision_config.backbone_config', 'vision_config', 'encoder'];
/** Objects of config.json that describe a model that is the whole, the most specific first. */
const levels = ['model_args', '', 'pretrained_cfg'];

function section(config: Json, name: string): Json | undefined {
  const inside = (object: unknown, key: string): unknown => (object as Json | null | undefined)?.[key];
  const value = name === '' ? config : name.split('.').reduce<unknown>(inside, config);
  return typeof value === 'object' && value !== null ? (value as Json) : undefined;
}

/**
 * Whether an object describes the image backbone. Of hybrids, config.json itself is the
 * transformer's and `backbone_config` that of the network in front of it.
 */
const describesImages = (config: Json, part: string): boolean =>
  section(config, part) !== undefined &&
  !(
    part === 'backbone_config' &&
    (config['is_hybrid'] === true || /^vit[-_]hybrid$/.test(String(config['model_type'])))
  );

/**
 * Where config.json describes the image model: where its part does, there alone. What stands above
 * is another part's, or nobody's: DPT over DINOv2 has the heads of a ViT there.
 */
function sectionsOf(config: Json): readonly string[] {
  const part = parts.find((name) => describesImages(config, name));
  return part === undefined ? levels : [part];
}

/** What config.json says of the image model alone, and where: `vision_config`, '' for itself. */
export interface ImageConfig {
  readonly at: string;
  readonly values: Json;
  /** Hugging Face's `model_type` of it; undefined if nothing tells. */
  readonly modelType: string | undefined;
}

/** Types of the image towers of models whose older configurations leave it out of the part. */
const towers: Readonly<Record<string, string>> = {
  'vision-text-dual-encoder': 'clip_vision_model',
};

/** The object of config.json that describes the image model as transformers writes it. */
export function imageConfig({ sidecars }: Checkpoint): ImageConfig | undefined {
  const config = sidecars.config;
  if (!config) return undefined;
  const at = sectionsOf(config).find((name) => name !== 'model_args') ?? '';
  const values = section(config, at) ?? config;
  const [own, above] = [values['model_type'], config['model_type']];
  const tower = typeof above === 'string' ? (towers[above] ?? `${above}_vision_model`) : undefined;
  const type = own ?? (at === 'vision_config' ? tower : undefined);
  return { at, values, modelType: typeof type === 'string' ? type : undefined };
}

/**
 * What JSON says, as a value that a hyper-parameter may have: of a list of flags, 1 and 0.
 * Undefined for what none has.
 */
export function configValue(value: unknown): ConfigValue | undefined {
  if (typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean') return value;
  if (!Array.isArray(value) || value.length === 0) return undefined;
  if (value.every((item): item is number => typeof item === 'number')) return value;
  return value.every((item) => typeof item === 'boolean') ? value.map(Number) : undefined;
}

/**
 * Hyper-parameters of an image tower in open_clip_config.json (open_clip's CLIPVisionCfg and its
 * defaults); of a tower by timm nothing but the size.
 */
const openClipKeys: Partial<
  Record<ConfigName, (vision: Json, model: Json) => readonly [key: string, value: unknown]>
> = {
  heads: ({ width, head_width: each = 64 }) => [
    'vision_cfg.width / head_width',
    Number(width) / Number(each),
  ],
  activation: (_, { quick_gelu: quick }) => ['quick_gelu', quick === true ? 'quick_gelu' : 'gelu'],
  image: ({ image_size: size }) => ['vision_cfg.image_size', size],
};

function fromOpenClip(checkpoint: Checkpoint, wanted: ConfigName): Evidence | undefined {
  const model = section(checkpoint.sidecars.openClip ?? {}, 'model_cfg');
  const vision = model && section(model, 'vision_cfg');
  if (!vision || ('timm_model_name' in vision && wanted !== 'image')) return undefined;
  const [key, said] = openClipKeys[wanted]?.(vision, model) ?? [];
  const value = configValue(said);
  if (value === undefined || Number.isNaN(value)) return undefined;
  return { value, source: `open_clip_config.json: model_cfg.${key}`, assumed: false };
}

/**
 * A hyper-parameter as config.json or open_clip_config.json beside the weights gives it; by keys,
 * config.json alone.
 */
export function configured(
  checkpoint: Checkpoint,
  wanted: ConfigName | readonly string[],
): Evidence | undefined {
  return typeof wanted === 'string'
    ? (configuredValue(checkpoint, keys[wanted]) ?? fromOpenClip(checkpoint, wanted))
    : configuredValue(checkpoint, wanted);
}

/**
 * The first of these keys that config.json has, in the section that is most specific to the image
 * model.
 */
function configuredValue(checkpoint: Checkpoint, wanted: readonly string[]): Evidence | undefined {
  const config = checkpoint.sidecars.config ?? {};
  for (const name of sectionsOf(config))
    for (const key of wanted) {
      const value = configValue(section(config, name)?.[key]);
      // timm's pool_size there is the map in front of the classifier, no hyper-parameter.
      if (name === 'pretrained_cfg' && key === 'pool_size') continue;
      if (value !== undefined)
        return { value, source: `config.json: ${name ? `${name}.` : ''}${key}`, assumed: false };
    }
  return undefined;
}

/** timm's name of the architecture in config.json: `vit_base_patch16_224`. */
export function configuredArchitecture(checkpoint: Checkpoint): string | undefined {
  const value = checkpoint.sidecars.config?.['architecture'];
  return typeof value === 'string' ? value : undefined;
}

/** Hugging Face's `model_type` in config.json: `dinov2`. */
export function configuredModelType(checkpoint: Checkpoint): string | undefined {
  const value = checkpoint.sidecars.config?.['model_type'];
  return typeof value === 'string' ? value : undefined;
}

/** An image size that a file states, and where. */
export interface StatedSize {
  readonly size: Size;
  readonly source: string;
}

/**
 * Model types of transformers that take other sizes than config.json's of themselves: what comes
 * out of their processor runs, be it as large as `image_size` or not. Others refuse it.
 */
const takeAnySize =
  /^(?:dinov2|dinov2_with_registers|dinov3_vit|beit|data2vec-vision|swin|swinv2|pvt|pvt_v2|segformer|convnext|convnextv2|cvt|mobilevit|mobilevitv2|poolformer|resnet|regnet|bit|efficientnet|mobilenet_v2|focalnet)$/;

/** Size of what preprocessor_config.json hands to the model; undefined if the image decides it. */
function processorSize(checkpoint: Checkpoint): StatedSize | undefined {
  const stated = statedByProcessor(checkpoint);
  return stated && canBeSize(stated.size) ? stated : undefined;
}

function statedByProcessor({ sidecars: { preprocessor, config } }: Checkpoint): StatedSize | undefined {
  if (!preprocessor || section(config ?? {}, 'pretrained_cfg')) return undefined;
  const { inputSize, evidence } = readTransformers({ preprocessor, config });
  const source = evidence.image_size?.source ?? 'preprocessor_config.json';
  return inputSize && { size: inputSize, source };
}

const sizeText = ({ size }: StatedSize): string => (size.some(Number.isNaN) ? 'no number' : size.join(' × '));
const isSame = (left: StatedSize, right: StatedSize): boolean => sizeText(left) === sizeText(right);

/**
 * The image size at which the library's own pipeline runs the model: the processor's, if the model
 * takes it, else config.json's; both are in the source if they differ.
 */
export function sizeToRun(checkpoint: Checkpoint): StatedSize | undefined {
  const config = configuredImageSize(checkpoint);
  const processor = takeAnySize.test(imageConfig(checkpoint)?.modelType ?? '')
    ? processorSize(checkpoint)
    : undefined;
  if (!processor || (config && isSame(config, processor))) return config ?? processor;
  const other = config ? `; ${config.source} is ${sizeText(config)}` : '';
  return { ...processor, source: `${processor.source}${other}` };
}

/**
 * Says that preprocessor_config.json makes images of another size than the model takes, which its
 * library refuses.
 */
export function sizeDoubt(checkpoint: Checkpoint): readonly string[] {
  const [run, processor] = [sizeToRun(checkpoint), processorSize(checkpoint)];
  const known = imageConfig(checkpoint)?.modelType !== undefined;
  if (!known || !run || !processor || sizeText(run) === sizeText(processor)) return [];
  return [
    `${processor.source} gives images of ${sizeText(processor)}, ${run.source} is ${sizeText(run)}: the model takes ${sizeText(run)}, which was run.`,
  ];
}

/** Whether an image may have these sides, in pixels. */
export const canBeSize = (size: Size): boolean =>
  size.every((side) => Number.isInteger(side) && side >= 1 && side <= modelLimits.imageSide);

/** Image size that config.json or the processor's states, whatever it is. */
const statedSizes = (checkpoint: Checkpoint): readonly StatedSize[] =>
  [statedImageSize(checkpoint), statedByProcessor(checkpoint)].filter((stated) => stated !== undefined);

/** Says of image sizes that no image has that they were passed over. */
export const absurdSizes = (checkpoint: Checkpoint): readonly string[] =>
  statedSizes(checkpoint)
    .filter(({ size }) => !canBeSize(size))
    .map(
      (stated) =>
        `${stated.source} is ${sizeText(stated)}, which no image is: sides of 1 to ${modelLimits.imageSide} pixels are needed. It was passed over.`,
    );

/** timm writes `[channels, height, width]` or one number. */
function statedImageSize(checkpoint: Checkpoint): StatedSize | undefined {
  const evidence = configured(checkpoint, 'image');
  if (!evidence) return undefined;
  const sides = [evidence.value].flat().map(Number);
  const width = last(sides);
  return { size: [sides.at(-2) ?? width, width], source: evidence.source };
}

/**
 * Image size of config.json, `[height, width]`; undefined if it states none, or one that no image
 * has.
 */
export function configuredImageSize(checkpoint: Checkpoint): StatedSize | undefined {
  const stated = statedImageSize(checkpoint);
  return stated && canBeSize(stated.size) ? stated : undefined;
}
