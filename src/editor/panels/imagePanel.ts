import { guessesOf } from '../../tasks/answer';
import type { ProviderView, Run, RunOptions } from '../../tasks/run';
import { basename } from 'node:path';
import type { Event, WebviewPanel } from 'vscode';
import type { Classified } from '../../contributions';
import type { ImagePanelApi, ImagePanelEvents } from '../../protocol/image';
import type { CheckpointDocument } from '../documents/checkpointDocument';
import { checkpointLabel } from '../documents/checkpointEntries';
import { serve, type Connection } from '../pages/connection';
import { Disposables } from '../disposables';
import { Cancelled } from '../dialogue/errors';
import { perform, requireTrust } from '../dialogue/notices';
import { watchFiles } from '../documents/fileWatcher';
import { showIcon, showPage } from '../pages/page';
import { unlessAborted } from '../dialogue/progress';
import { readSetting } from '../registration';
import type { RunnerRequest } from '../runner';
import { copyText, saveAndOpen } from '../dialogue/saving';
import type { Services } from '../services';

export type Focus = 'labels' | 'attention';

/** A run whose answer stands, and what it was asked with. */
interface Answer {
  readonly asked: string;
  readonly view: Run;
}

/** One picture and one checkpoint, in one panel: what the model answers and where it looked. */
export class ImagePanel {
  private readonly owned = new Disposables();
  private readonly waiting: ((answer: Classified | undefined) => void)[] = [];
  private subject = new Disposables();
  private connection: Connection<ImagePanelEvents> | undefined;
  private document!: CheckpointDocument;
  private running: AbortController | undefined;
  private answer: Answer | undefined;
  readonly onDidDispose: Event<void>;

  constructor(
    readonly image: string,
    private path: string,
    private focus: Focus,
    private readonly panel: WebviewPanel,
    private readonly services: Services,
  ) {
    this.onDidDispose = panel.onDidDispose;
    panel.onDidDispose(() => this.end());
    showIcon(panel, services.extensionUri);
    this.owned.add(watchFiles([image], () => this.runAgain()));
    this.owned.add(
      services.runner.onDidCheckProviders(({ checkpoint, providers }) => {
        if (checkpoint === this.path) this.connection?.tell.providers(providers);
      }),
    );
    this.show(path);
  }

  get checkpoint(): string {
    return this.path;
  }

  /** The panel that the user works in. */
  get isActive(): boolean {
    return this.panel.active;
  }

  /** Looks at the picture with another checkpoint. */
  use(checkpoint: string): void {
    if (checkpoint !== this.path) this.show(checkpoint);
  }

  /** Brings the panel to the front and shows one half of it. */
  reveal(focus: Focus): void {
    this.focus = focus;
    this.panel.reveal(undefined, false);
    this.connection?.tell.focus(focus);
  }

  /** The answer of the run that stands or comes next; undefined where it fails or the panel is closed before. */
  nextAnswer(): Promise<Classified | undefined> {
    if (this.answer) return Promise.resolve(summaryOf(this.answer.view));
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  /** The picture can be run: what a GPU is checked on. */
  get isAnswered(): boolean {
    return this.answer !== undefined;
  }

  /** Checks the GPU once more, and runs again so that its verdict counts. */
  async checkProviders(signal = new AbortController().signal): Promise<readonly ProviderView[]> {
    requireTrust();
    const providers = await this.services.runner.checkProviders(await this.request({}, signal));
    this.runAgain();
    return providers;
  }

  /** The page is loaded anew for another checkpoint: its state is about the old one. */
  private show(checkpoint: string): void {
    this.path = checkpoint;
    this.running?.abort();
    this.answer = undefined;
    this.subject.dispose();
    this.subject = new Disposables();
    const { document } = this.subject.add(this.services.documents.acquire(checkpoint));
    this.document = document;
    this.subject.add(document.onDidChange(() => this.runAgain()));
    this.subject.add(document.onDidGoStale(() => void document.reload().catch(() => this.runAgain())));
    this.connection = this.subject.add(serve(this.panel.webview, this.api(), this.services.log));
    this.panel.title = `${basename(this.image)} × ${checkpointLabel(checkpoint)}`;
    const subject = { image: this.image, checkpoint };
    showPage(this.panel.webview, this.services.extensionUri, 'image', this.panel.title, subject);
  }

  private api(): ImagePanelApi {
    const { services, image } = this;
    return {
      open: async () => ({
        image,
        checkpoint: this.path,
        checkpoints: await this.choices(),
        focus: this.focus,
        colourMap: readSetting('vitrine.colourMap'),
        topK: readSetting('vitrine.topK'),
      }),
      run: (options) => this.run(options),
      attention: async (run, query) => services.runner.attention(run, query),
      chooseCheckpoint: async (path) => {
        this.use(path === null ? await services.checkpoints.pick() : await services.checkpoints.choose(path));
      },
      cancel: async () => this.running?.abort(),
      perform: async (action) => {
        if (action === 'inspect') await services.inspect(this.path);
        else if (action === 'checkProviders') await this.checkProviders();
        else await perform(action);
      },
      copy: copyText,
      save: (suggestedName, content) => saveAndOpen(image, suggestedName, content),
    };
  }

  /** The workspace's checkpoints, and the one in use wherever it lies. */
  private async choices(): Promise<{ path: string; label: string }[]> {
    const found = await this.services.checkpoints.list();
    const own = { path: this.path, label: checkpointLabel(this.path) };
    return found.some(({ path }) => path === this.path) ? [...found] : [own, ...found];
  }

  /** A hidden page is thrown away and asks the same again when it is shown: then the answer that stands is given. */
  private async run(options: RunOptions): Promise<Run> {
    const asked = JSON.stringify(options);
    if (this.answer?.asked === asked) return this.answer.view;
    this.running?.abort();
    const running = new AbortController();
    this.running = running;
    try {
      const view = await this.classify(options, running.signal);
      this.answer = { asked, view };
      this.settle(summaryOf(view));
      return view;
    } catch (error) {
      if (this.running === running) this.settle(undefined);
      throw running.signal.aborted ? new Cancelled() : error;
    } finally {
      if (this.running === running) this.running = undefined;
    }
  }

  private async classify(options: RunOptions, signal: AbortSignal): Promise<Run> {
    requireTrust();
    return this.services.runner.classify(await this.request(options, signal));
  }

  private async request(options: RunOptions, signal: AbortSignal): Promise<RunnerRequest> {
    const { image } = this;
    const report = (message: string): void => this.connection?.tell.progress(message);
    const opened = await unlessAborted(this.document.current(), signal);
    return { opened, image, options, signal, report };
  }

  /** The picture, the checkpoint or a setting is another one than before. */
  runAgain(): void {
    this.answer = undefined;
    this.connection?.tell.changed();
  }

  private settle(answer: Classified | undefined): void {
    for (const resolve of this.waiting.splice(0)) resolve(answer);
  }

  private end(): void {
    this.running?.abort();
    this.settle(undefined);
    this.subject.dispose();
    this.owned.dispose();
  }
}

const summaryOf = ({ seen, checkpoint, provider, answer }: Run): Classified => ({
  image: seen.image,
  checkpoint,
  provider: provider.used,
  top: guessesOf(answer),
});
