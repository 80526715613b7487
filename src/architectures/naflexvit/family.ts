import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { maybeNorm, withValue, type Tokens } from '../blocks/layers';
import { isResampling, resampled, resamplingNames, type ResamplingName } from '../blocks/positions';
import { patchEmbedding } from '../blocks/transformer';
import type { BuildOptions, Evidence, EvidenceRecord, Family, Found, Recognised } from '../family';
import { assumed, headsNear, numberOf, pairOf, stored, wordOf } from '../figures';
import { activationOf, isotropicFigures, poolOf } from '../groups/isotropicFigures';
import { throughBlocks } from '../groups/plain';
import { plainAnswer } from '../groups/plainAnswer';
import { behindSpecials } from '../groups/plainEmbedding';
import { unseen } from '../groups/plainFigures';
import { vitSize } from '../names';
import { decide, headsOf, imageSizeOf, recognisedFrom, sourcesOf, type Sources } from '../sources';
import { naflexvitNames } from './names';

type Tensors = Found['tensors'];

/** C-RADIO's encoders have a class token, registers and no norm behind the blocks. */
const isRadio = (tensors: Tensors): boolean =>
  tensors.has('embeds.cls_token') && !tensors.has('norm.weight') && !tensors.has('fc_norm.weight');

/** What timm's entry functions set and no weight tells (timm 1.0.31, models/naflexvit.py); the first row that fits the name. */
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

/** How the table of positions becomes one for another grid. */
function positionFigures(sources: Sources): EvidenceRecord {
  const { tensors } = sources.found;
  const shape = tensors.get('embeds.pos_embed')?.shape;
  const [rows, columns] = shape
    ? [shape[1]!, shape[2]!]
    : [tensors.get('embeds.pos_embed_y')?.shape[1] ?? 0, tensors.get('embeds.pos_embed_x')?.shape[1] ?? 0];
  const radio = isRadio(tensors);
  return {
    grid: stored([rows, columns], shape ? 'embeds.pos_embed' : 'embeds.pos_embed_y and _x'),
    resampling: shape
      ? decide(sources, 'resampling', {
          named: resamplings,
          otherwise: assumed(radio ? 'bilinear' : 'bicubic, antialias', untold),
          is: (value) => isResampling(String(value)),
          needed: `one of ${resamplingNames.join('; ')}`,
        })
      : stored('bilinear', 'tables of rows and columns are resampled linearly'),
    keep_aspect_ratio: decide(sources, 'keep_aspect_ratio', {
      config: ['pos_embed_ar_preserving'],
      named: preserving,
      otherwise: assumed(radio || !shape, untold),
      is: (value) => typeof value === 'boolean',
      needed: 'true or false',
    }),
  };
}

/** Heads of the blocks; pooling by attention has as many, which published models state once more. */
function headFigure(sources: Sources, dim: number, pooled: boolean): Evidence {
  const heads = headsOf(sources, pooled ? [dim, dim] : [dim], { config: ['num_heads'], perHead: 64 });
  return { ...heads, value: [heads.value].flat()[0]! };
}

/** Ways to pool whose parts are stored, the usual one first. */
function poolsOf(tensors: Tensors): readonly [string, ...string[]] {
  if (tensors.has('attn_pool.latent')) return ['map'];
  return tensors.has('embeds.cls_token') && !tensors.has('fc_norm.weight')
    ? ['token', 'avg']
    : ['avg', 'max'];
}

function recognise(evidences: Found): Recognised | undefined {
  const { tensors } = evidences;
  const sources = sourcesOf(evidences);
  const parts = isotropicFigures(sources);
  const projection = tensors.get('embeds.proj.weight')?.shape ?? [];
  const side = projection.length === 4 ? projection[2]! : Math.sqrt((projection[1] ?? 0) / 3);
  if (!parts || !Number.isInteger(side)) return undefined;
  const pools = poolsOf(tensors);
  const dim = numberOf(parts, 'dim');
  const { imageSize, figure } = imageSizeOf(sources, [384, 384]);
  const siglip = pools[0] === 'map' && !tensors.has('embeds.reg_token');
  const heads = headFigure(sources, dim, pools[0] === 'map');
  return recognisedFrom(sources, {
    label: 'naflexvit',
    title: `NaFlex${vitSize(numberOf(parts, 'depth'), dim, side)}`,
    evidence: {
      ...parts,
      activation: activationOf(sources, siglip ? 'gelu_tanh' : 'gelu'),
      heads,
      patch: stored(side, 'embeds.proj.weight'),
      image_size: figure,
      ...positionFigures(sources),
      norm_order: stored('pre', 'as timm builds NaFlexViT'),
      pool: poolOf(
        sources,
        pools,
        pools[0] === 'map' ? 'attn_pool.latent' : 'the norms and tokens that are stored',
      ),
    },
    imageSize,
    sizeStep: [side, side],
    pixels: isRadio(tensors) ? 'clip' : 'half',
    choices: { heads: headsNear(dim, Number(heads.value)), resampling: resamplingNames },
    warnings: unseen({ evidences, measures: { patch: [side, side] } }),
  });
}

/** Positions `[1, rows · columns, dim]` of a grid, resampled to it, or to the square around it, of which the grid is the upper left. */
function positions(b: GraphBuilder, grid: Grid, figures: EvidenceRecord): ValueInfo {
  const native = pairOf(figures, 'grid');
  const way = wordOf(figures, 'resampling') as ResamplingName;
  const longest = Math.max(...grid);
  const target: Grid = figures['keep_aspect_ratio']!.value === true ? [longest, longest] : grid;
  const dim = b.shapeOf('proj.weight')[0]!;
  if (!b.has('pos_embed')) {
    const along = (name: string, axis: 0 | 1): ValueInfo => {
      const table = resampled(b, b.parameter(name), [native[axis], 1], [target[axis], 1], way);
      return target[axis] === grid[axis] ? table : b.slice(table, 1, 0, grid[axis]);
    };
    const rows = b.reshape(along('pos_embed_y', 0), [1, grid[0], 1, dim]);
    const columns = b.reshape(along('pos_embed_x', 1), [1, 1, grid[1], dim]);
    return b.reshape(b.add('Add', [rows, columns]), [1, grid[0] * grid[1], dim]);
  }
  const table = b.parameter('pos_embed', [1, native[0] * native[1], dim]);
  if (native[0] === grid[0] && native[1] === grid[1]) return table;
  const square = b.reshape(resampled(b, table, native, target, way), [1, ...target, dim]);
  const cut = [0, 1].reduce(
    (map, axis) => (target[axis] === grid[axis] ? map : b.slice(map, axis + 1, 0, grid[axis]!)),
    square,
  );
  return b.reshape(cut, [1, grid[0] * grid[1], dim]);
}

/** Pixels to tokens: flattened patches, positions for any grid, special tokens without positions. */
function embed(b: GraphBuilder, figures: EvidenceRecord, { imageSize, batch }: BuildOptions): Tokens {
  const pixels = b.input('pixel_values', [batch, 3, ...imageSize]);
  const eps = numberOf(figures, 'eps');
  const tokens = b.scope(
    'embeds',
    () => {
      const { patches, grid } = patchEmbedding(b, pixels, pairOf(figures, 'patch'));
      const placed = b.add('Add', [maybeNorm(b, patches, 'norm', eps), positions(b, grid, figures)]);
      return behindSpecials(b, { patches: placed, grid }, 0, batch);
    },
    { title: 'Patches, positions and special tokens' },
  );
  return withValue(tokens, maybeNorm(b, tokens.value, 'norm_pre', eps));
}

function build(b: GraphBuilder, { evidence: figures }: Recognised, options: BuildOptions): void {
  const last = throughBlocks(b, embed(b, figures, options), figures);
  plainAnswer(b, withValue(last, maybeNorm(b, last.value, 'norm', numberOf(figures, 'eps'))), figures);
}

/** NaFlexViT (timm, after NaViT, Dehghani et al. 2023, and FlexiViT, Beyer et al. 2023): any grid of patches, resampled positions; SigLIP 2 NaFlex, C-RADIO. */
export const naflexvit: Family<Recognised, void> = {
  name: 'naflexvit',
  title: 'NaFlexViT',
  names: naflexvitNames,
  assumable: ['heads', 'activation', 'eps', 'pool', 'resampling', 'keep_aspect_ratio'],
  recognise,
  build,
};
