import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import type { Probe } from '../../domain/probes';
import { activate, maybeNorm, residual, type Tokens } from './layers';
import { parameterSide, splitInThree, splitInTwo } from './parts';
import { rotate, type Rotation } from './rotary';
import { quantity } from '../../domain/units';

/**
 * Hidden units of an MLP: activation(fc1), or SwiGLU (Shazeer 2020) with the gate apart (`fc1_g`,
 * `fc1_x`) or in the first half of fc1.
 */
function hidden(b: GraphBuilder, x: ValueInfo, activation: string): ValueInfo {
  if (b.has('fc1_g.weight'))
    return b.add('Mul', [activate(b, b.linear(x, 'fc1_g'), activation), b.linear(x, 'fc1_x')]);
  const wide = b.linear(x, 'fc1');
  if (wide.shape[1] !== 2 * parameterSide(b, 'fc2.weight', 1)) return activate(b, wide, activation);
  const [gate, value] = splitInTwo(b, wide, 1);
  return b.add('Mul', [activate(b, gate, activation), value]);
}

/** Two linear layers per token: fc2(norm(hidden(x))). */
export function mlp(
  b: GraphBuilder,
  x: ValueInfo,
  name: string,
  options: { readonly activation: string; readonly eps: number },
): ValueInfo {
  return b.scope(
    name,
    () => b.linear(maybeNorm(b, hidden(b, x, options.activation), 'norm', options.eps), 'fc2'),
    { title: 'Multi-layer perceptron', formula: 'W₂ · act(W₁x + b₁) + b₂' },
  );
}

/** Width of rows `[n, width]`. */
const widthOf = (rows: ValueInfo): number => at(rows.shape, 1);

/** `[batch · count, heads · d]` -> `[batch, heads, count, d]` */
export function splitHeads(b: GraphBuilder, x: ValueInfo, batch: number, heads: number): ValueInfo {
  const [rows, width] = x.shape as readonly [number, number];
  return b.transpose(b.reshape(x, [batch, rows / batch, heads, b.headWidth(width, heads)]), [0, 2, 1, 3]);
}

/** `[batch, heads, count, d]` -> `[batch · count, heads · d]` */
export function mergeHeads(b: GraphBuilder, x: ValueInfo): ValueInfo {
  const [batch, heads, count, width] = x.shape as readonly [number, number, number, number];
  return b.reshape(b.transpose(x, [0, 2, 1, 3]), [batch * count, heads * width]);
}

/** x + `name` if it is stored. */
function biased(b: GraphBuilder, x: ValueInfo, name: string): ValueInfo {
  return b.has(name) ? b.add('Add', [x, b.parameter(name)]) : x;
}

/**
 * Queries, keys and values `[batch · count, dim]` of one fused linear layer or of three; BEiT and
 * EVA keep biases apart from it.
 */
export function queryKeyValue(
  b: GraphBuilder,
  x: ValueInfo,
): readonly [q: ValueInfo, k: ValueInfo, v: ValueInfo] {
  const areApart = ['q_proj', 'k_proj', 'v_proj'].some((name) => b.has(`${name}.weight`));
  const [q, k, v] =
    areApart && !b.has('qkv.weight')
      ? [b.linear(x, 'q_proj'), b.linear(x, 'k_proj'), b.linear(x, 'v_proj')]
      : splitInThree(b, b.linear(x, 'qkv'), 1);
  return [biased(b, q, 'q_bias'), biased(b, k, 'k_bias'), biased(b, v, 'v_bias')];
}

interface AttentionConfig {
  readonly heads: number;
  readonly eps: number;
}

/** What a map of these tokens onto themselves is. */
export function selfProbe(tokens: Tokens, layer: string): Omit<Probe, 'value' | 'heads'> {
  return { layer, kind: 'self', queries: tokens.layout, keys: tokens.layout };
}

/** What self-attention may read beside its parameters. */
export interface SelfAttentionConfig extends AttentionConfig {
  /** Added to the scores: a relative position bias `[heads, tokens, tokens]`. */
  readonly bias?: ValueInfo;
  /** Turns queries and keys by their tokens' places. */
  readonly rotation?: Rotation;
  /** Without the projection behind the heads. */
  readonly bare?: boolean;
  /** Fields of the map's record beside, or instead of, those of `selfProbe`. */
  readonly record?: Partial<Omit<Probe, 'value' | 'heads'>>;
}

/**
 * `[batch, heads, count, d]` with every head repeated for the queries that share it (Ainslie et al.
 * 2023, grouped-query attention).
 */
function sharedHeads(b: GraphBuilder, x: ValueInfo, heads: number): ValueInfo {
  const [batch, stored, count, width] = x.shape as readonly [number, number, number, number];
  if (stored === heads) return x;
  const apart = b.reshape(x, [batch, stored, 1, count, width]);
  const repeated = b.add('Expand', [apart, b.indices([batch, stored, heads / stored, count, width])]);
  return b.reshape(repeated, [batch, heads, count, width]);
}

/**
 * Channels of all queries together: those of the tokens, but in vit-pytorch, which lets them
 * differ.
 */
function queryWidth(b: GraphBuilder, name: string, tokens: Tokens): number {
  if (b.has(`${name}.q_proj.weight`)) return parameterSide(b, `${name}.q_proj.weight`, 0);
  return b.has(`${name}.qkv.weight`) ? parameterSide(b, `${name}.qkv.weight`, 0) / 3 : widthOf(tokens.value);
}

/**
 * Multi-head self-attention (Vaswani et al. 2017, §3.2.2) over `[batch · count, dim]`, with norms
 * of queries and keys (Dehghani et al. 2023; `q_wide_norm` over all heads at once, InternViT) and
 * of the mixed values (`norm`) if they are stored, and fewer heads of keys and values if their
 * layers are narrower.
 */
export function selfAttention(
  b: GraphBuilder,
  tokens: Tokens,
  name: string,
  layer: string,
  { heads, eps, bias, rotation, record, bare = false }: SelfAttentionConfig,
): ValueInfo {
  const probe = { ...selfProbe(tokens, layer), ...record };
  const queries = ['qkv', 'q_proj'].map((layer) => `${name}.${layer}.weight`).find((each) => b.has(each));
  const width = b.headWidth(queryWidth(b, name, tokens), heads, queries);
  return b.scope(
    name,
    () => {
      const [query, key, value] = queryKeyValue(b, tokens.value);
      const split = (x: ValueInfo): ValueInfo => splitHeads(b, x, tokens.batch, widthOf(x) / width);
      const placed = (x: ValueInfo, norm: string): ValueInfo => {
        const normed = maybeNorm(b, split(x), norm, eps);
        return rotation ? rotate(b, normed, rotation) : normed;
      };
      const mixed = b.attention(
        placed(maybeNorm(b, query, 'q_wide_norm', eps), 'q_norm'),
        sharedHeads(b, placed(maybeNorm(b, key, 'k_wide_norm', eps), 'k_norm'), heads),
        sharedHeads(b, split(value), heads),
        { probe, ...(bias && { bias }) },
      );
      const merged = maybeNorm(b, mergeHeads(b, mixed), 'norm', eps);
      return bare ? merged : b.linear(merged, 'proj');
    },
    {
      title: `Multi-head self-attention, ${quantity(heads, 'head')}`,
      formula: `softmax(QKᵀ/√${width}${bias ? ' + B' : ''})·V`,
    },
  );
}

/**
 * Weight of the second map of differential attention: exp(λq₁·λk₁) − exp(λq₂·λk₂) + λ₀, or of two
 * scalars.
 */
function differentialWeight(b: GraphBuilder, initial: number): ValueInfo {
  const dot = (index: 1 | 2): ValueInfo =>
    b.add('ReduceSum', [b.add('Mul', [b.parameter(`lambda_q${index}`), b.parameter(`lambda_k${index}`)])], {
      keepdims: int(0),
    });
  const [first, second] = b.has('lambda_a')
    ? [b.parameter('lambda_a', []), b.parameter('lambda_b', [])]
    : [dot(1), dot(2)];
  const difference = b.add('Sub', [b.add('Exp', [first]), b.add('Exp', [second])]);
  return b.add('Add', [difference, b.scalar(initial)]);
}

/**
 * Differential attention (Ye et al. 2024): the map is softmax(Q₁K₁ᵀ) − λ · softmax(Q₂K₂ᵀ), rows
 * need not sum to 1. Queries, keys and values are `[batch · count, dim]`; so is the result, its
 * heads normalised and scaled by 1 − λ₀. λ₀ = 0.8 − 0.6·exp(−0.3·index) of the block.
 */
export function differentialAttention(
  b: GraphBuilder,
  [query, key, value]: readonly [ValueInfo, ValueInfo, ValueInfo],
  tokens: Tokens,
  probe: Omit<Probe, 'value' | 'heads'>,
  { heads, eps, index }: AttentionConfig & { readonly index: number },
): ValueInfo {
  const { batch, count } = tokens;
  const initial = 0.8 - 0.6 * Math.exp(-0.3 * index);
  const q = maybeNorm(b, splitHeads(b, query, batch, 2 * heads), 'q_norm', eps);
  const k = maybeNorm(b, splitHeads(b, key, batch, 2 * heads), 'k_norm', eps);
  const products = b.add('MatMul', [q, b.transpose(k, [0, 1, 3, 2])], {}, { name: '/scores' });
  const scores = b.add('Mul', [products, b.scalar(1 / Math.sqrt(at(q.shape, 3)))]);
  const maps = b.reshape(b.add('Softmax', [scores], { axis: int(-1) }), [batch * heads, 2, count, count]);
  const [first, second] = splitInTwo(b, maps, 1);
  const weighted = b.add('Mul', [second, differentialWeight(b, initial)]);
  const map = b.reshape(b.add('Sub', [first, weighted]), [batch, heads, count, count]);
  b.probe(map, probe);
  const mixed = b.add('MatMul', [map, splitHeads(b, value, batch, heads)], {}, { name: '/mix' });
  const scaled = b.add('Mul', [b.rmsNorm(mixed, 'sub_norm', 1e-5), b.scalar(1 - initial)]);
  return mergeHeads(b, scaled);
}

/**
 * Patches of `[batch, channels, height, width]` pixels as `[batch, rows · columns, dim]`
 * (Dosovitskiy et al. 2021, eq. 1): a strided convolution, or a linear layer over flattened patches
 * `[height, width, channels]` (NaFlex), which vit-pytorch normalises before (`norm_in`).
 *
 * `padding`: zeros on each side of the pixels that a convolution sees; `eps` of that norm.
 */
export function patchEmbedding(
  b: GraphBuilder,
  pixels: ValueInfo,
  patch: readonly [number, number],
  { padding = 0, eps = 1e-5 }: { readonly padding?: number; readonly eps?: number } = {},
): { readonly patches: ValueInfo; readonly grid: readonly [number, number] } {
  const [batch, channels, height, width] = pixels.shape as readonly [number, number, number, number];
  if (b.shapeOf('proj.weight').length === 4) {
    const map = b.conv2d(pixels, 'proj', { stride: patch, padding });
    const [, dim, ...sides] = map.shape as readonly [number, number, number, number];
    const grid = [at(sides, 0), at(sides, 1)] as const;
    return { patches: b.transpose(b.reshape(map, [batch, dim, grid[0] * grid[1]]), [0, 2, 1]), grid };
  }
  const grid = [Math.floor(height / patch[0]), Math.floor(width / patch[1])] as const;
  const cut = b.reshape(pixels, [batch, channels, grid[0], patch[0], grid[1], patch[1]]);
  const flat = b.reshape(b.transpose(cut, [0, 2, 4, 3, 5, 1]), [
    batch * grid[0] * grid[1],
    patch[0] * patch[1] * channels,
  ]);
  const rows = b.linear(maybeNorm(b, flat, 'norm_in', eps), 'proj');
  return { patches: b.reshape(rows, [batch, grid[0] * grid[1], widthOf(rows)]), grid };
}

/**
 * Attention pooling (Lee et al. 2019, PMA; Zhai et al. 2022, §2.3): a learned probe attends to the
 * tokens `[batch · count, dim]`, then x + MLP(norm(x)). Returns `[batch, dim]`.
 */
export function attentionPool(
  b: GraphBuilder,
  tokens: Tokens,
  name: string,
  layer: string,
  { heads, eps, activation }: AttentionConfig & { readonly activation: string },
): ValueInfo {
  return b.scope(
    name,
    () => {
      const dim = widthOf(tokens.value);
      const probe = b.parameter('latent', [1, dim]);
      const probes = tokens.batch === 1 ? probe : b.add('Expand', [probe, b.indices([tokens.batch, dim])]);
      const [keys, values] = splitInTwo(b, b.linear(tokens.value, 'kv'), 1);
      const split = (x: ValueInfo): ValueInfo => splitHeads(b, x, tokens.batch, heads);
      const mixed = b.attention(
        maybeNorm(b, split(b.linear(probes, 'q')), 'q_norm', eps),
        maybeNorm(b, split(keys), 'k_norm', eps),
        split(values),
        { probe: { layer, kind: 'pool', queries: { special: ['probe'] }, keys: tokens.layout } },
      );
      const pooled = b.linear(mergeHeads(b, mixed), 'proj');
      return residual(b, pooled, mlp(b, maybeNorm(b, pooled, 'norm', eps), 'mlp', { activation, eps }));
    },
    { title: `Attention pooling, ${quantity(heads, 'head')}`, formula: 'softmax(qKᵀ/√d)·V for a learned q' },
  );
}
