import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { CallOptions } from '../../src/protocol/channel';
import type { TensorValues } from '../../src/protocol/inspector';
import type { TensorRow } from '../../src/domain/report';
import { formatBytes, formatExact, formatNumber, formatPercent, formatShape } from '../../src/domain/units';
import { Histogram } from '../marks/histogram';
import { useAnswer } from '../kit/hooks';
import { Banner, Skeleton } from '../kit/status';
import { Button, IconButton } from '../kit/toolkit';

export type ReadValues = (
  tensor: string,
  first: number,
  count: number,
  call: CallOptions,
) => Promise<TensorValues>;

const PAGE = 96;

export interface ValuesProps {
  readonly tensor: TensorRow;
  readonly read: ReadValues;
  readonly onCopy: (text: string) => void;
  /** Shows the module that holds it. */
  readonly onModule: () => void;
}

/** A page of a tensor's numbers, with statistics over the whole if the host could read it. */
export function Values({ tensor, read, onCopy, onModule }: ValuesProps): VNode {
  const [first, setFirst] = useState(0);
  const { value, error } = useAnswer((call) => read(tensor.name, first, PAGE, call), [tensor.name, first]);
  return (
    <>
      <div>
        <h2 class="mono detail-path">{tensor.name}</h2>
        <p class="quiet">
          {tensor.dtype} {formatShape(tensor.shape)} · {formatBytes(tensor.bytes)} · {tensor.file}
          {tensor.offset !== undefined && <> at {formatExact(tensor.offset)}</>}
        </p>
      </div>
      {error && (
        <Banner icon="error" kind="error">
          {error.message}
        </Banner>
      )}
      {!value && !error && <Skeleton label="Reading values" rows={6} />}
      {value && <Numbers values={value} last={tensor.shape.at(-1) ?? 1} onTurn={setFirst} />}
      <div class="buttons">
        <Button onClick={() => onCopy(tensor.name)}>Copy Name</Button>
        <Button onClick={onModule}>Reveal in Architecture</Button>
        {value && <Button onClick={() => onCopy([...value.values].join('\n'))}>Copy Values</Button>}
      </div>
    </>
  );
}

/** A single number is itself; of equal ones the number is told once; others are spread out. */
function Numbers(props: PageProps): VNode {
  const { values } = props;
  const { total, statistics, exact } = values;
  const [only] = values.values;
  if (total === 1 && only !== undefined) return <Pair label="Value" value={exact ?? shortest(only)} />;
  const isConstant = statistics && statistics.notFinite === 0 && statistics.min === statistics.max;
  return (
    <>
      {isConstant && <Pair label={`All ${formatExact(total)} values`} value={shortest(statistics.min)} />}
      {statistics && !isConstant && <Statistics statistics={statistics} total={total} />}
      <Page {...props} />
    </>
  );
}

/** A 32-bit float in as few digits as tell it from its neighbours. */
const shortest = (value: number): string => String(Number(value.toPrecision(8)));

const Pair = ({ label, value }: { label: string; value: string }): VNode => (
  <dl class="pairs">
    <dt>{label}</dt>
    <dd class="mono">{value}</dd>
  </dl>
);

type StatisticsProps = {
  readonly statistics: NonNullable<TensorValues['statistics']>;
  readonly total: number;
};

function Statistics({ statistics, total }: StatisticsProps): VNode {
  const { min, max, mean, deviation, zeros, notFinite, histogram } = statistics;
  return (
    <div>
      <dl class="pairs">
        <dt>Range</dt>
        <dd>
          {formatNumber(min)} … {formatNumber(max)}
        </dd>
        <dt>Mean ± deviation</dt>
        <dd>
          {formatNumber(mean)} ± {formatNumber(deviation)}
        </dd>
        {zeros > 0 && (
          <>
            <dt>Zeros</dt>
            <dd>
              {formatExact(zeros)} ({formatPercent(zeros / total)})
            </dd>
          </>
        )}
        {notFinite > 0 && (
          <>
            <dt>Not finite</dt>
            <dd class="unused">{formatExact(notFinite)} NaN or infinite</dd>
          </>
        )}
      </dl>
      <Histogram counts={histogram} min={min} max={max} />
    </div>
  );
}

interface PageProps {
  readonly values: TensorValues;
  /** Size of the last axis: the index is shown as row and column of it. */
  readonly last: number;
  readonly onTurn: (first: number) => void;
}

function Page({ values, last, onTurn }: PageProps): VNode {
  const { first, total } = values;
  const end = first + values.values.length;
  const index = (at: number): string =>
    last > 1 && total > last ? `${Math.floor(at / last)}, ${at % last}` : String(at);
  return (
    <div>
      <div class="pager">
        <IconButton
          icon="chevron-left"
          label="Earlier values"
          disabled={first === 0}
          onClick={() => onTurn(Math.max(0, first - PAGE))}
        />
        <span>
          {formatExact(first)} … {formatExact(Math.max(first, end - 1))} of {formatExact(total)}
        </span>
        <IconButton
          icon="chevron-right"
          label="Later values"
          disabled={end >= total}
          onClick={() => onTurn(first + PAGE)}
        />
      </div>
      <div class="values mono" role="list" aria-label="Values">
        {[...values.values].map((value, at) => (
          <span key={at} role="listitem" class="number" title={`[${index(first + at)}] ${value}`}>
            {formatNumber(value)}
          </span>
        ))}
      </div>
    </div>
  );
}
