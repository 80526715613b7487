import type { LaneJoin, Station } from '../../src/domain/report';
import { layoutStations, stationWidth, type StationBox, type StationLayout } from './stationLayout';

/** The stations of a part; those of a model of one part have no name. */
export interface Lane {
  readonly name: string;
  readonly stations: readonly Station[];
}

/** A lane with its place in the drawing, in the drawing's own pixels. */
export interface PlacedLane extends Lane {
  readonly x: number;
  readonly y: number;
  readonly layout: StationLayout;
}

export interface LaneLayout {
  readonly lanes: readonly PlacedLane[];
  /** Arrows from the end of a lane to the beginning of another, as path data. */
  readonly joins: readonly (LaneJoin & { readonly path: string })[];
  readonly width: number;
  readonly height: number;
}

const NAME_HEIGHT = 22;
const LANE_GAP = 20;
/** Pixels between the lanes and the first line that leads past them, and from one to the next. */
const RAIL = { first: 14, next: 8 } as const;
/** Pixels beside the lanes in which their arrows meet. */
const FORK = 40;

/** Stations by their parts, in order. */
export function lanesOf(stations: readonly Station[]): readonly Lane[] {
  const lanes = new Map<string, Station[]>();
  for (const station of stations) {
    const name = station.part ?? '';
    const known = lanes.get(name);
    if (known) known.push(station);
    else lanes.set(name, [station]);
  }
  return [...lanes].map(([name, own]) => ({ name, stations: own }));
}

/**
 * Places lanes one below the other; the one in which all others end beside them, if there is room.
 * A lane without stations has no place.
 */
export function layoutLanes(
  lanes: readonly Lane[],
  joins: readonly LaneJoin[],
  available: number,
): LaneLayout {
  const end = lanes.find(({ name }) => endsIn(name, lanes, joins));
  const others = lanes.filter((lane) => lane !== end);
  const room = end ? available - FORK - lineWidth(end) : 0;
  const fits = end !== undefined && others.every((lane) => lineWidth(lane) <= room);
  return fits ? sideBySide(others, end, joins) : stacked(lanes, joins, available);
}

/** Whether all other lanes that have a name hand over to this one, and to nothing else. */
const endsIn = (name: string, lanes: readonly Lane[], joins: readonly LaneJoin[]): boolean =>
  lanes.length > 1 &&
  lanes.every(
    (lane) => lane.name === name || joins.some(({ from, to }) => from === lane.name && to === name),
  ) &&
  joins.every(({ to }) => to === name);

/** Width of a lane on one line. */
const lineWidth = ({ stations }: Lane): number => layoutStations(stations, Infinity).width;

function column(lanes: readonly Lane[], available: number): readonly PlacedLane[] {
  const placed: PlacedLane[] = [];
  let y = 0;
  for (const lane of lanes) {
    if (lane.name !== '') y += NAME_HEIGHT;
    const layout = layoutStations(lane.stations, available);
    placed.push({ ...lane, layout, x: 0, y });
    y += layout.height + LANE_GAP;
  }
  return placed;
}

const rightOf = ({ x, layout }: PlacedLane): number => x + layout.width;
const bottomOf = ({ y, layout }: PlacedLane): number => y + layout.height;
const most = (values: readonly number[]): number => values.reduce((left, right) => Math.max(left, right), 0);

function sideBySide(others: readonly Lane[], end: Lane, joins: readonly LaneJoin[]): LaneLayout {
  const left = column(others, Infinity);
  const [width, height] = [most(left.map(rightOf)), most(left.map(bottomOf))];
  const layout = layoutStations(end.stations, Infinity);
  const y = Math.max(NAME_HEIGHT, (height + NAME_HEIGHT - layout.height) / 2);
  const last: PlacedLane = { ...end, layout, x: width + FORK, y };
  const target = firstBox(last);
  const paths = joins.flatMap((join) => {
    const from = left.find(({ name }) => name === join.from);
    const box = from && lastBox(from);
    if (!box || !target) return [];
    const middle = target.y + target.height / 2;
    const path = `M${box.x + box.width + 3},${box.y + box.height / 2}H${width + FORK / 2}V${middle}H${target.x - 4}m-4,-4l4,4l-4,4`;
    return [{ ...join, path }];
  });
  return {
    lanes: [...left, last],
    joins: paths,
    width: rightOf(last),
    height: Math.max(height, bottomOf(last)),
  };
}

function stacked(lanes: readonly Lane[], joins: readonly LaneJoin[], available: number): LaneLayout {
  const rails = joins.length > 0 ? RAIL.first + RAIL.next * joins.length : 0;
  const widest = most(lanes.flatMap(({ stations }) => stations.map(stationWidth)));
  const placed = column(lanes, Math.max(available - rails, Math.min(widest, available)));
  const right = most(placed.map(rightOf));
  const paths = joins.flatMap((join, index) => {
    const from = placed.find(({ name }) => name === join.from);
    const to = placed.find(({ name }) => name === join.to);
    const [out, into] = [from && lastBox(from), to && firstBox(to)];
    if (!out || !into) return [];
    const rail = right + RAIL.first + RAIL.next * index;
    const above = into.y - 12;
    // Beside the lane's name, which stands at the left.
    const x = into.x + into.width - 16 - RAIL.next * (index % 2);
    const path = `M${out.x + out.width + 3},${out.y + out.height / 2}H${rail}V${above}H${x}V${into.y - 3}m-4,-4l4,4l4,-4`;
    return [{ ...join, path }];
  });
  return { lanes: placed, joins: paths, width: right + rails, height: most(placed.map(bottomOf)) };
}

const boxOf = ({ x, y }: PlacedLane, box: StationBox | undefined): StationBox | undefined =>
  box && { ...box, x: box.x + x, y: box.y + y };

const firstBox = (lane: PlacedLane): StationBox | undefined => boxOf(lane, lane.layout.boxes[0]);
const lastBox = (lane: PlacedLane): StationBox | undefined => boxOf(lane, lane.layout.boxes.at(-1));
