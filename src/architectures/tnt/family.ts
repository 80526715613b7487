import { at, last } from '../../domain/lists';
import type { Probe } from '../../domain/probes';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { norm, residual, withValue, type Tokens } from '../blocks/layers';
import { gridOfLayout, gridTokens, sequence } from '../blocks/maps';
import { splitInTwo } from '../blocks/parts';
import { resampled } from '../blocks/positions';
import { learnedToken, patchesOnly, pooledTokens, tokenAt, withClassToken } from '../blocks/specialTokens';
import { eachBlock, tokenStage, type TokenMaps } from '../blocks/stages';
import { mergeHeads, mlp, splitHeads } from '../blocks/transformer';
import { windowLayout, windowsOf } from '../blocks/windows';
import { nearestDivisor } from '../divisors';
import type { BuildOptions, ConfigValue, Evidence, Family, Found, Recognised } from '../family';
import { assumed, configOf, numbersIn, stored } from '../evidence';
import { tableOf, timmResampling } from '../groups/positionTable';
import { answer } from '../heads/classifier';
import { sizeTitle } from '../sizes';
import { classesOf, countOf, decide, imageSizeOf, recognisedFrom, sourcesOf, type Sources } from '../decide';
import { tntNames } from './names';
import { quantity } from '../../domain/units';

/**
 * Where patches are cut: before the convolution, so that none sees its neighbours, or, in timm's
 * older models, whose blocks lack `norm2_proj`, from the map that it made of the whole image.
 */
type PixelEmbedding = 'patch by patch' | 'whole picture';

interface TntConfig {
  readonly depth: number;
  readonly eps: number;
  readonly channels: number;
  /** Heads among the pixels of a patch, and among the patches. */
  readonly innerHeads: number;
  readonly outerHeads: number;
  /** Pixels of a patch. */
  readonly patch: number;
  /** Pixels from one pixel embedding to the next. */
  readonly stride: number;
  /** Rows and columns of the position table. */
  readonly grid: Grid;
  readonly embedding: PixelEmbedding;
  /** How the tokens become one vector: `token`, `avg`. */
  readonly pool: string;
}

/** Inner and outer heads must divide their widths. */
const headsEvidence = (
  sources: Sources,
  [inner, outer]: readonly [number, number],
): Evidence<readonly number[]> =>
  decide<readonly number[]>(sources, 'heads', {
    published: ({ heads }) => heads,
    otherwise: assumed(
      [nearestDivisor(inner, 4), nearestDivisor(outer, outer / 64)],
      '4 inner heads, outer ones of 64 channels; not stored in the weights',
    ),
    is: (value) => areHeads(value, [inner, outer]),
    needed: `two numbers, of inner heads that divide ${inner} and of outer ones that divide ${outer},`,
  });

const areHeads = (value: ConfigValue, widths: readonly number[]): boolean =>
  Array.isArray(value) &&
  value.length === widths.length &&
  widths.every((width, index) => width % Number(value[index]) === 0);

function recognise(found: Found): Recognised<TntConfig> | undefined {
  const { tensors } = found;
  const sources = sourcesOf(found);
  const [, inner, pixels] = tensors.get('pixel_pos')?.shape ?? [];
  const dim = tensors.get('patch_pos')?.shape.at(-1);
  if (!inner || !pixels || !dim) return undefined;
  const stride = decide(sources, 'stride', {
    published: () => 4,
    otherwise: assumed(4, 'as in every published TNT; the weights hold the kernel alone'),
    is: (value) => typeof value === 'number' && Number.isInteger(value) && value > 0,
    needed: 'a number of pixels',
  });
  const patch = pixels * stride.value;
  const depth = countOf(tensors, 'blocks');
  const table = tableOf(sources, 'patch_pos', [patch, patch], 1);
  if (!table) return undefined;
  const [rows, columns] = table.grid.value;
  const { imageSize, evidence: sized } = imageSizeOf(sources, [rows * patch, columns * patch]);
  const apart = tensors.has('blocks.0.norm2_proj.weight');
  const settled = {
    depth: stored(depth, 'blocks.0 …'),
    dim: stored(dim, 'patch_pos'),
    inner_dim: stored(inner, 'pixel_pos'),
    heads: headsEvidence(sources, [inner, dim]),
    patch: { ...stride, value: patch },
    stride,
    grid: table.grid,
    resampling: stored(timmResampling, 'as timm does'),
    pool: decide(sources, 'pool', {
      config: ['global_pool'],
      otherwise: stored('token', 'as timm has it'),
    }),
    pixel_embedding: stored<PixelEmbedding>(
      apart ? 'patch by patch' : 'whole picture',
      `${apart ? '' : 'no '}blocks.0.norm2_proj.weight`,
    ),
    eps: stored(1e-5, 'as timm has it'),
    channels: stored(tensors.get('pixel_embed.proj.weight')?.shape[1] ?? 3, 'pixel_embed.proj.weight'),
    classes: classesOf(tensors, 'head'),
    image_size: sized,
  };
  const heads = numbersIn(settled.heads.value);
  return recognisedFrom(sources, {
    label: 'tnt',
    title: sizeTitle('TNT', { '12 192': 'Ti', '12 384': 'S', '12 640': 'B' }, [depth], [dim]),
    evidence: settled,
    config: {
      ...configOf(settled),
      innerHeads: at(heads, 0),
      outerHeads: at(heads, 1),
      embedding: settled.pixel_embedding.value,
    },
    warnings: table.warnings,
    imageSize,
    sizeStep: [patch, patch],
    pixels: 'half',
  });
}

/**
 * The patches of a map `[batch, channels, rows, columns]` as maps of their own,
 * `[batch · patches, channels, side, side]`.
 */
function cut(b: GraphBuilder, map: ValueInfo, side: number): ValueInfo {
  const [batch, channels, height, width] = map.shape as readonly [number, number, number, number];
  const grid = [Math.floor(height / side), Math.floor(width / side)] as const;
  const fits = grid[0] * side === height && grid[1] * side === width;
  const trimmed = fits ? map : b.slice(b.slice(map, 2, 0, grid[0] * side), 3, 0, grid[1] * side);
  const apart = b.reshape(trimmed, [batch, channels, grid[0], side, grid[1], side]);
  return b.reshape(b.transpose(apart, [0, 2, 4, 1, 3, 5]), [batch * grid[0] * grid[1], channels, side, side]);
}

/**
 * The inner sequences: `side` × `side` pixel embeddings of every patch, each patch a batch of its
 * own.
 */
function embedPixels(b: GraphBuilder, pixels: ValueInfo, { stride, patch, embedding }: TntConfig): Tokens {
  const [, inner = 0, side = 0] = b.shapeOf('pixel_pos');
  const convolve = (x: ValueInfo): ValueInfo => b.conv2d(x, 'proj', { stride, padding: 3 });
  const map = b.scope(
    'pixel_embed',
    () => (embedding === 'whole picture' ? cut(b, convolve(pixels), side) : convolve(cut(b, pixels, patch))),
    { title: 'Pixel embedding' },
  );
  const placed = b.add('Add', [map, b.parameter('pixel_pos')]);
  const batch = at(placed.shape, 0);
  const value = b.reshape(b.transpose(placed, [0, 2, 3, 1]), [batch * side * side, inner]);
  return gridTokens(value, batch, [side, side]);
}

/**
 * Self-attention with queries and keys of one projection and values of another, both without bias
 * (Han et al. 2021, eq. 3).
 */
function attention(
  b: GraphBuilder,
  tokens: Tokens,
  name: string,
  heads: number,
  record: Partial<Probe>,
): ValueInfo {
  const layer = `${b.scopePath}.${name}`;
  return b.scope(
    name,
    () => {
      const split = (x: ValueInfo): ValueInfo => splitHeads(b, x, tokens.batch, heads);
      const [query, key] = splitInTwo(b, b.linear(tokens.value, 'qk'), 1);
      const value = b.linear(tokens.value, 'v');
      const probe = { layer, kind: 'self', queries: tokens.layout, keys: tokens.layout, ...record } as const;
      const mixed = b.attention(split(query), split(key), split(value), { probe });
      return b.linear(mergeHeads(b, mixed), 'proj');
    },
    { title: `Multi-head self-attention, ${quantity(heads, 'head')}`, formula: 'softmax(QKᵀ/√d)·V' },
  );
}

/**
 * Every patch's pixel embeddings in one row, projected to the width of the patches:
 * `[batch · patches, dim]`.
 */
function project(b: GraphBuilder, { value, batch, count }: Tokens, eps: number, older: boolean): ValueInfo {
  const flat = (x: ValueInfo): ValueInfo => b.reshape(x, [batch, count * at(value.shape, 1)]);
  // The older blocks norm every pixel embedding, the others all of a patch at once.
  const normed = older ? flat(norm(b, value, 'norm1_proj', eps)) : norm(b, flat(value), 'norm1_proj', eps);
  const projected = b.linear(normed, 'proj');
  return older ? projected : norm(b, projected, 'norm2_proj', eps);
}

/** x + attn(norm(x)), then x + mlp(norm(x)). */
function transform(
  b: GraphBuilder,
  tokens: Tokens,
  [attend, attendNorm, feed, feedNorm]: readonly [string, string, string, string],
  heads: number,
  eps: number,
  record: Partial<Probe> = {},
): Tokens {
  const normed = withValue(tokens, norm(b, tokens.value, attendNorm, eps));
  const x = residual(b, tokens.value, attention(b, normed, attend, heads, record));
  return withValue(
    tokens,
    residual(b, x, mlp(b, norm(b, x, feedNorm, eps), feed, { activation: 'gelu', eps })),
  );
}

/** The pixel embeddings of all patches, and the class token and patches. */
interface Streams {
  readonly inner: Tokens;
  readonly outer: Tokens;
}

/**
 * Inner attention among the pixels of a patch, whose result joins the patch's token, then outer
 * attention among the patches (Han et al. 2021, §2.2).
 */
function block(b: GraphBuilder, { inner, outer }: Streams, config: TntConfig): Streams {
  const { eps, innerHeads, outerHeads } = config;
  const [rows, columns] = gridOfLayout({ grid: outer.layout.grid });
  const [side] = gridOfLayout(inner.layout);
  const windows = windowsOf([rows * side, columns * side], side);
  const pixels = transform(b, inner, ['attn_in', 'norm_in', 'mlp_in', 'norm_mlp_in'], innerHeads, eps, {
    kind: 'window',
    window: windowLayout(windows),
  });
  const patches = patchesOnly(b, outer);
  const joined = residual(b, patches.value, project(b, pixels, eps, !b.has('norm2_proj.weight')));
  const all = withClassToken(b, tokenAt(b, outer, 0), withValue(patches, joined));
  const names = ['attn_out', 'norm_out', 'mlp', 'norm_mlp'] as const;
  return { inner: pixels, outer: transform(b, all, names, outerHeads, eps) };
}

/**
 * The class token and the patches, made of their pixel embeddings, with their rows of `patch_pos`.
 */
function embedPatches(
  b: GraphBuilder,
  inner: Tokens,
  { eps, patch, grid: native }: TntConfig,
  { imageSize, batch }: BuildOptions,
): Tokens {
  const grid = [Math.floor(imageSize[0] / patch), Math.floor(imageSize[1] / patch)] as const;
  const patches = gridTokens(project(b, inner, eps, false), batch, grid);
  const tokens = withClassToken(b, learnedToken(b, 'cls_token', batch), patches);
  const table = b.parameter('patch_pos');
  const own = b.slice(table, 1, 1, at(table.shape, 1));
  const rows = [b.slice(table, 1, 0, 1), resampled(b, own, native, grid, timmResampling)];
  const placed = b.add('Add', [sequence(b, tokens), b.concat(rows, 1)]);
  return withValue(tokens, b.reshape(placed, tokens.value.shape));
}

function build(b: GraphBuilder, config: TntConfig, options: BuildOptions): TokenMaps {
  const { imageSize, batch } = options;
  const pixels = b.input('pixel_values', [batch, config.channels, ...imageSize]);
  const inner = embedPixels(b, pixels, config);
  const first: Streams = { inner, outer: embedPatches(b, inner, config, options) };
  const ends = eachBlock(b, first, {
    depth: config.depth,
    block: (streams) => block(b, streams, config),
    note: { title: 'TNT block' },
  });
  const { outer } = last(ends);
  return {
    stages: ends.map((end) => tokenStage(end.outer, imageSize)),
    tokens: withValue(outer, norm(b, outer.value, 'norm', config.eps)),
  };
}

/** Pools the tokens and classifies the result. */
function head(b: GraphBuilder, { tokens }: TokenMaps, { pool }: TntConfig): void {
  const all = sequence(b, tokens);
  answer(b, pooledTokens(b, tokens, pool), all);
}

/**
 * Transformer in Transformer (Han et al. 2021): an inner transformer among the pixels of each
 * patch, an outer one among the patches.
 */
export const tnt: Family<TntConfig, TokenMaps> = {
  name: 'tnt',
  title: 'Transformer in Transformer',
  names: tntNames,
  // Zeros that the authors' class keeps as a parameter.
  idle: /^outer_tokens$/,
  assumable: ['heads', 'stride', 'pool', 'grid'],
  recognise,
  build,
  head,
};
