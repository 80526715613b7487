/** What a column asks for: how wide it is, or the least of the one that takes the rest. */
export interface ColumnWidth<Name extends string> {
  readonly name: Name;
  /** In pixels, as long as nobody drags its border. */
  readonly width: number;
  /** Takes what the others leave; `width` is then what it wants at least. */
  readonly grows?: boolean;
}

/** Widths that a person dragged, by column. */
export type DraggedWidths<Name extends string = string> = Readonly<Partial<Record<Name, number>>>;

/** The columns that fit, in order, and their track list for the grid. */
export interface FittedColumns<Name extends string> {
  readonly shown: readonly Name[];
  readonly template: string;
}

/** Space between two columns, and at both ends of a row together (theme.css). */
const GAP = 12;
const ENDS = 28;
/** No column is dragged narrower than this; the growing one keeps room for a few words. */
export const NARROWEST = 40;
const NARROWEST_REST = 120;
/** Of a narrow table the growing column takes at most this share before others leave. */
const LARGEST_SHARE = 0.6;

/**
 * Which columns fit into `available` pixels: they leave from the right until the growing one has
 * what it wants. Before the table is measured all are there.
 */
export function fitColumns<Name extends string>(
  columns: readonly ColumnWidth<Name>[],
  dragged: DraggedWidths<Name>,
  available: number,
): FittedColumns<Name> {
  const widthOf = ({ name, width }: ColumnWidth<Name>): number => dragged[name] ?? width;
  const wanted = (column: ColumnWidth<Name>): number =>
    column.grows
      ? Math.max(NARROWEST_REST, Math.min(column.width, LARGEST_SHARE * available))
      : widthOf(column);
  const needed = (some: readonly ColumnWidth<Name>[]): number =>
    some.reduce((sum, column) => sum + wanted(column), ENDS + GAP * (some.length - 1));
  let shown = columns;
  while (available > 0 && needed(shown) > available) {
    const last = shown.findLastIndex(({ grows }) => !grows);
    if (last < 0) break;
    shown = shown.toSpliced(last, 1);
  }
  return {
    shown: shown.map(({ name }) => name),
    template: shown
      .map((column) => (column.grows ? 'minmax(0, 1fr)' : `${Math.round(widthOf(column))}px`))
      .join(' '),
  };
}

/**
 * Widths after the border between two columns that stand side by side was moved by `by` pixels to
 * the right: what one gains the other loses, and the columns beyond stay where they are.
 */
export function draggedBorder<Name extends string>(
  columns: readonly ColumnWidth<Name>[],
  before: DraggedWidths<Name>,
  [left, right]: readonly [Name, Name],
  by: number,
): DraggedWidths<Name> {
  const find = (name: Name): ColumnWidth<Name> | undefined => columns.find((column) => column.name === name);
  const [first, second] = [find(left), find(right)];
  if (!first || !second) return before;
  const width = (column: ColumnWidth<Name>): number => before[column.name] ?? column.width;
  const least = first.grows ? -Infinity : NARROWEST - width(first);
  const most = second.grows ? Infinity : width(second) - NARROWEST;
  const moved = Math.max(least, Math.min(most, by));
  return {
    ...before,
    ...(!first.grows && { [left]: width(first) + moved }),
    ...(!second.grows && { [right]: width(second) - moved }),
  };
}

/** Pixels that a text of a fixed pitch needs. */
export const monoWidth = (letters: number): number => Math.ceil(letters * MONO_LETTER) + 4;
const MONO_LETTER = 7.5;
