import { basename } from 'node:path';
import type { Classified } from '../../contributions';
import type { Beside } from '../../domain/explanation';
import type { CallContext } from '../../protocol/channel';
import type { ImagePanelApi, ImagePanelEvents, RunProgress, SimilarImage } from '../../protocol/image';
import { embeddingOf, guessesOf } from '../../tasks/answer';
import { nearestOf } from '../../tasks/nearest';
import type { ProviderView, Run, RunOptions } from '../../tasks/run';
import { Cancelled, UserError } from '../dialogue/errors';
import { pickedImages, workspaceImages } from '../documents/images';
import { perform, requireTrust } from '../dialogue/notices';
import { unlessCancelled } from '../dialogue/progress';
import { copyText, saveAndOpen } from '../dialogue/saving';
import type { CheckpointDocument } from '../documents/checkpointDocument';
import { checkpointLabel } from '../documents/checkpointEntries';
import type { Checkpoints } from '../documents/checkpoints';
import type { Documents } from '../documents/documents';
import type { WorkspaceMemory } from '../documents/memory';
import { watchFiles } from '../documents/fileWatcher';
import { serve, type Connection } from '../pages/connection';
import { readSetting } from '../registration';
import { BesideImage } from './besideImage';
import { ImageExplanations, type OpenExplaining } from './imageExplanations';
import { readPicture } from './picture';
import type { Runner, RunnerRequest } from '../runner';
import type { Panel, PanelServices } from './panels';

export type Focus = 'labels' | 'attention';

/** One image and one checkpoint. */
export type ImageSubject = { readonly image: string; readonly checkpoint: string };

export interface ImageServices extends PanelServices {
  readonly documents: Pick<Documents, 'acquire'>;
  readonly checkpoints: Pick<Checkpoints, 'list' | 'pick' | 'choose'>;
  /** What was given to a checkpoint beside its images is given again. */
  readonly memory: Pick<WorkspaceMemory, 'given' | 'setGiven'>;
  readonly runner: Pick<
    Runner,
    | 'classify'
    | 'classifyBeside'
    | 'stopText'
    | 'classifyForTable'
    | 'attention'
    | 'distances'
    | 'checkProviders'
    | 'onDidCheckProviders'
    | 'explaining'
  >;
  /** Opens a checkpoint in the inspector, at a module if one is named. */
  inspect(path: string, module?: string): Promise<void>;
}

/** A run whose answer stands, and what it was asked with. */
interface Answer {
  readonly asked: string;
  readonly view: Run;
}

/** A run that has not ended. */
interface Running {
  readonly asked: string;
  readonly view: Promise<Run>;
  readonly abort: AbortController;
  /** Told what is going on; the page's own as soon as it asks. */
  report: Report;
  /** Begun while the page loads, which has yet to ask for it. */
  isAhead: boolean;
}

/** What stands while the panel looks with one checkpoint. */
interface Looking {
  readonly document: CheckpointDocument;
  readonly connection: Connection<ImagePanelEvents>;
}

type Report = (progress: RunProgress) => void;

/** One image and one checkpoint, in one panel: what the model answers and where it looked. */
export class ImagePanel {
  private readonly waiting: ((answer: Classified | undefined) => void)[] = [];
  private looking: Looking;
  private readonly explanations = new ImageExplanations(
    (...asked) => this.openExplaining(...asked),
    (name, bytes) => saveAndOpen(this.image, name, bytes),
  );
  private readonly beside: BesideImage;
  private running: Running | undefined;
  private answer: Answer | undefined;
  private focus: Focus = 'labels';
  private layer: string | undefined;
  /** The page asked for a run, so that it asks again by itself. */
  private wasAsked = false;

  constructor(
    private readonly panel: Panel<ImageSubject>,
    private readonly services: ImageServices,
  ) {
    panel.own(watchFiles([this.image], () => this.runAgain()));
    panel.own(
      services.runner.onDidCheckProviders(({ checkpoint, providers }) => {
        if (checkpoint === this.checkpoint) this.looking.connection.tell.providers(providers);
      }),
    );
    panel.own({ dispose: () => this.end() });
    this.beside = new BesideImage(services.documents, () => this.runAgain());
    panel.own(this.beside);
    this.looking = this.lookWith(this.checkpoint);
  }

  get image(): string {
    return this.panel.subject.image;
  }

  get checkpoint(): string {
    return this.panel.subject.checkpoint;
  }

  /** Looks at the image with another checkpoint. */
  use(checkpoint: string): void {
    if (checkpoint === this.checkpoint) return;
    this.looking = this.lookWith(checkpoint);
    this.runAhead();
  }

  /**
   * Begins what a new page asks first while it loads, which takes as long as a run; if something
   * was asked before, nothing.
   */
  runAhead(): void {
    if (this.answer || this.running || this.wasAsked) return;
    const running = this.begin({}, () => undefined);
    running.isAhead = true;
    // The page is told when it asks.
    running.view.catch(() => undefined);
  }

  /** Shows one half of the panel, and in it a layer's attention if one is named. */
  show(focus: Focus, layer?: string): void {
    this.focus = focus;
    this.layer = layer;
    this.looking.connection.tell.focus(focus, layer);
  }

  /** The file whose weights run: of a folder the one that was chosen in it. */
  async file(): Promise<string> {
    return (await this.looking.document.model()).checkpoint.file;
  }

  /**
   * The answer of the run that stands or comes next; undefined if it fails or the panel is closed
   * before.
   */
  nextAnswer(): Promise<Classified | undefined> {
    if (this.answer) return Promise.resolve(summaryOf(this.answer.view));
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  /** The image can be run: what a GPU is checked on. */
  get isAnswered(): boolean {
    return this.answer !== undefined;
  }

  /** Checks the GPU once more, and runs again so that its verdict counts. */
  async checkProviders(signal = new AbortController().signal): Promise<readonly ProviderView[]> {
    requireTrust();
    const request = await this.request({}, signal, () => undefined);
    const providers = await this.services.runner.checkProviders(request);
    this.runAgain();
    return providers;
  }

  /** The image, the checkpoint or a setting is another one than before. */
  runAgain(): void {
    this.answer = undefined;
    this.explanations.forget();
    // Told first: the page must not take the end of its old question for its new answer.
    this.looking.connection.tell.changed();
    this.stop();
  }

  /** The page is loaded anew for another checkpoint: its state is about the old one. */
  private lookWith(checkpoint: string): Looking {
    const { panel, services, image } = this;
    this.stop();
    this.answer = undefined;
    this.explanations.forget();
    this.wasAsked = false;
    const title = `${basename(image)} × ${checkpointLabel(checkpoint)}`;
    const page = panel.load({ image, checkpoint }, title);
    const { document } = page.add(services.documents.acquire(checkpoint));
    page.add(document.onDidChange(() => this.runAgain()));
    page.add(document.onDidGoStale(() => void document.reload().catch(() => this.runAgain())));
    const connection = page.add(
      serve<ImagePanelApi, ImagePanelEvents>(panel.webview, this.api(), services.log),
    );
    return { document, connection };
  }

  private api(): ImagePanelApi {
    const { services, image } = this;
    return {
      open: async () => ({
        image,
        checkpoint: this.checkpoint,
        checkpoints: await this.choices(),
        focus: this.focus,
        ...(this.layer !== undefined && { layer: this.layer }),
        colourMap: readSetting('vitrine.colourMap'),
        topK: readSetting('vitrine.topK'),
      }),
      run: (options, call) => this.run(options, call),
      stopText: () => services.runner.stopText(),
      attention: (run, query, method, { signal, progress }) =>
        services.runner.attention(run, query, method, { signal, onProgress: progress }),
      distances: (run, layer, { signal, progress }) =>
        services.runner.distances(run, layer, { signal, onProgress: progress }),
      ...this.explanations.api(),
      runBeside: async (options, about, { signal, progress }) => {
        requireTrust();
        return services.runner.classifyBeside(await this.request(options, signal, told(progress), about));
      },
      images: () => workspaceImages(image),
      chooseImage: async () => (await pickedImages(false))[0] ?? null,
      picture: () => readPicture(image),
      similar: (call) => this.similar(call),
      chooseCheckpoint: async (path) => {
        this.use(path === null ? await services.checkpoints.pick() : await services.checkpoints.choose(path));
      },
      perform: async (action, layer) => {
        // Without a layer its place holds what every call is handed.
        const module = typeof layer === 'string' ? layer : undefined;
        if (action === 'inspect') await services.inspect(this.checkpoint, module);
        else if (action === 'checkProviders') await this.checkProviders();
        else await perform(action);
      },
      copy: copyText,
      save: (suggestedName, content) => saveAndOpen(image, suggestedName, content),
    };
  }

  /** How alike other images are to this one, in the space of the model's own. */
  private async similar({ signal, progress }: CallContext): Promise<readonly SimilarImage[]> {
    const own = this.answer && embeddingOf(this.answer.view.answer);
    if (!own) throw new UserError('This model has no space in which images are compared.');
    const picked = await pickedImages(true);
    const found: { image: string; vector: Float32Array }[] = [];
    for (const [index, path] of picked.entries()) {
      progress(`image ${index + 1} of ${picked.length}`);
      const opened = await unlessCancelled(this.looking.document.current(), signal);
      const request = { opened, image: path, options: {}, signal, report: progress };
      const { answer } = await this.services.runner.classifyForTable(request);
      const other = embeddingOf(answer);
      if (other) found.push({ image: path, vector: other });
    }
    return nearestOf(own, found);
  }

  /** The workspace's checkpoints, and the one in use wherever it lies. */
  private async choices(): Promise<{ path: string; label: string }[]> {
    const found = await this.services.checkpoints.list();
    const own = { path: this.checkpoint, label: checkpointLabel(this.checkpoint) };
    return found.some(({ path }) => path === own.path) ? [...found] : [own, ...found];
  }

  /**
   * A hidden page is thrown away and asks the same again when it is shown: then the answer that
   * stands is given.
   */
  private async run(options: RunOptions, { signal, progress }: CallContext<RunProgress>): Promise<Run> {
    const asked = JSON.stringify(options);
    this.wasAsked = true;
    if (this.answer?.asked === asked) return this.answer.view;
    const running = this.begunAhead(asked) ?? this.begin(options, progress);
    Object.assign(running, { report: progress, isAhead: false });
    const abort = (): void => running.abort.abort();
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await running.view;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** The run that was begun while the page loaded, if it is what the page asks for. */
  private begunAhead(asked: string): Running | undefined {
    const { running } = this;
    return running?.isAhead && running.asked === asked ? running : undefined;
  }

  /** Begins a run in place of the one before, and keeps its answer. */
  private begin(options: RunOptions, report: Report): Running {
    this.stop();
    const abort = new AbortController();
    const told: Report = (progress) => running.report(progress);
    const view = this.classify(options, abort.signal, told);
    const running: Running = {
      asked: JSON.stringify(options),
      view: view.then(
        (answer) => this.ended(running, answer),
        (error: unknown) => this.failed(running, error),
      ),
      abort,
      report,
      isAhead: false,
    };
    this.running = running;
    return running;
  }

  /** Whoever began another run has no use for the answer of this one. */
  private ended(running: Running, view: Run): Run {
    if (this.running !== running) throw new Cancelled();
    this.running = undefined;
    this.answer = { asked: running.asked, view };
    this.settle(summaryOf(view));
    return view;
  }

  private failed(running: Running, error: unknown): never {
    if (this.running === running) {
      this.running = undefined;
      this.settle(undefined);
    }
    throw running.abort.signal.aborted ? new Cancelled() : error;
  }

  private async classify(options: RunOptions, signal: AbortSignal, report: Report): Promise<Run> {
    requireTrust();
    const { checkpoint, services } = this;
    const remembered = options.given ? undefined : services.memory.given(checkpoint);
    const asked = remembered ? { ...options, given: remembered } : options;
    try {
      const view = await services.runner.classify(await this.request(asked, signal, report));
      if (options.given && !view.givenIsOfImage) await services.memory.setGiven(checkpoint, options.given);
      return view;
    } catch (error) {
      // What was remembered may be what fails: the next try goes without it.
      if (remembered && !signal.aborted) await services.memory.setGiven(checkpoint, undefined);
      throw error;
    }
  }

  /** What is asked of the runner, of the panel's own image and checkpoint or of others. */
  private async request(
    options: RunOptions,
    signal: AbortSignal,
    report: Report,
    about: Beside = {},
  ): Promise<RunnerRequest> {
    const document = this.beside.documentOf(about) ?? this.looking.document;
    const opened = await unlessCancelled(document.current(), signal);
    const image = about.image ?? this.image;
    return { opened, image, options, signal, report, onText: (text) => report({ text }) };
  }

  private async openExplaining(...[options, about, signal, report]: Parameters<OpenExplaining>) {
    requireTrust();
    return this.services.runner.explaining(await this.request(options, signal, told(report), about));
  }

  /** Gives up the run that has not ended. */
  private stop(): void {
    this.running?.abort.abort();
    this.running = undefined;
  }

  private settle(answer: Classified | undefined): void {
    for (const resolve of this.waiting.splice(0)) resolve(answer);
  }

  private end(): void {
    this.stop();
    this.settle(undefined);
  }
}

/** Of a run that writes no text. */
const told =
  (report: (message: string) => void): Report =>
  (progress) => {
    if (typeof progress === 'string') report(progress);
  };

const summaryOf = ({ seen, checkpoint, provider, answer }: Run): Classified => ({
  image: seen.image,
  checkpoint,
  provider: provider.used,
  top: guessesOf(answer),
});
