import { last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { activations, withValue, type Tokens } from '../blocks/layers';
import { mapToTokens, tokensToMap } from '../blocks/maps';
import {
  asSequence,
  feedForward,
  linearLayers,
  placed,
  postNorm,
  projectedAttention,
} from '../blocks/projectedAttention';
import { sineTable } from '../blocks/sinePositions';
import type { Maps, Stage } from '../blocks/stages';
import { stored } from '../evidence';
import {
  headsOfWhole,
  layersIn,
  settle,
  shapeIn,
  type FoundWhole,
  type PartContext,
  type Whole,
} from '../whole';
import { titleAround } from './detectors';

/** What DETR's encoder and decoder are written by. */
export interface DetrConfig {
  readonly depth: number;
  readonly decoderDepth: number;
  readonly dim: number;
  readonly heads: number;
  readonly decoderHeads: number;
  readonly queries: number;
  readonly activation: string;
  readonly positions: 'sine' | 'learned';
}

const knownActivation = {
  is: (value: unknown): boolean => Object.hasOwn(activations, String(value)),
  needed: `one of ${Object.keys(activations).join(', ')}`,
} as const;

function recognise(found: FoundWhole) {
  const [queries = 0, dim = 0] = shapeIn(found, 'model.query_position_embeddings.weight');
  const [outputs = 0] = shapeIn(found, 'class_labels_classifier.weight');
  const heads = headsOfWhole(found, 'heads', dim, { config: ['encoder_attention_heads'] });
  const evidence = {
    depth: stored(layersIn(found, 'model.encoder.layers'), 'model.encoder.layers.*'),
    decoder_depth: stored(layersIn(found, 'model.decoder.layers'), 'model.decoder.layers.*'),
    dim: stored(dim, 'model.query_position_embeddings.weight'),
    heads,
    decoder_heads: headsOfWhole(found, 'decoder_heads', dim, { config: ['decoder_attention_heads'] }),
    queries: stored(queries, 'model.query_position_embeddings.weight'),
    classes: stored(outputs - 1, 'class_labels_classifier.weight, less "no object"'),
    activation: settle<string>(found, 'activation', {
      config: ['activation_function'],
      otherwise: stored('relu', 'as published (Carion et al. 2020)'),
      ...knownActivation,
    }),
    positions: settle<'sine' | 'learned'>(found, 'positions', {
      config: ['position_embedding_type'],
      otherwise: stored<'sine' | 'learned'>('sine', 'as published (Carion et al. 2020)'),
      is: (value) => value === 'sine' || value === 'learned',
      needed: 'sine or learned',
    }),
  };
  return {
    label: 'detr',
    title: titleAround('DETR', found),
    evidence,
    config: {
      depth: evidence.depth.value,
      decoderDepth: evidence.decoder_depth.value,
      dim,
      heads: evidence.heads.value,
      decoderHeads: evidence.decoder_heads.value,
      queries,
      activation: evidence.activation.value,
      positions: evidence.positions.value,
    },
    reading: { task: 'detect', rule: 'softmax' } as const,
    sizeStep: [1, 1] as const,
  };
}

/** The map of a stage `[batch, width, rows, columns]`. */
export const mapOf = (b: GraphBuilder, { value }: Stage): ValueInfo =>
  'layout' in value ? tokensToMap(b, value) : value;

/** An encoder layer: self-attention over all places, then the linear layers, norms behind each. */
export function encoderLayer(
  b: GraphBuilder,
  tokens: Tokens,
  positions: ValueInfo,
  { heads, activation }: Pick<DetrConfig, 'heads' | 'activation'>,
): Tokens {
  const here = placed(b, tokens, positions);
  const mixed = projectedAttention(
    b,
    'self_attn',
    { queries: here, keys: here, values: tokens },
    { heads, kind: 'self' },
  );
  const attended = postNorm(b, tokens.value, mixed, 'self_attn_layer_norm');
  return withValue(tokens, postNorm(b, attended, feedForward(b, attended, activation), 'final_layer_norm'));
}

/** A decoder layer: queries attend to one another, then to the image (Carion et al., fig. 10). */
export function decoderLayer(
  b: GraphBuilder,
  queries: Tokens,
  [queryPositions, imagePositions]: readonly [ValueInfo, ValueInfo],
  image: Tokens,
  { decoderHeads: heads, activation }: Pick<DetrConfig, 'decoderHeads' | 'activation'>,
): Tokens {
  const asked = placed(b, queries, queryPositions);
  const mixed = projectedAttention(
    b,
    'self_attn',
    { queries: asked, keys: asked, values: queries },
    { heads, kind: 'self' },
  );
  const attended = withValue(queries, postNorm(b, queries.value, mixed, 'self_attn_layer_norm'));
  const looked = projectedAttention(
    b,
    'encoder_attn',
    { queries: placed(b, attended, queryPositions), keys: placed(b, image, imagePositions), values: image },
    { heads, kind: 'cross' },
  );
  const seen = postNorm(b, attended.value, looked, 'encoder_attn_layer_norm');
  return withValue(queries, postNorm(b, seen, feedForward(b, seen, activation), 'final_layer_norm'));
}

/** The learned positions of the queries `[batch · queries, dim]`. */
export function queryTable(b: GraphBuilder, name: string, batch: number): ValueInfo {
  const table = b.parameter(name);
  return batch === 1 ? table : b.concat(Array<ValueInfo>(batch).fill(table), 0);
}

function build(b: GraphBuilder, config: DetrConfig, { backbone, batch }: PartContext): void {
  const maps: Maps = backbone();
  const projected = b.conv2d(mapOf(b, last(maps.stages)), 'model.input_projection');
  const tokens = mapToTokens(b, projected);
  const grid = [projected.shape[2] ?? 0, projected.shape[3] ?? 0] as const;
  const positions = sineTable(b, 'model.positions', grid, batch, {
    width: config.dim / 2,
    normalise: true,
  });
  let image = tokens;
  for (let index = 0; index < config.depth; index++)
    image = b.scope(`model.encoder.layers.${index}`, () => encoderLayer(b, image, positions, config), {
      title: 'Encoder layer',
    });
  const queryPositions = queryTable(b, 'model.query_position_embeddings.weight', batch);
  const zeros = b.constant(
    'model.queries',
    'F32',
    [batch * config.queries, config.dim],
    new Float32Array(batch * config.queries * config.dim),
  );
  let queries: Tokens = {
    value: zeros,
    batch,
    count: config.queries,
    layout: { special: [], queries: config.queries },
  };
  for (let index = 0; index < config.decoderDepth; index++)
    queries = b.scope(
      `model.decoder.layers.${index}`,
      () => decoderLayer(b, queries, [queryPositions, positions], image, config),
      { title: 'Decoder layer' },
    );
  const normed = b.layerNorm(queries.value, 'model.decoder.layernorm', 1e-5);
  b.output('logits', asSequence(b, b.linear(normed, 'class_labels_classifier'), batch), 'logits');
  const boxes = b.add('Sigmoid', [linearLayers(b, normed, 'bbox_predictor')]);
  b.output('pred_boxes', asSequence(b, boxes, batch), 'boxes');
  b.output('tokens', asSequence(b, normed, batch), 'tokens');
  b.output('encoder_last_hidden_state', asSequence(b, image.value, batch), 'state');
}

/** DETR (Carion et al. 2020): a transformer that reads a set of boxes off one map of a backbone. */
export const detr: Whole<DetrConfig> = {
  name: 'detr',
  title: 'DETR',
  task: 'detect',
  signature: [
    'model.query_position_embeddings.weight',
    'model.input_projection.weight',
    'model.decoder.layers.0.encoder_attn.q_proj.weight',
    'class_labels_classifier.weight',
  ],
  assumable: ['heads', 'decoder_heads', 'activation', 'positions'],
  recognise,
  parts: [{ name: 'whole', build }],
};
