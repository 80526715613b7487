import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { Button, Icon, TextField } from '../toolkit';

export interface ValueEditorProps {
  readonly title: string;
  readonly source: string;
  readonly choices: readonly string[] | undefined;
  readonly value: string;
  /** The user set it before: it can be reset. */
  readonly set: boolean;
  readonly note: string;
  /** The new value, or null to take it back. */
  readonly onDone: (value: string | null) => void;
}

/** The inside of a popover that changes one figure: values that fit, a field for any other, reset. */
export function ValueEditor({ title, source, choices, value, set, note, onDone }: ValueEditorProps): VNode {
  const [text, setText] = useState(set ? value : '');
  const wanted = text.trim();
  return (
    <>
      <strong>{title}</strong>
      <p class="quiet">{source}</p>
      {choices && (
        <div class="option-list" role="group" aria-label="Values that fit">
          {choices.map((choice) => (
            <button
              key={choice}
              type="button"
              class="option"
              aria-pressed={choice === value}
              onClick={() => onDone(choice)}
            >
              <Icon name={choice === value ? 'check' : 'blank'} />
              <span>{choice}</span>
            </button>
          ))}
        </div>
      )}
      <TextField
        label={`${title}: another value`}
        placeholder={choices ? 'Another value' : 'Value'}
        value={text}
        onInput={setText}
        onEnter={(entered) => entered.trim() !== '' && onDone(entered.trim())}
      />
      <div class="buttons">
        <Button primary disabled={wanted === ''} onClick={() => onDone(wanted)}>
          Apply
        </Button>
        {set && <Button onClick={() => onDone(null)}>Reset</Button>}
      </div>
      <p class="quiet">{note}</p>
    </>
  );
}
