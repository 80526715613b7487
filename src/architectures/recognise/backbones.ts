import { beitNames } from '../beit/names';
import { blip } from '../libraries/blip';
import { transformersClip } from '../libraries/clip';
import { convnextNames } from '../convnext/names';
import { asTokens, type Dialect, type Rename } from '../dialect';
import { resnetNames } from '../resnet/names';
import { segformerNames } from '../segformer/names';
import { swinNames } from '../swin/names';
import { swinv2Names } from '../swinv2/names';
import { florenceNames } from '../davit/names';
import { efficientnetNames } from '../efficientnet/names';
import { torchvisionMobileNetBackbone } from '../efficientnet/torchvision';
import { dinov3InEomt } from '../eva/names';
import { dinov2 } from '../libraries/dinov2';
import { mobileSam } from '../tinyVit/names';
import { transformers, transformers5 } from '../libraries/transformers';
import { timm } from '../libraries/timm';
import { mmpretrain, mmsegmentation } from '../libraries/openMmlab';
import { transformersVitPose, vitPose } from '../libraries/vitPose';
import { vitHybridNames } from '../vitHybrid/names';
import { detectron2 } from '../vitdet/names';
import { yolosNames } from '../yolos/names';

/** A kind of model of which an image backbone is a part. */
interface Holder {
  /** What people call it. */
  readonly model: string;
  /** What all names of the backbone begin with. */
  readonly at: string;
  /** Namings that the backbone may have. */
  readonly dialects: readonly Dialect[];
  /**
   * A name outside of the backbone that tells the model from a classifier over the same backbone.
   */
  readonly signature?: RegExp;
  /** Names of the backbone, after `at`, that only the model around it reads. */
  readonly beside?: RegExp;
  /** Names of the file that are buffers here. */
  readonly buffers?: RegExp;
}

const ported = (dialects: readonly Dialect[]): readonly Dialect[] =>
  dialects.filter(({ name }) => name.startsWith('transformers'));

const literal = (text: string): string => text.replaceAll('.', '\\.');
const behind = (at: string, { source }: RegExp): RegExp =>
  new RegExp(`^${literal(at)}${source.replace(/^\^/, '')}`);

/**
 * The naming of a backbone as it stands in a model: everything else in the file lies beside it and
 * counts.
 */
function within({ model, at, signature, beside, buffers }: Holder, inner: Dialect): Dialect {
  const rows = inner.renames.map(([from, to, layout]): Rename => [behind(at, from), to, layout]);
  return {
    ...inner,
    backboneOf: model,
    prefix: undefined,
    territory: undefined,
    signature: [...inner.signature.map((name) => behind(at, name)), ...(signature ? [signature] : [])],
    ...(inner.absent && { absent: inner.absent.map((name) => behind(at, name)) }),
    renames: [
      ...rows,
      ...(beside ? [[behind(at, beside), 'beside.$&'] as const] : []),
      [new RegExp(`^(?!${literal(at)})`), 'beside.'],
    ],
    buffers: buffers ?? inner.buffers,
    modules: inner.modules?.map(([canonical, own]) => [canonical, `${at}${own}`]),
  };
}

/** DETR's batch norms are frozen: their scales and biases are buffers as their statistics are. */
const frozenIn = (at: string): RegExp =>
  new RegExp(`^${literal(at)}(?:.+\\.)?(?:bn\\d|downsample\\.1|normalization)\\.(?:weight|bias)$`);

const swins = ported([...swinNames, ...swinv2Names]);

/**
 * RT-DETR's residual networks: three convolutions as the stem, means before strided projections
 * (ResNet-D).
 */
const rtDetrStage = (stage: number): readonly Rename[] =>
  (['convolution', 'normalization'] as const).map((part, index) => [
    new RegExp(`^encoder\\.stages\\.${stage}\\.layers\\.(\\d+)\\.shortcut\\.1\\.${part}\\.`),
    `layer${stage + 1}.$1.downsample.${index + 1}.`,
  ]);
const rtDetr: readonly Dialect[] = ported(resnetNames).map((inner) => ({
  ...inner,
  signature: [
    /^embedder\.embedder\.0\.convolution\.weight$/,
    /^encoder\.stages\.0\.layers\.0\.layer\.0\.convolution\.weight$/,
  ],
  renames: [
    [/^embedder\.embedder\.2\.normalization\./, 'bn1.'],
    [/^embedder\.embedder\.0\.convolution\./, 'conv1.0.'],
    [/^embedder\.embedder\.0\.normalization\./, 'conv1.1.'],
    [/^embedder\.embedder\.1\.convolution\./, 'conv1.3.'],
    [/^embedder\.embedder\.1\.normalization\./, 'conv1.4.'],
    [/^embedder\.embedder\.2\.convolution\./, 'conv1.6.'],
    ...[0, 1, 2, 3].flatMap(rtDetrStage),
    ...inner.renames,
  ],
}));

const rtDetrBackbone = 'model.backbone.model.';

const detrBackbones = (model: string, at: string): Holder => ({
  model,
  at,
  dialects: resnetNames,
  buffers: frozenIn(at),
});

const vits = [transformers5, transformers];
/** Norms of the maps; Swin's last norm is stored and not read by detectors and segmenters. */
const normsOfMaps = /^(?:hidden_states_norms|swin\.layernorm)\..+$/;
const unread = /^(?:embeddings\.mask_token|pooler\..+)$/;
const converted = 'model.backbone.conv_encoder.model.';
const pixelLevel = 'model.pixel_level_module.encoder.';
/** Weights of the classes in the loss. */
const lossWeights = /^criterion\.empty_weight$/;

/** OWL-ViT spells the first norm otherwise than CLIP. */
const owlVit: Dialect = {
  ...transformersClip,
  renames: [...transformersClip.renames, [/^pre_layernorm\.(weight|bias)$/, 'norm_pre.$1']],
};

/** DPT over a hybrid: Big Transfer's network in front of the transformer. */
const hybrid: Dialect = {
  ...transformers,
  families: ['vit-hybrid'],
  signature: [
    /^embeddings\.backbone\.bit\.embedder\.convolution\.weight$/,
    /^encoder\.layer\.0\.attention\.attention\.query\.weight$/,
  ],
  renames: [
    [/^embeddings\.projection\.(weight|bias)$/, 'patch_embed.proj.$1'],
    [/^embeddings\.backbone\.bit\.embedder\.convolution\./, 'patch_embed.backbone.stem.conv.'],
    [/^embeddings\.backbone\.bit\.embedder\.norm\./, 'patch_embed.backbone.stem.norm.'],
    [
      /^embeddings\.backbone\.bit\.encoder\.stages\.(\d+)\.layers\.(\d+)\./,
      'patch_embed.backbone.stages.$1.blocks.$2.',
    ],
    ...transformers.renames,
  ],
};

/** EoMT's transformer in transformers: names of DINOv2 and of CLIP, positions as a layer. */
const eomt: Dialect = {
  ...transformers,
  eps: 1e-6,
  habits: { positions: 'patches', gate: ['silu', 'as the library has it: SwiGLU'] },
  signature: [
    /^embeddings\.patch_embeddings\.projection\.weight$/,
    /^layers\.0\.attention\.out_proj\.weight$/,
  ],
  renames: [
    [/^embeddings\.position_embeddings\.weight$/, 'pos_embed', asTokens],
    [/^layers\.(\d+)\.attention\.out_proj\.(weight|bias)$/, 'blocks.$1.attn.proj.$2'],
    [/^layers\.(\d+)\.mlp\.gate_proj\.(weight|bias)$/, 'blocks.$1.mlp.fc1_g.$2'],
    [/^layers\.(\d+)\.mlp\.up_proj\.(weight|bias)$/, 'blocks.$1.mlp.fc1_x.$2'],
    [/^layers\.(\d+)\.mlp\.down_proj\.(weight|bias)$/, 'blocks.$1.mlp.fc2.$2'],
    ...transformers.renames,
  ],
  modules: [[/^blocks\.(\d+)$/, 'layers.$1.attention']],
};
const aroundEomt = /^(?:query|upscale_block|mask_head|class_predictor|criterion|attn_mask_probs)(?:\..+)?$/;

/** Sines of the frames of a clip, and what BART adds to the scores of its words. */
const ofFlorence = /visual_temporal_embed\.pos_idx_to_embed$|(?:^|\.)final_logits_bias$/;

/** Where detectors, segmenters, depth and language models keep their image backbone. */
const holders: readonly Holder[] = [
  detrBackbones('DETR', converted),
  detrBackbones('DETR', `detr.${converted}`),
  detrBackbones('DETR', 'backbone.0.body.'),
  {
    ...detrBackbones('RT-DETR', rtDetrBackbone),
    dialects: rtDetr,
    // Version 2 keeps a fixed factor for each of its places.
    buffers: new RegExp(`${frozenIn(rtDetrBackbone).source}|\\.n_points_scale$`),
  },
  {
    model: 'Grounding DINO',
    at: converted,
    dialects: swins,
    beside: normsOfMaps,
  },
  {
    model: 'UperNet',
    at: 'backbone.',
    signature: /^decode_head\./,
    dialects: [...swins, ...ported(convnextNames)],
    beside: normsOfMaps,
  },
  {
    model: 'MaskFormer',
    at: `${pixelLevel}model.`,
    dialects: swins,
    beside: normsOfMaps,
    buffers: lossWeights,
  },
  {
    model: 'MaskFormer or Mask2Former',
    at: pixelLevel,
    dialects: [...swins, ...ported(resnetNames)],
    beside: normsOfMaps,
    buffers: lossWeights,
  },
  {
    model: 'YOLOS',
    at: 'vit.',
    dialects: yolosNames,
    beside: /^pooler\..+$/,
  },
  { model: 'OWL-ViT', at: 'owlvit.vision_model.', dialects: [owlVit] },
  { model: 'OWLv2', at: 'owlv2.vision_model.', dialects: [owlVit] },
  { model: 'DPT', at: 'dpt.', dialects: [hybrid, ...vits], beside: unread },
  { model: 'DPT or Depth Anything', at: 'backbone.', signature: /^neck\./, dialects: vits, beside: unread },
  {
    model: 'DPT (isl-org)',
    at: 'pretrained.model.',
    signature: /^scratch\.refinenet1\./,
    dialects: [...vitHybridNames.filter(({ name }) => name === 'timm'), timm],
  },
  {
    model: 'ZoeDepth',
    at: 'backbone.',
    signature: /^metric_head\./,
    dialects: ported(beitNames),
    beside: unread,
  },
  {
    model: 'Depth Anything',
    at: 'pretrained.',
    signature: /^depth_head\./,
    // Files that others made of the model may lack the mask token.
    dialects: [{ ...dinov2, signature: dinov2.signature.filter(({ source }) => !/mask/.test(source)) }],
    beside: /^mask_token$/,
  },
  { model: 'ViTPose', at: 'backbone.', signature: /^head\.conv\.weight$/, dialects: [transformersVitPose] },
  { model: 'ViTPose', at: 'backbone.', signature: /^keypoint_head\./, dialects: [vitPose] },
  {
    model: 'SETR, Segmenter or UperNet (mmsegmentation)',
    at: 'backbone.',
    signature: /^decode_head\./,
    dialects: [mmsegmentation, mmpretrain],
  },
  {
    model: 'ViTDet (detectron2)',
    at: 'backbone.net.',
    signature: /^(?:backbone\.simfp_\d|proposal_generator|roi_heads)\./,
    dialects: [detectron2],
  },
  {
    model: 'ViTDet (mmdetection)',
    at: 'backbone.',
    signature: /^(?:neck|rpn_head|roi_head|bbox_head)\./,
    dialects: [detectron2],
  },
  {
    model: 'BEiT with UperNet',
    at: 'beit.',
    signature: /^decode_head\./,
    dialects: ported(beitNames),
    beside: unread,
  },
  {
    model: 'SegFormer or UPerNet (mmsegmentation)',
    at: 'backbone.',
    signature: /^decode_head\.conv_seg\./,
    dialects: [...segformerNames, ...swinNames, ...convnextNames].filter(({ name }) =>
      ['mmsegmentation', 'mmpretrain'].includes(name),
    ),
    beside: /^norm\d\..+$/,
  },
  {
    model: 'Segmenter',
    at: 'encoder.',
    signature: /^decoder\.cls_emb$/,
    dialects: [{ ...timm, eps: 1e-5 }],
    beside: /^head\..+$/,
  },
  {
    model: 'FCN or DeepLabV3 (torchvision)',
    at: 'backbone.',
    signature: /^classifier\.(?:0\.convs\.0\.)?0\.weight$/,
    dialects: resnetNames.filter(({ name }) => name === 'timm'),
  },
  {
    model: 'LRASPP or DeepLabV3 (torchvision)',
    at: 'backbone.',
    signature: /^classifier\.(?:cbr\.0|0\.convs\.0\.0)\.weight$/,
    dialects: [torchvisionMobileNetBackbone],
  },
  {
    model: 'EoMT',
    at: '',
    signature: /^attn_mask_probs$/,
    dialects: [eomt, ...dinov3InEomt],
    beside: aroundEomt,
    buffers: /^(?:attn_mask_probs|criterion\.empty_weight)$/,
  },
  {
    model: 'EoMT',
    at: 'network.encoder.backbone.',
    dialects: [timm],
    buffers: /^(?:network\.attn_mask_probs|network\.encoder\.pixel_(?:mean|std)|criterion\.empty_weight)$/,
  },
  { model: 'GLPN', at: 'glpn.', dialects: segformerNames },
  { model: 'TrOCR or ViT-GPT2', at: 'encoder.', dialects: vits, beside: unread },
  { model: 'Donut', at: 'encoder.', signature: /^decoder\./, dialects: swins, beside: unread },
  {
    model: 'MobileSAM',
    at: 'image_encoder.',
    signature: /^mask_decoder\./,
    dialects: [mobileSam],
    buffers: /^prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix$/,
  },
  {
    model: 'ViLT',
    at: 'vilt.',
    // Without this head it answers no question, and patches alone are nothing that it was made for.
    signature: /^classifier\.3\.weight$/,
    dialects: vits,
    beside: /^(?:embeddings\.(?:text_embeddings|token_type_embeddings)|pooler)\..+$/,
  },
  {
    model: 'Florence-2',
    at: 'model.vision_tower.',
    dialects: florenceNames,
    buffers: ofFlorence,
  },
  {
    model: 'Florence-2',
    at: 'vision_tower.',
    signature: /^language_model\.model\./,
    dialects: florenceNames,
    beside: /^(?:norms|head)\..+$/,
    buffers: ofFlorence,
  },
  {
    model: 'BLIP-2',
    at: 'vision_model.',
    signature: /^language_projection\.weight$/,
    dialects: [{ ...blip, eps: 1e-6 }],
  },
  { model: 'BLIP', at: 'vision_model.', dialects: [blip] },
  {
    model: 'ALIGN',
    at: 'vision_model.',
    signature: /^temperature$/,
    dialects: ported(efficientnetNames),
  },
  { model: 'GIT', at: 'git.image_encoder.vision_model.', dialects: [transformersClip] },
];

/**
 * Namings of the image backbones of larger models, of those models that keep it where some of these
 * names begin.
 */
export const backbonesIn = (names: readonly string[]): readonly Dialect[] =>
  holders
    .filter(({ at }) => names.some((name) => name.startsWith(at)))
    .flatMap((holder) => holder.dialects.map((inner) => within(holder, inner)));
