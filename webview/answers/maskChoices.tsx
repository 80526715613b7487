import type { VNode } from 'preact';
import { useRef } from 'preact/hooks';
import { formatExact, formatPercent } from '../../src/domain/units';
import type { MaskChoice, Masks } from '../../src/tasks/answer';
import { maskFormats } from '../../src/tasks/segment/export';
import { Icon } from '../kit/icon';
import { Button, IconButton } from '../kit/toolkit';
import type { AnswerViewProps } from './answerView';
import { ExportMenu } from './exportMenu';
import { Opacity } from './opacity';
import { placesOf } from './promptPlaces';
import { Swatch } from './swatch';

/** The answer with one of the masks that a prompt may mean in place of the likeliest. */
export function withChoice(answer: Masks, choice: number | undefined): Masks {
  const chosen = choice === undefined ? undefined : answer.choices?.[choice];
  return chosen && choice !== undefined
    ? { ...answer, ids: Int16Array.from(chosen.ids, (isSet) => (isSet === 1 ? choice : -1)) }
    : answer;
}

/** The masks that are drawn if nobody chose: the likeliest of each prompt. */
const isLikeliest = (choices: readonly MaskChoice[], { prompt, score }: MaskChoice): boolean =>
  choices.every((other) => other.prompt !== prompt || other.score <= score);

/** What can be undone, what the prompt may mean, and how it is written. */
export function MaskChoices(props: AnswerViewProps<Masks>): VNode {
  const { answer, look, choice, given = {}, seen, onLook, onGive, onUndo, onSave } = props;
  const { points, box } = placesOf(given);
  const isEmpty = points.length === 0 && box === undefined;
  const { choices = [] } = answer;
  return (
    <div class="mask-choices">
      <div class="controls">
        <Button icon="discard" disabled={!onUndo} onClick={() => onUndo?.()}>
          Undo
        </Button>
        <Button icon="clear-all" disabled={isEmpty} onClick={() => onGive({})}>
          Clear
        </Button>
        <ExportMenu
          what="masks"
          formats={maskFormats}
          answer={withChoice(answer, choice)}
          seen={seen}
          lacking={choices.length === 0 ? 'No mask is shown.' : ''}
          onSave={onSave}
        />
        <Opacity look={look} onLook={onLook} />
      </div>
      {choices.length > 0 && <ChoiceList {...props} />}
      <p class="quiet">
        {choices.length === 0
          ? 'Click what is meant on the image, or drag a box around it.'
          : `${choices.length} masks may be meant; the share is how well the model thinks that each fits (IoU).`}
      </p>
    </div>
  );
}

/** A list of which one mask is drawn and in the tab order; arrow keys choose. */
function ChoiceList(props: AnswerViewProps<Masks>): VNode {
  const { answer, choice, pointed, onPoint, onChoice, onQuery } = props;
  const list = useRef<HTMLOListElement>(null);
  const { choices = [], segments, grid } = answer;
  const isChosen = (each: MaskChoice, index: number): boolean =>
    choice === undefined ? isLikeliest(choices, each) : choice === index;
  const first = Math.max(0, choices.findIndex(isChosen));
  const onKeyDown = (event: KeyboardEvent, index: number): void => {
    const next = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: choices.length - 1 }[event.key];
    if (next === undefined || next < 0 || next >= choices.length) return;
    event.preventDefault();
    onChoice(next);
    (list.current?.children[next] as HTMLElement | undefined)?.focus();
  };
  return (
    <ol ref={list} class="guesses mask-list" role="radiogroup" aria-label="Masks">
      {choices.map((each, index) => {
        const name = segments[index]?.name ?? `mask ${index + 1}`;
        const share = formatPercent(each.area / (grid[0] * grid[1]));
        return (
          <li
            key={index}
            role="radio"
            tabIndex={index === first ? 0 : -1}
            aria-checked={isChosen(each, index)}
            class={pointed === index ? 'pointed' : ''}
            title={`${name}: ${formatExact(each.area)} pixels, ${share} of the image; estimated IoU ${each.score}`}
            onPointerEnter={() => onPoint(index)}
            onPointerLeave={() => onPoint(undefined)}
            onClick={() => onChoice(index)}
            onKeyDown={(event) => onKeyDown(event, index)}
          >
            <Icon name={isChosen(each, index) ? 'circle-filled' : 'circle-outline'} />
            <Swatch label={index} />
            <span class="guess-label">{name}</span>
            <span class="share">
              <span style={{ width: `${100 * Math.min(1, Math.max(0, each.score))}%` }} />
            </span>
            <span class="number">{formatPercent(each.score)}</span>
            <IconButton
              icon="eye"
              label={`Where the token of ${name} looked`}
              onClick={() => onQuery({ kind: 'special', name: each.token })}
            />
          </li>
        );
      })}
    </ol>
  );
}
