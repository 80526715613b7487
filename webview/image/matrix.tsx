import type { VNode } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { ColourMap } from '../../src/attention/colourMaps';
import type { KeyMap, ImageMap } from '../../src/attention/reading';
import type { Probe } from '../../src/domain/probes';
import { formatExact, formatNumber } from '../../src/domain/units';
import { heatBitmap, prepare } from '../marks/heatmap';
import { useWidth } from '../kit/elements';
import { isAsked } from './keyMap';
import type { Range } from './scale';

export interface MatrixProps {
  readonly probe: Probe;
  /** What is shown of the chosen head: a row of weights, or of channels one row each. */
  readonly map: ImageMap;
  /** The same of each head by itself. */
  readonly heads: readonly (KeyMap | undefined)[];
  readonly range: Range;
  readonly colourMap: ColourMap;
}

const ROW_HEIGHT = 18;
/**
 * Sides of a square matrix and of a weight in CSS pixels: no larger than it takes to see each
 * weight.
 */
const SQUARE = { cell: 12, most: 420, least: 6 } as const;

/**
 * Attention over channels or a sequence as a matrix: smearing it over the image would mean
 * nothing.
 */
export function Matrix({ probe, map, heads, range, colourMap }: MatrixProps): VNode {
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(place);
  const maps = drawnMaps(map, heads, width);
  const [{ rows, columns }] = maps as readonly [ImageMap];
  const square = rows > 1;
  const most = map.rows > 1 ? SQUARE.most : width;
  const side = Math.min(width, most, SQUARE.cell * columns);
  const [across, down] = square ? [side, (side * rows) / columns] : [width, ROW_HEIGHT];
  useLayoutEffect(() => {
    const context = width > 0 && canvas.current && prepare(canvas.current, across, maps.length * down);
    if (!context) return;
    context.imageSmoothingEnabled = false;
    maps.forEach((each, index) => {
      const bitmap = heatBitmap(each.values, [each.rows, each.columns], { ...range, map: colourMap });
      context.drawImage(bitmap, 0, index * down, across, square ? down : down - 2);
    });
  }, [map, heads, range.low, range.high, colourMap, width]);
  return (
    <div>
      <p class="quiet">
        {words(probe, map, columns)} {formatNumber(range.low)} … {formatNumber(range.high)}.
      </p>
      <div
        ref={place}
        role="img"
        aria-label={`Matrix of ${maps.length * map.rows} rows and ${map.columns} keys`}
      >
        <canvas ref={canvas} />
      </div>
    </div>
  );
}

/**
 * A row for each head; a single row with less than `SQUARE.least` pixels for a weight goes on in
 * further rows.
 */
function drawnMaps(
  map: ImageMap,
  heads: readonly (KeyMap | undefined)[],
  width: number,
): readonly ImageMap[] {
  if (map.rows > 1) return [map];
  if (heads.length > 1) return heads.flatMap((each) => (each?.matrix ? [each.matrix] : []));
  const columns = inARow(map.columns, Math.floor(width / SQUARE.least));
  return [{ ...map, rows: map.columns / columns, columns }];
}

/** The largest divisor of `count` up to `most`; all in one row if that is a thin column. */
function inARow(count: number, most: number): number {
  const divisors = Array.from({ length: Math.max(0, most) }, (_, index) => index + 1).filter(
    (each) => count % each === 0,
  );
  const largest = divisors.at(-1) ?? count;
  return 4 * largest >= Math.min(count, most) ? largest : count;
}

/** What rows and columns are; `inRow` of them stand side by side. */
function words(probe: Probe, { rows, columns }: ImageMap, inRow: number): string {
  if (probe.kind === 'deformable')
    return `Weights of the places that are looked at: a row for each of ${rows} maps, ${columns} places on it,`;
  if (rows > 1) return `Attention between ${rows} channels of a head: rows attend, columns are attended to,`;
  if (isAsked(probe))
    return `This attention is over ${formatExact(columns)} keys without a place on the image: one row per head, one column each,`;
  const lines = inRow < columns ? `, ${inRow} in a row` : '';
  return `A gate for each of ${formatExact(columns)} channels, by which its whole map is multiplied${lines}:`;
}
