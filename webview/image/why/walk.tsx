import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { imageGrid } from '../../../src/attention/tokenLayout';
import type { SumCheck, Walk, WalkQuestion, WalkStep, WalkVector } from '../../../src/domain/explanation';
import { formatNumber } from '../../../src/domain/units';
import type { ImagePanelApi } from '../../../src/protocol/image';
import type { Host } from '../../host';
import { useQuestion } from '../../kit/hooks';
import { Working } from '../../kit/page';
import { Button, Dropdown } from '../../kit/toolkit';
import { Badges, tiny, type Badge } from './badges';
import { Unanswered } from './column';
import type { Subject } from './state';
import { cellOf, type Cursor } from './whyMap';

export interface WalkThroughProps {
  readonly host: Host<ImagePanelApi>;
  readonly subject: Subject;
  /** The place that was chosen on the image; its middle if none was. */
  readonly picked: Cursor | undefined;
}

const middle: Cursor = { y: 0.5, x: 0.5 };

/** One patch through one block, step by step, with this image's numbers. */
export function WalkThrough({ host, subject, picked }: WalkThroughProps): VNode {
  const { options, view } = subject;
  const asking = useQuestion<Walk>();
  const [isOpen, setOpen] = useState(false);
  const [chosen, setChosen] = useState({ block: 0, head: 0 });
  const layout = view.probes[0]?.queries;
  const grid = layout && imageGrid(layout);
  const { row, column } = cellOf(grid ?? [1, 1], picked ?? middle);
  const heads = view.probes[chosen.block]?.heads ?? 1;
  const question: WalkQuestion = {
    block: chosen.block,
    head: Math.min(chosen.head, heads - 1),
    patch: [row, column],
  };
  const ask = (): void => {
    if (isOpen) asking.ask((call) => host.call('walk', [options, question], call));
    else asking.cancel();
  };
  useEffect(ask, [isOpen, JSON.stringify([options, view.run, question])]);
  useEffect(() => asking.cancel, []);
  const { value } = asking;
  const isOfThis = value && JSON.stringify(value.question) === JSON.stringify(question);
  return (
    <section class="walk" aria-label="Step by step">
      <h2>One patch, step by step</h2>
      <p class="quiet">
        From its pixels to the answer, through one block, as one head of it looks. Click a map to choose the
        patch.
      </p>
      <div class="controls">
        {!isOpen && <Button onClick={() => setOpen(true)}>Follow a Patch</Button>}
        {isOpen && (
          <>
            <span>
              Row {row}, column {column}
            </span>
            <Choice
              label="Block"
              count={view.probes.length}
              value={question.block}
              onChoose={(block) => setChosen({ ...chosen, block })}
            />
            <Choice
              label="Head"
              count={heads}
              value={question.head}
              onChoose={(head) => setChosen({ ...chosen, head })}
            />
          </>
        )}
      </div>
      {isOpen && (
        <Working
          class="working-line"
          busy={asking.busy}
          text={asking.progress || 'Following the patch'}
          onCancel={asking.cancel}
        />
      )}
      {isOpen && asking.error && <Unanswered error={asking.error} shown={undefined} onAgain={ask} />}
      {isOpen && value && isOfThis && (
        <ol class="walk-steps">
          {value.steps.map((step, index) => (
            <Step key={index} step={step} />
          ))}
        </ol>
      )}
    </section>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly count: number;
  readonly value: number;
  readonly onChoose: (value: number) => void;
}

const Choice = ({ label, count, value, onChoose }: ChoiceProps): VNode => (
  <label class="control">
    <span>{label}</span>
    <Dropdown
      label={label}
      value={String(value)}
      choices={Array.from({ length: count }, (_, index) => ({ value: String(index), label: String(index) }))}
      onChange={(next) => onChoose(Number(next))}
    />
  </label>
);

const Step = ({ step: { title, formula, vectors, sum, note } }: { readonly step: WalkStep }): VNode => (
  <li>
    <strong>{title}</strong> <span class="mono">{formula}</span>
    {vectors.map((vector) => (
      <Vector key={vector.name} vector={vector} />
    ))}
    {sum && <Badges badges={[again(sum)]} />}
    {note !== undefined && <p class="quiet">{note}</p>}
  </li>
);

const again = ({ what, found, wanted, wantedIs, error, allowed }: SumCheck): Badge => ({
  holds: error <= allowed,
  short: `${what}: off by at most ${tiny(error)}`,
  whole: [
    `Computed again from the numbers that the formula reads, beside ${wantedIs}: ${found} and ${wanted}. Allowed are ${tiny(allowed)}.`,
  ],
});

/** Numbers that are read at a glance. */
const shown = 6;

/** The first numbers of a vector and its length; all of them when it is opened. */
function Vector({ vector: { name, values } }: { readonly vector: WalkVector }): VNode {
  const numbers = (count: number): string =>
    Array.from(values.subarray(0, count), (value) => formatNumber(value)).join(', ');
  const length = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  return (
    <details class="walk-vector">
      <summary>
        <span class="mono">
          {name} = ({numbers(shown)}
          {values.length > shown && ', …'})
        </span>{' '}
        <span class="quiet">
          {values.length} numbers, ‖{name}‖ = {formatNumber(length)}, {formatNumber(least(values))} …{' '}
          {formatNumber(most(values))}
        </span>
      </summary>
      <p class="mono">{numbers(values.length)}</p>
    </details>
  );
}

const least = (values: Float32Array): number => values.reduce((low, value) => Math.min(low, value), Infinity);
const most = (values: Float32Array): number =>
  values.reduce((high, value) => Math.max(high, value), -Infinity);
