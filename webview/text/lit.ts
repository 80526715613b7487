import type { MatrixPlace } from '../marks/tokenMatrix';

/** Kinds of attention that an encoder and decoder have. */
export type MapKind = 'self' | 'causal' | 'cross';

/** Tokens that are lit in all drawings: of the text that was read, and of the one written. */
export interface Lit {
  readonly source?: number;
  readonly written?: number;
  /** Of the decoder's own tokens one that is looked at: 0 is the start, which nobody wrote. */
  readonly before?: number;
  /** Of the encoder's tokens one that is looked at by `source`. */
  readonly seen?: number;
}

/** What is lit in a drawing of a kind. */
export function litIn(kind: MapKind, { source, written, before, seen }: Lit): MatrixPlace {
  if (kind === 'self') return placed(source, seen ?? (written === undefined ? source : undefined));
  if (kind === 'cross') return placed(written, seen ?? source);
  return placed(written, before);
}

/** What a place of a drawing lights in all. */
export function placeOf(kind: MapKind, { row, column }: MatrixPlace): Lit {
  if (kind === 'self') return lit({ source: row ?? column, seen: column });
  if (kind === 'cross') return lit({ written: row, source: column });
  return lit({ written: row, before: column });
}

const placed = (row: number | undefined, column: number | undefined): MatrixPlace => ({
  ...(row !== undefined && { row }),
  ...(column !== undefined && { column }),
});

const lit = (found: { readonly [K in keyof Lit]: number | undefined }): Lit =>
  Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
