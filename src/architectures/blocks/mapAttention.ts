import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { int, text, type ValueInfo } from '../../graph/graph';
import { offsetBiases } from './attentionBiases';
import { convNormModule, convolution, type ConvolutionOptions } from './convolution';
import { activate, withValue, type Tokens } from './layers';
import { gridOf, mapToTokens, tokensToMap } from './maps';
import { mergeHeads, splitHeads } from './transformer';

interface MapAttention {
  /** Queries of every `stride`-th row and column of the map. */
  readonly query: Tokens;
  /** Rows and columns between two queries. */
  readonly stride: number;
  readonly activation: string;
  /** Epsilon of the batch norms. */
  readonly eps: number;
}

/**
 * A 1 × 1 convolution over the heads of a map `[batch, heads, queries, keys]` (talking heads;
 * Shazeer et al. 2020), if it is stored.
 */
const talk = (b: GraphBuilder, map: ValueInfo, name: string): ValueInfo =>
  b.has(`${name}.weight`) ? convolution(b, map, name) : map;

/**
 * Weights `[batch, heads, queries, keys]`: scores with biases per offset, mixed among the heads
 * before and behind the softmax.
 */
function weightsOf(b: GraphBuilder, query: ValueInfo, key: ValueInfo, bias: ValueInfo): ValueInfo {
  const products = b.add('MatMul', [query, b.transpose(key, [0, 1, 3, 2])], {}, { name: '/scores' });
  const scaled = b.add('Mul', [products, b.scalar(1 / Math.sqrt(at(query.shape, 3)))]);
  const scores = talk(b, b.add('Add', [scaled, bias]), 'talking_head1');
  return talk(b, b.add('Softmax', [scores], { axis: int(-1) }), 'talking_head2');
}

/**
 * Attention among the positions of a map `[batch, channels, rows, columns]`, whose keys and values
 * are 1 × 1 convolutions, plus a depthwise convolution of the values (Li et al. 2023,
 * EfficientFormerV2 §3.2, §3.3). The result is a map of the queries, twice as large if
 * `stride_conv` made this map smaller before.
 */
export function mapAttention(
  b: GraphBuilder,
  map: ValueInfo,
  layer: string,
  { query, stride, activation, eps }: MapAttention,
): ValueInfo {
  const unit = (name: string, x: ValueInfo, options: ConvolutionOptions = {}): ValueInfo =>
    convNormModule(b, x, name, { ...options, eps });
  const bias = offsetBiases(b, 'attention_biases', gridOf(map), stride);
  const split = (tokens: Tokens): ValueInfo => splitHeads(b, tokens.value, tokens.batch, at(bias.shape, 0));
  const keys = mapToTokens(b, unit('k', map));
  const values = unit('v', map);
  const weights = weightsOf(b, split(query), split(keys), bias);
  b.probe(weights, {
    layer,
    kind: stride > 1 ? 'reduced' : 'self',
    queries: query.layout,
    keys: keys.layout,
    ...(stride > 1 && { query_stride: stride }),
  });
  const mixed = b.add('MatMul', [weights, split(mapToTokens(b, values))], {}, { name: '/mix' });
  const global = tokensToMap(b, withValue(query, mergeHeads(b, mixed)));
  const sum = b.add('Add', [global, unit('v_local', values, { stride })]);
  const whole = b.has('stride_conv.conv.weight') ? upsampled(b, sum) : sum;
  return unit('proj', activate(b, whole, activation));
}

/** A map twice as high and wide, bilinear between the centres of its positions. */
function upsampled(b: GraphBuilder, map: ValueInfo): ValueInfo {
  const [batch, channels, rows, columns] = map.shape as readonly [number, number, number, number];
  return b.add('Resize', [map, undefined, undefined, b.indices([batch, channels, 2 * rows, 2 * columns])], {
    mode: text('linear'),
    coordinate_transformation_mode: text('half_pixel'),
  });
}
