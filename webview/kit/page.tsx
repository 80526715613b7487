import { render, type ComponentChildren, type VNode } from 'preact';
import type { Failed } from '../host';
import { useLate, type Asking } from './hooks';
import { Banner, Failure, Failures, LiveRegion, Skeleton } from './status';
import { Button, IconButton, Spinner } from './toolkit';

/** Below this, work passes without a word: what says so would only flicker. */
const PATIENCE = 400;

/** Draws a page into its shell, with the live region and the failures that every page has. */
export const mount = (page: VNode): void =>
  render(
    <main>
      {page}
      <LiveRegion />
      <Failures />
    </main>,
    document.getElementById('root') as HTMLElement,
  );

/** What is said while the first answer is on its way, and if it is given up. */
export interface WaitingWords {
  /** `Reading the checkpoint`, for the bars in place of the page. */
  readonly label: string;
  /** How many bars there are. */
  readonly rows: number;
  /**
   * A slow answer is named by this line and can be given up; without it only the bars are shown.
   */
  readonly late?: string;
  /** In place of what was given up, and the button that asks again. */
  readonly givenUp?: { readonly text: string; readonly again: string };
}

export interface PageProps<T> {
  /** What the page is about. */
  readonly question: Asking<T>;
  readonly waiting: WaitingWords;
  /** What is there before the first answer, in place of bars. */
  readonly first?: VNode;
  /** What an error prevented: `This file could not be opened`. */
  readonly failure: string;
  readonly onRetry: () => void;
  readonly perform: (action: 'showLog' | 'manageTrust') => unknown;
  /** If a setting may be what is in the way: the provider, the memory limit. */
  readonly onSettings?: () => void;
  /**
   * Says an error beside the value that stands; undefined if the value must not be shown beside it.
   */
  readonly beside?: (error: Failed) => VNode | undefined;
  readonly children: (value: T) => ComponentChildren;
}

/**
 * The states that every page has: bars while it waits, given up, an error with what to try, or its
 * content.
 */
export function Page<T>(props: PageProps<T>): VNode {
  const { question, waiting, failure, onRetry, perform, onSettings, children } = props;
  const { value, error, busy } = question;
  const { beside = () => <Refused error={error} onDismiss={question.dismiss} /> } = props;
  const said = error && value !== undefined ? beside(error) : undefined;
  if (value !== undefined && (!error || said))
    return (
      <>
        {said}
        {children(value)}
      </>
    );
  if (busy || !error) return props.first ?? <Waiting words={waiting} onCancel={question.cancel} />;
  if (error.kind === 'cancelled' && waiting.givenUp)
    return <GivenUp text={waiting.givenUp.text} again={waiting.givenUp.again} onRetry={onRetry} />;
  return (
    <Failure
      title={failure}
      {...error}
      onRetry={onRetry}
      onShowLog={() => void perform('showLog')}
      onManageTrust={() => void perform('manageTrust')}
      {...(onSettings ? { onSettings } : {})}
    />
  );
}

/**
 * What was asked could not be done, and the page is as it was; a person's own cancelling is no
 * failure.
 */
const Refused = ({ error, onDismiss }: { error: Failed | undefined; onDismiss: () => void }): VNode =>
  error && error.kind !== 'cancelled' ? (
    <Banner
      icon="error"
      kind="error"
      actions={<IconButton icon="close" label="Dismiss" onClick={onDismiss} />}
    >
      {error.message}
    </Banner>
  ) : (
    <></>
  );

/**
 * Bars in place of the page; what takes long, such as a slow disk, is named, and can be given up.
 */
function Waiting({ words, onCancel }: { words: WaitingWords; onCancel: () => void }): VNode {
  const late = useLate(words.late !== undefined, PATIENCE);
  return (
    <>
      {late && (
        <Banner icon="watch" actions={<Button onClick={onCancel}>Cancel</Button>}>
          {words.late}
        </Banner>
      )}
      <Skeleton label={words.label} rows={words.rows} />
    </>
  );
}

/** In place of what the user gave up. */
export const GivenUp = (props: { text: string; again: string; onRetry: () => void }): VNode => (
  <Banner icon="circle-slash" actions={<Button onClick={props.onRetry}>{props.again}</Button>}>
    {props.text}
  </Banner>
);

export interface WorkingProps {
  readonly busy: boolean;
  readonly text: string;
  readonly onCancel: () => void;
  /** Ends it with what there is. */
  readonly onStop?: (() => void) | undefined;
  /**
   * `running` lies over a corner of the page, `working-over` over what it is about, `working-line`
   * is a line of a part.
   */
  readonly class: 'running' | 'working-over' | 'working-line';
}

/** Work that takes its time says what it is and can be stopped; shorter work does not flicker. */
export function Working({ busy, text, onCancel, onStop, class: name }: WorkingProps): VNode | null {
  if (!useLate(busy, PATIENCE)) return null;
  return (
    <div class={name} role="status">
      <Spinner label="Running" />
      <span>{text}</span>
      {onStop && <Button onClick={onStop}>Stop</Button>}
      <Button onClick={onCancel}>Cancel</Button>
    </div>
  );
}

/** The file is another one than what is shown. */
export const Stale = ({ onReload }: { onReload: () => void }): VNode => (
  <Banner icon="refresh" kind="warning" actions={<Button onClick={onReload}>Reload</Button>}>
    The file changed on disk. What is shown is from before.
  </Banner>
);

export interface RestrictedProps {
  readonly reason: string;
  /** Trust would lift it. */
  readonly trustNeeded: boolean;
  readonly onManageTrust: () => void;
}

/** Why this window does not run models; inspecting works all the same. */
export const Restricted = ({ reason, trustNeeded, onManageTrust }: RestrictedProps): VNode => (
  <Banner
    icon={trustNeeded ? 'workspace-untrusted' : 'info'}
    actions={trustNeeded && <Button onClick={onManageTrust}>Manage Trust</Button>}
  >
    {reason}
  </Banner>
);

/** All warnings in one banner: several would push away what they are about. */
export const Warnings = ({ texts }: { texts: readonly string[] }): VNode => {
  const [first, ...others] = texts;
  if (first === undefined) return <></>;
  return (
    <Banner icon="warning" kind="warning">
      {others.length === 0 ? (
        first
      ) : (
        <ul class="warnings">
          {texts.map((text) => (
            <li key={text}>{text}</li>
          ))}
        </ul>
      )}
    </Banner>
  );
};
