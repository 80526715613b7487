/**
 * What people call the hyper-parameters that evidence is given of, and which of them change what is
 * computed from the same weights.
 */
import type { ConfigValue } from '../domain/evidence';

/** A key of the evidence, as people read it. */
export interface HyperParameter {
  readonly label: string;
  /** Shapes leave it open: with the same weights, another value answers otherwise. */
  readonly isOpen: boolean;
}

const shown = (label: string): HyperParameter => ({ label, isOpen: false });
const open = (label: string): HyperParameter => ({ label, isOpen: true });

/** Every key that a family gives evidence of. */
export const hyperparameters: Readonly<Record<string, HyperParameter>> = {
  activation: open('Activation'),
  after_head: shown('Behind the classifier'),
  anti_aliasing: open('Blur before strides'),
  atrous_rates: open('Rates of the dilated convolutions'),
  attraction: open('Attractors taken together by'),
  backbone: shown('Convolutional backbone'),
  band_kernel: shown('Kernel of the bands'),
  bins: shown('Bins of depth'),
  block: shown('Kinds of block'),
  blocks: shown('Blocks per stage'),
  border: open('Border of odd maps'),
  box_refine: shown('Boxes moved by every layer'),
  branch_depth: shown('Blocks per branch'),
  branch_dim: shown('Width per convolution branch'),
  buckets: shown('Rows of the table of distances'),
  channel_scale: open('Scale of channel attention'),
  channels: shown('Channels of the image'),
  class_depth: shown('Class-attention blocks'),
  classes: shown('Classes'),
  context: shown('Tokens of a text'),
  conv_eps: open('Norm ε of convolutions'),
  convolutional_depth: shown('Convolutional blocks'),
  convolutions: shown('Convolutions per stage'),
  decoder_activation: open('Activation of the decoder'),
  decoder_depth: shown('Layers of the decoder'),
  decoder_dim: shown('Width of the decoder'),
  decoder_kind: shown('Decoder'),
  decoder_eps: open('Norm ε of the decoder'),
  decoder_heads: open('Heads of the decoder'),
  decoder_mlp_dim: shown('Hidden units of the decoder'),
  decoder_points: shown('Places on each map, decoder'),
  decoder_scaled: open('Words of the decoder scaled by √width'),
  depth: shown('Depth'),
  depth_type: open('Kind of depth'),
  depthwise_padding: open('Padding of depthwise convolutions'),
  detections: shown('Detection tokens'),
  dilation: open('Dilated last stage'),
  dim: shown('Width'),
  domain_heads: open('Heads of the scene classifier'),
  domains: open('Kinds of scenes'),
  downsample_activation: open('Activation behind downsampling'),
  downsample_heads: shown('Heads of the downsampling'),
  downsample_in_bottleneck: open('Stride in the first 1 × 1'),
  downsample_in_first_stage: open('Stride in the first stage'),
  encoder_activation: open('Activation of the encoder'),
  encoder_dim: shown('Width of the encoder'),
  eps: open('Norm ε'),
  farthest: open('Distance that shares the last row'),
  flavour: open('Variant of the blocks'),
  focal_levels: shown('Focal levels'),
  focal_windows: shown('Focal windows'),
  frames: open('Frames of a clip'),
  fusion: shown('Width of the fused maps'),
  gate: shown('Gate of the channels'),
  gate_activation: open('Activation of the gate'),
  global_layers: open('Layers with global attention'),
  grid: open('Grid of patches'),
  group_width: shown('Width per group'),
  groups: open('Groups of the norm'),
  growth: shown('Growth of the width'),
  head: open('Layers of the head'),
  head_activation: open('Activation in the head'),
  head_dim: shown('Width per head'),
  head_eps: open('Norm ε of the head'),
  head_form: open('Form of the head'),
  head_input: open('What the head reads'),
  head_side: open('Activation and norm in the head'),
  heads: open('Heads'),
  image_size: open('Image size'),
  inner_activation: open('Activation inside the block'),
  inner_dim: shown('Inner width'),
  keep_aspect_ratio: open('Aspect ratio of positions kept'),
  kernel: shown('Kernel'),
  key_dim: shown('Key width per head'),
  keypoints: shown('Keypoints'),
  kv_stride: open('Key and value stride'),
  layers_normed: open('Norm over the layers read'),
  levels: shown('Maps that are sampled'),
  local_depth: shown('Gated positional blocks'),
  lora_scale: open('LoRA factor'),
  mask_activation: open('Activation in the head of masks'),
  mask_patch: open('Side of squares that are hidden'),
  mask_ratio: open('Share of patches that are hidden'),
  mask_unit: open('Mask unit'),
  mask_unit_stages: open('Stages with mask-unit attention'),
  masked_attention: open('Queries see their masks alone'),
  masks: shown('Masks for each prompt'),
  max_depth: open('Greatest depth'),
  max_temperature: open('Greatest temperature'),
  merge_strides: open('Strides of the merging'),
  min_temperature: open('Least temperature'),
  masked: open('Tokens hidden from those before them'),
  mlp_activation: open('MLP activation'),
  mlp_dim: shown('Hidden units'),
  mlp_ratio: shown('MLP ratio'),
  most_tokens: open('Most tokens of a text'),
  neck: shown('Widths of the neck'),
  norm: shown('Norm'),
  norm_order: open('Place of the norms'),
  norm_pix_loss: open('Rebuilds normalised patches'),
  normalize_modulator: open('Modulator divided by its levels'),
  objectness: shown('Says where any object is'),
  offset_scale: open('Scale of offsets'),
  out_layers: open('Layers that the head reads'),
  output_stride: open('Output stride'),
  outputs_scaled: open('Outputs scaled by 1/√width'),
  padding: open('Padding'),
  parallel_depth: shown('Parallel blocks'),
  partition_ratio: open('Window by image side'),
  patch: open('Patch'),
  patch_padding: open('Padding of patches'),
  patch_stride: open('Patch stride'),
  patterns: shown('Patterns of queries'),
  phrase_mask: open('Mask of phrases'),
  pixel_embedding: shown('Embedding of pixels'),
  pixels: shown('Pixels taken'),
  points: shown('Places on each map'),
  pool: open('Pooling'),
  pool_heads: open('Heads of the pooling'),
  pool_padding: open('Padding of the pooling'),
  pool_prefix: open('Special tokens pooled'),
  pool_scales: open('Grids of the pooling'),
  pool_size: open('Side of the pooling'),
  pool_type: open('Downsampling by'),
  pooler_depth: shown('Layers of the pooler'),
  position_slots: open('Special tokens in the position table'),
  position_windows: shown('Windows of relative positions'),
  positions: open('Positions of the map'),
  post_norm: open('Norms after the branches'),
  pre_activation: open('Norms before convolutions'),
  pretrained_window: open('Window in training'),
  projection: shown('Width of the joint space'),
  qkv: open('Order of Q, K, V'),
  quantisation: shown('Quantisation'),
  queries: open('Queries'),
  query_blocks: shown('Blocks with queries'),
  query_depth: shown('Layers that make the queries'),
  query_dim: shown('Width of the comparison'),
  query_stride: open('Query stride'),
  readout: open('What becomes of the class token'),
  readout_activation: open('Activation behind the class token'),
  reduction: shown('Key reduction'),
  registers: shown('Registers'),
  relative_position_bias: shown('Relative position bias'),
  resampling: open('Resampling of positions'),
  residual_pooling: open('Queries added to the result'),
  resolution: open('Grid that it was made for'),
  rope: open('Rotary positions'),
  rope_indexing: open('Rotary order of axes'),
  rope_offset: open('Rotary offset'),
  rope_pairing: open('Rotary pairs'),
  rope_ref_grid: open('Rotary grid in training'),
  rope_temperature: open('Rotary temperature'),
  sampling: open('Sampling of places'),
  sampling_eps: open('Norm ε of patches'),
  scale: open('Attention scaled by the width of'),
  scale_factor: open('Enlargement of the map'),
  second_grid: open('Grid of the second branch'),
  special_tokens: shown('Special tokens'),
  stem_depth: shown('Blocks of the stem'),
  stem_pool: open('Maximum behind the first convolution'),
  stem_stride: open('Stride of the first convolution'),
  stride: open('Stride'),
  stride_mode: open('Convolution that strides'),
  strides: open('Strides of the stages'),
  table_resampling: open('Resampling of relative positions'),
  task_norm: open('Task normed in front of the queries'),
  temperature: open('Temperature'),
  temperature_height: open('Temperature of rows'),
  temperature_width: open('Temperature of columns'),
  text_activation: open('Activation of the text tower'),
  text_depth: shown('Layers of the text tower'),
  text_dim: shown('Width of the text tower'),
  text_eps: open('Norm ε of the text tower'),
  text_heads: open('Heads of the text tower'),
  text_padding: open('Padding token of the text tower'),
  token_mixer: open('Token mixer'),
  tokens_norm: open('Norm over all tokens'),
  top_down_levels: open('Levels added to finer ones'),
  trained_size: open('Image size in training'),
  tubelet: shown('Frames of a patch'),
  two_stage: shown('Queries from the encoder'),
  up_scale: open('Factor of each enlargement'),
  value_ratio: shown('Value width by key width'),
  vocabulary: shown('Words of the vocabulary'),
  window: open('Window'),
  window_ratio: open('Image side by window'),
  words_scaled: open('Words scaled by √width'),
};

/** What keys of a backbone begin with inside of a model that has hyper-parameters of its own. */
const ofBackbone = /^backbone_(?=.)/;

/** What is known of a key; of one of a backbone what is known of it by itself. */
export function hyperparameterOf(key: string): HyperParameter | undefined {
  const known = hyperparameters[key];
  if (known || !ofBackbone.test(key)) return known;
  const own = hyperparameters[key.replace(ofBackbone, '')];
  return own && { ...own, label: `${own.label} of the backbone` };
}

/** Field words for a key; its own if the table has none. */
export function labelOf(key: string): string {
  const known = hyperparameterOf(key)?.label;
  const words = key.replaceAll('_', ' ');
  return known ?? words.charAt(0).toUpperCase() + words.slice(1);
}

/** Of ratios that are no decimal fraction, as an MLP's of 8 / 3. */
const significantDigits = 6;

/** A hyper-parameter's value as the user would type it. */
export function valueText(value: ConfigValue): string {
  if (typeof value === 'object') return value.length > 0 ? value.map(valueText).join(', ') : 'none';
  return String(typeof value === 'number' ? Number(value.toPrecision(significantDigits)) : value);
}
