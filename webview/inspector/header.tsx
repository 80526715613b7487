import type { VNode } from 'preact';
import type { InspectorAction, InspectorModel } from '../../src/protocol/inspector';
import { useSaved } from '../host';
import { Restricted, Stale, Warnings } from '../kit/page';
import { Banner } from '../kit/status';
import { Icon } from '../kit/icon';
import { Button, Dropdown, IconButton } from '../kit/toolkit';
import { Evidence, Headline, type Assume } from './evidence';
import { Structure, type ReadAs } from './structure';

export interface HeaderProps {
  readonly model: InspectorModel;
  readonly stale: boolean;
  readonly busy: boolean;
  readonly assume: Assume;
  readonly onStateDict: (name: string) => void;
  readonly onReload: () => void;
  readonly perform: (action: InspectorAction) => void;
  readonly readAs: ReadAs;
}

export function Header(props: HeaderProps): VNode {
  const { model, assume } = props;
  const [open, setOpen] = useSaved('evidence', false);
  return (
    <header class="header" aria-busy={props.busy}>
      <TitleLine {...props} />
      <Facts model={model} />
      {props.stale && <Stale onReload={props.onReload} />}
      <Notices {...props} />
      {model.unknown && <Unknown unknown={model.unknown} />}
      {model.structure && <Structure structure={model.structure} readAs={props.readAs} />}
      <Headline rows={model.headline} assume={assume} />
      {model.evidence.length > 0 && (
        <div>
          <EvidenceSummary model={model} open={open} onToggle={() => setOpen(!open)} />
          {open && (
            <div id="evidence">
              <Evidence rows={model.evidence} assume={assume} />
            </div>
          )}
        </div>
      )}
    </header>
  );
}

function TitleLine({ model, perform, onStateDict }: HeaderProps): VNode {
  return (
    <div class="title-line">
      <div class="title">
        <h1>
          {model.familyTitle}
          {model.title && <> · {model.title}</>}
        </h1>
        {model.stateDicts.length > 1 && (
          <Dropdown
            label="State dict shown"
            value={model.stateDict}
            choices={model.stateDicts.map(({ name, tensors }) => ({
              value: name,
              label: `${name || '(top level)'} · ${tensors} tensors`,
            }))}
            onChange={onStateDict}
          />
        )}
      </div>
      <div class="buttons">
        <Button
          primary
          disabled={!model.runnable || model.notRunnable !== ''}
          title={model.notRunnable || undefined}
          onClick={() => perform('classify')}
        >
          Classify an Image…
        </Button>
        <Button disabled={!model.known} onClick={() => perform('complexity')}>
          Complexity Report
        </Button>
        <Button disabled={!model.known} onClick={() => perform('exportOnnx')}>
          Export ONNX
        </Button>
        <IconButton icon="folder-opened" label="Reveal File" onClick={() => perform('revealFile')} />
      </div>
    </div>
  );
}

const Facts = ({ model }: { model: InspectorModel }): VNode => (
  <p class="quiet facts">
    <span class="file-name" title={model.path}>
      {model.fileName}
    </span>
    {model.facts.map((fact) => (
      <span key={fact}>{fact}</span>
    ))}
  </p>
);

function Notices({ model, perform }: HeaderProps): VNode {
  return (
    <>
      {model.notRunnable && (
        <Restricted
          reason={model.notRunnable}
          trustNeeded={model.trustNeeded ?? false}
          onManageTrust={() => perform('manageTrust')}
        />
      )}
      <Warnings texts={model.warnings} />
      {model.candidates.length > 1 && (
        <Banner icon="question">Names and shapes fit several models: {model.candidates.join(', ')}.</Banner>
      )}
    </>
  );
}

const withoutStop = (text: string): string => text.replace(/\.$/, '');

/** One line on what a file of another kind is, what it resembles and what is missing for that. */
const Unknown = ({ unknown }: { unknown: NonNullable<InspectorModel['unknown']> }): VNode => (
  <Banner icon="question">
    Not taken for a vision transformer: {withoutStop(unknown.reason)}.
    {unknown.nearest && <> The nearest family is {unknown.nearest}.</>}
    {unknown.missing.length > 0 && (
      <>
        {' '}
        Missing for it: <span class="mono">{unknown.missing.slice(0, 6).join(', ')}</span>
        {unknown.missing.length > 6 && <> and {unknown.missing.length - 6} more</>}.
      </>
    )}
  </Banner>
);

interface SummaryProps {
  readonly model: InspectorModel;
  readonly open: boolean;
  readonly onToggle: () => void;
}

function EvidenceSummary({ model, open, onToggle }: SummaryProps): VNode {
  const assumed = model.evidence.filter((row) => row.assumed).length;
  const verb = assumed === 1 ? 'hyper-parameter is' : 'hyper-parameters are';
  return (
    <p>
      {assumed > 0 && (
        <>
          <span class="assumed-mark codicon codicon-warning" aria-hidden="true" /> {assumed} {verb} assumed,
          not stored in the file.{' '}
        </>
      )}
      <button type="button" class="link" aria-expanded={open} aria-controls="evidence" onClick={onToggle}>
        {open ? 'Hide' : 'Show'} how each was found <Icon name={open ? 'chevron-down' : 'chevron-right'} />
      </button>
    </p>
  );
}
