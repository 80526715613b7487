import type { VNode } from 'preact';
import { useMemo, useRef } from 'preact/hooks';
import type { LaneJoin, Station } from '../../src/domain/report';
import { useWidth } from '../kit/elements';
import { lanesOf, layoutLanes, type PlacedLane } from './laneLayout';
import { fitGrid, titleOf, type StationBox } from './stationLayout';

export interface StationsProps {
  readonly stations: readonly Station[];
  /** Which lanes meet which. */
  readonly joins: readonly LaneJoin[];
  /** Module path of the chosen station. */
  readonly chosen: string | undefined;
  readonly onChoose: (path: string) => void;
}

/**
 * The drawing of the whole: image → patches → tokens → blocks → norm → head, each part a button;
 * of a model of several parts a lane for each, with arrows where one hands over to another.
 */
export function Stations({ stations, joins, chosen, onChoose }: StationsProps): VNode {
  const frame = useRef<HTMLDivElement>(null);
  const width = useWidth(frame);
  const layout = useMemo(() => layoutLanes(lanesOf(stations), joins, width - 2), [stations, joins, width]);
  return (
    <div class="stations">
      <div ref={frame}>
        {width > 0 && (
          <svg
            role="group"
            aria-label="Drawing of the model"
            width={layout.width + 2}
            height={layout.height + 2}
            viewBox={`-1 -1 ${layout.width + 2} ${layout.height + 2}`}
          >
            {layout.joins.map(({ from, to, path }) => (
              <path key={`${from} ${to}`} class="arrow join" d={path}>
                <title>{`${from} → ${to}`}</title>
              </path>
            ))}
            {layout.lanes.map((lane) => (
              <LaneDrawing key={lane.name} lane={lane} chosen={chosen} onChoose={onChoose} />
            ))}
          </svg>
        )}
      </div>
    </div>
  );
}

interface LaneDrawingProps extends Pick<StationsProps, 'chosen' | 'onChoose'> {
  readonly lane: PlacedLane;
}

/** One part of the model: its name, and its stations with the arrows between them. */
function LaneDrawing({ lane, chosen, onChoose }: LaneDrawingProps): VNode {
  const { name, stations, layout, x, y } = lane;
  const isDrawn = ({ to }: { readonly to: number }): boolean => stations[to]?.kind !== 'beside';
  return (
    <g role={name === '' ? undefined : 'group'} aria-label={name || undefined}>
      {name !== '' && (
        <text class="lane-name" x={x} y={y - 6}>
          {name}
        </text>
      )}
      <g transform={`translate(${x},${y})`}>
        {layout.arrows.filter(isDrawn).map(({ x1, x2, y: middle }) => (
          <path key={`${x1},${middle}`} class="arrow" d={`M${x1 + 3},${middle}H${x2 - 4}m-4,-4l4,4l-4,4`} />
        ))}
        {layout.turns.filter(isDrawn).map(({ fromX, fromY, toX, toY }) => (
          <path
            key={fromY}
            class="arrow"
            d={`M${fromX},${fromY + 2}V${(fromY + toY) / 2}H${toX}V${toY - 3}m-4,-4l4,4l4,-4`}
          />
        ))}
        {layout.boxes.map((box) => {
          const station = stations[box.index] as Station;
          return (
            <StationDrawing
              key={box.index}
              box={box}
              station={station}
              pressed={station.path !== '' && station.path === chosen}
              onChoose={() => onChoose(station.path)}
            />
          );
        })}
      </g>
    </g>
  );
}

interface StationDrawingProps {
  readonly box: StationBox;
  readonly station: Station;
  readonly pressed: boolean;
  readonly onChoose: () => void;
}

function StationDrawing({ box, station, pressed, onChoose }: StationDrawingProps): VNode {
  const title = titleOf(station);
  const middle = box.width / 2;
  return (
    <g
      class={`station station-${station.kind}`}
      role="button"
      tabIndex={0}
      aria-pressed={pressed}
      aria-label={`${title}: ${station.detail}`}
      transform={`translate(${box.x},${box.y})`}
      onClick={onChoose}
      onKeyDown={(event: KeyboardEvent) => {
        if (event.key !== 'Enter' && event.key !== ' ') return;
        event.preventDefault();
        onChoose();
      }}
    >
      <title>{`${title}: ${station.detail}`}</title>
      <rect class="station-frame" width={box.width} height={box.height} rx={2} />
      <g transform={`translate(${middle - 24},8)`}>
        <Glyph station={station} />
      </g>
      <text class="station-title" x={middle} y={70} text-anchor="middle">
        {title}
      </text>
      <text class="station-detail" x={middle} y={87} text-anchor="middle">
        {station.detail}
      </text>
    </g>
  );
}

/** Side of the square that a station's small picture is drawn in. */
const SIDE = 46;

function Glyph({ station }: { station: Station }): VNode {
  const [rows, columns] = station.grid ?? [1, 1];
  switch (station.kind) {
    case 'image':
      return <ImageGlyph rows={rows} columns={columns} />;
    case 'words':
      return <path class="glyph-line" d="M4,10H20M26,10H44M4,22H14M20,22H36M4,34H24M30,34H44" />;
    case 'prompt':
      return <path class="glyph-line" d="M24,4V18M24,30V44M4,24H18M30,24H44M24,23V25M23,24H25" />;
    case 'patches':
    case 'downsample':
      return <GridGlyph rows={rows} columns={columns} />;
    case 'tokens':
      return <TokensGlyph special={station.special ?? []} />;
    case 'blocks':
      return <StackGlyph count={station.count ?? 1} />;
    case 'norm':
      return <path class="glyph-line" d="M6,32C18,32 18,12 24,12S30,32 42,32M6,38H42" />;
    case 'pool':
      return <path class="glyph-line" d="M8,8L24,34L40,8M16,8L24,34L32,8M20,38H28" />;
    case 'head':
      return <path class="glyph-fill" d="M8,6H40V12H8ZM8,17H22V23H8ZM8,28H16V34H8ZM8,39H12V45H8Z" />;
    case 'map':
      return <path class="glyph-line" d="M4,4H44V44H4ZM14,34C10,24 20,12 28,16S38,34 28,36S16,38 14,34" />;
    case 'beside':
      return <path class="glyph-line" stroke-dasharray="3 3" d="M6,8H42V40H6Z" />;
  }
}

/** An outline of the image in its own proportions: a horizon and a sun. */
function ImageGlyph({ rows, columns }: { rows: number; columns: number }): VNode {
  const { x, y, cell } = fitGrid(rows, columns, SIDE, SIDE);
  const [width, height] = [cell * columns, cell * rows];
  return (
    <g transform={`translate(${x},${y})`}>
      <rect class="glyph-line" width={width} height={height} />
      <circle class="glyph-fill" cx={width * 0.3} cy={height * 0.3} r={Math.min(width, height) * 0.1} />
      <path
        class="glyph-line"
        d={`M0,${height * 0.85}L${width * 0.35},${height * 0.55}L${width * 0.6},${height * 0.8}L${width * 0.75},${height * 0.65}L${width},${height * 0.9}`}
      />
    </g>
  );
}

function GridGlyph({ rows, columns }: { rows: number; columns: number }): VNode {
  const { x, y, cell } = fitGrid(rows, columns, SIDE, SIDE);
  const [width, height] = [cell * columns, cell * rows];
  const lines = [
    ...Array.from({ length: rows + 1 }, (_, row) => `M0,${row * cell}H${width}`),
    ...Array.from({ length: columns + 1 }, (_, column) => `M${column * cell},0V${height}`),
  ];
  // Fine grids stay a texture in their frame, where full lines would fill it.
  const opacity = Math.min(1, Math.max(0.03, cell / 6));
  return (
    <g transform={`translate(${x},${y})`}>
      <path class="glyph-line glyph-thin" d={lines.join('')} stroke-opacity={opacity} />
      <rect class="glyph-line glyph-thin" width={width} height={height} />
    </g>
  );
}

/** Special tokens are filled squares with their initial, patches hollow ones. */
function TokensGlyph({ special }: { special: readonly string[] }): VNode {
  const size = 13;
  const marked = Math.min(special.length, 6);
  return (
    <g>
      {Array.from({ length: 9 }, (_, index) => {
        const [x, y] = [(index % 3) * (size + 4), Math.floor(index / 3) * (size + 4)];
        return index < marked ? (
          <g key={index}>
            <rect class="glyph-fill" x={x} y={y} width={size} height={size} />
            <text class="glyph-letter" x={x + size / 2} y={y + 10} text-anchor="middle">
              {(special[index] ?? '').slice(0, 1)}
            </text>
          </g>
        ) : (
          <rect key={index} class="glyph-line" x={x} y={y} width={size} height={size} />
        );
      })}
    </g>
  );
}

function StackGlyph({ count }: { count: number }): VNode {
  const sheets = Math.min(4, count);
  return (
    <g>
      {Array.from({ length: sheets }, (_, sheet) => {
        const shift = (sheets - 1 - sheet) * 5;
        return <rect key={sheet} class="glyph-sheet" x={2 + shift} y={2 + shift} width={26} height={26} />;
      })}
    </g>
  );
}
