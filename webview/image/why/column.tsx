import type { ComponentChildren, VNode } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import type { ColourMap } from '../../../src/attention/colourMaps';
import type {
  Beside,
  Explainable,
  ExplainQuestion,
  OfferedMethod,
  Shown,
} from '../../../src/domain/explanation';
import { formatNumber, formatShape } from '../../../src/domain/units';
import type { ImagePanelApi } from '../../../src/protocol/image';
import type { Host } from '../../host';
import { useLate, useQuestion, type Asking } from '../../kit/hooks';
import { Working } from '../../kit/page';
import { Banner, Skeleton } from '../../kit/status';
import { Button } from '../../kit/toolkit';
import { CellTable } from '../../marks/cellTable';
import { CurveChart } from '../../marks/curveChart';
import { Badges, badgesOf } from './badges';
import { Legend, Readout } from './legend';
import { mapScale, type MapScale } from './mapScale';
import { isSameSubject, type Drawn, type Subject, type WhySettings } from './state';
import { WhyMap, type Cursor } from './whyMap';

/** Milliseconds that an explanation may take before the one that is drawn is dimmed. */
const blink = 150;

/**
 * Asks for an explanation whenever the question is another one. What is drawn keeps its own
 * question, and one that was superseded is never drawn.
 */
export function useExplanation(
  host: Host<ImagePanelApi>,
  subject: Subject | undefined,
  about: Beside,
  question: ExplainQuestion | undefined,
): Asking<Drawn> & { readonly again: () => void } {
  const asking = useQuestion<Drawn>();
  const again = (): void => {
    if (!question || !subject) asking.cancel();
    else
      asking.ask(async (call) => ({
        subject,
        question,
        shown: await host.call('explain', [subject.options, question, subject.about], call),
      }));
  };
  useEffect(again, [JSON.stringify([subject?.options, subject?.view.run, subject?.about, question])]);
  useEffect(() => asking.cancel, []);
  // What is of other files is not this column's, however long its own takes.
  const { value } = asking;
  const isOfThis = value !== undefined && isSameSubject(value.subject.about, about);
  return { ...asking, value: isOfThis ? value : undefined, again };
}

/** How the map of a question is drawn. */
export function useScale(
  shown: Shown | undefined,
  settings: WhySettings,
  colourMap: ColourMap,
): MapScale | undefined {
  const { clipped } = settings;
  return useMemo(
    () => shown?.map && mapScale(shown.map, { clipped, colourMap }),
    [shown, clipped, colourMap],
  );
}

export interface ColumnProps {
  readonly subject: Subject;
  /** Whether the columns are of several files, so that each says its own. */
  readonly isNamed: boolean;
  readonly asking: ReturnType<typeof useExplanation>;
  readonly question: ExplainQuestion;
  readonly scale: MapScale | undefined;
  readonly settings: WhySettings;
  readonly highest: number;
  readonly cursor: Cursor | undefined;
  readonly onCursor: (cursor: Cursor | undefined) => void;
  readonly onPick?: ((place: Cursor) => void) | undefined;
  readonly picked?: Cursor | undefined;
  readonly onKey: (key: string) => boolean;
  /** Said while nothing is pointed at. */
  readonly hint: string;
  /** What is chosen, in front of the map. */
  readonly children: ComponentChildren;
}

/** One explanation: what is chosen, its map, and everything else that was found. */
export function Column(props: ColumnProps): VNode {
  const { subject, isNamed, asking, question, scale, settings, highest, cursor, onCursor, onKey } = props;
  const { explainable } = subject;
  const { value: drawn, busy, error } = asking;
  const isBehind = drawn !== undefined && JSON.stringify(drawn.question) !== JSON.stringify(question);
  const isDimmed = useLate(busy && isBehind, blink);
  const name = (of: ExplainQuestion): string => nameOf(explainable, of);
  const map = drawn?.shown.map;
  const drawnName = drawn ? name(drawn.question) : undefined;
  const file = isNamed ? `, ${subject.title}` : '';
  return (
    <section
      class={`why-column${isDimmed ? ' pending' : ''}`}
      aria-label={`Explanation: ${drawnName ?? name(question)}${file}`}
      aria-busy={busy}
    >
      <div class="why-head">{props.children}</div>
      <WhyMap
        seen={subject.view.seen}
        map={map}
        scale={scale}
        look={settings}
        highest={highest}
        cursor={cursor}
        onCursor={onCursor}
        onPick={props.onPick}
        picked={props.picked}
        onKey={onKey}
        label={`${drawnName ?? 'No map yet'}${map ? `, ${map.legend}` : ''}. Arrow keys move the cursor, brackets change the method.`}
      >
        <Working
          class="working-over"
          busy={busy}
          text={`${asking.progress || 'Computing'}: ${name(question)}.${drawnName === undefined || !isBehind ? '' : ` Shown: ${drawnName}.`}`}
          onCancel={asking.cancel}
        />
      </WhyMap>
      {error && <Unanswered error={error} shown={isBehind ? drawnName : undefined} onAgain={asking.again} />}
      {!drawn && !error && <Skeleton label="Computing" rows={2} />}
      {isBehind && !busy && !error && <p class="quiet">{drawnName}</p>}
      {map && scale && <Legend map={map} scale={scale} />}
      {map && <Readout map={map} cursor={cursor} hint={props.hint} />}
      {drawn && <Badges badges={badgesOf(methodOf(explainable, drawn.question), drawn.shown)} />}
      {drawn && <Found drawn={drawn} />}
    </section>
  );
}

export const methodOf = (
  { methods }: Explainable,
  { method }: Pick<ExplainQuestion, 'method'>,
): OfferedMethod | undefined => methods.find(({ name }) => name === method);

/** `Rollout of cat` */
export const nameOf = (explainable: Explainable, question: ExplainQuestion): string =>
  `${methodOf(explainable, question)?.title ?? question.method} of ${explainable.labels[question.target] ?? question.target}`;

interface UnansweredProps {
  readonly error: NonNullable<Asking<Drawn>['error']>;
  /** What is drawn all the same. */
  readonly shown: string | undefined;
  readonly onAgain: () => void;
}

export function Unanswered({ error, shown, onAgain }: UnansweredProps): VNode {
  const isGivenUp = error.kind === 'cancelled';
  return (
    <Banner
      icon={isGivenUp ? 'circle-slash' : 'error'}
      kind={isGivenUp ? 'info' : 'error'}
      actions={<Button onClick={onAgain}>Try Again</Button>}
    >
      {isGivenUp ? 'Cancelled.' : error.message}
      {shown !== undefined && ` What is shown is “${shown}”.`}
    </Banner>
  );
}

const chartWidth = 320;

/** Curves, tables, figures, notes; of what nothing is drawn, which arrays there are. */
function Found({ drawn: { shown } }: { readonly drawn: Drawn }): VNode {
  const { map, curves, tables, figures, tensors, notes } = shown;
  const isDrawn = map !== undefined || curves.length > 0 || tables.length > 0;
  return (
    <>
      {curves.length > 0 && (
        <CurveChart
          title="Scores"
          across="of the image changed"
          upward="Areas stand beside the names."
          width={chartWidth}
          curves={curves.map(({ name, scores, area }) => ({
            name,
            values: scores,
            figure: formatNumber(area),
            isBaseline: name.endsWith('random'),
          }))}
        />
      )}
      {tables.map((table) => {
        const values = Float32Array.from(table.rows.flatMap((row) => [...row.values]));
        const own = { grid: [1, values.length] as const, values, signed: table.signed, legend: table.legend };
        const { low, high, colours } = mapScale(own, { clipped: false, colourMap: 'viridis' });
        return (
          <div key={table.title}>
            <p>{table.legend}</p>
            <CellTable {...table} row="layer" column="head" {...{ low, high, colours }} />
          </div>
        );
      })}
      {figures.map(({ name, value }) => (
        <p key={name}>
          {name}: <strong>{formatNumber(value, 4)}</strong>
        </p>
      ))}
      {notes.map((note) => (
        <p key={note} class="why-note">
          {note}
        </p>
      ))}
      {!isDrawn && (
        <p class="quiet">
          Arrays without a picture, which Save writes:{' '}
          {tensors.map(({ name, shape }) => `${name} ${formatShape(shape)}`).join(', ') || 'none'}
        </p>
      )}
    </>
  );
}
