import type { VNode } from 'preact';
import type { FigureView } from '../../src/protocol/inspector';
import { AssumedMark } from '../kit/assumed';
import { Popover } from '../kit/popover';
import { ValueEditor } from '../kit/valueEditor';

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
        <ValueEditor
          title={figure.label}
          source={figure.source}
          choices={figure.choices}
          value={figure.exact}
          set={figure.set}
          note="Everything is counted anew. Remembered for this file in this workspace."
          onDone={(value) => {
            close();
            assume(figure.key, value);
          }}
        />
      )}
    </Popover>
  );
}
