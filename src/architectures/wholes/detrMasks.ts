import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { int, ints, type ValueInfo } from '../../graph/graph';
import { convolution, groupNorm } from '../blocks/convolution';
import { detrEps } from '../blocks/detrLayers';
import { activate } from '../blocks/layers';
import { gridOf, repeatedMap, tokensToMap } from '../blocks/maps';
import { splitHeads } from '../blocks/transformer';
import type { Rename } from '../dialect';
import type { PartContext, Whole } from '../whole';
import { mapOf, transformerAssumable } from './detectors';
import { build, detrSignature, original, recognise, type DetrConfig, type DetrMade } from './detr';

/** Maps of the backbone that masks are refined with, the coarsest first, by stages from the end. */
const refining = [2, 3, 4] as const;

/** Groups of the norms, of which a map of fewer channels has one each. */
const mostGroups = 8;

/** Softmax of every head over its whole map, and over those of all heads together. */
function attentionOf(b: GraphBuilder, { queries, memory }: DetrMade, heads: number): ValueInfo {
  return b.scope(
    'bbox_attention',
    () => {
      const { batch, count } = queries;
      const asked = splitHeads(b, b.linear(queries.value, 'q_linear'), batch, heads);
      const width = at(asked.shape, 3);
      const map = tokensToMap(b, memory);
      const dim = at(map.shape, 1);
      // The library projects the keys by a convolution with the linear layer's weights.
      const keys = b.add(
        'Conv',
        [map, b.parameter('k_linear.weight', [dim, dim, 1, 1]), b.parameter('k_linear.bias')],
        { kernel_shape: ints([1, 1]), group: int(1) },
        { name: 'k_linear' },
      );
      const [rows, columns] = gridOf(map);
      const seen = b.reshape(keys, [batch, heads, width, rows * columns]);
      const scores = b.add('MatMul', [b.add('Mul', [asked, b.scalar(width ** -0.5)]), seen]);
      const byQuery = b.reshape(b.transpose(scores, [0, 2, 1, 3]), [batch, count, heads * rows * columns]);
      const shares = b.add('Softmax', [byQuery], { axis: int(-1) });
      return b.reshape(shares, [batch * count, heads, rows, columns]);
    },
    { title: 'Attention maps of the queries' },
  );
}

/** A map once for each of the image's queries: `[batch · queries, channels, rows, columns]`. */
function perQuery(b: GraphBuilder, map: ValueInfo, queries: number): ValueInfo {
  const [batch = 1, ...rest] = map.shape;
  const one = b.reshape(map, [batch, 1, ...rest]);
  return b.reshape(b.add('Expand', [one, b.indices([batch, queries, ...rest])]), [batch * queries, ...rest]);
}

/** Convolution of 3 × 3, norm of groups, activation; the n-th of the head. */
function refined(b: GraphBuilder, map: ValueInfo, layer: number, activation: string): ValueInfo {
  const out = convolution(b, map, `lay${layer}`);
  const groups = Math.min(mostGroups, at(out.shape, 1));
  return activate(b, groupNorm(b, out, `gn${layer}`, { groups, eps: detrEps }), activation);
}

/**
 * Masks of the queries: their attention maps beside the image, refined by ever finer maps of the
 * backbone (Carion et al. 2020, fig. 8): `[batch, queries, rows, columns]`.
 */
function masks(b: GraphBuilder, made: DetrMade, { heads, activation }: DetrConfig): ValueInfo {
  const { batch, count } = made.queries;
  const attended = attentionOf(b, made, heads);
  return b.scope(
    'mask_head',
    () => {
      const first = b.concat([perQuery(b, made.projected, count), attended], 1);
      const start = refined(b, refined(b, first, 1, activation), 2, activation);
      const fine = refining.reduce((map, fromEnd, index) => {
        const stage = at(made.stages, made.stages.length - fromEnd);
        const own = convolution(b, perQuery(b, mapOf(b, stage), count), `adapter${index + 1}`);
        return refined(b, b.add('Add', [own, repeatedMap(b, map, gridOf(own))]), index + 3, activation);
      }, start);
      const mask = convolution(b, fine, 'out_lay');
      return b.reshape(mask, [batch, count, ...gridOf(mask)]);
    },
    { title: 'Mask head' },
  );
}

function buildMasks(b: GraphBuilder, config: DetrConfig, context: PartContext): void {
  const made = build(b, config, context);
  b.output('pred_masks', masks(b, made, config), 'masks');
}

/** Names of both repositories as a detector without masks has them. */
const renames: readonly Rename[] = [
  ...original.map(([from, ...to]) => [new RegExp(from.source.replace(/^\^/, '^detr\\.')), ...to] as const),
  [/^detr\.(model|class_labels_classifier|bbox_predictor)\./, '$1.'],
];

/** DETR with a head of masks (Carion et al. 2020, §4.4): panoptic segmentation. */
export const detrMasks: Whole<DetrConfig> = {
  name: 'detr-masks',
  row: 'detr',
  title: 'DETR with masks',
  task: 'segment',
  signature: [...detrSignature, 'mask_head.lay1.weight', 'bbox_attention.q_linear.weight'],
  renames,
  assumable: transformerAssumable,
  recognise(found) {
    const own = recognise(found);
    return { ...own, title: `${own.title}, masks`, reading: { task: 'segment', rule: 'queries' } };
  },
  parts: [{ name: 'whole', build: buildMasks }],
};
