import type { GraphBuilder } from '../../graph/builder';
import type { ImageMaps } from '../blocks/stages';
import { countOf, shapeOf } from '../decide';
import type { Rename } from '../dialect';
import { stored } from '../evidence';
import { settle, type FoundWhole, type PartContext, type Whole } from '../whole';
import { decoder, directions, prompt, type SamConfig } from './samDecoder';

function recognise(found: FoundWhole) {
  if (found.backbone.architecture !== 'sam') return undefined;
  const [masks = 0, dim = 0] = shapeOf(found.tensors, 'mask_decoder.mask_tokens.weight');
  const [rows = 0, columns = rows] = [found.backbone.evidence['patch']?.value ?? 0].flat().map(Number);
  const heads = settle<number>(found, 'decoder_heads', {
    config: ['mask_decoder_config.num_attention_heads'],
    otherwise: stored(8, 'as published (Kirillov et al. 2023)'),
    is: (value) => typeof value === 'number' && value > 0 && dim % value === 0,
    needed: `a number that divides the width ${dim}`,
  });
  const depth = countOf(found.tensors, `${decoder}.layers`);
  const activation = settle<string>(found, 'decoder_activation', {
    config: ['mask_decoder_config.hidden_act'],
    otherwise: stored('relu', 'as published'),
  });
  const eps = settle<number>(found, 'decoder_eps', {
    config: ['mask_decoder_config.layer_norm_eps'],
    otherwise: stored(
      found.tensors.has(directions.original) ? 1e-5 : 1e-6,
      found.tensors.has(directions.original) ? 'default of PyTorch' : 'default of Hugging Face transformers',
    ),
  });
  return {
    label: 'sam',
    title: found.backbone.title.replace(/ image encoder/, ''),
    evidence: {
      decoder_depth: stored(depth, `${decoder}.layers.*`),
      decoder_dim: stored(dim, 'mask_decoder.mask_tokens.weight'),
      decoder_heads: heads,
      decoder_activation: activation,
      decoder_eps: eps,
      masks: stored(masks - 1, 'mask_decoder.mask_tokens.weight, less the one for a single answer'),
    },
    config: {
      dim,
      heads: heads.value,
      depth,
      masks,
      activation: activation.value,
      eps: eps.value,
      patch: [rows, columns] as const,
    },
    reading: { task: 'segment', rule: 'prompts' } as const,
    lengths: { prompts: 1, points: 1, boxes: 0 },
    bounds: { points: { least: 0, most: 64 }, boxes: { least: 0, most: 1 } },
  };
}

/** The image encoder, whose map all prompts of an image share. */
function image(b: GraphBuilder, _: SamConfig, context: PartContext): void {
  const { map } = context.backbone() as ImageMaps;
  b.output('image_embeddings', map, 'state');
}

const parts: Whole<SamConfig>['parts'] = [
  { name: 'image', build: image },
  { name: 'prompt', build: prompt },
];

/**
 * What a mask as prompt and corners of boxes are read by, which not every prompt has, and a second
 * copy of the directions.
 */
const idle = /^prompt_encoder\.(?:mask_embed\.|shared_embedding\.|point_embed\.[23]\.)/;

/** Segment Anything (Kirillov et al. 2023) as transformers names it. */
export const sam: Whole<SamConfig> = {
  name: 'sam',
  title: 'Segment Anything',
  task: 'segment',
  signature: [
    directions.transformers,
    'mask_decoder.mask_tokens.weight',
    'mask_decoder.iou_prediction_head.proj_in.weight',
    'prompt_encoder.not_a_point_embed.weight',
  ],
  absent: ['mask_decoder.obj_score_token.weight'],
  hasNoBias: (path) => /(?:iou_token|mask_tokens|_embed(?:\.\d)?)$/.test(path),
  isTower: true,
  assumable: ['decoder_heads', 'decoder_activation', 'decoder_eps'],
  idle,
  recognise,
  parts,
};

const mlps = '(mask_decoder\\.(?:output_hypernetworks_mlps\\.\\d+|iou_prediction_head))';
const originalNames: readonly Rename[] = [
  [/^prompt_encoder\.point_embeddings\.(\d+)\.weight$/, 'prompt_encoder.point_embed.$1.weight'],
  [/^prompt_encoder\.mask_downscaling\.(.+)$/, 'prompt_encoder.mask_embed.$1'],
  [/^(mask_decoder\.transformer\.layers\.\d+)\.norm(\d)\.(weight|bias)$/, '$1.layer_norm$2.$3'],
  [/^mask_decoder\.transformer\.norm_final_attn\.(weight|bias)$/, `${decoder}.layer_norm_final_attn.$1`],
  [/^mask_decoder\.output_upscaling\.0\.(weight|bias)$/, 'mask_decoder.upscale_conv1.$1'],
  [/^mask_decoder\.output_upscaling\.1\.(weight|bias)$/, 'mask_decoder.upscale_layer_norm.$1'],
  [/^mask_decoder\.output_upscaling\.3\.(weight|bias)$/, 'mask_decoder.upscale_conv2.$1'],
  [new RegExp(`^${mlps}\\.layers\\.0\\.(weight|bias)$`), '$1.proj_in.$2'],
  [new RegExp(`^${mlps}\\.layers\\.1\\.(weight|bias)$`), '$1.layers.0.$2'],
  [new RegExp(`^${mlps}\\.layers\\.2\\.(weight|bias)$`), '$1.proj_out.$2'],
];

/** The same as its authors name it (facebookresearch/segment-anything). */
export const samOriginal: Whole<SamConfig> = {
  ...sam,
  name: 'sam-original',
  row: 'sam',
  signature: [
    directions.original,
    'mask_decoder.mask_tokens.weight',
    'mask_decoder.iou_prediction_head.proj_out.weight',
    'mask_decoder.upscale_conv1.weight',
  ],
  renames: originalNames,
};
