import { last } from '../../domain/lists';
import type { Probe } from '../../domain/probes';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { activate, residual, withValue, type Tokens } from './layers';
import { mergeHeads, splitHeads } from './transformer';

/** What queries, keys and values are projected from; the layouts are those of the map. */
export interface Attended {
  readonly queries: Tokens;
  readonly keys: Tokens;
  /** Without positions, as a rule; what the keys are made of if it is absent. */
  readonly values?: Tokens;
}

/** How an attention with a projection each is written. */
export interface ProjectedAttentionConfig {
  readonly heads: number;
  readonly kind: Probe['kind'];
  /** Added to the scaled scores: a mask, relative positions. */
  readonly bias?: ValueInfo | readonly ValueInfo[];
  /** Factor of the scores; 1/√d without it. */
  readonly scale?: number;
  /** Module of the map below the attention's own, if a library has it there: `self`. */
  readonly layer?: string;
  /** Names of the four projections; those of torch-like libraries without it. */
  readonly names?: readonly [query: string, key: string, value: string, out: string];
}

/** What is added to the scores: the attention's own, and what takes keys away. */
const biasOf = (
  bias: ProjectedAttentionConfig['bias'],
  { unseen }: Tokens,
): { readonly bias?: readonly ValueInfo[] } => {
  const all = [bias ?? [], unseen ?? []].flat();
  return all.length > 0 ? { bias: all } : {};
};

const usualNames = ['q_proj', 'k_proj', 'v_proj', 'out_proj'] as const;

/**
 * Multi-head attention with a projection each for queries, keys, values and result (Vaswani et al.
 * 2017, §3.2.2), `[batch · queries, dim]`.
 */
export function projectedAttention(
  b: GraphBuilder,
  name: string,
  { queries, keys, values = keys }: Attended,
  { heads, kind, bias, scale, layer, names = usualNames }: ProjectedAttentionConfig,
): ValueInfo {
  const [query, key, value, out] = names;
  return b.scope(
    name,
    () => {
      const split = (tokens: Tokens, projection: string): ValueInfo =>
        splitHeads(b, b.linear(tokens.value, projection), tokens.batch, heads);
      const mixed = b.attention(split(queries, query), split(keys, key), split(values, value), {
        ...biasOf(bias, keys),
        ...(scale !== undefined && { scale }),
        probe: {
          layer: layer === undefined ? b.scopePath : `${b.scopePath}.${layer}`,
          kind,
          queries: queries.layout,
          keys: keys.layout,
        },
      });
      return b.linear(mergeHeads(b, mixed), out);
    },
    {
      title: kind === 'cross' ? 'Cross-attention' : 'Multi-head self-attention',
      formula: 'softmax(QKᵀ/√d)·V',
    },
  );
}

/** Tokens with positions `[batch · count, dim]` added, as queries and keys are. */
export const placed = (b: GraphBuilder, tokens: Tokens, positions: ValueInfo): Tokens =>
  withValue(tokens, b.add('Add', [tokens.value, positions]));

/**
 * W₂ · act(W₁x): the two linear layers of an encoder or decoder layer; PReLU has a slope of its own
 * (He et al. 2015, equation 1).
 */
export function feedForward(b: GraphBuilder, x: ValueInfo, activation: string): ValueInfo {
  const wide = b.linear(x, 'fc1');
  const slope = 'activation_fn.weight';
  return b.linear(
    b.has(slope) ? b.add('PRelu', [wide, b.parameter(slope, [1])]) : activate(b, wide, activation),
    'fc2',
  );
}

/** LayerNorm(x + branch), as transformers after Vaswani et al. 2017 have it. */
export const postNorm = (
  b: GraphBuilder,
  x: ValueInfo,
  branch: ValueInfo,
  name: string,
  eps = 1e-5,
): ValueInfo => b.layerNorm(residual(b, x, branch), name, eps);

/**
 * Linear layers `name.layers.0` … with an activation between them (three in DETR's box head);
 * `[rows, out]`.
 */
export function linearLayers(b: GraphBuilder, x: ValueInfo, name: string, activation = 'relu'): ValueInfo {
  let value = x;
  for (let index = 0; b.has(`${name}.layers.${index}.weight`); index++) {
    const input = index === 0 ? value : activate(b, value, activation);
    value = b.linear(input, `${name}.layers.${index}`);
  }
  return value;
}

/** Rows `[batch · count, width]` as `[batch, count, width]`. */
export const asSequence = (b: GraphBuilder, value: ValueInfo, batch: number): ValueInfo =>
  b.reshape(value, [batch, (value.shape[0] ?? 0) / batch, last(value.shape)]);
