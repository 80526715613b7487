import { render, type VNode } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { BatchApi, BatchEvents, BatchRow, BatchState } from '../../src/protocol/batch';
import { formatExact, formatMilliseconds, formatPercent } from '../../src/domain/units';
import { connect, kindOf, messageOf, useSaved } from '../host';
import { nextOrder, type SortOrder } from '../marks/sorting';
import { announce, Banner, Failure, Failures, Guard, LiveRegion, Skeleton } from '../kit/status';
import { SortHead } from '../kit/sortHead';
import { useRowWindow } from '../kit/virtualRows';
import { Button, TextField } from '../kit/toolkit';
import '../theme.css';
import './batch.css';
import {
  arrangeRows,
  COLUMN_NAMES,
  COLUMNS,
  countLabels,
  fileOf,
  marginOf,
  mergeRows,
  secondsLeft,
  type Column,
  type RowFilter,
} from './table';

const ROW_HEIGHT = 48;
const EVERYTHING: RowFilter = { label: null, failuresOnly: false, text: '' };

const listeners: { current: BatchEvents } = { current: { progress: () => undefined } };
const host = connect<BatchApi>({ progress: (state: BatchState) => listeners.current.progress(state) });

interface PageState {
  readonly batch?: BatchState;
  readonly error?: { readonly message: string; readonly kind: string };
}

function Batch(): VNode {
  const [{ batch, error }, setState] = useState<PageState>({});
  const load = (): void => {
    setState({});
    host.open().then(
      (opened) => setState((before) => ({ batch: joined(before.batch, opened) })),
      (failure: unknown) => setState({ error: { message: messageOf(failure), kind: kindOf(failure) } }),
    );
  };
  useEffect(() => {
    listeners.current = {
      progress: (next) => setState((before) => ({ batch: joined(before.batch, next) })),
    };
    load();
  }, []);
  useEffect(() => {
    if (batch && !batch.running) announce(`${batch.done} of ${batch.total} pictures are done`);
  }, [batch?.running]);
  if (error)
    return (
      <Failure
        title="The pictures could not be classified"
        {...error}
        onRetry={load}
        onShowLog={() => void host.perform('showLog')}
        onManageTrust={() => void host.perform('manageTrust')}
      />
    );
  if (!batch) return <Skeleton label="Starting" rows={8} />;
  return (
    <>
      <Head batch={batch} />
      <Results batch={batch} />
    </>
  );
}

const joined = (known: BatchState | undefined, next: BatchState): BatchState => ({
  ...next,
  rows: mergeRows(known?.rows ?? [], next.rows),
});

function Head({ batch }: { batch: BatchState }): VNode {
  const { total, done, running, rate } = batch;
  const left = secondsLeft(total, done, rate);
  return (
    <header class="batch-head">
      <div class="title-line">
        <h1>
          {formatExact(total)} {total === 1 ? 'picture' : 'pictures'} × {batch.modelTitle}
        </h1>
        <div class="buttons">
          {running && (
            <Button icon="debug-stop" onClick={() => void host.cancel()}>
              Cancel
            </Button>
          )}
          {batch.resumable && (
            <Button primary icon="debug-continue" onClick={() => void host.resume()}>
              Continue
            </Button>
          )}
          <Button disabled={batch.rows.length === 0} onClick={() => void save('csv')}>
            Export CSV
          </Button>
          <Button disabled={batch.rows.length === 0} onClick={() => void save('json')}>
            Export JSON
          </Button>
        </div>
      </div>
      <progress max={Math.max(1, total)} value={done} aria-label="Pictures done" />
      <p class="quiet">
        {formatExact(done)} of {formatExact(total)}
        {rate > 0 && <> · {rate.toFixed(1)} pictures/s</>}
        {running && left !== undefined && <> · {formatMilliseconds(1000 * left)} left</>}
        {!running && done < total && <> · cancelled: {formatExact(total - done)} were left out</>}
        {batch.provider && <> · {batch.provider}</>}
      </p>
    </header>
  );
}

async function save(format: 'csv' | 'json'): Promise<void> {
  if (await host.export(format)) announce('Saved');
}

function Results({ batch }: { batch: BatchState }): VNode {
  const [filter, setFilter] = useSaved<RowFilter>('filter', EVERYTHING);
  const [order, setOrder] = useSaved<SortOrder<Column> | undefined>('order', undefined);
  const counts = useMemo(() => countLabels(batch.rows), [batch.rows]);
  const failures = batch.rows.filter((row) => row.error !== undefined).length;
  const rows = useMemo(() => arrangeRows(batch.rows, filter, order), [batch.rows, filter, order]);
  if (batch.rows.length === 0)
    return batch.running ? (
      <Skeleton label="Waiting for the first answer" rows={6} />
    ) : (
      <p class="empty">No picture was classified.</p>
    );
  return (
    <>
      <div class="filters">
        <TextField
          label="Filter by file or label"
          placeholder="Filter"
          icon="search"
          value={filter.text}
          onInput={(text) => setFilter({ ...filter, text })}
        />
        <div class="label-counts" role="group" aria-label="Filter by label">
          <LabelButton
            title="All"
            count={batch.rows.length}
            pressed={filter.label === null && !filter.failuresOnly}
            onClick={() => setFilter({ ...filter, label: null, failuresOnly: false })}
          />
          {counts.map(({ label, count }) => (
            <LabelButton
              key={label}
              title={label}
              count={count}
              pressed={filter.label === label}
              onClick={() =>
                setFilter({ ...filter, label: filter.label === label ? null : label, failuresOnly: false })
              }
            />
          ))}
          {failures > 0 && (
            <LabelButton
              title="Failed"
              count={failures}
              pressed={filter.failuresOnly}
              onClick={() => setFilter({ ...filter, label: null, failuresOnly: !filter.failuresOnly })}
            />
          )}
        </div>
      </div>
      <Guard what="The table">
        <Table
          rows={rows}
          order={order}
          onOrder={(column) => setOrder(nextOrder(order, column, COLUMNS[column].numeric))}
        />
      </Guard>
      {rows.length === 0 && (
        <Banner icon="filter" actions={<Button onClick={() => setFilter(EVERYTHING)}>Show All</Button>}>
          No picture matches the filter.
        </Banner>
      )}
    </>
  );
}

interface LabelButtonProps {
  readonly title: string;
  readonly count: number;
  readonly pressed: boolean;
  readonly onClick: () => void;
}

const LabelButton = ({ title, count, pressed, onClick }: LabelButtonProps): VNode => (
  <button type="button" class="label-count" aria-pressed={pressed} onClick={onClick}>
    {title} <span class="quiet">{formatExact(count)}</span>
  </button>
);

interface TableProps {
  readonly rows: readonly BatchRow[];
  readonly order: SortOrder<Column> | undefined;
  readonly onOrder: (column: Column) => void;
}

function Table({ rows, order, onOrder }: TableProps): VNode {
  const body = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState<number>();
  const view = useRowWindow(body, rows.length, ROW_HEIGHT);
  const at = Math.max(
    0,
    rows.findIndex((row) => row.index === active),
  );
  useEffect(() => {
    if (active !== undefined)
      body.current?.querySelector<HTMLElement>('[tabindex="0"]')?.focus({ preventScroll: true });
  }, [active]);
  const onKeyDown = (event: KeyboardEvent): void => {
    const row = rows[at];
    if (event.target instanceof HTMLElement && event.target.closest('.grid-head')) return;
    if (event.key === 'Enter' && row) return void host.openRow(row.index);
    const targets: Readonly<Record<string, number>> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + 8,
      PageUp: at - 8,
      Home: 0,
      End: rows.length - 1,
    };
    const target = targets[event.key];
    if (target === undefined) return;
    event.preventDefault();
    const next = Math.min(rows.length - 1, Math.max(0, target));
    view.scrollTo(next);
    setActive(rows[next]?.index);
  };
  return (
    <div
      class="batch-grid"
      role="grid"
      aria-label="Results"
      aria-rowcount={rows.length + 1}
      onKeyDown={onKeyDown}
    >
      <div class="grid-row grid-head batch-columns" role="row" aria-rowindex={1}>
        <span role="columnheader" aria-label="Picture" />
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
        {rows.slice(view.first, view.end).map((row, index) => (
          <div
            key={row.index}
            role="row"
            class="grid-row batch-columns"
            aria-rowindex={view.first + index + 2}
            aria-selected={row.index === active}
            tabIndex={view.first + index === at ? 0 : -1}
            title={row.error === undefined ? `${row.image}\nClick to open` : row.image}
            style={{ transform: `translateY(${(view.first + index) * ROW_HEIGHT}px)` }}
            onClick={() => {
              setActive(row.index);
              void host.openRow(row.index);
            }}
          >
            <Cells row={row} />
          </div>
        ))}
      </div>
    </div>
  );
}

function Cells({ row }: { row: BatchRow }): VNode {
  const [first, second] = row.top;
  const margin = marginOf(row);
  return (
    <>
      <span role="gridcell" class="thumbnail">
        {row.thumbnail ? (
          <img src={row.thumbnail} alt="" />
        ) : (
          <span class="codicon codicon-file-media quiet" aria-hidden="true" />
        )}
      </span>
      <span role="gridcell" class="file" title={row.image}>
        {fileOf(row.image)}
      </span>
      {row.error === undefined ? (
        <>
          <span role="gridcell" class="batch-label">
            {first?.label ?? 'features only'}
          </span>
          <span role="gridcell" class="probability col-probability">
            {first && (
              <>
                <span class="share">
                  <span style={{ width: `${100 * Math.min(1, Math.max(0, first.score))}%` }} />
                </span>
                <span class="number">{formatPercent(first.score)}</span>
              </>
            )}
          </span>
          <span role="gridcell" class="quiet col-second">
            {second && `${second.label} ${formatPercent(second.score)}`}
          </span>
          <span role="gridcell" class="number col-margin">
            {margin === undefined ? '' : formatPercent(margin)}
          </span>
        </>
      ) : (
        <span role="gridcell" class="row-error" title={row.error}>
          <span class="codicon codicon-error" aria-hidden="true" /> {row.error}
        </span>
      )}
    </>
  );
}

render(
  <main>
    <Batch />
    <LiveRegion />
    <Failures />
  </main>,
  document.getElementById('root') as HTMLElement,
);
