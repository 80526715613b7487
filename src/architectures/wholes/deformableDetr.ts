import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { cellCentres, tableOf, type DeformableConfig } from '../blocks/deformableAttention';
import { detrEps } from '../blocks/detrLayers';
import type { Tokens } from '../blocks/layers';
import { asSequence, linearLayers } from '../blocks/projectedAttention';
import { sineOfPlaces } from '../blocks/sinePositions';
import { assumed, configOf, stored } from '../evidence';
import type { Evidence } from '../family';
import { settle, type FoundWhole, type PartContext, type Whole } from '../whole';
import {
  activationOf,
  mapOf,
  ofFile,
  queryLayout,
  repeated,
  seenAs,
  sideOf,
  titleAround,
  transformerAssumable,
  transformerOf,
} from './detectors';
import {
  bestRows,
  boxLogits,
  chosenRows,
  deformableDecoderLayer,
  deformableEncoderLayer,
  levelMaps,
  placedPyramid,
  pointsOf,
  proposals,
  type PlacedPyramid,
  type Pyramid,
} from './deformableParts';

interface DeformableDetrConfig {
  readonly depth: number;
  readonly decoder_depth: number;
  readonly dim: number;
  readonly heads: number;
  readonly decoder_heads: number;
  readonly queries: number;
  readonly activation: string;
  readonly dilation: boolean;
  readonly levels: number;
  /** Every decoder layer moves the references. */
  readonly box_refine: boolean;
  /** References are boxes of the encoder's best places. */
  readonly two_stage: boolean;
}

const queryTable = 'model.query_position_embeddings.weight';
const encoderOutput = 'model.enc_output.weight';
const refining = 'model.decoder.bbox_embed.0.layers.0.weight';

function queriesOf(found: FoundWhole): Evidence<number> {
  if (found.tensors.has(queryTable)) return sideOf(found, queryTable, 0);
  return settle<number>(found, 'queries', {
    config: ['two_stage_num_proposals'],
    otherwise: assumed(300, 'as published (Zhu et al. 2021); not stored'),
    is: (value) => typeof value === 'number' && Number.isInteger(value) && value > 0,
    needed: 'a number above 0',
  });
}

function recognise(found: FoundWhole) {
  const { tensors } = found;
  const levels = sideOf(found, 'model.level_embed', 0);
  const own = transformerOf(found, { dim: sideOf(found, 'model.level_embed', 1) });
  const refines = tensors.has(refining);
  const twoStage = tensors.has(encoderOutput);
  const evidence = {
    ...own,
    queries: queriesOf(found),
    classes: sideOf(found, `${headOf(found, 'class_embed', 0, '.weight')}.weight`, 0),
    levels,
    points: pointsOf(found, 'model.encoder.layers.0.self_attn', own.heads.value, levels.value),
    decoder_points: pointsOf(
      found,
      'model.decoder.layers.0.encoder_attn',
      own.decoder_heads.value,
      levels.value,
    ),
    box_refine: stored(refines, refines ? ofFile(found, refining) : 'no box heads of the decoder'),
    two_stage: stored(twoStage, twoStage ? ofFile(found, encoderOutput) : 'no output of the encoder'),
    activation: activationOf(found, 'Zhu et al. 2021'),
  };
  const seen = seenAs(found, 'deformable_detr');
  return {
    ...seen,
    label: 'deformable-detr',
    title: titleAround('Deformable DETR', found),
    evidence: { ...evidence, ...seen.evidence },
    config: configOf(evidence),
    reading: { task: 'detect', rule: 'pairs', top: 100 } as const,
    sizeStep: [1, 1] as const,
  };
}

/**
 * The head of a layer: its own, at the top or at the decoder, or the one that all layers share.
 * Heads of the decoder and of the top are one in the library.
 */
const headNames = (kind: 'class_embed' | 'bbox_embed', layer: number): readonly string[] => [
  `${kind}.${layer}`,
  `model.decoder.${kind}.${layer}`,
  `${kind}.0`,
];

const headOf = ({ tensors }: FoundWhole, kind: 'class_embed', layer: number, part: string): string =>
  headNames(kind, layer).find((name) => tensors.has(`${name}${part}`)) ?? `${kind}.0`;

function headIn(b: GraphBuilder, kind: 'class_embed' | 'bbox_embed', layer: number): string {
  const part = kind === 'class_embed' ? '.weight' : '.layers.0.weight';
  return headNames(kind, layer).find((name) => b.has(`${name}${part}`)) ?? `${kind}.0`;
}

/** The encoder: every place of every map looks at places around its own on all of them. */
function encode(
  b: GraphBuilder,
  { pyramid, positions }: PlacedPyramid,
  { depth, heads, activation }: DeformableDetrConfig,
): Pyramid {
  const { grids, tokens } = pyramid;
  const references = tableOf(b, 'model.encoder.places', cellCentres(grids), 2, tokens.batch);
  const around = { positions, references };
  const layer = { heads, activation, order: 'post', sampling: { heads, grids } } as const;
  let image = tokens;
  for (let index = 0; index < depth; index++)
    image = b.scope(`model.encoder.layers.${index}`, () => deformableEncoderLayer(b, image, around, layer), {
      title: 'Encoder layer',
    });
  return { grids, tokens: image };
}

/** What the decoder starts with. */
interface Start {
  readonly queries: Tokens;
  readonly positions: ValueInfo;
  readonly references: ValueInfo;
}

function asTokens(value: ValueInfo, batch: number): Tokens {
  const count = at(value.shape, 0) / batch;
  return { value, batch, count, layout: queryLayout(count) };
}

/** Learned queries, whose reference points are read off their positions. */
function learnedStart(b: GraphBuilder, { dim }: DeformableDetrConfig, batch: number): Start {
  const table = b.parameter(queryTable);
  const positions = repeated(b, b.slice(table, 1, 0, dim), batch);
  const contents = repeated(b, b.slice(table, 1, dim, 2 * dim), batch);
  const references = b.add('Sigmoid', [b.linear(positions, 'model.reference_points')]);
  return { queries: asTokens(contents, batch), positions, references };
}

/** Queries made of the encoder's best places (Zhu et al. 2021, §4.2 and appendix A.4). */
function proposedStart(
  b: GraphBuilder,
  { tokens, grids }: Pyramid,
  { dim, queries, decoder_depth: decoderDepth }: DeformableDetrConfig,
): Start {
  const { batch } = tokens;
  const [boxes, counts] = proposals(grids);
  const kept = b.add('Mul', [tokens.value, tableOf(b, 'model.proposals.counts', counts, 1, batch)]);
  const states = b.layerNorm(b.linear(kept, 'model.enc_output'), 'model.enc_output_norm', detrEps);
  const scores = b.linear(states, headIn(b, 'class_embed', decoderDepth));
  const told = b.add('Add', [
    linearLayers(b, states, headIn(b, 'bbox_embed', decoderDepth)),
    tableOf(b, 'model.proposals', boxes, 4, batch),
  ]);
  const first = b.reshape(b.slice(scores, 1, 0, 1), [batch, tokens.count]);
  const best = bestRows(b, first, Math.min(queries, tokens.count));
  const references = b.add('Sigmoid', [chosenRows(b, told, best)]);
  const sines = sineOfPlaces(b, references, dim / 2, { rowsFirst: false });
  const both = b.layerNorm(b.linear(sines, 'model.pos_trans'), 'model.pos_trans_norm', detrEps);
  return {
    queries: asTokens(b.slice(both, 1, dim, 2 * dim), batch),
    positions: b.slice(both, 1, 0, dim),
    references,
  };
}

function build(b: GraphBuilder, config: DeformableDetrConfig, { backbone, batch }: PartContext): void {
  const stages = backbone({ dilatedStages: config.dilation ? 1 : 0 }).stages.map((stage) => mapOf(b, stage));
  const levels = levelMaps(b, stages, 'model.input_proj', config);
  const placed = placedPyramid(b, levels, { normalise: true, offset: -0.5 });
  const pyramid = encode(b, placed, config);
  const start = config.two_stage ? proposedStart(b, pyramid, config) : learnedStart(b, config, batch);
  const { decoder_heads: heads, activation } = config;
  const sampling: DeformableConfig = { heads, grids: pyramid.grids };
  let { queries, references } = start;
  const classes: ValueInfo[] = [];
  const boxes: ValueInfo[] = [];
  for (let index = 0; index < config.decoder_depth; index++) {
    const around = { image: pyramid.tokens, queryPositions: start.positions, references };
    queries = b.scope(
      `model.decoder.layers.${index}`,
      () => deformableDecoderLayer(b, queries, around, { heads, activation, order: 'post', sampling }),
      { title: 'Decoder layer' },
    );
    const box = headIn(b, 'bbox_embed', index);
    // The library reads classes and boxes off every layer, the last of which are the answer.
    classes.push(b.linear(queries.value, headIn(b, 'class_embed', index)));
    boxes.push(boxLogits(b, queries.value, box, references));
    if (config.box_refine) references = b.add('Sigmoid', [boxLogits(b, queries.value, box, references)]);
  }
  const lastOf = (layers: readonly ValueInfo[]): ValueInfo => {
    const all = b.concat(layers, 0);
    const rows = at(all.shape, 0);
    return b.slice(all, 0, rows - rows / layers.length, rows);
  };
  b.output('logits', asSequence(b, lastOf(classes), batch), 'logits');
  b.output('pred_boxes', asSequence(b, b.add('Sigmoid', [lastOf(boxes)]), batch), 'boxes');
  b.output('tokens', asSequence(b, queries.value, batch), 'tokens');
  b.output('init_reference_points', asSequence(b, start.references, batch), 'state');
  if (config.box_refine) b.output('next_reference_points', asSequence(b, references, batch), 'state');
}

/** Deformable DETR (Zhu et al. 2021): attention to a few places of several maps. */
export const deformableDetr: Whole<DeformableDetrConfig> = {
  name: 'deformable-detr',
  row: 'detr',
  title: 'Deformable DETR',
  task: 'detect',
  signature: [
    'model.level_embed',
    'model.input_proj.0.0.weight',
    'model.encoder.layers.0.self_attn.sampling_offsets.weight',
    'model.decoder.layers.0.encoder_attn.sampling_offsets.weight',
  ],
  masksPixels: true,
  assumable: [...transformerAssumable, 'queries'],
  recognise,
  parts: [{ name: 'whole', build }],
};
