import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { Given } from '../../src/tasks/run';
import { Button } from '../kit/toolkit';
import './prompts.css';

interface QuestionProps {
  /** What was given to the run that is shown. */
  readonly given: Given | undefined;
  readonly onGive: (given: Given) => void;
}

/** A question for a model that answers some about an image. */
export function Question({ given, onGive }: QuestionProps): VNode {
  const asked = typeof given?.['question'] === 'string' ? given['question'] : '';
  const [drafted, setDraft] = useState<string>();
  const text = drafted ?? asked;
  const run = (): void => {
    if (text.trim() !== '') onGive({ question: text.trim() });
  };
  return (
    <form
      class="prompts question"
      onSubmit={(event) => {
        event.preventDefault();
        run();
      }}
    >
      <label>
        <span class="quiet">Question about the image</span>
        <input
          class="prompt-field"
          aria-label="Question about the image"
          type="text"
          placeholder="What is the animal doing?"
          value={text}
          onInput={(event) => setDraft(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== 'Enter') return;
            event.preventDefault();
            run();
          }}
        />
      </label>
      <div class="buttons">
        <Button primary disabled={text.trim() === ''} onClick={run}>
          Ask
        </Button>
        <span class="quiet">Enter</span>
      </div>
    </form>
  );
}
