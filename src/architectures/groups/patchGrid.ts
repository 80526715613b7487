import type { Grid, Size } from '../../domain/size';
import { configuredImageSize, sizeToRun } from '../config';
import type { ConfigValue, Found } from '../family';
import { given } from '../evidence';
import { publishedArchitecture } from '../published/headers';
import type { Measures } from './measure';
import { tableLayout, type TableLayout, type TableMeasures } from './tableLayout';

/** What determines a position table's layout and the image that fills it. */
interface Placed {
  readonly found: Found;
  /** `patch`: pixels per position. */
  readonly measures: TableMeasures & Pick<Measures, 'patch'>;
}

const isPair = (value: ConfigValue): value is Grid =>
  Array.isArray(value) && value.length === 2 && value.every((side) => typeof side === 'number');

/** Sides of an image in whole patches. */
export const inPatches = ([height, width]: Size, [down, right]: Size): Grid => [
  Math.floor(height / down),
  Math.floor(width / right),
];

/** The grid that the user typed in. Throws if it is none. */
function givenGrid(found: Found): Grid | undefined {
  const value = given(found, 'grid')?.value;
  if (value === undefined || isPair(value)) return value;
  throw new Error(`grid: ${String(value)} found; two numbers [rows, columns] are needed`);
}

/** Image sizes of timm's models of these names. */
const sizesOf = (names: readonly string[]): readonly { readonly size: Size; readonly source: string }[] =>
  names.flatMap((name) => {
    const size = publishedArchitecture(name)?.imageSize;
    return size ? [{ size, source: `the image size of ${name}` }] : [];
  });

/**
 * The position table's layout; `names` are published models of the same sizes. Throws if the grid
 * that the user gave does not fit it.
 */
export function positionLayout(
  { found, measures }: Placed,
  names: readonly string[],
): TableLayout | undefined {
  const grid = givenGrid(found);
  const config = configuredImageSize(found.checkpoint);
  const asked = found.imageSize;
  const sized = [
    ...(config ? [config] : []),
    ...(asked ? [{ size: asked, source: 'the image size given by the user' }] : []),
    ...sizesOf(names),
  ].map(({ size, source }) => ({ grid: inPatches(size, measures.patch), source }));
  const layout = tableLayout(measures, [
    ...(grid ? [{ grid, source: 'the grid given by the user' }] : []),
    ...sized,
  ]);
  if (grid && layout?.grid.value !== grid)
    throw new Error(
      `grid: ${String(grid)} found; pos_embed holds ${measures.positions} rows, special tokens included`,
    );
  return layout;
}

/** Image size by the user, the configurations or the position table. */
export function positionedSize(
  { found, measures }: Placed,
  { grid }: TableLayout,
): { readonly size: Size; readonly source: string } {
  if (found.imageSize) return { size: found.imageSize, source: 'given by the user' };
  const stated = sizeToRun(found.checkpoint);
  if (stated) return stated;
  const [rows, columns] = grid.value;
  const [height, width] = measures.patch;
  return { size: [rows * height, columns * width], source: 'the position table' };
}

/**
 * Says which pixels of an asked-for size no patch reaches: libraries round down as well, or refuse.
 */
export function unseen({ imageSize }: Found, patch: Size): readonly string[] {
  if (!imageSize) return [];
  const [rows, columns] = [imageSize[0] % patch[0], imageSize[1] % patch[1]];
  if (rows === 0 && columns === 0) return [];
  const left = `the last ${rows} rows and ${columns} columns are not seen.`;
  return [`${imageSize.join(' × ')} pixels are no whole number of patches of ${patch.join(' × ')}: ${left}`];
}
