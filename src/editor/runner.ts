import type { Given, ProviderView, Run, RunOptions } from '../tasks/run';
import type { TextRun } from '../tasks/textRun';
import type { Pixels } from '../domain/pixels';
import { formatMilliseconds, formatNumber, formatPercent } from '../domain/units';
import { guessesOf } from '../tasks/answer';
import type { AttentionRows, Method, Query } from '../domain/query';
import { EventEmitter, Uri, type Disposable, type Memento } from 'vscode';
import type { OpenedModel } from '../models/openedModels';
import type { CallOptions } from '../protocol/channel';
import type { ProviderCheck } from '../inference/remoteApi';
import type { ClassifyRequest, Inference } from '../inference/service';
import type { Explaining } from '../useCases/explaining';
import type { Log } from './log';
import { readSetting } from './registration';

/** An image to classify with a checkpoint as its document opened it. */
export interface RunnerRequest {
  readonly opened: OpenedModel;
  readonly image: string;
  readonly options: RunOptions;
  readonly signal: AbortSignal;
  /** Told what is going on: `loading 346 MB`. */
  readonly report: (message: string) => void;
  /** Told the text that is being written, after each of its tokens. */
  readonly onText?: (text: string) => void;
}

/** A text for a checkpoint as its document opened it. */
export interface TextToWrite extends Pick<RunnerRequest, 'opened' | 'signal' | 'report'> {
  readonly given: Given;
  /** Told the text so far, after each of its tokens. */
  readonly onText: (text: string) => void;
}

/** How GPUs did beside the CPU, for one checkpoint. */
export interface ProvidersChecked {
  readonly checkpoint: string;
  readonly providers: readonly ProviderView[];
}

/**
 * The editor's way to inference: settings and verdicts go in, answers come out. The service is
 * loaded with the first request, and its process is forked then.
 */
export class Runner implements Disposable {
  private readonly checked = new EventEmitter<ProvidersChecked>();
  private service: Promise<Inference> | undefined;
  /** A background check of the GPUs ended. */
  readonly onDidCheckProviders = this.checked.event;

  constructor(
    private readonly extensionUri: Uri,
    private readonly verdicts: Memento,
    private readonly log: Log,
  ) {}

  /** Starts the process that a request will need, while what it is about is looked for. */
  warmUp(): void {
    // A failure is met again by the request.
    this.inference().then(
      (inference) => inference.warmUp(),
      () => undefined,
    );
  }

  /** Classifies an image and keeps its attention maps for `attention`. */
  classify(request: RunnerRequest): Promise<Run> {
    return this.run(request, { attention: true, topK: readSetting('vitrine.topK') });
  }

  /** Classifies what is looked at beside another: no attention maps. */
  classifyBeside(request: RunnerRequest): Promise<Run> {
    return this.run(request, { topK: readSetting('vitrine.topK') });
  }

  /**
   * Classifies one of many images: no attention maps, no image to draw, and at least the second
   * guess.
   */
  classifyForTable(request: RunnerRequest): Promise<Run> {
    return this.run(request, { displaySide: 0, topK: Math.max(2, readSetting('vitrine.topK')) });
  }

  /** Asks a model that reads no image about a text, and keeps what its tokens looked at. */
  async write({ opened, given, signal, report: onProgress, onText }: TextToWrite): Promise<TextRun> {
    const inference = await this.inference();
    const run = await inference.write({ opened, given, maps: true, signal, onProgress, onText });
    const words = run.answer.kind === 'translation' ? (run.answer.texts[0]?.tokens.length ?? 0) : 0;
    this.log.info(
      `${opened.path}: ${words} tokens by ${run.modelTitle} in ${formatMilliseconds(run.times.run)}`,
    );
    return run;
  }

  async attention(run: number, query: Query, method: Method, call: CallOptions): Promise<AttentionRows> {
    return (await this.inference()).attention(run, query, method, call);
  }

  async distances(run: number, layer: number, call: CallOptions): Promise<readonly number[]> {
    return [...(await (await this.inference()).distances(run, layer, call))];
  }

  /** Opens an image's answer to be explained. */
  async explaining({ opened, image, options, signal, report }: RunnerRequest): Promise<Explaining> {
    const [inference, { Explaining }] = await Promise.all([
      this.inference(),
      import('../useCases/explaining'),
    ]);
    return Explaining.open(inference, { opened, image, options }, { signal, progress: report });
  }

  /** Ends the text that is being written: its run answers with what there is. */
  async stopText(): Promise<void> {
    (await this.inference()).stopText();
  }

  async thumbnail(path: string, side: number): Promise<string> {
    return (await this.inference()).thumbnail(path, side);
  }

  /** Sets every GPU provider beside the CPU again, whatever is remembered. */
  async checkProviders(request: RunnerRequest): Promise<readonly ProviderView[]> {
    const { opened, image, signal } = request;
    const inference = await this.inference();
    const providers = await inference.checkProviders({ opened, image, signal });
    this.checked.fire({ checkpoint: opened.path, providers });
    return providers;
  }

  private async run(
    request: RunnerRequest,
    wanted: Pick<ClassifyRequest, 'attention' | 'topK' | 'displaySide'>,
  ): Promise<Run> {
    const { opened, image, options, signal, report: onProgress, onText } = request;
    const inference = await this.inference();
    const provider = options.provider ?? readSetting('vitrine.provider');
    const chosen = { ...options, provider };
    const view = await inference.classify({
      ...{ opened, image, options: chosen, ...wanted, signal, onProgress },
      onText,
    });
    // One of many images is told by its table.
    if (wanted.attention) this.log.info(runSentence(view));
    else this.log.debug(runSentence(view));
    const { seen } = view;
    return { ...view, seen: { ...seen, pixels: plain(seen.pixels), seen: plain(seen.seen) } };
  }

  private inference(): Promise<Inference> {
    this.service ??= this.start();
    return this.service;
  }

  private async start(): Promise<Inference> {
    const [{ createInference }, { defaultLimits }] = await Promise.all([
      import('../inference/service'),
      import('../inference/memory'),
    ]);
    return createInference({
      processPath: Uri.joinPath(this.extensionUri, 'dist', 'process.js').fsPath,
      store: {
        get: (key) => this.verdicts.get<ProviderCheck>(key),
        set: async (key, verdict) => this.verdicts.update(key, verdict),
      },
      log: this.log,
      limits: () => {
        const limits = defaultLimits();
        const gigabytes = readSetting('vitrine.memoryLimit');
        const memoryBytes = gigabytes > 0 ? gigabytes * 1e9 : limits.memoryBytes;
        return { ...limits, memoryBytes, threads: readSetting('vitrine.threads') };
      },
      onProviders: (checkpoint, providers) => this.checked.fire({ checkpoint, providers }),
      background: true,
    });
  }

  dispose(): void {
    this.checked.dispose();
    void this.service?.then((service) => service.dispose());
  }
}

/** `/images/cat.jpg: tabby 97.3 % by ViT-B/16, on CPU in 14 ms (decoded in 6 ms …)` */
function runSentence({ seen, modelTitle, answer, provider, times, warnings }: Run): string {
  const [first] = guessesOf(answer);
  const isShare = answer.kind === 'classes' && answer.scoreKind !== 'value';
  const score = isShare ? formatPercent : formatNumber;
  const found = first ? `${first.label} ${score(first.score)}` : answer.kind;
  const title = provider.all.find(({ name }) => name === provider.used)?.title ?? provider.used;
  const load = times.load > 1 ? `, loaded in ${formatMilliseconds(times.load)}` : '';
  const steps = `decoded in ${formatMilliseconds(times.decode)}, prepared in ${formatMilliseconds(times.preprocess)}${load}`;
  const said = warnings.map((warning) => ` Warning: ${warning}`);
  return `${seen.image}: ${found} by ${modelTitle}, on ${title} in ${formatMilliseconds(times.run)} (${steps}).${said.join('')}`;
}

/**
 * Between processes the bytes travel as a `Buffer`, which a message to a page would spell out as a
 * list of numbers.
 */
const plain = ({ width, height, rgb }: Pixels): Pixels => ({ width, height, rgb: new Uint8Array(rgb) });
