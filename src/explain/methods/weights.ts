import { at, product } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import { patchStride } from '../../graph/find/attentionPattern';
import { positionTable, type PositionTable } from '../../graph/find/positionTable';
import { valueOf, type Node } from '../../graph/graph';
import { operatorOf } from '../../graph/operators';
import type { Explained } from '../explained';
import type { Method } from '../method';
import { principal } from '../principal';
import { float32 } from './common';
import { cosines } from './tokens';

/** The first convolution over the image, if it cuts it into patches: its stride is its kernel. */
function patchEmbedding({ graph }: Explained): Node | string {
  const channels = valueOf(graph, at(graph.inputs, 0).name).shape[1];
  const first = graph.nodes.find(
    (node) => operatorOf(node)?.kind === 'conv' && valueOf(graph, node.inputs[1] ?? '').shape[1] === channels,
  );
  if (!first) return 'no convolution reads the image';
  return patchStride(first) ? first : 'its first convolution is larger than its stride: there are no patches';
}

const whyNoFilters = (explained: Explained): string | undefined => {
  const found = patchEmbedding(explained);
  return typeof found === 'string' ? found : undefined;
};

/** Components that are shown, as in the paper. */
const shown = 28;

const filters: Method = {
  name: 'filter_components',
  gives: ['filter_components', 'filter_variance'],
  title: 'Filters of the patch embedding',
  text: 'The principal components of the patch embedding’s filters: the patterns of a patch that the model tells apart. Trained ones look like waves of a few directions. The image does not matter.',
  formula: 'principal components of W, centred over the filters',
  source: 'Dosovitskiy et al. 2021, figure 7; the largest loading of a component is positive',
  whyNot: whyNoFilters,
  forwards: () => 0,
  async compute(explained) {
    const node = patchEmbedding(explained);
    if (typeof node === 'string') throw new Error(node);
    const { shape, data } = at(await explained.values([at(node.inputs, 1)]), 0);
    const width = product(shape.slice(1));
    const count = Math.min(shown, at(shape, 0) - 1, width);
    const { components, variances } = principal(Float64Array.from(data), width, count);
    return {
      tensors: {
        filter_components: float32([count, ...shape.slice(1)], components),
        filter_variance: float32([count], variances),
      },
    };
  },
};

/** How many rows of special tokens come first, and the grid of the others, if it is known. */
function patchRows(
  { probes }: Explained,
  { rows, patches }: PositionTable,
): { readonly special: number; readonly grid?: Grid } {
  const layout = probes[0]?.queries;
  const special = patches === undefined ? (layout?.special?.length ?? 0) : rows - patches;
  const count = rows - special;
  const own =
    layout?.grid?.length === 2 && product(layout.grid) === count ? (layout.grid as Grid) : undefined;
  const side = Math.sqrt(count);
  const grid = own ?? (Number.isInteger(side) ? ([side, side] as const) : undefined);
  return { special, ...(grid && { grid }) };
}

const positions: Method = {
  name: 'position_similarity',
  title: 'Similarity of positions',
  text: 'How alike the learned positions are, one small map for each: neighbours, rows and columns are alike in a trained model. It is of the checkpoint’s own grid; the image does not matter.',
  formula: 'p · p′ / (‖p‖ ‖p′‖)',
  source: 'Dosovitskiy et al. 2021, figure 7',
  whyNot: ({ graph }) =>
    positionTable(graph)
      ? undefined
      : 'it adds no table of positions: they are rotary, relative or of convolutions',
  forwards: () => 0,
  async compute(explained) {
    const table = positionTable(explained.graph);
    if (!table) throw new Error('no table of positions');
    const { data } = at(await explained.values([table.value]), 0);
    const { special, grid } = patchRows(explained, table);
    const count = table.rows - special;
    const own = Float64Array.from(data.subarray(special * table.width));
    return {
      tensors: { position_similarity: { shape: [count, count], data: cosines(own, table.width) } },
      notes: [grid ? `positions on ${grid.join(' × ')}` : 'how positions lie on the image is not known'],
    };
  },
};

/** What the weights say by themselves. */
export const ofWeights: readonly Method[] = [positions, filters];
