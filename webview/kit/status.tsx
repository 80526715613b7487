import { Component, type ComponentChildren, type VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { kindOf, messageOf } from '../host';
import { Icon } from './icon';
import { Button, IconButton } from './toolkit';

let speak: (text: string) => void = () => undefined;

/** Says a result to a screen reader. */
export const announce = (text: string): void => speak(text);

/** The page's one live region; must be in the document before it speaks. */
export function LiveRegion(): VNode {
  const [text, setText] = useState('');
  useEffect(() => {
    speak = setText;
    return () => {
      speak = () => undefined;
    };
  }, []);
  return (
    <div class="visually-hidden" role="status" aria-live="polite">
      {text}
    </div>
  );
}

/**
 * What a button asked of the host and what failed there, such as writing a file: every such call
 * ends here that nobody else answers for. A person's own cancelling is no failure.
 */
export function Failures(): VNode | null {
  const [message, setMessage] = useState('');
  useEffect(() => {
    const onRejection = (event: PromiseRejectionEvent): void => {
      event.preventDefault();
      if (kindOf(event.reason) !== 'cancelled') setMessage(messageOf(event.reason));
    };
    window.addEventListener('unhandledrejection', onRejection);
    return () => window.removeEventListener('unhandledrejection', onRejection);
  }, []);
  if (message === '') return null;
  return (
    <div class="failures">
      <Banner
        icon="error"
        kind="error"
        actions={<IconButton icon="close" label="Dismiss" onClick={() => setMessage('')} />}
      >
        {message}
      </Banner>
    </div>
  );
}

/** Grey bars where the page will be, so that nothing jumps. */
export const Skeleton = ({ label, rows }: { label: string; rows: number }): VNode => (
  <div class="skeleton" role="status" aria-label={label}>
    {Array.from({ length: rows }, (_, row) => (
      <div key={row} class={`skeleton-bar skeleton-bar-${row % 3}`} />
    ))}
    <span class="visually-hidden">{label}</span>
  </div>
);

export interface BannerProps {
  readonly icon: string;
  readonly kind?: 'info' | 'warning' | 'error';
  readonly children: ComponentChildren;
  readonly actions?: ComponentChildren;
}

/** One line about the state of the whole page, with what can be done about it. */
export const Banner = ({ icon, kind, children, actions }: BannerProps): VNode => (
  <div class={`banner banner-${kind ?? 'info'}`} role={kind === 'error' ? 'alert' : 'note'}>
    <Icon name={icon} />
    <div class="banner-text">{children}</div>
    {actions && <div class="banner-actions">{actions}</div>}
  </div>
);

export interface FailureProps {
  /** What could not be done: `This file could not be opened`. */
  readonly title: string;
  readonly message: string;
  readonly kind: string;
  readonly onRetry: () => void;
  readonly onShowLog: () => void;
  readonly onManageTrust: () => void;
  /** If a setting may be what is in the way: the provider, the memory limit. */
  readonly onSettings?: () => void;
}

/** An error in place of what it prevented: one sentence and what to try. */
export const Failure = (props: FailureProps): VNode => {
  const { title, message, kind, onRetry, onShowLog, onManageTrust, onSettings } = props;
  return (
    <div class="failure" role="alert">
      <h2>
        <Icon name={kind === 'untrusted' ? 'workspace-untrusted' : 'error'} /> {title}
      </h2>
      <p class="failure-message">{message}</p>
      <div class="buttons">
        {kind === 'untrusted' ? (
          <Button primary onClick={onManageTrust}>
            Manage Trust
          </Button>
        ) : (
          <Button primary onClick={onRetry}>
            Try Again
          </Button>
        )}
        {onSettings && kind !== 'untrusted' && <Button onClick={onSettings}>Open Settings</Button>}
        <Button onClick={onShowLog}>Show Log</Button>
      </div>
    </div>
  );
};

/** Keeps one broken drawing from emptying the whole page. */
export class Guard extends Component<
  { what: string; children: ComponentChildren },
  { message: string | null }
> {
  override state = { message: null };

  static override getDerivedStateFromError(error: unknown): { message: string } {
    return { message: error instanceof Error ? error.message : String(error) };
  }

  override render(): ComponentChildren {
    if (this.state.message === null) return this.props.children;
    return (
      <Banner icon="error" kind="error">
        {this.props.what} could not be drawn: {this.state.message}
      </Banner>
    );
  }
}
