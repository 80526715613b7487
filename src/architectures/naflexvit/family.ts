import { at, largest } from '../../domain/lists';
import type { Grid, Size } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { maybeNorm, withValue, type Tokens } from '../blocks/layers';
import { isResampling, resampled, resamplingNames, type ResamplingName } from '../blocks/positions';
import type { TokenMaps } from '../blocks/stages';
import { patchEmbedding } from '../blocks/transformer';
import { headsNear } from '../divisors';
import type { BuildOptions, Evidence, Family, Found, Recognised } from '../family';
import { assumed, configOf, stored, type ConfigOf } from '../evidence';
import { cutsOf } from '../groups/measure';
import { isotropicEvidence, poolOf, type IsotropicEvidence } from '../groups/isotropicConfig';
import { unseen } from '../groups/patchGrid';
import { normedMaps, throughBlocks } from '../groups/plain';
import { behindSpecials } from '../groups/plainEmbedding';
import { tokensAnswer, type Pool } from '../heads/tokens';
import { vitSize } from '../names';
import {
  activationOf,
  decide,
  headsOf,
  headsOfEach,
  imageSizeOf,
  recognisedFrom,
  sourcesOf,
  type Sources,
} from '../decide';
import { naflexvitNames } from './names';

type Tensors = Found['tensors'];

/** C-RADIO's encoders have a class token, registers and no norm behind the blocks. */
const isRadio = (tensors: Tensors): boolean =>
  tensors.has('embeds.cls_token') && !tensors.has('norm.weight') && !tensors.has('fc_norm.weight');

/**
 * What timm's entry functions set and no weight determines (timm 1.0.31, models/naflexvit.py); the
 * first row that fits the name.
 */
const resamplings: readonly (readonly [name: RegExp, way: ResamplingName])[] = [
  [/_siglip/, 'bilinear, antialias'],
  [/_(?:base|huge)_.*radio_v3/, 'bilinear, corners aligned'],
  [/radio/, 'bilinear'],
  [/^naflexvit_/, 'bicubic, antialias'],
];

const preserving: readonly (readonly [name: RegExp, keeps: boolean])[] = [
  [/radio|_par/, true],
  [/^naflexvit_/, false],
];

const untold = 'not stored in the weights';

/** Rows and columns of the table of positions, or of the two tables of rows and of columns. */
function gridOf(tensors: Tensors): Evidence<Grid> {
  const side = (name: string, axis: number): number => tensors.get(`embeds.${name}`)?.shape[axis] ?? 0;
  return tensors.has('embeds.pos_embed')
    ? stored([side('pos_embed', 1), side('pos_embed', 2)], 'embeds.pos_embed')
    : stored([side('pos_embed_y', 1), side('pos_embed_x', 1)], 'embeds.pos_embed_y and _x');
}

/** How the table of positions becomes one for another grid. */
function positionsOf(sources: Sources) {
  const { tensors } = sources.found;
  const square = tensors.has('embeds.pos_embed');
  const radio = isRadio(tensors);
  return {
    grid: gridOf(tensors),
    resampling: square
      ? decide<ResamplingName>(sources, 'resampling', {
          named: resamplings,
          otherwise: assumed<ResamplingName>(radio ? 'bilinear' : 'bicubic, antialias', untold),
          is: (value) => isResampling(String(value)),
          needed: `one of ${resamplingNames.join('; ')}`,
        })
      : stored<ResamplingName>('bilinear', 'tables of rows and columns are resampled linearly'),
    keep_aspect_ratio: decide(sources, 'keep_aspect_ratio', {
      config: ['pos_embed_ar_preserving'],
      named: preserving,
      otherwise: assumed(radio || !square, untold),
      is: (value) => typeof value === 'boolean',
      needed: 'true or false',
    }),
  };
}

/**
 * Heads of the blocks; pooling by attention has as many, which published models state once more.
 */
function headsOfBlocks(sources: Sources, dim: number, pooled: boolean): Evidence<number> {
  const heads = headsOf(sources, pooled ? [dim, dim] : [dim], { config: ['num_heads'], perHead: 64 });
  return { ...heads, value: at(headsOfEach(heads.value, 1), 0) };
}

/** Ways to pool whose parts are stored, the usual one first. */
function poolsOf(tensors: Tensors): readonly [Pool, ...Pool[]] {
  if (tensors.has('attn_pool.latent')) return ['map'];
  return tensors.has('embeds.cls_token') && !tensors.has('fc_norm.weight')
    ? ['token', 'avg']
    : ['avg', 'max'];
}

/** The hyper-parameters, in the order in which people see them. */
function evidenceOf(
  sources: Sources,
  parts: IsotropicEvidence,
  patch: Evidence<number>,
  imageSize: Evidence<Size>,
) {
  const { tensors } = sources.found;
  const pools = poolsOf(tensors);
  const mapped = pools[0] === 'map';
  const usual = mapped && !tensors.has('embeds.reg_token') ? 'gelu_tanh' : 'gelu';
  return {
    ...parts,
    activation: activationOf(sources, stored(usual, `default of ${sources.found.dialect.title}`)),
    heads: headsOfBlocks(sources, parts.dim.value, mapped),
    patch,
    image_size: imageSize,
    ...positionsOf(sources),
    norm_order: stored<'pre'>('pre', 'as timm builds NaFlexViT'),
    pool: poolOf(sources, pools, mapped ? 'attn_pool.latent' : 'the norms and tokens that are stored'),
  };
}

type NaflexConfig = ConfigOf<ReturnType<typeof evidenceOf>>;

/** Sides of published patches, the usual one first. */
const usualSides = [16, 14, 32, 8];

/**
 * Sides that a patch of so many values may have: of three channels, of one or four, or a usual one
 * of any other number.
 */
function sidesOf(width: number): readonly number[] {
  const cuts = cutsOf(width).map(({ patch: [side] }) => side);
  const usual = usualSides.filter((side) => width % side ** 2 === 0);
  const known = usual.filter((side) => cuts.includes(side));
  return cuts.length > 0 ? [...new Set([...known, ...cuts])] : usual;
}

/** Side of the patches: of a kernel, or of a linear layer over flattened pixels. */
function patchSide(sources: Sources): Evidence<number> | undefined {
  const shape = sources.found.tensors.get('embeds.proj.weight')?.shape ?? [];
  const [, width = 0, side] = shape;
  if (shape.length === 4 && side !== undefined) return stored(side, 'embeds.proj.weight');
  const sides = sidesOf(width);
  const [usual] = sides;
  if (usual === undefined) return undefined;
  return decide(sources, 'patch', {
    otherwise:
      sides.length > 1
        ? assumed(usual, `${width} values of a patch; no weight tells how many are channels`)
        : stored(usual, 'embeds.proj.weight'),
    is: (value) => typeof value === 'number' && Number.isInteger(width / value ** 2),
    needed: `a side of a patch of ${width} values`,
  });
}

/** Channels that the embedding reads: of a kernel, or of flattened patches of a side. */
const channelsOf = (shape: readonly number[], side: number): number =>
  shape.length === 4 ? at(shape, 1) : at(shape, 1) / side ** 2;

function recognise(found: Found): Recognised<NaflexConfig> | undefined {
  const { tensors } = found;
  const sources = sourcesOf(found);
  const parts = isotropicEvidence(sources);
  const patch = patchSide(sources);
  if (!parts || !patch) return undefined;
  const { imageSize, evidence: sized } = imageSizeOf(sources, [384, 384]);
  const settled = evidenceOf(sources, parts, patch, sized);
  const side = patch.value;
  const config = configOf(settled);
  return recognisedFrom(sources, {
    label: 'naflexvit',
    title: `NaFlex${vitSize(config.depth, config.dim, side)}`,
    config,
    evidence: settled,
    imageSize,
    sizeStep: [side, side],
    pixels: isRadio(tensors) ? 'clip' : 'half',
    choices: { heads: headsNear(config.dim, config.heads), resampling: resamplingNames },
    warnings: unseen(found, [side, side]),
  });
}

/**
 * Positions `[1, rows · columns, dim]` of a grid, resampled to it, or to the square around it, of
 * which the grid is the upper left.
 */
function positions(
  b: GraphBuilder,
  grid: Grid,
  { grid: native, resampling, keep_aspect_ratio: keeps }: NaflexConfig,
): ValueInfo {
  const longest = largest(grid);
  const target: Grid = keeps ? [longest, longest] : grid;
  const dim = at(b.shapeOf('proj.weight'), 0);
  const cut = (x: ValueInfo, axis: number, from: number, to: number): ValueInfo =>
    from === to ? x : b.slice(x, axis, 0, to);
  if (!b.has('pos_embed')) {
    const along = (name: string, from: number, to: number, asked: number): ValueInfo =>
      cut(resampled(b, b.parameter(name), [from, 1], [to, 1], resampling), 1, to, asked);
    const down = along('pos_embed_y', native[0], target[0], grid[0]);
    const rows = b.reshape(down, [1, grid[0], 1, dim]);
    const right = along('pos_embed_x', native[1], target[1], grid[1]);
    const columns = b.reshape(right, [1, 1, grid[1], dim]);
    return b.reshape(b.add('Add', [rows, columns]), [1, grid[0] * grid[1], dim]);
  }
  const table = b.parameter('pos_embed', [1, native[0] * native[1], dim]);
  if (native[0] === grid[0] && native[1] === grid[1]) return table;
  const square = b.reshape(resampled(b, table, native, target, resampling), [1, ...target, dim]);
  const upper = cut(square, 1, target[0], grid[0]);
  return b.reshape(cut(upper, 2, target[1], grid[1]), [1, grid[0] * grid[1], dim]);
}

/**
 * Pixels to tokens: flattened patches, positions for any grid, special tokens without positions.
 */
function embed(b: GraphBuilder, config: NaflexConfig, { imageSize, batch }: BuildOptions): Tokens {
  const { patch, eps } = config;
  const channels = channelsOf(b.shapeOf('embeds.proj.weight'), patch);
  const pixels = b.input('pixel_values', [batch, channels, ...imageSize]);
  const tokens = b.scope(
    'embeds',
    () => {
      const { patches, grid } = patchEmbedding(b, pixels, [patch, patch]);
      const placed = b.add('Add', [maybeNorm(b, patches, 'norm', eps), positions(b, grid, config)]);
      return behindSpecials(b, { patches: placed, grid }, 0, batch);
    },
    { title: 'Patches, positions and special tokens' },
  );
  return withValue(tokens, maybeNorm(b, tokens.value, 'norm_pre', eps));
}

function build(b: GraphBuilder, config: NaflexConfig, options: BuildOptions): TokenMaps {
  return normedMaps(b, throughBlocks(b, embed(b, config, options), config), config.eps, options);
}

/**
 * NaFlexViT (timm, after NaViT, Dehghani et al. 2023, and FlexiViT, Beyer et al. 2023): any grid of
 * patches, resampled positions; SigLIP 2 NaFlex, C-RADIO.
 */
export const naflexvit: Family<NaflexConfig, TokenMaps> = {
  name: 'naflexvit',
  title: 'NaFlexViT',
  names: naflexvitNames,
  assumable: ['patch', 'heads', 'activation', 'eps', 'pool', 'resampling', 'keep_aspect_ratio'],
  recognise,
  build,
  head: tokensAnswer,
};
