import type { VNode } from 'preact';
import { useRef } from 'preact/hooks';
import type { Query } from '../../src/domain/query';
import type { AnswerViewProps } from './answerView';
import type { Answer } from '../../src/tasks/answer';
import { Swatch } from './swatch';
import './boxes.css';

/** A thing that was found, and the query that it stands for. */
export interface QueryRow {
  /** Its place in the answer. */
  readonly index: number;
  /** Whose colour it has. */
  readonly label: number;
  readonly name: string;
  /** How sure the model is, 0 … 1. */
  readonly share: number;
  readonly text: string;
  readonly title: string;
  readonly query: Query;
  readonly isChosen: boolean;
}

type QueryRowsProps = Pick<AnswerViewProps<Answer>, 'pointed' | 'onPoint' | 'onQuery'> & {
  /** What a screen reader calls the list: `Objects`. */
  readonly what: string;
  readonly rows: readonly QueryRow[];
};

/** A list of which one row is in the tab order; arrow keys go on, Enter asks where it looked. */
export function QueryRows({ what, rows, pointed, onPoint, onQuery }: QueryRowsProps): VNode {
  const list = useRef<HTMLUListElement>(null);
  const chosen = rows.findIndex(({ isChosen }) => isChosen);
  const onKeyDown = (event: KeyboardEvent, row: number, query: Query): void => {
    const target = { ArrowDown: row + 1, ArrowUp: row - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (target !== undefined) (list.current?.children[target] as HTMLElement | undefined)?.focus();
    else if (event.key === 'Enter' || event.key === ' ') onQuery(query);
    else if (event.key === 'Escape') onQuery(undefined);
    else return;
    event.preventDefault();
  };
  return (
    <ul ref={list} class="guesses box-list" role="listbox" aria-label={what}>
      {rows.map(({ index, label, name, share, text, title, query }, row) => (
        <li
          key={index}
          role="option"
          tabIndex={row === Math.max(0, chosen) ? 0 : -1}
          aria-selected={row === chosen}
          class={pointed === index ? 'pointed' : ''}
          title={title}
          onPointerEnter={() => onPoint(index)}
          onPointerLeave={() => onPoint(undefined)}
          onFocus={() => onPoint(index)}
          onBlur={() => onPoint(undefined)}
          onClick={() => onQuery(query)}
          onKeyDown={(event) => onKeyDown(event, row, query)}
        >
          <Swatch label={label} />
          <span class="guess-label">{name}</span>
          <span class="share">
            <span style={{ width: `${100 * Math.min(1, Math.max(0, share))}%` }} />
          </span>
          <span class="number">{text}</span>
        </li>
      ))}
    </ul>
  );
}
