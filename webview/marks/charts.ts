import { largest, smallest } from '../../src/domain/lists';
import type { Size } from '../../src/domain/size';
import * as Plot from '@observablehq/plot';
import type { ScalingPoint } from '../../src/domain/report';
import { formatBytes, formatCount } from '../../src/domain/units';
import { totalMacs, type ModuleBar } from '../complexity/moduleBars';

/** Kinds of work in the order they are stacked, with the theme's variables that colour them. */
export const KINDS = [
  { kind: 'conv', title: 'convolution', colour: 'var(--conv)' },
  { kind: 'linear', title: 'linear', colour: 'var(--linear)' },
  { kind: 'attention', title: 'attention', colour: 'var(--attention)' },
] as const;

type Kind = (typeof KINDS)[number]['kind'];
export type Chart = SVGSVGElement;

const COLOUR = { domain: KINDS.map(({ kind }) => kind), range: KINDS.map(({ colour }) => colour) };

/**
 * What Plot writes into a style element of its own; theme.css has the same, so that a strict policy
 * has nothing to block.
 */
const CLASS = 'plot';

function finished(chart: SVGElement | HTMLElement, label: string): Chart {
  const svg = chart as unknown as Chart;
  svg.querySelectorAll('style').forEach((style) => style.remove());
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', label);
  return svg;
}

/**
 * Horizontal bars, one per part of the model, split into convolution, linear and attention.
 * `factor` turns MACs into FLOPs.
 */
export function moduleChart(bars: readonly ModuleBar[], factor: number, unit: string, width: number): Chart {
  const labels = bars.map(labelOf);
  const pieces = bars.flatMap((bar, index) =>
    KINDS.filter(({ kind }) => bar.macs[kind] > 0).map(({ kind, title }) => ({
      label: labels[index] as string,
      kind: kind as Kind,
      value: factor * bar.macs[kind],
      title: `${labels[index]}\n${title}: ${formatCount(factor * bar.macs[kind], 4)} ${unit}`,
    })),
  );
  const longest = largest(labels.map((label) => label.length));
  const totals = bars.map((bar, index) => ({ label: labels[index], value: factor * totalMacs(bar.macs) }));
  const marginLeft = Math.min(width * 0.42, 12 + 6.6 * longest);
  const chart = Plot.plot({
    className: CLASS,
    width,
    height: 36 + 28 * bars.length,
    marginLeft,
    marginRight: 64,
    marginTop: 4,
    marginBottom: 32,
    x: {
      label: unit,
      tickFormat: (value: number) => formatCount(value),
      ticks: Math.max(2, Math.floor(width / 140)),
      grid: true,
    },
    y: { label: null, domain: labels, tickSize: 0 },
    color: COLOUR,
    marks: [
      Plot.barX(pieces, {
        x: 'value',
        y: 'label',
        fill: 'kind',
        title: 'title',
        insetTop: 3,
        insetBottom: 3,
      }),
      Plot.text(totals, {
        x: 'value',
        y: 'label',
        text: ({ value }: { value: number }) => formatCount(value),
        textAnchor: 'start',
        dx: 6,
        fill: 'currentColor',
      }),
      Plot.ruleX([0], { stroke: 'currentColor' }),
    ],
  });
  return finished(
    chart,
    `${unit} per part of the model: ${totals.map(({ label, value }) => `${label} ${formatCount(value)}`).join(', ')}`,
  );
}

const labelOf = (bar: ModuleBar): string => (bar.times > 1 ? `${bar.label} ×${bar.times}` : bar.label);

const sideOf = ({ imageSize }: Pick<ScalingPoint, 'imageSize'>): number =>
  Math.sqrt(imageSize[0] * imageSize[1]);
export const sizeText = ([height, width]: readonly [number, number]): string => `${height}×${width}`;

export interface ScalingMarks {
  /** Index of the point shown in the report. */
  readonly now: number;
  readonly native: Size;
  readonly crossing?: ScalingPoint;
}

/**
 * MACs against image size, both axes logarithmic: everything, what is linear in tokens, and
 * attention, which is quadratic.
 */
export function scalingChart(
  points: readonly ScalingPoint[],
  { now, native, crossing }: ScalingMarks,
  factor: number,
  unit: string,
  width: number,
): Chart {
  const rows = points.map((point) => ({
    side: sideOf(point),
    all: factor * totalMacs(point.macs),
    rest: factor * (point.macs.conv + point.macs.linear),
    attention: factor * point.macs.attention,
    title: scalingTitle(point, factor, unit),
  }));
  const dots = [
    ...(points[now] ? [{ ...(rows[now] as (typeof rows)[number]), name: 'now' }] : []),
    ...rows
      .filter((_, index) => sizeText(points[index]?.imageSize ?? [0, 0]) === sizeText(native))
      .map((row) => ({ ...row, name: 'native' })),
  ];
  const last = rows.at(-1);
  const drawn = rows.filter((row) => row.attention > 0);
  // Without attention the rest is all there is.
  const parts =
    last && drawn.length > 0
      ? [
          { value: last.rest, text: 'linear + conv' },
          { value: last.attention, text: 'attention' },
        ]
      : [];
  const height = Math.max(220, Math.min(320, width * 0.55));
  const lowest = smallest([...rows.map(({ rest }) => rest), ...drawn.map(({ attention }) => attention)]);
  const ends = last
    ? spreadLabels(
        [{ value: last.all, text: 'all' }, ...parts],
        (height - MARGIN.top - MARGIN.bottom) / Math.log10(last.all / lowest),
      )
    : [];
  const sides = sideTicks(
    rows.map(({ side }) => side),
    width,
  );
  const powers = powersOfTen(
    rows.flatMap(({ all, attention }) => [all, attention].filter((value) => value > 0)),
  );
  const chart = Plot.plot({
    className: CLASS,
    width,
    height,
    marginLeft: 52,
    marginRight: 88,
    marginTop: MARGIN.top,
    marginBottom: MARGIN.bottom,
    x: {
      type: 'log',
      axis: null,
    },
    y: { type: 'log', axis: null },
    marks: [
      Plot.gridY(powers),
      Plot.axisY(powers, { text: powers.map((power) => formatCount(power, 1)), label: unit }),
      // Named ticks: on a log axis Plot leaves some of its own without a label.
      Plot.axisX(sides, {
        text: sides.map((side) => String(Math.round(side))),
        label: 'image side in pixels',
      }),
      ...(crossing ? crossingMarks(crossing) : []),
      Plot.line(drawn.length > 0 ? rows : [], {
        x: 'side',
        y: 'rest',
        stroke: 'var(--linear)',
        strokeWidth: 1.5,
      }),
      Plot.line(drawn, {
        x: 'side',
        y: 'attention',
        stroke: 'var(--attention)',
        strokeWidth: 1.5,
        strokeDasharray: '5 3',
      }),
      Plot.line(rows, { x: 'side', y: 'all', stroke: 'currentColor', strokeWidth: 2 }),
      Plot.dot(rows, { x: 'side', y: 'all', r: 2, fill: 'currentColor', title: 'title' }),
      Plot.dot(dots, {
        x: 'side',
        y: 'all',
        r: 5,
        fill: (dot: { name: string }) => (dot.name === 'now' ? 'var(--focus)' : 'var(--surface)'),
        stroke: 'currentColor',
        strokeWidth: 1.5,
        title: 'title',
      }),
      Plot.text(
        dots.filter((dot, index) => index === 0 || dot.side !== dots[0]?.side),
        { x: 'side', y: 'all', text: 'name', dy: -14, fill: 'currentColor' },
      ),
      ...ends.map((label) =>
        Plot.text([label], {
          x: () => last?.side,
          y: 'value',
          text: 'text',
          textAnchor: 'start',
          dx: 6,
          dy: label.down,
          fill: 'currentColor',
        }),
      ),
    ],
  });
  return finished(chart, `${unit} against image size`);
}

const MARGIN = { top: 20, bottom: 36 } as const;
/** Pixels between labels that stand below each other. */
const LABEL = 12;

interface Label {
  readonly value: number;
  readonly text: string;
}

/**
 * Labels of positive values on a log axis of `decade` pixels a decade, moved down so far that none
 * covers another.
 */
export function spreadLabels(
  labels: readonly Label[],
  decade: number,
): readonly (Label & { readonly down: number })[] {
  let free = -Infinity;
  return labels
    .filter(({ value }) => value > 0)
    .toSorted((one, other) => other.value - one.value)
    .map((label) => {
      const own = -Math.log10(label.value) * decade;
      const place = Math.max(own, free);
      free = place + LABEL;
      return { ...label, down: place - own };
    });
}

function crossingMarks(crossing: ScalingPoint): Plot.Markish[] {
  const side = sideOf(crossing);
  return [
    Plot.ruleX([side], { stroke: 'currentColor', strokeOpacity: 0.6, strokeDasharray: '2 3' }),
    Plot.text([side], {
      x: (value: number) => value,
      frameAnchor: 'top',
      dy: -12,
      text: () => `attention overtakes at ${sizeText(crossing.imageSize)}`,
      textAnchor: 'end',
      dx: 40,
      fill: 'currentColor',
    }),
  ];
}

const scalingTitle = (point: ScalingPoint, factor: number, unit: string): string =>
  [
    point.tokens > 0 ? `${sizeText(point.imageSize)}, ${point.tokens} tokens` : sizeText(point.imageSize),
    `${formatCount(factor * totalMacs(point.macs), 4)} ${unit}`,
    ...(point.macs.attention > 0 ? [`attention ${formatCount(factor * point.macs.attention, 4)}`] : []),
    `peak activations ${formatBytes(point.peakActivationBytes)}`,
  ].join('\n');

/** Ticks at sizes that the model really takes, as many as fit without touching on a log axis. */
function sideTicks(sides: readonly number[], width: number): number[] {
  const [low, high] = [smallest(sides), largest(sides)];
  const apart = (42 / Math.max(160, width - 140)) * Math.log(high / low);
  const ticks: number[] = [];
  for (const side of [...sides].sort((a, b) => a - b))
    if (ticks.length === 0 || Math.log(side / (ticks.at(-1) as number)) >= apart) ticks.push(side);
  return ticks;
}

/** The powers of ten that values span: the only lines that a log axis needs. */
function powersOfTen(values: readonly number[]): number[] {
  const low = Math.ceil(Math.log10(smallest(values)));
  const high = Math.floor(Math.log10(largest(values)));
  return Array.from({ length: Math.max(0, high - low + 1) }, (_, step) => 10 ** (low + step));
}

/**
 * The chart as a file of its own: the theme's colours written out, as the variables are unknown
 * outside of VS Code.
 */
export function standaloneSvg(chart: Chart): string {
  const copy = chart.cloneNode(true) as Chart;
  const originals = [chart, ...chart.querySelectorAll<SVGElement>('*')];
  [copy, ...copy.querySelectorAll<SVGElement>('*')].forEach((element, index) => {
    const style = getComputedStyle(originals[index] as Element);
    for (const property of ['fill', 'stroke'] as const)
      if (element.hasAttribute(property)) element.setAttribute(property, style[property]);
  });
  const { fontFamily, color, backgroundColor } = getComputedStyle(document.body);
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  copy.setAttribute('font-family', fontFamily);
  copy.setAttribute('color', color);
  const back = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
  back.setAttribute('width', '100%');
  back.setAttribute('height', '100%');
  back.setAttribute('fill', backgroundColor);
  copy.prepend(back);
  return new XMLSerializer().serializeToString(copy);
}
