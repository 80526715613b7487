import type { Grid, Size } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { withValue, type Tokens } from '../blocks/layers';
import { sequence } from '../blocks/maps';
import type { ResamplingName } from '../blocks/positions';
import { tableBias, type TableOptions } from '../blocks/relativePosition';
import { patchesOnly } from '../blocks/specialTokens';
import { eachBlock, tokenStage, type TokenMaps } from '../blocks/stages';
import { configuredImageSize, configuredModelType, sizeToRun } from '../config';
import type { BuildOptions, Evidence, Family, Found, Recognised } from '../family';
import { assumed, configOf, given, sideOrPair, stored, type ConfigOf } from '../evidence';
import { preNormBlock } from '../groups/evaBlocks';
import { measure, type Measures } from '../groups/measure';
import { inPatches, positionLayout, unseen } from '../groups/patchGrid';
import { normedMaps } from '../groups/plain';
import { embed } from '../groups/plainEmbedding';
import { gridsOf, isLikelyGrid } from '../groups/tableLayout';
import { tokensAnswer } from '../heads/tokens';
import { titleOf } from '../names';
import {
  activationOf,
  classesOf,
  decide,
  namesIn,
  namesOf,
  recognisedFrom,
  sourcesOf,
  type SettledSize,
  type Sources,
  publishedSizes,
} from '../decide';
import { beitNames } from './names';

/** Tables of relative positions: one for all blocks, one for each, or both. */
const sharedTable = 'rel_pos_bias.relative_position_bias_table';
const ownTable = 'attn.relative_position_bias_table';

/** Rows of a table for the class token, behind those of the distances. */
const classRows = 3;

/** Grids whose distances fill a table. */
const gridsIn = (tableRows: number): readonly Grid[] =>
  gridsOf(tableRows - classRows)
    .filter(([rows, columns]) => rows % 2 === 1 && columns % 2 === 1)
    .map(([rows, columns]) => [(rows + 1) / 2, (columns + 1) / 2]);

/** Those of the grids that somebody may have made, if there are any. */
function likelyOf(grids: readonly Grid[]): readonly Grid[] {
  const likely = grids.filter(isLikelyGrid);
  return likely.length > 0 ? likely : grids;
}

const textOf = (grids: readonly Grid[]): string => grids.map((grid) => grid.join(' × ')).join(', ');

/**
 * The grid that the table was made for: the user's, the config's, a published model's or the wanted
 * image's if it fits, else the only one, else the nearest to a square, which is assumed. Throws if
 * the user's does not fit.
 */
function nativeGrid(sources: Sources, { patch }: Measures, tableRows: number): Evidence<Grid> | undefined {
  const { found } = sources;
  const grids = gridsIn(tableRows);
  const fitting = (grid: unknown): Grid | undefined => grids.find((each) => String(each) === String(grid));
  const fittingSize = (size: Size | undefined): Grid | undefined => size && fitting(inPatches(size, patch));
  const told = given(found, 'grid');
  const likely = likelyOf(grids);
  if (told) {
    const grid = fitting(told.value);
    if (grid) return { ...told, value: grid };
    throw new Error(`grid: ${String(told.value)} found; relative_position_bias_table fits ${textOf(grids)}`);
  }
  const square = likely.find(([rows, columns]) => rows === columns);
  const sure =
    fittingSize(configuredImageSize(found.checkpoint)?.size) ??
    publishedSizes(sources)
      .map(({ size }) => fittingSize(size))
      .find((grid) => grid !== undefined) ??
    fittingSize(found.imageSize) ??
    (likely.length === 1 ? square : undefined);
  if (sure) return stored(sure, `relative_position_bias_table holds ${tableRows} rows`);
  const nearest = square ?? likely.find(([rows, columns]) => rows >= columns);
  return nearest && assumed(nearest, `the grid nearest to a square of those that fit (${textOf(likely)})`);
}

/** Says that the table fits other grids, too, if nothing tells which. */
const doubtOfGrid = (grid: Evidence<Grid>, tableRows: number): readonly string[] =>
  grid.assumed
    ? [
        `The table of relative positions fits several grids (${textOf(likelyOf(gridsIn(tableRows)))}); ${grid.value.join(' × ')} was taken. State the image size or the grid.`,
      ]
    : [];

function sizeOf({ found }: Sources, { patch }: Measures, grid: Evidence<Grid>): SettledSize {
  const config = sizeToRun(found.checkpoint);
  const [rows, columns] = grid.value;
  const native: Size = [rows * patch[0], columns * patch[1]];
  const sized =
    (found.imageSize && stored(found.imageSize, 'given by the user')) ??
    (config && stored(config.size, config.source)) ??
    (grid.assumed ? assumed(native, 'the assumed grid') : stored(native, 'the table of relative positions'));
  return { imageSize: sized.value, evidence: sized };
}

function labelOf({ checkpoint }: Found, names: readonly string[]): string {
  const data2vec =
    configuredModelType(checkpoint) === 'data2vec-vision' ||
    names.some((name) => name.includes('data2vec')) ||
    checkpoint.selected.tensors.some(({ name }) => name.startsWith('data2vec_vision.'));
  if (data2vec) return 'data2vec-vision';
  return names.length > 0 && names.every((name) => name.startsWith('beitv2')) ? 'beitv2' : 'beit';
}

type Pool = 'avg' | 'token';

/**
 * The vector of an image: the normed mean of the patches if that norm is stored, else the class
 * token.
 */
function poolOf(sources: Sources, normed: boolean): Evidence<Pool> {
  return decide<Pool>(sources, 'pool', {
    config: ['global_pool'],
    otherwise: normed
      ? stored<Pool>('avg', 'fc_norm: the last norm comes after the mean')
      : stored<Pool>('token', 'cls_token'),
    is: (value) => value === 'avg' || value === 'token',
    needed: 'avg or token',
  });
}

/** The table has a column for each head. Throws if the user's number is another. */
function headsOf({ found }: Sources, columns: number): Evidence<number> {
  const told = given(found, 'heads');
  if (told && Number(told.value) !== columns)
    throw new Error(
      `heads: ${String(told.value)} found; relative_position_bias_table has ${columns} columns`,
    );
  return stored(columns, 'relative_position_bias_table has a column for each');
}

/** How the library makes a table for another grid. */
const tableResampling = ({ name, title }: Found['dialect']): Evidence<'bilinear' | 'geometric'> => ({
  value: name === 'transformers' ? 'bilinear' : 'geometric',
  source: `as ${title} does`,
  assumed: false,
});

/** The hyper-parameters, in the order in which people see them. */
function evidenceOf(
  sources: Sources,
  measures: Measures,
  grid: Evidence<Grid>,
  { heads, size }: { readonly heads: number; readonly size: Evidence<Size> },
) {
  const { found } = sources;
  const { dialect, tensors } = found;
  const layout = measures.positions > 0 ? positionLayout({ found, measures }, namesIn(sources)) : undefined;
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
    activation: activationOf(
      sources,
      tensors.has('blocks.0.mlp.fc1_g.weight')
        ? stored('silu', 'blocks.0.mlp.fc1_g: SwiGLU')
        : stored('gelu', `as ${dialect.title} builds BEiT`),
      { config: ['hidden_act'] },
    ),
    pool: poolOf(sources, tensors.has('fc_norm.weight')),
    resampling: stored<ResamplingName>(dialect.resampling[0], `as ${dialect.title} does`),
    table_resampling: tableResampling(dialect),
    image_size: size,
  };
}

type BeitConfig = Omit<ConfigOf<ReturnType<typeof evidenceOf>>, 'patch'> & { readonly patch: Size };

function recognise(found: Found): Recognised<BeitConfig> | undefined {
  const { tensors } = found;
  const measures = measure(tensors);
  const [rows, heads] = tensors.get(sharedTable)?.shape ?? tensors.get(`blocks.0.${ownTable}`)?.shape ?? [];
  if (!measures || rows === undefined || heads === undefined) return undefined;
  const sources = sourcesOf(found);
  const grid = nativeGrid(sources, measures, rows);
  if (!grid) return undefined;
  const { imageSize, evidence: size } = sizeOf(sources, measures, grid);
  const label = labelOf(found, namesOf(sources));
  const settled = evidenceOf(sources, measures, grid, { heads, size });
  return recognisedFrom(sources, {
    label,
    title: titleOf(label, measures),
    config: { ...configOf(settled), patch: measures.patch },
    evidence: settled,
    imageSize,
    sizeStep: measures.patch,
    pixels: label === 'beit' ? 'half' : 'imagenet',
    warnings: [...doubtOfGrid(grid, rows), ...unseen(found, measures.patch)],
  });
}

/**
 * Writes blocks with the bias of relative positions: the shared one, each block's own, or their sum
 * (Bao et al. 2022, §2.2).
 */
function build(b: GraphBuilder, config: BeitConfig, options: BuildOptions): TokenMaps {
  const { heads, eps, activation, depth } = config;
  const embedded = embed(b, config, options);
  const grid = inPatches(options.imageSize, config.patch);
  const table: TableOptions = { native: config.grid, classToken: true, resizing: config.table_resampling };
  const biasOf = (name: string): ValueInfo | undefined =>
    b.has(name) ? tableBias(b, name, grid, table) : undefined;
  const shared = biasOf(sharedTable);
  const block = (tokens: Tokens): Tokens => {
    const own = biasOf(ownTable);
    const bias = own && shared ? b.add('Add', [own, shared]) : (own ?? shared);
    return withValue(tokens, preNormBlock(b, tokens, { heads, eps, activation, ...(bias && { bias }) }));
  };
  const note = { title: 'Transformer block', formula: 'x + γ · f(norm(x))' };
  const blocks = eachBlock(b, embedded, { depth, block, note });
  return { ...normedMaps(b, blocks, eps, options), front: [tokenStage(embedded, options.imageSize)] };
}

/**
 * Ends with a classifier, and with `token_logits` of the patches if the head of the training is
 * stored.
 */
function head(b: GraphBuilder, maps: TokenMaps, config: BeitConfig): void {
  if (b.has('lm_head.weight')) {
    const patches = patchesOnly(b, maps.tokens);
    b.output('token_logits', sequence(b, withValue(patches, b.linear(patches.value, 'lm_head'))), 'tokens');
  }
  tokensAnswer(b, maps, config);
}

/**
 * BEiT (Bao et al. 2022), BEiT v2 (Peng et al. 2022) and Data2Vec-vision (Baevski et al. 2022):
 * attention biased by relative positions, class token included.
 */
export const beit: Family<BeitConfig, TokenMaps> = {
  name: 'beit',
  title: 'BEiT',
  names: beitNames,
  idle: /^mask_token$/,
  assumable: ['heads', 'pool', 'eps', 'activation', 'grid'],
  recognise,
  build,
  head,
};
