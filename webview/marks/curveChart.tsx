import type { VNode } from 'preact';
import { formatNumber } from '../../src/domain/units';
import { largest } from '../../src/domain/lists';
import './curveChart.css';

/** Values at equal steps from 0 to all of something. */
export interface Curve {
  readonly name: string;
  readonly values: ArrayLike<number>;
  /** A further line in the chart's list: its area. */
  readonly figure: string;
  /** Drawn quietly and dashed: what the others are held against. */
  readonly isBaseline: boolean;
}

export interface CurveChartProps {
  readonly title: string;
  readonly curves: readonly Curve[];
  /** What is on the axes. */
  readonly across: string;
  readonly upward: string;
  readonly width: number;
}

const size = { height: 168, left: 40, right: 8, top: 8, bottom: 36 } as const;

/** Looks of lines in their order: by colour, and by dashes for those who see none. */
const looks = ['', '6 3', '2 2', '8 3 2 3', '12 4'] as const;

/** Curves beside one another, each named with its figure below. */
export function CurveChart({ title, curves, across, upward, width }: CurveChartProps): VNode {
  const most = largest([0, ...curves.map(({ values }) => largest(Array.from(values)))]);
  const least = Math.min(
    0,
    -largest(curves.map(({ values }) => largest(Array.from(values, (value) => -value)))),
  );
  const high = most > least ? most : least + 1;
  const [inside, tall] = [width - size.left - size.right, size.height - size.top - size.bottom];
  const x = (share: number): number => size.left + share * inside;
  const y = (value: number): number => size.top + (1 - (value - least) / (high - least)) * tall;
  const line = ({ values }: Curve): string =>
    Array.from(values, (value, step) => `${x(step / Math.max(1, values.length - 1))},${y(value)}`).join(' ');
  const look = (curve: Curve): number => curves.filter(({ isBaseline }) => !isBaseline).indexOf(curve);
  const kind = (curve: Curve): string =>
    curve.isBaseline ? 'baseline' : `line-${look(curve) % looks.length}`;
  const dashes = (curve: Curve): string =>
    curve.isBaseline ? '3 3' : (looks[look(curve) % looks.length] ?? '');
  const told = curves.map(({ name, figure }) => `${name} ${figure}`).join(', ');
  return (
    <figure class="curve-chart">
      <figcaption>{title}</figcaption>
      <svg width={width} height={size.height} role="img" aria-label={`${title}: ${told}`}>
        {[least, high].map((value) => (
          <g key={value}>
            <line class="curve-grid" x1={x(0)} x2={x(1)} y1={y(value)} y2={y(value)} />
            <text x={size.left - 4} y={y(value) + 4} text-anchor="end">
              {formatNumber(value, 2)}
            </text>
          </g>
        ))}
        {[0, 0.5, 1].map((share) => (
          <text
            key={share}
            x={x(share)}
            y={size.height - size.bottom + 14}
            text-anchor={share === 0 ? 'start' : share === 1 ? 'end' : 'middle'}
          >
            {100 * share} %
          </text>
        ))}
        <text x={x(0.5)} y={size.height - 6} text-anchor="middle">
          {across}
        </text>
        {curves.map((curve) => (
          <polyline
            key={curve.name}
            class={`curve ${kind(curve)}`}
            stroke-dasharray={dashes(curve)}
            points={line(curve)}
          >
            <title>{`${curve.name}, ${curve.figure}`}</title>
          </polyline>
        ))}
      </svg>
      <p class="quiet">{upward}</p>
      <ul class="curve-names">
        {curves.map((curve) => (
          <li key={curve.name}>
            <svg width={24} height={8} aria-hidden="true">
              <line
                class={`curve ${kind(curve)}`}
                stroke-dasharray={dashes(curve)}
                x1={0}
                x2={24}
                y1={4}
                y2={4}
              />
            </svg>
            <span>{curve.name}</span>
            <span class="number">{curve.figure}</span>
          </li>
        ))}
      </ul>
    </figure>
  );
}
