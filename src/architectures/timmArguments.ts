/**
 * What every argument in `model_args` of timm's config.json does to the computation. An argument is
 * read by `decide`, or told by names and shapes, or without effect, or it is held to what is
 * computed; else it must have the value that timm's classes have for it.
 */
import { activations } from './blocks/layers';
import { configValue } from './config';
import { ConfigError, readKeys, sameValue } from './configKeys';
import type { ConfigValue, EvidenceRecord, Found } from './family';
import { classArguments } from './published/timmArguments';

/** Without effect on a forward pass: training, initialisation, and what is checked of an image. */
const idle =
  /(?:^|_)drop(?:out)?(?:_rate|_size)?$|^(?:attn_drop|proj_drop)|_init$|^(?:weight_init|zero_init_last|fix_init|head_init_scale|conv_init|locality_strength|eta|device|dtype|memory_efficient|use_checkpoint|dynamic_img_size|strict_img_size|dynamic_img_pad|use_mix_token|inference_mode|rope_(?:jitter|shift|rescale)_coords|jax_impl|bn_momentum)$|^drop_/;

/** Names and shapes of the weights tell: a file without the parameter does without it. */
const byShapes: ReadonlySet<string> = new Set(
  `abs_win_pos_embed attn_block attn_layer attn_ratio attn_type avg_down base_dim base_dims
  base_width basic bias block_args block_config block_type bn_size cardinality cfg channels
  class_token cls_attn_layers cls_ratio conv_bias conv_cfg conv_mlp d2_scales depth
  depth_token_only depths dim dim_head dim_mul dims distillation distilled embed_dim embed_dims
  embed_norm embed_norm_layer expand_attn expand_ratio fc_norm final_norm first_stride focal_levels
  focal_windows global_att_blocks global_attn_indexes global_block_counts global_pos_size
  growth_rate head_bias head_dim head_mul head_norm head_widths heads img_size in_chans
  init_channels init_values inner_dim kernel_qkv kernel_sizes kernels key_dim layer_scale
  layer_scale_init_value layer_scale_init_values layers layerscale_value legacy linear
  local_conv_size local_up_to_layer ls_init_value mbconv_expand_ratio mlp_bias mlp_ratio
  mlp_ratio_token_only mlp_ratios neck_chans no_embed_class num_classes num_features num_heads
  num_heads_inner num_heads_outer num_levels num_reg_tokens num_vit parallel_depth patch_kernel
  patch_size pos_embed pre_norm preact proj_bias qk_norm qkv_bias qkv_fused reg_tokens rel_pos_dim
  rel_pos_type scale_attn_inner scale_attn_norm scale_mlp scale_mlp_norm se_downsamples se_ratio
  sep_pos_embed serial_depths shared_rel_pos shortcut_bias sr_ratios stages stem_bias stem_chs
  stem_hidden_dim stem_size stem_type stem_use_scale_branch stem_width swiglu_mlp transformer_cfg
  use_abs_pos use_abs_pos_emb use_aux_head use_cls_token use_conv use_expand_proj use_fc_norm use_grn
  use_mlp_head use_overlap_down use_pos_emb use_pos_embed use_post_norm_in_modulation
  use_post_transformer_norm use_pre_transformer_norm use_rel_pos use_rel_pos_bias
  use_shared_rel_pos_bias group head_hidden_size head_norm_first num_kv_heads spatial_conv w0 wa window_size window_sizes wm
  width_factor widths`.split(/\s+/),
);

/** Norms by their names: batch norms have buffers, RMS norms no bias, LayerNorms neither. */
const normsByParts = /(?:^|[.])(?:layernorm|rmsnorm|batchnorm|simplenorm|ln|rms|bn)[^.]*$/i;

const sameActivation = (left: unknown, right: ConfigValue | undefined): boolean =>
  [right].flat().some((each) => activations[String(left)] === activations[String(each)]);

/**
 * Arguments whose meaning the evidence of a family has under another key: whether the value is what
 * is computed; undefined if the family has no such evidence.
 */
const held: Readonly<
  Record<string, (value: ConfigValue, of: (key: string) => ConfigValue | undefined) => boolean | undefined>
> = {
  // An empty word is timm's for none.
  global_pool: (value, of) => value === '' || value === (of('pool') ?? 'avg'),
  act_layer: (value, of) =>
    of('activation') === undefined ? undefined : sameActivation(value, of('activation')),
  pos_embed_grid_size: (value, of) =>
    of('grid') === undefined ? undefined : String(value) === String(of('grid')),
  norm_eps: (value, of) => (of('eps') === undefined ? undefined : value === of('eps')),
  norm_layer: (value) => normsByParts.test(String(value)),
  norm_layer_cl: (value) => normsByParts.test(String(value)),
  use_post_norm: (value, of) => {
    const [order, post] = [of('norm_order'), of('post_norm')];
    if (order === undefined && post === undefined) return undefined;
    return (value === true) === (post ?? order === 'post');
  },
  use_rot_pos_emb: (value, of) =>
    of('rope') === undefined ? undefined : (value === true) === (of('rope') !== 'none'),
};

let parsed: ReadonlyMap<string, readonly unknown[]> | undefined;

/** What timm's classes have for an argument; undefined for one that none of them has. */
function classValues(key: string): readonly unknown[] | undefined {
  parsed ??= new Map(
    Object.entries(JSON.parse(classArguments) as Readonly<Record<string, readonly unknown[]>>),
  );
  return parsed.get(key);
}

/** Arguments of timm's that config.json gives: in `model_args`, and how it pools. */
function argumentsOf({
  checkpoint,
}: Found): readonly (readonly [place: string, key: string, value: unknown])[] {
  const { model_args: own, global_pool: pool, architecture } = checkpoint.sidecars.config ?? {};
  if (typeof architecture !== 'string') return [];
  const given = Object.entries(typeof own === 'object' && own !== null ? own : {});
  return [
    ...given.map(([key, value]) => [`model_args.${key}`, key, value as unknown] as const),
    ...(pool === undefined || given.some(([key]) => key === 'global_pool')
      ? []
      : [['global_pool', 'global_pool', pool] as const]),
  ];
}

/**
 * Holds what a family makes of a file to timm's arguments. Throws `ConfigError` for a value that it
 * does not compute; returns a warning of each argument that is not known here.
 */
export function checkArguments(found: Found, title: string, evidence: EvidenceRecord): readonly string[] {
  const read = readKeys(found);
  const of = (key: string): ConfigValue | undefined => evidence[key]?.value;
  const byUser = (key: string): boolean =>
    [...assumedFor(key)].some((each) => found.assume[each] !== undefined);
  return argumentsOf(found).flatMap(([place, key, said]) => {
    if (said === null || idle.test(key) || byShapes.has(key) || read.has(key) || byUser(key)) return [];
    const value = configValue(said);
    const verdict =
      value === undefined ? undefined : (Object.hasOwn(held, key) ? held[key] : undefined)?.(value, of);
    const usual = classValues(key);
    if (verdict ?? usual?.some((each) => sameValue(each, said))) return [];
    if (verdict === undefined && usual === undefined)
      return [`config.json: ${place} is ${JSON.stringify(said)}, which is not known here and was not read.`];
    throw new ConfigError(
      `config.json: ${place} is ${JSON.stringify(said)}, which ${title} is not computed with here`,
    );
  });
}

/** Hyper-parameters by which a user decides what an argument says. */
function assumedFor(key: string): readonly string[] {
  const other: Readonly<Record<string, readonly string[]>> = {
    global_pool: ['pool'],
    act_layer: ['activation'],
    norm_eps: ['eps'],
    pos_embed_grid_size: ['grid'],
    use_post_norm: ['norm_order', 'post_norm'],
    use_rot_pos_emb: ['rope'],
  };
  return (Object.hasOwn(other, key) ? other[key] : undefined) ?? [];
}
