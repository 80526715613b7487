import type { VNode } from 'preact';
import { useMemo } from 'preact/hooks';
import { formatExact, formatPercent } from '../../src/domain/units';
import type { Masks, Segment } from '../../src/tasks/answer';
import { maskFormats } from '../../src/tasks/segment/export';
import { classRgb } from '../marks/classColours';
import type { AnswerView, AnswerViewProps, OverlayProps } from './answerView';
import { ExportMenu } from './exportMenu';
import { MaskChoices, withChoice } from './maskChoices';
import { Opacity } from './opacity';
import { pixelAt, pixelBitmap, PixelsOverlay } from './pixelsOverlay';
import { promptGestures } from './promptMarks';
import { segmentColours } from './segmentColours';
import { Swatch } from './swatch';

/** What the parts of an answer are called, one and several. */
const nouns: Readonly<Record<Masks['of'], readonly [one: string, several: string]>> = {
  classes: ['class', 'classes'],
  instances: ['object', 'objects'],
  panoptic: ['segment', 'segments'],
  prompts: ['mask', 'masks'],
};

/** `3 classes` */
const counted = ({ of, segments: { length } }: Masks): string =>
  `${length} ${nouns[of][length === 1 ? 0 : 1]}`;

/** What is to be said if there is nothing. */
const nothing = ({ of }: Masks): string => (of === 'prompts' ? 'No point or box is given' : 'Nothing found');

/** What is where: classes by the share that they cover, or objects in the library's order. */
export const masks: AnswerView<Masks> = {
  spoken: (answer) =>
    answer.segments.length === 0
      ? `${nothing(answer)}.`
      : `${counted(answer)}: ${answer.segments.map(({ name }) => name).join(', ')}.`,
  leads: true,
  View: (props) => (props.answer.of === 'prompts' ? <MaskChoices {...props} /> : <SegmentList {...props} />),
  overlay: {
    View: MasksDrawing,
    hint: 'Click a patch to see where it looks; Esc shows the segments again.',
    at: ({ answer, place }, x, y) => {
      const pixel = pixelAt(place, answer.grid, x, y);
      const id = pixel === undefined ? -1 : answer.ids[pixel];
      const index = answer.segments.findIndex((segment) => segment.id === id);
      return index < 0 ? undefined : { index, part: 'inside' };
    },
    queryOf: () => undefined,
    gesturesOf: ({ of }) => (of === 'prompts' ? promptGestures : undefined),
  },
};

/** Every segment in its colour; if one is pointed at, that alone. */
function MasksDrawing(props: OverlayProps<Masks>): VNode {
  const { answer: given, place, look, pointed, choice, overMap, isBehind } = props;
  const bitmap = useMemo(() => {
    // Masks of a prompt lie over one another: the one that is pointed at is drawn whole.
    const answer = withChoice(given, given.choices && (pointed ?? choice));
    const shown = answer.segments.filter((_, index) => pointed === undefined || index === pointed);
    // What has no colour among the others is drawn when it is pointed at.
    const numbers = segmentColours(answer);
    const drawn = shown.filter(({ id }) => pointed !== undefined || numbers.has(id));
    const colours = new Map(drawn.map(({ id }) => [id, classRgb(numbers.get(id) ?? id)] as const));
    return pixelBitmap(answer.grid, (pixel) => colours.get(answer.ids[pixel] ?? -1));
  }, [given, pointed, choice]);
  const opacity = isBehind ? look.opacity / 2 : look.opacity;
  return <PixelsOverlay place={place} bitmap={bitmap} opacity={overMap ? 0 : opacity} />;
}

const titleOf = ({ id, area, score, fused }: Segment): string =>
  [
    `number ${id} on the map`,
    `${formatExact(area)} pixels`,
    ...(score === undefined ? [] : [`score ${score}`]),
    ...(fused ? ['several masks of the class together'] : []),
  ].join(', ');

function SegmentList(props: AnswerViewProps<Masks>): VNode {
  const { answer, look, pointed, seen, onLook, onPoint, onSave } = props;
  const { segments, grid, labelSource } = answer;
  const numbers = segmentColours(answer);
  const pixels = grid[0] * grid[1];
  const covered = segments.reduce((sum, { area }) => sum + area, 0);
  return (
    <div>
      <div class="controls">
        <Opacity look={look} onLook={onLook} />
        <ExportMenu
          what="masks"
          formats={maskFormats}
          answer={answer}
          seen={seen}
          lacking={segments.length === 0 ? 'No mask is shown.' : ''}
          onSave={onSave}
        />
      </div>
      <ol class="guesses segment-list">
        {segments.map((segment, rank) => (
          <li
            key={rank}
            class={pointed === rank ? 'pointed' : ''}
            title={titleOf(segment)}
            onPointerEnter={() => onPoint(rank)}
            onPointerLeave={() => onPoint(undefined)}
          >
            <Swatch label={numbers.get(segment.id)} />
            <span class="guess-label">{segment.name}</span>
            <span class="share">
              <span style={{ width: `${(100 * segment.area) / pixels}%` }} />
            </span>
            <span class="number">{formatPercent(segment.area / pixels)}</span>
          </li>
        ))}
      </ol>
      <p class="quiet">
        {segments.length === 0
          ? nothing(answer)
          : `${counted(answer)} on ${formatPercent(covered / pixels)} of the image`}
        {labelSource === '' ? '' : `, labels: ${labelSource}`}
      </p>
    </div>
  );
}
