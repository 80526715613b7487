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
import { TextField } from '../kit/toolkit';
import { ShareBar } from '../marks/shareBar';

/** What one attention layer of this model would cost in other forms, whose window, length, features and kernel can be changed. */
export function WhatIfTable({ report }: { report: ComplexityReport }): VNode {
  const [changed, setChanged] = useState<Partial<MixerParameters>>({});
  const parameters = { ...report.layer?.own, ...changed };
  const rows = report.layer ? whatIfRows(report.layer, parameters) : report.whatIf;
  const [full] = rows;
  const largest = Math.max(1, ...rows.map((row) => row.macs));
  return (
    <section>
      <h2>What if: one attention layer in other forms</h2>
      {report.layer && <p class="quiet">{layerLine(report.layer)}</p>}
      {report.layer && (
        <Parameters changed={parameters} onChange={(change) => setChanged({ ...changed, ...change })} />
      )}
      <table class="plain figures-table">
        <thead>
          <tr>
            <th scope="col">Form</th>
            <th scope="col" class="wide-only">
              Formula
            </th>
            <th scope="col" class="number">
              MACs
            </th>
            <th scope="col" class="number">
              Against full
            </th>
            <th scope="col" class="bar-column">
              <span class="visually-hidden">MACs as a bar</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.name} title={row.formula}>
              <th scope="row">{row.name}</th>
              <td class="quiet wide-only">{row.formula}</td>
              <td class="number" title={formatExact(row.macs)}>
                {formatCount(row.macs)}
              </td>
              <td class="number">{against(row, full)}</td>
              <td class="bar-column">
                <ShareBar share={row.macs / largest} of="the costliest form" />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

interface ParametersProps {
  readonly changed: Partial<MixerParameters>;
  readonly onChange: (change: Partial<MixerParameters>) => void;
}

/** A field for each figure that the forms leave open; what is no whole number leaves the one before. */
const Parameters = ({ changed, onChange }: ParametersProps): VNode => (
  <div class="controls parameters" role="group" aria-label="Figures of the other forms">
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
