import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { colourMapNamed } from '../../src/attention/colourMaps';
import { formatMilliseconds, formatPercent, quantity } from '../../src/domain/units';
import type { TextGiven, TextOpened, TextPanelApi, TextPanelEvents, TextView } from '../../src/protocol/text';
import { connect, useSaved } from '../host';
import { useAnswer, useQuestion } from '../kit/hooks';
import { GivenUp, mount, Page, Warnings } from '../kit/page';
import { announce, Guard } from '../kit/status';
import { Button, Dropdown, IconButton, Spinner } from '../kit/toolkit';
import '../theme.css';
import './text.css';
import { Attention } from './attention';
import type { Lit } from './lit';

const host = connect<TextPanelApi, TextPanelEvents>(['written', 'layer', 'changed']);

const again = { text: 'Cancelled.', again: 'Translate Again' } as const;

function TextPanel(): VNode {
  const [turn, setTurn] = useState(0);
  const opened = useAnswer((call) => host.call('open', [], call), [turn]);
  const [asked, setAsked] = useSaved<TextGiven | null>('asked', null);
  const question = useQuestion<TextView>();
  const [begun, setBegun] = useState(asked !== null);
  const [written, setWritten] = useState('');
  const [wanted, setWanted] = useState<string>();
  const run = (given: TextGiven): void => {
    setAsked(given);
    setBegun(true);
    setWritten('');
    question.ask(
      (call) => host.call('run', [given], call),
      ({ texts: [first] }) => announce(first?.text ?? 'Nothing was written.'),
    );
  };
  useEffect(() =>
    host.listen({
      written: setWritten,
      layer: setWanted,
      changed: () => {
        setTurn((count) => count + 1);
        if (asked) run(asked);
      },
    }),
  );
  useEffect(() => {
    if (asked) run(asked);
  }, []);
  const error = opened.error ?? (begun ? question.error : undefined);
  const isWriting = begun && question.busy;
  const first = begun && !opened.error ? undefined : <></>;
  return (
    <>
      <Head opened={opened.value} />
      {opened.value && <Ask opened={opened.value} asked={asked} isWriting={isWriting} onAsk={run} />}
      {isWriting && <Writing text={written} progress={question.progress} onCancel={question.cancel} />}
      <Page
        question={{ ...question, error, ...(isWriting && { value: undefined }) }}
        waiting={{ label: 'Waiting for the model', rows: 4, givenUp: again }}
        first={first ?? <></>}
        failure="The text could not be translated"
        onRetry={() => {
          setTurn((count) => count + 1);
          if (asked) run(asked);
        }}
        perform={host.remote.perform}
        beside={({ kind }) =>
          kind === 'cancelled' && asked ? <GivenUp {...again} onRetry={() => run(asked)} /> : undefined
        }
      >
        {(view) =>
          opened.value && (
            <Guard what="The answer">
              <Answer view={view} opened={opened.value} wanted={wanted ?? opened.value.layer} />
            </Guard>
          )
        }
      </Page>
    </>
  );
}

/** A value that no path has: the host asks for another checkpoint. */
const OTHER = '\u0000other';

function Head({ opened }: { readonly opened: TextOpened | undefined }): VNode | null {
  if (!opened) return null;
  return (
    <header class="text-head">
      <h1>Translate</h1>
      <div class="buttons">
        <Dropdown
          label="Model"
          value={opened.checkpoint}
          choices={[
            ...opened.checkpoints.map(({ path, label }) => ({ value: path, label })),
            { value: OTHER, label: 'Choose another…' },
          ]}
          onChange={(path) => void host.remote.chooseCheckpoint(path === OTHER ? null : path)}
        />
        <IconButton
          icon="type-hierarchy-sub"
          label="Inspect the checkpoint"
          onClick={() => void host.remote.perform('inspect')}
        />
      </div>
    </header>
  );
}

interface AskProps {
  readonly opened: TextOpened;
  readonly asked: TextGiven | null;
  readonly isWriting: boolean;
  readonly onAsk: (given: TextGiven) => void;
}

/** The text, and what is to be made of it. */
function Ask({ opened, asked, isWriting, onAsk }: AskProps): VNode {
  const { ways, given } = opened;
  const known = asked ?? given ?? { text: '', as: ways[0]?.name ?? '' };
  const [drafted, setDraft] = useState<TextGiven>();
  const { text, as } = drafted ?? known;
  const chosen = ways.find(({ name }) => name === as);
  const canRun = text.trim() !== '' && !isWriting;
  const ask = (): void => {
    if (canRun) onAsk({ text, as: chosen?.name ?? '' });
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    ask();
  };
  return (
    <div class="ask" onKeyDown={onKeyDown}>
      <label>
        <span class="quiet">Text</span>
        <textarea
          class="text-field"
          aria-label="Text"
          rows={3}
          value={text}
          placeholder="Type a sentence in the language that the model reads"
          onInput={(event) => setDraft({ text: event.currentTarget.value, as })}
        />
      </label>
      <div class="buttons">
        {ways.length > 0 && (
          <Dropdown
            label="What is made of it"
            value={chosen?.name ?? ''}
            choices={[
              ...ways.map(({ name, prefix }) => ({ value: name, label: prefix?.trim() || name })),
              { value: '', label: 'The text as it is' },
            ]}
            onChange={(name) => setDraft({ text, as: name })}
          />
        )}
        <Button primary disabled={!canRun} onClick={ask}>
          Translate
        </Button>
        <span class="quiet">Ctrl+Enter</span>
      </div>
    </div>
  );
}

interface WritingProps {
  readonly text: string;
  readonly progress: string;
  readonly onCancel: () => void;
}

/** The text as it is written: it can be stopped where it is, or given up. */
const Writing = ({ text, progress, onCancel }: WritingProps): VNode => (
  <div class="writing" role="status">
    <p class="answer-text" aria-busy="true">
      {text || <span class="quiet">{progress || 'Reading the text'} …</span>}
    </p>
    <div class="buttons">
      <Spinner label="Writing" />
      <Button onClick={() => void host.remote.stop()} disabled={text === ''}>
        Stop
      </Button>
      <Button onClick={onCancel}>Cancel</Button>
    </div>
  </div>
);

const endings = {
  end: 'it ended by itself',
  length: 'it reached the most tokens that are asked for',
  stopped: 'it was stopped',
} as const;

interface AnswerProps {
  readonly view: TextView;
  readonly opened: TextOpened;
  readonly wanted: string | undefined;
}

function Answer({ view, opened, wanted }: AnswerProps): VNode {
  const [lit, setLit] = useState<Lit>({});
  const [first, ...others] = view.texts;
  if (!first) return <p class="quiet">Nothing was written.</p>;
  const { tokens, text, ending } = first;
  const pace = formatMilliseconds(view.milliseconds / Math.max(1, tokens.length));
  return (
    <div class="answer">
      <Warnings texts={view.warnings} />
      <div class="answer-line">
        <p class="answer-text" lang="">
          {text || <span class="quiet">(no words)</span>}
        </p>
        <IconButton icon="copy" label="Copy the text" onClick={() => void host.remote.copy(text)} />
      </div>
      <p class="quiet">
        {view.modelTitle}: {quantity(tokens.length, 'token')} in {formatMilliseconds(view.milliseconds)} (
        {pace} each); {endings[ending]}.
      </p>
      {others.map((other) => (
        <p key={other.name}>{other.text}</p>
      ))}
      <Tokens
        title="Read"
        tokens={view.source.map(({ shown }) => ({ shown }))}
        lit={lit.source}
        onLit={(source) => setLit(source === undefined ? {} : { source })}
      />
      <Tokens
        title="Written, with the probability of each"
        tokens={tokens.map(({ shown, score }) => ({ shown, note: formatPercent(Math.exp(score)) }))}
        lit={lit.written}
        onLit={(written) => setLit(written === undefined ? {} : { written })}
      />
      <Attention
        view={view}
        colourMap={colourMapNamed(opened.colourMap)}
        wanted={wanted}
        lit={lit}
        onLit={setLit}
        map={(run, layer) => host.call('map', [run, layer], {})}
      />
    </div>
  );
}

interface TokensProps {
  readonly title: string;
  readonly tokens: readonly { readonly shown: string; readonly note?: string }[];
  readonly lit: number | undefined;
  readonly onLit: (index: number | undefined) => void;
}

/** The tokens of a text, one beside the other. */
const Tokens = ({ title, tokens, lit, onLit }: TokensProps): VNode => (
  <div>
    <h2>{title}</h2>
    <ul class="tokens" onPointerLeave={() => onLit(undefined)}>
      {tokens.map(({ shown, note }, index) => (
        <li key={index} class={index === lit ? 'token lit' : 'token'} onPointerEnter={() => onLit(index)}>
          <span>{shown}</span>
          {note !== undefined && <span class="quiet note">{note}</span>}
        </li>
      ))}
    </ul>
  </div>
);

mount(<TextPanel />);
