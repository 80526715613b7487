/**
 * What every key of a configuration of transformers does to the computation. A key is read by
 * `decide`, or told by names and shapes, or without effect, or it must have a value that the family
 * computes with; else the file is refused, with the key.
 */
import type { Checkpoint } from '../checkpoint/checkpoint';
import { absurdSizes, configValue, imageConfig, sizeDoubt, type ImageConfig } from './config';
import type { ConfigValue, Found } from './family';
import { configClasses } from './published/configClasses';

/** A configuration that says what the family does not compute, or what the weights are not. */
export class ConfigError extends Error {}

type Values = Readonly<Record<string, unknown>>;

let parsed: ReadonlyMap<string, Values> | undefined;

/** Defaults of a configuration class by key; undefined for types that are not known here. */
export function configDefaults(modelType: string): Values | undefined {
  parsed ??= new Map(Object.entries(JSON.parse(configClasses) as Readonly<Record<string, Values>>));
  return parsed.get(modelType);
}

/** Keys without effect on a forward pass: training, losses, and the names of what it hands back. */
const idle: ReadonlySet<string> = new Set([
  'attention_drop_rate',
  'attention_dropout',
  'attention_probs_dropout_prob',
  'attn_dropout',
  'auxiliary_loss',
  'auxiliary_loss_weight',
  'aspp_dropout_prob',
  'batch_norm_momentum',
  'bbox_cost',
  'bbox_loss_coefficient',
  'class_cost',
  'classifier_dropout_prob',
  'drop_connect_rate',
  'drop_path_rate',
  'drop_rate',
  'dropout_prob',
  'dropout_rate',
  'eos_coefficient',
  'ffn_dropout',
  'giou_cost',
  'giou_loss_coefficient',
  'hidden_dropout_prob',
  'initializer_factor',
  'initializer_range',
  'layer_norm_init',
  'layer_scale_init_value',
  'layerscale_value',
  'mask_ratio',
  'norm_pix_loss',
  'normalize_pixel_loss',
  'num_labels',
  'out_features',
  'out_indices',
  'pad_token_id',
  'pos_embed_jitter',
  'pos_embed_rescale',
  'pos_embed_shift',
  'semantic_classifier_dropout',
  'semantic_loss_ignore_index',
  'stage_names',
  'tie_word_embeddings',
  'use_mask_token',
  'vocab_size',
]);

/** Keys of decoders, necks, poolers and heads that are counted and not run. */
const besideTheBackbone =
  /^(?:decoder_|auxiliary_|aspp_|atrous_rates$|add_fpn$|add_projection$|neck_|fusion_|head_in_index$|max_depth$|pool_scales$|readout_type$|reassemble_|backbone_|use_auxiliary_head$|use_batch_norm_in_|use_bias_in_|encoder_stride$|projection_dim$|mit_|output_channels$|num_pos_feats$|pooler_output_size$|type_vocab_size$|modality_type_vocab_size$|max_position_embeddings$|max_image_length$|num_images$|is_hybrid$|use_pretrained_backbone$)/;

/** Keys that names and shapes of the weights tell: a file without the parameter does without it. */
const byShapes: ReadonlySet<string> = new Set([
  'attention_ratio',
  'base_attn_unit_dims',
  'blocks_per_stage',
  'cls_token',
  'conv_kernel_size',
  'depth',
  'depth_coefficient',
  'depth_divisible_by',
  'depth_divisor',
  'depth_multiplier',
  'depths',
  'embed_dim',
  'embed_dim_multiplier',
  'embedding_size',
  'expand_ratio',
  'expand_ratios',
  'ffn_multiplier',
  'finegrained_output',
  'first_layer_is_expansion',
  'focal_levels',
  'focal_windows',
  'groups_width',
  'hidden_dim',
  'hidden_size',
  'hidden_sizes',
  'in_channels',
  'intermediate_size',
  'kernel_qkv',
  'kernel_sizes',
  'key_bias',
  'key_dim',
  'layer_type',
  'linear_attention',
  'min_depth',
  'mlp_bias',
  'mlp_dim',
  'mlp_ratio',
  'mlp_ratios',
  'n_attn_blocks',
  'neck_hidden_sizes',
  'num_block_repeats',
  'num_channels',
  'num_detection_tokens',
  'num_encoder_blocks',
  'num_hidden_layers',
  'num_layers',
  'num_patches',
  'num_register_tokens',
  'num_stages',
  'out_channels',
  'patch_sizes',
  'proj_bias',
  'qkv_bias',
  'query_bias',
  'residual_block_indices',
  'scale',
  'sequence_reduction_ratios',
  'squeeze_expansion_ratio',
  'sr_ratios',
  'use_abs_pos',
  'use_absolute_embeddings',
  'use_absolute_position_embeddings',
  'use_conv_embed',
  'use_gated_mlp',
  'use_head',
  'use_layerscale',
  'use_layer_scale',
  'use_mean_pooling',
  'use_mid_position_embeddings',
  'use_post_layernorm_in_modulation',
  'use_rel_pos',
  'use_relative_position_bias',
  'use_relative_position_embeddings',
  'use_shared_relative_position_bias',
  'use_swiglu_ffn',
  'value_bias',
  'vision_use_head',
  'width_coefficient',
  'width_factor',
  'width_multiplier',
]);

/**
 * Keys that `config.ts` reads itself, and heads, which the weights tell where no question reads
 * them.
 */
const readElsewhere: ReadonlySet<string> = new Set([
  'image_size',
  'pretrain_image_size',
  'num_attention_heads',
  'num_heads',
]);

/** What a model type allows beside the class's defaults, or needs instead of the tables above. */
interface Rule {
  /** Names of the families that compute its models; none for what only looks like one of them. */
  readonly families: readonly string[];
  /** The naming by which alone a family reads such a file as it is computed. */
  readonly naming?: string;
  /** Keys without effect on this type alone. */
  readonly idle?: readonly string[];
  /** Values beside the default with which this program computes the same. */
  readonly also?: Readonly<Record<string, readonly unknown[]>>;
}

const vit: Rule = {
  families: ['vit'],
  // The kernel has its side; the pooler is a layer of its own, which is read with its activation.
  idle: ['patch_size'],
};
const backbone: Rule = { ...vit, idle: ['patch_size', 'apply_layernorm', 'reshape_hidden_states'] };
const clip: Rule = { families: ['clip', 'vit'], idle: ['patch_size'] };
const siglip: Rule = { families: ['siglip'], idle: ['patch_size'] };
/** Lengths of the tables of relative positions tell windows, and the layers that have them. */
const windowed = (family: string): Rule => ({
  families: [family],
  idle: ['patch_size', 'global_attn_indexes', 'window_block_indices', 'window_size'],
});
const swin: Rule = { families: ['swin'], idle: ['patch_size'] };

const rules: Readonly<Record<string, Rule>> = {
  vit,
  deit: vit,
  vit_mae: vit,
  vit_msn: vit,
  ijepa: vit,
  yolos: { ...vit, families: ['yolos'] },
  timesformer: { families: ['timesformer'], idle: ['patch_size', 'num_frames'] },
  // The kernel has its sides.
  vivit: { families: ['vivit'], idle: ['tubelet_size'] },
  videomae: { families: ['videomae'], idle: ['patch_size', 'tubelet_size', 'qv_bias'] },
  vjepa2: { families: ['vjepa2'], idle: ['patch_size', 'tubelet_size'] },
  dpt: { families: ['vit', 'vit-hybrid'], idle: ['patch_size'] },
  dinov2: { ...backbone, families: ['vit', 'eva'] },
  dinov2_with_registers: { ...backbone, families: ['vit', 'eva'] },
  dinov3_vit: { ...backbone, families: ['eva'] },
  blip_vision_model: vit,
  blip_2_vision_model: vit,
  aimv2_vision_model: vit,
  'vit-hybrid': { families: ['vit-hybrid'], idle: ['patch_size'] },
  vitdet: windowed('vitdet'),
  clip_vision_model: clip,
  metaclip_2_vision_model: clip,
  altclip_vision_model: clip,
  chinese_clip_vision_model: clip,
  clipseg_vision_model: clip,
  git_vision_model: clip,
  owlvit_vision_model: clip,
  owlv2_vision_model: clip,
  siglip_vision_model: siglip,
  siglip2_vision_model: siglip,
  // Shapes tell widths, depths and sides of kernels and tables, but not how a stage is pooled.
  sam2_hiera_det_model: {
    families: ['hieradet'],
    idle: [
      'blocks_per_stage',
      'embed_dim_per_stage',
      'hidden_size',
      'patch_kernel_size',
      'window_positional_embedding_background_size',
    ],
  },
  sam_vision_model: windowed('sam'),
  sam_hq_vision_model: windowed('sam'),
  beit: { families: ['beit'], idle: ['patch_size', 'reshape_hidden_states'] },
  'data2vec-vision': { families: ['beit'], idle: ['patch_size'] },
  swin,
  'maskformer-swin': swin,
  'donut-swin': swin,
  swinv2: { families: ['swinv2'], idle: ['patch_size'] },
  // Shapes tell what a stage ends with and the channels that come out; patches are single pixels.
  swin2sr: { families: ['swin2sr'], idle: ['num_channels_out', 'patch_size', 'resi_connection'] },
  pvt: { families: ['pvt'] },
  pvt_v2: { families: ['pvt_v2'] },
  segformer: { families: ['segformer'], idle: ['reshape_last_stage'] },
  glpn: { families: ['segformer'] },
  convnext: { families: ['convnext'], idle: ['patch_size'] },
  convnextv2: { families: ['convnext'], idle: ['patch_size'] },
  dinov3_convnext: { families: ['convnext'] },
  cvt: { families: ['cvt'] },
  // `down_ops` follows from widths and keys; its strides are always 2.
  levit: { families: ['levit'], idle: ['down_ops'] },
  mobilevit: { families: ['mobilevit'] },
  mobilevitv2: { families: ['mobilevit'] },
  // `patch_size` and `stride` are read by nothing: `patch_sizes` and `strides` are.
  poolformer: { families: ['metaformer'], idle: ['patch_size', 'stride'] },
  resnet: { families: ['resnet'] },
  rt_detr_resnet: { families: ['resnet'] },
  regnet: { families: ['regnet'] },
  bit: { families: ['bit'] },
  efficientnet: { families: ['efficientnet'] },
  align_vision_model: { families: ['efficientnet'] },
  mobilenet_v1: { families: ['efficientnet'] },
  mobilenet_v2: { families: ['efficientnet'] },
  // Groups of channels are as many as heads, which the model around it holds them to.
  florence_vision: { families: ['davit'], idle: ['num_groups'] },
  focalnet: { families: ['focalnet'] },
  hiera: { families: ['hiera'], idle: ['patch_size'] },
  // A row of the table is added to all others, and patches overlap the image's edges: the naming
  // says so, which a file is told to have by the head beside it.
  vitpose_backbone: { ...vit, naming: 'transformers-vitpose', idle: ['patch_size', 'part_features'] },
  // Names like those of a family here, another computation: rotary positions, spectrograms.
  mlcd: { families: [] },
  mlcd_vision_model: { families: [] },
  'audio-spectrogram-transformer': { families: [] },
};

/** Types that say nothing of the network inside. */
const wrappers: ReadonlySet<string> = new Set(['timm_wrapper', 'timm_backbone']);

/** What a family's questions have read of config.json, and what they passed over. */
interface Ledger {
  readonly keys: Set<string>;
  readonly passed: Set<string>;
}

const ledgers = new WeakMap<Found, Ledger>();

function ledgerOf(found: Found): Ledger {
  const known = ledgers.get(found) ?? { keys: new Set(), passed: new Set() };
  ledgers.set(found, known);
  return known;
}

/** A file of which a family looks at some tensors otherwise; what is read counts for the whole. */
export function partOf(found: Found, tensors: Found['tensors']): Found {
  const part = { ...found, tensors };
  ledgers.set(part, ledgerOf(found));
  return part;
}

/** Notes that a question about this file reads these keys. */
export function noteRead(found: Found, keys: readonly string[]): void {
  const ledger = ledgerOf(found);
  for (const key of keys) ledger.keys.add(key);
}

/** Keys of config.json that questions about this file have read. */
export const readKeys = (found: Found): ReadonlySet<string> => ledgerOf(found).keys;

/** Notes a value that the weights contradict, for a warning. */
export function passOver(found: Found, warning: string): void {
  ledgerOf(found).passed.add(warning);
}

/** `3`, `[3,3]` and `3.0` are one value. */
export function sameValue(left: unknown, right: unknown): boolean {
  const [one, other] = [left, right].map((value) =>
    Array.isArray(value) && value.length > 0 && value.every((each) => each === value[0])
      ? (value[0] as unknown)
      : value,
  );
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Whether a key may have any value: it has no effect, or names and shapes tell it. */
const isFree = (key: string, rule: Rule): boolean =>
  idle.has(key) ||
  byShapes.has(key) ||
  readElsewhere.has(key) ||
  besideTheBackbone.test(key) ||
  (rule.idle?.includes(key) ?? false);

/** Keys of a class that are neither read nor free, and have a value that is not computed. */
function notComputed(found: Found, { values }: ImageConfig, rule: Rule, defaults: Values): readonly string[] {
  const read = ledgerOf(found).keys;
  return Object.keys(defaults).filter((key) => {
    const value = values[key];
    if (value === undefined || value === null || isFree(key, rule) || read.has(key)) return false;
    return ![defaults[key], ...(rule.also?.[key] ?? [])].some((allowed) => sameValue(value, allowed));
  });
}

const place = ({ at }: ImageConfig, key: string): string => `config.json: ${at ? `${at}.` : ''}${key}`;

/** What a family of this name and title is called for the check. */
interface Guess {
  readonly name: string;
  readonly title: string;
  /** Whether config.json describes the whole model, of which this is a part. */
  readonly isPart: boolean;
}

/**
 * Holds what a family makes of a file to config.json. Throws `ConfigError` if it names another
 * family, or a value that this one does not compute; returns what should be warned of.
 */
export function checkConfig(found: Found, { name, title, isPart }: Guess): readonly string[] {
  const sizes = found.imageSize ? [] : [...sizeDoubt(found.checkpoint), ...absurdSizes(found.checkpoint)];
  const passed = [...ledgerOf(found).passed, ...sizes];
  const config = imageConfig(found.checkpoint);
  const type = config?.modelType;
  if (!config || type === undefined || wrappers.has(type)) return passed;
  const rule = Object.hasOwn(rules, type) ? rules[type] : undefined;
  if (!rule)
    return isPart && config.at === ''
      ? passed
      : [
          ...passed,
          `${place(config, 'model_type')} is ${type}, which is not known here; the names are those of ${title}, and it was read as one.`,
        ];
  const isNamedSo = rule.naming === undefined || rule.naming === found.dialect.name;
  if (!rule.families.includes(name) || !isNamedSo)
    throw new ConfigError(
      `${place(config, 'model_type')} is ${type}, and the names are those of ${title}, which computes otherwise`,
    );
  const [key] = notComputed(found, config, rule, configDefaults(type) ?? {});
  if (key === undefined) return passed;
  const computed = JSON.stringify(configDefaults(type)?.[key]);
  throw new ConfigError(
    `${place(config, key)} is ${JSON.stringify(config.values[key])}; of ${title}, ${computed} alone is computed`,
  );
}

/** The value that a configuration class has for the first of these keys that it knows. */
export function defaultOf(
  checkpoint: Checkpoint,
  keys: readonly string[],
): { readonly key: string; readonly value: ConfigValue; readonly modelType: string } | undefined {
  const config = imageConfig(checkpoint);
  const type = config?.modelType;
  const defaults = type === undefined ? undefined : configDefaults(type);
  const key = keys.find((each) => configValue(defaults?.[each]) !== undefined);
  const value = key === undefined ? undefined : configValue(defaults?.[key]);
  if (type === undefined || key === undefined || value === undefined) return undefined;
  return keys.some((each) => each in (config?.values ?? {})) ? undefined : { key, value, modelType: type };
}
