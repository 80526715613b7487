import { at } from '../../domain/lists';
import type { Grid, Size } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { gridOfLayout, sequence } from '../blocks/maps';
import { resampled, type ResamplingName } from '../blocks/positions';
import type { TokenMaps } from '../blocks/stages';
import { windowsOf, type Windows } from '../blocks/windows';
import { nearestDivisor } from '../divisors';
import type { BuildOptions, ConfigValue, Evidence, Family, Found, Recognised } from '../family';
import { assumed, numbersIn, stored } from '../evidence';
import {
  hieraAnswer,
  hieraEncoder,
  hieraMaps,
  hieraPatches,
  windowedPositions,
  withPositions,
  type HieraBlock,
} from '../groups/hieraBlocks';
import {
  hieraAssumable,
  hieraConfig,
  hieraEvidence,
  hieraTitle,
  requireUnits,
  sidesIn,
  type HieraConfig,
} from '../groups/hieraConfig';
import { tableOf } from '../groups/positionTable';
import { type TableLayout } from '../groups/tableLayout';
import { decide, imageSizeOf, recognisedFrom, sourcesOf, type Sources } from '../decide';
import { hieraNames } from './names';

interface UnitConfig extends HieraConfig {
  /** Sides of a mask unit on the first map. */
  readonly maskUnit: Size;
  /** How many stages attend within the units. */
  readonly maskUnitStages: number;
  /** Rows and columns of the position table. */
  readonly grid: Grid;
  readonly resampling: ResamplingName;
}

/** Side of a mask unit on the first map, and how many stages attend within the units. */
type UnitEvidence = {
  readonly mask_unit: Evidence<number | readonly number[]>;
  readonly mask_unit_stages: Evidence<number>;
};

/** A flag for each stage, of which those of the first stages alone are set: their number. */
function unitStages(sources: Sources): Evidence<number> {
  const evidence = decide<number | readonly number[]>(sources, 'mask_unit_stages', {
    config: ['masked_unit_attention', 'mask_unit_attn'],
    otherwise: stored(2, 'as every published Hiera: the others see the whole map'),
    is: (value) =>
      Number.isInteger(value) ||
      (Array.isArray(value) && value.every((flag, stage) => stage === 0 || flag <= at(value, stage - 1))),
    needed: 'a number of stages, or a list of flags that begins with those that are set,',
  });
  const { value } = evidence;
  return {
    ...evidence,
    value: typeof value === 'number' ? value : value.reduce((sum, flag) => sum + flag, 0),
  };
}

function unitEvidence(sources: Sources): UnitEvidence {
  const table = sources.found.tensors.get('pos_embed_win')?.shape[2];
  const unit = table === undefined ? stored(8, 'as every published Hiera') : stored(table, 'pos_embed_win');
  const isCount = (value: ConfigValue): boolean => Number.isInteger([value].flat()[0]);
  return {
    mask_unit: decide<number | readonly number[]>(sources, 'mask_unit', {
      config: ['masked_unit_size'],
      otherwise: unit,
      is: isCount,
      needed: 'a whole number',
    }),
    mask_unit_stages: unitStages(sources),
  };
}

/** Pixels of a mask unit. */
const unitStep = ({ patchStride, maskUnit }: Pick<UnitConfig, 'patchStride' | 'maskUnit'>): Size => [
  patchStride[0] * maskUnit[0],
  patchStride[1] * maskUnit[1],
];

/**
 * Rows and columns of the position table if nothing gives them: whole mask units of `unit` ×
 * `unit`, as near to a square as they make.
 */
function unitGrid(layout: TableLayout, unit: number): TableLayout {
  if (!layout.grid.assumed) return layout;
  const [rows, columns] = layout.grid.value;
  const units = (rows * columns) / unit ** 2;
  if (!Number.isInteger(units)) return layout;
  const across = nearestDivisor(units, Math.floor(Math.sqrt(units)));
  const grid: Grid = [(units / across) * unit, across * unit];
  return {
    ...layout,
    grid: assumed(grid, `${units} mask units of ${unit} × ${unit}, as near to a square as they make`),
    warnings: [
      `The position table pos_embed holds ${units} mask units, whose rows and columns it does not tell; ${grid.join(' × ')} positions were taken. State the image size or the grid.`,
    ],
  };
}

function recognise(found: Found): Recognised<UnitConfig> | undefined {
  const { tensors, dialect } = found;
  const sources = sourcesOf(found);
  const own = hieraEvidence(sources);
  const table = tensors.get('pos_embed')?.shape;
  if (!own || !table) return undefined;
  const units = unitEvidence(sources);
  const base = hieraConfig(own);
  const step = base.patchStride;
  const rough = table.length === 3 ? tableOf(sources, 'pos_embed', step) : undefined;
  const layout = rough && unitGrid(rough, at(numbersIn(units.mask_unit.value), 0));
  const [, , tableRows = 0, tableColumns = 0] = table;
  const grid = layout?.grid ?? stored<Grid>([tableRows, tableColumns], 'pos_embed');
  const [rows, columns] = grid.value;
  const { imageSize, evidence: sized } = imageSizeOf(sources, layout && [rows * step[0], columns * step[1]]);
  const [resampling] = dialect.resampling;
  const config: UnitConfig = {
    ...base,
    maskUnit: sidesIn(units.mask_unit.value),
    maskUnitStages: units.mask_unit_stages.value,
    grid: grid.value,
    resampling,
  };
  return recognisedFrom(sources, {
    label: 'hiera',
    title: hieraTitle('Hiera', own),
    evidence: {
      ...own,
      ...units,
      grid,
      resampling: stored(resampling, `as ${dialect.title} does`),
      image_size: sized.assumed && layout ? { ...layout.grid, value: sized.value } : sized,
    },
    config,
    imageSize,
    sizeStep: unitStep(config),
    pixels: 'imagenet',
    ...(layout && { warnings: layout.warnings }),
  });
}

/**
 * Positions of the patches: one table resized to the grid, or a small one with that of a mask unit
 * on top.
 */
const positions = (b: GraphBuilder, { grid: native, resampling }: UnitConfig, grid: Grid): ValueInfo =>
  b.has('pos_embed_win')
    ? windowedPositions(b, 'pos_embed_win', grid, resampling)
    : resampled(b, b.parameter('pos_embed'), native, grid, resampling);

/**
 * Writes blocks that attend within mask units, whatever those are pooled to; a stage's first one as
 * the stage before it.
 */
function build(b: GraphBuilder, config: UnitConfig, options: BuildOptions): TokenMaps {
  const { imageSize, visible } = options;
  requireUnits(imageSize, unitStep(config), 'mask units');
  const patches = hieraPatches(b, config, options);
  const placed = withPositions(b, patches, positions(b, config, gridOfLayout(patches.layout)));
  const first = visible?.(b, placed) ?? placed;
  const [rows, columns] = gridOfLayout(first.layout);
  const [down, across] = [rows / config.maskUnit[0], columns / config.maskUnit[1]];
  const windowsFor = ({ stage, pools }: HieraBlock, map: Grid): Windows | undefined =>
    stage - Number(pools) < config.maskUnitStages
      ? windowsOf(map, [map[0] / down, map[1] / across])
      : undefined;
  return hieraMaps(hieraEncoder(b, first, config, windowsFor, visible !== undefined), imageSize);
}

/**
 * Hiera (Ryali et al. 2023, "Hiera: A Hierarchical Vision Transformer without the
 * Bells-and-Whistles").
 */
export const hiera: Family<UnitConfig, TokenMaps> = {
  name: 'hiera',
  title: 'Hiera',
  names: hieraNames,
  assumable: [...hieraAssumable, 'mask_unit', 'mask_unit_stages', 'grid'],
  recognise,
  build,
  head: (b, { tokens }, { eps }) => hieraAnswer(b, tokens, sequence, eps),
};
