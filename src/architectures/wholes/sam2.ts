import { at, last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { residual } from '../blocks/layers';
import { gridOf, repeatedMap } from '../blocks/maps';
import { countOf, shapeOf } from '../decide';
import { whole as wholeTensor, type Layout, type Rename } from '../dialect';
import { numbersIn, stored } from '../evidence';
import { settle, type FoundWhole, type PartContext, type Whole } from '../whole';
import { mapOf } from './detectors';
import { decoder, directions, prompt, type SamConfig } from './samDecoder';

/** SAM's, with the levels of the pyramid that are added to the finer one. */
interface Sam2Config extends SamConfig {
  readonly topDown: readonly number[];
}

/** Levels that masks are drawn on: the coarsest of these is what prompts look at. */
const levelsRead = 3;

function recognise(found: FoundWhole) {
  if (found.backbone.architecture !== 'hieradet') return undefined;
  const [masks = 0, dim = 0] = shapeOf(found.tensors, 'mask_decoder.mask_tokens.weight');
  const heads = settle<number>(found, 'decoder_heads', {
    config: ['mask_decoder_config.num_attention_heads'],
    otherwise: stored(8, 'as published (Ravi et al. 2024)'),
    is: (value) => typeof value === 'number' && value > 0 && dim % value === 0,
    needed: `a number that divides the width ${dim}`,
  });
  const topDown = settle<readonly number[]>(found, 'top_down_levels', {
    config: ['vision_config.fpn_top_down_levels'],
    otherwise: stored<readonly number[]>([2, 3], 'as published'),
    is: (value) => [value].flat().every((level) => Number.isInteger(level) && Number(level) >= 0),
    needed: 'numbers of levels',
  });
  const depth = countOf(found.tensors, `${decoder}.layers`);
  const stride = numbersIn(found.backbone.evidence['patch_stride']?.value ?? 4);
  // Each of the levels above the finest halves the map.
  const factor = 2 ** (levelsRead - 1);
  return {
    label: 'sam2',
    title: found.backbone.title.replace(/ Hiera/, ', Hiera'),
    evidence: {
      decoder_depth: stored(depth, `${decoder}.layers.*`),
      decoder_dim: stored(dim, 'mask_decoder.mask_tokens.weight'),
      decoder_heads: heads,
      top_down_levels: topDown,
      masks: stored(masks - 1, 'mask_decoder.mask_tokens.weight, less the one for a single answer'),
    },
    config: {
      ...{ dim, depth, masks, heads: heads.value, activation: 'relu', eps: 1e-5, isSecond: true },
      patch: [factor * at(stride, 0), factor * last(stride)] as const,
      topDown: numbersIn(topDown.value),
    },
    reading: { task: 'segment', rule: 'prompts', stretched: true } as const,
    lengths: { prompts: 1, points: 1, boxes: 0 },
    bounds: { points: { least: 0, most: 64 }, boxes: { least: 0, most: 1 } },
  };
}

/**
 * The pyramid (Ravi et al. 2024, §D.1): every stage at one width, from the coarsest on; some are
 * added to, enlarged by repeating. The finest first.
 */
function pyramid(
  b: GraphBuilder,
  maps: readonly ValueInfo[],
  topDown: readonly number[],
): readonly ValueInfo[] {
  const coarsest = maps.length - 1;
  const levels: ValueInfo[] = [];
  b.scope('vision_encoder.neck', () => {
    for (let level = coarsest; level >= 0; level--) {
      const own = convolution(b, at(maps, level), `convs.${coarsest - level}`, {});
      const [above] = levels;
      const adds = above && level < coarsest && topDown.includes(level);
      levels.unshift(adds ? residual(b, own, repeatedMap(b, above, gridOf(own))) : own);
    }
  });
  return levels;
}

/** The image encoder, whose maps all prompts of an image share; no earlier frame is remembered. */
function image(b: GraphBuilder, { dim, topDown }: Sam2Config, context: PartContext): void {
  const maps = context.backbone().stages.map((stage) => mapOf(b, stage));
  const levels = pyramid(b, maps, topDown);
  const fine = (level: number): ValueInfo =>
    b.scope('mask_decoder', () => convolution(b, at(levels, level), `conv_s${level}`, {}));
  b.output('high_resolution_0', fine(0), 'state');
  b.output('high_resolution_1', fine(1), 'state');
  const none = b.parameter('no_memory_embedding', [1, dim, 1, 1]);
  b.output('image_embeddings', residual(b, at(levels, levelsRead - 1), none), 'state');
}

/** A table as one for each of its rows, `[1, width]`. */
const eachRow: Layout = (tensor) => {
  const [count = 0, width = 0] = tensor.shape;
  return Array.from({ length: count }, (_, row) => ({
    ...wholeTensor(tensor, [1, width]),
    first: row * width,
  }));
};

/** What transformers names otherwise than in its first SAM. */
const transformersNames: readonly Rename[] = [
  [/^prompt_encoder\.point_embed\.weight$/, 'prompt_encoder.point_embed.*.weight', eachRow],
  [/^(mask_decoder\.transformer\..+)\.o_proj\.(weight|bias)$/, '$1.out_proj.$2'],
  [/^(mask_decoder\.transformer\.layers\.\d+\.mlp)\.proj_in\.(weight|bias)$/, '$1.lin1.$2'],
  [/^(mask_decoder\.transformer\.layers\.\d+\.mlp)\.proj_out\.(weight|bias)$/, '$1.lin2.$2'],
];

/** What is for clips: memories of earlier frames; and what not every prompt has. */
const idle =
  /^(?:memory_|maskmem_|mask_downsample|obj_ptr_|object_pointer|no_obj|no_mem_pos|no_memory_pos|temporal_|occlusion_|prompt_encoder\.(?:mask_embed\.|point_embed\.[23]\.))/;

/** SAM 2 on single images (Ravi et al. 2024) as transformers names it. */
export const sam2: Whole<Sam2Config> = {
  name: 'sam2',
  title: 'Segment Anything 2',
  task: 'segment',
  signature: [
    directions.transformers,
    'mask_decoder.mask_tokens.weight',
    'mask_decoder.obj_score_token.weight',
    'mask_decoder.conv_s0.weight',
    'vision_encoder.neck.convs.0.weight',
    'no_memory_embedding',
  ],
  renames: transformersNames,
  hasNoBias: (path) => /(?:iou_token|mask_tokens|obj_score_token|_embed(?:\.\d)?)$/.test(path),
  isTower: true,
  assumable: ['decoder_heads', 'top_down_levels'],
  idle,
  recognise,
  parts: [
    { name: 'image', build: image },
    { name: 'prompt', build: prompt },
  ],
};

const mlps = 'mask_decoder\\.(output_hypernetworks_mlps\\.\\d+|iou_prediction_head|pred_obj_score_head)';
const originalNames: readonly Rename[] = [
  [/^no_mem_embed$/, 'no_memory_embedding'],
  [/^image_encoder\.neck\.convs\.(\d+)\.conv\.(weight|bias)$/, 'vision_encoder.neck.convs.$1.$2'],
  [/^sam_prompt_encoder\.point_embeddings\.(\d+)\.weight$/, 'prompt_encoder.point_embed.$1.weight'],
  [/^sam_prompt_encoder\.mask_downscaling\.(.+)$/, 'prompt_encoder.mask_embed.$1'],
  [/^sam_(prompt_encoder\.(?:no_mask_embed|not_a_point_embed|pe_layer)\..+)$/, '$1'],
  [/^sam_(mask_decoder\.transformer\.layers\.\d+)\.norm(\d)\.(weight|bias)$/, '$1.layer_norm$2.$3'],
  [/^sam_(mask_decoder\.transformer\.layers\.\d+\.mlp)\.layers\.0\.(weight|bias)$/, '$1.lin1.$2'],
  [/^sam_(mask_decoder\.transformer\.layers\.\d+\.mlp)\.layers\.1\.(weight|bias)$/, '$1.lin2.$2'],
  [/^sam_mask_decoder\.transformer\.norm_final_attn\.(weight|bias)$/, `${decoder}.layer_norm_final_attn.$1`],
  [/^sam_mask_decoder\.output_upscaling\.0\.(weight|bias)$/, 'mask_decoder.upscale_conv1.$1'],
  [/^sam_mask_decoder\.output_upscaling\.1\.(weight|bias)$/, 'mask_decoder.upscale_layer_norm.$1'],
  [/^sam_mask_decoder\.output_upscaling\.3\.(weight|bias)$/, 'mask_decoder.upscale_conv2.$1'],
  [new RegExp(`^sam_${mlps}\\.layers\\.0\\.(weight|bias)$`), 'mask_decoder.$1.proj_in.$2'],
  [new RegExp(`^sam_${mlps}\\.layers\\.1\\.(weight|bias)$`), 'mask_decoder.$1.layers.0.$2'],
  [new RegExp(`^sam_${mlps}\\.layers\\.2\\.(weight|bias)$`), 'mask_decoder.$1.proj_out.$2'],
  [/^sam_(mask_decoder\.transformer\..+\.(?:[qkv]|out)_proj\.(?:weight|bias))$/, '$1'],
  [/^sam_(mask_decoder\.(?:iou_token|mask_tokens|obj_score_token|conv_s\d)\..+)$/, '$1'],
];

/** The same as its authors name it (facebookresearch/sam2). */
export const sam2Original: Whole<Sam2Config> = {
  ...sam2,
  name: 'sam2-original',
  row: 'sam2',
  signature: [
    directions.original,
    'mask_decoder.mask_tokens.weight',
    'mask_decoder.obj_score_token.weight',
    'mask_decoder.conv_s0.weight',
    'vision_encoder.neck.convs.0.weight',
    'no_memory_embedding',
  ],
  renames: originalNames,
};
