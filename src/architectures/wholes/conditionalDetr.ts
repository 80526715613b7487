import { last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import {
  conditionalCrossAttention,
  conditionalSelfAttention,
  type ConditionalNames,
} from '../blocks/conditionalAttention';
import { branched, detrEps, detrMlp, encoderLayer } from '../blocks/detrLayers';
import { withValue, type Tokens } from '../blocks/layers';
import { asSequence, linearLayers } from '../blocks/projectedAttention';
import { inverseSigmoid, sineOfPlaces } from '../blocks/sinePositions';
import { configOf } from '../evidence';
import type { FoundWhole, PartContext, Whole } from '../whole';
import {
  activationOf,
  emptyQueries,
  mapOf,
  pixelMask,
  placedTokens,
  queryTable,
  seenAs,
  sideOf,
  titleAround,
  transformerAssumable,
  transformerOf,
} from './detectors';

interface ConditionalConfig {
  readonly depth: number;
  readonly decoder_depth: number;
  readonly dim: number;
  readonly heads: number;
  readonly decoder_heads: number;
  readonly queries: number;
  readonly activation: string;
  readonly dilation: boolean;
}

const queryPositions = 'model.query_position_embeddings.weight';
const classHead = 'class_labels_classifier';

const selfNames: ConditionalNames = {
  module: 'self_attn',
  out: 'out_proj',
  queryContent: 'sa_qcontent_proj',
  queryPosition: 'sa_qpos_proj',
  keyContent: 'sa_kcontent_proj',
  keyPosition: 'sa_kpos_proj',
  value: 'sa_v_proj',
};

const crossNames: ConditionalNames = {
  module: 'encoder_attn',
  out: 'out_proj',
  queryContent: 'ca_qcontent_proj',
  queryPosition: 'ca_qpos_proj',
  keyContent: 'ca_kcontent_proj',
  keyPosition: 'ca_kpos_proj',
  value: 'ca_v_proj',
  querySine: 'ca_qpos_sine_proj',
};

function recognise(found: FoundWhole) {
  const evidence = {
    ...transformerOf(found, { dim: sideOf(found, queryPositions, 1) }),
    queries: sideOf(found, queryPositions, 0),
    classes: sideOf(found, `${classHead}.weight`, 0),
    activation: activationOf(found, 'Meng et al. 2021'),
  };
  const seen = seenAs(found, 'conditional_detr');
  return {
    ...seen,
    label: 'conditional-detr',
    title: titleAround('Conditional DETR', found),
    evidence: { ...evidence, ...seen.evidence },
    config: configOf(evidence),
    reading: { task: 'detect', rule: 'pairs', top: 100 } as const,
    sizeStep: [1, 1] as const,
  };
}

/** What a decoder layer reads beside its queries. */
interface Around {
  readonly image: Tokens;
  readonly imagePositions: ValueInfo;
  readonly queryPositions: ValueInfo;
  readonly querySines: ValueInfo;
}

function decoderLayer(
  b: GraphBuilder,
  queries: Tokens,
  around: Around,
  { decoder_heads: heads, activation }: ConditionalConfig,
): Tokens {
  const attended = branched(b, queries.value, 'self_attn_layer_norm', 'post', (x) =>
    conditionalSelfAttention(b, withValue(queries, x), around.queryPositions, { heads, names: selfNames }),
  );
  const seen = branched(b, attended, 'encoder_attn_layer_norm', 'post', (x) =>
    conditionalCrossAttention(b, { ...around, queries: withValue(queries, x) }, { heads, names: crossNames }),
  );
  return withValue(queries, detrMlp(b, seen, { heads, activation, order: 'post' }));
}

function build(b: GraphBuilder, config: ConditionalConfig, context: PartContext): void {
  const { backbone, batch } = context;
  const maps = backbone({ dilatedStages: config.dilation ? 1 : 0 });
  const projected = b.conv2d(mapOf(b, last(maps.stages)), 'model.input_projection');
  const [tokens, imagePositions] = placedTokens(b, projected, { normalise: true }, pixelMask(b, context));
  const layer = { heads: config.heads, activation: config.activation, order: 'post' } as const;
  let image = tokens;
  for (let index = 0; index < config.depth; index++)
    image = b.scope(`model.encoder.layers.${index}`, () => encoderLayer(b, image, imagePositions, layer), {
      title: 'Encoder layer',
    });
  const asked = queryTable(b, queryPositions, batch);
  const centre = b.add('Sigmoid', [linearLayers(b, asked, 'model.decoder.ref_point_head')]);
  const sines = sineOfPlaces(b, centre, config.dim / 2);
  let queries = emptyQueries(b, batch, config.queries, config.dim);
  for (let index = 0; index < config.decoder_depth; index++) {
    // The first layer's queries are zeros, which would scale nothing.
    const querySines =
      index === 0
        ? sines
        : b.add('Mul', [sines, linearLayers(b, queries.value, 'model.decoder.query_scale')]);
    const around = { image, imagePositions, queryPositions: asked, querySines };
    queries = b.scope(`model.decoder.layers.${index}`, () => decoderLayer(b, queries, around, config), {
      title: 'Decoder layer',
    });
  }
  const normed = b.layerNorm(queries.value, 'model.decoder.layernorm', detrEps);
  b.output('logits', asSequence(b, b.linear(normed, classHead), batch), 'logits');
  b.output('pred_boxes', asSequence(b, boxesFrom(b, normed, centre), batch), 'boxes');
  b.output('tokens', asSequence(b, normed, batch), 'tokens');
  b.output('encoder_last_hidden_state', asSequence(b, image.value, batch), 'state');
}

/** Boxes whose centres are told from a reference place `[rows, 2]` (Meng et al. 2021, §3.1). */
function boxesFrom(b: GraphBuilder, states: ValueInfo, centre: ValueInfo): ValueInfo {
  const told = linearLayers(b, states, 'bbox_predictor');
  const moved = b.add('Add', [b.slice(told, 1, 0, 2), inverseSigmoid(b, centre)]);
  return b.add('Sigmoid', [b.concat([moved, b.slice(told, 1, 2, 4)], 1)]);
}

/** Conditional DETR (Meng et al. 2021): queries that look for the sines of a place of their own. */
export const conditionalDetr: Whole<ConditionalConfig> = {
  name: 'conditional-detr',
  row: 'detr',
  title: 'Conditional DETR',
  task: 'detect',
  signature: [
    queryPositions,
    'model.decoder.ref_point_head.layers.0.weight',
    'model.decoder.layers.0.ca_qpos_sine_proj.weight',
    `${classHead}.weight`,
  ],
  masksPixels: true,
  assumable: transformerAssumable,
  recognise,
  parts: [{ name: 'whole', build }],
};
