import type { VNode } from 'preact';
import { Icon } from './icon';
import { Popover } from './popover';
import { Button, IconButton } from './toolkit';

/** Something that can be written or copied. */
export interface SaveChoice {
  readonly icon: 'save' | 'copy';
  readonly title: string;
  /** What is in it. */
  readonly what: string;
  readonly act: () => void;
}

export interface SaveMenuProps {
  readonly label: string;
  /** On the button, unless it is small. */
  readonly text?: string;
  /** What is told of the button while something can be saved. */
  readonly about?: string | undefined;
  readonly choices: readonly SaveChoice[];
  /** Why nothing can be saved yet; empty if something can. */
  readonly lacking: string;
  /** A small one shows an icon alone. */
  readonly small?: boolean;
}

/** A button and the list of what can be saved. */
export const SaveMenu = ({ label, text = 'Save', about, choices, lacking, small }: SaveMenuProps): VNode => (
  <Popover
    label={label}
    anchor={(open, toggle) =>
      small ? (
        <IconButton icon="save" label={label} disabled={lacking !== ''} expanded={open} onClick={toggle} />
      ) : (
        <Button
          disabled={lacking !== ''}
          title={lacking === '' ? about : lacking}
          expanded={open}
          onClick={toggle}
        >
          {text} <Icon name="chevron-down" slot="end" />
        </Button>
      )
    }
  >
    {(close) => (
      <div class="option-list">
        {choices.map(({ icon, title, what, act }) => (
          <button
            key={title}
            type="button"
            class="option"
            onClick={() => {
              close();
              act();
            }}
          >
            <Icon name={icon} />
            <span>{title}</span>
            <span class="quiet">{what}</span>
          </button>
        ))}
      </div>
    )}
  </Popover>
);
