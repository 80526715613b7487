import { render, type VNode } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { InspectorApi, InspectorEvents, InspectorModel } from '../../src/protocol/inspector';
import { Complexity } from '../complexity/report';
import { connect, kindOf, messageOf, useSaved } from '../host';
import { announce, Banner, Failure, Failures, GivenUp, Guard, LiveRegion, Reading } from '../kit/status';
import { Tabs } from '../kit/tabs';
import { IconButton, TextField } from '../kit/toolkit';
import '../theme.css';
import { Architecture } from './architecture';
import { Header } from './header';
import './inspector.css';
import { Metadata } from './metadata';
import { Tensors } from './tensors';

type Tab = 'architecture' | 'tensors' | 'complexity' | 'metadata';

const TITLES: Readonly<Record<Tab, string>> = {
  architecture: 'Architecture',
  tensors: 'Tensors',
  complexity: 'Complexity',
  metadata: 'Metadata',
};

/** What the host tells this page, as the page that is mounted hears it. */
const listeners: { current: InspectorEvents } = {
  current: { stale: () => undefined, changed: () => undefined, show: () => undefined },
};
const host = connect<InspectorApi>({
  stale: () => listeners.current.stale(),
  changed: (model: InspectorModel) => listeners.current.changed(model),
  show: (tab: string) => listeners.current.show(tab),
});

interface PageState {
  readonly model?: InspectorModel | undefined;
  /** Beside a model: what was asked of it could not be done, and it is shown as it was. */
  readonly error?: { readonly message: string; readonly kind: string };
  readonly busy: boolean;
}

function Inspector(): VNode {
  const [state, setState] = useState<PageState>({ busy: true });
  const [stale, setStale] = useState(false);
  const [tab, setTab] = useSaved<Tab>('tab', 'architecture');

  const load = (ask: () => Promise<InspectorModel>, done?: string): void => {
    setState((before) => ({ ...before, busy: true }));
    ask().then(
      (model) => {
        setState({ model, busy: false });
        setStale(false);
        if (done) announce(done);
      },
      (error: unknown) =>
        setState(({ model }) => ({
          model,
          error: { message: messageOf(error), kind: kindOf(error) },
          busy: false,
        })),
    );
  };
  useEffect(() => {
    listeners.current = {
      stale: () => setStale(true),
      changed: (model) => {
        setState({ model, busy: false });
        setStale(false);
      },
      show: (name) => {
        if (name in TITLES) setTab(name as Tab);
      },
    };
    load(() => host.open());
  }, []);

  const { model, error } = state;
  const retry = (): void => load(() => host.reload());
  if (!model && error?.kind === 'cancelled' && !state.busy) return <GivenUp onRetry={retry} />;
  if (!model && error && !state.busy)
    return (
      <Failure
        title="This file could not be opened"
        {...error}
        onRetry={retry}
        onShowLog={() => void host.perform('showLog')}
        onManageTrust={() => void host.perform('manageTrust')}
      />
    );
  if (!model) return <Reading rows={12} onCancel={() => void host.cancel()} />;
  return (
    <>
      {error && error.kind !== 'cancelled' && (
        <Banner
          icon="error"
          kind="error"
          actions={
            <IconButton icon="close" label="Dismiss" onClick={() => setState({ model, busy: state.busy })} />
          }
        >
          {error.message}
        </Banner>
      )}
      <Loaded model={model} busy={state.busy} stale={stale} tab={tab} onTab={setTab} load={load} />
    </>
  );
}

interface LoadedProps {
  readonly model: InspectorModel;
  readonly busy: boolean;
  readonly stale: boolean;
  readonly tab: Tab;
  readonly onTab: (tab: Tab) => void;
  readonly load: (ask: () => Promise<InspectorModel>, done?: string) => void;
}

function Loaded({ model, busy, stale, tab, onTab, load }: LoadedProps): VNode {
  const [query, setQuery] = useSaved('query', '');
  const [tensor, setTensor] = useSaved<string | undefined>('tensor', undefined);
  const tabs = useMemo(() => tabsOf(model), [model]);
  const chosen = tabs.some(({ name }) => name === tab) ? tab : 'architecture';
  const copy = (text: string): void => {
    void host.copy(text).then(() => announce('Copied'));
  };
  const reveal = (name: string): void => {
    setQuery('');
    setTensor(name);
    onTab('tensors');
  };
  return (
    <>
      <Header
        model={model}
        busy={busy}
        stale={stale}
        assume={(key, value) => load(() => host.assume(key, value), 'Counted anew')}
        onStateDict={(name) => load(() => host.chooseStateDict(name), `${name} is shown`)}
        onReload={() => load(() => host.reload(), 'Read again')}
        perform={(action) => void host.perform(action)}
      />
      <div class="tab-bar">
        <Tabs label="Views of the checkpoint" tabs={tabs} chosen={chosen} onChoose={onTab} />
        {chosen !== 'complexity' && (
          <TextField label="Filter" placeholder="Filter" icon="search" value={query} onInput={setQuery} />
        )}
      </div>
      <div class="panel" role="tabpanel" id={`panel-${chosen}`} aria-labelledby={`tab-${chosen}`}>
        <Guard key={chosen} what={TITLES[chosen]}>
          {chosen === 'architecture' && (
            <Architecture model={model} query={query} onCopy={copy} onReveal={reveal} />
          )}
          {chosen === 'tensors' && (
            <Tensors
              model={model}
              query={query}
              chosen={tensor}
              onChoose={setTensor}
              read={(name, first, count) => host.tensorValues(name, first, count)}
              onCopy={copy}
            />
          )}
          {chosen === 'complexity' && <Complexity host={host} model={model} />}
          {chosen === 'metadata' && <Metadata model={model} query={query} />}
        </Guard>
      </div>
    </>
  );
}

/** An unknown architecture has no operators to count. */
const tabsOf = (
  model: InspectorModel,
): readonly { readonly name: Tab; readonly title: string; readonly count?: string }[] =>
  (Object.keys(TITLES) as Tab[])
    .filter((name) => name !== 'complexity' || model.known)
    .map((name) => ({
      name,
      title: TITLES[name],
      ...(name === 'tensors' ? { count: String(model.tensors.length) } : {}),
    }));

render(
  <main>
    <Inspector />
    <LiveRegion />
    <Failures />
  </main>,
  document.getElementById('root') as HTMLElement,
);
