import { largest } from '../../src/domain/lists';
import type { VNode } from 'preact';
import { formatExact, formatNumber } from '../../src/domain/units';

export interface HistogramProps {
  /** Counts in equal bins between `min` and `max`. */
  readonly counts: readonly number[];
  readonly min: number;
  readonly max: number;
}

const WIDTH = 280;
const HEIGHT = 64;

/** How a tensor's values are spread; each bin tells its range and count. */
export function Histogram({ counts, min, max }: HistogramProps): VNode {
  const highest = largest([1, ...counts]);
  const width = WIDTH / counts.length;
  const step = (max - min) / counts.length;
  return (
    <svg
      class="histogram"
      role="img"
      aria-label={`Histogram of values from ${formatNumber(min)} to ${formatNumber(max)}`}
      viewBox={`0 0 ${WIDTH} ${HEIGHT + 16}`}
    >
      {counts.map((count, bin) => {
        const height = (HEIGHT * count) / highest;
        const [from, to] = [min + bin * step, min + (bin + 1) * step];
        return (
          <g key={bin}>
            <title>{`${formatNumber(from)} … ${formatNumber(to)}: ${formatExact(count)}`}</title>
            <rect class="histogram-back" x={bin * width} y={0} width={width} height={HEIGHT} />
            <rect
              class="histogram-bar"
              x={bin * width}
              y={HEIGHT - height}
              width={Math.max(0.5, width - 1)}
              height={height}
            />
          </g>
        );
      })}
      <path class="histogram-axis" d={`M0,${HEIGHT}H${WIDTH}`} />
      <text x={0} y={HEIGHT + 13}>
        {formatNumber(min)}
      </text>
      <text x={WIDTH} y={HEIGHT + 13} text-anchor="end">
        {formatNumber(max)}
      </text>
    </svg>
  );
}
