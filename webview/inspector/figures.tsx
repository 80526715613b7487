import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { FigureView } from '../../src/protocol/inspector';
import { Popover } from '../parts/popover';
import { Button, Icon, TextField } from '../toolkit';

export type Assume = (key: string, value: string | null) => void;

/** The headline: what people look for first, with a mark on what is not in the file. */
export const Headline = ({ figures, assume }: { figures: readonly FigureView[]; assume: Assume }): VNode => (
  <dl class="figures">
    {figures.map((figure) => (
      <div key={figure.key} class="figure">
        <dt>{figure.label}</dt>
        <dd>
          <FigureValue figure={figure} assume={assume} />
        </dd>
      </div>
    ))}
  </dl>
);

/** Every figure with how it was found. */
export const Evidence = ({ figures, assume }: { figures: readonly FigureView[]; assume: Assume }): VNode => (
  <table class="plain evidence">
    <thead>
      <tr>
        <th scope="col">Figure</th>
        <th scope="col">Value</th>
        <th scope="col">How it was found</th>
      </tr>
    </thead>
    <tbody>
      {figures.map((figure) => (
        <tr key={figure.key}>
          <th scope="row">{figure.label}</th>
          <td>
            <FigureValue figure={figure} assume={assume} />
          </td>
          <td class="quiet">{figure.source}</td>
        </tr>
      ))}
    </tbody>
  </table>
);

function FigureValue({ figure, assume }: { figure: FigureView; assume: Assume }): VNode {
  const title = figure.exact === figure.text ? figure.source : `${figure.exact} (${figure.source})`;
  const mark = figure.assumed && <AssumedMark />;
  if (!figure.editable)
    return (
      <span title={title}>
        {figure.text} {mark}
      </span>
    );
  return (
    <Popover
      label={`Change ${figure.label}`}
      anchor={(open, toggle) => (
        <button
          type="button"
          class="editable"
          title={`${title}\nClick to change`}
          aria-expanded={open}
          aria-label={`${figure.label} ${figure.text}${figure.assumed ? ', assumed' : ''}. Change`}
          onClick={toggle}
        >
          {figure.text} {mark}
        </button>
      )}
    >
      {(close) => (
        <FigureEditor
          figure={figure}
          onDone={(value) => {
            close();
            assume(figure.key, value);
          }}
        />
      )}
    </Popover>
  );
}

export const AssumedMark = (): VNode => (
  <span class="codicon codicon-warning" role="img" aria-label="assumed, not stored in the file" />
);

function FigureEditor({
  figure,
  onDone,
}: {
  figure: FigureView;
  onDone: (value: string | null) => void;
}): VNode {
  const [text, setText] = useState(figure.set ? figure.text : '');
  const chosen = (choice: string): boolean => choice === figure.text || choice === figure.exact;
  return (
    <>
      <strong>{figure.label}</strong>
      <p class="quiet">{figure.source}</p>
      {figure.choices && (
        <div class="option-list" role="group" aria-label="Values that fit">
          {figure.choices.map((choice) => (
            <button
              key={choice}
              type="button"
              class="option"
              aria-pressed={chosen(choice)}
              onClick={() => onDone(choice)}
            >
              <Icon name={chosen(choice) ? 'check' : 'blank'} />
              <span>{choice}</span>
            </button>
          ))}
        </div>
      )}
      <TextField
        label={`${figure.label}: another value`}
        placeholder={figure.choices ? 'Another value' : 'Value'}
        value={text}
        onInput={setText}
        onEnter={(value) => value.trim() !== '' && onDone(value.trim())}
      />
      <div class="buttons">
        <Button primary disabled={text.trim() === ''} onClick={() => onDone(text.trim())}>
          Apply
        </Button>
        {figure.set && <Button onClick={() => onDone(null)}>Reset</Button>}
      </div>
      <p class="quiet">Everything is counted anew. Remembered for this file in this workspace.</p>
    </>
  );
}
