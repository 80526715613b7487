import { at, last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { int, text, type ValueInfo } from '../../graph/graph';
import { batchNorm, convNormModule } from '../blocks/convolution';
import { tableOf, type DeformableConfig } from '../blocks/deformableAttention';
import { detrEps, detrMlp, placedSelfAttention, type DetrLayer } from '../blocks/detrLayers';
import { activate, residual, withValue, type Tokens } from '../blocks/layers';
import { gridOf, mapToTokens, tokensToMap } from '../blocks/maps';
import { asSequence, feedForward, linearLayers } from '../blocks/projectedAttention';
import type { Maps } from '../blocks/stages';
import { countOf, shapeOf } from '../decide';
import { assumed, stored } from '../evidence';
import type { Evidence } from '../family';
import { headsOfWhole, settle, type FoundWhole, type PartContext, type Whole } from '../whole';
import {
  activationOf,
  layersOf,
  mapOf,
  ofFile,
  queryLayout,
  queryTable,
  seenAs,
  sideOf,
  titleAround,
} from './detectors';
import {
  bestRows,
  boxLogits,
  chosenRows,
  deformableDecoderLayer,
  pyramidOf,
  type Pyramid,
  proposals,
} from './deformableParts';
import { room } from '../../graph/limits';

interface RtDetrConfig {
  readonly depth: number;
  readonly decoderDepth: number;
  readonly queries: number;
  /** Of the transformer over one map. */
  readonly encoder: DetrLayer;
  readonly decoder: DetrLayer;
  /** Of the convolutions between maps. */
  readonly activation: string;
  /** Maps that go through an encoder of their own, in the order of these. */
  readonly encoded: readonly number[];
  readonly hasPositions: boolean;
  readonly temperature: number;
  readonly offsetScale: number;
  readonly discrete: boolean;
}

const aifi = 'model.encoder.encoder';
const encoderOutput = 'model.enc_output.0.weight';
const learnedQueries = 'model.weight_embedding.weight';
const ofPoints = 'model.decoder.layers.0.encoder_attn.attention_weights.weight';
const pointScale = 'model.decoder.layers.0.encoder_attn.n_points_scale';
const paper = 'Zhao et al. 2024';

const numberOf = (found: FoundWhole, key: string, config: string, otherwise: Evidence<number>) =>
  settle<number>(found, key, {
    config: [config],
    otherwise,
    is: (value) => typeof value === 'number' && value > 0,
    needed: 'a number above 0',
  });

/** Settings that the library has and no published model changes: another value is not run. */
function requireUsual(found: FoundWhole): void {
  for (const key of ['layer_norm_eps', 'batch_norm_eps'])
    settle<number>(found, key, {
      config: [key],
      otherwise: stored(detrEps, 'the library'),
      is: (value) => value === detrEps,
      needed: String(detrEps),
    });
}

function evidenceOf(found: FoundWhole) {
  const dim = sideOf(found, encoderOutput, 0);
  const encoderDim = sideOf(found, `model.encoder_input_proj.0.0.weight`, 0);
  const heads = (key: string, config: string, width: number): Evidence<number> =>
    headsOfWhole(found, key, width, { config: [config], perHead: width / 8 });
  const decoderHeads = heads('decoder_heads', 'decoder_attention_heads', dim.value);
  const levels = layersOf(found, 'model.decoder_input_proj');
  const [weights = 0] = shapeOf(found.tensors, ofPoints);
  return {
    depth: layersOf(found, `${aifi}.0.layers`),
    decoder_depth: layersOf(found, 'model.decoder.layers'),
    dim,
    encoder_dim: encoderDim,
    heads: heads('heads', 'encoder_attention_heads', encoderDim.value),
    decoder_heads: decoderHeads,
    queries: found.tensors.has(learnedQueries)
      ? sideOf(found, learnedQueries, 0)
      : numberOf(found, 'queries', 'num_queries', assumed(300, `as published (${paper}); not stored`)),
    classes: sideOf(found, 'model.enc_score_head.weight', 0),
    levels,
    decoder_points: stored(
      weights / decoderHeads.value / levels.value,
      `${ofFile(found, ofPoints)}, by heads and maps`,
    ),
    activation: activationOf(found, paper, ['silu', 'activation_function']),
    encoder_activation: activationOf(
      found,
      paper,
      ['gelu', 'encoder_activation_function'],
      'encoder_activation',
    ),
    decoder_activation: activationOf(
      found,
      paper,
      ['relu', 'decoder_activation_function'],
      'decoder_activation',
    ),
  };
}

/** How version 2 samples (Lv et al. 2024, RT-DETRv2, §3.1); version 1 as Deformable DETR does. */
function samplingOf(found: FoundWhole) {
  return {
    offset_scale: numberOf(
      found,
      'offset_scale',
      'decoder_offset_scale',
      stored(0.5, 'as published (Lv et al. 2024)'),
    ),
    sampling: settle<string>(found, 'sampling', {
      config: ['decoder_method'],
      otherwise: stored('default', 'as published (Lv et al. 2024)'),
      is: (value) => value === 'default' || value === 'discrete',
      needed: 'default or discrete',
    }),
  };
}

function recognise(found: FoundWhole) {
  requireUsual(found);
  const config = found.found.checkpoint.sidecars.config ?? {};
  const isSecond = found.tensors.has(pointScale) || config['model_type'] === 'rt_detr_v2';
  const own = evidenceOf(found);
  const sampling = samplingOf(found);
  const projected = countOf(found.tensors, 'model.encoder_input_proj');
  const transformers = countOf(found.tensors, aifi);
  const lastMaps = Array.from({ length: transformers }, (_, index) => projected - transformers + index);
  const named = config['encode_proj_layers'];
  const listed = Array.isArray(named) && named.length === transformers && named.every(Number.isInteger);
  const version = isSecond ? 'v2' : '';
  const order = config['normalize_before'] === true ? ('pre' as const) : ('post' as const);
  const label = isSecond ? 'rt_detr_v2' : 'rt_detr';
  const seen = seenAs(found, label);
  return {
    ...seen,
    label,
    title: titleAround(`RT-DETR${version}`, found),
    evidence: { ...own, ...(isSecond && sampling), ...seen.evidence },
    config: {
      depth: own.depth.value,
      decoderDepth: own.decoder_depth.value,
      queries: own.queries.value,
      encoder: { heads: own.heads.value, activation: own.encoder_activation.value, order },
      decoder: {
        heads: own.decoder_heads.value,
        activation: own.decoder_activation.value,
        order: 'post' as const,
      },
      activation: own.activation.value,
      encoded: listed ? (named as readonly number[]) : lastMaps,
      hasPositions: (config['eval_size'] ?? null) === null,
      temperature: numberOf(found, 'temperature', 'positional_encoding_temperature', stored(10_000, paper))
        .value,
      offsetScale: isSecond ? sampling.offset_scale.value : 0.5,
      discrete: isSecond && sampling.sampling.value === 'discrete',
    },
    reading: { task: 'detect', rule: 'pairs' } as const,
    sizeStep: [32, 32] as const,
  };
}

/**
 * Places of a map as sines, then cosines, of rows and of columns, counted from 0 (Zhao et al. 2024,
 * code), `[rows · columns, width]`.
 */
export function bareSines(rows: number, columns: number, width: number, temperature: number): Float32Array {
  const each = width / 4;
  const values = new Float32Array(room(rows * columns * width));
  let index = 0;
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      for (const place of [row, column])
        for (const wave of [Math.sin, Math.cos])
          for (let channel = 0; channel < each; channel++)
            values[index++] = wave(place / temperature ** (channel / each));
  return values;
}

/** A layer of the transformer over one map; with norms first, its second one ends the residual. */
function encoderLayer(b: GraphBuilder, tokens: Tokens, positions: ValueInfo, layer: DetrLayer): Tokens {
  const attended = placedSelfAttention(b, tokens, positions, layer);
  if (layer.order === 'post') return withValue(tokens, detrMlp(b, attended.value, layer));
  const normed = b.layerNorm(attended.value, 'final_layer_norm', detrEps);
  return withValue(tokens, residual(b, normed, feedForward(b, normed, layer.activation)));
}

/** Attention within one map (Zhao et al. 2024, §4.2, AIFI). */
function withinMap(b: GraphBuilder, map: ValueInfo, path: string, config: RtDetrConfig): ValueInfo {
  const first = mapToTokens(b, map);
  const [rows, columns] = gridOf(map);
  const width = at(map.shape, 1);
  const values = config.hasPositions
    ? bareSines(rows, columns, width, config.temperature)
    : new Float32Array(room(rows * columns * width));
  const positions = tableOf(b, `${path}.positions`, values, width, first.batch);
  let tokens = first;
  for (let index = 0; index < config.depth; index++)
    tokens = b.scope(`${path}.layers.${index}`, () => encoderLayer(b, tokens, positions, config.encoder), {
      title: 'Encoder layer',
    });
  return tokensToMap(b, tokens);
}

/** A map of twice the rows and columns, each cell four times. */
function doubled(b: GraphBuilder, map: ValueInfo): ValueInfo {
  const [batch = 1, channels = 0, rows = 0, columns = 0] = map.shape;
  return b.add('Resize', [map, undefined, undefined, b.indices([batch, channels, 2 * rows, 2 * columns])], {
    mode: text('nearest'),
    coordinate_transformation_mode: text('asymmetric'),
    nearest_mode: text('floor'),
  });
}

/** Two maps joined by a cross-stage partial layer of RepVGG blocks (Zhao et al. 2024, figure 5). */
function fused(b: GraphBuilder, maps: readonly ValueInfo[], path: string, activation: string): ValueInfo {
  const map = b.concat(maps, 1);
  const unit = (x: ValueInfo, name: string, act?: string): ValueInfo =>
    convNormModule(b, x, `${path}.${name}`, {
      eps: detrEps,
      padding: name.endsWith('conv1') && name.includes('bottleneck') ? 1 : 0,
      ...(act !== undefined && { activation: act }),
    });
  let inner = unit(map, 'conv1', activation);
  for (let index = 0; b.has(`${path}.bottlenecks.${index}.conv1.conv.weight`); index++) {
    const [three, one] = ['conv1', 'conv2'].map((name) => unit(inner, `bottlenecks.${index}.${name}`));
    inner = activate(b, b.add('Add', [three, one]), activation);
  }
  const sum = b.add('Add', [inner, unit(map, 'conv2', activation)]);
  return b.has(`${path}.conv3.conv.weight`) ? unit(sum, 'conv3', activation) : sum;
}

/** The hybrid encoder: attention within the coarsest map, then maps joined down and up again. */
function encode(b: GraphBuilder, sources: readonly ValueInfo[], config: RtDetrConfig): readonly ValueInfo[] {
  const { activation } = config;
  const maps = [...sources];
  config.encoded.forEach((map, index) => {
    maps[map] = withinMap(b, at(maps, map), `${aifi}.${index}`, config);
  });
  const unit = (x: ValueInfo, name: string, options = {}): ValueInfo =>
    convNormModule(b, x, `model.encoder.${name}`, { eps: detrEps, activation, ...options });
  const stages = maps.length - 1;
  const down: ValueInfo[] = [last(maps)];
  for (let index = 0; index < stages; index++) {
    const lateral = unit(at(down, 0), `lateral_convs.${index}`);
    down[0] = lateral;
    const finer = at(maps, stages - index - 1);
    down.unshift(fused(b, [doubled(b, lateral), finer], `model.encoder.fpn_blocks.${index}`, activation));
  }
  const up: ValueInfo[] = [at(down, 0)];
  for (let index = 0; index < stages; index++) {
    const coarser = unit(last(up), `downsample_convs.${index}`, { stride: 2, padding: 1 });
    up.push(fused(b, [coarser, at(down, index + 1)], `model.encoder.pan_blocks.${index}`, activation));
  }
  return up;
}

/** A convolution and its batch norm that stand in a list, as 0 and 1. */
function projection(b: GraphBuilder, map: ValueInfo, path: string): ValueInfo {
  const isPointwise = b.shapeOf(`${path}.0.weight`)[2] === 1;
  const out = b.conv2d(map, `${path}.0`, isPointwise ? {} : { stride: 2, padding: 1 });
  return batchNorm(b, out, `${path}.1`, detrEps);
}

/** Projected maps of the backbone through the encoder, as the decoder's sequence. */
function seenBy(b: GraphBuilder, maps: Maps, config: RtDetrConfig): Pyramid {
  const count = modulesIn(b, 'model.encoder_input_proj');
  const sources = maps.stages
    .slice(-count)
    .map((stage, level) => projection(b, mapOf(b, stage), `model.encoder_input_proj.${level}`));
  const encoded = encode(b, sources, config);
  const levels = modulesIn(b, 'model.decoder_input_proj');
  const projected = Array.from({ length: levels }, (_, level) =>
    projection(b, encoded[level] ?? last(encoded), `model.decoder_input_proj.${level}`),
  );
  return pyramidOf(
    b,
    projected.map((map) => mapToTokens(b, map)),
    projected.map(gridOf),
  );
}

function modulesIn(b: GraphBuilder, path: string): number {
  let count = 0;
  while (b.has(`${path}.${count}.0.weight`)) count++;
  return count;
}

/** Queries made of the places that the encoder scores best (Zhao et al. 2024, §4.3). */
function chosenStart(b: GraphBuilder, { tokens, grids }: Pyramid, config: RtDetrConfig) {
  const { batch } = tokens;
  const [boxes, counts] = proposals(grids);
  const kept = b.add('Mul', [tokens.value, tableOf(b, 'model.anchors.counts', counts, 1, batch)]);
  const states = b.layerNorm(b.linear(kept, 'model.enc_output.0'), 'model.enc_output.1', detrEps);
  const scores = b.linear(states, 'model.enc_score_head');
  const highest = b.add('ReduceMax', [scores, b.indices([1])], { keepdims: int(0) });
  const told = b.add('Add', [
    linearLayers(b, states, 'model.enc_bbox_head'),
    tableOf(b, 'model.anchors', boxes, 4, batch),
  ]);
  const queries = Math.min(config.queries, tokens.count);
  const best = bestRows(b, b.reshape(highest, [batch, tokens.count]), queries);
  const contents = b.has(learnedQueries) ? queryTable(b, learnedQueries, batch) : chosenRows(b, states, best);
  const references = b.add('Sigmoid', [chosenRows(b, told, best)]);
  const layout = queryLayout(queries);
  return { queries: { value: contents, batch, count: queries, layout }, references };
}

function build(b: GraphBuilder, config: RtDetrConfig, { backbone, batch }: PartContext): void {
  const pyramid = seenBy(b, backbone(), config);
  const start = chosenStart(b, pyramid, config);
  const { decoder, offsetScale, discrete } = config;
  const sampling: DeformableConfig = {
    heads: decoder.heads,
    grids: pyramid.grids,
    offsetScale,
    discrete,
  };
  let queries: Tokens = start.queries;
  let { references } = start;
  const classes: ValueInfo[] = [];
  for (let index = 0; index < config.decoderDepth; index++) {
    const queryPositions = linearLayers(b, references, 'model.decoder.query_pos_head');
    const around = { image: pyramid.tokens, queryPositions, references };
    queries = b.scope(
      `model.decoder.layers.${index}`,
      () => deformableDecoderLayer(b, queries, around, { ...decoder, sampling }),
      { title: 'Decoder layer' },
    );
    const box = boxLogits(b, queries.value, `model.decoder.bbox_embed.${index}`, references);
    references = b.add('Sigmoid', [box]);
    classes.push(b.linear(queries.value, `model.decoder.class_embed.${index}`));
  }
  // The library scores classes of every layer, the last of which are the answer.
  const all = b.concat(classes, 0);
  const rows = at(all.shape, 0);
  const logits = b.slice(all, 0, rows - rows / classes.length, rows);
  b.output('logits', asSequence(b, logits, batch), 'logits');
  b.output('pred_boxes', asSequence(b, references, batch), 'boxes');
  b.output('tokens', asSequence(b, queries.value, batch), 'tokens');
  b.output('enc_topk_bboxes', asSequence(b, start.references, batch), 'state');
}

/** RT-DETR and RT-DETRv2 (Zhao et al. 2024; Lv et al. 2024): boxes off convolved, encoded maps. */
export const rtDetr: Whole<RtDetrConfig> = {
  name: 'rt-detr',
  row: 'detr',
  title: 'RT-DETR',
  task: 'detect',
  signature: [
    encoderOutput,
    'model.encoder.fpn_blocks.0.conv1.conv.weight',
    'model.decoder.layers.0.encoder_attn.sampling_offsets.weight',
    'model.decoder.class_embed.0.weight',
  ],
  assumable: ['heads', 'decoder_heads', 'queries', 'activation', 'encoder_activation', 'decoder_activation'],
  // Classes with noise, which training asks with.
  idle: /^model\.denoising_class_embed\./,
  recognise,
  parts: [{ name: 'whole', build }],
};
