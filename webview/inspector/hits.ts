import { useEffect } from 'preact/hooks';
import { formatExact } from '../../src/domain/units';
import { announce } from '../kit/status';

/** How many of a view's rows the filter finds; undefined without a filter. */
export type Hits = string | undefined;
export type OnHits = (hits: Hits) => void;

/** `37 of 1,200 tensors`, `1 of 296 modules`. */
export const hitsText = (found: number, total: number, things: string): string =>
  `${formatExact(found)} of ${formatExact(total)} ${things}`;

/** Says how many rows a filter finds, beside the filter and aloud, and takes it back at the end. */
export function useHits(hits: Hits, onHits: OnHits): void {
  useEffect(() => {
    onHits(hits);
    if (hits !== undefined) announce(hits);
  }, [hits]);
  useEffect(() => () => onHits(undefined), []);
}
