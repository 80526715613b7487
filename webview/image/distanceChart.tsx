import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { largest } from '../../src/domain/lists';
import { formatNumber } from '../../src/domain/units';
import type { ImagePanelApi } from '../../src/protocol/image';
import type { Run } from '../../src/tasks/run';
import type { Host } from '../host';
import type { TileKey, TileLayout } from '../marks/tiles';

/** Mean attention distances by layer, of each head; a layer is undefined until it is there. */
export type Distances = readonly (readonly number[] | undefined)[];

/**
 * Mean attention distance of every head over all query patches, asked layer by layer when nothing
 * else is on its way, so that a click never waits for more than one layer.
 */
export function useDistances(host: Host<ImagePanelApi>, { run, probes }: Run, idle: boolean): Distances {
  const [known, setKnown] = useState<{ readonly run: number; readonly layers: Distances }>({
    run,
    layers: [],
  });
  const layers = known.run === run ? known.layers : [];
  const next = probes.findIndex((_, layer) => layers[layer] === undefined);
  useEffect(() => {
    if (!idle || next < 0) return undefined;
    const abort = new AbortController();
    const take = (distances: readonly number[]): void => {
      if (!abort.signal.aborted)
        setKnown({ run, layers: probes.map((_, at) => (at === next ? distances : layers[at])) });
    };
    // One that fails is no reason to ask for it again and again: it has no distances.
    host.call('distances', [run, next], {}).then(take, () => take([]));
    return () => abort.abort();
  }, [run, next, idle]);
  return layers;
}

export interface DistanceChartProps {
  readonly distances: Distances;
  readonly layout: TileLayout;
  readonly layer: number;
  readonly head: number | undefined;
  readonly pointed: TileKey | undefined;
  readonly onPoint: (tile: TileKey | undefined) => void;
  readonly onChoose: (layer: number, head: number) => void;
}

const WIDTH = 128;
/** Place for the axis under the rows. */
const BOTTOM = 32;
const PADDING = 6;

/**
 * How far heads look by layer (Dosovitskiy et al. 2021, figure 7, right): a dot for each head, in
 * the row of its layer.
 */
export function DistanceChart(props: DistanceChartProps): VNode | null {
  const { distances, layout, layer, head, pointed, onPoint, onChoose } = props;
  const most = largest([0, ...distances.flatMap((heads) => heads ?? [])]);
  if (most === 0) return null;
  const rows = rowsOf(layout, distances.length);
  const x = (distance: number): number => PADDING + (distance / most) * (WIDTH - 2 * PADDING);
  const isAt = (tile: TileKey | undefined, at: TileKey): boolean =>
    tile?.layer === at.layer && tile.head === at.head;
  return (
    <svg
      class="distances"
      width={WIDTH}
      height={layout.height + BOTTOM}
      role="img"
      aria-label={`Mean attention distance of each head by layer, up to ${formatNumber(most)} pixels`}
    >
      {distances.map((heads, at) => {
        const y = rows(at);
        if (y === undefined) return null;
        return (
          <g key={at}>
            <line class="distance-row" x1={PADDING} x2={WIDTH - PADDING} y1={y} y2={y} />
            {heads?.map((distance, index) => {
              const tile = { layer: at, head: index };
              const isChosen = at === layer && (head === undefined || head === index);
              return (
                <circle
                  key={index}
                  class={`distance${isChosen ? ' chosen' : ''}${isAt(pointed, tile) ? ' pointed' : ''}`}
                  cx={x(distance)}
                  cy={y}
                  r={isAt(pointed, tile) ? 5 : 3}
                  onPointerEnter={() => onPoint(tile)}
                  onPointerLeave={() => onPoint(undefined)}
                  onClick={() => onChoose(at, index)}
                >
                  <title>{`layer ${at}, head ${index}: mean distance ${formatNumber(distance)} px over all patches`}</title>
                </circle>
              );
            })}
          </g>
        );
      })}
      <text x={PADDING} y={layout.height + 12}>
        0
      </text>
      <text x={WIDTH - PADDING} y={layout.height + 12} text-anchor="end">
        {formatNumber(most)} px
      </text>
      <text x={PADDING} y={layout.height + 27}>
        mean distance
      </text>
    </svg>
  );
}

/**
 * The middle of each layer's row of tiles, undefined without one; where rows stand otherwise,
 * layers spread evenly.
 */
function rowsOf(
  { tiles, inRows, height }: TileLayout,
  layers: number,
): (layer: number) => number | undefined {
  const boxes = Array.from({ length: layers }, (_, layer) => tiles.find((tile) => tile.layer === layer)?.box);
  const found = boxes.filter((box) => box !== undefined);
  if (inRows && new Set(found.map(({ y }) => y)).size === found.length)
    return (layer) => {
      const box = boxes[layer];
      return box && box.y + box.height / 2;
    };
  return (layer) => ((layer + 0.5) * height) / layers;
}
