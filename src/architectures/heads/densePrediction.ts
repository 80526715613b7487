import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { batchNorm, convolution, transposedConvolution } from '../blocks/convolution';
import { activate, residual, withValue, type Tokens } from '../blocks/layers';
import { gridOf, resizedMap, tokensToMap } from '../blocks/maps';
import { patchesOnly, tokenAt } from '../blocks/specialTokens';

/** What becomes of the class token where tokens are put back on their grid (DPT, §3.1). */
export type Readout = 'project' | 'add' | 'ignore';

/** How tokens of inner layers become maps. */
export interface ReassemblyConfig {
  readonly readout: Readout;
  /** Behind the layer that joins class token and patches. */
  readonly activation: string;
  /** How much finer than the grid of patches each map is; 0.5 is half as fine. */
  readonly factors: readonly number[];
}

/** How a neck's maps are fused. */
export interface FusionConfig {
  /** Epsilon of the batch norms, if they are stored. */
  readonly eps: number;
  /** Enlarges to the next map's size instead of twice its own (Depth Anything). */
  readonly toNext: boolean;
}

/** The patches with the class token added, or joined to them by a linear layer. */
function withReadout(
  b: GraphBuilder,
  tokens: Tokens,
  index: number,
  { readout, activation }: ReassemblyConfig,
): Tokens {
  const patches = patchesOnly(b, tokens);
  if (readout === 'ignore') return patches;
  const { batch, count } = patches;
  const [, dim = 0] = patches.value.shape;
  const rows = b.reshape(tokenAt(b, tokens, 0), [batch, 1, dim]);
  const alike = b.reshape(b.add('Expand', [rows, b.indices([batch, count, dim])]), [batch * count, dim]);
  if (readout === 'add') return withValue(patches, b.add('Add', [patches.value, alike]));
  const joined = b.linear(b.concat([patches.value, alike], 1), `readout_projects.${index}.0`);
  return withValue(patches, activate(b, joined, activation));
}

/**
 * Tokens of an inner layer as a map (Ranftl et al. 2021, DPT, §3.1, "Reassemble"): read out,
 * projected, and made finer or coarser. Written inside the module that holds `layers`.
 */
export function reassembled(
  b: GraphBuilder,
  tokens: Tokens,
  index: number,
  config: ReassemblyConfig,
): ValueInfo {
  const map = tokensToMap(b, withReadout(b, tokens, index, config));
  const factor = at(config.factors, index);
  return b.scope(`layers.${index}`, () => {
    const projected = convolution(b, map, 'projection');
    if (factor === 1) return projected;
    return factor > 1
      ? transposedConvolution(b, projected, 'resize', factor)
      : convolution(b, projected, 'resize', { stride: Math.trunc(1 / factor), padding: 1 });
  });
}

/** x + convolutions(x), each behind a ReLU (DPT, appendix A). */
function residualUnit(b: GraphBuilder, map: ValueInfo, name: string, eps: number): ValueInfo {
  return b.scope(name, () => {
    const layer = (x: ValueInfo, index: 1 | 2): ValueInfo => {
      const mixed = convolution(b, activate(b, x, 'relu'), `convolution${index}`);
      const norm = `batch_norm${index}`;
      const isNormed = ['weight', 'running_mean'].some((leaf) => b.has(`${norm}.${leaf}`));
      return isNormed ? batchNorm(b, mixed, norm, eps) : mixed;
    };
    return residual(b, layer(layer(map, 1), 2), map);
  });
}

/** A map twice as fine, its corners on those of the old one. */
export function doubled(b: GraphBuilder, map: ValueInfo): ValueInfo {
  const [rows, columns] = gridOf(map);
  return resizedMap(b, map, [2 * rows, 2 * columns], { alignCorners: true });
}

/**
 * Maps joined from the coarsest to the finest (DPT, §3.1, "Fusion"); what each step gives, the
 * finest last. Written inside the neck: `convs`, `fusion_stage`.
 */
export function fused(
  b: GraphBuilder,
  maps: readonly ValueInfo[],
  { eps, toNext }: FusionConfig,
): { readonly narrowed: readonly ValueInfo[]; readonly steps: readonly ValueInfo[] } {
  const narrowed = maps.map((map, index) => convolution(b, map, `convs.${index}`));
  const steps: ValueInfo[] = [];
  for (const [step, map] of narrowed.toReversed().entries())
    steps.push(
      b.scope(`fusion_stage.layers.${step}`, () => {
        const before = steps.at(-1);
        const sum = before
          ? residual(b, before, residualUnit(b, resizedMap(b, map, gridOf(before)), 'residual_layer1', eps))
          : map;
        const mixed = residualUnit(b, sum, 'residual_layer2', eps);
        const next = toNext ? narrowed[narrowed.length - 2 - step] : undefined;
        const finer = next ? resizedMap(b, mixed, gridOf(next), { alignCorners: true }) : doubled(b, mixed);
        return convolution(b, finer, 'projection');
      }),
    );
  return { narrowed, steps };
}

/** Numbers of a map `[batch, 1, rows, columns]` as `[batch, rows, columns]`. */
export function depthOf(b: GraphBuilder, map: ValueInfo): ValueInfo {
  const [batch = 1, , rows = 0, columns = 0] = map.shape;
  return b.reshape(map, [batch, rows, columns]);
}
