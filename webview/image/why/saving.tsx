import type { VNode } from 'preact';
import { Icon } from '../../kit/icon';
import { Popover } from '../../kit/popover';
import { Button, IconButton } from '../../kit/toolkit';

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
  readonly choices: readonly SaveChoice[];
  /** Why nothing can be saved yet; empty if something can. */
  readonly lacking: string;
  /** A small one shows an icon alone. */
  readonly small?: boolean;
}

/** A button and the list of what can be saved. */
export const SaveMenu = ({ label, choices, lacking, small }: SaveMenuProps): VNode => (
  <Popover
    label={label}
    anchor={(open, toggle) =>
      small ? (
        <IconButton icon="save" label={label} disabled={lacking !== ''} expanded={open} onClick={toggle} />
      ) : (
        <Button
          label={label}
          disabled={lacking !== ''}
          title={lacking === '' ? undefined : lacking}
          expanded={open}
          onClick={toggle}
        >
          Save <Icon name="chevron-down" slot="end" />
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
