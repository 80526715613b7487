import { at, last } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { groupNorm } from '../blocks/convolution';
import { branched, detrEps, detrMlp, placedSelfAttention, type DetrLayer } from '../blocks/detrLayers';
import {
  cellCentres,
  deformableAttention,
  levelLayout,
  type DeformableConfig,
} from '../blocks/deformableAttention';
import { withValue, type Tokens } from '../blocks/layers';
import { gridOf } from '../blocks/maps';
import { linearLayers, placed } from '../blocks/projectedAttention';
import { inverseSigmoid, type SinePositions } from '../blocks/sinePositions';
import { shapeOf } from '../decide';
import { stored } from '../evidence';
import type { Evidence } from '../family';
import type { FoundWhole } from '../whole';
import { ofFile, placedTokens } from './detectors';
import { placesRoom } from '../../graph/limits';

/** Places on each map: rows of the weights' projection of an attention over heads and maps. */
export function pointsOf(found: FoundWhole, path: string, heads: number, levels: number): Evidence<number> {
  const name = `${path}.attention_weights.weight`;
  const [rows = 0] = shapeOf(found.tensors, name);
  return stored(rows / heads / levels, `${ofFile(found, name)}, by heads and maps`);
}

/** Tokens of several maps, one after another. */
export interface Pyramid {
  readonly tokens: Tokens;
  readonly grids: readonly Grid[];
}

/** Rows `[batch · count, dim]` of several maps as one sequence, map by map. */
export function pyramidOf(b: GraphBuilder, maps: readonly Tokens[], grids: readonly Grid[]): Pyramid {
  const [first] = maps;
  if (!first) throw new Error('a pyramid of at least one map is needed');
  const { batch } = first;
  const count = grids.reduce((total, [rows, columns]) => total + rows * columns, 0);
  return {
    tokens: {
      value: joined(
        b,
        maps.map(({ value }) => value),
        batch,
      ),
      batch,
      count,
      layout: levelLayout(grids),
    },
    grids,
  };
}

/** Rows of several maps, image by image: `[batch · all, dim]`. */
export function joined(b: GraphBuilder, rows: readonly ValueInfo[], batch: number): ValueInfo {
  const apart = rows.map((value) =>
    b.reshape(value, [batch, at(value.shape, 0) / batch, at(value.shape, 1)]),
  );
  const all = b.concat(apart, 1);
  return b.reshape(all, [batch * at(all.shape, 1), at(all.shape, 2)]);
}

/** Tokens of several maps with the positions of their places. */
export interface PlacedPyramid {
  readonly pyramid: Pyramid;
  /** `[batch · all, dim]` */
  readonly positions: ValueInfo;
}

/**
 * Maps of the last stages, each projected at `path.0` …, and coarser ones made of the last by
 * strides (Zhu et al. 2021, appendix A.2).
 */
export function levelMaps(
  b: GraphBuilder,
  maps: readonly ValueInfo[],
  path: string,
  { levels, dim }: { readonly levels: number; readonly dim: number },
): readonly ValueInfo[] {
  const isPointwise = (level: number): boolean => b.shapeOf(`${path}.${level}.0.weight`)[2] === 1;
  const own = Array.from({ length: levels }, (_, level) => level).filter(isPointwise).length;
  const stages = maps.slice(-own);
  const sources: ValueInfo[] = [];
  for (let level = 0; level < levels; level++) {
    const stage = stages[level];
    const from = stage ?? (level === own ? last(stages) : last(sources));
    const map = b.conv2d(from, `${path}.${level}.0`, stage ? {} : { stride: 2, padding: 1 });
    sources.push(groupNorm(b, map, `${path}.${level}.1`, { groups: Math.min(32, dim), eps: detrEps }));
  }
  return sources;
}

/** Tokens of all maps with their positions, to which each level's own vector is added. */
export function placedPyramid(
  b: GraphBuilder,
  maps: readonly ValueInfo[],
  positions: Omit<SinePositions, 'width'>,
): PlacedPyramid {
  const placedMaps = maps.map((map) => placedTokens(b, map, positions));
  const levels = b.parameter('model.level_embed');
  const tokens = placedMaps.map(([each]) => each);
  return {
    pyramid: pyramidOf(b, tokens, maps.map(gridOf)),
    positions: joined(
      b,
      placedMaps.map(([, here], level) => b.add('Add', [here, b.slice(levels, 0, level, level + 1)])),
      at(
        tokens.map(({ batch }) => batch),
        0,
      ),
    ),
  };
}

/** What an encoder layer of Deformable DETR reads beside its tokens. */
interface EncoderAround {
  readonly positions: ValueInfo;
  readonly references: ValueInfo;
}

/** An encoder layer whose places look at places around their own on several maps. */
export function deformableEncoderLayer(
  b: GraphBuilder,
  image: Tokens,
  { positions, references }: EncoderAround,
  layer: DetrLayer & { readonly sampling: DeformableConfig },
): Tokens {
  const attended = branched(b, image.value, 'self_attn_layer_norm', layer.order, (x) => {
    const values = withValue(image, x);
    const look = { queries: placed(b, values, positions), image: values, references };
    return deformableAttention(b, 'self_attn', look, layer.sampling);
  });
  return withValue(image, detrMlp(b, attended, layer));
}

/** Nearest and farthest that a proposal's sides and centre may lie to be one. */
const [least, most] = [0.01, 0.99];
/** Sides of the proposals on the finest map; twice that on each coarser one. */
const proposalSide = 0.05;

/**
 * A box around every place of every map, before the sigmoid, and 1 for those that count (Zhu et al.
 * 2021, appendix A.4): `[all cells, 4]` and `[all cells, 1]`.
 */
export function proposals(grids: readonly Grid[]): readonly [boxes: Float32Array, counts: Float32Array] {
  const sides = grids.flatMap(([rows, columns], level) =>
    Array<number>(placesRoom(rows * columns)).fill(proposalSide * 2 ** level),
  );
  const centres = cellCentres(grids);
  const counts = new Float32Array(sides.length);
  const boxes = new Float32Array(sides.length * 4);
  sides.forEach((side, cell) => {
    const box = [centres[2 * cell] ?? 0, centres[2 * cell + 1] ?? 0, side, side];
    const isOne = box.every((value) => value > least && value < most);
    counts[cell] = isOne ? 1 : 0;
    boxes.set(
      box.map((value) => (isOne ? Math.log(value / (1 - value)) : Infinity)),
      4 * cell,
    );
  });
  return [boxes, counts];
}

/** What a decoder layer of Deformable DETR and RT-DETR reads beside its queries. */
export interface DeformableAround {
  readonly image: Tokens;
  readonly queryPositions: ValueInfo;
  /** `[rows, 2]` or `[rows, 4]` in 0 … 1. */
  readonly references: ValueInfo;
}

/** A decoder layer whose queries attend to one another and to places of several maps. */
export function deformableDecoderLayer(
  b: GraphBuilder,
  queries: Tokens,
  { image, queryPositions, references }: DeformableAround,
  layer: DetrLayer & { readonly sampling: DeformableConfig },
): Tokens {
  const attended = placedSelfAttention(b, queries, queryPositions, layer);
  const seen = branched(b, attended.value, 'encoder_attn_layer_norm', layer.order, (x) => {
    const asked = placed(b, withValue(queries, x), queryPositions);
    return deformableAttention(b, 'encoder_attn', { queries: asked, image, references }, layer.sampling);
  });
  return withValue(queries, detrMlp(b, seen, layer));
}

/**
 * Boxes told from references by a box head: all four sides from a reference box, the centre alone
 * from a point; before the sigmoid.
 */
export function boxLogits(
  b: GraphBuilder,
  states: ValueInfo,
  head: string,
  references: ValueInfo,
): ValueInfo {
  const told = linearLayers(b, states, head);
  const start = inverseSigmoid(b, references);
  if (at(references.shape, 1) === 4) return b.add('Add', [told, start]);
  const moved = b.add('Add', [b.slice(told, 1, 0, 2), start]);
  return b.concat([moved, b.slice(told, 1, 2, 4)], 1);
}

/** Rows of the highest scores of every image: `[batch, count]` indices into its rows. */
export function bestRows(b: GraphBuilder, scores: ValueInfo, count: number): ValueInfo {
  const [, indices] = b.addMany('TopK', [scores, b.indices([count])], 2, { axis: int(1), largest: int(1) });
  if (!indices) throw new Error('TopK has two outputs');
  return indices;
}

/** Chosen rows of every image, `[batch · count, width]` of rows `[batch · all, width]`. */
export function chosenRows(b: GraphBuilder, rows: ValueInfo, indices: ValueInfo): ValueInfo {
  const [batch, count] = [at(indices.shape, 0), at(indices.shape, 1)];
  const width = at(rows.shape, 1);
  const apart = b.reshape(rows, [batch, at(rows.shape, 0) / batch, width]);
  const wide = b.add('Expand', [b.reshape(indices, [batch, count, 1]), b.indices([batch, count, width])]);
  return b.reshape(b.add('GatherElements', [apart, wide], { axis: int(1) }), [batch * count, width]);
}
