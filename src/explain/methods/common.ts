import type { Graph } from '../../graph/graph';
import { withAllGradients } from '../derivedGraphs';
import type { Explained, Values } from '../explained';

/** A gradient costs about as much as this many forward passes. */
export const perGradient = 2.2;
export const anyModel = (): undefined => undefined;
export const float32 = (shape: readonly number[], data: ArrayLike<number>): Values => ({
  shape,
  data: Float32Array.from(data),
});

/** Why a method of attention maps does not apply, if there are none. */
export const whyNoAttention = ({ probes }: Explained): string | undefined =>
  probes.length === 0 ? 'it has no attention' : undefined;

/** Derivatives by the pixels and all maps. */
export const byAll = ({ graph }: Explained): readonly Graph[] => [withAllGradients(graph)];
