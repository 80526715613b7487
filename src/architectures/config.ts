import { last } from '../domain/lists';
import type { Size } from '../domain/size';
import type { Checkpoint } from '../checkpoint/checkpoint';
import type { ConfigValue, Evidence } from './family';

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

/** Objects of config.json that describe the image model, the most specific first. */
const sections = ['vision_config', 'model_args', '', 'pretrained_cfg'];

function section(config: Json, name: string): Json | undefined {
  const value = name === '' ? config : config[name];
  return typeof value === 'object' && value !== null ? (value as Json) : undefined;
}

function isConfigValue(value: unknown): value is ConfigValue {
  return (
    typeof value === 'number' ||
    typeof value === 'string' ||
    typeof value === 'boolean' ||
    (Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'number'))
  );
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
  const [key, value] = openClipKeys[wanted]?.(vision, model) ?? [];
  if (!isConfigValue(value) || Number.isNaN(value)) return undefined;
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
  for (const name of sections)
    for (const key of wanted) {
      const value = section(config, name)?.[key];
      if (isConfigValue(value))
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

/**
 * Image size of config.json, `[height, width]`. timm writes `[channels, height, width]` or one
 * number.
 */
export function configuredImageSize(
  checkpoint: Checkpoint,
): { readonly size: Size; readonly source: string } | undefined {
  const evidence = configured(checkpoint, 'image');
  if (!evidence) return undefined;
  const sides = [evidence.value].flat().map(Number);
  const width = last(sides);
  return { size: [sides.at(-2) ?? width, width], source: evidence.source };
}
