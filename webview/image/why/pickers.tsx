import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { Explainable, OfferedMethod } from '../../../src/domain/explanation';
import { formatNumber, formatPercent } from '../../../src/domain/units';
import type { Guess } from '../../../src/tasks/answer';
import { Icon } from '../../kit/icon';
import { Popover } from '../../kit/popover';
import { Button, IconButton, TextField } from '../../kit/toolkit';
import { costText, foundClasses, listedClasses, memoryText, shortLabel } from './state';

export interface MethodPickerProps {
  readonly methods: readonly OfferedMethod[];
  readonly chosen: string;
  /** Milliseconds of a forward pass. */
  readonly perForward: number;
  readonly onChoose: (method: string) => void;
}

/** All methods with what they cost; those that say nothing of this model say why. */
export function MethodPicker({ methods, chosen, perForward, onChoose }: MethodPickerProps): VNode {
  const title = methods.find(({ name }) => name === chosen)?.title ?? chosen;
  return (
    <Popover
      label="Methods"
      anchor={(open, toggle) => (
        <Button label={`Method ${title}. Change`} expanded={open} onClick={toggle}>
          {title} <Icon name="chevron-down" slot="end" />
        </Button>
      )}
    >
      {(close) => (
        <div class="option-list">
          {methods.map(({ name, title: own, forwards, bytes, whyNot }) => (
            <button
              key={name}
              type="button"
              class={`option${whyNot === undefined ? '' : ' lacking-method'}`}
              aria-disabled={whyNot !== undefined}
              aria-current={name === chosen}
              onClick={() => {
                if (whyNot !== undefined) return;
                close();
                onChoose(name);
              }}
            >
              <Icon name={whyNot === undefined ? (name === chosen ? 'check' : 'blank') : 'circle-slash'} />
              <span>{own}</span>
              <span class="quiet">{whyNot ?? costText(forwards, perForward, bytes)}</span>
            </button>
          ))}
        </div>
      )}
    </Popover>
  );
}

/** What a method says, how it is computed and who says so. */
export const MethodInfo = ({ method }: { readonly method: OfferedMethod }): VNode => (
  <Popover
    label={`About ${method.title}`}
    anchor={(open, toggle) => (
      <IconButton icon="info" label={`About ${method.title}`} expanded={open} onClick={toggle} />
    )}
  >
    {() => (
      <>
        <strong>{method.title}</strong>
        <p>{method.text}</p>
        <p class="mono">{method.formula}</p>
        <p class="quiet">{method.source}</p>
        {method.bytes && <p class="quiet">{memoryText(method.bytes)}</p>}
      </>
    )}
  </Popover>
);

export interface ClassPickerProps {
  readonly explainable: Explainable;
  readonly ranked: readonly number[];
  readonly chosen: number;
  /** Classes of the answer, whose scores are known as it tells them. */
  readonly guesses: readonly Guess[];
  /** Whether those are shares. */
  readonly areShares: boolean;
  readonly onChoose: (target: number) => void;
}

/** Any class, found by its name, number or rank. */
export function ClassPicker(props: ClassPickerProps): VNode {
  const { explainable, ranked, chosen, onChoose } = props;
  const [text, setText] = useState('');
  const found = foundClasses(text, explainable, ranked);
  const label = explainable.labels[chosen] ?? String(chosen);
  const what = explainable.hasClasses ? 'Class' : 'Value';
  return (
    <Popover
      label={`Which ${what.toLowerCase()}`}
      anchor={(open, toggle) => (
        <Button label={`${what} ${label}. Change`} title={label} expanded={open} onClick={toggle}>
          {shortLabel(label)} <Icon name="chevron-down" slot="end" />
        </Button>
      )}
    >
      {(close) => {
        const choose = (target: number): void => {
          close();
          setText('');
          onChoose(target);
        };
        return (
          <>
            <TextField
              label={`Find a ${what.toLowerCase()}`}
              value={text}
              placeholder="Name, rank or #number"
              icon="search"
              onInput={setText}
              onEnter={() => {
                const [first] = found;
                if (first) choose(first.index);
              }}
            />
            <div class="option-list class-list">
              {found.slice(0, listedClasses).map(({ index, rank }) => (
                <button
                  key={index}
                  type="button"
                  class="option"
                  aria-current={index === chosen}
                  onClick={() => choose(index)}
                >
                  <Icon name={index === chosen ? 'check' : 'blank'} />
                  <span>
                    {rank}. {explainable.labels[index]}
                  </span>
                  <span class="quiet">
                    number {index}, {scoreText(props, index)}
                  </span>
                </button>
              ))}
            </div>
            {found.length === 0 && <p>None is called so.</p>}
            {found.length > listedClasses && (
              <p class="quiet">{found.length - listedClasses} more: type to find them.</p>
            )}
          </>
        );
      }}
    </Popover>
  );
}

/** A class's share if the answer tells it, and its value before the softmax. */
function scoreText({ explainable, guesses, areShares }: ClassPickerProps, index: number): string {
  const guess = areShares ? guesses.find((each) => each.index === index) : undefined;
  const value = `${explainable.hasClasses ? 'score' : 'value'} ${formatNumber(explainable.scores[index] ?? NaN)}`;
  return guess ? `${formatPercent(guess.score)}, ${value}` : value;
}
