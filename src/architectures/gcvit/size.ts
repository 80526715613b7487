import type { Grid, Size } from '../../domain/size';

/**
 * What the weights of one stage tell of its window: the windows that its table of positions fits,
 * and the blocks that make its queries.
 */
export interface StageTrace {
  readonly windows: readonly Grid[];
  /**
   * Blocks before the pooled queries: one for each halving, and one where the map is not halved.
   */
  readonly queryBlocks: number;
}

/**
 * A stage at an image size: its window, and how often the map is halved until it is as large as the
 * window.
 */
export interface StageWindow {
  readonly window: Grid;
  readonly halvings: number;
}

/** Pixels per row and column of the first stage's map. */
const stemStride = 4;

const mapOf = (imageSize: Size, stage: number): Grid => [
  Math.floor(imageSize[0] / stemStride / 2 ** stage),
  Math.floor(imageSize[1] / stemStride / 2 ** stage),
];

/**
 * Whether windows cover the map, and the map becomes one window when it is halved as often as there
 * are blocks.
 */
function fits([rows, columns]: Grid, [down, across]: Grid, queryBlocks: number): number | undefined {
  const halvings = Math.floor(Math.log2(Math.min(rows, columns) / Math.min(down, across)));
  const covered = rows % down === 0 && columns % across === 0;
  const pooled = rows === down * 2 ** halvings && columns === across * 2 ** halvings;
  return covered && pooled && Math.max(1, halvings) === queryBlocks ? halvings : undefined;
}

/** The stages' windows at an image size; undefined if a stage has none that fits. */
export function windowsAt(
  imageSize: Size,
  traces: readonly StageTrace[],
): readonly StageWindow[] | undefined {
  const found = traces.map(({ windows, queryBlocks }, stage) => {
    const map = mapOf(imageSize, stage);
    const fitting = windows.flatMap((window) => {
      const halvings = fits(map, window, queryBlocks);
      return halvings === undefined ? [] : [{ window, halvings }];
    });
    return fitting[0];
  });
  const known = found.filter((stage) => stage !== undefined);
  return known.length === traces.length ? known : undefined;
}

/**
 * Image sizes that the weights can have been made for, the squarest first: queries must have the
 * size of the windows (§3.2 of the paper).
 */
export function possibleSizes(traces: readonly StageTrace[]): readonly Size[] {
  const [first] = traces;
  if (!first) return [];
  const halvings = first.queryBlocks > 1 ? [first.queryBlocks] : [0, 1];
  return halvings
    .flatMap((count) =>
      first.windows.map(([rows, columns]): Size => [
        stemStride * 2 ** count * rows,
        stemStride * 2 ** count * columns,
      ]),
    )
    .filter((size) => windowsAt(size, traces) !== undefined);
}
