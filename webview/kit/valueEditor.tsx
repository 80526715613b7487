import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { Icon } from './icon';
import { Button, TextField } from './toolkit';

export interface ValueEditorProps {
  readonly title: string;
  readonly source: string;
  readonly choices: readonly string[] | undefined;
  readonly value: string;
  /** The user set it before: it can be reset. */
  readonly set: boolean;
  readonly note: string;
  /** What is wrong with a typed value; empty if nothing is. */
  readonly check?: (text: string) => string;
  /** The new value, or null to take it back. */
  readonly onDone: (value: string | null) => void;
}

/**
 * The inside of a popover that changes one hyper-parameter: values that fit, a field for any other,
 * reset.
 */
export function ValueEditor(props: ValueEditorProps): VNode {
  const { title, source, choices, value, set, note, check, onDone } = props;
  const [text, setText] = useState(set ? value : '');
  const [wrong, setWrong] = useState('');
  const wanted = text.trim();
  const apply = (entered: string): void => {
    if (entered === '') return;
    const reason = check?.(entered) ?? '';
    setWrong(reason);
    if (reason === '') onDone(entered);
  };
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
        onEnter={(entered) => apply(entered.trim())}
      />
      {wrong && (
        <p class="wrong" role="alert">
          <Icon name="error" /> {wrong}
        </p>
      )}
      <div class="buttons">
        <Button primary disabled={wanted === ''} onClick={() => apply(wanted)}>
          Apply
        </Button>
        {set && <Button onClick={() => onDone(null)}>Reset</Button>}
      </div>
      <p class="quiet">{note}</p>
    </>
  );
}
