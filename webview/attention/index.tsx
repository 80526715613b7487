import { render, type VNode } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type {
  AttentionRows,
  ClassifiedView,
  ImagePanelApi,
  ImagePanelEvents,
  ProviderView,
  RunOptions,
} from '../../src/protocol/imagePanel';
import { formatPercent } from '../../src/protocol/units';
import { connect, kindOf, messageOf, useSaved } from '../host';
import type { Cell } from '../marks/overlay';
import { useAnswer } from '../parts/hooks';
import { announce, Banner, Failure, Failures, Guard, LiveRegion, Skeleton } from '../parts/status';
import { Button, Dropdown, IconButton, Spinner } from '../toolkit';
import '../theme.css';
import { Answer } from './answer';
import './attention.css';
import { layerMap, movedQuery, nextHead, queryName } from './keyMap';
import { Maps } from './maps';
import { Picture } from './picture';
import { Providers } from './providers';
import { describe, numbersText, pictureFile } from './saved';
import { layerPeaks, scaleRange } from './scale';
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
  readonly view?: ClassifiedView;
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
  const newest = useRef(0);

  const run = (next: RunOptions): void => {
    const mine = ++newest.current;
    setOptions(next);
    setState((before) => ({ ...(before.view ? { view: before.view } : {}), running: true, progress: '' }));
    host.run(next).then(
      (view) => {
        if (mine !== newest.current) return;
        setState({ view, running: false, progress: '' });
        setProviders(view.providers);
        announce(spoken(view));
      },
      (error: unknown) => {
        if (mine !== newest.current) return;
        setState((before) => ({
          ...before,
          running: false,
          error: { message: messageOf(error), kind: kindOf(error) },
        }));
      },
    );
  };
  useEffect(() => {
    listeners.current = {
      progress: (progress) => setState((before) => ({ ...before, progress })),
      providers: setProviders,
      focus: showHalf,
      changed: () => {
        setTurn((count) => count + 1);
        run(options);
      },
    };
  });
  useEffect(() => run(options), []);

  const failed = opened.error ?? (state.error?.kind === 'cancelled' ? undefined : state.error);
  return (
    <>
      <Head opened={opened.value} state={state} providers={providers} options={options} onRun={run} />
      {state.running && <Running progress={state.progress} />}
      {state.error?.kind === 'cancelled' && (
        <Banner icon="circle-slash" actions={<Button onClick={() => run(options)}>Run Again</Button>}>
          Cancelled.
        </Banner>
      )}
      {failed && (
        <Failure
          title="The picture could not be classified"
          {...failed}
          onRetry={() => {
            setTurn((count) => count + 1);
            run(failed === state.error && state.view === undefined ? {} : options);
          }}
          onShowLog={() => void host.perform('showLog')}
          onManageTrust={() => void host.perform('manageTrust')}
        />
      )}
      {!state.view && !failed && state.running && <Skeleton label="Waiting for the model" rows={8} />}
      {state.view && !failed && opened.value && (
        <Guard what="The answer">
          <Result view={state.view} opened={opened.value} options={options} onRun={run} />
        </Guard>
      )}
    </>
  );
}

/** What a screen reader says once the answer is there. */
function spoken({ top, scoreKind }: ClassifiedView): string {
  const [first] = top;
  if (!first) return 'Features are ready; the model has no labels.';
  return scoreKind === 'value'
    ? `${first.label}: ${first.score}`
    : `${first.label}, ${formatPercent(first.score)}`;
}

function showHalf(half: 'labels' | 'attention'): void {
  const target = half === 'attention' ? document.getElementById('attention') : document.querySelector('main');
  target?.scrollIntoView({ block: 'start' });
}

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

interface ResultProps {
  readonly view: ClassifiedView;
  readonly opened: Opened;
  readonly options: RunOptions;
  readonly onRun: (options: RunOptions) => void;
}

function Result({ view, opened, options, onRun }: ResultProps): VNode {
  const [settings, setSettings] = useSaved<Settings>('attention', INITIAL);
  const [hovered, setHovered] = useState<Cell>();
  const chosen = useMemo(
    () => chosenSettings(settings, view.probes, opened.colourMap),
    [settings, view, opened],
  );
  const probe = view.probes[chosen.layer];
  const answer = useAnswer<AttentionRows>(
    () => (probe ? host.attention(view.run, chosen.query) : undefined),
    [view.run, JSON.stringify(chosen.query), probe !== undefined],
  );
  const rows = answer.value?.run === view.run ? answer.value : undefined;
  const map = useMemo(
    () => rows && layerMap(rows, view.probes, chosen.layer, chosen.method, chosen.head),
    [rows, view, chosen.layer, chosen.method, chosen.head],
  );
  const peaks = useMemo(
    () => (rows ? layerPeaks(rows, view.probes, chosen.method) : []),
    [rows, view, chosen.method],
  );
  const range = map ? scaleRange(chosen.scale, peaks, chosen.layer, map) : { low: 0, high: 0 };

  useEffect(() => {
    if (opened.focus === 'attention' || view.top.length === 0) showHalf('attention');
  }, []);
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
  const name = `${baseName(opened.image).replace(/\.[^.]+$/, '')}-attention`;
  return (
    <>
      <div class="picture-and-answer">
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
          label={`${baseName(view.image)}, attention of ${queryName(chosen.query)}, ${describe(view, chosen)}. Arrow keys move the query, brackets change the layer, h the head.`}
        />
        <Answer view={view} topK={opened.topK} options={options} onRun={onRun} />
      </div>
      <Maps
        view={view}
        answer={{ ...answer, value: rows }}
        chosen={chosen}
        map={map}
        peaks={peaks}
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
    </>
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
