import type { Grid, Size } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { maybeNorm, withValue, type Tokens } from '../blocks/layers';
import { sequence } from '../blocks/maps';
import { tableBias, type TableOptions } from '../blocks/relativePosition';
import { patchesOnly } from '../blocks/specialTokens';
import { configuredImageSize, configuredModelType } from '../config';
import type { BuildOptions, Evidence, EvidenceRecord, Family, Found, Recognised } from '../family';
import { assumed, given, numberOf, pairOf, sideOrPair, stored, wordOf } from '../figures';
import { preNormBlock } from '../groups/evaBlocks';
import { measure, type Measures } from '../groups/measure';
import { plainAnswer } from '../groups/plainAnswer';
import { embed } from '../groups/plainEmbedding';
import { positionLayout, unseen } from '../groups/plainFigures';
import { titleOf } from '../names';
import { classesOf, decide, namesOf, recognisedFrom, sourcesOf, type Sources } from '../sources';
import { beitNames } from './names';

/** Tables of relative positions: one for all blocks, one for each, or both. */
const sharedTable = 'rel_pos_bias.relative_position_bias_table';
const ownTable = 'attn.relative_position_bias_table';

/** Grids whose distances, and three rows for the class token, fill a table. */
function gridsOf(tableRows: number): readonly Grid[] {
  const count = tableRows - 3;
  const sides = Array.from({ length: Math.max(count, 0) }, (_, index) => index + 1);
  return sides
    .filter((side) => count % side === 0 && side % 2 === 1 && (count / side) % 2 === 1)
    .map((side) => [(side + 1) / 2, (count / side + 1) / 2]);
}

/** Sides of an image in patches. */
const inPatches = (size: Size, { patch }: Measures): Grid => [
  Math.floor(size[0] / patch[0]),
  Math.floor(size[1] / patch[1]),
];

/** The grid that the table was made for: what the user or the config says where it fits, else a square, else the wanted image's. */
function nativeGrid(
  { found: evidences }: Sources,
  measures: Measures,
  tableRows: number,
): Evidence | undefined {
  const grids = gridsOf(tableRows);
  const fitting = (grid: unknown): Grid | undefined => grids.find((each) => String(each) === String(grid));
  const told = given(evidences, 'grid');
  const all = grids.map((grid) => grid.join(' × ')).join(', ');
  if (told) {
    if (fitting(told.value)) return told;
    throw new Error(`grid: ${String(told.value)} found; relative_position_bias_table fits ${all}`);
  }
  const config = configuredImageSize(evidences.checkpoint);
  const sure =
    fitting(config && inPatches(config.size, measures)) ??
    grids.find(([rows, columns]) => rows === columns) ??
    fitting(evidences.imageSize && inPatches(evidences.imageSize, measures));
  if (sure) return stored(sure, `relative_position_bias_table holds ${tableRows} rows`);
  const nearest = grids.find(([rows, columns]) => rows >= columns);
  return nearest && assumed(nearest, `the grid nearest to a square of those that fit (${all})`);
}

function sizeOf(
  { found: evidences }: Sources,
  { patch }: Measures,
  grid: Evidence,
): { readonly imageSize: Size; readonly figure: Evidence } {
  const config = configuredImageSize(evidences.checkpoint);
  const [rows, columns] = grid.value as Grid;
  const native: Size = [rows * patch[0], columns * patch[1]];
  const figure =
    (evidences.imageSize && stored(evidences.imageSize, 'given by the user')) ??
    (config && stored(config.size, config.source)) ??
    (grid.assumed ? assumed(native, 'the assumed grid') : stored(native, 'the table of relative positions'));
  return { imageSize: figure.value as readonly [number, number], figure };
}

function labelOf({ checkpoint }: Found, names: readonly string[]): string {
  const data2vec =
    configuredModelType(checkpoint) === 'data2vec-vision' ||
    names.some((name) => name.includes('data2vec')) ||
    checkpoint.selected.tensors.some(({ name }) => name.startsWith('data2vec_vision.'));
  if (data2vec) return 'data2vec-vision';
  return names.length > 0 && names.every((name) => name.startsWith('beitv2')) ? 'beitv2' : 'beit';
}

/** The vector of a picture: the normed mean of the patches where that norm is stored, else the class token. */
function poolOf(sources: Sources, normed: boolean): Evidence {
  return decide(sources, 'pool', {
    config: ['global_pool'],
    otherwise: normed
      ? stored('avg', 'fc_norm: the last norm comes after the mean')
      : stored('token', 'cls_token'),
    is: (value) => value === 'avg' || value === 'token',
    needed: 'avg or token',
  });
}

/** The table has a column for each head. Throws where the user says another number. */
function headsOf({ found: evidences }: Sources, columns: number): Evidence {
  const told = given(evidences, 'heads');
  if (told && Number(told.value) !== columns)
    throw new Error(
      `heads: ${String(told.value)} found; relative_position_bias_table has ${columns} columns`,
    );
  return stored(columns, 'relative_position_bias_table has a column for each');
}

function figuresOf(sources: Sources, measures: Measures, grid: Evidence, heads: number): EvidenceRecord {
  const { dialect, tensors } = sources.found;
  const layout = measures.positions > 0 ? positionLayout({ evidences: sources.found, measures }) : undefined;
  const shared = tensors.has(sharedTable);
  return {
    dim: stored(measures.dim, 'patch_embed.proj.weight'),
    depth: stored(measures.depth, 'blocks'),
    heads: headsOf(sources, heads),
    mlp_ratio: stored(measures.mlp / measures.dim, 'blocks.0.mlp.fc2.weight'),
    patch: stored(sideOrPair(measures.patch), 'patch_embed.proj.weight'),
    channels: stored(measures.channels, 'patch_embed.proj.weight'),
    grid,
    relative_position_bias: stored(
      shared ? 'shared' : 'per block',
      shared ? sharedTable : `blocks.0.${ownTable}`,
    ),
    position_slots: layout?.slots ?? stored(0, 'no table of absolute positions'),
    classes: classesOf(tensors, 'head'),
    eps: decide(sources, 'eps', {
      config: ['layer_norm_eps'],
      otherwise: stored(dialect.eps, `default of ${dialect.title}`),
      is: (value) => typeof value === 'number' && value >= 0 && value < 1,
      needed: 'a number from 0 to 1',
    }),
    activation: decide(sources, 'activation', {
      config: ['hidden_act'],
      otherwise: stored('gelu', `as ${dialect.title} builds BEiT`),
    }),
    pool: poolOf(sources, tensors.has('fc_norm.weight')),
    resampling: stored(dialect.resampling[0], `as ${dialect.title} does`),
    table_resampling: stored(
      dialect.name === 'transformers' ? 'bilinear' : 'geometric',
      `as ${dialect.title} does`,
    ),
  };
}

function recognise(evidences: Found): Recognised | undefined {
  const { tensors } = evidences;
  const measures = measure(tensors);
  const table = tensors.get(sharedTable)?.shape ?? tensors.get(`blocks.0.${ownTable}`)?.shape;
  if (!measures || !table) return undefined;
  const sources = sourcesOf(evidences);
  const grid = nativeGrid(sources, measures, table[0]!);
  if (!grid) return undefined;
  const { imageSize, figure } = sizeOf(sources, measures, grid);
  const label = labelOf(evidences, namesOf(sources));
  return recognisedFrom(sources, {
    label,
    title: titleOf(label, measures),
    evidence: { ...figuresOf(sources, measures, grid, table.at(-1)!), image_size: figure },
    imageSize,
    sizeStep: measures.patch,
    pixels: label === 'beit' ? 'half' : 'imagenet',
    warnings: unseen({ evidences, measures }),
  });
}

/** Blocks with the bias of relative positions: the shared one, each block's own, or their sum (Bao et al. 2022, §2.2). */
function encode(b: GraphBuilder, { evidence: figures }: Recognised, options: BuildOptions): Tokens {
  const settings = {
    heads: numberOf(figures, 'heads'),
    eps: numberOf(figures, 'eps'),
    activation: wordOf(figures, 'activation'),
  };
  let tokens = embed(b, figures, options);
  const grid = tokens.layout.grid as Grid;
  const table: TableOptions = {
    native: pairOf(figures, 'grid'),
    classToken: true,
    resizing: wordOf(figures, 'table_resampling') as NonNullable<TableOptions['resizing']>,
  };
  const biasOf = (name: string): ValueInfo | undefined =>
    b.has(name) ? tableBias(b, name, grid, table) : undefined;
  const shared = biasOf(sharedTable);
  for (let index = 0; index < numberOf(figures, 'depth'); index++) {
    const from = tokens;
    const value = b.scope(
      `blocks.${index}`,
      () => {
        const own = biasOf(ownTable);
        const bias = own && shared ? b.add('Add', [own, shared]) : (own ?? shared);
        return preNormBlock(b, from, { ...settings, ...(bias && { bias }) });
      },
      { title: 'Transformer block', formula: 'x + γ · f(norm(x))' },
    );
    tokens = withValue(tokens, value);
  }
  return withValue(tokens, maybeNorm(b, tokens.value, 'norm', settings.eps));
}

function build(b: GraphBuilder, recognised: Recognised, options: BuildOptions): void {
  const tokens = encode(b, recognised, options);
  if (b.has('lm_head.weight')) {
    const patches = patchesOnly(b, tokens);
    b.output('token_logits', sequence(b, withValue(patches, b.linear(patches.value, 'lm_head'))), 'tokens');
  }
  plainAnswer(b, tokens, recognised.evidence);
}

/** BEiT (Bao et al. 2022), BEiT v2 (Peng et al. 2022) and Data2Vec-vision (Baevski et al. 2022): attention biased by relative positions, class token included. */
export const beit: Family<Recognised, void> = {
  name: 'beit',
  title: 'BEiT',
  names: beitNames,
  idle: /^mask_token$/,
  assumable: ['heads', 'pool', 'eps', 'activation', 'grid'],
  recognise,
  build,
};
