import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { InspectorApi, InspectorEvents, InspectorModel } from '../../src/protocol/inspector';
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
    question.ask((call) => host.call('reload', [], call));
  };
  useEffect(() => {
    host.listen({
      stale: () => setStale(true),
      changed: (next) => {
        question.take(() => next);
        setStale(false);
      },
    });
    question.ask((call) => host.call('open', [], call));
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
      {model.known ? (
        <Guard what="The report">
          <Complexity host={host} model={model} />
        </Guard>
      ) : (
        <p class="empty">
          {model.unknown?.reason ?? 'The architecture of this file is not known.'} Without it there are no
          operators to count; the inspector shows its tensors.
        </p>
      )}
    </>
  );
}

mount(<Report />);
