import { at } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { branched, detrMlp, placedSelfAttention, type DetrLayer } from '../blocks/detrLayers';
import { deformableAttention, levelLayout, type DeformableConfig } from '../blocks/deformableAttention';
import { withValue, type Tokens } from '../blocks/layers';
import { linearLayers, placed } from '../blocks/projectedAttention';
import { inverseSigmoid } from '../blocks/sinePositions';

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
