import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { adaptiveAveragePool } from './adaptivePool';
import { convolution } from './convolution';
import { activate, norm, residual, withValue, type Tokens } from './layers';
import { gridOf, gridTokens, mapToTokens, tokensToMap } from './maps';
import { eachBlock } from './stages';
import { mergeHeads, mlp, splitHeads } from './transformer';
import { quantity } from '../../domain/units';

/** How a block with spatial-reduction attention computes. */
export interface ReducedSettings {
  readonly heads: number;
  readonly activation: string;
  /** Of the block's own norms. */
  readonly eps: number;
  /** Of the norm of the reduced map. */
  readonly samplingEps: number;
}

/**
 * Side of the map to which linear spatial-reduction attention pools its keys (Wang et al. 2022, PVT
 * v2, linear SRA).
 */
const pooledSide = 7;

/** The tokens that keys and values are made of, and the factor by which their grid is smaller. */
function reduced(
  b: GraphBuilder,
  tokens: Tokens,
  { samplingEps }: ReducedSettings,
): { readonly tokens: Tokens; readonly reduction: number } {
  const kernel = at(b.shapeOf('sr.weight'), 2);
  const map = tokensToMap(b, tokens);
  const pooled = kernel === 1;
  const small = pooled
    ? convolution(b, adaptiveAveragePool(b, map, pooledSide), 'sr')
    : convolution(b, map, 'sr', { stride: kernel, padding: 0 });
  const rows = mapToTokens(b, small);
  const normed = norm(b, rows.value, 'norm', samplingEps);
  return {
    tokens: withValue(rows, pooled ? activate(b, normed, 'gelu') : normed),
    reduction: kernel,
  };
}

function keysAndValues(b: GraphBuilder, x: ValueInfo): readonly [ValueInfo, ValueInfo] {
  if (!b.has('kv.weight')) return [b.linear(x, 'k_proj'), b.linear(x, 'v_proj')];
  const parts = b.split(b.linear(x, 'kv'), 2, 1);
  return [at(parts, 0), at(parts, 1)];
}

/**
 * Spatial-reduction attention (Wang et al. 2021, PVT, §3.3) over `[batch · count, dim]`: keys and
 * values come of a map that a strided convolution `sr` has made smaller, or, if `sr` is 1 × 1, one
 * that is pooled to 7 × 7 (PVT v2, linear SRA). Plain attention without `sr`.
 */
function reducedAttention(
  b: GraphBuilder,
  tokens: Tokens,
  name: string,
  layer: string,
  settings: ReducedSettings,
): ValueInfo {
  const { heads } = settings;
  return b.scope(
    name,
    () => {
      const less = b.has('sr.weight') ? reduced(b, tokens, settings) : undefined;
      const keys = less?.tokens ?? tokens;
      const [key, value] = keysAndValues(b, keys.value);
      const split = (x: ValueInfo): ValueInfo => splitHeads(b, x, tokens.batch, heads);
      const mixed = b.attention(split(b.linear(tokens.value, 'q')), split(key), split(value), {
        probe: {
          layer,
          kind: less ? 'reduced' : 'self',
          queries: tokens.layout,
          keys: keys.layout,
          ...(less && less.reduction > 1 && { reduction: less.reduction }),
        },
      });
      return b.linear(mergeHeads(b, mixed), 'proj');
    },
    {
      title: `Spatial-reduction attention, ${quantity(heads, 'head')}`,
      formula: 'softmax(Q·reduce(K)ᵀ/√d)·reduce(V)',
    },
  );
}

/**
 * Feed-forward layer with a 3 × 3 depthwise convolution between its linear layers (Wang et al.
 * 2022, PVT v2; SegFormer's Mix-FFN, Xie et al. 2021, §3.1), which takes the place of position
 * tables. `rectified`: a ReLU before the convolution, in models that pool their keys.
 */
function convolutionalMlp(
  b: GraphBuilder,
  tokens: Tokens,
  name: string,
  { activation, rectified }: { readonly activation: string; readonly rectified: boolean },
): ValueInfo {
  return b.scope(
    name,
    () => {
      const wide = b.linear(tokens.value, 'fc1');
      const map = tokensToMap(b, withValue(tokens, rectified ? activate(b, wide, 'relu') : wide));
      const mixed = mapToTokens(b, convolution(b, map, 'dwconv'));
      return b.linear(activate(b, mixed.value, activation), 'fc2');
    },
    { title: 'Convolutional feed-forward', formula: 'W₂ · act(depthwise(W₁x))' },
  );
}

/** Attention of a block over its normed tokens, by the module `attn`: `[batch · count, dim]`. */
type Attend = (b: GraphBuilder, tokens: Tokens, settings: ReducedSettings) => ValueInfo;

const attendReduced: Attend = (b, tokens, settings) =>
  reducedAttention(b, tokens, 'attn', b.scopePath, settings);

/**
 * One block of a pyramid in the current scope: x + attention(norm(x)), then x + MLP(norm(x)), with
 * a depthwise convolution if one is stored.
 */
export function reducedBlock(
  b: GraphBuilder,
  tokens: Tokens,
  settings: ReducedSettings,
  attend: Attend = attendReduced,
): Tokens {
  const { activation, eps } = settings;
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', eps));
  const mixed = withValue(tokens, residual(b, tokens.value, attend(b, normed, settings)));
  const rows = withValue(mixed, norm(b, mixed.value, 'norm2', eps));
  const rectified = b.has('attn.sr.weight') && b.shapeOf('attn.sr.weight')[2] === 1;
  const branch = b.has('mlp.dwconv.weight')
    ? convolutionalMlp(b, rows, 'mlp', { activation, rectified })
    : mlp(b, rows.value, 'mlp', { activation, eps });
  return withValue(mixed, residual(b, mixed.value, branch));
}

/** Blocks `blocks.0` … of a stage, one after another; what each ends with. */
export const reducedBlocks = (
  b: GraphBuilder,
  tokens: Tokens,
  depth: number,
  settings: ReducedSettings,
): readonly Tokens[] =>
  eachBlock(b, tokens, {
    depth,
    block: (before) => reducedBlock(b, before, settings),
    note: { title: 'Block' },
  });

/**
 * Patches of a map `[batch, channels, rows, columns]` and their norm as tokens. Overlapping patches
 * have a stride and zeros around the map (Wang et al. 2022, PVT v2: a kernel of 2S − 1 for the
 * stride S); others lie side by side.
 */
export function stagePatches(
  b: GraphBuilder,
  map: ValueInfo,
  name: string,
  { stride, eps }: { readonly stride?: number; readonly eps: number },
): Tokens {
  return b.scope(
    name,
    () => {
      const kernel = at(b.shapeOf('proj.weight'), 2);
      const patches =
        stride === undefined
          ? convolution(b, map, 'proj', { stride: kernel, padding: 0 })
          : convolution(b, map, 'proj', { stride, padding: kernel >> 1 });
      const rows = mapToTokens(b, patches);
      return gridTokens(norm(b, rows.value, 'norm', eps), rows.batch, gridOf(patches));
    },
    { title: stride === undefined ? 'Patch embedding' : 'Overlapping patch embedding' },
  );
}
