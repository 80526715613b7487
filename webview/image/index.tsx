import { guessesOf } from '../../src/tasks/answer';
import type { ProviderView, Run, RunOptions } from '../../src/tasks/run';
import type { AttentionRows } from '../../src/domain/query';
import { render, type VNode } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ImagePanelApi, ImagePanelEvents } from '../../src/protocol/image';
import { formatPercent } from '../../src/domain/units';
import { connect, kindOf, messageOf, useSaved } from '../host';
import type { Cell } from '../../src/attention/tokenLayout';
import { useAnswer } from '../kit/hooks';
import { announce, Banner, Failure, Failures, Guard, LiveRegion, Skeleton } from '../kit/status';
import { Button, Dropdown, IconButton, Spinner } from '../kit/toolkit';
import '../theme.css';
import { Answer } from './answer';
import './image.css';
import { layerMap, movedQuery, nextHead, queryName } from './keyMap';
import { Maps } from './maps';
import { Picture } from './picture';
import { Providers } from './providers';
import { describe, numbersText, pictureFile } from './saved';
import { scaleRange, sharedRanges, type Range } from './scale';
import { chosenSettings, INITIAL, type Settings } from './settings';

const listeners: { current: ImagePanelEvents } = {
  current: {
    progress: () => undefined,
    providers: () => undefined,
    focus: () => undefined,
    changed: () => undefined,
  },
};
const host = connect<ImagePanelApi>({
  progress: (message: string) => listeners.current.progress(message),
  providers: (providers: readonly ProviderView[]) => listeners.current.providers(providers),
  focus: (half: 'labels' | 'attention') => listeners.current.focus(half),
  changed: () => listeners.current.changed(),
});

type Opened = Awaited<ReturnType<ImagePanelApi['open']>>;

interface RunState {
  readonly view?: Run;
  /** What the answer that is shown was asked with. */
  readonly asked?: RunOptions;
  readonly running: boolean;
  readonly progress: string;
  readonly error?: { readonly message: string; readonly kind: string };
}

const baseName = (path: string): string => path.split(/[\\/]/).at(-1) ?? path;

function ImagePanel(): VNode {
  const [turn, setTurn] = useState(0);
  const opened = useAnswer(() => host.open(), [turn]);
  const [options, setOptions] = useSaved<RunOptions>('run', {});
  const [state, setState] = useState<RunState>({ running: true, progress: '' });
  const [providers, setProviders] = useState<readonly ProviderView[]>([]);
  const [half, setHalf] = useState<Half>();
  const newest = useRef(0);

  const run = (next: RunOptions): void => {
    const mine = ++newest.current;
    setOptions(next);
    setState(({ error: _, ...before }) => ({ ...before, running: true, progress: '' }));
    host.run(next).then(
      (view) => {
        if (mine !== newest.current) return;
        setState({ view, asked: next, running: false, progress: '' });
        setProviders(view.provider.all);
        announce(spoken(view));
      },
      (error: unknown) => {
        if (mine !== newest.current) return;
        const failure = { message: messageOf(error), kind: kindOf(error) };
        setState((before) => ({ ...before, running: false, error: failure }));
      },
    );
  };
  useEffect(() => {
    listeners.current = {
      progress: (progress) => setState((before) => ({ ...before, progress })),
      providers: setProviders,
      focus: (wanted) => {
        setHalf(wanted);
        window.scrollTo(0, 0);
      },
      changed: () => {
        setTurn((count) => count + 1);
        run(options);
      },
    };
  });
  useEffect(() => run(options), []);

  const { view, asked, error } = state;
  // An option that cannot be is refused beside the answer that stands; anything else leaves no answer to show.
  const refused = asked && error && error.kind !== 'cancelled' && !sameOptions(asked, options);
  const failed = opened.error ?? (refused || error?.kind === 'cancelled' ? undefined : error);
  return (
    <>
      <Head opened={opened.value} state={state} providers={providers} options={options} onRun={run} />
      {state.running && <Running progress={state.progress} />}
      {error?.kind === 'cancelled' && (
        <Banner icon="circle-slash" actions={<Button onClick={() => run(options)}>Run Again</Button>}>
          Cancelled.
        </Banner>
      )}
      {refused && (
        <Banner icon="error" kind="error" actions={<Button onClick={() => run(asked)}>Go Back</Button>}>
          {error.message} The answer below is the one before.
        </Banner>
      )}
      {failed && (
        <Failure
          title="The picture could not be classified"
          {...failed}
          onRetry={() => {
            setTurn((count) => count + 1);
            run(failed === error && !view ? {} : options);
          }}
          onShowLog={() => void host.perform('showLog')}
          onManageTrust={() => void host.perform('manageTrust')}
          onSettings={() => void host.perform('openSettings')}
        />
      )}
      {!view && !failed && state.running && <Skeleton label="Waiting for the model" rows={8} />}
      {view && !failed && opened.value && (
        <Guard what="The answer">
          <Result
            view={view}
            opened={opened.value}
            half={half}
            options={refused ? asked : options}
            onRun={run}
          />
        </Guard>
      )}
    </>
  );
}

/** What a screen reader says once the answer is there. */
function spoken({ answer }: Run): string {
  const [first] = guessesOf(answer);
  if (answer.kind !== 'classes' || !first) return 'Features are ready; the model has no labels.';
  return answer.scoreKind === 'value'
    ? `${first.label}: ${first.score}`
    : `${first.label}, ${formatPercent(first.score)}`;
}

type Half = 'labels' | 'attention';

const sameOptions = (one: RunOptions, other: RunOptions): boolean =>
  JSON.stringify(one) === JSON.stringify(other);

/** Work of more than half a second says what it is and can be stopped; shorter work does not flicker. */
function Running({ progress }: { progress: string }): VNode | null {
  const [shown, setShown] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setShown(true), 400);
    return () => clearTimeout(timer);
  }, []);
  if (!shown) return null;
  return (
    <div class="running" role="status">
      <Spinner label="Running" />
      <span>{progress || 'Running the model'}</span>
      <Button onClick={() => void host.cancel()}>Cancel</Button>
    </div>
  );
}

interface HeadProps {
  readonly opened: Opened | undefined;
  readonly state: RunState;
  readonly providers: readonly ProviderView[];
  readonly options: RunOptions;
  readonly onRun: (options: RunOptions) => void;
}

/** A value that no path has: the host asks for another checkpoint. */
const OTHER = '\u0000other';

function Head({ opened, state, providers, options, onRun }: HeadProps): VNode | null {
  if (!opened) return null;
  const choose = (path: string): void => {
    void host.chooseCheckpoint(path === OTHER ? null : path);
  };
  return (
    <header class="image-head">
      <h1 title={opened.image}>{baseName(opened.image)}</h1>
      <div class="buttons">
        <Dropdown
          label="Model"
          value={opened.checkpoint}
          choices={[
            ...opened.checkpoints.map(({ path, label }) => ({ value: path, label })),
            { value: OTHER, label: 'Choose another…' },
          ]}
          onChange={choose}
        />
        <IconButton
          icon="type-hierarchy-sub"
          label="Inspect the checkpoint"
          onClick={() => void host.perform('inspect')}
        />
        {state.view && (
          <Providers
            view={state.view}
            providers={providers}
            asked={options.provider ?? 'auto'}
            onChoose={(provider) => onRun({ ...options, provider })}
            onCheck={() => void host.perform('checkProviders')}
          />
        )}
      </div>
    </header>
  );
}

const NO_RANGE: Range = { low: 0, high: 0, largest: 0 };

interface ResultProps {
  readonly view: Run;
  readonly opened: Opened;
  /** What was asked for since the page was opened. */
  readonly half: Half | undefined;
  readonly options: RunOptions;
  readonly onRun: (options: RunOptions) => void;
}

function Result({ view, opened, half, options, onRun }: ResultProps): VNode {
  const [settings, setSettings] = useSaved<Settings>('attention', INITIAL);
  const [hovered, setHovered] = useState<Cell>();
  const chosen = useMemo(
    () => chosenSettings(settings, view.probes, opened.colourMap),
    [settings, view, opened],
  );
  const probe = view.probes[chosen.layer];
  const answer = useAnswer<AttentionRows>(
    () => (probe ? host.attention(view.run, chosen.asked) : undefined),
    [view.run, JSON.stringify(chosen.asked), probe !== undefined],
  );
  const rows = answer.value?.run === view.run ? answer.value : undefined;
  const map = useMemo(
    () => rows && layerMap(rows, view.probes, chosen.layer, chosen.method, chosen.head),
    [rows, view, chosen.layer, chosen.method, chosen.head],
  );
  const { scale, method } = chosen;
  const shared = useMemo(
    () => (rows && scale !== 'own' ? sharedRanges(scale, rows, view.probes, method) : undefined),
    [rows, view, method, scale],
  );
  const range = map ? scaleRange(shared, chosen.layer, map) : NO_RANGE;

  useEffect(() => {
    if (map) announce(describe(view, chosen));
  }, [chosen.layer, chosen.head, chosen.method, JSON.stringify(chosen.query)]);

  const change = (changes: Partial<Settings>): void => setSettings({ ...settings, ...changes });
  const onKey = (key: string): boolean => {
    const changes = changeOfKey(key);
    if (changes) change(changes);
    return changes !== undefined;
  };
  const changeOfKey = (key: string): Partial<Settings> | undefined => {
    if (!probe) return undefined;
    if (key === '[') return { layer: Math.max(0, chosen.layer - 1) };
    if (key === ']') return { layer: Math.min(view.probes.length - 1, chosen.layer + 1) };
    if (key === 'h' || key === 'H') return { head: nextHead(chosen.head, probe.heads, key === 'h' ? 1 : -1) };
    const query = movedQuery(probe, chosen.query, key);
    return query && { query };
  };
  const attentionFirst = view.answer.kind === 'features' || (half ?? opened.focus) === 'attention';
  const name = `${baseName(opened.image).replace(/\.[^.]+$/, '')}-attention`;
  const answerPart = <Answer key="answer" view={view} topK={opened.topK} options={options} onRun={onRun} />;
  return (
    <div class="result">
      <Picture
        view={view}
        probe={probe}
        map={map}
        range={range}
        chosen={chosen}
        hovered={hovered}
        onHover={setHovered}
        onQuery={(query) => change({ query })}
        onKey={onKey}
        label={`${baseName(view.seen.image)}, attention of ${queryName(chosen.query, guessesOf(view.answer))}, ${describe(view, chosen)}. Arrow keys move the query, brackets change the layer, h the head.`}
      />
      {!attentionFirst && answerPart}
      <Maps
        key="maps"
        view={view}
        answer={{ ...answer, value: rows }}
        chosen={chosen}
        map={map}
        shared={shared}
        range={range}
        hovered={hovered}
        onChange={change}
        onSave={() => {
          if (map)
            void host
              .save(`${name}.png`, pictureFile(view, map, range, chosen))
              .then((done) => done && announce('Saved'));
        }}
        onCopy={() => {
          if (map) void host.copy(numbersText(view, map, chosen)).then(() => announce('Copied'));
        }}
      />
      {attentionFirst && answerPart}
    </div>
  );
}

render(
  <main>
    <ImagePanel />
    <LiveRegion />
    <Failures />
  </main>,
  document.getElementById('root') as HTMLElement,
);
