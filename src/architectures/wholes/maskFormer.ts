import { at, last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution, groupNorm } from '../blocks/convolution';
import { activate, type Tokens } from '../blocks/layers';
import { gridOf, layerNormOfMap, mapToTokens, repeatedMap } from '../blocks/maps';
import { asSequence } from '../blocks/projectedAttention';
import { sineTable } from '../blocks/sinePositions';
import type { Maps } from '../blocks/stages';
import { countOf, knownActivation, shapeOf } from '../decide';
import { configOf, stored } from '../evidence';
import { backboneTitle, headsOfWhole, settle, type FoundWhole, type PartContext, type Whole } from '../whole';
import { mapOf, queryTable } from './detectors';
import { decoderLayer } from './detr';
import { room } from '../../graph/limits';

/** What MaskFormer's decoders are written by. */
interface MaskFormerConfig {
  readonly decoder_depth: number;
  readonly decoder_heads: number;
  readonly dim: number;
  readonly queries: number;
  readonly activation: string;
}

const inDecoder = 'model.transformer_module';
const predictor = 'class_predictor.weight';

/** Hyper-parameters that every model of masks and queries has, by its own names. */
export function evidenceOfQueries(found: FoundWhole, heads: readonly string[]) {
  const queriesName = `${inDecoder}.queries_embedder.weight`;
  const [queries = 0, dim = 0] = shapeOf(found.tensors, queriesName);
  const [outputs = 0] = shapeOf(found.tensors, predictor);
  return {
    dim: stored(dim, queriesName),
    decoder_depth: stored(
      countOf(found.tensors, `${inDecoder}.decoder.layers`),
      `${inDecoder}.decoder.layers.*`,
    ),
    decoder_heads: headsOfWhole(found, 'decoder_heads', dim, { config: heads }),
    queries: stored(queries, queriesName),
    classes: stored(outputs - 1, `${predictor}, less "no object"`),
  };
}

function recognise(found: FoundWhole) {
  const shapes = evidenceOfQueries(found, [
    'decoder_config.decoder_attention_heads',
    'decoder_config.num_attention_heads',
  ]);
  const evidence = {
    ...shapes,
    activation: settle<string>(found, 'activation', {
      config: ['decoder_config.activation_function'],
      otherwise: stored('relu', 'as published (Cheng et al. 2021)'),
      ...knownActivation,
    }),
  };
  return {
    label: 'maskformer',
    title: `MaskFormer, ${backboneTitle(found)} backbone`,
    evidence,
    config: configOf(evidence),
    reading: { task: 'segment', rule: 'queries' } as const,
    sizeStep: [1, 1] as const,
  };
}

/** Where transformers' backbones keep the norm of a stage: under its name, or its index. */
const normNames = (stage: number): readonly string[] => [
  `hidden_states_norms.stage${stage + 1}`,
  `hidden_states_norms.${stage}`,
];

/** Maps of all stages of a backbone at `path`, behind the norm that is stored for each. */
export function normedStages(b: GraphBuilder, { stages }: Maps, path: string): readonly ValueInfo[] {
  return stages.map((each, stage) => {
    const map = mapOf(b, each);
    const norm = normNames(stage)
      .map((name) => `${path}.${name}`)
      .find((name) => b.has(`${name}.weight`));
    return norm === undefined ? map : layerNormOfMap(b, map, norm, 1e-5);
  });
}

/** Groups of the norms of pixel decoders. */
export const groups = { groups: 32, eps: 1e-5 } as const;

/** Convolution, norm of groups and ReLU. */
const unit = (b: GraphBuilder, map: ValueInfo, name: string): ValueInfo =>
  activate(b, groupNorm(b, convolution(b, map, `${name}.0`), `${name}.1`, groups), 'relu');

/** From the coarsest map to the finest, each level added to the one before (Lin et al. 2017). */
function pyramid(b: GraphBuilder, maps: readonly ValueInfo[]): ValueInfo {
  let value = unit(b, last(maps), 'stem');
  for (const [layer, map] of maps.slice(0, -1).toReversed().entries()) {
    const coarser = value;
    value = b.scope(`layers.${layer}`, () => {
      const left = groupNorm(b, convolution(b, map, 'proj.0'), 'proj.1', groups);
      return unit(b, b.add('Add', [repeatedMap(b, coarser, gridOf(left)), left]), 'block');
    });
  }
  return value;
}

/** Queries that begin as zeros, `[batch · queries, dim]`. */
export function zeroQueries(
  b: GraphBuilder,
  name: string,
  queries: number,
  dim: number,
  batch: number,
): Tokens {
  const count = batch * queries;
  const value = b.constant(name, 'F32', [count, dim], new Float32Array(room(count * dim)));
  return { value, batch, count: queries, layout: { special: [], queries } };
}

/** Three linear layers, `name.0.0` to `name.2.0`. */
export function maskEmbedding(b: GraphBuilder, queries: ValueInfo, name: string): ValueInfo {
  let value = queries;
  for (let layer = 0; b.has(`${name}.${layer}.0.weight`); layer++)
    value = b.linear(layer === 0 ? value : activate(b, value, 'relu'), `${name}.${layer}.0`);
  return value;
}

/**
 * Masks `[batch, queries, rows, columns]`: what queries `[batch · queries, width]` have in common
 * with the pixels' embeddings `[batch, width, rows, columns]` (Cheng et al. 2021, §3.3).
 */
export function masksOf(b: GraphBuilder, queries: ValueInfo, pixels: ValueInfo, name: string): ValueInfo {
  const [batch = 1, width = 0, rows = 0, columns = 0] = pixels.shape;
  const each = asSequence(b, queries, batch);
  const products = b.add('MatMul', [each, b.reshape(pixels, [batch, width, rows * columns])], {}, { name });
  return b.reshape(products, [batch, at(each.shape, 1), rows, columns]);
}

function build(b: GraphBuilder, config: MaskFormerConfig, { backbone, batch }: PartContext): void {
  const maps = normedStages(b, backbone(), 'model.pixel_level_module.encoder');
  const pixels = b.scope(
    'model.pixel_level_module.decoder',
    () =>
      convolution(
        b,
        b.scope('fpn', () => pyramid(b, maps)),
        'mask_projection',
      ),
    { title: 'Pixel decoder' },
  );
  const coarsest = last(maps);
  const projected = b.has(`${inDecoder}.input_projection.weight`)
    ? convolution(b, coarsest, `${inDecoder}.input_projection`)
    : coarsest;
  const image = mapToTokens(b, projected);
  const positions = sineTable(b, `${inDecoder}.positions`, gridOf(projected), batch, {
    width: config.dim / 2,
    normalise: true,
  });
  const asked = queryTable(b, `${inDecoder}.queries_embedder.weight`, batch);
  let queries = zeroQueries(b, `${inDecoder}.queries`, config.queries, config.dim, batch);
  for (let layer = 0; layer < config.decoder_depth; layer++)
    queries = b.scope(
      `${inDecoder}.decoder.layers.${layer}`,
      () => decoderLayer(b, queries, [asked, positions], image, config),
      { title: 'Decoder layer' },
    );
  const normed = b.layerNorm(queries.value, `${inDecoder}.decoder.layernorm`, 1e-5);
  b.output('class_queries_logits', asSequence(b, b.linear(normed, 'class_predictor'), batch), 'logits');
  const masks = masksOf(b, maskEmbedding(b, normed, 'mask_embedder'), pixels, '/masks');
  b.output('masks_queries_logits', masks, 'masks');
}

/** The last norm of a Swin backbone, which transformers stores and leaves out of its maps. */
export const neverComputed = /^model\.pixel_level_module\.encoder\.(?:model|swin)\.layernorm\./;

/** MaskFormer (Cheng et al. 2021): queries of DETR's decoder, each with a class and a mask. */
export const maskFormer: Whole<MaskFormerConfig> = {
  name: 'maskformer',
  row: 'segmentation',
  title: 'MaskFormer',
  task: 'segment',
  signature: [
    'model.pixel_level_module.decoder.fpn.stem.0.weight',
    'model.pixel_level_module.decoder.mask_projection.weight',
    'model.transformer_module.queries_embedder.weight',
    'model.transformer_module.decoder.layers.0.encoder_attn.q_proj.weight',
    'class_predictor.weight',
    'mask_embedder.0.0.weight',
  ],
  assumable: ['decoder_heads', 'activation'],
  hasNoBias: (path) => /\.(?:block|stem|proj)\.0$|queries_embedder$/.test(path),
  idle: neverComputed,
  recognise,
  parts: [{ name: 'whole', build }],
};
