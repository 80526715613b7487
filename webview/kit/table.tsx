import type { ComponentChildren, VNode } from 'preact';
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { draggedBorder, fitColumns, type ColumnWidth, type DraggedWidths } from './columnWidths';
import { useNewest, useWidth } from './elements';
import { movedRow, nextOrder, type SortOrder } from './sorting';
import { Icon } from './icon';
import { useRowWindow } from './virtualRows';

/** One column of a table, however it is drawn. */
export interface Column<Row> {
  readonly title: string;
  /** The title is for screen readers alone: the cells say by themselves what they are. */
  readonly titleHidden?: boolean;
  /** Class of the head and the cells: alignment, and at which widths it is left out. */
  readonly style?: string;
  /** Further class of one row's cell. */
  readonly styleOf?: (row: Row) => string;
  readonly cell: (row: Row) => ComponentChildren;
  /** Tooltip of a cell: the exact number. */
  readonly tip?: (row: Row) => string | undefined;
  /** What it is sorted by; without it the column does not sort. */
  readonly value?: (row: Row) => number | string | undefined;
  /** Of numbers people want the largest first. */
  readonly numeric?: boolean;
  /** Pixels; columns of a grid that all have one can be dragged, and leave from the right. */
  readonly width?: number;
}

/** The columns of a table by name, in order. */
export type Columns<Row, Name extends string = string> = Readonly<Record<Name, Column<Row>>>;

const namesOf = <Name extends string>(columns: Readonly<Record<Name, unknown>>): readonly Name[] =>
  Object.keys(columns) as Name[];

const classOf = <Row,>(column: Column<Row>, row?: Row): string =>
  [column.style, row !== undefined && column.styleOf?.(row)].filter(Boolean).join(' ');

export interface PlainTableProps<Row> {
  readonly columns: Columns<Row>;
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  readonly class?: string;
  readonly rowTip?: (row: Row) => string;
  /** Space in front of the first cell in pixels, for a tree. */
  readonly indentOf?: (row: Row) => number;
  /** Key of the row that somebody asked for. */
  readonly current?: string | undefined;
}

/**
 * A short table for reading and copying: all rows, as wide as they need; the first column names the
 * row.
 */
export const PlainTable = <Row,>(props: PlainTableProps<Row>): VNode => {
  const { columns, rows, keyOf, rowTip, indentOf } = props;
  const names = namesOf(columns);
  return (
    <table class={`plain ${props.class ?? ''}`}>
      <thead>
        <tr>
          {names.map((name) => {
            const { title, titleHidden, style } = columns[name] as Column<Row>;
            return (
              <th key={name} scope="col" class={style}>
                {titleHidden ? <span class="visually-hidden">{title}</span> : title}
              </th>
            );
          })}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr
            key={keyOf(row)}
            title={rowTip?.(row)}
            aria-current={keyOf(row) === props.current ? 'true' : undefined}
          >
            {names.map((name, index) => {
              const column = columns[name] as Column<Row>;
              const facts = { class: classOf(column, row) || undefined, title: column.tip?.(row) };
              const style = indentOf && { paddingLeft: `${indentOf(row)}px` };
              return index === 0 ? (
                <th key={name} scope="row" {...facts} {...(style ? { style } : {})}>
                  {column.cell(row)}
                </th>
              ) : (
                <td key={name} {...facts}>
                  {column.cell(row)}
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
};

export interface DataGridProps<Row, Name extends string> {
  readonly label: string;
  readonly columns: Columns<Row, Name>;
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  /** In pixels; rows are placed by it, so that only those on the screen are in the document. */
  readonly rowHeight: number;
  /** Classes of the frame, and of each row with the head's: the widths of the columns. */
  readonly class: string;
  readonly rowClass: string;
  readonly order: SortOrder<Name> | undefined;
  readonly onOrder: (order: SortOrder<Name>) => void;
  /** Key of the chosen row. */
  readonly chosen: string | undefined;
  readonly onChoose: (key: string) => void;
  /** Enter on a row, or a click. */
  readonly onOpen?: (row: Row) => void;
  readonly onCopy?: (text: string) => void;
  /**
   * Lets people drag the borders of columns: the widths that they gave, and the column that takes
   * the rest with the pixels that it wants at least.
   */
  readonly sizing?: Sizing<Name>;
  readonly rowTip?: (row: Row) => string;
  /** What stands in a row in place of the cells behind the first `after`: why there are none. */
  readonly instead?: (row: Row) => { readonly after: number; readonly cell: VNode } | undefined;
}

export interface Sizing<Name extends string> {
  readonly rest: Name;
  readonly least: number;
  readonly dragged: DraggedWidths<Name>;
  readonly onDrag: (dragged: DraggedWidths<Name>) => void;
}

/** The columns that a grid draws, and how wide they are if it decides so itself. */
interface Drawn<Row, Name extends string> {
  readonly columns: Columns<Row, Name>;
  readonly template?: string;
  readonly asked: readonly ColumnWidth<Name>[];
}

function drawnColumns<Row, Name extends string>(
  columns: Columns<Row, Name>,
  sizing: Sizing<Name> | undefined,
  available: number,
): Drawn<Row, Name> {
  if (!sizing) return { columns, asked: [] };
  const asked = namesOf(columns).map((name) =>
    name === sizing.rest
      ? { name, width: sizing.least, grows: true }
      : { name, width: columns[name].width ?? DEFAULT_WIDTH },
  );
  const { shown, template } = fitColumns(asked, sizing.dragged, available);
  const kept = shown.map((name) => [name, columns[name]] as const);
  return { columns: Object.fromEntries(kept) as Columns<Row, Name>, template, asked };
}

const DEFAULT_WIDTH = 80;

/**
 * A long table after ARIA's grid pattern: sorted by its heads, moved in by keys, drawn as far as it
 * is seen.
 */
export function DataGrid<Row, Name extends string>(props: DataGridProps<Row, Name>): VNode {
  const { label, rows, keyOf, rowHeight, chosen, onChoose, onOpen, onCopy, sizing } = props;
  const frame = useRef<HTMLDivElement>(null);
  const width = useWidth(frame);
  const { columns, template, asked } = useMemo(
    () => drawnColumns(props.columns, sizing, width),
    [props.columns, sizing?.rest, sizing?.least, sizing?.dragged, width],
  );
  const body = useRef<HTMLDivElement>(null);
  const [focusWanted, setFocusWanted] = useState(0);
  const view = useRowWindow(body, rows.length, rowHeight);
  const at = chosen === undefined ? -1 : rows.findIndex((row) => keyOf(row) === chosen);
  const scrollTo = useNewest(view.scrollTo);
  useLayoutEffect(() => {
    if (at >= 0) scrollTo.current?.(at);
  }, [chosen]);
  useLayoutEffect(() => {
    if (focusWanted > 0)
      body.current?.querySelector<HTMLElement>('[tabindex="0"]')?.focus({ preventScroll: true });
  }, [focusWanted, chosen]);

  const go = (row: number): void => {
    const target = rows[row];
    if (target === undefined) return;
    onChoose(keyOf(target));
    setFocusWanted((count) => count + 1);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.target instanceof HTMLElement && event.target.closest('.grid-head')) return;
    // A row that can be opened is open to Enter as soon as it has the focus.
    const from = onOpen ? Math.max(0, at) : at;
    const row = rows[from];
    if (event.key === 'Enter' && onOpen && row !== undefined) return onOpen(row);
    if ((event.ctrlKey || event.metaKey) && event.key === 'c') {
      if (chosen !== undefined && String(getSelection()) === '') onCopy?.(chosen);
      return;
    }
    const page = Math.max(1, Math.floor(window.innerHeight / rowHeight) - 6);
    const target = movedRow(event.key, from, rows.length, page);
    if (target === undefined) return;
    event.preventDefault();
    go(target);
  };
  const seen = rows.slice(view.first, view.end).map((row, index) => [row, view.first + index] as const);
  // The row with the focus stays in the document when it is scrolled away, or the page would lose
  // its focus.
  const away = at < view.first || at >= view.end ? rows[at] : undefined;
  const drawn = away === undefined ? seen : [...seen, [away, at] as const];
  return (
    <div
      ref={frame}
      class={props.class}
      role="grid"
      aria-label={label}
      aria-rowcount={rows.length + 1}
      style={template === undefined ? undefined : { '--columns': template }}
      onKeyDown={onKeyDown}
    >
      <GridHead {...props} columns={columns} asked={asked} />
      <div ref={body} class="virtual" role="rowgroup" style={{ height: `${rows.length * rowHeight}px` }}>
        {drawn.map(([row, index]) => (
          <div
            key={keyOf(row)}
            role="row"
            class={`grid-row ${props.rowClass}`}
            aria-rowindex={index + 2}
            aria-selected={index === at}
            tabIndex={index === at || (at < 0 && index === 0) ? 0 : -1}
            title={props.rowTip?.(row)}
            style={{ transform: `translateY(${index * rowHeight}px)` }}
            onClick={() => {
              go(index);
              onOpen?.(row);
            }}
          >
            <GridCells row={row} columns={columns} instead={props.instead?.(row)} />
          </div>
        ))}
      </div>
    </div>
  );
}

interface GridHeadProps<Row, Name extends string> extends DataGridProps<Row, Name> {
  readonly asked: readonly ColumnWidth<Name>[];
}

function GridHead<Row, Name extends string>(props: GridHeadProps<Row, Name>): VNode {
  const { columns, order, onOrder, sizing, asked } = props;
  const names = namesOf(columns);
  const border = (index: number): VNode | undefined => {
    const [left, right] = [names[index - 1], names[index]];
    if (!sizing || left === undefined || right === undefined) return undefined;
    const { dragged, onDrag } = sizing;
    return (
      <Border
        title={columns[right].title}
        onMove={(by, from = dragged) => onDrag(draggedBorder(asked, from, [left, right], by))}
        start={dragged}
        onReset={() => onDrag({} as DraggedWidths<Name>)}
      />
    );
  };
  return (
    <div class={`grid-row grid-head ${props.rowClass}`} role="row" aria-rowindex={1}>
      {names.map((name, index) => {
        const { title, titleHidden, style, value, numeric } = columns[name];
        if (titleHidden) return <span key={name} role="columnheader" aria-label={title} />;
        const state = order?.column !== name ? 'none' : order.descending ? 'descending' : 'ascending';
        return (
          <span
            key={name}
            role="columnheader"
            class={`${style ?? ''} ${sizing ? 'sized' : ''}`}
            {...(value ? { 'aria-sort': state } : {})}
          >
            {border(index)}
            {value ? (
              <button
                type="button"
                class="head-button"
                title={`Sort by ${title.toLowerCase()}`}
                onClick={() => onOrder(nextOrder(order, name, numeric ?? false))}
              >
                {title}
                {state !== 'none' && (
                  <Icon name={state === 'ascending' ? 'arrow-small-up' : 'arrow-small-down'} />
                )}
              </button>
            ) : (
              title
            )}
          </span>
        );
      })}
    </div>
  );
}

interface BorderProps<Name extends string> {
  /** Of the column to the right of it. */
  readonly title: string;
  /** Widths as they stand: a drag counts from those that it began with. */
  readonly start: DraggedWidths<Name>;
  readonly onMove: (by: number, from?: DraggedWidths<Name>) => void;
  readonly onReset: () => void;
}

/** Pixels that an arrow key moves a border. */
const KEY_STEP = 8;

/** The border between two columns: dragged, moved by arrow keys, put back by a double click. */
function Border<Name extends string>({ title, start, onMove, onReset }: BorderProps<Name>): VNode {
  const drag = useRef<{ readonly x: number; readonly from: DraggedWidths<Name> } | null>(null);
  return (
    <span
      class="column-border"
      role="separator"
      tabIndex={0}
      aria-orientation="vertical"
      aria-label={`Border of the column ${title}`}
      title="Drag to resize; double-click to put all columns back"
      onPointerDown={(event) => {
        event.preventDefault();
        event.currentTarget.setPointerCapture(event.pointerId);
        drag.current = { x: event.clientX, from: start };
      }}
      onPointerMove={(event) => {
        const { current } = drag;
        if (current) onMove(event.clientX - current.x, current.from);
      }}
      onPointerUp={() => {
        drag.current = null;
      }}
      onDblClick={onReset}
      onKeyDown={(event) => {
        const by = { ArrowLeft: -KEY_STEP, ArrowRight: KEY_STEP }[event.key];
        if (by === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        onMove(by);
      }}
    />
  );
}

interface GridCellsProps<Row> {
  readonly row: Row;
  readonly columns: Columns<Row>;
  readonly instead: { readonly after: number; readonly cell: VNode } | undefined;
}

const GridCells = <Row,>({ row, columns, instead }: GridCellsProps<Row>): VNode => (
  <>
    {Object.entries(columns)
      .slice(0, instead?.after)
      .map(([name, column]) => (
        <span key={name} role="gridcell" class={classOf(column, row)} title={column.tip?.(row)}>
          {column.cell(row)}
        </span>
      ))}
    {instead?.cell}
  </>
);
