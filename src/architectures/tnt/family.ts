import { nearestDivisor } from '../divisors';
import { answer } from '../heads/classifier';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import type { Probe } from '../../domain/probes';
import { norm, residual, withValue, type Tokens } from '../blocks/layers';
import { gridTokens, meanOfTokens, sequence } from '../blocks/maps';
import { resampled } from '../blocks/positions';
import { learnedToken, patchesOnly, tokenAt, withClassToken } from '../blocks/specialTokens';
import { mergeHeads, mlp, splitHeads } from '../blocks/transformer';
import { windowLayout, windowsOf } from '../blocks/windows';
import type { BuildOptions, EvidenceRecord, Family, Found, Recognised } from '../family';
import { assumed, numberOf, numbersOf, pairOf, stored, wordOf } from '../figures';
import { tableOf, timmResampling } from '../groups/positionTable';
import { sizeTitle } from '../sizes';
import { classesOf, countOf, decide, imageSizeOf, recognisedFrom, sourcesOf } from '../sources';
import { tntNames } from './names';

/** Where timm's older models cut their patches: from the map that the convolution made of the whole picture. */
const whole = 'whole picture';

/** Inner and outer heads must divide their widths. */
function headsFigure(evidences: Found, widths: readonly [number, number]): EvidenceRecord['heads'] {
  return decide(sourcesOf(evidences), 'heads', {
    published: ({ heads }) => heads,
    otherwise: assumed(
      [nearestDivisor(widths[0], 4), nearestDivisor(widths[1], widths[1] / 64)],
      '4 inner heads, outer ones of 64 channels; not stored in the weights',
    ),
    is: (value) =>
      Array.isArray(value) &&
      value.length === 2 &&
      widths.every((width, index) => width % Number(value[index]) === 0),
    needed: `two numbers, of inner heads that divide ${widths[0]} and of outer ones that divide ${widths[1]},`,
  });
}

function recogniseTnt(evidences: Found): Recognised | undefined {
  const { tensors } = evidences;
  const sources = sourcesOf(evidences);
  const [, inner, pixels] = tensors.get('pixel_pos')?.shape ?? [];
  const dim = tensors.get('patch_pos')?.shape.at(-1);
  if (!inner || !pixels || !dim) return undefined;
  const stride = decide(sources, 'stride', {
    published: () => 4,
    otherwise: assumed(4, 'as in every published TNT; the weights hold the kernel alone'),
    is: (value) => typeof value === 'number' && Number.isInteger(value) && value > 0,
    needed: 'a number of pixels',
  });
  const patch = pixels * Number(stride.value);
  const depth = countOf(tensors, 'blocks');
  const table = tableOf(sources, 'patch_pos', [patch, patch], 1);
  if (!table) return undefined;
  const [rows, columns] = table.grid.value as Grid;
  const { imageSize, figure } = imageSizeOf(sources, [rows * patch, columns * patch]);
  return recognisedFrom(sources, {
    label: 'tnt',
    title: sizeTitle('TNT', { '12 192': 'Ti', '12 384': 'S', '12 640': 'B' }, [depth], [dim]),
    evidence: {
      depth: stored(depth, 'blocks.0 …'),
      dim: stored(dim, 'patch_pos'),
      inner_dim: stored(inner, 'pixel_pos'),
      heads: headsFigure(evidences, [inner, dim])!,
      patch: { ...stride, value: patch },
      stride,
      grid: table.grid,
      resampling: stored(timmResampling, 'as timm does'),
      pool: decide(sources, 'pool', {
        config: ['global_pool'],
        otherwise: stored('token', 'as timm has it'),
      }),
      pixel_embedding: stored(
        tensors.has('blocks.0.norm2_proj.weight') ? 'patch by patch' : whole,
        `${tensors.has('blocks.0.norm2_proj.weight') ? '' : 'no '}blocks.0.norm2_proj.weight`,
      ),
      eps: stored(1e-5, 'as timm has it'),
      channels: stored(tensors.get('pixel_embed.proj.weight')?.shape[1] ?? 3, 'pixel_embed.proj.weight'),
      classes: classesOf(tensors, 'head'),
      image_size: figure,
    },
    warnings: table.warnings,
    imageSize,
    sizeStep: [patch, patch],
    pixels: 'half',
  });
}

/** The patches of a map `[batch, channels, rows, columns]` as maps of their own, `[batch · patches, channels, side, side]`. */
function cut(b: GraphBuilder, map: ValueInfo, side: number): ValueInfo {
  const [batch, channels, height, width] = map.shape as readonly [number, number, number, number];
  const grid = [Math.floor(height / side), Math.floor(width / side)] as const;
  const fits = grid[0] * side === height && grid[1] * side === width;
  const trimmed = fits ? map : b.slice(b.slice(map, 2, 0, grid[0] * side), 3, 0, grid[1] * side);
  const apart = b.reshape(trimmed, [batch, channels, grid[0], side, grid[1], side]);
  return b.reshape(b.transpose(apart, [0, 2, 4, 1, 3, 5]), [batch * grid[0] * grid[1], channels, side, side]);
}

/**
 * The inner sequences: `side` × `side` pixel embeddings of every patch, each patch a batch of its own. Patches are cut before the convolution,
 * so that none sees its neighbours; in timm's older models, whose blocks lack `norm2_proj`, after it.
 */
function embedPixels(b: GraphBuilder, pixels: ValueInfo, figures: EvidenceRecord): Tokens {
  const [, inner, side] = b.shapeOf('pixel_pos') as readonly [number, number, number];
  const stride = numberOf(figures, 'stride');
  const convolve = (x: ValueInfo): ValueInfo => b.conv2d(x, 'proj', { stride, padding: 3 });
  const map = b.scope(
    'pixel_embed',
    () =>
      wordOf(figures, 'pixel_embedding') === whole
        ? cut(b, convolve(pixels), side)
        : convolve(cut(b, pixels, numberOf(figures, 'patch'))),
    { title: 'Pixel embedding' },
  );
  const placed = b.add('Add', [map, b.parameter('pixel_pos')]);
  const batch = placed.shape[0]!;
  const value = b.reshape(b.transpose(placed, [0, 2, 3, 1]), [batch * side * side, inner]);
  return gridTokens(value, batch, [side, side]);
}

/** Self-attention with queries and keys of one projection and values of another, both without bias (Han et al. 2021, eq. 3). */
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
      const [q, k] = b.split(b.linear(tokens.value, 'qk'), 2, 1);
      const [query, key, value] = [q!, k!, b.linear(tokens.value, 'v')].map((x) =>
        splitHeads(b, x, tokens.batch, heads),
      );
      const probe = { layer, kind: 'self', queries: tokens.layout, keys: tokens.layout, ...record } as const;
      return b.linear(mergeHeads(b, b.attention(query!, key!, value!, { probe })), 'proj');
    },
    { title: `Multi-head self-attention, ${heads} heads`, formula: 'softmax(QKᵀ/√d)·V' },
  );
}

/** Every patch's pixel embeddings in one row, projected to the width of the patches: `[batch · patches, dim]`. */
function project(
  b: GraphBuilder,
  { value, batch, count }: Tokens,
  figures: EvidenceRecord,
  older: boolean,
): ValueInfo {
  const eps = numberOf(figures, 'eps');
  const flat = (x: ValueInfo): ValueInfo => b.reshape(x, [batch, count * value.shape[1]!]);
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

/** Inner attention among the pixels of a patch, whose result joins the patch's token, then outer attention among the patches (Han et al. 2021, §2.2). */
function block(
  b: GraphBuilder,
  [inner, outer]: readonly [Tokens, Tokens],
  figures: EvidenceRecord,
): readonly [Tokens, Tokens] {
  const eps = numberOf(figures, 'eps');
  const [innerHeads, outerHeads] = numbersOf(figures, 'heads');
  const [rows, columns] = outer.layout.grid as Grid;
  const [side] = inner.layout.grid as Grid;
  const windows = windowsOf([rows * side, columns * side], side);
  const pixels = transform(b, inner, ['attn_in', 'norm_in', 'mlp_in', 'norm_mlp_in'], innerHeads!, eps, {
    kind: 'window',
    window: windowLayout(windows),
  });
  const patches = patchesOnly(b, outer);
  const joined = residual(b, patches.value, project(b, pixels, figures, !b.has('norm2_proj.weight')));
  const all = withClassToken(b, tokenAt(b, outer, 0), withValue(patches, joined));
  return [pixels, transform(b, all, ['attn_out', 'norm_out', 'mlp', 'norm_mlp'], outerHeads!, eps)];
}

/** The class token and the patches, made of their pixel embeddings, with their rows of `patch_pos`. */
function embedPatches(
  b: GraphBuilder,
  inner: Tokens,
  figures: EvidenceRecord,
  grid: Grid,
  batch: number,
): Tokens {
  const patches = gridTokens(project(b, inner, figures, false), batch, grid);
  const tokens = withClassToken(b, learnedToken(b, 'cls_token', batch), patches);
  const table = b.parameter('patch_pos');
  const own = b.slice(table, 1, 1, table.shape[1]!);
  const rows = [b.slice(table, 1, 0, 1), resampled(b, own, pairOf(figures, 'grid'), grid, timmResampling)];
  const placed = b.add('Add', [sequence(b, tokens), b.concat(rows, 1)]);
  return withValue(tokens, b.reshape(placed, tokens.value.shape));
}

function build(b: GraphBuilder, { evidence: figures }: Recognised, { imageSize, batch }: BuildOptions): void {
  const pixels = b.input('pixel_values', [batch, numberOf(figures, 'channels'), ...imageSize]);
  const patch = numberOf(figures, 'patch');
  const grid = [Math.floor(imageSize[0] / patch), Math.floor(imageSize[1] / patch)] as const;
  const inner = embedPixels(b, pixels, figures);
  let streams: readonly [Tokens, Tokens] = [inner, embedPatches(b, inner, figures, grid, batch)];
  for (let index = 0; index < numberOf(figures, 'depth'); index++) {
    const from = streams;
    streams = b.scope(`blocks.${index}`, () => block(b, from, figures), { title: 'TNT block' });
  }
  const last = withValue(streams[1], norm(b, streams[1].value, 'norm', numberOf(figures, 'eps')));
  const tokens = sequence(b, last);
  const pooled =
    wordOf(figures, 'pool') === 'avg' ? meanOfTokens(b, patchesOnly(b, last)) : tokenAt(b, last, 0);
  answer(b, pooled, tokens);
}

/** Transformer in Transformer (Han et al. 2021): an inner transformer among the pixels of each patch, an outer one among the patches. */
export const tnt: Family<Recognised, void> = {
  name: 'tnt',
  title: 'Transformer in Transformer',
  names: tntNames,
  assumable: ['heads', 'stride', 'pool', 'grid'],
  recognise: recogniseTnt,
  build,
};
