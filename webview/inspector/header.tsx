import type { VNode } from 'preact';
import type { InspectorAction, InspectorModel } from '../../src/protocol/inspector';
import { quantity } from '../../src/domain/units';
import { useSaved } from '../host';
import { Restricted, Stale, Warnings } from '../kit/page';
import { Banner } from '../kit/status';
import { Icon } from '../kit/icon';
import { Button, Dropdown, IconButton } from '../kit/toolkit';
import { Evidence, EvidenceValue, Headline, type Add, type Assume } from './evidence';
import { Structure, type ReadAs } from './structure';

export interface HeaderProps {
  readonly model: InspectorModel;
  readonly stale: boolean;
  readonly busy: boolean;
  readonly assume: Assume;
  readonly add: Add;
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
      <Notices {...props} onEvidence={() => setOpen(true)} />
      {model.unknown && <Unknown unknown={model.unknown} counted={model.notCounted === ''} />}
      {model.structure && <Structure structure={model.structure} readAs={props.readAs} />}
      <Headline rows={model.headline} assume={assume} add={props.add} />
      {model.evidence.length > 0 && (
        <div>
          <EvidenceSummary model={model} open={open} assume={assume} onToggle={() => setOpen(!open)} />
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
              label: `${name || '(top level)'} · ${quantity(tensors, 'tensor')}`,
            }))}
            onChange={onStateDict}
          />
        )}
      </div>
      <div class="buttons">
        <Button
          primary
          disabled={!model.runnable || model.notRunnable !== ''}
          title={model.notRunnable || (model.runnable ? undefined : cannotRun(model))}
          onClick={() => perform(model.readsTexts ? 'write' : 'classify')}
        >
          {model.readsTexts ? 'Translate a Text…' : (model.runTitle ?? 'Classify an Image…')}
        </Button>
        <Button
          disabled={model.notCounted !== ''}
          title={model.notCounted || undefined}
          onClick={() => perform('complexity')}
        >
          Complexity Report
        </Button>
        <Button
          disabled={model.notCounted !== ''}
          title={model.notCounted || undefined}
          onClick={() => perform('exportOnnx')}
        >
          Export ONNX
        </Button>
        <IconButton icon="folder-opened" label="Reveal File" onClick={() => perform('revealFile')} />
      </div>
    </div>
  );
}

const cannotRun = ({ notCounted }: InspectorModel): string =>
  notCounted === '' ? 'Nothing in this model answers for an image.' : `It cannot be run. ${notCounted}`;

const Facts = ({ model }: { model: InspectorModel }): VNode => (
  <p class="quiet facts">
    <span class="file-name" title={model.path}>
      {model.folder ? `${model.folder}/${model.fileName}` : model.fileName}
    </span>
    {model.facts.map((fact) => (
      <span key={fact}>{fact}</span>
    ))}
  </p>
);

interface NoticesProps extends HeaderProps {
  /** Shows what is assumed, where it can be changed. */
  readonly onEvidence: () => void;
}

function Notices({ model, perform, onEvidence }: NoticesProps): VNode {
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
        <Banner icon="question" actions={<Button onClick={onEvidence}>Set What Is Assumed</Button>}>
          Names and shapes fit several models: {model.candidates.join(', ')}. What tells them apart is not in
          the file.
        </Banner>
      )}
    </>
  );
}

const withoutStop = (text: string): string => text.replace(/\.$/, '');

type UnknownFile = NonNullable<InspectorModel['unknown']>;

/**
 * What a graph of no known family is: the file has all of it, so that nothing is missing. What it
 * lacks for a family says something of one that is nearly it, and of others nothing.
 */
const UnknownGraph = ({ nearest, missing }: UnknownFile): VNode => (
  <Banner icon="question">
    This graph is of no family that is known by name. It is drawn, counted and exported as the file has it.
    {nearest && missing.length === 1 && (
      <>
        {' '}
        A {nearest} would have {missing[0]}.
      </>
    )}
  </Banner>
);

interface UnknownProps {
  readonly unknown: UnknownFile;
  readonly counted: boolean;
}

/** One line on what a file of another kind is, what it resembles and what is missing for that. */
const Unknown = ({ unknown, counted }: UnknownProps): VNode =>
  counted ? <UnknownGraph {...unknown} /> : <UnknownWeights {...unknown} />;

const UnknownWeights = (unknown: UnknownFile): VNode => (
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
  readonly assume: Assume;
  readonly onToggle: () => void;
}

/** What is assumed, each to be changed in place, and the way to all that was found. */
function EvidenceSummary({ model, open, assume, onToggle }: SummaryProps): VNode {
  const assumed = model.evidence.filter((row) => row.assumed);
  const verb = assumed.length === 1 ? 'figure is' : 'figures are';
  return (
    <p class="assumed-list">
      {assumed.length > 0 && (
        <>
          <span>
            <span class="assumed-mark codicon codicon-warning" aria-hidden="true" /> {assumed.length} {verb}{' '}
            assumed, not stored in the file:
          </span>
          {assumed.map((row) => (
            <span key={row.key}>
              <span class="quiet">{row.label}</span> <EvidenceValue row={row} assume={assume} />
            </span>
          ))}
        </>
      )}
      <button type="button" class="link" aria-expanded={open} aria-controls="evidence" onClick={onToggle}>
        {open ? 'Hide' : 'Show'} how each was found <Icon name={open ? 'chevron-down' : 'chevron-right'} />
      </button>
    </p>
  );
}
