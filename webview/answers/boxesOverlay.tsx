import type { VNode } from 'preact';
import { formatPercent } from '../../src/domain/units';
import { queryOfBox, type Boxes } from '../../src/tasks/answer';
import { boxAt, placeBoxes, type NamedBox, type PlacedBox } from '../marks/boxPlaces';
import { classColour } from '../marks/classColours';
import type { OverlayProps, OverlayView } from './answerView';
import { isQueryOf, nameOf, shownBoxes, type IndexedBox } from './shownBoxes';

type Drawn = IndexedBox & NamedBox;

/** Boxes on the image: a line in the colour of the class, name and score beside it. */
export const boxesOverlay: OverlayView<Boxes> = {
  View: BoxesDrawing,
  hint: 'Click a box, or a patch outside of them, to see where it looked; with Shift a click is always the patch.',
  at: (props, x, y) => {
    const hit = boxAt(placed(props), x, y);
    return hit && { index: hit.box.index, part: hit.part };
  },
  queryOf: (answer, index) => {
    const box = answer.boxes[index];
    return box && queryOfBox(answer, box);
  },
};

/** Room in a name beside its text. */
const padding = 12;
const font = '12px sans-serif';
let measure: CanvasRenderingContext2D | null | undefined;

function widthOf(text: string): number {
  measure ??= document.createElement('canvas').getContext('2d');
  if (!measure) return 7 * text.length + padding;
  measure.font = font;
  return Math.ceil(measure.measureText(text).width) + padding;
}

function placed({ answer, look, place, seen }: OverlayProps<Boxes>): readonly PlacedBox<Drawn>[] {
  const drawn = shownBoxes(answer, look).map(({ box, index }): Drawn => ({
    index,
    box,
    corners: box.box,
    name: `${nameOf(box)} ${formatPercent(box.score, 0)}`,
  }));
  return placeBoxes(drawn, place, seen.size, widthOf);
}

/** The best box lies over the others, and over them what is pointed at or chosen. */
function BoxesDrawing(props: OverlayProps<Boxes>): VNode {
  const { answer, place, pointed, query, overMap } = props;
  const isChosen = ({ box }: PlacedBox<Drawn>): boolean => isQueryOf(answer, box.box, query);
  const isLit = (each: PlacedBox<Drawn>): boolean => each.box.index === pointed || isChosen(each);
  const all = [...placed(props)].reverse();
  const ordered = [...all.filter((each) => !isLit(each)), ...all.filter(isLit)];
  const isQuiet = overMap || pointed !== undefined;
  return (
    <svg class="boxes-drawing" aria-hidden="true" width={place.width} height={place.height}>
      {ordered.map((each) => (
        <OneBox
          key={each.box.index}
          placed={each}
          weight={isChosen(each) ? 4 : isLit(each) ? 3 : 2}
          isQuiet={isQuiet && !isLit(each)}
          isNamed={!overMap || isLit(each)}
        />
      ))}
    </svg>
  );
}

interface OneBoxProps {
  readonly placed: PlacedBox<Drawn>;
  readonly weight: number;
  readonly isQuiet: boolean;
  readonly isNamed: boolean;
}

function OneBox({ placed: { box, rectangle, name }, weight, isQuiet, isNamed }: OneBoxProps): VNode {
  const colour = classColour(box.box.label);
  return (
    <g class={`drawn-box${isQuiet ? ' quiet-box' : ''}`} data-index={box.index}>
      <rect {...rectangle} class="box-casing" stroke-width={weight + 2} />
      <rect {...rectangle} class="box-line" stroke={colour} stroke-width={weight} />
      {isNamed && (
        <>
          <rect {...name} class="box-name" />
          <rect {...name} width={4} fill={colour} />
          <text x={name.x + 8} y={name.y + 13}>
            {box.name}
          </text>
        </>
      )}
    </g>
  );
}
