import { largest } from '../../src/domain/lists';
import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import {
  largestParameter,
  layerLine,
  MIXER_PARAMETERS,
  whatIfRows,
  type MixerParameter,
  type MixerParameters,
} from '../../src/attention/tokenMixers';
import type { ComplexityReport, WhatIf } from '../../src/domain/report';
import { formatCount, formatExact } from '../../src/domain/units';
import { PlainTable, type Columns } from '../kit/table';
import { TextField } from '../kit/toolkit';
import { ShareBar } from '../marks/shareBar';

/**
 * What one attention layer of this model would cost in other forms, whose window, length, features
 * and kernel can be changed.
 */
export function WhatIfTable({ report }: { report: ComplexityReport }): VNode {
  const [changed, setChanged] = useState<Partial<MixerParameters>>({});
  const parameters = { ...report.layer?.own, ...changed };
  const rows = report.layer ? whatIfRows(report.layer, parameters) : report.whatIf;
  const [full] = rows;
  const most = largest([1, ...rows.map((row) => row.macs)]);
  return (
    <section>
      <h2>What if: one attention layer in other forms</h2>
      {report.layer && <p class="quiet">{layerLine(report.layer)}</p>}
      {report.layer && (
        <Parameters changed={parameters} onChange={(change) => setChanged({ ...changed, ...change })} />
      )}
      <PlainTable
        class="figures-table"
        columns={columnsAgainst(full, most)}
        rows={rows}
        keyOf={({ name }) => name}
        rowTip={({ formula }) => formula}
      />
    </section>
  );
}

const columnsAgainst = (full: WhatIf | undefined, most: number): Columns<WhatIf> => ({
  form: { title: 'Form', cell: ({ name }) => name },
  formula: {
    title: 'Formula',
    style: 'wide-only',
    styleOf: () => 'quiet',
    cell: ({ formula }) => formula,
  },
  macs: {
    title: 'MACs',
    style: 'number',
    tip: ({ macs }) => formatExact(macs),
    cell: ({ macs }) => formatCount(macs),
  },
  against: { title: 'Against full', style: 'number', cell: (row) => against(row, full) },
  bar: {
    title: 'MACs as a bar',
    titleHidden: true,
    style: 'bar-column',
    cell: ({ macs }) => <ShareBar share={macs / most} of="the costliest form" />,
  },
});

interface ParametersProps {
  readonly changed: Partial<MixerParameters>;
  readonly onChange: (change: Partial<MixerParameters>) => void;
}

/**
 * A field for each value that the forms leave open; what is no whole number leaves the one before.
 */
const Parameters = ({ changed, onChange }: ParametersProps): VNode => (
  <div class="controls parameters" role="group" aria-label="Values of the other forms">
    {Object.entries(MIXER_PARAMETERS).map(([name, { label, usual }]) => (
      <label key={name} class="control">
        <span>{label}</span>
        <TextField
          label={label}
          value={String(changed[name as MixerParameter] ?? usual)}
          onInput={(text) => {
            const value = Number(text);
            if (Number.isInteger(value) && value >= 1 && value <= largestParameter)
              onChange({ [name]: value });
          }}
        />
      </label>
    ))}
  </div>
);

const against = (row: WhatIf, full: WhatIf | undefined): string =>
  full === undefined || row === full || full.macs === 0 ? '' : `${(row.macs / full.macs).toFixed(2)}×`;
