import type { VNode } from 'preact';
import { useCallback, useEffect, useMemo, useState } from 'preact/hooks';
import type { InspectorApi, InspectorEvents, InspectorModel } from '../../src/protocol/inspector';
import type { CallOptions } from '../../src/protocol/channel';
import { unpack, type Packed } from '../../src/protocol/packed';
import '../complexity/complexity.css';
import type { OperatorName } from '../complexity/tables';
import { connect, useSaved } from '../host';
import { deferred } from '../kit/deferred';
import { useQuestion } from '../kit/hooks';
import { mount, Page } from '../kit/page';
import { announce, Guard } from '../kit/status';
import { Tabs } from '../kit/tabs';
import { TextField } from '../kit/toolkit';
import '../theme.css';
import { holderOf } from '../marks/treeState';
import { Architecture, type Revealed } from './architecture';
import type { Links, OperatorsIn } from './detail';
import { Header } from './header';
import './inspector.css';
import { moduleOf } from './links';
import { Metadata } from './metadata';
import { Tensors } from './tensors';

type Tab = 'architecture' | 'tensors' | 'complexity' | 'metadata';

const TITLES: Readonly<Record<Tab, string>> = {
  architecture: 'Architecture',
  tensors: 'Tensors',
  complexity: 'Complexity',
  metadata: 'Metadata',
};

const host = connect<InspectorApi, InspectorEvents>(['stale', 'changed', 'revealed']);
const { remote } = host;

/** Its charts are most of the page's code. */
const Complexity = deferred(
  'Loading the report',
  async () => (await import('../complexity/report')).Complexity,
);

function Inspector(): VNode {
  const question = useQuestion<InspectorModel>();
  const [stale, setStale] = useState(false);
  const [tab, setTab] = useSaved<Tab>('tab', 'architecture');
  const [revealed, setRevealed] = useState<Revealed>();
  const takeRevealed = (): void =>
    void remote.takeRevealed().then((path) => {
      if (path !== null) setRevealed((before) => ({ path, count: (before?.count ?? 0) + 1 }));
    });

  const load: Load = (ask, done) =>
    question.ask(
      async (call) => unpack(await ask(call)),
      () => {
        setStale(false);
        if (done) announce(done);
      },
    );
  const reload = (done?: string): void => load((call) => host.call('reload', [], call), done);
  useEffect(() => {
    host.listen({
      stale: () => setStale(true),
      changed: (model) => {
        question.take(() => unpack(model));
        setStale(false);
      },
      revealed: takeRevealed,
    });
    takeRevealed();
    load((call) => host.call('open', [], call));
  }, []);
  return (
    <Page
      question={question}
      waiting={{
        label: 'Reading the checkpoint',
        rows: 12,
        late: 'Reading the checkpoint’s header …',
        givenUp: { text: 'Cancelled: the file was not read.', again: 'Read Again' },
      }}
      failure="This file could not be opened"
      onRetry={() => reload()}
      perform={remote.perform}
    >
      {(model) => (
        <Loaded
          model={model}
          busy={question.busy}
          stale={stale}
          tab={tab}
          onTab={setTab}
          load={load}
          onReload={() => reload('Read again')}
          asked={revealed}
        />
      )}
    </Page>
  );
}

type Load = (ask: (call: CallOptions) => Promise<Packed<InspectorModel>>, done?: string) => void;

interface LoadedProps {
  readonly model: InspectorModel;
  readonly busy: boolean;
  readonly stale: boolean;
  readonly tab: Tab;
  readonly onTab: (tab: Tab) => void;
  readonly load: Load;
  readonly onReload: () => void;
  /** A module or layer that another view asked for. */
  readonly asked: Revealed | undefined;
}

function Loaded({ model, busy, stale, tab, onTab, load, onReload, asked }: LoadedProps): VNode {
  const [query, setQuery] = useSaved('query', '');
  const [tensor, setTensor] = useSaved<string | undefined>('tensor', undefined);
  const tabs = useMemo(() => tabsOf(model), [model]);
  const chosen = tabs.some(({ name }) => name === tab) ? tab : 'architecture';
  const copy = (text: string): void => {
    void remote.copy(text).then(() => announce('Copied'));
  };
  const [hits, setHits] = useState<string>();
  const [module, setModule] = useState<Revealed>();
  const [row, setRow] = useState<Revealed>();
  const [operator, setOperator] = useState<OperatorName & { readonly count: number }>();
  const operatorsIn = useCallback<OperatorsIn>(
    ({ path, part = null }, call) => host.call('operatorsIn', [path, part], call),
    [model],
  );
  const show = (view: Tab): void => {
    setQuery('');
    onTab(view);
  };
  const showModule = (path: string): void => {
    setModule((before) => ({ path, count: (before?.count ?? 0) + 1 }));
    show('architecture');
  };
  const links: Links = {
    tensor: (name) => {
      setTensor(name);
      show('tensors');
    },
    operator: ({ op, kind }) => {
      setRow(undefined);
      setOperator((before) => ({ op, kind, count: (before?.count ?? 0) + 1 }));
      show('complexity');
    },
    complexity: (path) => {
      setOperator(undefined);
      setRow((before) => ({ path, count: (before?.count ?? 0) + 1 }));
      show('complexity');
    },
    attention: (layer) => void remote.showAttention(layer),
  };
  useEffect(() => {
    if (asked) showModule(moduleOf(model.attention, asked.path));
  }, [asked]);
  return (
    <>
      <Header
        model={model}
        busy={busy}
        stale={stale}
        assume={(key, value) => load((call) => host.call('assume', [key, value], call), 'Counted anew')}
        add={(what, taken) => load((call) => host.call(taken ? 'add' : 'remove', [what], call))}
        onStateDict={(name) => load((call) => host.call('chooseStateDict', [name], call), `${name} is shown`)}
        onReload={onReload}
        readAs={(mapping) =>
          load(
            (call) => host.call('readAs', [mapping], call),
            mapping ? 'Read by structure' : 'The mapping is forgotten',
          )
        }
        perform={(action) => void remote.perform(action)}
      />
      <div class="tab-bar">
        <Tabs label="Views of the checkpoint" tabs={tabs} chosen={chosen} onChoose={onTab} />
        {chosen !== 'complexity' && (
          <>
            {hits !== undefined && <span class="hits">{hits}</span>}
            <TextField label="Filter" placeholder="Filter" icon="search" value={query} onInput={setQuery} />
          </>
        )}
      </div>
      <div class="panel" role="tabpanel" id={`panel-${chosen}`} aria-labelledby={`tab-${chosen}`}>
        <Guard key={chosen} what={TITLES[chosen]}>
          {chosen === 'architecture' && (
            <Architecture
              model={model}
              query={query}
              onCopy={copy}
              links={links}
              operatorsIn={operatorsIn}
              onHits={setHits}
              revealed={module}
            />
          )}
          {chosen === 'tensors' && (
            <Tensors
              model={model}
              query={query}
              chosen={tensor}
              onChoose={setTensor}
              read={(name, first, count, call) => host.call('tensorValues', [name, first, count], call)}
              onCopy={copy}
              onHits={setHits}
              onModule={(row) => {
                const at = holderOf(model.modules, model.tensors.indexOf(row));
                showModule(model.modules[at ?? -1]?.path ?? row.name);
              }}
            />
          )}
          {chosen === 'complexity' && (
            <Complexity host={host} model={model} revealed={row} operator={operator} onModule={showModule} />
          )}
          {chosen === 'metadata' && (
            <Metadata model={model} query={query} onHits={setHits} read={remote.besideFiles} />
          )}
        </Guard>
      </div>
    </>
  );
}

/** Without a graph there are no operators to count. */
const tabsOf = (
  model: InspectorModel,
): readonly { readonly name: Tab; readonly title: string; readonly count?: string }[] =>
  (Object.keys(TITLES) as Tab[])
    .filter((name) => name !== 'complexity' || model.notCounted === '')
    .map((name) => ({
      name,
      title: TITLES[name],
      ...(name === 'tensors' ? { count: String(model.tensors.length) } : {}),
    }));

mount(<Inspector />);
