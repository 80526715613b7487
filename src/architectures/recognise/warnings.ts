import type { Known } from '../family';

/** A recognition that warns of more. */
export const withWarnings = (known: Known, ...warnings: readonly string[]): Known => ({
  ...known,
  warnings: [...known.warnings, ...warnings],
});
