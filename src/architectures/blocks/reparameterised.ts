/**
 * Convolutions side by side that fold into one for inference (Ding et al. 2021, RepVGG; Vasu et al.
 * 2023, MobileOne): files have the branches, or the one convolution.
 */
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { batchNorm, convNormModule, convolution } from './convolution';

/** Default of PyTorch's batch norms. */
const eps = 1e-5;

/** Convolution and batch norm of a branch. */
export const branch = (b: GraphBuilder, map: ValueInfo, name: string, stride: number): ValueInfo =>
  convNormModule(b, map, name, { stride, eps });

/** Sum of the branches that are stored, in order; the map itself if none is. */
export function sumOf(
  b: GraphBuilder,
  map: ValueInfo,
  branches: readonly (ValueInfo | undefined)[],
): ValueInfo {
  const own = branches.filter((each) => each !== undefined);
  return own.length === 0 ? map : own.reduce((sum, each) => b.add('Add', [sum, each]));
}

/**
 * Norm, 1 × 1 (`conv_scale`, RepVGG's `conv_1x1`) and larger convolutions (`conv_kxk`, one or a
 * list) side by side, or the one convolution they were folded into (`reparam_conv`).
 */
export function reparameterised(b: GraphBuilder, map: ValueInfo, stride = 1): ValueInfo {
  if (b.has('reparam_conv.weight')) return convolution(b, map, 'reparam_conv', { stride });
  const single = ['conv_scale', 'conv_1x1', 'conv_kxk'].filter((name) => b.has(`${name}.conv.weight`));
  const identity = b.has('identity.weight') ? batchNorm(b, map, 'identity', eps) : undefined;
  const listed: string[] = [];
  while (b.has(`conv_kxk.${listed.length}.conv.weight`)) listed.push(`conv_kxk.${listed.length}`);
  const branches = [...single, ...listed].map((name) => branch(b, map, name, stride));
  return sumOf(b, map, [identity, ...branches]);
}
