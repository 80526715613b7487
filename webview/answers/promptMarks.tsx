import type { VNode } from 'preact';
import type { Given } from '../../src/tasks/run';
import type { Overlay } from '../marks/overlay';
import type { Gestures } from './answerView';
import { afterClick, afterDrag, placesOf } from './promptPlaces';
import './promptMarks.css';

/** Points and a box of a prompt: a plus on what is meant, a minus on what is not. */
function PromptMarks({
  given,
  place: { width, height, image, scale },
}: {
  given: Given;
  place: Overlay;
}): VNode {
  const { points, box } = placesOf(given);
  const rectangle = box && {
    x: image.x + box[0] * scale,
    y: image.y + box[1] * scale,
    width: (box[2] - box[0]) * scale,
    height: (box[3] - box[1]) * scale,
  };
  return (
    <svg class="prompt-marks" aria-hidden="true" width={width} height={height}>
      {rectangle && (
        <g class="prompt-box">
          <rect {...rectangle} class="prompt-casing" />
          <rect {...rectangle} class="prompt-line" />
        </g>
      )}
      {points.map(({ x, y, isInside }, index) => (
        <g
          key={index}
          class={`prompt-point ${isInside ? 'inside' : 'outside'}`}
          transform={`translate(${image.x + x * scale} ${image.y + y * scale})`}
        >
          <circle r={7} />
          <path d={isInside ? 'M-4 0H4M0 -4V4' : 'M-4 0H4'} />
        </g>
      ))}
    </svg>
  );
}

/** Points and a box, drawn on the image, say what is meant. */
export const promptGestures: Gestures = {
  hint: 'Click what is meant, Shift-click what is not; drag a box around it. Alt-click a patch to see where it looks.',
  keys: [
    ['Click', 'on what is meant: a point; on a point: takes it away'],
    ['Shift-click', 'on what is not meant: a point of the other kind'],
    ['Drag', 'a box around what is meant'],
    ['Backspace', 'undo'],
    ['Delete', 'takes all points and the box away'],
    ['Enter', 'a point on the patch that arrow keys chose; with Shift one of the other kind'],
    ['Alt-click', 'a patch: where it looks'],
  ],
  onClick: afterClick,
  onDrag: afterDrag,
  View: PromptMarks,
};
