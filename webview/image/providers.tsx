import type { ProviderView, Run } from '../../src/tasks/run';
import type { VNode } from 'preact';
import { formatMilliseconds } from '../../src/domain/units';
import { Popover } from '../kit/popover';
import { Icon } from '../kit/icon';
import { Button } from '../kit/toolkit';

export interface ProvidersProps {
  readonly view: Run;
  readonly providers: readonly ProviderView[];
  /** What was asked for: `auto` or a provider's name. */
  readonly asked: string;
  readonly onChoose: (provider: string) => void;
  readonly onCheck: () => void;
}

const ICONS: Readonly<Record<ProviderView['state'], string>> = {
  used: 'pass-filled',
  available: 'pass',
  refused: 'circle-slash',
  unchecked: 'question',
  missing: 'dash',
};

/** What the icon says, in words. */
const STATES: Readonly<Record<ProviderView['state'], string>> = {
  used: 'ran this image',
  available: 'can be used',
  refused: 'not used by itself',
  unchecked: 'not checked yet',
  missing: 'cannot be used here',
};

/** `CPU · 14 ms ▾`: where the model ran, and why not elsewhere. */
export function Providers({ view, providers, asked, onChoose, onCheck }: ProvidersProps): VNode {
  const used = providers.find(({ name }) => name === view.provider.used)?.title ?? view.provider.used;
  const { run, load } = view.times;
  return (
    <Popover
      label="Execution providers"
      anchor={(open, toggle) => (
        <Button
          expanded={open}
          onClick={toggle}
          label={`Ran on ${used} in ${formatMilliseconds(run)}. Providers`}
        >
          {used} · {formatMilliseconds(run)} <Icon name="chevron-down" slot="end" />
        </Button>
      )}
    >
      {(close) => (
        <>
          {load > 0 && <p>Loaded in {formatMilliseconds(load)}.</p>}
          <div class="option-list">
            <Option
              icon={asked === 'auto' ? 'check' : 'blank'}
              title="Automatic"
              reason="The first answer comes from the CPU; a GPU is taken once it agrees and is faster."
              onClick={() => {
                close();
                onChoose('auto');
              }}
            />
            {providers.map((provider) => (
              <Option
                key={provider.name}
                icon={ICONS[provider.state]}
                title={provider.title}
                state={STATES[provider.state]}
                reason={[provider.reason, provider.next ?? ''].filter(Boolean).join(' ')}
                disabled={provider.state === 'missing'}
                onClick={() => {
                  close();
                  onChoose(provider.name);
                }}
              />
            ))}
          </div>
          <Button
            onClick={() => {
              close();
              onCheck();
            }}
          >
            Check Again
          </Button>
        </>
      )}
    </Popover>
  );
}

interface OptionProps {
  readonly icon: string;
  readonly title: string;
  readonly state?: string;
  readonly reason: string;
  readonly disabled?: boolean;
  readonly onClick: () => void;
}

const Option = ({ icon, title, state, reason, disabled, onClick }: OptionProps): VNode => (
  <button type="button" class="option" disabled={disabled} onClick={onClick}>
    <Icon name={icon} />
    <span>
      {title}
      {state && `: ${state}`}
    </span>
    {reason && <span class="quiet">{reason}</span>}
  </button>
);
