import type { VNode } from 'preact';
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ImagePanelApi } from '../../src/protocol/image';
import { guessesOf } from '../../src/tasks/answer';
import type { Run } from '../../src/tasks/run';
import type { AttentionRows } from '../../src/domain/query';
import type { KeyMap } from '../../src/attention/reading';
import type { Cell } from '../../src/attention/tokenLayout';
import { largest } from '../../src/domain/lists';
import type { Host } from '../host';
import type { TileKey } from '../marks/tiles';
import { useViewSize, useWidth } from '../kit/elements';
import { useLate } from '../kit/hooks';
import { Dropdown } from '../kit/toolkit';
import { DistanceChart, useDistances } from './distanceChart';
import { queryName } from './keyMap';
import { Matrix } from './matrix';
import { headMaps, type Range } from './scale';
import type { Chosen, Settings } from './settings';
import { SmallMultiples, tileLayout } from './smallMultiples';
import { sortedTiles, SORTS, type SortKind } from './sorting';

export interface MapsProps {
  readonly host: Host<ImagePanelApi>;
  readonly view: Run;
  /** Rows of the query that is drawn. */
  readonly rows: AttentionRows;
  readonly drawn: Chosen;
  readonly map: KeyMap | undefined;
  /** Colour scale of each layer's heads; undefined if every map has its own. */
  readonly shared: readonly Range[] | undefined;
  readonly range: Range;
  readonly hovered: Cell | undefined;
  /** Nothing else is asked of the model. */
  readonly isIdle: boolean;
  /** All is to fit into the page's view. */
  readonly isWide: boolean;
  readonly onChange: (change: Partial<Settings>) => void;
}

/** Milliseconds without a query after which the chart is asked for: no click waits for it. */
const REST = 500;
/** Room for the chart beside the small maps, and where there is any. */
const chart = { width: 144, from: 540 } as const;
/** Height of the small maps at least, and of what is below them in a wide page. */
const heights = { least: 240, below: 92 } as const;

/** All heads at a glance, and how far they look. */
export function Maps(props: MapsProps): VNode | null {
  const { host, view, rows, drawn, map, shared, range, hovered, isIdle, isWide, onChange } = props;
  const { probes } = view;
  const [pointed, setPointed] = useState<TileKey>();
  const place = useRef<HTMLDivElement>(null);
  const width = useWidth(place);
  const height = useHeightLeft(place, isWide);
  const mayAsk = isIdle && rows.method === 'raw' && width >= chart.from;
  const distances = useDistances(host, view, useLate(mayAsk, REST));
  const { sort } = drawn;
  const sorted = useMemo(
    () => sortedTiles(sort, rows, probes, view.inputSize.current),
    [sort, rows, probes, view],
  );
  const layout = useMemo(
    () =>
      tileLayout(rows, probes, sorted, {
        width: Math.max(1, width - (width >= chart.from ? chart.width : 0)),
        height,
      }),
    [rows, probes, sorted, width, height],
  );
  // Layers that the query is not asked of are not drawn: their distances have no row beside them.
  const shown = new Set(layout.tiles.map(({ layer }) => layer));
  const shownDistances = probes.map((_, layer) => (shown.has(layer) ? distances[layer] : undefined));
  const hasChart = width >= chart.from && shownDistances.some((heads) => heads && heads.length > 0);
  const probe = probes[drawn.layer];
  const heads = largest([1, ...probes.map((each) => each.heads)]);
  const point = (tile: TileKey | undefined): void =>
    setPointed((before) => (before?.layer === tile?.layer && before?.head === tile?.head ? before : tile));
  const choose = (layer: number, head: number): void =>
    onChange(rows.method === 'rollout' ? { layer } : { layer, head });
  const single = typeof drawn.head === 'number' ? drawn.head : undefined;
  return (
    <section class="maps" id="attention" aria-label="Attention" tabIndex={-1}>
      {map?.matrix && probe && (
        <Matrix
          probe={probe}
          map={map.matrix}
          heads={headMaps(rows, probes, drawn.layer)}
          range={range}
          colourMap={drawn.colourMap}
        />
      )}
      {(probes.length > 1 || heads > 1) && (
        <>
          <div class="multiples-head">
            <strong>
              {probes.length} {probes.length === 1 ? 'layer' : 'layers'}
              {rows.method === 'raw' && heads > 1 && ` × ${heads} heads`}
            </strong>
            {rows.method === 'raw' && heads > 1 && (
              <label class="control">
                <span>Sort by</span>
                <Dropdown
                  label="Sort by"
                  value={sort}
                  choices={Object.entries(SORTS).map(([value, { name }]) => ({ value, label: name }))}
                  onChange={(kind) => onChange({ sort: kind as SortKind })}
                />
              </label>
            )}
          </div>
          <div ref={place} class="multiples-row">
            {width > 0 && (
              <SmallMultiples
                answer={rows}
                probes={probes}
                shared={shared}
                inputSize={view.inputSize.current}
                colourMap={drawn.colourMap}
                layout={layout}
                layer={drawn.layer}
                head={drawn.head}
                query={queryName(drawn.query, guessesOf(view.answer), probe)}
                hovered={hovered}
                hoveredGrid={map?.image && [map.image.rows, map.image.columns]}
                pointed={pointed}
                onPoint={point}
                onChoose={choose}
              />
            )}
            {hasChart && rows.method === 'raw' && (
              <DistanceChart
                distances={shownDistances}
                layout={layout}
                layer={drawn.layer}
                head={single}
                pointed={pointed}
                onPoint={point}
                onChoose={choose}
              />
            )}
          </div>
        </>
      )}
    </section>
  );
}

/** The height from an element's top to the end of a wide page's view; undefined in a narrow one. */
function useHeightLeft(place: { readonly current: HTMLElement | null }, isWide: boolean): number | undefined {
  const view = useViewSize();
  const [top, setTop] = useState(0);
  useLayoutEffect(() => {
    if (place.current) setTop(Math.round(place.current.getBoundingClientRect().top + window.scrollY));
  });
  return isWide ? Math.max(heights.least, view.height - top - heights.below) : undefined;
}
