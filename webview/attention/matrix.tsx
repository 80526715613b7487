import type { VNode } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { ColourMap } from '../../src/attention/colourMaps';
import type { KeyMap, PictureMap } from '../../src/attention/reading';
import type { Probe } from '../../src/protocol/probes';
import { formatFigure } from '../../src/protocol/units';
import { heatBitmap, prepare } from '../marks/heatmap';
import { useWidth } from '../parts/hooks';
import { isAsked } from './keyMap';
import type { Range } from './scale';

export interface MatrixProps {
  readonly probe: Probe;
  /** What is shown of the chosen head: a row of weights, or of channels one row each. */
  readonly map: PictureMap;
  /** The same of each head by itself. */
  readonly heads: readonly (KeyMap | undefined)[];
  readonly range: Range;
  readonly colourMap: ColourMap;
}

const ROW_HEIGHT = 18;
/** Sides of a square matrix in CSS pixels: no larger than it takes to see each weight. */
const SQUARE = { cell: 12, most: 420 } as const;

/** Attention over channels or a sequence as a matrix: smearing it over the picture would mean nothing. */
export function Matrix({ probe, map, heads, range, colourMap }: MatrixProps): VNode {
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(place);
  const square = map.rows > 1;
  const maps = square ? [map] : heads.flatMap((each) => (each?.matrix ? [each.matrix] : []));
  const side = Math.min(width, SQUARE.most, SQUARE.cell * map.columns);
  const [across, down] = square ? [side, (side * map.rows) / map.columns] : [width, ROW_HEIGHT];
  useLayoutEffect(() => {
    const context = width > 0 && canvas.current && prepare(canvas.current, across, maps.length * down);
    if (!context) return;
    context.imageSmoothingEnabled = false;
    maps.forEach(({ rows, columns, values }, index) => {
      const bitmap = heatBitmap(values, [rows, columns], { ...range, map: colourMap });
      context.drawImage(bitmap, 0, index * down, across, square ? down : down - 2);
    });
  }, [map, heads, range.low, range.high, colourMap, width]);
  return (
    <div>
      <p class="quiet">
        {words(probe, map)} {formatFigure(range.low)} … {formatFigure(range.high)}.
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

/** What rows and columns are. */
function words(probe: Probe, { rows, columns }: PictureMap): string {
  if (rows > 1) return `Attention between ${rows} channels of a head: rows attend, columns are attended to,`;
  return isAsked(probe)
    ? `This attention is over ${columns} keys without a place on the picture: one row per head, one column each,`
    : `A gate for each of ${columns} channels, by which its whole map is multiplied:`;
}
