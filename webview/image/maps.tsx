import { guessesOf } from '../../src/tasks/answer';
import type { Run } from '../../src/tasks/run';
import type { AttentionRows } from '../../src/domain/query';
import type { Grid } from '../../src/domain/size';
import type { VNode } from 'preact';
import { layerText } from '../../src/attention/naming';
import { chainLength } from '../../src/domain/probes';
import { noMapText, type KeyMap } from '../../src/attention/reading';
import { formatNumber, formatPercent } from '../../src/domain/units';
import type { Cell } from '../../src/attention/tokenLayout';
import type { Failed } from '../host';
import { Banner, Skeleton } from '../kit/status';
import { Button } from '../kit/toolkit';
import { Appearance, Controls } from './controls';
import { headSummaries, summaryText } from './headSummary';
import { isAsked, queryName, sameQuery, tokenName } from './keyMap';
import { Matrix } from './matrix';
import { headMaps, type Range } from './scale';
import { ScaleBar } from './scaleBar';
import type { Chosen, Settings } from './settings';
import { SmallMultiples } from './smallMultiples';

export interface MapsProps {
  readonly view: Run;
  /** Rows of the query that is drawn. */
  readonly rows: AttentionRows | undefined;
  readonly error: Failed | undefined;
  readonly onRetry: () => void;
  /** What the controls say: the newest query. */
  readonly chosen: Chosen;
  /** The same of what is drawn, whose query may be an older one. */
  readonly drawn: Chosen;
  readonly map: KeyMap | undefined;
  readonly shared: readonly Range[] | undefined;
  readonly range: Range;
  readonly hovered: Cell | undefined;
  readonly onChange: (change: Partial<Settings>) => void;
  readonly onSave: () => void;
  readonly onCopy: () => void;
}

/**
 * The half of the panel about attention: what is chosen, the large map's numbers, all heads at a
 * glance.
 */
export function Maps({
  view,
  rows,
  error,
  onRetry,
  chosen,
  drawn,
  map,
  shared,
  range,
  hovered,
  onChange,
  onSave,
  onCopy,
}: MapsProps): VNode {
  const { probes } = view;
  const probe = probes[chosen.layer];
  const drawnQuery = queryName(drawn.query, guessesOf(view.answer));
  const isBehind = !sameQuery(drawn.query, chosen.query);
  const canRollOut = chainLength(probes) > 0;
  const grid: Grid | undefined = map?.image && [map.image.rows, map.image.columns];
  if (probes.length === 0)
    return (
      <section class="maps" id="attention">
        <Banner icon="info">{sentence(noMapText(view))}</Banner>
      </section>
    );
  return (
    <section class="maps" id="attention" aria-label="Attention" tabIndex={-1}>
      <Controls
        probes={probes}
        chosen={chosen}
        guesses={guessesOf(view.answer)}
        canRollOut={canRollOut}
        onChange={onChange}
      />
      {probe && (
        <p class="layer-line">
          <code>{probe.layer}</code> <span class="quiet">{layerText(probe)}</span>
        </p>
      )}
      <Appearance chosen={chosen} onChange={onChange} />
      {error && (
        <Banner
          icon={error.kind === 'cancelled' ? 'circle-slash' : 'error'}
          kind={error.kind === 'cancelled' ? 'info' : 'error'}
          actions={<Button onClick={onRetry}>Try Again</Button>}
        >
          {error.kind === 'cancelled' ? 'Cancelled.' : `The attention could not be read: ${error.message}`}
          {rows && ` What is shown is of the query “${drawnQuery}”.`}
        </Banner>
      )}
      {!rows && !error && <Skeleton label="Reading attention" rows={4} />}
      {rows && (
        <>
          <div class="controls scale-line">
            <ScaleBar
              range={range}
              kind={chosen.scale}
              method={rows.method}
              heads={probe?.heads ?? 1}
              colourMap={chosen.colourMap}
            />
            <Readout map={map} grid={grid} hovered={hovered} of={isBehind ? drawnQuery : undefined} />
            <div class="buttons">
              <Button disabled={!map} onClick={onSave}>
                Save Picture
              </Button>
              <Button disabled={!map} onClick={onCopy}>
                Copy Numbers
              </Button>
            </div>
          </div>
          <HeadLine rows={rows} view={view} chosen={drawn} />
          {!map && <p class="quiet">This layer has no such query. Choose another layer or query.</p>}
          {map?.matrix && probe && (
            <Matrix
              probe={probe}
              map={map.matrix}
              heads={headMaps(rows, probes, chosen.layer)}
              range={range}
              colourMap={chosen.colourMap}
            />
          )}
          {(probes.length > 1 || (probe?.heads ?? 1) > 1) && (
            <SmallMultiples
              answer={rows}
              probes={probes}
              shared={shared}
              inputSize={view.inputSize.current}
              method={rows.method}
              colourMap={chosen.colourMap}
              layer={chosen.layer}
              head={chosen.head}
              query={drawnQuery}
              hovered={hovered}
              hoveredGrid={grid}
              onChoose={(layer, head) => onChange(chosen.method === 'rollout' ? { layer } : { layer, head })}
            />
          )}
        </>
      )}
    </section>
  );
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

interface HeadLineProps {
  readonly rows: AttentionRows;
  readonly view: Run;
  readonly chosen: Chosen;
}

/**
 * How wide the chosen head, or all of the layer, looks: of the query that is shown alone, not of
 * all.
 */
function HeadLine({ rows, view, chosen }: HeadLineProps): VNode | null {
  if (chosen.method === 'rollout') return null;
  const { current } = view.inputSize;
  const probe = view.probes[chosen.layer];
  const text = summaryText(headSummaries(rows, view.probes, chosen.layer, current), chosen.head);
  if (text === '') return null;
  const title = `Of the weights of this query alone. Entropy: 0 bits where one key is looked at, the most where all are alike; special tokens count. Distance: from the patch to the patches it looks at, weighted, in pixels of the ${current.join('×')} input; special tokens have no place.`;
  return (
    <p class="quiet" title={title}>
      Layer {chosen.layer + 1}, {text}
      {probe && isAsked(probe) && `, of the query “${queryName(chosen.query, guessesOf(view.answer))}”`}
    </p>
  );
}

interface ReadoutProps {
  readonly map: KeyMap | undefined;
  readonly grid: Grid | undefined;
  readonly hovered: Cell | undefined;
  /** The query that it is of, if the controls name another. */
  readonly of: string | undefined;
}

/**
 * The weight under the pointer, else what goes to special tokens, which have no place on the
 * image.
 */
function Readout({ map, grid, hovered, of }: ReadoutProps): VNode {
  const value = hovered && grid && map?.image?.values[hovered.row * grid[1] + hovered.column];
  if (hovered && value !== undefined)
    return (
      <span class="readout">
        {of && `${of}: `}row {hovered.row}, column {hovered.column}:{' '}
        <strong>{Number.isNaN(value) ? 'outside of the query’s window' : formatNumber(value)}</strong>
      </span>
    );
  if (map?.matrix) return <span class="readout" />;
  if (!map || map.special.length === 0)
    return <span class="readout quiet">Point at the image to read weights.</span>;
  return (
    <span class="readout quiet">
      {of && `${of}: `}
      {map.special.map(({ name, value: weight }) => `${tokenName(name)} ${formatPercent(weight)}`).join(', ')}
      ; the rest on the image
    </span>
  );
}
