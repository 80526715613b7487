import { last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { decoderLayer as layerOfDecoder, detrEps, encoderLayer, type NormOrder } from '../blocks/detrLayers';
import type { Tokens } from '../blocks/layers';
import { asSequence, linearLayers } from '../blocks/projectedAttention';
import type { Stage } from '../blocks/stages';
import { shapeOf } from '../decide';
import { rows, type Rename } from '../dialect';
import { configOf, stored } from '../evidence';
import { type FoundWhole, type PartContext, type Whole } from '../whole';
import {
  activationOf,
  emptyQueries,
  learnedPositions,
  mapOf,
  ofFile,
  pixelMask,
  placedTokens,
  queryTable,
  seenAs,
  sideOf,
  titleAround,
  transformerAssumable,
  transformerOf,
} from './detectors';

/** What DETR's encoder and decoder are written by. */
export interface DetrConfig {
  readonly depth: number;
  readonly decoder_depth: number;
  readonly dim: number;
  readonly heads: number;
  readonly decoder_heads: number;
  readonly queries: number;
  readonly activation: string;
  readonly dilation: boolean;
  readonly order: NormOrder;
}

const queryPositions = 'model.query_position_embeddings.weight';
const classHead = 'class_labels_classifier';
/** Behind the encoder, where norms stand before the branches. */
const encoderNorm = 'model.encoder.layernorm';

/** What shapes and config.json tell of a DETR. */
export function recognise(found: FoundWhole) {
  const [outputs = 0] = shapeOf(found.tensors, `${classHead}.weight`);
  const order: NormOrder = found.tensors.has(`${encoderNorm}.weight`) ? 'pre' : 'post';
  const learned = learnedPositions(found);
  const evidence = {
    ...transformerOf(found, { dim: sideOf(found, queryPositions, 1) }),
    queries: sideOf(found, queryPositions, 0),
    classes: stored(outputs - 1, `${ofFile(found, `${classHead}.weight`)}, less "no object"`),
    activation: activationOf(found, 'Carion et al. 2020'),
    norm_order: stored(
      order,
      order === 'pre' ? ofFile(found, `${encoderNorm}.weight`) : 'no norm behind the encoder',
    ),
    positions: learned === undefined ? stored('sine', 'no table in the file') : stored('learned', learned),
  };
  const ofTables =
    order === 'pre' && !found.tensors.get(queryPositions)?.tensor.name.startsWith('query_embed');
  const seen = seenAs(found, ofTables ? 'table-transformer' : 'detr');
  return {
    ...seen,
    label: ofTables ? 'table-transformer' : 'detr',
    title: titleAround(ofTables ? 'Table Transformer' : 'DETR', found),
    evidence: { ...evidence, ...seen.evidence },
    config: { ...configOf(evidence), order },
    reading: { task: 'detect', rule: 'softmax' } as const,
    sizeStep: [1, 1] as const,
  };
}

/** A decoder layer as DETR and MaskFormer have it; its norms stand behind the sums by default. */
export const decoderLayer = (
  b: GraphBuilder,
  queries: Tokens,
  positions: readonly [queries: ValueInfo, image: ValueInfo],
  image: Tokens,
  {
    decoder_heads: heads,
    activation,
    order = 'post',
  }: Pick<DetrConfig, 'decoder_heads' | 'activation'> & Partial<Pick<DetrConfig, 'order'>>,
): Tokens => layerOfDecoder(b, queries, positions, image, { heads, activation, order });

/** What a head of masks reads of a DETR. */
export interface DetrMade {
  /** Maps of the backbone's stages. */
  readonly stages: readonly Stage[];
  /** The last one in the transformer's width, `[batch, dim, rows, columns]`. */
  readonly projected: ValueInfo;
  /** What the encoder makes of its places, `[batch · places, dim]`. */
  readonly memory: Tokens;
  /** What the decoder makes of the queries, normed. */
  readonly queries: Tokens;
}

/** Writes a DETR with its outputs, and hands back what it made. */
export function build(b: GraphBuilder, config: DetrConfig, context: PartContext): DetrMade {
  const { backbone, batch } = context;
  const maps = backbone({ dilatedStages: config.dilation ? 1 : 0 });
  const projected = b.conv2d(mapOf(b, last(maps.stages)), 'model.input_projection');
  const [tokens, positions] = placedTokens(b, projected, { normalise: true }, pixelMask(b, context));
  let image = tokens;
  for (let index = 0; index < config.depth; index++)
    image = b.scope(`model.encoder.layers.${index}`, () => encoderLayer(b, image, positions, config), {
      title: 'Encoder layer',
    });
  if (config.order === 'pre') image = { ...image, value: b.layerNorm(image.value, encoderNorm, detrEps) };
  const asked = queryTable(b, queryPositions, batch);
  let queries = emptyQueries(b, batch, config.queries, config.dim);
  for (let index = 0; index < config.decoder_depth; index++)
    queries = b.scope(
      `model.decoder.layers.${index}`,
      () => decoderLayer(b, queries, [asked, positions], image, config),
      { title: 'Decoder layer' },
    );
  const normed = b.layerNorm(queries.value, 'model.decoder.layernorm', detrEps);
  b.output('logits', asSequence(b, b.linear(normed, classHead), batch), 'logits');
  const boxes = b.add('Sigmoid', [linearLayers(b, normed, 'bbox_predictor')]);
  b.output('pred_boxes', asSequence(b, boxes, batch), 'boxes');
  b.output('tokens', asSequence(b, normed, batch), 'tokens');
  b.output('encoder_last_hidden_state', asSequence(b, image.value, batch), 'state');
  return { stages: maps.stages, projected, memory: image, queries: { ...queries, value: normed } };
}

/** Fused rows of the three projections of torch's own attention. */
const fused = (from: string, to: string): readonly Rename[] =>
  ['q', 'k', 'v'].flatMap((name, index): readonly Rename[] => [
    [new RegExp(`^${from}\\.in_proj_(weight|bias)$`), `${to}.${name}_proj.$2`, rows(index, 3)],
  ]);

/** Names of Carion et al.'s own repository. */
export const original: readonly Rename[] = [
  ...fused('transformer\\.encoder\\.layers\\.(\\d+)\\.self_attn', 'model.encoder.layers.$1.self_attn'),
  ...fused('transformer\\.decoder\\.layers\\.(\\d+)\\.self_attn', 'model.decoder.layers.$1.self_attn'),
  ...fused(
    'transformer\\.decoder\\.layers\\.(\\d+)\\.multihead_attn',
    'model.decoder.layers.$1.encoder_attn',
  ),
  [
    /^transformer\.(en|de)coder\.layers\.(\d+)\.self_attn\.out_proj\./,
    'model.$1coder.layers.$2.self_attn.out_proj.',
  ],
  [
    /^transformer\.decoder\.layers\.(\d+)\.multihead_attn\.out_proj\./,
    'model.decoder.layers.$1.encoder_attn.out_proj.',
  ],
  [/^transformer\.(en|de)coder\.layers\.(\d+)\.linear(\d)\./, 'model.$1coder.layers.$2.fc$3.'],
  [/^transformer\.(en|de)coder\.layers\.(\d+)\.norm1\./, 'model.$1coder.layers.$2.self_attn_layer_norm.'],
  [/^transformer\.encoder\.layers\.(\d+)\.norm2\./, 'model.encoder.layers.$1.final_layer_norm.'],
  [/^transformer\.decoder\.layers\.(\d+)\.norm2\./, 'model.decoder.layers.$1.encoder_attn_layer_norm.'],
  [/^transformer\.decoder\.layers\.(\d+)\.norm3\./, 'model.decoder.layers.$1.final_layer_norm.'],
  [/^transformer\.(en|de)coder\.norm\./, 'model.$1coder.layernorm.'],
  [/^query_embed\.weight$/, queryPositions],
  [/^input_proj\./, 'model.input_projection.'],
  [/^class_embed\./, `${classHead}.`],
  [/^bbox_embed\./, 'bbox_predictor.'],
  [
    /^backbone\.1\.(row|col)_embed\.weight$/,
    (_, side = '') => `model.position_embedding.${side === 'col' ? 'column' : side}_embeddings.weight`,
  ],
];

/** Names that every DETR has. */
export const detrSignature: readonly string[] = [
  queryPositions,
  'model.input_projection.weight',
  'model.decoder.layers.0.encoder_attn.q_proj.weight',
  `${classHead}.weight`,
];

/** DETR (Carion et al. 2020): a transformer that reads a set of boxes off one map of a backbone. */
export const detr: Whole<DetrConfig> = {
  name: 'detr',
  title: 'DETR',
  task: 'detect',
  signature: detrSignature,
  renames: original,
  masksPixels: true,
  assumable: transformerAssumable,
  recognise,
  parts: [{ name: 'whole', build: (b, config, context) => void build(b, config, context) }],
};
