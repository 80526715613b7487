import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { quantity } from '../../src/domain/units';
import type { Given } from '../../src/tasks/run';
import { Button } from '../kit/toolkit';
import { givenOf, linesOf, promptsOf, templateError } from './promptText';
import './prompts.css';

export interface PromptsProps {
  /** What the lines say; that they are put into a template and scored without it. */
  readonly finds?: boolean;
  /** What was given to the run that is shown. */
  readonly given: Given | undefined;
  readonly onGive: (given: Given) => void;
}

/** Words for a model that takes any: one a line, put into a template, or found as it stands. */
export function Prompts({ given, onGive, finds = false }: PromptsProps): VNode {
  const [drafted, setDraft] = useState<ReturnType<typeof promptsOf>>();
  const typed = drafted ?? promptsOf(given);
  const { text } = typed;
  const template = finds ? '' : typed.template;
  const question = finds ? 'What to find, one a line' : 'What the image may show, one a line';
  const [does, of] = finds ? ['Find', 'Thing'] : ['Score', 'Text'];
  const lines = linesOf(text);
  const error = templateError(template);
  const canRun = lines.length > 0 && error === undefined;
  const run = (): void => {
    if (canRun) onGive(givenOf(text, template));
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    run();
  };
  return (
    <div class="prompts" onKeyDown={onKeyDown}>
      <label>
        <span class="quiet">{question}</span>
        <textarea
          class="prompt-field"
          aria-label={question}
          rows={Math.min(8, Math.max(3, lines.length + 1))}
          spellcheck={false}
          placeholder={'cat\ndog'}
          value={text}
          onInput={(event) => setDraft({ text: event.currentTarget.value, template })}
        />
      </label>
      {!finds && (
        <label>
          <span class="quiet">Template: each line in place of {'{}'}</span>
          <input
            class="prompt-field"
            aria-label="Template"
            type="text"
            spellcheck={false}
            placeholder="{}"
            value={template}
            aria-invalid={error !== undefined}
            onInput={(event) => setDraft({ text, template: event.currentTarget.value })}
          />
        </label>
      )}
      <div class="buttons">
        <Button primary disabled={!canRun} onClick={run}>
          {lines.length > 0 ? `${does} ${quantity(lines.length, of)}` : `${does} ${of}s`}
        </Button>
        {error === undefined ? (
          <span class="quiet">Ctrl+Enter</span>
        ) : (
          <span class="wrong" role="alert">
            {error}
          </span>
        )}
      </div>
    </div>
  );
}
