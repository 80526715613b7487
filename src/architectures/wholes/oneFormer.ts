import { at, last } from '../../domain/lists';
import { ParameterError, type GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { activate, residual, withValue, type Tokens } from '../blocks/layers';
import { gridOf, mapToTokens } from '../blocks/maps';
import { asSequence, placed, postNorm, projectedAttention } from '../blocks/projectedAttention';
import { sineTable } from '../blocks/sinePositions';
import { countOf, shapeOf } from '../decide';
import { rows } from '../dialect';
import { stored } from '../evidence';
import { backboneTitle, headsOfWhole, settle, type FoundWhole, type PartContext, type Whole } from '../whole';
import { layersOf, queryTable, repeated, sideOf } from './detectors';
import {
  decodedPixels,
  hiding,
  levels,
  lookedAt,
  pixelDecoder,
  type PixelDecoderConfig,
} from './mask2Former';
import { maskEmbedding, masksOf, neverComputed, normedStages } from './maskFormer';

/** What OneFormer's decoders are written by. */
interface OneFormerConfig extends PixelDecoderConfig {
  readonly decoderDepth: number;
  /** Layers that make the queries of the task and the finest map. */
  readonly queryDepth: number;
  readonly queries: number;
  /** Numbers of a task's text. */
  readonly context: number;
  readonly taskNorm: boolean;
}

const inDecoder = 'model.transformer_module';
const decoder = `${inDecoder}.decoder`;
const queryLayers = `${decoder}.query_transformer.decoder`;
const task = 'model.task_encoder.task_mlp.layers';
const classes = `${decoder}.class_embed`;
const eps = 1e-5;
const fusedNames = ['0', '1', '2', 'out_proj'] as const;

function recognise(found: FoundWhole): ReturnType<Whole<OneFormerConfig>['recognise']> {
  const { tensors } = found;
  const queriesName = `${inDecoder}.queries_embedder.weight`;
  const [queries = 0, dim = 0] = shapeOf(tensors, queriesName);
  const [outputs = 0] = shapeOf(tensors, `${classes}.weight`);
  const [own = 0] = shapeOf(tensors, `${pixelDecoder}.level_embed`).slice(1);
  if (own !== dim)
    throw new ParameterError(
      queriesName,
      `${dim} wide; ${own} needed: the library keeps no layer between them`,
    );
  settle<boolean>(found, 'pre_norm', {
    config: ['pre_norm'],
    otherwise: stored(false, 'as published'),
    is: (value) => value === false,
    needed: 'false',
  });
  const evidence = {
    depth: layersOf(found, `${pixelDecoder}.encoder.layers`),
    decoder_depth: layersOf(found, `${decoder}.layers`),
    query_depth: layersOf(found, `${queryLayers}.layers`),
    dim: stored(dim, queriesName),
    heads: headsOfWhole(found, 'heads', dim, { config: ['num_attention_heads'] }),
    queries: stored(queries, queriesName),
    context: sideOf(found, `${task}.0.0.weight`, 1),
    task_norm: settle<boolean>(found, 'task_norm', {
      config: ['use_task_norm'],
      otherwise: stored(true, 'as published (Jain et al. 2023)'),
      is: (value) => typeof value === 'boolean',
      needed: 'true or false',
    }),
    classes: stored(outputs - 1, `${classes}.weight, less "no object"`),
  };
  return {
    label: 'oneformer',
    title: `OneFormer, ${backboneTitle(found)} backbone`,
    evidence,
    config: {
      depth: evidence.depth.value,
      decoderDepth: countOf(tensors, `${decoder}.layers`),
      queryDepth: evidence.query_depth.value,
      dim,
      heads: evidence.heads.value,
      queries,
      context: evidence.context.value,
      taskNorm: evidence.task_norm.value,
    },
    reading: { task: 'segment', rule: 'queries', told: { context: evidence.context.value } } as const,
    modelType: 'oneformer',
    sizeStep: [1, 1] as const,
  };
}

/** The two linear layers of a decoder layer. */
const linearLayersOf = (b: GraphBuilder, x: ValueInfo): ValueInfo =>
  b.linear(activate(b, b.linear(x, 'linear1'), 'relu'), 'linear2');

/**
 * A layer that makes queries: among themselves, then with the finest map. The library hands the
 * table of places over as what is looked at, and the map as its positions: keys are their sum and
 * values the table alone.
 */
function queryLayer(b: GraphBuilder, queries: Tokens, asked: ValueInfo, image: QueryImage, heads: number) {
  const own = placed(b, queries, asked);
  const mixed = projectedAttention(
    b,
    'self_attn',
    { queries: own, keys: own, values: queries },
    { heads, kind: 'self', names: fusedNames },
  );
  const attended = withValue(queries, postNorm(b, queries.value, mixed, 'norm1', eps));
  const looked = projectedAttention(
    b,
    'multihead_attn',
    { queries: placed(b, attended, asked), keys: image.keys, values: image.values },
    { heads, kind: 'cross', names: fusedNames },
  );
  const seen = postNorm(b, attended.value, looked, 'norm2', eps);
  return withValue(queries, postNorm(b, seen, linearLayersOf(b, seen), 'norm3', eps));
}

interface QueryImage {
  readonly keys: Tokens;
  readonly values: Tokens;
}

/** Queries that begin as the task's token, all alike (Jain et al. 2023, §3.3). */
function madeQueries(
  b: GraphBuilder,
  pixels: ValueInfo,
  token: ValueInfo,
  { queries, queryDepth, dim, heads, taskNorm }: OneFormerConfig,
): Tokens {
  const [batch = 1] = pixels.shape;
  const count = queries - 1;
  const projected = mapToTokens(b, convolution(b, pixels, `${decoder}.query_input_projection`));
  const places = sineTable(b, `${inDecoder}.finest`, gridOf(pixels), batch, {
    width: dim / 2,
    normalise: true,
  });
  const table = withValue(projected, places);
  const image = { keys: placed(b, table, projected.value), values: table };
  const asked = repeated(b, b.slice(b.parameter(`${inDecoder}.queries_embedder.weight`), 0, 0, count), batch);
  const each = b.add('Expand', [b.reshape(token, [batch, 1, dim]), b.indices([batch, count, dim])]);
  const alike = b.reshape(each, [batch * count, dim]);
  let value: Tokens = {
    value: taskNorm ? alike : b.add('Mul', [alike, b.scalar(0)]),
    batch,
    count,
    layout: { special: [], queries: count },
  };
  for (let layer = 0; layer < queryDepth; layer++)
    value = b.scope(`${queryLayers}.layers.${layer}`, () => queryLayer(b, value, asked, image, heads), {
      title: 'Query layer',
    });
  return withValue(value, b.layerNorm(value.value, `${queryLayers}.norm`, eps));
}

/** A decoder layer: masked cross-attention first, then among the queries. */
function decoderLayer(
  b: GraphBuilder,
  queries: Tokens,
  asked: ValueInfo,
  image: { readonly tokens: Tokens; readonly positions: ValueInfo; readonly bias: ValueInfo },
  heads: number,
): Tokens {
  const { tokens, positions, bias } = image;
  const seen = b.scope('cross_attn', () => {
    const looked = projectedAttention(
      b,
      'multihead_attn',
      { queries: placed(b, queries, asked), keys: placed(b, tokens, positions), values: tokens },
      { heads, kind: 'cross', bias, names: fusedNames },
    );
    return withValue(queries, postNorm(b, queries.value, looked, 'norm', eps));
  });
  const attended = b.scope('self_attn', () => {
    const own = placed(b, seen, asked);
    const mixed = projectedAttention(
      b,
      'self_attn',
      { queries: own, keys: own, values: seen },
      { heads, kind: 'self' },
    );
    return postNorm(b, seen.value, mixed, 'norm', eps);
  });
  return b.scope('ffn', () =>
    withValue(queries, b.layerNorm(residual(b, attended, linearLayersOf(b, attended)), 'norm', eps)),
  );
}

/** The task's token of the ids of its text, `[batch, dim]`. */
function taskToken(b: GraphBuilder, { context, taskNorm }: OneFormerConfig, batch: number): ValueInfo {
  const ids = b.input('task_inputs', [batch, context]);
  const token = b.linear(activate(b, b.linear(ids, `${task}.0.0`), 'relu'), `${task}.1.0`);
  return taskNorm ? b.layerNorm(token, `${decoder}.decoder_norm`, eps) : token;
}

/** All queries, the task's own the last of them. */
function allQueries(
  b: GraphBuilder,
  made: Tokens,
  token: ValueInfo,
  { queries, dim }: OneFormerConfig,
): Tokens {
  const { batch } = made;
  const each = [asSequence(b, made.value, batch), b.reshape(token, [batch, 1, dim])];
  return {
    value: b.reshape(b.concat(each, 1), [batch * queries, dim]),
    batch,
    count: queries,
    layout: { special: [], queries },
  };
}

function build(b: GraphBuilder, config: OneFormerConfig, { backbone, batch }: PartContext): void {
  const stages = normedStages(b, backbone(), 'model.pixel_level_module.encoder');
  const { pixels, maps } = decodedPixels(b, stages, config);
  const token = taskToken(b, config, batch);
  const images = lookedAt(b, maps, config);
  const asked = queryTable(b, `${inDecoder}.queries_embedder.weight`, batch);
  let queries = allQueries(b, madeQueries(b, pixels, token, config), token, config);
  const scores: ValueInfo[] = [];
  // Every layer's queries are given classes and masks: the masks steer the next layer.
  const predicted = (): ValueInfo => {
    const value = b.layerNorm(queries.value, `${decoder}.decoder_norm`, eps);
    scores.push(asSequence(b, b.linear(value, classes), batch));
    return masksOf(b, maskEmbedding(b, value, `${decoder}.mask_embed.layers`), pixels, '/masks');
  };
  let masks = predicted();
  for (let layer = 0; layer < config.decoderDepth; layer++) {
    const { grid, ...image } = at(images, layer % levels);
    const bias = hiding(b, masks, grid);
    queries = b.scope(
      `${decoder}.layers.${layer}`,
      () => decoderLayer(b, queries, asked, { ...image, bias }, config.heads),
      { title: 'Decoder layer' },
    );
    masks = predicted();
  }
  b.output('class_queries_logits', last(scores), 'logits');
  b.output('masks_queries_logits', masks, 'masks');
  if (scores.length > 1) b.output('auxiliary_logits', b.concat(scores.slice(0, -1), 1), 'state');
}

/** OneFormer (Jain et al. 2023): one model that is told which kind of segments is asked for. */
export const oneFormer: Whole<OneFormerConfig> = {
  name: 'oneformer',
  row: 'segmentation',
  title: 'OneFormer',
  task: 'segment',
  signature: [
    `${pixelDecoder}.level_embed`,
    `${task}.0.0.weight`,
    `${queryLayers}.layers.0.linear1.weight`,
    `${decoder}.layers.0.cross_attn.multihead_attn.0.weight`,
    `${classes}.weight`,
  ],
  // torch's MultiheadAttention keeps queries, keys and values in one matrix.
  renames: [
    [
      /^(.+\.(?:multihead_attn|self_attn))\.in_proj_(weight|bias)$/,
      '$1.*.$2',
      (tensor) => [0, 1, 2].flatMap((part) => rows(part, 3)(tensor)),
    ],
  ],
  assumable: ['heads', 'task_norm'],
  hasNoBias: (path) => /\.(?:adapter|layer)_\d\.0$|\.(?:queries_embedder|level_embed)$/.test(path),
  // What reads the texts of training, and a loss.
  idle: new RegExp(`${neverComputed.source}|^(?:model\\.text_mapper|criterion)\\.`),
  recognise,
  parts: [{ name: 'whole', build }],
};
