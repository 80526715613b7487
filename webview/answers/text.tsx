import type { VNode } from 'preact';
import { useRef, useState } from 'preact/hooks';
import type { Query } from '../../src/domain/query';
import { formatPercent } from '../../src/domain/units';
import type { Text, WrittenText, WrittenToken } from '../../src/tasks/answer';
import { Button } from '../kit/toolkit';
import type { AnswerView, AnswerViewProps } from './answerView';
import { Question } from './question';
import './prompts.css';
import './text.css';

/** What is written: each word a query of where the model looked when it chose it. */
export const text: AnswerView<Text> = {
  spoken: ({ searches: [first], missing }) => first?.texts[0]?.text ?? missing ?? 'Nothing is written.',
  leads: true,
  View: TextView,
};

type TextProps = AnswerViewProps<Text>;

function TextView(props: TextProps): VNode {
  const { answer } = props;
  return (
    <div class="text-answer">
      <Asking {...props} />
      {answer.question !== undefined && <p>{answer.question}</p>}
      {answer.searches.map((search, index) => (
        <div key={search.name}>
          {search.texts.map((each, rank) => (
            <Written
              key={rank}
              {...props}
              written={each}
              // Maps are kept of the best text of the first search alone.
              first={index === 0 && rank === 0 ? search.prompt - 1 : undefined}
            />
          ))}
        </div>
      ))}
    </div>
  );
}

/** What a user may type for the text: the question, or the words that it goes on from. */
const Asking = ({ answer, given, onGive }: TextProps): VNode =>
  answer.asks === 'question' ? (
    <Question given={given} onGive={onGive} />
  ) : (
    <Beginning given={given} onGive={onGive} />
  );

function Beginning({ given, onGive }: Pick<TextProps, 'given' | 'onGive'>): VNode {
  const [draft, setDraft] = useState<string>();
  const said = given?.['prompt'];
  const value = draft ?? (typeof said === 'string' ? said : '');
  const write = (): void => onGive({ prompt: value.trim() });
  return (
    <form
      class="text-asking"
      onSubmit={(event) => {
        event.preventDefault();
        write();
      }}
    >
      <label>
        <span class="quiet">The text begins with</span>
        <input
          class="prompt-field"
          type="text"
          aria-label="The text begins with"
          spellcheck={false}
          placeholder="nothing: the model begins by itself"
          value={value}
          onInput={(event) => setDraft(event.currentTarget.value)}
        />
      </label>
      <Button primary onClick={write}>
        Write
      </Button>
    </form>
  );
}

const endings: Readonly<Record<WrittenText['ending'], string>> = {
  end: '',
  length: 'Cut off: the most tokens that are written were reached before its end.',
  stopped: 'Stopped before its end.',
};

/** A text, its tokens and how likely each was. */
function Written({ written, first, onCopy, ...props }: TextProps & WrittenProps): VNode {
  return (
    <section class="written" aria-label="Text">
      <p class="written-text">
        <span class={written.text === '' ? 'quiet' : ''}>
          {written.text === '' ? 'no words' : written.text}
        </span>
        {onCopy && <Button onClick={() => onCopy(written.text)}>Copy</Button>}
      </p>
      <Tokens {...props} tokens={written.tokens} first={first} />
      <p class="quiet">
        {first !== undefined && 'A token shows where the model looked when it chose it. '}
        Shares are those among the tokens that could be chosen.
        {written.score !== undefined && ` Score of the beam: ${written.score.toFixed(3)}.`}{' '}
        {endings[written.ending]}
      </p>
    </section>
  );
}

interface WrittenProps {
  readonly written: WrittenText;
  /** Row of the maps that chose the first token; absent if none are kept. */
  readonly first: number | undefined;
}

interface TokensProps extends Pick<TextProps, 'query' | 'onQuery'> {
  readonly tokens: readonly WrittenToken[];
  readonly first: number | undefined;
}

/** Tokens, one of them in the tab order: arrow keys go on, Enter asks where it looked. */
function Tokens({ tokens, first, query, onQuery }: TokensProps): VNode {
  const list = useRef<HTMLUListElement>(null);
  const chosen = first === undefined || query?.kind !== 'token' ? -1 : query.index - first;
  const queryOf = (place: number): Query => ({ kind: 'token', index: (first ?? 0) + place });
  const onKeyDown = (event: KeyboardEvent, place: number): void => {
    const last = tokens.length - 1;
    const target = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: last }[event.key];
    if (target !== undefined) (list.current?.children[target] as HTMLElement | undefined)?.focus();
    else if ((event.key === 'Enter' || event.key === ' ') && first !== undefined) onQuery(queryOf(place));
    else if (event.key === 'Escape') onQuery(undefined);
    else return;
    event.preventDefault();
  };
  return (
    <ul ref={list} class="tokens" role="listbox" aria-label="Tokens" aria-orientation="horizontal">
      {tokens.map(({ id, text: word, score }, place) => (
        <li
          key={place}
          role="option"
          tabIndex={place === Math.max(0, chosen) ? 0 : -1}
          aria-selected={place === chosen}
          aria-label={`${word}, ${formatPercent(Math.exp(score))}`}
          class={first === undefined ? 'still' : ''}
          title={`token ${id}: log-probability ${score.toFixed(4)}`}
          onClick={() => first !== undefined && onQuery(queryOf(place))}
          onKeyDown={(event) => onKeyDown(event, place)}
        >
          <span class="token">{word.trim() === '' ? '␣' : word}</span>
          <span class="share">
            <span style={{ width: `${100 * Math.exp(score)}%` }} />
          </span>
          <span class="number quiet">{formatPercent(Math.exp(score))}</span>
        </li>
      ))}
    </ul>
  );
}
