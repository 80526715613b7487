import { at, last, product } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution, maxPool } from '../blocks/convolution';
import { decomposedPositions } from '../blocks/decomposedPositions';
import { norm, residual, withValue, type Tokens } from '../blocks/layers';
import { gridOf, gridOfLayout, mapToTokens, sequence, tokensToMap } from '../blocks/maps';
import { learnedToken, patchesOnly, pooledTokens, tokenAt, withClassToken } from '../blocks/specialTokens';
import { stages, tokenStage, type TokenMaps } from '../blocks/stages';
import { mergeHeads, mlp } from '../blocks/transformer';
import type { BuildOptions, Evidence, Family, Found, Recognised } from '../family';
import { assumed, configOf, numbersIn, stored } from '../evidence';
import { epsOf, poolOf } from '../groups/isotropicConfig';
import { flag } from '../groups/valueKinds';
import { answer } from '../heads/classifier';
import { sizeTitle, type Sizes } from '../sizes';
import {
  type Sources,
  activationOf,
  classesOf,
  decide,
  imageSizeOf,
  recognisedFrom,
  sideOf,
  sourcesOf,
  stageDepths,
} from '../decide';
import { mvitv2Names } from './names';
import { quantity } from '../../domain/units';

/** timm's MViTv2 cuts patches with this stride, whatever the kernel. */
const patchStride = 4;

/** Sizes of Li et al. 2022 (MViTv2, table 1). */
const sizes: Sizes = {
  '1,2,5,2 96': 'T',
  '1,2,11,2 96': 'S',
  '2,3,16,3 96': 'B',
  '2,6,36,4 144': 'L',
  '4,8,60,8 192': 'H',
};

interface Mvitv2Config {
  readonly depth: readonly number[];
  readonly heads: readonly number[];
  readonly eps: number;
  readonly activation: string;
  /** How the tokens become one vector: `token`, `avg`. */
  readonly pool: string;
  readonly channels: number;
  readonly patchStride: number;
  /** Strides with which the first block of each stage pools the queries. */
  readonly queryStride: readonly number[];
  /** Strides with which all blocks of a stage pool keys and values. */
  readonly keyStride: readonly number[];
  /** The pooled queries are added to what the attention gives. */
  readonly residual_pooling: boolean;
}

/**
 * Sides of the queries' maps by stage: the tables of relative places are made for the longer of
 * queries and keys, which in a stage's last block are the queries.
 */
function sidesOf(tensors: Found['tensors'], depths: readonly number[]): readonly number[] {
  const table = (stage: number, depth: number): string =>
    `stages.${stage}.blocks.${depth - 1}.attn.rel_pos_h`;
  return depths.map((depth, stage) => ((tensors.get(table(stage, depth))?.shape[0] ?? 1) + 1) / 2);
}

/**
 * Strides with which the first block of each stage pools the queries. A stage's only block has a
 * table for its keys if they are more than its queries, so that nothing shows those: it halves.
 */
function queryStridesOf(
  sources: Sources,
  depths: readonly number[],
  sides: readonly number[],
): Evidence<readonly number[]> {
  const hidden = depths.map(
    (depth, stage) => stage > 0 && depth === 1 && at(sides, stage) >= at(sides, stage - 1),
  );
  const strides = sides.map((side, stage) =>
    at(hidden, stage) ? 2 : Math.max(1, Math.round((sides[stage - 1] ?? side) / side)),
  );
  return decide<readonly number[]>(sources, 'query_stride', {
    named: [[/^mvitv2_/, strides]],
    otherwise: hidden.includes(true)
      ? assumed(strides, 'a stage of one block, whose table does not show its queries, halves the map')
      : stored(strides, 'rel_pos_h of each stage'),
    is: (value) => numbersIn(value).length === depths.length && numbersIn(value).every((each) => each > 0),
    needed: `${depths.length} numbers above 0`,
  });
}

/**
 * Strides with which keys and values are pooled: no weight holds them; timm has 4 for the first
 * stage's map and halves it with the queries.
 */
function keyStrides(sources: Sources, queryStrides: readonly number[]): Evidence<readonly number[]> {
  let stride = 4;
  const usual = queryStrides.map((queries) => (stride = Math.max(1, Math.floor(stride / queries))));
  return decide(sources, 'kv_stride', {
    config: ['stride_kv'],
    named: [[/^mvitv2_/, usual]],
    otherwise: assumed(usual, 'keys are pooled to an equal size in all stages; not stored in the weights'),
    is: (value) =>
      Array.isArray(value) && value.length === usual.length && value.every((each) => Number(each) > 0),
    needed: `${usual.length} numbers above 0`,
  });
}

/** Heads of every stage: the tables of relative places are one head wide. */
function storedHeads(sources: Sources, stages: number): readonly number[] {
  const { tensors } = sources.found;
  const width = (stage: number, name: string, axis: number): number =>
    tensors.get(`stages.${stage}.blocks.0.attn.${name}`)?.shape[axis] ?? NaN;
  return Array.from(
    { length: stages },
    (_, stage) => width(stage, 'proj.weight', 0) / width(stage, 'rel_pos_h', 1),
  );
}

function recognise(found: Found): Recognised<Mvitv2Config> | undefined {
  const { tensors } = found;
  const sources = sourcesOf(found);
  const depths = stageDepths(tensors);
  const [dim, channels, kernel] = tensors.get('patch_embed.proj.weight')?.shape ?? [];
  const heads = storedHeads(sources, depths.length);
  if (!dim || !channels || !kernel || heads.length === 0 || !heads.every(Number.isInteger)) return undefined;
  const dims = depths.map((_, stage) => sideOf(tensors, `stages.${stage}.blocks.0.attn.proj.weight`, 0));
  const sides = sidesOf(tensors, depths);
  const queryStride = queryStridesOf(sources, depths, sides);
  const queryStrides = queryStride.value;
  const step = patchStride * product(queryStrides);
  const side = at(sides, 0) * patchStride;
  const { imageSize, evidence: sized } = imageSizeOf(sources, [side, side]);
  const settled = {
    depth: stored(depths, `stages.0 … stages.${depths.length - 1}`),
    dim: stored(dims, 'stages.*.blocks.0.attn.proj.weight'),
    heads: decide(sources, 'heads', {
      otherwise: stored(heads, 'rel_pos_h of each stage is one head wide'),
      is: (value) => [value].flat().join() === heads.join(),
      needed: heads.join(', '),
    }),
    patch: stored(kernel, 'patch_embed.proj.weight'),
    patch_stride: stored(patchStride, 'as timm builds it'),
    query_stride: queryStride,
    kv_stride: keyStrides(sources, queryStrides),
    residual_pooling: decide(sources, 'residual_pooling', {
      ...flag,
      config: ['residual_pooling'],
      named: [[/^mvitv2_/, true]],
      otherwise: assumed(true, 'as in every published MViTv2; not stored in the weights'),
    }),
    channels: stored(channels, 'patch_embed.proj.weight'),
    activation: activationOf(sources),
    eps: epsOf(sources),
    pool: tensors.has('cls_token')
      ? poolOf(sources, ['token', 'avg'], 'cls_token')
      : stored('avg', 'no class token'),
    classes: classesOf(tensors, 'head.fc'),
    image_size: sized.assumed ? stored(sized.value, 'stages.0.blocks.0.attn.rel_pos_h') : sized,
  };
  return recognisedFrom(sources, {
    label: 'mvitv2',
    title: sizeTitle('MViTv2', sizes, depths, dims),
    evidence: settled,
    config: {
      ...configOf(settled),
      // The only ones that the tables fit, whatever the user wrote.
      heads,
      patchStride,
      queryStride: queryStrides,
      keyStride: settled.kv_stride.value,
    },
    imageSize,
    sizeStep: [step, step],
    pixels: 'imagenet',
  });
}

/** What a block reads beside its parameters. */
interface BlockConfig {
  readonly heads: number;
  readonly eps: number;
  readonly activation: string;
  readonly queryStride: number;
  readonly keyStride: number;
  readonly residualPooling: boolean;
}

/** Heads of a sequence as they are after pooling, and the grid of the patches. */
interface PooledHeads {
  /** `[batch, heads, count, d]` */
  readonly value: ValueInfo;
  readonly grid: Grid;
}

/**
 * Queries, keys and values by head: of the patches `[batch, heads, d, patches]`, and of the class
 * token `[batch, heads, 1, d]`, if there is one.
 */
interface Parts {
  readonly patches: readonly ValueInfo[];
  readonly first: readonly ValueInfo[];
}

/** Parts of the fused rows `[batch · count, 3 · heads · d]`: cut and turned once for all three. */
function partsOf(b: GraphBuilder, fused: Tokens, heads: number): Parts {
  const { batch, count, value } = fused;
  const width = at(value.shape, 1) / (3 * heads);
  const special = fused.layout.special?.length ?? 0;
  const all = sequence(b, fused);
  const rows = special === 0 ? all : b.slice(all, 1, special, count);
  const turned = b.transpose(b.reshape(rows, [batch, count - special, 3 * heads, width]), [0, 2, 3, 1]);
  const patches = b.split(turned, 3, 1);
  if (special === 0) return { patches, first: [] };
  const token = b.reshape(b.slice(all, 1, 0, 1), [batch, 3 * heads, 1, width]);
  return { patches, first: b.split(token, 3, 1) };
}

/**
 * One part pooled by a depthwise convolution over each head's map; a class token stays, the norm is
 * common (MViTv2, §4.1).
 */
function poolHeads(
  b: GraphBuilder,
  patches: ValueInfo,
  first: ValueInfo | undefined,
  [rows, columns]: Grid,
  { part, stride, eps }: { readonly part: 'q' | 'k' | 'v'; readonly stride: number; readonly eps: number },
): PooledHeads {
  const [batch = 0, heads = 0, width = 0] = patches.shape;
  const maps = b.reshape(patches, [batch * heads, width, rows, columns]);
  const small = convolution(b, maps, `pool_${part}`, { stride });
  const grid = gridOf(small);
  const pooled = b.transpose(b.reshape(small, [batch, heads, width, grid[0] * grid[1]]), [0, 1, 3, 2]);
  const all = first ? b.concat([first, pooled], 2) : pooled;
  return { value: norm(b, all, `norm_${part}`, eps), grid };
}

/** A bias of the patches' scores, with zeros for the class token, which has no place. */
function withoutClassToken(b: GraphBuilder, bias: ValueInfo, special: number): ValueInfo {
  return special === 0 ? bias : b.add('Pad', [bias, b.indices([0, 0, special, special, 0, 0, 0, 0])]);
}

/**
 * Pooling attention (Li et al. 2022, MViTv2, §4.1): the result is `[batch · queries, dim]`, the
 * pooled queries are added to it.
 */
function poolingAttention(b: GraphBuilder, tokens: Tokens, layer: string, config: BlockConfig): Tokens {
  const { heads, eps, queryStride, keyStride, residualPooling } = config;
  const { special = [] } = tokens.layout;
  return b.scope(
    'attn',
    () => {
      const { patches, first } = partsOf(b, withValue(tokens, b.linear(tokens.value, 'qkv')), heads);
      const map = gridOfLayout({ grid: tokens.layout.grid });
      const pooled = (part: 'q' | 'k' | 'v', index: number, stride: number): PooledHeads =>
        poolHeads(b, at(patches, index), first[index], map, { part, stride, eps });
      const q = pooled('q', 0, queryStride);
      const k = pooled('k', 1, keyStride);
      const v = pooled('v', 2, keyStride);
      const count = at(q.value.shape, 2);
      const asked = special.length === 0 ? q.value : b.slice(q.value, 2, special.length, count);
      const bias = withoutClassToken(b, decomposedPositions(b, asked, q.grid, k.grid), special.length);
      const same = q.grid.join() === k.grid.join();
      const mixed = b.attention(q.value, k.value, v.value, {
        bias,
        probe: {
          layer,
          kind: same ? 'self' : 'reduced',
          queries: { special, grid: q.grid },
          keys: { special, grid: k.grid },
          ...(!same && { reduction: q.grid[0] / k.grid[0] }),
        },
      });
      const added = residualPooling ? residual(b, mixed, q.value) : mixed;
      const value = b.linear(mergeHeads(b, added), 'proj');
      return { value, batch: tokens.batch, count, layout: { special, grid: q.grid } };
    },
    {
      title: `Pooling attention, ${quantity(heads, 'head')}`,
      formula: `softmax(QKᵀ/√d + Q·R_h + Q·R_w)·V${residualPooling ? ' + Q' : ''}`,
    },
  );
}

/** Patches pooled by the greatest if queries are pooled, the class token beside them. */
function pooledShortcut(b: GraphBuilder, tokens: Tokens, stride: number): ValueInfo {
  if (stride === 1) return tokens.value;
  const map = tokensToMap(b, patchesOnly(b, tokens));
  const kernel = stride + 1;
  const small = mapToTokens(b, maxPool(b, map, { kernel, stride, padding: kernel >> 1 }));
  return tokens.layout.special?.length ? withClassToken(b, tokenAt(b, tokens, 0), small).value : small.value;
}

/**
 * Attention and MLP; if the width grows, in one of them, its shortcut is projected from the
 * normalised tokens.
 */
function block(b: GraphBuilder, tokens: Tokens, config: BlockConfig): Tokens {
  const shortcut = (x: ValueInfo, normed: ValueInfo, name: string): ValueInfo =>
    b.has(`${name}.weight`) ? b.linear(normed, name) : x;
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', config.eps));
  const wide = withValue(tokens, shortcut(tokens.value, normed.value, 'shortcut_proj_attn'));
  const attended = poolingAttention(b, normed, b.scopePath, config);
  const x = residual(b, pooledShortcut(b, wide, config.queryStride), attended.value);
  const again = norm(b, x, 'norm2', config.eps);
  const fed = mlp(b, again, 'mlp', config);
  return withValue(attended, residual(b, shortcut(x, again, 'shortcut_proj_mlp'), fed));
}

/** Overlapping patches, with a class token if there is one. */
function embed(
  b: GraphBuilder,
  { channels, patchStride: stride }: Mvitv2Config,
  { imageSize, batch }: BuildOptions,
): Tokens {
  const pixels = b.input('pixel_values', [batch, channels, ...imageSize]);
  const map = b.scope('patch_embed', () => convolution(b, pixels, 'proj', { stride }), {
    title: 'Overlapping patch embedding',
  });
  const patches = mapToTokens(b, map);
  return b.has('cls_token') ? withClassToken(b, learnedToken(b, 'cls_token', batch), patches) : patches;
}

/** Writes stages whose first block pools the queries. */
function build(b: GraphBuilder, config: Mvitv2Config, options: BuildOptions): TokenMaps {
  const { depth, heads, queryStride, keyStride, eps, activation } = config;
  const ends = stages(b, embed(b, config, options), {
    depths: depth,
    path: ({ stage, index }) => `stages.${stage}.blocks.${index}`,
    block: (tokens, { stage, index }) =>
      block(b, tokens, {
        heads: at(heads, stage),
        eps,
        activation,
        queryStride: index === 0 ? at(queryStride, stage) : 1,
        keyStride: at(keyStride, stage),
        residualPooling: config.residual_pooling,
      }),
    note: { title: 'Multiscale block' },
  });
  const end = last(ends);
  return {
    stages: ends.map((tokens) => tokenStage(tokens, options.imageSize)),
    tokens: withValue(end, norm(b, end.value, 'norm', eps)),
  };
}

/** Pools the tokens and classifies the result. */
function head(b: GraphBuilder, { tokens }: TokenMaps, { pool }: Mvitv2Config): void {
  const all = sequence(b, tokens);
  answer(b, pooledTokens(b, tokens, pool), all, 'head.fc');
}

/**
 * MViTv2 (Li et al. 2022, "Improved Multiscale Vision Transformers for Classification and
 * Detection").
 */
export const mvitv2: Family<Mvitv2Config, TokenMaps> = {
  name: 'mvitv2',
  title: 'Multiscale Vision Transformer v2',
  names: mvitv2Names,
  assumable: ['heads', 'query_stride', 'kv_stride', 'residual_pooling', 'activation', 'eps', 'pool'],
  recognise,
  build,
  head,
};
