import type { VNode } from 'preact';
import { guessesOf } from '../../src/tasks/answer';
import type { Run } from '../../src/tasks/run';
import type { AttentionRows } from '../../src/domain/query';
import { layerText } from '../../src/attention/naming';
import { queryGrid, type KeyMap } from '../../src/attention/reading';
import type { Cell } from '../../src/attention/tokenLayout';
import { formatNumber, formatPercent } from '../../src/domain/units';
import { headSummaries, summaryText } from './headSummary';
import { isAsked, queryName, tokenName } from './keyMap';
import { subjectOf, type Range } from './scale';
import { ScaleBar } from './scaleBar';
import type { Chosen } from './settings';

export interface FiguresProps {
  readonly view: Run;
  readonly rows: AttentionRows;
  readonly map: KeyMap | undefined;
  readonly range: Range;
  /** Of what is drawn. */
  readonly drawn: Chosen;
  /** The name of what is drawn, if the controls name another query. */
  readonly behind: string | undefined;
  readonly hovered: Cell | undefined;
  /** Shows a layer in the inspector. */
  readonly onReveal: (layer: string) => void;
}

/** The large map in numbers: its scale, its layer, how wide the head looks, the pointed weight. */
export function Figures({ view, rows, map, range, drawn, behind, hovered, onReveal }: FiguresProps): VNode {
  const probe = view.probes[drawn.layer];
  return (
    <div class="map-figures">
      <ScaleBar
        range={range}
        kind={drawn.scale}
        subject={subjectOf(drawn.method, drawn.head)}
        heads={probe?.heads ?? 1}
        colourMap={drawn.colourMap}
      />
      {probe && (
        <p>
          <button
            type="button"
            class="link mono"
            title={`${probe.layer} in timm’s names\nShow it in the inspector`}
            onClick={() => onReveal(probe.layer)}
          >
            {view.layers[drawn.layer]}
          </button>{' '}
          <span class="quiet">{layerText(probe)}</span>
        </p>
      )}
      <HeadLine rows={rows} view={view} drawn={drawn} />
      <Readout map={map} hovered={hovered} of={behind} canClick={!!probe && queryGrid(probe) !== undefined} />
    </div>
  );
}

/**
 * How wide the chosen head, or all of the layer, looks: of the query that is shown alone, not of
 * all.
 */
function HeadLine({ rows, view, drawn }: Pick<FiguresProps, 'rows' | 'view' | 'drawn'>): VNode | null {
  if (rows.method === 'rollout') return null;
  const { current } = view.inputSize;
  const probe = view.probes[drawn.layer];
  const text = summaryText(headSummaries(rows, view.probes, drawn.layer, current), drawn.head);
  if (text === '') return null;
  const title = `Of the weights of this query alone. Entropy: 0 bits where one key is looked at, the most where all are alike; special tokens count. Distance: from the patch to the patches it looks at, weighted, in pixels of the ${current.join('×')} input; special tokens have no place.`;
  return (
    <p title={title}>
      <strong>Layer {drawn.layer}</strong>, {text}
      {probe && isAsked(probe) && `, of the query “${queryName(drawn.query, guessesOf(view.answer), probe)}”`}
    </p>
  );
}

interface ReadoutProps {
  readonly map: KeyMap | undefined;
  readonly hovered: Cell | undefined;
  /** The query that it is of, if the controls name another. */
  readonly of: string | undefined;
  /** The layer has patches that can ask. */
  readonly canClick: boolean;
}

/**
 * The weight under the pointer, else what goes to special tokens, which have no place on the
 * image.
 */
function Readout({ map, hovered, of, canClick }: ReadoutProps): VNode | null {
  const value = hovered && map?.image?.values[hovered.row * map.image.columns + hovered.column];
  if (hovered && value !== undefined)
    return (
      <p class="readout">
        {of && `${of}: `}row {hovered.row}, column {hovered.column}:{' '}
        <strong>{Number.isNaN(value) ? 'outside of the query’s window' : formatNumber(value)}</strong>
      </p>
    );
  if (!map?.image) return null;
  const special = map.special.map(({ name, value: weight }) => `${tokenName(name)} ${formatPercent(weight)}`);
  return (
    <p class="readout quiet">
      {of && `${of}: `}
      {special.length > 0 && `${special.join(', ')}; the rest on the image. `}
      {canClick ? 'Click a patch to see where it looks.' : 'Point at the image to read values.'}
    </p>
  );
}
