import type { VNode } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { colourMapNamed, type ColourMap } from '../../../src/attention/colourMaps';
import type { Explainable, ExplainQuestion, Faithfulness } from '../../../src/domain/explanation';
import type { ImagePanelApi } from '../../../src/protocol/image';
import { guessesOf, type Guess } from '../../../src/tasks/answer';
import type { Run, RunOptions } from '../../../src/tasks/run';
import { formatNumber, formatPercent } from '../../../src/domain/units';
import { useSaved, type Host } from '../../host';
import { useQuestion } from '../../kit/hooks';
import { Popover } from '../../kit/popover';
import { GivenUp, Working } from '../../kit/page';
import { announce, Banner, Skeleton } from '../../kit/status';
import { Button, Checkbox, IconButton } from '../../kit/toolkit';
import { ColoursControl, KeyList, OpacityControl } from '../appearance';
import { usePanelSize } from '../panelSize';
import { Column, nameOf, useExplanation, useScale } from './column';
import { ColumnSave, SheetSave } from './exports';
import { Legend, Readout } from './legend';
import { differenceOf, mapScale, type MapScale } from './mapScale';
import { ClassPicker, MethodInfo, MethodPicker } from './pickers';
import {
  initialWhy,
  nextMethod,
  questionOf,
  rankedClasses,
  shortLabel,
  type ColumnChoice,
  type Drawn,
  type WhySettings,
} from './state';
import { Trust } from './trust';
import { WhyMap, type Cursor } from './whyMap';
import './why.css';

export interface WhyProps {
  readonly host: Host<ImagePanelApi>;
  readonly view: Run;
  readonly options: RunOptions;
  /** Of the user's settings. */
  readonly colourMap: string;
}

/** Why the model answers as it does: asked once what can be explained, then drawn. */
export function Why(props: WhyProps): VNode {
  const { host, view, options } = props;
  const asking = useQuestion<Explainable>();
  const ask = (): void => asking.ask((call) => host.call('explainable', [options], call));
  useEffect(ask, [JSON.stringify(options), view.run]);
  useEffect(() => asking.cancel, []);
  const { value, busy, error } = asking;
  if (busy)
    return (
      <div class="why">
        <Working
          class="running"
          busy
          text={asking.progress || 'Asking for the scores of all classes'}
          onCancel={asking.cancel}
        />
        <Skeleton label="Asking for the scores of all classes" rows={6} />
      </div>
    );
  if (error?.kind === 'cancelled')
    return (
      <div class="why">
        <GivenUp text="Cancelled." again="Try Again" onRetry={ask} />
      </div>
    );
  if (error || !value)
    return (
      <div class="why">
        <Banner icon="info" actions={<Button onClick={ask}>Try Again</Button>}>
          Nothing can be explained here: {error?.message}
        </Banner>
      </div>
    );
  return <Explanations {...props} explainable={value} />;
}

interface ExplanationsProps extends WhyProps {
  readonly explainable: Explainable;
}

/** One or two columns with one cursor, what they differ in, and how far to trust them. */
function Explanations({ host, view, options, colourMap, explainable }: ExplanationsProps): VNode {
  const [saved, setSettings] = useSaved<WhySettings>('why', initialWhy);
  const settings = { ...initialWhy, ...saved };
  const change = (changes: Partial<WhySettings>): void => setSettings({ ...settings, ...changes });
  const [cursor, setCursor] = useState<Cursor>();
  const [measured, setMeasured] = useState<Faithfulness>();
  const { isWide, highest } = usePanelSize();
  const ranked = useMemo(() => rankedClasses(explainable), [explainable]);
  const colours = settings.colourMap ?? colourMapNamed(colourMap);
  const [first, second] = settings.columns;
  const questions = [first, second].map((column) => column && questionOf(column, explainable, ranked));
  const [one, other] = questions;
  const columns = [
    useExplanation(host, options, view.run, one),
    useExplanation(host, options, view.run, other),
  ] as const;
  const scales = [
    useScale(columns[0].value?.shown, settings, colours),
    useScale(columns[1].value?.shown, settings, colours),
  ];
  const drawn = columns.flatMap(({ value }, index) => (questions[index] && value ? [value] : []));
  useSeen(drawn, settings, change);
  useEffect(() => {
    const latest = drawn.at(-1);
    if (latest) announce(`${nameOf(explainable, latest.question)} is drawn`);
  }, [JSON.stringify(drawn.map(({ question }) => question))]);
  const difference = useDifference(explainable, drawn, questions, settings, colours);
  if (!one)
    return (
      <div class="why">
        <Banner icon="info">No method serves this model: {explainable.methods[0]?.whyNot}.</Banner>
      </div>
    );

  const choose = (index: number, choice: Partial<ColumnChoice>): void =>
    change({
      columns: settings.columns.map((column, place) => ({
        ...column,
        // What nobody chose stays what it is now, though another column is chosen.
        ...questions[place],
        ...(place === index && choice),
      })),
    });
  const beside = (choice: ColumnChoice): void => change({ columns: [{ ...first, ...one }, choice] });
  const onKey =
    (index: number) =>
    (key: string): boolean => {
      const question = questions[index];
      const step = steps[key];
      const method = question && step ? nextMethod(explainable.methods, question.method, step) : undefined;
      if (method !== undefined) choose(index, { method });
      return method !== undefined;
    };
  const guesses = guessesFor(view, explainable);
  const perForward = view.times.run;
  const parts = drawn.flatMap((each, index) => partOf(explainable, each, scales[index]));
  const sheet = {
    seen: view.seen,
    look: settings,
    parts: [...parts, ...(difference ? [difference] : [])],
    caption: `${view.modelTitle}, ${view.seen.image}`,
  };
  const shared = { explainable, seen: view.seen, settings, highest, cursor, onCursor: setCursor };
  return (
    <div class={`why${other ? ' two' : ''}${isWide ? ' wide' : ''}`}>
      <AnswerLine
        guesses={guesses}
        isShare={sharesOf(view)}
        chosen={one.target}
        onChoose={(target) => choose(0, { target })}
      />
      <div class="why-columns">
        {questions.map(
          (question, index) =>
            question && (
              <Column
                key={index}
                {...shared}
                asking={columns[index === 0 ? 0 : 1]}
                question={question}
                scale={scales[index]}
                hint={index === 0 ? cursorHint : ''}
                onKey={onKey(index)}
              >
                <ColumnHead
                  {...{ explainable, ranked, question, guesses, perForward }}
                  isShare={sharesOf(view)}
                  onChoose={(choice) => choose(index, choice)}
                  save={
                    <ColumnSave
                      {...{ host, view, options, explainable }}
                      drawn={columns[index === 0 ? 0 : 1].value}
                    />
                  }
                  onClose={
                    other
                      ? () => change({ columns: settings.columns.filter((_, place) => place !== index) })
                      : undefined
                  }
                />
              </Column>
            ),
        )}
        {difference && (
          <section class="why-column" aria-label={`Difference: ${difference.title}`}>
            <div class="why-head">
              <strong>{difference.title}</strong>
            </div>
            <WhyMap
              {...shared}
              map={difference.map}
              scale={difference.scale}
              look={settings}
              onKey={() => false}
              label={`Difference: ${difference.title}. Arrow keys move the cursor.`}
            />
            <Legend map={difference.map} scale={difference.scale} />
            <Readout map={difference.map} cursor={cursor} hint="" />
          </section>
        )}
      </div>
      <Trust
        {...{ host, options, explainable, perForward }}
        scope={view.run}
        target={one.target}
        tested={settings.tested}
        onTest={(method, isTested) => change({ tested: { ...settings.tested, [method]: isTested } })}
        onMeasured={setMeasured}
      />
      <div class="controls why-controls" role="group" aria-label="Explanations">
        {!other && (
          <>
            <Button
              icon="split-horizontal"
              onClick={() =>
                beside({ ...one, target: ranked.find((index) => index !== one.target) ?? one.target })
              }
            >
              Compare Class
            </Button>
            <Button
              icon="split-horizontal"
              onClick={() =>
                beside({ ...one, method: nextMethod(explainable.methods, one.method, 1) ?? one.method })
              }
            >
              Compare Method
            </Button>
          </>
        )}
        <div class="buttons control-end">
          <SheetSave {...{ host, view, options, explainable, drawn, sheet, measured }} />
          <Popover
            label="How it is drawn"
            anchor={(open, toggle) => (
              <IconButton icon="ellipsis" label="How it is drawn" expanded={open} onClick={toggle} />
            )}
          >
            {() => <Appearance settings={settings} colours={colours} onChange={change} />}
          </Popover>
          <Popover
            label="Keys"
            anchor={(open, toggle) => (
              <IconButton icon="question" label="Keys" expanded={open} onClick={toggle} />
            )}
          >
            {() => <KeyList keys={keys} />}
          </Popover>
        </div>
      </div>
    </div>
  );
}

const cursorHint = 'Point at a map, or move by arrow keys, to read values.';

/** Keys that go through the methods. */
const steps: Readonly<Record<string, 1 | -1>> = { ']': 1, '[': -1 };

/** Classes of the answer that are those of the explained output. */
const guessesFor = ({ answer }: Run, { scores }: Explainable): readonly Guess[] =>
  answer.kind === 'classes' && answer.classes === scores.length ? guessesOf(answer) : [];

const sharesOf = ({ answer }: Run): boolean => answer.kind === 'classes' && answer.scoreKind !== 'value';

/** What was drawn can be tested; the first that is drawn is ticked. */
function useSeen(
  drawn: readonly Drawn[],
  settings: WhySettings,
  change: (changes: Partial<WhySettings>) => void,
): void {
  const names = drawn.flatMap(({ question, shown }) => (shown.map ? [question.method] : []));
  const added = names.filter((name) => !(name in settings.tested));
  useEffect(() => {
    if (added.length > 0)
      change({ tested: { ...settings.tested, ...Object.fromEntries(added.map((name) => [name, true])) } });
  }, [added.join()]);
}

const partOf = (explainable: Explainable, { question, shown }: Drawn, scale: MapScale | undefined) =>
  shown.map && scale ? [{ title: nameOf(explainable, question), map: shown.map, scale }] : [];

/** The first map minus the second, if both are of one method and of what is asked. */
function useDifference(
  explainable: Explainable,
  drawn: readonly Drawn[],
  questions: readonly (ExplainQuestion | undefined)[],
  { clipped }: WhySettings,
  colourMap: ColourMap,
) {
  const [one, other] = drawn;
  return useMemo(() => {
    const isAsked = (each: Drawn, index: number): boolean =>
      JSON.stringify(each.question) === JSON.stringify(questions[index]);
    if (!one?.shown.map || !other?.shown.map || ![one, other].every(isAsked)) return undefined;
    if (one.question.method !== other.question.method || one.question.target === other.question.target)
      return undefined;
    const name = ({ question: { target } }: Drawn): string => explainable.labels[target] ?? String(target);
    const names = [name(one), name(other)] as const;
    const map = differenceOf(one.shown.map, other.shown.map, names);
    return map && { title: names.join(' − '), map, scale: mapScale(map, { clipped, colourMap }) };
  }, [one, other, JSON.stringify(questions), clipped, colourMap]);
}

interface AnswerLineProps {
  readonly guesses: readonly Guess[];
  readonly isShare: boolean;
  readonly chosen: number;
  readonly onChoose: (target: number) => void;
}

/** The answer, each of whose classes can be asked about. */
function AnswerLine({ guesses, isShare, chosen, onChoose }: AnswerLineProps): VNode | null {
  if (guesses.length === 0) return null;
  const text = isShare ? formatPercent : formatNumber;
  return (
    <div class="answer-line" role="group" aria-label="Classes of the answer">
      {guesses.map(({ index, label, score }) => (
        <button
          key={index}
          type="button"
          class="class-choice"
          title={label}
          aria-pressed={index === chosen}
          onClick={() => onChoose(index)}
        >
          <span>{shortLabel(label)}</span> <span class="number">{text(score)}</span>
        </button>
      ))}
    </div>
  );
}

interface ColumnHeadProps {
  readonly explainable: Explainable;
  readonly ranked: readonly number[];
  readonly question: ExplainQuestion;
  readonly guesses: readonly Guess[];
  readonly isShare: boolean;
  readonly perForward: number;
  readonly onChoose: (choice: Partial<ColumnChoice>) => void;
  readonly save: VNode;
  readonly onClose: (() => void) | undefined;
}

/** What a column explains, and by which method. */
function ColumnHead(props: ColumnHeadProps): VNode {
  const { explainable, ranked, question, guesses, isShare, perForward, onChoose, save, onClose } = props;
  const method = explainable.methods.find(({ name }) => name === question.method);
  return (
    <>
      <MethodPicker
        methods={explainable.methods}
        chosen={question.method}
        perForward={perForward}
        onChoose={(name) => onChoose({ method: name })}
      />
      {method && <MethodInfo method={method} />}
      <span class="quiet">of</span>
      <ClassPicker
        explainable={explainable}
        ranked={ranked}
        chosen={question.target}
        guesses={guesses}
        areShares={isShare}
        onChoose={(target) => onChoose({ target })}
      />
      <span class="control-end">
        {save}
        {onClose && <IconButton icon="close" label="Close this column" onClick={onClose} />}
      </span>
    </>
  );
}

interface AppearanceProps {
  readonly settings: WhySettings;
  readonly colours: ColourMap;
  readonly onChange: (changes: Partial<WhySettings>) => void;
}

/** How maps are drawn, in all columns alike. */
const Appearance = ({ settings, colours, onChange }: AppearanceProps): VNode => (
  <div class="appearance">
    <Checkbox checked={settings.smooth} onChange={(smooth) => onChange({ smooth })}>
      Smooth (bilinear)
    </Checkbox>
    <Checkbox checked={settings.fade} onChange={(fade) => onChange({ fade })}>
      See through low values
    </Checkbox>
    <Checkbox checked={settings.clipped} onChange={(clipped) => onChange({ clipped })}>
      Colours to the 99th percentile
    </Checkbox>
    <OpacityControl opacity={settings.opacity} onChange={onChange} />
    <ColoursControl label="Colours of maps without a sign" value={colours} onChange={onChange} />
  </div>
);

const keys: readonly (readonly [key: string, meaning: string])[] = [
  ['Point', 'at a map: its value, and those of the other maps at the same place'],
  ['← ↑ ↓ →', 'on a map: the cursor moves, in all maps'],
  ['Esc', 'the cursor goes'],
  ['[  ]', 'on a map: the method before, the next one'],
];
