import type { Size } from '../../src/domain/size';
import type { VNode } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import type { InspectorApi, InspectorModel, ReportAsked } from '../../src/protocol/inspector';
import type { ComplexityReport, Scaling, ScalingPoint } from '../../src/domain/report';
import { formatBytes, formatCount, formatExact, formatPercent } from '../../src/domain/units';
import { useSaved, type Host } from '../host';
import { useAnswer, useSettled } from '../kit/hooks';
import { announce, Banner, Failure, Skeleton } from '../kit/status';
import { Button, Dropdown, Slider } from '../kit/toolkit';
import { moduleChart, scalingChart, sizeText } from '../marks/charts';
import { ChartFrame } from './chartFrame';
import { LengthControls, PartTable, type Lengths } from './parts';
import './complexity.css';
import { CONVENTION_NAMES, CONVENTIONS, type Convention } from './conventions';
import { moduleBars, totalMacs } from './moduleBars';
import { ModuleTable, OperatorTable, type OperatorName } from './tables';
import { WhatIfTable } from './whatIf';

export type ComplexityHost = Host<InspectorApi>;

export interface ComplexityProps {
  readonly host: ComplexityHost;
  readonly model: InspectorModel;
  /** A module whose row is to be shown, and how often one was asked for. */
  readonly revealed?: { readonly path: string; readonly count: number } | undefined;
  /** An operator whose row is to be shown, and how often one was asked for. */
  readonly operator?: (OperatorName & { readonly count: number }) | undefined;
  /** Shows a module in the inspector. */
  readonly onModule: (path: string) => void;
}

const BATCHES = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/** What a checkpoint costs at an image size that can be moved. */
export function Complexity({ host, model, revealed, operator, onModule }: ComplexityProps): VNode {
  const [size, setSize] = useSaved<readonly [number, number] | null>('complexitySize', null);
  const [batch, setBatch] = useSaved('batch', 1);
  const [lengths, setLengths] = useSaved<Lengths>('lengths', {});
  const [convention, setConvention] = useSaved<Convention>('convention', 'macs');
  const wanted = useSettled(size, 60);
  const settled = useSettled(lengths, 60);
  const lengthsKey = JSON.stringify(settled);
  const asked: ReportAsked = { imageSize: wanted, batch, lengths: settled };
  const scaling = useAnswer((call) => host.call('scaling', [settled], call), [model, lengthsKey]);
  const report = useAnswer(
    (call) => host.call('complexity', [asked], call),
    [model, sizeKey(wanted), batch, lengthsKey],
  );

  useEffect(() => {
    if (report.value?.imageSize && size)
      announce(`${sizeText(report.value.imageSize)}: ${formatCount(totalMacs(report.value.macs))} MACs`);
  }, [report.value]);

  if (report.error && !report.value)
    return (
      <Failure
        title="The complexity could not be counted"
        {...report.error}
        onRetry={() => {
          setSize(null);
          setBatch(1);
          setLengths({});
        }}
        onShowLog={() => void host.remote.perform('showLog')}
        onManageTrust={() => void host.remote.perform('manageTrust')}
      />
    );
  if (!report.value) return <Skeleton label="Counting" rows={8} />;
  const shown = report.value;
  return (
    <div class="complexity" aria-busy={report.waiting}>
      <Totals report={shown} convention={convention} />
      <div class="controls">
        {scaling.value && scaling.value.points.length > 1 && (
          <SizeControl
            scaling={scaling.value}
            size={size ?? shown.imageSize ?? scaling.value.native}
            onSize={setSize}
          />
        )}
        {scaling.value?.points.length === 1 && shown.imageSize && (
          <span class="quiet">This graph takes {sizeText(shown.imageSize)} only.</span>
        )}
        <label class="control">
          <span>Batch</span>
          <Dropdown
            label="Batch size"
            value={String(batch)}
            choices={BATCHES.map((count) => ({ value: String(count), label: String(count) }))}
            onChange={(value) => setBatch(Number(value))}
          />
        </label>
        <label class="control">
          <span>Convention</span>
          <Dropdown
            label="Counting convention"
            value={convention}
            choices={CONVENTION_NAMES.map((name) => ({ value: name, label: CONVENTIONS[name].title }))}
            onChange={(value) => setConvention(value as Convention)}
          />
        </label>
        <ExportButtons host={host} asked={asked} />
      </div>
      {shown.lengths.length > 0 && (
        <LengthControls rows={shown.lengths} lengths={lengths} onLengths={setLengths} />
      )}
      <p class="quiet note">{CONVENTIONS[convention].note}</p>
      {shown.parts.length > 1 && <PartTable report={shown} convention={CONVENTIONS[convention]} />}
      <Charts
        host={host}
        report={shown}
        scaling={scaling.value ?? undefined}
        convention={convention}
        name={model.fileName}
      />
      {scaling.error && (
        <Banner icon="warning" kind="warning">
          Other image sizes could not be counted: {scaling.error.message}
        </Banner>
      )}
      <ModuleTable
        report={shown}
        factor={CONVENTIONS[convention].factor}
        unit={CONVENTIONS[convention].unit}
        revealed={revealed}
        onModule={onModule}
      />
      <OperatorTable
        report={shown}
        revealed={operator}
        uses={(name, call) => host.call('operatorUses', [name, countedFor(shown)], call)}
        onModule={onModule}
      />
      {shown.whatIf.length > 0 && <WhatIfTable report={shown} />}
    </div>
  );
}

/** What a report was counted for, as it is asked for again. */
const countedFor = ({ imageSize, batch, lengths }: ComplexityReport): ReportAsked => ({
  imageSize,
  batch,
  lengths: Object.fromEntries(lengths.map(({ name, value }) => [name, value])),
});

const sizeKey = (size: Size | null): string => (size ? sizeText(size) : '');

interface TotalsProps {
  readonly report: ComplexityReport;
  readonly convention: Convention;
}

/**
 * The totals, each with its formula as the tooltip. MACs and FLOPs stand side by side, so that
 * nobody mixes them up.
 */
function Totals({ report, convention }: TotalsProps): VNode {
  const macs = totalMacs(report.macs);
  const size = report.imageSize ? ` (${sizeText(report.imageSize)})` : '';
  const totals: readonly (readonly [key: string, label: string, text: string, exact: string])[] = [
    ['params', 'Parameters', formatCount(report.params), formatExact(report.params)],
    ['macs', `MACs${size}`, formatCount(macs, 4), formatExact(macs)],
    ['flops', 'FLOPs = 2 × MACs', formatCount(report.flops, 4), formatExact(report.flops)],
    ['weightBytes', 'Weights', formatBytes(report.weightBytes), `${formatExact(report.weightBytes)} bytes`],
    [
      'peakActivationBytes',
      'Peak activations',
      formatBytes(report.peakActivationBytes),
      `${formatExact(report.peakActivationBytes)} bytes: the largest sum of live outputs; all outputs ${formatBytes(report.activationBytes)}`,
    ],
    ...(report.attentionBytes > 0
      ? [
          [
            'attentionBytes',
            'Attention maps',
            formatBytes(report.attentionBytes),
            `${formatExact(report.attentionBytes)} bytes`,
          ] as const,
        ]
      : []),
    ...(report.tokens > 0
      ? [['tokens', 'Tokens', formatExact(report.tokens), formatExact(report.tokens)] as const]
      : []),
    ...(report.macs.attention > 0
      ? [
          [
            'attention',
            'Attention’s share',
            formatPercent(report.macs.attention / macs),
            `${formatExact(report.macs.attention)} of ${formatExact(macs)} MACs`,
          ] as const,
        ]
      : []),
  ];
  const fvcore = CONVENTIONS.fvcore.total(report);
  return (
    <dl class="figures">
      {totals.map(([key, label, text, exact]) => (
        <div key={key} class="figure" title={[exact, report.formulas[key]].filter(Boolean).join('\n')}>
          <dt>{label}</dt>
          <dd>{text}</dd>
        </div>
      ))}
      {convention === 'fvcore' && (
        <div
          class="figure"
          title={[formatExact(fvcore), report.formulas['fvcore']].filter(Boolean).join('\n')}
        >
          <dt>fvcore’s count</dt>
          <dd>{formatCount(fvcore, 4)}</dd>
        </div>
      )}
    </dl>
  );
}

interface SizeControlProps {
  readonly scaling: Scaling;
  readonly size: Size;
  readonly onSize: (size: Size | null) => void;
}

/**
 * The slider moves over the sizes that the family takes; its numbers come with the scaling curve,
 * so they follow at once.
 */
function SizeControl({ scaling, size, onSize }: SizeControlProps): VNode {
  const at = nearestPoint(scaling.points, size);
  const point = scaling.points[at] as ScalingPoint;
  const native = sizeText(point.imageSize) === sizeText(scaling.native);
  const tokens = point.tokens > 0 ? [`${formatExact(point.tokens)} tokens`] : [];
  const text = [sizeText(point.imageSize), ...tokens, `${formatCount(totalMacs(point.macs), 4)} MACs`].join(
    ', ',
  );
  return (
    <div class="control size-control">
      <span>Image size</span>
      <Slider
        label="Image size"
        min={0}
        max={scaling.points.length - 1}
        value={at}
        text={text}
        onInput={(next) => onSize(scaling.points[next]?.imageSize ?? null)}
      />
      <span class="size-text">{text}</span>
      {/* Always there, or the row would move under the pointer that drags. */}
      <button
        type="button"
        class="link"
        style={{ visibility: native ? 'hidden' : 'visible' }}
        onClick={() => onSize(null)}
      >
        Back to {sizeText(scaling.native)}
      </button>
    </div>
  );
}

/** Index of the point whose area is nearest on a log scale. */
export function nearestPoint(points: readonly ScalingPoint[], size: Size): number {
  const distance = ({ imageSize }: ScalingPoint): number =>
    Math.abs(Math.log((imageSize[0] * imageSize[1]) / (size[0] * size[1])));
  return points.reduce(
    (best, point, index) => (distance(point) < distance(points[best] as ScalingPoint) ? index : best),
    0,
  );
}

interface ExportProps {
  readonly host: ComplexityHost;
  readonly asked: ReportAsked;
}

const FORMATS = [
  ['markdown', 'Markdown'],
  ['csv', 'CSV'],
  ['json', 'JSON'],
] as const;

const ExportButtons = ({ host, asked }: ExportProps): VNode => (
  <div class="control">
    <span>Export</span>
    {FORMATS.map(([format, title]) => (
      <Button
        key={format}
        label={`Export the report as ${title}`}
        onClick={() => void host.remote.exportReport(format, asked).then((done) => done && announce('Saved'))}
      >
        {title}
      </Button>
    ))}
  </div>
);

interface ChartsProps {
  readonly host: ComplexityHost;
  readonly report: ComplexityReport;
  readonly scaling: Scaling | undefined;
  readonly convention: Convention;
  readonly name: string;
}

function Charts({ host, report, scaling, convention, name }: ChartsProps): VNode {
  const { factor, unit: named } = CONVENTIONS[convention];
  const unit = named === 'fvcore' ? 'MACs' : named;
  const bars = useMemo(() => moduleBars(report.modules), [report.modules]);
  const onSave = (suffix: string) => (svg: string) =>
    void host.remote.save(`${stemOf(name)}-${suffix}.svg`, svg).then((done) => done && announce('Saved'));
  return (
    <div class="charts">
      {bars.length > 0 && (
        <ChartFrame
          title={`${unit} per part of the model`}
          legend
          keys={[bars, factor]}
          draw={(width) => moduleChart(bars, factor, unit, width)}
          onSave={onSave('modules')}
        />
      )}
      {scaling && scaling.points.length > 1 && (
        <ChartFrame
          title={`${unit} against image size`}
          keys={[scaling, report.imageSize, factor]}
          draw={(width) =>
            scalingChart(
              scaling.points,
              {
                now: nearestPoint(scaling.points, report.imageSize ?? scaling.native),
                native: scaling.native,
                ...(scaling.crossing ? { crossing: scaling.crossing } : {}),
              },
              factor,
              unit,
              width,
            )
          }
          onSave={onSave('scaling')}
        />
      )}
    </div>
  );
}

const stemOf = (name: string): string => name.replace(/\.[^.]+$/, '');
