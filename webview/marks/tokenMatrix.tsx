import type { Rectangle } from '../../src/domain/size';
import type { VNode } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { ColourMap } from '../../src/attention/colourMaps';
import { largest } from '../../src/domain/lists';
import { useWidth } from '../kit/elements';
import { heatBitmap, prepare } from './heatmap';
import './tokenMatrix.css';

/** A cell of a matrix, or a whole row or column of it. */
export interface MatrixPlace {
  readonly row?: number;
  readonly column?: number;
}

export interface TokenMatrixProps {
  /** Tokens that ask, from above. */
  readonly rows: readonly string[];
  /** Tokens that are looked at, from the left. */
  readonly columns: readonly string[];
  /** `[rows, columns]`; what cannot be looked at is no number, and left empty. */
  readonly values: Float32Array;
  readonly high: number;
  readonly colourMap: ColourMap;
  /** What is lit. */
  readonly marked: MatrixPlace;
  /** Says what the matrix shows, for those who do not see it. */
  readonly label: string;
  readonly onMark: (place: MatrixPlace) => void;
}

/** Sides of a cell in CSS pixels. */
const CELL = { least: 12, most: 28 } as const;
/** Room for the words at the left and above: so much a character, and at most. */
const WORDS = { character: 7, gap: 14, most: 104 } as const;

const roomFor = (words: readonly string[]): number =>
  Math.min(WORDS.most, WORDS.gap + WORDS.character * largest([1, ...words.map(({ length }) => length)]));

/**
 * Weights of tokens for tokens, words at both sides. The pointer or the arrow keys light a row and
 * a column.
 */
export function TokenMatrix(props: TokenMatrixProps): VNode {
  const { rows, columns, values, high, colourMap, marked, label, onMark } = props;
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(place);
  const [left, above] = [roomFor(rows), roomFor(columns)];
  const fitting = Math.floor((width - left - 6) / Math.max(1, columns.length));
  const side = Math.max(CELL.least, Math.min(CELL.most, fitting));
  const [across, down] = [side * columns.length, side * rows.length];
  useLayoutEffect(() => {
    const context = width > 0 && canvas.current && prepare(canvas.current, across, down);
    if (!context || values.length === 0) return;
    context.imageSmoothingEnabled = false;
    const bitmap = heatBitmap(values, [rows.length, columns.length], { low: 0, high, map: colourMap });
    context.drawImage(bitmap, 0, 0, across, down);
  }, [values, high, colourMap, across, down, width]);

  const under = (event: MouseEvent): MatrixPlace => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    return {
      row: inside((event.clientY - box.top) / side, rows.length),
      column: inside((event.clientX - box.left) / side, columns.length),
    };
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const next = event.ctrlKey || event.metaKey || event.altKey ? undefined : moved(props, event.key);
    if (!next) return;
    event.preventDefault();
    onMark(next);
  };
  return (
    <div ref={place} class="token-matrix">
      <div
        class="token-grid"
        style={{
          gridTemplateColumns: `${left}px ${across}px`,
          gridTemplateRows: `${above}px ${down}px`,
        }}
      >
        <div class="token-columns">
          {columns.map((word, column) => (
            <Word
              key={column}
              word={word}
              at={side * column}
              side={side}
              isLit={marked.column === column}
              onEnter={() => onMark({ column })}
            />
          ))}
        </div>
        <div class="token-rows">
          {rows.map((word, row) => (
            <Word
              key={row}
              word={word}
              at={side * row}
              side={side}
              isLit={marked.row === row}
              onEnter={() => onMark({ row })}
            />
          ))}
        </div>
        <div
          class="token-cells"
          role="application"
          aria-roledescription="attention matrix"
          aria-label={label}
          tabIndex={0}
          onPointerMove={(event) => onMark(under(event))}
          onPointerLeave={() => onMark({})}
          onKeyDown={onKeyDown}
        >
          <canvas ref={canvas} />
          {marked.row !== undefined && <Light x={0} y={side * marked.row} width={across} height={side} />}
          {marked.column !== undefined && <Light x={side * marked.column} y={0} width={side} height={down} />}
        </div>
      </div>
    </div>
  );
}

/** A row or a column that is lit. */
const Light = ({ x, y, width, height }: Rectangle): VNode => (
  <div
    class="token-lit"
    style={{ left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` }}
  />
);

const inside = (place: number, count: number): number => Math.max(0, Math.min(count - 1, Math.floor(place)));

const steps: Readonly<Record<string, readonly [down: number, right: number]>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

/** Where a key moves the light to; undefined for keys that do not. */
function moved({ rows, columns, marked }: TokenMatrixProps, key: string): MatrixPlace | undefined {
  if (key === 'Escape') return {};
  const { row = -1, column = -1 } = marked;
  if (key === 'Home') return { row: inside(row, rows.length), column: 0 };
  if (key === 'End') return { row: inside(row, rows.length), column: columns.length - 1 };
  const step = steps[key];
  if (!step) return undefined;
  return { row: inside(row + step[0], rows.length), column: inside(column + step[1], columns.length) };
}

interface WordProps {
  readonly word: string;
  readonly at: number;
  readonly side: number;
  readonly isLit: boolean;
  readonly onEnter: () => void;
}

const Word = ({ word, at, side, isLit, onEnter }: WordProps): VNode => (
  <span
    class={isLit ? 'token-word lit' : 'token-word'}
    style={{ '--at': `${at}px`, '--side': `${side}px` }}
    title={word}
    onPointerEnter={onEnter}
  >
    {word}
  </span>
);
