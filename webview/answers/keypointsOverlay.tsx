import type { VNode } from 'preact';
import type { Query } from '../../src/domain/query';
import { queryOfKeypoint, shownKeypoints, type Keypoint, type Keypoints } from '../../src/tasks/answer';
import { classColour } from '../marks/classColours';
import type { Overlay } from '../marks/overlay';
import type { Look, OverlayProps, OverlayView } from './answerView';
import './boxes.css';
import './keypoints.css';

/** The score that a keypoint must be above. */
export const thresholdOf = ({ threshold }: Keypoints, look: Pick<Look, 'threshold'>): number =>
  look.threshold ?? Math.max(0, threshold);

/** Keypoints that are listed and drawn, in the model's order. */
export const shownOf = (answer: Keypoints, look: Pick<Look, 'threshold'>): readonly Keypoint[] =>
  shownKeypoints(answer, thresholdOf(answer, look));

/** Whether the attention of the patch under a keypoint was asked for. */
export function isAsked(answer: Keypoints, point: Keypoint, query: Query | undefined): boolean {
  const own = queryOfKeypoint(answer, point);
  return (
    own.kind === 'patch' &&
    query?.kind === 'patch' &&
    String(query.grid) === String(own.grid) &&
    query.row === own.row &&
    query.column === own.column
  );
}

/** Radius of a keypoint's circle, and pixels from its middle that still hit it. */
const sizes = { radius: 4, lit: 6, reach: 9 } as const;

interface Place {
  readonly x: number;
  readonly y: number;
}

/** Where a keypoint lies in the drawing; its coordinates count from a pixel's middle. */
const placeOf = ({ image, scale }: Overlay, { point: [x, y] }: Keypoint): Place => ({
  x: image.x + (x + 0.5) * scale,
  y: image.y + (y + 0.5) * scale,
});

/** Keypoints on the image, joined by the lines of a body where it is known. */
export const keypointsOverlay: OverlayView<Keypoints> = {
  View: KeypointsDrawing,
  hint: 'Click a keypoint, or a patch, to see where it looked; with Shift a click is always the patch.',
  at: ({ answer, look, place }, x, y) => {
    const near = shownOf(answer, look)
      .map((point) => ({ point, ...placeOf(place, point) }))
      .map(({ point, ...at }) => ({ point, far: Math.hypot(at.x - x, at.y - y) }))
      .sort((one, other) => one.far - other.far)[0];
    return near && near.far <= sizes.reach ? { index: near.point.label, part: 'line' } : undefined;
  },
  queryOf: (answer, index) => {
    const point = answer.points[index];
    return point && queryOfKeypoint(answer, point);
  },
};

/** Lines first, circles over them, and over all the name of what is pointed at or chosen. */
function KeypointsDrawing({ answer, look, place, pointed, query, overMap }: OverlayProps<Keypoints>): VNode {
  const shown = shownOf(answer, look);
  const places = new Map(shown.map((point) => [point.label, placeOf(place, point)] as const));
  const isLit = (point: Keypoint): boolean => point.label === pointed || isAsked(answer, point, query);
  const isQuiet = overMap || pointed !== undefined;
  const bones = answer.bones.flatMap(([from, to]) => {
    const [one, other] = [places.get(from), places.get(to)];
    return one && other ? [{ x1: one.x, y1: one.y, x2: other.x, y2: other.y }] : [];
  });
  return (
    <svg class="boxes-drawing" aria-hidden="true" width={place.width} height={place.height}>
      <g class={isQuiet ? 'quiet-box' : ''}>
        {bones.map((bone) => (
          <>
            <line {...bone} class="bone-casing" />
            <line {...bone} class="bone" />
          </>
        ))}
      </g>
      {[...shown.filter((each) => !isLit(each)), ...shown.filter(isLit)].map((point) => (
        <OnePoint
          key={point.label}
          point={point}
          at={places.get(point.label) ?? placeOf(place, point)}
          isLit={isLit(point)}
          isQuiet={isQuiet && !isLit(point)}
          width={place.width}
        />
      ))}
    </svg>
  );
}

interface OnePointProps {
  readonly point: Keypoint;
  readonly at: Place;
  readonly isLit: boolean;
  readonly isQuiet: boolean;
  /** Of the drawing: a name stays inside of it. */
  readonly width: number;
}

function OnePoint({ point, at: { x, y }, isLit, isQuiet, width }: OnePointProps): VNode {
  const radius = isLit ? sizes.lit : sizes.radius;
  const isRight = x > width / 2;
  const beside = isRight ? x - radius - 6 : x + radius + 6;
  return (
    <g class={`drawn-keypoint${isQuiet ? ' quiet-box' : ''}`} data-index={point.label}>
      <circle cx={x} cy={y} r={radius + 1.5} class="keypoint-casing" />
      <circle cx={x} cy={y} r={radius} fill={classColour(point.label)} />
      {isLit && (
        <text class="keypoint-name" x={beside} y={y + 4} text-anchor={isRight ? 'end' : 'start'}>
          {point.name} {point.score.toFixed(2)}
        </text>
      )}
    </g>
  );
}
