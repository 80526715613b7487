import type { VNode } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { BatchApi, BatchRow, BatchState } from '../../src/protocol/batch';
import { formatExact, formatMilliseconds, formatPercent } from '../../src/domain/units';
import { connect, useSaved } from '../host';
import { useQuestion } from '../kit/hooks';
import { mount, Page } from '../kit/page';
import type { SortOrder } from '../kit/sorting';
import { announce, Banner, Guard, Skeleton } from '../kit/status';
import { DataGrid, type Columns } from '../kit/table';
import { Button, TextField } from '../kit/toolkit';
import '../theme.css';
import './batch.css';
import {
  answerText,
  arrangeRows,
  countLabels,
  failuresIn,
  firstSynonym,
  fileOf,
  keptFiles,
  labelOf,
  marginOf,
  mergeRows,
  progressText,
  reasonOf,
  secondsLeft,
  VALUES,
  type Column,
  type RowFilter,
} from './table';

const ROW_HEIGHT = 48;
const EVERYTHING: RowFilter = { label: null, failuresOnly: false, text: '' };

const host = connect<BatchApi, object>([]);
const { remote } = host;

function Batch(): VNode {
  const question = useQuestion<BatchState>();
  const running = useRef<AbortController | null>(null);
  const batch = question.value;
  const follow = (known: number): void => {
    const abort = new AbortController();
    running.current = abort;
    void host.call('run', [known], {
      signal: abort.signal,
      onProgress: (next) => question.take((before) => joined(before, next)),
    });
  };
  const load = (): void =>
    question.ask(
      () => remote.open(),
      (opened) => {
        if (opened.running) follow(opened.rows.length);
      },
    );
  const cancel = (): void => {
    running.current?.abort();
    load();
  };
  useEffect(load, []);
  useEffect(() => {
    if (batch && !batch.running) announce(progressText(batch.done, batch.total, failuresIn(batch.rows)));
  }, [batch?.running]);
  return (
    <Page
      question={question}
      waiting={{ label: 'Starting', rows: 8 }}
      failure="The model could not be run on these images"
      onRetry={load}
      perform={remote.perform}
    >
      {(state) => (
        <>
          <Head batch={state} onCancel={cancel} onContinue={() => follow(state.rows.length)} />
          <Results batch={state} />
        </>
      )}
    </Page>
  );
}

const joined = (known: BatchState | undefined, next: BatchState): BatchState => ({
  ...next,
  rows: mergeRows(known?.rows ?? [], next.rows),
});

interface HeadProps {
  readonly batch: BatchState;
  readonly onCancel: () => void;
  readonly onContinue: () => void;
}

function Head({ batch, onCancel, onContinue }: HeadProps): VNode {
  const { total, done, running, rate } = batch;
  const left = secondsLeft(total, done, rate);
  const failed = failuresIn(batch.rows);
  const kept = useMemo(() => keptFiles(batch.rows), [batch.rows]);
  return (
    <header class="batch-head">
      <div class="title-line">
        <h1>
          {formatExact(total)} {total === 1 ? 'image' : 'images'} × {batch.modelTitle}
        </h1>
        <div class="buttons">
          {running && (
            <Button icon="debug-stop" onClick={onCancel}>
              Cancel
            </Button>
          )}
          {batch.resumable && (
            <Button primary icon="debug-continue" onClick={onContinue}>
              Continue
            </Button>
          )}
          <Button disabled={batch.rows.length === 0} onClick={() => void save('csv')}>
            Export CSV
          </Button>
          <Button disabled={batch.rows.length === 0} onClick={() => void save('json')}>
            Export JSON
          </Button>
          {kept.map(({ ending, title }) => (
            <Button key={ending} label={`Export ${title}, .${ending}`} onClick={() => void saveFiles(ending)}>
              Export {title}
            </Button>
          ))}
        </div>
      </div>
      <progress max={Math.max(1, total)} value={done} aria-label="Images done" />
      <p class="quiet">
        {progressText(done, total, failed)}
        {rate > 0 && <> · {rate.toFixed(1)} images/s</>}
        {running && left !== undefined && <> · {formatMilliseconds(1000 * left)} left</>}
        {!running && done < total && <> · cancelled: {formatExact(total - done)} were left out</>}
        {batch.provider && <> · {batch.provider}</>}
      </p>
    </header>
  );
}

async function save(format: 'csv' | 'json'): Promise<void> {
  if (await remote.export(format)) announce('Saved');
}

async function saveFiles(ending: string): Promise<void> {
  if (await remote.exportFiles(ending)) announce('Saved');
}

function Results({ batch }: { batch: BatchState }): VNode {
  const [filter, setFilter] = useSaved<RowFilter>('filter', EVERYTHING);
  const [order, setOrder] = useSaved<SortOrder<Column> | undefined>('order', undefined);
  const [chosen, setChosen] = useState<string>();
  const counts = useMemo(() => countLabels(batch.rows), [batch.rows]);
  const failures = failuresIn(batch.rows);
  const areas = batch.rows.some(({ scoresAreAreas }) => scoresAreAreas);
  const columns = useMemo(() => (areas ? AREA_COLUMNS : COLUMNS), [areas]);
  const rows = useMemo(() => arrangeRows(batch.rows, filter, order), [batch.rows, filter, order]);
  if (batch.rows.length === 0)
    return batch.running ? (
      <Skeleton label="Waiting for the first answer" rows={6} />
    ) : (
      <p class="empty">No image was classified.</p>
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
              title={firstSynonym(label)}
              tip={label}
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
        <DataGrid
          label="Results"
          class="batch-grid"
          rowClass="batch-columns"
          columns={columns}
          rows={rows}
          keyOf={(row) => String(row.index)}
          rowHeight={ROW_HEIGHT}
          order={order}
          onOrder={setOrder}
          chosen={chosen}
          onChoose={setChosen}
          onOpen={(row) => void remote.openRow(row.index)}
          rowTip={(row) => (row.error === undefined ? `${row.image}\nClick to open` : row.image)}
          instead={(row) =>
            row.error === undefined
              ? undefined
              : { after: 2, cell: <Reason text={reasonOf(row.error, row.image)} /> }
          }
        />
      </Guard>
      {rows.length === 0 && (
        <Banner icon="filter" actions={<Button onClick={() => setFilter(EVERYTHING)}>Show All</Button>}>
          No image matches the filter.
        </Banner>
      )}
    </>
  );
}

interface LabelButtonProps {
  readonly title: string;
  /** All of the label, if the title is its beginning. */
  readonly tip?: string;
  readonly count: number;
  readonly pressed: boolean;
  readonly onClick: () => void;
}

const LabelButton = ({ title, tip, count, pressed, onClick }: LabelButtonProps): VNode => (
  <button type="button" class="label-count" title={tip} aria-pressed={pressed} onClick={onClick}>
    {title} <span class="quiet">{formatExact(count)}</span>
  </button>
);

const COLUMNS: Columns<BatchRow, Column> = {
  thumbnail: {
    title: 'Image',
    titleHidden: true,
    styleOf: () => 'thumbnail',
    cell: ({ thumbnail }) =>
      thumbnail ? (
        <img src={thumbnail} alt="" />
      ) : (
        <span class="codicon codicon-file-media quiet" aria-hidden="true" />
      ),
  },
  file: {
    title: 'File',
    styleOf: () => 'file',
    value: VALUES.file,
    tip: ({ image }) => image,
    cell: ({ image }) => fileOf(image),
  },
  label: {
    title: 'Label',
    styleOf: () => 'batch-label',
    value: VALUES.label,
    tip: (row) => labelOf(row),
    cell: answerText,
  },
  probability: {
    title: 'Probability',
    numeric: true,
    style: 'col-probability',
    styleOf: () => 'probability',
    value: VALUES.probability,
    cell: ({ top: [first] }) =>
      first && (
        <>
          <span class="share">
            <span style={{ width: `${100 * Math.min(1, Math.max(0, first.score))}%` }} />
          </span>
          <span class="number">{formatPercent(first.score)}</span>
        </>
      ),
  },
  second: {
    title: 'Second guess',
    style: 'col-second',
    styleOf: () => 'quiet',
    value: VALUES.second,
    tip: ({ top: [, second] }) => second?.label,
    cell: ({ top: [, second] }) => second && `${firstSynonym(second.label)} ${formatPercent(second.score)}`,
  },
  margin: {
    title: 'Margin',
    numeric: true,
    style: 'number col-margin',
    value: VALUES.margin,
    cell: (row) => {
      const margin = marginOf(row);
      return margin === undefined ? '' : formatPercent(margin);
    },
  },
};

/** The same of segments, whose numbers are shares of the image. */
const AREA_COLUMNS: typeof COLUMNS = {
  ...COLUMNS,
  label: { ...COLUMNS.label, title: 'Largest' },
  probability: { ...COLUMNS.probability, title: 'Area' },
  second: { ...COLUMNS.second, title: 'Next' },
};

/** Why an image has no answer, in place of one. */
const Reason = ({ text }: { text: string }): VNode => (
  <span role="gridcell" class="row-error" title={text}>
    <span class="codicon codicon-error" aria-hidden="true" /> {text}
  </span>
);

mount(<Batch />);
