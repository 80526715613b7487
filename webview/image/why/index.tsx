import type { VNode } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { colourMapNamed } from '../../../src/attention/colourMaps';
import { isOwn, type Beside, type Explainable, type Faithfulness } from '../../../src/domain/explanation';
import type { ImagePanelApi } from '../../../src/protocol/image';
import type { Run, RunOptions } from '../../../src/tasks/run';
import { useSaved, type Host } from '../../host';
import { useQuestion } from '../../kit/hooks';
import { GivenUp, Working } from '../../kit/page';
import { announce, Banner, Skeleton } from '../../kit/status';
import { Button } from '../../kit/toolkit';
import { usePanelSize } from '../panelSize';
import { BesideWaiting, CheckpointPicker, ColumnFiles, ImagePicker, useBeside } from './beside';
import { Column, nameOf, useExplanation, useScale } from './column';
import { AnswerLine, ColumnHead } from './columnHead';
import { Difference, useDifference } from './difference';
import { ColumnSave, SheetSave } from './exports';
import { Look } from './look';
import type { MapScale } from './mapScale';
import type { SheetPart } from './sheet';
import {
  aboutOf,
  initialWhy,
  nextMethod,
  questionOf,
  rankedClasses,
  titleOf,
  type ColumnChoice,
  type Drawn,
  type NamedCheckpoint,
  type Subject,
  type WhySettings,
} from './state';
import { Trust } from './trust';
import { WalkThrough } from './walk';
import type { Cursor } from './whyMap';
import './why.css';

export interface WhyProps {
  readonly host: Host<ImagePanelApi>;
  readonly view: Run;
  readonly options: RunOptions;
  /** Of the user's settings. */
  readonly colourMap: string;
  /** The panel's checkpoint, and those of the workspace. */
  readonly checkpoint: string;
  readonly checkpoints: readonly NamedCheckpoint[];
}

/** The panel's own image and checkpoint. */
const own: Beside = {};

/** Why the model answers as it does: asked once what can be explained, then drawn. */
export function Why(props: WhyProps): VNode {
  const { host, view, options } = props;
  const asking = useQuestion<Explainable>();
  const ask = (): void => asking.ask((call) => host.call('explainable', [options, own], call));
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
  const title = titleOf(view.seen.image, props.checkpoint, props.checkpoints);
  return <Explanations {...props} own={{ about: own, options, view, explainable: value, title }} />;
}

interface ExplanationsProps extends WhyProps {
  readonly own: Subject;
}

/** One or two columns with one cursor, what they differ in, and how far to trust them. */
function Explanations(props: ExplanationsProps): VNode {
  const { host, options, own, checkpoint, checkpoints } = props;
  const [saved, setSettings] = useSaved<WhySettings>('why', initialWhy);
  const settings = { ...initialWhy, ...saved };
  const change = (changes: Partial<WhySettings>): void => setSettings({ ...settings, ...changes });
  const [cursor, setCursor] = useState<Cursor>();
  const [picked, setPicked] = useState<Cursor>();
  const [measured, setMeasured] = useState<Faithfulness>();
  const { isWide, highest } = usePanelSize();
  const colours = settings.colourMap ?? colourMapNamed(props.colourMap);
  const [first, second] = settings.columns;
  const about = aboutOf(second ?? {});
  const beside = useBeside(host, own, about, checkpoints);
  const subjects = [own, isOwn(about) ? own : beside.value] as const;
  const rankings = [useRanked(subjects[0]), useRanked(subjects[1])] as const;
  const questions = [first, second].map((column, index) => {
    const subject = subjects[index === 0 ? 0 : 1];
    return column && subject && questionOf(column, subject.explainable, rankings[index === 0 ? 0 : 1]);
  });
  const [one, other] = questions;
  const columns = [
    useExplanation(host, own, own.about, one),
    useExplanation(host, subjects[1], about, other),
  ] as const;
  const scales = [
    useScale(columns[0].value?.shown, settings, colours),
    useScale(columns[1].value?.shown, settings, colours),
  ];
  const drawn = columns.flatMap(({ value }, index) => (questions[index] && value ? [value] : []));
  useSeen(drawn, settings, change);
  useEffect(() => {
    const latest = drawn.at(-1);
    if (latest) announce(`${drawnName(latest, !isOwn(about))} is drawn`);
  }, [JSON.stringify(drawn.map(({ question, subject }) => [question, subject.about]))]);
  const difference = useDifference(drawn, questions, settings, colours);
  if (!one)
    return (
      <div class="why">
        <Banner icon="info">No method serves this model: {own.explainable.methods[0]?.whyNot}.</Banner>
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
  const open = (choice: ColumnChoice): void => change({ columns: [{ ...first, ...one }, choice] });
  /** Another model has other classes: its own likeliest one is explained. */
  const openAbout = (next: Beside): void =>
    open({
      method: other?.method ?? one.method,
      target: next.checkpoint === about.checkpoint ? (other?.target ?? one.target) : null,
      ...next,
    });
  const close = (index: number): void =>
    change({
      // The first column is the panel's own: what the second chose of its own files goes with them.
      columns: settings.columns.flatMap((column, place) =>
        place === index ? [] : isOwn(column) ? [{ ...column, ...questions[place] }] : [{ ...first, ...one }],
      ),
    });
  const onKey =
    (index: number) =>
    (key: string): boolean => {
      const [question, subject] = [questions[index], subjects[index === 0 ? 0 : 1]];
      const step = steps[key];
      const method =
        question && subject && step
          ? nextMethod(subject.explainable.methods, question.method, step)
          : undefined;
      if (method !== undefined) choose(index, { method });
      return method !== undefined;
    };
  const isNamed = !isOwn(about);
  const parts = [
    ...drawn.flatMap((each, index) => partOf(each, scales[index], isNamed)),
    ...(difference ? [difference] : []),
  ];
  const titles = new Set(drawn.map(({ subject: { view } }) => `${view.modelTitle}, ${view.seen.image}`));
  const sheet = { look: settings, parts, caption: [...titles].join('; ') };
  const shared = { highest, cursor, onCursor: setCursor };
  const picking = { picked, onPick: setPicked };
  const files = second && (
    <ColumnFiles {...{ host, own, about, checkpoint, checkpoints }} onAbout={openAbout} />
  );
  return (
    <div class={`why${second ? ' two' : ''}${isWide ? ' wide' : ''}`}>
      <AnswerLine subject={own} chosen={one.target} onChoose={(target) => choose(0, { target })} />
      <div class="why-columns">
        {questions.map((question, index) => {
          const place = index === 0 ? 0 : 1;
          const [subject, ranked] = [subjects[place], rankings[place]];
          return (
            question &&
            subject && (
              <Column
                key={index}
                {...{ ...shared, ...(index === 0 && picking), subject, isNamed, settings, question }}
                asking={columns[place]}
                scale={scales[index]}
                hint={index === 0 ? cursorHint : ''}
                onKey={onKey(index)}
              >
                <ColumnHead
                  {...{ subject, ranked, question }}
                  onChoose={(choice) => choose(index, choice)}
                  files={index === 1 ? files : isNamed ? <OwnFiles subject={own} /> : undefined}
                  save={<ColumnSave host={host} drawn={columns[place].value} />}
                  onClose={second ? () => close(index) : undefined}
                />
              </Column>
            )
          );
        })}
        {files && !subjects[1] && <BesideWaiting asking={beside} files={files} onClose={() => close(1)} />}
        {difference && <Difference {...shared} look={settings} part={difference} />}
      </div>
      <div class="why-side">
        <Trust
          {...{ host, options, explainable: own.explainable, perForward: own.view.times.run }}
          scope={own.view.run}
          target={one.target}
          tested={settings.tested}
          onTest={(method, isTested) => change({ tested: { ...settings.tested, [method]: isTested } })}
          onMeasured={setMeasured}
        />
        <WalkThrough host={host} subject={own} picked={picked} />
      </div>
      <div class="controls why-controls" role="group" aria-label="Explanations">
        {!second && (
          <Comparing {...props} question={one} ranked={rankings[0]} onOpen={open} onAbout={openAbout} />
        )}
        <div class="buttons control-end">
          <SheetSave {...{ host, subject: own, drawn, sheet, measured }} />
          <Look settings={settings} colours={colours} onChange={change} />
        </div>
      </div>
    </div>
  );
}

const cursorHint = 'Point at a map, or move by arrow keys, to read values.';

/** Keys that go through the methods. */
const steps: Readonly<Record<string, 1 | -1>> = { ']': 1, '[': -1 };

const useRanked = (subject: Subject | undefined): readonly number[] =>
  useMemo(() => (subject ? rankedClasses(subject.explainable) : []), [subject?.explainable]);

/** The files of the first column, which are the panel's. */
const OwnFiles = ({ subject }: { readonly subject: Subject }): VNode => (
  <span class="why-files quiet">{subject.title}</span>
);

interface ComparingProps extends ExplanationsProps {
  readonly question: Drawn['question'];
  readonly ranked: readonly number[];
  readonly onOpen: (choice: ColumnChoice) => void;
  readonly onAbout: (about: Beside) => void;
}

/** What a second column may be of. */
const Comparing = (props: ComparingProps): VNode => {
  const { host, own, question, ranked, checkpoint, checkpoints, onOpen, onAbout } = props;
  const target = ranked.find((index) => index !== question.target) ?? question.target;
  const method = nextMethod(own.explainable.methods, question.method, 1) ?? question.method;
  const { image } = own.view.seen;
  return (
    <>
      <Button icon="split-horizontal" onClick={() => onOpen({ ...question, target })}>
        Compare Class
      </Button>
      <Button icon="split-horizontal" onClick={() => onOpen({ ...question, method })}>
        Compare Method
      </Button>
      <ImagePicker
        host={host}
        icon="split-horizontal"
        title="Compare Image"
        label="Compare Image"
        chosen={image}
        onChoose={(path) => path !== image && onAbout({ image: path })}
      />
      <CheckpointPicker
        host={host}
        icon="split-horizontal"
        title="Compare Checkpoint"
        label="Compare Checkpoint"
        checkpoints={checkpoints}
        chosen={checkpoint}
        onChoose={(path) => path !== checkpoint && onAbout({ checkpoint: path })}
      />
    </>
  );
};

/** Only maps of the panel's own image and model are tested; the first that is drawn is ticked. */
function useSeen(
  drawn: readonly Drawn[],
  settings: WhySettings,
  change: (changes: Partial<WhySettings>) => void,
): void {
  const names = drawn.flatMap(({ question, shown, subject }) =>
    shown.map && isOwn(subject.about) ? [question.method] : [],
  );
  const added = names.filter((name) => !(name in settings.tested));
  useEffect(() => {
    if (added.length > 0)
      change({ tested: { ...settings.tested, ...Object.fromEntries(added.map((name) => [name, true])) } });
  }, [added.join()]);
}

const drawnName = ({ question, subject }: Drawn, isNamed: boolean): string =>
  `${nameOf(subject.explainable, question)}${isNamed ? `, ${subject.title}` : ''}`;

const partOf = (drawn: Drawn, scale: MapScale | undefined, isNamed: boolean): readonly SheetPart[] => {
  const { shown, subject } = drawn;
  return shown.map && scale
    ? [{ title: drawnName(drawn, isNamed), seen: subject.view.seen, map: shown.map, scale }]
    : [];
};
