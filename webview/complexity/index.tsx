import { render, type VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { InspectorApi, InspectorModel } from '../../src/protocol/inspector';
import { connect } from '../host';
import { useAnswer } from '../kit/hooks';
import { Banner, Failure, Failures, GivenUp, Guard, LiveRegion, Reading } from '../kit/status';
import { Button } from '../kit/toolkit';
import '../theme.css';
import { Complexity } from './report';

const listeners = {
  stale: (): void => undefined,
  changed: (_: InspectorModel): void => undefined,
};
const host = connect<InspectorApi>({
  stale: () => listeners.stale(),
  changed: (model: InspectorModel) => listeners.changed(model),
  show: () => undefined,
});

/** The complexity report as a page of its own. */
function Report(): VNode {
  const [asked, setAsked] = useState(0);
  const [stale, setStale] = useState(false);
  const [changed, setChanged] = useState<InspectorModel>();
  const opened = useAnswer(() => (asked === 0 ? host.open() : host.reload()), [asked]);
  const model = changed ?? opened.value;
  useEffect(() => {
    listeners.stale = () => setStale(true);
    listeners.changed = (next) => {
      setChanged(next);
      setStale(false);
    };
  }, []);
  const reload = (): void => {
    setChanged(undefined);
    setStale(false);
    setAsked(asked + 1);
  };
  if (opened.error?.kind === 'cancelled') return <GivenUp onRetry={reload} />;
  if (opened.error)
    return (
      <Failure
        title="This file could not be opened"
        {...opened.error}
        onRetry={reload}
        onShowLog={() => void host.perform('showLog')}
        onManageTrust={() => void host.perform('manageTrust')}
      />
    );
  if (!model) return <Reading rows={10} onCancel={() => void host.cancel()} />;
  return (
    <>
      <header class="page-title">
        <h1>Complexity of {model.title || model.familyTitle}</h1>
        <p class="quiet" title={model.path}>
          {[model.fileName, ...model.facts].join(' · ')}
        </p>
        {stale && (
          <Banner icon="refresh" kind="warning" actions={<Button onClick={reload}>Reload</Button>}>
            The file changed on disk. What is shown is from before.
          </Banner>
        )}
        {model.warnings.map((warning) => (
          <Banner key={warning} icon="warning" kind="warning">
            {warning}
          </Banner>
        ))}
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

render(
  <main>
    <Report />
    <LiveRegion />
    <Failures />
  </main>,
  document.getElementById('root') as HTMLElement,
);
