import { at, last } from '../../domain/lists';
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
import { shapeOf } from '../decide';
import { configOf, stored } from '../evidence';
import { settle, type FoundWhole, type PartContext, type Whole } from '../whole';
import {
  activationOf,
  emptyQueries,
  mapOf,
  ofFile,
  pixelMask,
  placedTokens,
  repeated,
  seenAs,
  sideOf,
  titleAround,
  transformerAssumable,
  transformerOf,
} from './detectors';

interface DabConfig {
  readonly depth: number;
  readonly decoder_depth: number;
  readonly dim: number;
  readonly heads: number;
  readonly decoder_heads: number;
  readonly queries: number;
  /** Learned contents that every anchor is asked with; 0 if contents begin as zeros. */
  readonly patterns: number;
  readonly activation: string;
  readonly dilation: boolean;
  readonly temperature_height: number;
  readonly temperature_width: number;
}

const anchors = 'model.query_refpoint_embeddings.weight';
const patternTable = 'model.patterns.weight';
const slope = 'model.encoder.layers.0.activation_fn.weight';

const names = (module: string): ConditionalNames => ({
  module: `${module}.${module}`,
  out: 'output_proj',
  queryContent: `${module}.${module}_query_content_proj`,
  queryPosition: `${module}.${module}_query_pos_proj`,
  keyContent: `${module}.${module}_key_content_proj`,
  keyPosition: `${module}.${module}_key_pos_proj`,
  value: `${module}.${module}_value_proj`,
  querySine: `${module}.${module}_query_pos_sine_proj`,
});
const selfNames = names('self_attn');
const crossNames = names('cross_attn');

const temperatureOf = (found: FoundWhole, side: 'height' | 'width') =>
  settle<number>(found, `temperature_${side}`, {
    config: [`temperature_${side}`],
    otherwise: stored(20, 'as published (Liu et al. 2022)'),
    is: (value) => typeof value === 'number' && value > 0,
    needed: 'a number above 0',
  });

function recognise(found: FoundWhole) {
  const patterns = found.tensors.has(patternTable) ? (shapeOf(found.tensors, patternTable)[0] ?? 0) : 0;
  const evidence = {
    ...transformerOf(found, { dim: sideOf(found, 'class_embed.weight', 1) }),
    queries: sideOf(found, anchors, 0),
    ...(patterns > 0 && { patterns: stored(patterns, ofFile(found, patternTable)) }),
    classes: sideOf(found, 'class_embed.weight', 0),
    activation: found.tensors.has(slope)
      ? stored('prelu', ofFile(found, slope))
      : activationOf(found, 'Liu et al. 2022'),
    temperature_height: temperatureOf(found, 'height'),
    temperature_width: temperatureOf(found, 'width'),
  };
  const seen = seenAs(found, 'dab-detr');
  return {
    ...seen,
    label: 'dab-detr',
    title: titleAround('DAB-DETR', found),
    evidence: { ...evidence, ...seen.evidence },
    config: { ...configOf(evidence), patterns },
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
  { decoder_heads: heads, activation }: DabConfig,
): Tokens {
  const attended = branched(b, queries.value, 'self_attn.self_attn_layer_norm', 'post', (x) =>
    conditionalSelfAttention(b, withValue(queries, x), around.queryPositions, { heads, names: selfNames }),
  );
  const seen = branched(b, attended, 'cross_attn.cross_attn_layer_norm', 'post', (x) =>
    conditionalCrossAttention(b, { ...around, queries: withValue(queries, x) }, { heads, names: crossNames }),
  );
  const mlp = b.scope('mlp', () => detrMlp(b, seen, { heads, activation, order: 'post' }));
  return withValue(queries, mlp);
}

/**
 * Sines of the anchors' centres, scaled by what the queries hold and by the anchors' sides: a wide
 * anchor looks less sharply across (Liu et al. 2022, §4.3 and 4.4).
 */
function modulated(
  b: GraphBuilder,
  sines: ValueInfo,
  anchor: ValueInfo,
  queries: ValueInfo,
  isFirst: boolean,
): ValueInfo {
  const half = at(sines.shape, 1) / 2;
  const scaled = isFirst
    ? sines
    : b.add('Mul', [sines, linearLayers(b, queries, 'model.decoder.query_scale')]);
  const sides = b.add('Sigmoid', [linearLayers(b, queries, 'model.decoder.ref_anchor_head')]);
  const ratio = b.add('Div', [sides, b.slice(anchor, 1, 2, 4)]);
  const part = (from: number, side: number): ValueInfo =>
    b.add('Mul', [b.slice(scaled, 1, from, from + half), b.slice(ratio, 1, side, side + 1)]);
  return b.concat([part(0, 1), part(half, 0)], 1);
}

/** An anchor `[rows, 4]` moved by what the box head reads off states. */
const moved = (b: GraphBuilder, states: ValueInfo, anchor: ValueInfo): ValueInfo =>
  b.add('Sigmoid', [b.add('Add', [linearLayers(b, states, 'bbox_predictor'), inverseSigmoid(b, anchor)])]);

function encode(b: GraphBuilder, config: DabConfig, context: PartContext) {
  const maps = context.backbone({ dilatedStages: config.dilation ? 1 : 0 });
  const projected = b.conv2d(mapOf(b, last(maps.stages)), 'model.input_projection');
  const { heads, activation } = config;
  const temperature = [config.temperature_height, config.temperature_width] as const;
  const [tokens, positions] = placedTokens(
    b,
    projected,
    { normalise: true, temperature },
    pixelMask(b, context),
  );
  let image = tokens;
  for (let index = 0; index < config.depth; index++) {
    const scale = linearLayers(b, image.value, 'model.encoder.query_scale');
    const scaled = b.add('Mul', [positions, scale]);
    image = b.scope(
      `model.encoder.layers.${index}`,
      () => encoderLayer(b, image, scaled, { heads, activation, order: 'post' }),
      { title: 'Encoder layer' },
    );
  }
  const norm = 'model.encoder.norm';
  const normed = b.has(`${norm}.weight`) ? b.layerNorm(image.value, norm, detrEps) : image.value;
  return { image: withValue(image, normed), imagePositions: positions };
}

/** Contents of the queries (zeros, or each pattern with every anchor), and the anchors. */
function asked(b: GraphBuilder, { queries, patterns, dim }: DabConfig, batch: number) {
  const one = b.add('Sigmoid', [b.parameter(anchors)]);
  const times = Math.max(1, patterns);
  const anchor = repeated(b, repeated(b, one, times), batch);
  const tokens = emptyQueries(b, batch, times * queries, dim);
  if (patterns === 0) return { tokens, anchor };
  const table = b.add('Expand', [
    b.parameter(patternTable, [patterns, 1, dim]),
    b.indices([patterns, queries, dim]),
  ]);
  const contents = repeated(b, b.reshape(table, [patterns * queries, dim]), batch);
  return { tokens: withValue(tokens, contents), anchor };
}

function build(b: GraphBuilder, config: DabConfig, context: PartContext): void {
  const { batch } = context;
  const { dim } = config;
  const seen = encode(b, config, context);
  const first = asked(b, config, batch);
  let { tokens: queries, anchor } = first;
  const states: ValueInfo[] = [];
  const starts: ValueInfo[] = [];
  for (let index = 0; index < config.decoder_depth; index++) {
    const sines = sineOfPlaces(b, anchor, dim / 2);
    const queryPositions = linearLayers(b, sines, 'model.decoder.ref_point_head');
    const querySines = modulated(b, b.slice(sines, 1, 0, dim), anchor, queries.value, index === 0);
    queries = b.scope(
      `model.decoder.layers.${index}`,
      () => decoderLayer(b, queries, { ...seen, queryPositions, querySines }, config),
      { title: 'Decoder layer' },
    );
    states.push(b.layerNorm(queries.value, 'model.decoder.layernorm', detrEps));
    starts.push(anchor);
    anchor = moved(b, queries.value, anchor);
  }
  const normed = last(states);
  b.output('logits', asSequence(b, b.linear(normed, 'class_embed'), batch), 'logits');
  // The library reads boxes off every layer, the last of which are the answer.
  const boxes = moved(b, b.concat(states, 0), b.concat(starts, 0));
  const [rows, count] = [at(normed.shape, 0), states.length];
  const answer = b.slice(boxes, 0, (count - 1) * rows, count * rows);
  b.output('pred_boxes', asSequence(b, answer, batch), 'boxes');
  b.output('tokens', asSequence(b, normed, batch), 'tokens');
  b.output('next_reference_points', asSequence(b, anchor, batch), 'state');
}

/** DAB-DETR (Liu et al. 2022): queries are anchor boxes, which every decoder layer moves. */
export const dabDetr: Whole<DabConfig> = {
  name: 'dab-detr',
  row: 'detr',
  title: 'DAB-DETR',
  task: 'detect',
  signature: [
    anchors,
    'model.decoder.ref_anchor_head.layers.0.weight',
    'model.decoder.layers.0.cross_attn.cross_attn_query_pos_sine_proj.weight',
    'class_embed.weight',
  ],
  masksPixels: true,
  assumable: [...transformerAssumable, 'temperature_height', 'temperature_width'],
  // A tied copy of the box head.
  idle: /^model\.decoder\.bbox_embed\./,
  recognise,
  parts: [{ name: 'whole', build }],
};
