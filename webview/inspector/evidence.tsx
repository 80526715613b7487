import type { VNode } from 'preact';
import type { Addable, EvidenceView } from '../../src/protocol/inspector';
import { AssumedMark } from '../kit/assumed';
import { Popover } from '../kit/popover';
import { Button } from '../kit/toolkit';
import { ValueEditor } from '../kit/valueEditor';

export type Assume = (key: string, value: string | null) => void;

/** Asks for what is read with the checkpoint, or takes it off. */
export type Add = (what: Addable, taken: boolean) => void;

/** The headline: what people look for first, with a mark on what is not in the file. */
export const Headline = ({
  rows,
  assume,
  add,
}: {
  rows: readonly EvidenceView[];
  assume: Assume;
  add: Add;
}): VNode => (
  <dl class="figures">
    {rows.map((row) => (
      <div key={row.key} class="figure">
        <dt>{row.label}</dt>
        <dd>
          {row.adds ? (
            <AddedValue row={row} what={row.adds} add={add} />
          ) : (
            <EvidenceValue row={row} assume={assume} />
          )}
        </dd>
      </div>
    ))}
  </dl>
);

/** Every hyper-parameter with how it was found. */
export const Evidence = ({ rows, assume }: { rows: readonly EvidenceView[]; assume: Assume }): VNode => (
  <table class="plain evidence">
    <thead>
      <tr>
        <th scope="col">Hyper-parameter</th>
        <th scope="col">Value</th>
        <th scope="col">How it was found</th>
      </tr>
    </thead>
    <tbody>
      {rows.map((row) => (
        <tr key={row.key}>
          <th scope="row">{row.label}</th>
          <td>
            <EvidenceValue row={row} assume={assume} />
          </td>
          <td class="quiet">{row.source}</td>
        </tr>
      ))}
    </tbody>
  </table>
);

const chooseTexts: Readonly<Record<Addable, string>> = {
  adapter: 'Another Adapter…',
  classes: 'Class Names…',
};

/** What opens the popover that changes a value: the value itself. */
const changeAnchor =
  (row: EvidenceView, title: string) =>
  (open: boolean, toggle: () => void): VNode => (
    <button
      type="button"
      class="editable"
      title={`${title}\nClick to change`}
      aria-expanded={open}
      aria-label={`${row.label} ${row.text}${row.assumed ? ', assumed' : ''}. Change`}
      onClick={toggle}
    >
      {row.text} {row.assumed && <AssumedMark />}
    </button>
  );

/** A value that follows from a file or folder: its popover asks for another, or takes it off. */
function AddedValue({ row, what, add }: { row: EvidenceView; what: Addable; add: Add }): VNode {
  return (
    <Popover label={`Change ${row.label}`} anchor={changeAnchor(row, `${row.exact} (${row.source})`)}>
      {(close) => {
        const done = (taken: boolean): void => {
          close();
          add(what, taken);
        };
        return (
          <>
            <strong>{row.label}</strong>
            <p class="quiet">{row.source}</p>
            <div class="buttons">
              <Button primary onClick={() => done(true)}>
                {chooseTexts[what]}
              </Button>
              {row.set && <Button onClick={() => done(false)}>Reset</Button>}
            </div>
            <p class="quiet">Remembered for this file in this workspace.</p>
          </>
        );
      }}
    </Popover>
  );
}

/** A value with its source; a popover changes it, or says where it comes from and what to do. */
export function EvidenceValue({ row, assume }: { row: EvidenceView; assume: Assume }): VNode {
  const title = row.exact === row.text ? row.source : `${row.exact} (${row.source})`;
  const mark = row.assumed && <AssumedMark />;
  if (!row.editable)
    return row.assumed && row.advice ? (
      <Advised row={row} title={title} />
    ) : (
      <span title={title}>
        {row.text} {mark}
      </span>
    );
  return (
    <Popover label={`Change ${row.label}`} anchor={changeAnchor(row, title)}>
      {(close) => (
        <ValueEditor
          title={row.label}
          source={row.source}
          choices={row.choices}
          value={row.exact}
          set={row.set}
          note="Everything is counted anew. Remembered for this file in this workspace."
          onDone={(value) => {
            close();
            assume(row.key, value);
          }}
        />
      )}
    </Popover>
  );
}

/** What no setting changes: where it comes from, and what to do to have it otherwise. */
const Advised = ({ row, title }: { row: EvidenceView; title: string }): VNode => (
  <Popover
    label={row.label}
    anchor={(open, toggle) => (
      <button
        type="button"
        class="editable"
        title={title}
        aria-expanded={open}
        aria-label={`${row.label} ${row.text}, assumed. How to change it`}
        onClick={toggle}
      >
        {row.text} <AssumedMark />
      </button>
    )}
  >
    {() => (
      <>
        <strong>{row.label}</strong>
        <p class="quiet">{row.source}</p>
        <p>{row.advice}</p>
      </>
    )}
  </Popover>
);
