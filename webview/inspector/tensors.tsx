import type { VNode } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { InspectorModel } from '../../src/protocol/inspector';
import type { TensorRow } from '../../src/domain/report';
import { formatBytes, formatExact, formatShape } from '../../src/domain/units';
import { useSaved } from '../host';
import { nextOrder, sortedIndices, type SortOrder } from '../marks/sorting';
import { useNewest } from '../kit/hooks';
import { SortHead } from '../kit/sortHead';
import { useRowWindow } from '../kit/virtualRows';
import { announce } from '../kit/status';
import { Values, type ReadValues } from './values';

const ROW_HEIGHT = 24;

type Column = 'name' | 'dtype' | 'shape' | 'elements' | 'bytes' | 'offset' | 'role';

interface ColumnFacts {
  readonly title: string;
  readonly numeric: boolean;
  readonly style: string;
  readonly value: (tensor: TensorRow) => number | string | undefined;
}

const elementsOf = (tensor: TensorRow): number => tensor.shape.reduce((product, size) => product * size, 1);

const COLUMNS: Readonly<Record<Column, ColumnFacts>> = {
  name: { title: 'Name', numeric: false, style: '', value: (tensor) => tensor.name },
  dtype: { title: 'Type', numeric: false, style: 'col-type', value: (tensor) => tensor.dtype },
  shape: {
    title: 'Shape',
    numeric: false,
    style: 'number col-shape',
    value: (tensor) => formatShape(tensor.shape),
  },
  elements: { title: 'Elements', numeric: true, style: 'number col-elements', value: elementsOf },
  bytes: { title: 'Size', numeric: true, style: 'number', value: (tensor) => tensor.bytes },
  offset: { title: 'Offset', numeric: true, style: 'number col-offset', value: (tensor) => tensor.offset },
  role: { title: 'Role', numeric: false, style: 'col-role', value: (tensor) => tensor.role },
};

const COLUMN_NAMES = Object.keys(COLUMNS) as readonly Column[];

export interface TensorsProps {
  readonly model: InspectorModel;
  readonly query: string;
  /** Tensor to bring into view and choose. */
  readonly chosen: string | undefined;
  readonly onChoose: (name: string | undefined) => void;
  readonly read: ReadValues;
  readonly onCopy: (text: string) => void;
}

/** Every tensor of the file; thousands of rows, of which only those on the screen are in the document. */
export function Tensors({ model, query, chosen, onChoose, read, onCopy }: TensorsProps): VNode {
  const [order, setOrder] = useSaved<SortOrder<Column> | undefined>('tensorOrder', undefined);
  const rows = useMemo(() => arrange(model.tensors, query, order), [model.tensors, query, order]);
  const tensor = model.tensors.find(({ name }) => name === chosen);
  useEffect(() => {
    if (query !== '') announce(`${rows.length} tensors found`);
  }, [rows, query]);
  if (model.tensors.length === 0) return <p class="empty">This file holds no tensors.</p>;
  return (
    <div class="tree-and-detail">
      <div class="tree-side">
        {rows.length === 0 ? (
          <p class="empty">No tensor name, type or shape contains “{query}”.</p>
        ) : (
          <TensorGrid
            rows={rows}
            chosen={chosen}
            onChoose={onChoose}
            onCopy={onCopy}
            order={order}
            onOrder={(column) => setOrder(nextOrder(order, column, COLUMNS[column].numeric))}
          />
        )}
        <Totals model={model} shown={rows.length} />
      </div>
      <aside class="detail" aria-label="Values of the chosen tensor">
        {tensor ? (
          <Values key={tensor.name} tensor={tensor} read={read} onCopy={onCopy} />
        ) : (
          <p class="quiet">Choose a tensor to read its values from the file.</p>
        )}
      </aside>
    </div>
  );
}

function arrange(
  tensors: readonly TensorRow[],
  query: string,
  order: SortOrder<Column> | undefined,
): readonly TensorRow[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (tensor: TensorRow): string =>
    `${tensor.name} ${tensor.dtype} ${formatShape(tensor.shape)} ${tensor.role} ${tensor.file}`.toLowerCase();
  const found = tensors.filter((tensor) => words.every((word) => text(tensor).includes(word)));
  if (!order) return found;
  return sortedIndices(found.map(COLUMNS[order.column].value), order.descending).map(
    (index) => found[index] as TensorRow,
  );
}

const Totals = ({ model, shown }: { model: InspectorModel; shown: number }): VNode => {
  const bytes = model.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  const part = shown < model.tensors.length ? `${formatExact(shown)} of ` : '';
  return (
    <p class="quiet totals">
      {part}
      {formatExact(model.tensors.length)} tensors,{' '}
      <span title={`${formatExact(bytes)} bytes`}>{formatBytes(bytes)}</span>
      {model.unused.length > 0 && <>, {formatExact(model.unused.length)} not used by the model</>}
    </p>
  );
};

interface TensorGridProps {
  readonly rows: readonly TensorRow[];
  readonly chosen: string | undefined;
  readonly onChoose: (name: string) => void;
  readonly onCopy: (text: string) => void;
  readonly order: SortOrder<Column> | undefined;
  readonly onOrder: (column: Column) => void;
}

function TensorGrid({ rows, chosen, onChoose, onCopy, order, onOrder }: TensorGridProps): VNode {
  const body = useRef<HTMLDivElement>(null);
  const [focusWanted, setFocusWanted] = useState(0);
  const view = useRowWindow(body, rows.length, ROW_HEIGHT);
  const at = rows.findIndex((tensor) => tensor.name === chosen);
  const scrollTo = useNewest(view.scrollTo);
  useLayoutEffect(() => {
    if (at >= 0) scrollTo.current?.(at);
  }, [chosen]);
  useLayoutEffect(() => {
    if (focusWanted > 0)
      body.current?.querySelector<HTMLElement>('[tabindex="0"]')?.focus({ preventScroll: true });
  }, [focusWanted, chosen]);

  const go = (row: number): void => {
    const tensor = rows[Math.min(rows.length - 1, Math.max(0, row))];
    if (!tensor) return;
    onChoose(tensor.name);
    setFocusWanted((count) => count + 1);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const page = Math.max(1, Math.floor(window.innerHeight / ROW_HEIGHT) - 6);
    const targets: Readonly<Record<string, number>> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: rows.length - 1,
    };
    if ((event.ctrlKey || event.metaKey) && event.key === 'c' && String(getSelection()) === '') {
      if (chosen !== undefined) onCopy(chosen);
      return;
    }
    const target = targets[event.key];
    if (target === undefined || (event.target as HTMLElement).closest('.grid-head')) return;
    event.preventDefault();
    go(target);
  };
  const drawn = rows
    .slice(view.first, view.end)
    .map((tensor, index) => [tensor, view.first + index] as const);
  const kept = at >= 0 && (at < view.first || at >= view.end) ? [[rows[at] as TensorRow, at] as const] : [];
  return (
    <div
      class="tensor-grid"
      role="grid"
      aria-label="Tensors"
      aria-rowcount={rows.length + 1}
      onKeyDown={onKeyDown}
    >
      <div class="grid-row grid-head tensor-columns" role="row" aria-rowindex={1}>
        {COLUMN_NAMES.map((column) => (
          <SortHead
            key={column}
            title={COLUMNS[column].title}
            style={COLUMNS[column].style}
            state={order?.column === column ? (order.descending ? 'descending' : 'ascending') : 'none'}
            onClick={() => onOrder(column)}
          />
        ))}
      </div>
      <div ref={body} class="virtual" role="rowgroup" style={{ height: `${rows.length * ROW_HEIGHT}px` }}>
        {[...drawn, ...kept].map(([tensor, row]) => (
          <div
            key={tensor.name}
            role="row"
            class="grid-row tensor-columns"
            aria-rowindex={row + 2}
            aria-selected={row === at}
            tabIndex={row === at || (at < 0 && row === 0) ? 0 : -1}
            style={{ transform: `translateY(${row * ROW_HEIGHT}px)` }}
            onClick={() => go(row)}
          >
            <TensorCells tensor={tensor} />
          </div>
        ))}
      </div>
    </div>
  );
}

const TensorCells = ({ tensor }: { tensor: TensorRow }): VNode => (
  <>
    <span role="gridcell" class="mono tensor-name" title={tensor.name}>
      {/* The end of a name tells tensors apart: it is the beginning that gives way. */}
      <bdi>{tensor.name}</bdi>
    </span>
    <span role="gridcell" class="col-type">
      {tensor.dtype}
    </span>
    <span role="gridcell" class="number col-shape">
      {formatShape(tensor.shape)}
    </span>
    <span role="gridcell" class="number col-elements">
      {formatExact(elementsOf(tensor))}
    </span>
    <span role="gridcell" class="number" title={`${formatExact(tensor.bytes)} bytes`}>
      {formatBytes(tensor.bytes)}
    </span>
    <span role="gridcell" class="number col-offset" title={tensor.file}>
      {tensor.offset === undefined ? 'compressed' : formatExact(tensor.offset)}
    </span>
    <span role="gridcell" class={`col-role${tensor.role === 'unused' ? ' unused' : ' quiet'}`}>
      {tensor.role}
    </span>
  </>
);
