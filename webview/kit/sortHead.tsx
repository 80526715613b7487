import type { VNode } from 'preact';
import { Icon } from './toolkit';

export interface SortHeadProps {
  readonly title: string;
  readonly style: string;
  readonly state: 'none' | 'ascending' | 'descending';
  readonly onClick: () => void;
}

/** The head of a column that sorts. */
export const SortHead = ({ title, style, state, onClick }: SortHeadProps): VNode => (
  <span role="columnheader" class={style} aria-sort={state}>
    <button type="button" class="head-button" title={`Sort by ${title.toLowerCase()}`} onClick={onClick}>
      {title}
      {state !== 'none' && <Icon name={state === 'ascending' ? 'arrow-small-up' : 'arrow-small-down'} />}
    </button>
  </span>
);
