import type { VNode } from 'preact';

/** A guess with its share as a bar. */
export interface Bar {
  readonly key: string | number;
  readonly label: string;
  /** Length of the bar, 0 … 1. */
  readonly share: number;
  /** The number beside it: `97.3 %`. */
  readonly text: string;
  /** The exact number, and what it is of. */
  readonly tip: string;
}

interface BarsProps {
  readonly bars: readonly Bar[];
  /** Name for screen readers, where the list stands beside others. */
  readonly label?: string;
  readonly class?: string;
}

/** Guesses, the best first, each with its share as a bar. */
export const Bars = ({ bars, label, class: style }: BarsProps): VNode => (
  <ol class={['guesses', style].filter(Boolean).join(' ')} aria-label={label}>
    {bars.map(({ key, label: name, share, text, tip }, rank) => (
      <li key={key} class={rank === 0 ? 'first' : ''} title={tip}>
        <span class="guess-label">{name}</span>
        <span class="share">
          <span style={{ width: `${100 * share}%` }} />
        </span>
        <span class="number">{text}</span>
      </li>
    ))}
  </ol>
);
