import type { VNode } from 'preact';
import type { SampledPoint } from '../../src/attention/sampling';
import { formatPercent } from '../../src/domain/units';
import { classColour } from './classColours';
import type { Overlay } from './overlay';
import './samplingPoints.css';

/** Radius in CSS pixels of the heaviest place of all, and of one that hardly counts. */
const [largest, least] = [9, 1.5] as const;

/** Where a point lies in the drawing: shares of what the model saw. */
const placed = ({ x, y }: SampledPoint, { region }: Overlay): readonly [x: number, y: number] => [
  region.x + x * region.width,
  region.y + y * region.height,
];

/**
 * Places that a query looks at, on the image: a circle whose area is the weight, relative to the
 * heaviest, in a colour for each map that is looked at.
 */
export function SamplingPoints({
  points,
  place,
}: {
  readonly points: readonly SampledPoint[];
  readonly place: Overlay;
}): VNode {
  const most = points.at(-1)?.weight ?? 1;
  return (
    <svg
      class="sampling-points"
      width={place.width}
      height={place.height}
      role="img"
      aria-label={label(points)}
    >
      {points.map((point, index) => {
        const [x, y] = placed(point, place);
        const radius = Math.max(least, largest * Math.sqrt(point.weight / Math.max(most, 1e-12)));
        return (
          <g key={index}>
            <circle class="sampling-casing" cx={x} cy={y} r={radius + 1} />
            <circle class="sampling-point" cx={x} cy={y} r={radius} fill={classColour(point.level)} />
          </g>
        );
      })}
    </svg>
  );
}

/** The levels that are looked at, with their colours and the share that each has of the weights. */
export function SamplingLegend({ points }: { readonly points: readonly SampledPoint[] }): VNode {
  const shares = new Map<number, number>();
  for (const { level, weight } of points) shares.set(level, (shares.get(level) ?? 0) + weight);
  return (
    <p class="quiet sampling-legend">
      <span>Places that it looks at; their areas are their weights.</span>
      {[...shares]
        .sort(([one], [other]) => one - other)
        .map(([level, share]) => (
          <span key={level}>
            <span class="sampling-swatch" style={{ background: classColour(level) }} /> map {level + 1}:{' '}
            {formatPercent(share, 0)}
          </span>
        ))}
    </p>
  );
}

function label(points: readonly SampledPoint[]): string {
  const best = points.at(-1);
  if (!best) return 'No places';
  return `${points.length} places; the heaviest has ${formatPercent(best.weight)} at ${formatPercent(best.x, 0)} across and ${formatPercent(best.y, 0)} down`;
}
