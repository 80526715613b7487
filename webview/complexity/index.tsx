import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { InspectorApi, InspectorEvents, InspectorModel } from '../../src/protocol/inspector';
import { unpack } from '../../src/protocol/packed';
import { connect } from '../host';
import { useQuestion } from '../kit/hooks';
import { mount, Page, Stale, Warnings } from '../kit/page';
import { Guard } from '../kit/status';
import '../theme.css';
import { Complexity } from './report';

const host = connect<InspectorApi, InspectorEvents>(['stale', 'changed']);

/** The complexity report as a page of its own. */
function Report(): VNode {
  const question = useQuestion<InspectorModel>();
  const [stale, setStale] = useState(false);
  const reload = (): void => {
    setStale(false);
    question.ask(async (call) => unpack(await host.call('reload', [], call)));
  };
  useEffect(() => {
    host.listen({
      stale: () => setStale(true),
      changed: (next) => {
        question.take(() => unpack(next));
        setStale(false);
      },
      // The inspector shows modules; this page has none of its own to show.
      revealed: () => undefined,
    });
    question.ask(async (call) => unpack(await host.call('open', [], call)));
  }, []);
  return (
    <Page
      question={question}
      waiting={{
        label: 'Reading the checkpoint',
        rows: 10,
        late: 'Reading the checkpoint’s header …',
        givenUp: { text: 'Cancelled: the file was not read.', again: 'Read Again' },
      }}
      failure="This file could not be opened"
      onRetry={reload}
      perform={host.remote.perform}
    >
      {(model) => <Content model={model} stale={stale} onReload={reload} />}
    </Page>
  );
}

interface ContentProps {
  readonly model: InspectorModel;
  readonly stale: boolean;
  readonly onReload: () => void;
}

function Content({ model, stale, onReload }: ContentProps): VNode {
  return (
    <>
      <header class="page-title">
        <h1>Complexity of {model.title || model.familyTitle}</h1>
        <p class="quiet" title={model.path}>
          {[model.fileName, ...model.facts].join(' · ')}
        </p>
        {stale && <Stale onReload={onReload} />}
        <Warnings texts={model.warnings} />
      </header>
      {model.notCounted === '' ? (
        <Guard what="The report">
          <Complexity host={host} model={model} onModule={(path) => void host.remote.revealModule(path)} />
        </Guard>
      ) : (
        <p class="empty">
          {model.unknown && <>{sentence(model.unknown.reason)} </>}
          {model.notCounted} The inspector shows its tensors.
        </p>
      )}
    </>
  );
}

/** What was found, as a sentence. */
const sentence = (text: string): string =>
  `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, '')}.`;

mount(<Report />);
