import type { Station } from '../../src/domain/report';

/** A box of the drawing of the whole, in the drawing's own pixels. */
export interface StationBox {
  readonly index: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface StationLayout {
  readonly boxes: readonly StationBox[];
  /**
   * Arrows between boxes of the same line: from the right edge of one to the left edge of the next.
   */
  readonly arrows: readonly {
    readonly x1: number;
    readonly x2: number;
    readonly y: number;
    /** Index of the station that it leads to. */
    readonly to: number;
  }[];
  /** Where the chain goes on in the next line. */
  readonly turns: readonly {
    readonly fromX: number;
    readonly fromY: number;
    readonly toX: number;
    readonly toY: number;
    readonly to: number;
  }[];
  readonly width: number;
  readonly height: number;
}

const HEIGHT = 96;
const GAP = 24;
const LINE_GAP = 20;
/** Pixels of a letter of the title, which is bold, and of the line below it. */
const LETTER = { title: 8, detail: 6.6 } as const;
const PADDING = 20;
const NARROWEST = 76;

/** Width that a station's text needs; stations with a picture of their grid need at least that. */
export function stationWidth(station: Station): number {
  const text = Math.max(titleOf(station).length * LETTER.title, station.detail.length * LETTER.detail);
  return Math.max(NARROWEST, Math.ceil(text + PADDING));
}

/** `Blocks ×12`. */
export const titleOf = (station: Station): string =>
  (station.count ?? 1) > 1 ? `${station.label} ×${station.count}` : station.label;

/** Places the stations from left to right, on as many lines as `available` pixels ask for. */
export function layoutStations(stations: readonly Station[], available: number): StationLayout {
  const boxes: StationBox[] = [];
  let x = 0;
  let y = 0;
  let widest = 0;
  stations.forEach((station, index) => {
    const width = Math.min(stationWidth(station), Math.max(NARROWEST, available));
    if (x > 0 && x + width > available) {
      x = 0;
      y += HEIGHT + LINE_GAP;
    }
    boxes.push({ index, x, y, width, height: HEIGHT });
    widest = Math.max(widest, x + width);
    x += width + GAP;
  });
  const pairs = boxes.slice(1).map((box, at) => [boxes[at] as StationBox, box] as const);
  return {
    boxes,
    arrows: pairs
      .filter(([left, right]) => left.y === right.y)
      .map(([left, right]) => ({
        x1: left.x + left.width,
        x2: right.x,
        y: left.y + left.height / 2,
        to: right.index,
      })),
    turns: pairs
      .filter(([left, right]) => left.y !== right.y)
      .map(([left, right]) => ({
        fromX: left.x + left.width / 2,
        fromY: left.y + left.height,
        toX: right.x + right.width / 2,
        toY: right.y,
        to: right.index,
      })),
    width: widest,
    height: boxes.length === 0 ? 0 : y + HEIGHT,
  };
}

export interface GridLines {
  readonly cell: number;
  readonly x: number;
  readonly y: number;
  readonly columns: number;
  readonly rows: number;
}

/** A patch grid with its true rows and columns as large as fits into `width × height`, centred. */
export function fitGrid(rows: number, columns: number, width: number, height: number): GridLines {
  const cell = Math.min(width / columns, height / rows);
  return { cell, rows, columns, x: (width - cell * columns) / 2, y: (height - cell * rows) / 2 };
}
