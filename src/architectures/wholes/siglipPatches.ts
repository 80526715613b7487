import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { residual, type Tokens } from '../blocks/layers';
import { isResampling, resampled, type ResamplingName } from '../blocks/positions';
import { asSequence, feedForward, projectedAttention } from '../blocks/projectedAttention';
import { paddingMask, textLayers } from '../blocks/textTower';
import { rows, type Rename } from '../dialect';
import { pairIn } from '../evidence';
import type { FoundWhole, PartContext } from '../whole';
import { numberOfBackbone } from './innerLayers';

/** What an image tower is written by that is given patches in place of an image. */
export interface PatchTower {
  readonly depth: number;
  readonly heads: number;
  readonly activation: string;
  readonly eps: number;
  /** Rows and columns of the table of positions, and how it becomes one for another grid. */
  readonly grid: readonly [number, number];
  readonly resampling: ResamplingName;
}

const tower = 'vision_model';
const embedding = `${tower}.embeddings.patch_embedding`;
const table = `${tower}.embeddings.position_embedding.weight`;
const pool = `${tower}.head`;

/** One matrix for queries, keys and values of the pooling. */
export const poolNames: readonly Rename[] = ['q', 'k', 'v'].map((name, index) => [
  /^vision_model\.head\.attention\.in_proj_(weight|bias)$/,
  `${pool}.attention.${name}_proj.$1`,
  rows(index, 3),
]);

/** The tower of a file whose patches are embedded by a linear layer; undefined for others. */
export function patchTowerOf(found: FoundWhole): PatchTower | undefined {
  const { evidence } = found.backbone;
  const resampling = String(evidence['resampling']?.value);
  const isLinear = found.tensors.get(`${embedding}.weight`)?.shape.length === 2;
  if (!isLinear || !found.tensors.has(`${pool}.probe`) || !isResampling(resampling)) return undefined;
  return {
    depth: numberOfBackbone(found, 'depth', 0),
    heads: numberOfBackbone(found, 'heads', 1),
    activation: String(evidence['activation']?.value),
    eps: numberOfBackbone(found, 'eps', 1e-6),
    grid: pairIn(evidence['grid']?.value ?? 1, 'grid'),
    resampling,
  };
}

/** Rows of the table of positions for a grid, and the first of them for what fills up. */
function positionsOf(
  b: GraphBuilder,
  { grid, resampling }: PatchTower,
  { lengths }: PartContext,
  count: number,
): ValueInfo {
  const own = [lengths['rows'] ?? grid[0], lengths['columns'] ?? grid[1]] as const;
  const all = b.parameter(table);
  const dim = at(all.shape, 1);
  const resized = resampled(b, b.reshape(all, [1, at(all.shape, 0), dim]), grid, own, resampling);
  const placed = b.reshape(resized, [at(resized.shape, 1), dim]);
  const used = Math.min(count, at(placed.shape, 0));
  const kept = b.slice(placed, 0, 0, used);
  if (used === count) return kept;
  const first = b.add('Expand', [b.slice(placed, 0, 0, 1), b.indices([count - used, dim])]);
  return b.concat([kept, first], 0);
}

/**
 * SigLIP 2's tower on patches of an image of any shape, filled up to a number of them, which a mask
 * hides (Tschannen et al. 2025, §2.4; Dehghani et al. 2023, NaViT): the vector of the pooling,
 * `[1, dim]`.
 */
export function towerOfPatches(b: GraphBuilder, config: PatchTower, context: PartContext): ValueInfo {
  const count = context.lengths['patches'] ?? 1;
  const pixels = b.input('pixel_values', [1, count, at(b.shapeOf(`${embedding}.weight`), 1)]);
  const hidden = paddingMask(b, b.input('pixel_attention_mask', [1, count], 'I64'));
  const flat = b.reshape(pixels, [count, at(pixels.shape, 2)]);
  const embedded = b.add('Add', [b.linear(flat, embedding), positionsOf(b, config, context, count)]);
  const patches: Tokens = {
    value: embedded,
    batch: 1,
    count,
    layout: { special: [], sequence: count },
  };
  const mixed = textLayers(b, patches, `${tower}.encoder.layers`, { ...config, causal: false }, hidden);
  const normed = { ...mixed, value: b.layerNorm(mixed.value, `${tower}.post_layernorm`, config.eps) };
  b.output('tokens', asSequence(b, normed.value, 1), 'tokens');
  return pooled(b, normed, hidden, config);
}

/** A learned query attends to all patches; then an MLP (Lee et al. 2019, Set Transformer, §3.2). */
function pooled(
  b: GraphBuilder,
  patches: Tokens,
  hidden: ValueInfo,
  { heads, activation, eps }: PatchTower,
): ValueInfo {
  const dim = at(patches.value.shape, 1);
  const probe: Tokens = {
    value: b.parameter(`${pool}.probe`, [1, dim]),
    batch: 1,
    count: 1,
    layout: { special: ['probe'] },
  };
  const asked = projectedAttention(
    b,
    `${pool}.attention`,
    { queries: probe, keys: patches },
    { heads, kind: 'pool', bias: hidden },
  );
  const normed = b.layerNorm(asked, `${pool}.layernorm`, eps);
  return residual(
    b,
    asked,
    b.scope(`${pool}.mlp`, () => feedForward(b, normed, activation)),
  );
}
