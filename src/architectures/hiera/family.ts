import { nearestDivisor } from '../divisors';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { gridOfLayout, sequence } from '../blocks/maps';
import { isResampling, resampled } from '../blocks/positions';
import { windowsOf, type Windows } from '../blocks/windows';
import type { BuildOptions, EvidenceRecord, Family, Found, Recognised } from '../family';
import { assumed, numberOf, numbersOf, pairOf, stored, wordOf } from '../figures';
import {
  hieraEncoder,
  hieraHead,
  hieraPatches,
  windowedPositions,
  withPositions,
  type HieraBlock,
} from '../groups/hieraBlocks';
import { hieraAssumable, hieraFigures, hieraTitle, requireUnits } from '../groups/hieraFigures';
import { tableOf } from '../groups/positionTable';
import { type TableLayout } from '../groups/tableLayout';
import { decide, imageSizeOf, recognisedFrom, sourcesOf, type Sources } from '../sources';
import { hieraNames } from './names';

/** Side of a mask unit on the first map, and how many stages attend within the units. */
function unitFigures(sources: Sources): EvidenceRecord {
  const table = sources.found.tensors.get('pos_embed_win')?.shape[2];
  const unit = table === undefined ? stored(8, 'as every published Hiera') : stored(table, 'pos_embed_win');
  const isCount = (value: unknown): boolean => Number.isInteger([value].flat()[0]);
  return {
    mask_unit: decide(sources, 'mask_unit', {
      config: ['masked_unit_size'],
      otherwise: unit,
      is: isCount,
      needed: 'a whole number',
    }),
    mask_unit_stages: decide(sources, 'mask_unit_stages', {
      otherwise: stored(2, 'as every published Hiera: the others see the whole map'),
      is: isCount,
      needed: 'a whole number',
    }),
  };
}

/** Pixels of a mask unit, `[height, width]`. */
function unitStep(figures: EvidenceRecord): Grid {
  const [strides, units] = [numbersOf(figures, 'patch_stride'), numbersOf(figures, 'mask_unit')];
  return [strides[0]! * units[0]!, strides.at(-1)! * units.at(-1)!];
}

/** Rows and columns of the position table where nothing tells them: whole mask units, as near to a square as they make. */
function unitGrid(layout: TableLayout, figures: EvidenceRecord): TableLayout {
  if (!layout.grid.assumed) return layout;
  const [rows, columns] = layout.grid.value as Grid;
  const [unit] = numbersOf(figures, 'mask_unit');
  const units = (rows * columns) / unit! ** 2;
  if (!Number.isInteger(units)) return layout;
  const across = nearestDivisor(units, Math.floor(Math.sqrt(units)));
  const grid: Grid = [(units / across) * unit!, across * unit!];
  return {
    ...layout,
    grid: assumed(grid, `${units} mask units of ${unit} × ${unit}, as near to a square as they make`),
    warnings: [
      `The position table pos_embed holds ${units} mask units, whose rows and columns it does not tell; ${grid.join(' × ')} positions were taken. State the image size or the grid.`,
    ],
  };
}

function recognise(evidences: Found): Recognised | undefined {
  const { tensors, dialect } = evidences;
  const sources = sourcesOf(evidences);
  const own = hieraFigures(sources);
  const table = tensors.get('pos_embed')?.shape;
  if (!own || !table) return undefined;
  const found = { ...own, ...unitFigures(sources) };
  const strides = numbersOf(found, 'patch_stride');
  const step = [strides[0]!, strides.at(-1)!] as const;
  const rough = table.length === 3 ? tableOf(sources, 'pos_embed', step) : undefined;
  const layout = rough && unitGrid(rough, found);
  const grid = layout?.grid ?? stored(table.slice(2), 'pos_embed');
  const [rows, columns] = grid.value as Grid;
  const { imageSize, figure } = imageSizeOf(sources, layout && [rows * step[0], columns * step[1]]);
  const figures: EvidenceRecord = {
    ...found,
    grid,
    resampling: stored(dialect.resampling[0], `as ${dialect.title} does`),
    image_size: figure.assumed && layout ? { ...layout.grid, value: figure.value } : figure,
  };
  return recognisedFrom(sources, {
    label: 'hiera',
    title: hieraTitle('Hiera', figures),
    evidence: figures,
    imageSize,
    sizeStep: unitStep(figures),
    pixels: 'imagenet',
    ...(layout && { warnings: layout.warnings }),
  });
}

/** Positions of the patches: one table resized to the grid, or a small one with that of a mask unit on top. */
function positions(b: GraphBuilder, figures: EvidenceRecord, grid: Grid): ValueInfo {
  const name = wordOf(figures, 'resampling');
  if (!isResampling(name)) throw new Error(`resampling: ${name} is not known`);
  return b.has('pos_embed_win')
    ? windowedPositions(b, 'pos_embed_win', grid, name)
    : resampled(b, b.parameter('pos_embed'), pairOf(figures, 'grid'), grid, name);
}

/** Blocks attend within mask units, whatever those are pooled to; a stage's first one as the stage before it. */
function build(b: GraphBuilder, { evidence: figures }: Recognised, options: BuildOptions): void {
  const step = unitStep(figures);
  requireUnits(options.imageSize, step, 'mask units');
  const units: Grid = [options.imageSize[0] / step[0], options.imageSize[1] / step[1]];
  const within = numberOf(figures, 'mask_unit_stages');
  const patches = hieraPatches(b, figures, options);
  const placed = withPositions(b, patches, positions(b, figures, gridOfLayout(patches.layout)));
  const windowsFor = ({ stage, pools }: HieraBlock, _: number, map: Grid): Windows | undefined =>
    stage - Number(pools) < within ? windowsOf(map, [map[0] / units[0], map[1] / units[1]]) : undefined;
  const tokens = hieraEncoder(b, placed, figures, windowsFor);
  hieraHead(b, tokens, sequence(b, tokens), numberOf(figures, 'eps'));
}

/** Hiera (Ryali et al. 2023, "Hiera: A Hierarchical Vision Transformer without the Bells-and-Whistles"). */
export const hiera: Family<Recognised, void> = {
  name: 'hiera',
  title: 'Hiera',
  names: hieraNames,
  assumable: [...hieraAssumable, 'mask_unit', 'mask_unit_stages', 'grid'],
  recognise,
  build,
};
