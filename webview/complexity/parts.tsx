import type { VNode } from 'preact';
import type { ComplexityReport, LengthRow, PartRow } from '../../src/domain/report';
import { formatBytes, formatCount, formatExact, formatPercent, formatShape } from '../../src/domain/units';
import { PlainTable, type Columns } from '../kit/table';
import { Slider } from '../kit/toolkit';
import { ShareBar } from '../marks/shareBar';
import type { ConventionFacts } from './conventions';
import { totalMacs } from './moduleBars';

/** Texts, tokens, frames and prompts that were chosen, by name; the model's own otherwise. */
export type Lengths = Readonly<Record<string, number>>;

interface PartTableProps {
  readonly report: ComplexityReport;
  readonly convention: ConventionFacts;
}

/** What each part of a model costs; the rows sum up to the totals. */
export function PartTable({ report, convention }: PartTableProps): VNode {
  const params = report.parts.reduce((sum, part) => sum + part.params, 0);
  const beside = report.params - params;
  return (
    <section>
      <h2>Parts</h2>
      <PlainTable
        class="figures-table part-table"
        columns={partColumns(report, convention)}
        rows={report.parts}
        keyOf={({ name }) => name}
      />
      <p class="quiet">
        Each part run once.
        {beside > 0 && ` ${formatExact(beside)} parameters are of none of them.`} A parameter that several
        parts read counts in the first.
      </p>
    </section>
  );
}

const inputText = ({ inputs }: PartRow): string =>
  inputs.map(({ name, shape }) => `${name} ${formatShape(shape)}`).join(', ');

function partColumns(report: ComplexityReport, convention: ConventionFacts): Columns<PartRow> {
  const { factor, unit: named } = convention;
  const unit = named === 'fvcore' ? 'MACs' : named;
  const total = totalMacs(report.macs);
  const shareOf = ({ macs }: PartRow): number => (total > 0 ? totalMacs(macs) / total : 0);
  return {
    part: { title: 'Part', tip: inputText, cell: ({ name }) => name },
    parameters: {
      title: 'Parameters',
      style: 'number',
      tip: ({ params }) => formatExact(params),
      cell: ({ params }) => (params > 0 ? formatCount(params) : '–'),
    },
    macs: {
      title: unit,
      style: 'number',
      tip: ({ macs }) => formatExact(factor * totalMacs(macs)),
      cell: ({ macs }) => (totalMacs(macs) > 0 ? formatCount(factor * totalMacs(macs), 4) : '–'),
    },
    share: {
      title: 'Share',
      style: 'number roomy-only',
      cell: (part) => (shareOf(part) > 0 ? formatPercent(shareOf(part)) : ''),
    },
    bar: {
      title: 'Share as a bar',
      titleHidden: true,
      style: 'bar-column',
      cell: (part) => shareOf(part) > 0 && <ShareBar share={shareOf(part)} of={`all ${unit}`} />,
    },
    activations: {
      title: 'Activations',
      style: 'number',
      tip: ({ activationBytes, peakActivationBytes }) =>
        `${formatExact(activationBytes)} bytes of all outputs, ${formatBytes(peakActivationBytes)} of which live at once`,
      cell: ({ activationBytes }) => formatBytes(activationBytes),
    },
    inputs: {
      title: 'Reads',
      style: 'wide-only part-inputs',
      cell: (part) => <span class="quiet">{inputText(part)}</span>,
    },
  };
}

interface LengthControlsProps {
  readonly rows: readonly LengthRow[];
  /** As chosen, which the rows follow. */
  readonly lengths: Lengths;
  readonly onLengths: (lengths: Lengths) => void;
}

/** A slider for each length that may change; one that the weights fix says so. */
export function LengthControls({ rows, lengths, onLengths }: LengthControlsProps): VNode {
  const valueOf = ({ name, value }: LengthRow): number => lengths[name] ?? value;
  const isOwn = rows.every((row) => valueOf(row) === row.own);
  return (
    <div class="controls lengths">
      {rows.map((row) =>
        row.least === row.most ? (
          <span key={row.name} class="control quiet" title={`The weights are for ${row.own} alone.`}>
            {row.title}: {formatExact(row.own)}
          </span>
        ) : (
          <label key={row.name} class="control length-control">
            <span>{row.title}</span>
            <Slider
              label={row.title}
              min={row.least}
              max={row.most}
              step={row.step}
              value={valueOf(row)}
              text={formatExact(valueOf(row))}
              onInput={(value) => onLengths({ ...lengths, [row.name]: value })}
            />
            <span class="length-text">{formatExact(valueOf(row))}</span>
          </label>
        ),
      )}
      <button
        type="button"
        class="link"
        style={{ visibility: isOwn ? 'hidden' : 'visible' }}
        onClick={() => onLengths({})}
      >
        Back to the model’s own
      </button>
    </div>
  );
}
