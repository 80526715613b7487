import type { ExplainedMap, Faithfulness, FaithfulnessKind } from '../domain/explanation';
import { largest, product } from '../domain/lists';
import type { Grid } from '../domain/size';
import { onCells } from './cells';
import { area, byFalling, curve, curveKinds, mostSteps, type CellOrder, type CurveKind } from './curves';
import type { Explained } from './explained';

/** A map that is put to the test. */
export interface TestedMap {
  /** Name of the method that made it. */
  readonly method: string;
  readonly map: ExplainedMap;
}

/** Cells along a side at most: finer ones are hardly seen by a model when they are changed. */
const finest = 32;
const usualGrid: Grid = [16, 16];

/** The model's own patches, or a grid of sixteen. */
function cellsOf({ probes }: Explained): Grid {
  const grids = probes.flatMap(({ queries: { grid } }) => (grid?.length === 2 ? [grid as Grid] : []));
  return grids.find((grid) => largest(grid) <= finest) ?? usualGrid;
}

/** Forward passes of one curve. */
export function passesOfCurve(explained: Explained): number {
  const cells = product(cellsOf(explained));
  return Math.ceil(cells / Math.ceil(cells / mostSteps)) + 1;
}

/**
 * Deletion and insertion (Petsiuk et al. 2018, §4.2) of several maps on the same cells, each taken
 * by its mean there, beside one random order: areas compare with one another, and with nothing of
 * another image.
 */
export async function faithfulness(
  explained: Explained,
  tested: readonly TestedMap[],
  score: string,
): Promise<Faithfulness> {
  const grid = cellsOf(explained);
  const orders = tested.map(({ method, map }) => ({
    method,
    order: byFalling(onCells(map.values, map.grid, grid)),
  }));
  const kinds: FaithfulnessKind[] = [];
  for (const kind of curveKinds.filter(({ order }) => order === 'random')) {
    const curves: FaithfulnessKind['curves'][number][] = [];
    for (const { method, order } of orders)
      curves.push({ method, ...(await measured(explained, ofMap(kind), { grid, order })) });
    const anyOrder = Array.from({ length: grid[0] * grid[1] }, (_, cell) => cell);
    curves.push(await measured(explained, kind, { grid, order: anyOrder }));
    kinds.push({ name: ofMap(kind).name, lowIsGood: kind.from === 'image', curves });
  }
  return { score, grid, kinds };
}

/** The same change in the order of a map. */
const ofMap = (kind: CurveKind): CurveKind => ({
  ...kind,
  name: kind.name.replace('.random', ''),
  order: 'saliency',
});

async function measured(explained: Explained, kind: CurveKind, cells: CellOrder) {
  const scores = await curve(explained, kind, cells);
  return { name: kind.name, scores, area: area(scores) };
}
