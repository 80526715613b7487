import type { ComponentChildren, VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { ImagePanelApi, ImagePanelEvents, RunProgress } from '../../src/protocol/image';
import type { ProviderView, Run, RunOptions } from '../../src/tasks/run';
import { viewOf } from '../answers/answers';
import { connect, useSaved, type Failed } from '../host';
import { useAnswer, useQuestion } from '../kit/hooks';
import { GivenUp, mount, Page, Working } from '../kit/page';
import { announce, Banner, Guard } from '../kit/status';
import { Tabs } from '../kit/tabs';
import { Button, Dropdown, IconButton } from '../kit/toolkit';
import '../theme.css';
import './image.css';
import { FirstPaint } from './firstPaint';
import { Providers } from './providers';
import { baseName, Result, type Opened, type Wanted } from './result';
import { Why } from './why';

/** What the panel is looked at for. */
type View = 'answer' | 'why';
const views = [
  { name: 'answer', title: 'Answer' },
  { name: 'why', title: 'Why' },
] as const;

const host = connect<ImagePanelApi, ImagePanelEvents>(['providers', 'focus', 'changed']);

/** An answer and what it was asked with. */
interface Ran {
  readonly view: Run;
  readonly asked: RunOptions;
}

const again = { text: 'Cancelled.', again: 'Run Again' } as const;

function ImagePanel(): VNode {
  const [turn, setTurn] = useState(0);
  const opened = useAnswer((call) => host.call('open', [], call), [turn]);
  const [options, setOptions] = useSaved<RunOptions>('run', {});
  const question = useQuestion<Ran>();
  const [providers, setProviders] = useState<readonly ProviderView[]>([]);
  const [wanted, setWanted] = useState<Wanted>();
  const [shown, setShown] = useSaved<View>('shown', 'answer');
  /** The text that is being written. */
  const [written, setWritten] = useState<string>();

  const run = (next: RunOptions): void => {
    setOptions(next);
    setWritten(undefined);
    // What is given beside the image is given again and again: the process goes on with the same.
    const ask = isSameBut('given', next, options) ? question.askAfter : question.ask;
    ask(
      async ({ signal, onProgress }) => {
        const told = (progress: RunProgress): void => {
          if (typeof progress === 'string') onProgress?.(progress);
          else setWritten(progress.text);
        };
        return { view: await host.call('run', [next], { signal, onProgress: told }), asked: next };
      },
      ({ view }) => {
        setProviders(view.provider.all);
        announce(viewOf(view.answer).spoken(view.answer));
      },
    );
  };
  useEffect(() =>
    host.listen({
      providers: setProviders,
      focus: (half, layer) => {
        setWanted({ half, layer });
        setShown('answer');
        window.scrollTo(0, 0);
      },
      changed: () => {
        setTurn((count) => count + 1);
        run(options);
      },
    }),
  );
  useEffect(() => run(options), []);

  const ran = question.value;
  const error = opened.error ?? question.error;
  const retry = (): void => {
    setTurn((count) => count + 1);
    // What failed at first may have been asked with options of another time.
    const isFirst = ran === undefined && !opened.error && error?.kind !== 'cancelled';
    run(isFirst ? {} : options);
  };
  // An option that cannot be is refused beside the answer that stands; anything else leaves no
  // answer to show.
  const isRefused = (asked: RunOptions): boolean =>
    question.error !== undefined && question.error.kind !== 'cancelled' && !sameOptions(asked, options);
  const beside = ({ message, kind }: Failed): VNode | undefined => {
    if (opened.error || !ran) return undefined;
    if (kind === 'cancelled') return <GivenUp {...again} onRetry={() => run(options)} />;
    if (!isRefused(ran.asked)) return undefined;
    return (
      <Banner icon="error" kind="error" actions={<Button onClick={() => run(ran.asked)}>Go Back</Button>}>
        {message} The answer below is the one before.
      </Banner>
    );
  };
  return (
    <>
      <Head opened={opened.value} view={ran?.view} providers={providers} options={options} onRun={run}>
        {ran && <Tabs label="What is shown" tabs={views} chosen={shown} onChoose={setShown} />}
      </Head>
      <Working
        class="running"
        busy={question.busy}
        text={written ?? (question.progress || 'Running the model')}
        onStop={written === undefined ? undefined : () => void host.remote.stopText()}
        onCancel={question.cancel}
      />
      <Page
        question={{ ...question, error }}
        waiting={{ label: 'Waiting for the model', rows: 8, givenUp: again }}
        first={<FirstPaint host={host} asStored={options.asStored ?? false} />}
        failure="The model could not be run on this image"
        onRetry={retry}
        perform={host.remote.perform}
        onSettings={() => void host.remote.perform('openSettings')}
        beside={beside}
      >
        {({ view, asked }) =>
          opened.value &&
          (shown === 'why' ? (
            <Guard what="The explanation">
              <div id="panel-why" role="tabpanel" aria-labelledby="tab-why">
                <Why
                  {...{ host, view }}
                  options={asked}
                  colourMap={opened.value.colourMap}
                  checkpoint={opened.value.checkpoint}
                  checkpoints={opened.value.checkpoints}
                />
              </div>
            </Guard>
          ) : (
            <Guard what="The answer">
              <div id="panel-answer" role="tabpanel" aria-labelledby="tab-answer">
                <Result
                  host={host}
                  view={view}
                  opened={opened.value}
                  wanted={wanted}
                  options={isRefused(asked) ? asked : options}
                  onRun={run}
                />
              </div>
            </Guard>
          ))
        }
      </Page>
    </>
  );
}

/** Whether options are the same, whatever stands under one name. */
const isSameBut = (name: keyof RunOptions, one: RunOptions, other: RunOptions): boolean =>
  sameOptions({ ...one, [name]: undefined }, { ...other, [name]: undefined });

const sameOptions = (one: RunOptions, other: RunOptions): boolean =>
  JSON.stringify(one) === JSON.stringify(other);

interface HeadProps {
  readonly opened: Opened | undefined;
  readonly view: Run | undefined;
  readonly providers: readonly ProviderView[];
  readonly options: RunOptions;
  readonly onRun: (options: RunOptions) => void;
  /** Stands between title and buttons. */
  readonly children?: ComponentChildren;
}

/** A value that no path has: the host asks for another checkpoint. */
const OTHER = '\u0000other';

function Head({ opened, view, providers, options, onRun, children }: HeadProps): VNode | null {
  if (!opened) return null;
  const choose = (path: string): void => {
    void host.remote.chooseCheckpoint(path === OTHER ? null : path);
  };
  return (
    <header class="image-head">
      <h1 title={opened.image}>{baseName(opened.image)}</h1>
      {children}
      <div class="buttons">
        <Dropdown
          label="Model"
          value={opened.checkpoint}
          choices={[
            ...opened.checkpoints.map(({ path, label }) => ({ value: path, label })),
            { value: OTHER, label: 'Choose another…' },
          ]}
          onChange={choose}
        />
        <IconButton
          icon="type-hierarchy-sub"
          label="Inspect the checkpoint"
          onClick={() => void host.remote.perform('inspect')}
        />
        {view && (
          <Providers
            view={view}
            providers={providers}
            asked={options.provider ?? 'auto'}
            onChoose={(provider) => onRun({ ...options, provider })}
            onCheck={() => void host.remote.perform('checkProviders')}
          />
        )}
      </div>
    </header>
  );
}

mount(<ImagePanel />);
