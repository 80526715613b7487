import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { colourAt, type Colours } from '../../src/attention/colourMaps';
import { largest } from '../../src/domain/lists';
import { formatNumber } from '../../src/domain/units';
import './cellTable.css';

export interface CellTableProps {
  readonly title: string;
  /** Rows may have different lengths. */
  readonly rows: readonly { readonly label: string; readonly values: Float32Array }[];
  /** What rows and columns are: `layer`, `head`. */
  readonly row: string;
  readonly column: string;
  readonly low: number;
  readonly high: number;
  readonly colours: Colours;
}

/** Lightness from which black is read better than white (relative luminance, WCAG 2). */
const light = 0.18;

/** Numbers as coloured cells, each with its value under the pointer and for screen readers. */
export function CellTable({ title, rows, row, column, low, high, colours }: CellTableProps): VNode {
  const [pointed, setPointed] = useState('');
  const columns = largest([0, ...rows.map(({ values }) => values.length)]);
  return (
    <div class="cell-table">
      <table aria-label={title}>
        <thead>
          <tr>
            <th scope="col" class="quiet">
              {row}
            </th>
            {Array.from({ length: columns }, (_, index) => (
              <th key={index} scope="col" class="quiet" aria-label={`${column} ${index}`}>
                {index}
              </th>
            ))}
          </tr>
        </thead>
        <tbody onPointerLeave={() => setPointed('')}>
          {rows.map(({ label, values }) => (
            <tr key={label}>
              <th scope="row" class="quiet">
                {label}
              </th>
              {Array.from(values, (value, index) => {
                const [red, green, blue] = colourAt(colours, (value - low) / (high - low || 1));
                const said = `${row} ${label}, ${column} ${index}: ${formatNumber(value)}`;
                return (
                  <td
                    key={index}
                    title={said}
                    style={{
                      background: `rgb(${red}, ${green}, ${blue})`,
                      color: luminance(red, green, blue) > light ? '#000000' : '#ffffff',
                    }}
                    onPointerEnter={() => setPointed(said)}
                  >
                    {formatNumber(value, 2)}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
      <p class="quiet">{pointed || 'Point at a cell for its value.'}</p>
    </div>
  );
}

function luminance(...channels: readonly [number, number, number]): number {
  const [red, green, blue] = channels.map((channel) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
