import { at, last, sum } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import { ParameterError, type GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { convolution, groupNorm } from '../blocks/convolution';
import { cellCentres, deformableAttention, levelLayout, tableOf } from '../blocks/deformableAttention';
import { activate, withValue, type Tokens } from '../blocks/layers';
import { gridOf, mapToTokens, resizedMap, sequence } from '../blocks/maps';
import { asSequence, feedForward, placed, postNorm, projectedAttention } from '../blocks/projectedAttention';
import { sineTable } from '../blocks/sinePositions';
import { countOf, knownActivation } from '../decide';
import { rows } from '../dialect';
import { stored } from '../evidence';
import { backboneTitle, settle, type FoundWhole, type PartContext, type Whole } from '../whole';
import { queryTable } from './detectors';

import { evidenceOfQueries, groups, maskEmbedding, masksOf, neverComputed, normedStages } from './maskFormer';

/** What the pixel decoder is written by. */
export interface PixelDecoderConfig {
  readonly depth: number;
  readonly heads: number;
  readonly dim: number;
}

/** What Mask2Former's decoders are written by. */
interface Mask2FormerConfig extends PixelDecoderConfig {
  readonly decoderDepth: number;
  readonly queries: number;
  readonly activation: string;
}

export const pixelDecoder = 'model.pixel_level_module.decoder';
const inDecoder = 'model.transformer_module';
/** Maps that attention runs over, the coarsest first. */
export const levels = 3;

function recognise(found: FoundWhole) {
  const { decoder_heads: heads, ...shapes } = evidenceOfQueries(found, ['num_attention_heads']);
  const activation = settle<string>(found, 'activation', {
    config: ['activation_function'],
    otherwise: stored('relu', 'as published (Cheng et al. 2022)'),
    ...knownActivation,
  });
  const normsFirst = settle<boolean>(found, 'pre_norm', {
    config: ['pre_norm'],
    otherwise: stored(false, 'as published'),
  });
  if (normsFirst.value)
    throw new ParameterError(`${inDecoder}.decoder`, 'norms before the branches (pre_norm) are not known');
  const depth = stored(
    countOf(found.tensors, `${pixelDecoder}.encoder.layers`),
    `${pixelDecoder}.encoder.layers.*`,
  );
  return {
    label: 'mask2former',
    title: `Mask2Former, ${backboneTitle(found)} backbone`,
    evidence: { depth, ...shapes, heads, activation },
    config: {
      depth: depth.value,
      decoderDepth: shapes.decoder_depth.value,
      heads: heads.value,
      dim: shapes.dim.value,
      queries: shapes.queries.value,
      activation: activation.value,
    },
    reading: { task: 'segment', rule: 'queries', inner: [384, 384] } as const,
    sizeStep: [1, 1] as const,
  };
}

/** A convolution and a norm of groups. */
const normed = (b: GraphBuilder, map: ValueInfo, name: string): ValueInfo =>
  groupNorm(b, convolution(b, map, `${name}.0`), `${name}.1`, groups);

/** Tokens of several maps, one map after another. */
function joined(b: GraphBuilder, parts: readonly Tokens[], grids: readonly Grid[]): Tokens {
  const [{ batch, value }] = parts as readonly [Tokens, ...Tokens[]];
  const count = sum(parts.map((part) => part.count));
  const all = b.concat(
    parts.map((part) => sequence(b, part)),
    1,
  );
  return {
    value: b.reshape(all, [batch * count, at(value.shape, 1)]),
    batch,
    count,
    layout: levelLayout(grids),
  };
}

/** Sines of a map's places, with the learned vector of its level. */
function levelPositions(b: GraphBuilder, map: ValueInfo, level: number, { dim }: PixelDecoderConfig): Tokens {
  const grid = gridOf(map);
  const batch = at(map.shape, 0);
  const table = sineTable(b, `${pixelDecoder}.positions`, grid, batch, { width: dim / 2, normalise: true });
  const own = b.slice(b.parameter(`${pixelDecoder}.level_embed`), 0, level, level + 1);
  const value = b.add('Add', [table, own]);
  return { value, batch, count: grid[0] * grid[1], layout: { special: [], grid } };
}

/** A layer of the encoder: deformable attention among all maps, then the linear layers. */
function encoderLayer(
  b: GraphBuilder,
  tokens: Tokens,
  positions: ValueInfo,
  around: ValueInfo,
  grids: readonly Grid[],
  heads: number,
): Tokens {
  const queries = placed(b, tokens, positions);
  const look = { queries, image: tokens, references: around };
  const mixed = deformableAttention(b, 'self_attn', look, { heads, grids });
  const attended = postNorm(b, tokens.value, mixed, 'self_attn_layer_norm');
  return withValue(tokens, postNorm(b, attended, feedForward(b, attended, 'relu'), 'final_layer_norm'));
}

/** The tokens of each map by themselves, as maps. */
function apart(b: GraphBuilder, tokens: Tokens, grids: readonly Grid[]): readonly ValueInfo[] {
  const dim = at(tokens.value.shape, 1);
  const counts = grids.map(([height, width]) => height * width);
  return b
    .split(sequence(b, tokens), counts, 1)
    .map((part, level) =>
      b.transpose(b.reshape(part, [tokens.batch, ...at(grids, level), dim]), [0, 3, 1, 2]),
    );
}

/** What the pixel decoder hands on. */
interface Pixels {
  /** Embeddings of the finest map's places, `[batch, width, rows, columns]`. */
  readonly pixels: ValueInfo;
  /** Maps that queries look at, the coarsest first. */
  readonly maps: readonly ValueInfo[];
}

/**
 * The pixel decoder (Cheng et al. 2022, §3.1): deformable attention over the three coarsest maps
 * (Zhu et al. 2021), and a pyramid from there to the finest.
 */
export function decodedPixels(
  b: GraphBuilder,
  maps: readonly ValueInfo[],
  config: PixelDecoderConfig,
): Pixels {
  const coarse = maps
    .toReversed()
    .slice(0, levels)
    .map((map, level) => normed(b, map, `${pixelDecoder}.input_projections.${level}`));
  const grids = coarse.map(gridOf);
  const positions = joined(
    b,
    coarse.map((map, level) => levelPositions(b, map, level, config)),
    grids,
  ).value;
  let tokens = joined(
    b,
    coarse.map((map) => mapToTokens(b, map)),
    grids,
  );
  const around = tableOf(b, `${pixelDecoder}.centres`, cellCentres(grids), 2, tokens.batch);
  for (let layer = 0; layer < config.depth; layer++)
    tokens = b.scope(
      `${pixelDecoder}.encoder.layers.${layer}`,
      () => encoderLayer(b, tokens, positions, around, grids, config.heads),
      { title: 'Pixel decoder layer' },
    );
  const own = apart(b, tokens, grids);
  return b.scope(pixelDecoder, () => {
    let finest = last(own);
    for (let level = maps.length - 1; level >= 1; level--) {
      if (!b.has(`adapter_${level}.0.weight`)) continue;
      const lateral = normed(b, at(maps, level - 1), `adapter_${level}`);
      const both = b.add('Add', [lateral, resizedMap(b, finest, gridOf(lateral))]);
      finest = activate(b, normed(b, both, `layer_${level}`), 'relu');
    }
    return { pixels: convolution(b, finest, 'mask_projection'), maps: own };
  });
}

/** Below every score, so that softmax makes exactly 0 of it. */
const never = -1e9;

/**
 * What hides from each query the places outside of its mask (Cheng et al. 2022, §3.2.1, eq. 2),
 * `[batch, 1, queries, places]`; a query whose mask is empty sees all of them.
 */
export function hiding(b: GraphBuilder, masks: ValueInfo, grid: Grid): ValueInfo {
  const [batch = 1, queries = 0] = masks.shape;
  const logits = b.reshape(resizedMap(b, masks, grid), [batch, 1, queries, grid[0] * grid[1]]);
  const outside = b.add('Less', [logits, b.scalar(0)]);
  const highest = b.add('ReduceMax', [logits, b.indices([3])], { keepdims: int(1) });
  const hasMask = b.add('GreaterOrEqual', [highest, b.scalar(0)]);
  return b.add('Where', [b.add('And', [outside, hasMask]), b.scalar(never), b.scalar(0)]);
}

/** A decoder layer: masked cross-attention first, then among the queries (§3.2). */
function decoderLayer(
  b: GraphBuilder,
  queries: Tokens,
  asked: ValueInfo,
  image: { readonly tokens: Tokens; readonly positions: ValueInfo; readonly bias: ValueInfo },
  { heads, activation }: Mask2FormerConfig,
): Tokens {
  const { tokens, positions, bias } = image;
  const looked = projectedAttention(
    b,
    'cross_attn',
    { queries: placed(b, queries, asked), keys: placed(b, tokens, positions), values: tokens },
    { heads, kind: 'cross', bias, names: ['0', '1', '2', 'out_proj'] },
  );
  const seen = withValue(queries, postNorm(b, queries.value, looked, 'cross_attn_layer_norm'));
  const own = placed(b, seen, asked);
  const mixed = projectedAttention(
    b,
    'self_attn',
    { queries: own, keys: own, values: seen },
    { heads, kind: 'self' },
  );
  const attended = postNorm(b, seen.value, mixed, 'self_attn_layer_norm');
  return withValue(queries, postNorm(b, attended, feedForward(b, attended, activation), 'final_layer_norm'));
}

/** Maps as tokens with the learned vector of their level, and the sines of their places. */
export function lookedAt(b: GraphBuilder, maps: readonly ValueInfo[], { dim }: PixelDecoderConfig) {
  return maps.map((map, level) => {
    const name = `${inDecoder}.input_projections.${level}`;
    const projected = b.has(`${name}.weight`) ? convolution(b, map, name) : map;
    const tokens = mapToTokens(b, projected);
    const own = b.slice(b.parameter(`${inDecoder}.level_embed.weight`), 0, level, level + 1);
    const positions = sineTable(b, `${inDecoder}.positions`, gridOf(map), tokens.batch, {
      width: dim / 2,
      normalise: true,
    });
    return { tokens: withValue(tokens, b.add('Add', [tokens.value, own])), positions, grid: gridOf(map) };
  });
}

function build(b: GraphBuilder, config: Mask2FormerConfig, { backbone, batch }: PartContext): void {
  const stages = normedStages(b, backbone(), 'model.pixel_level_module.encoder');
  const { pixels, maps } = decodedPixels(b, stages, config);
  const images = lookedAt(b, maps, config);
  const asked = queryTable(b, `${inDecoder}.queries_embedder.weight`, batch);
  let queries: Tokens = {
    value: queryTable(b, `${inDecoder}.queries_features.weight`, batch),
    batch,
    count: config.queries,
    layout: { special: [], queries: config.queries },
  };
  const classes: ValueInfo[] = [];
  // Every layer's queries are given classes and masks: the masks steer the next layer.
  const predicted = (): ValueInfo => {
    const value = b.layerNorm(queries.value, `${inDecoder}.decoder.layernorm`, 1e-5);
    classes.push(asSequence(b, b.linear(value, 'class_predictor'), batch));
    const embedded = maskEmbedding(b, value, `${inDecoder}.decoder.mask_predictor.mask_embedder`);
    return masksOf(b, embedded, pixels, '/masks');
  };
  let masks = predicted();
  for (let layer = 0; layer < config.decoderDepth; layer++) {
    const { grid, ...image } = at(images, layer % levels);
    const bias = hiding(b, masks, grid);
    queries = b.scope(
      `${inDecoder}.decoder.layers.${layer}`,
      () => decoderLayer(b, queries, asked, { ...image, bias }, config),
      { title: 'Decoder layer' },
    );
    masks = predicted();
  }
  b.output('class_queries_logits', last(classes), 'logits');
  b.output('masks_queries_logits', masks, 'masks');
  // Training alone reads what inner layers say; transformers computes it in every pass.
  if (classes.length > 1) b.output('auxiliary_logits', b.concat(classes.slice(0, -1), 1), 'state');
}

/**
 * Mask2Former (Cheng et al. 2022): queries with a class and a mask each, which look inside of their
 * masks alone.
 */
export const mask2Former: Whole<Mask2FormerConfig> = {
  name: 'mask2former',
  row: 'segmentation',
  title: 'Mask2Former',
  task: 'segment',
  signature: [
    'model.pixel_level_module.decoder.input_projections.0.0.weight',
    'model.pixel_level_module.decoder.encoder.layers.0.self_attn.sampling_offsets.weight',
    'model.pixel_level_module.decoder.level_embed',
    'model.transformer_module.queries_features.weight',
    'model.transformer_module.decoder.layers.0.cross_attn.0.weight',
    'model.transformer_module.decoder.mask_predictor.mask_embedder.0.0.weight',
    'class_predictor.weight',
  ],
  // torch's MultiheadAttention keeps queries, keys and values in one matrix.
  renames: [
    [
      /^(.+\.cross_attn)\.in_proj_(weight|bias)$/,
      '$1.*.$2',
      (tensor) => [0, 1, 2].flatMap((part) => rows(part, 3)(tensor)),
    ],
  ],
  assumable: ['heads', 'activation'],
  hasNoBias: (path) =>
    /\.(?:adapter|layer)_\d\.0$|\.(?:queries_embedder|queries_features|level_embed)$/.test(path),
  idle: neverComputed,
  recognise,
  parts: [{ name: 'whole', build }],
};
