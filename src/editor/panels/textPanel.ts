import type { TextPanelApi, TextPanelEvents, TextGiven, TextOpened, TextView } from '../../protocol/text';
import type { CallContext } from '../../protocol/channel';
import type { TextRun } from '../../tasks/textRun';
import { Cancelled } from '../dialogue/errors';
import { perform, requireTrust } from '../dialogue/notices';
import { unlessCancelled } from '../dialogue/progress';
import { copyText } from '../dialogue/saving';
import type { CheckpointDocument } from '../documents/checkpointDocument';
import { checkpointLabel } from '../documents/checkpointEntries';
import type { Checkpoints } from '../documents/checkpoints';
import type { Documents } from '../documents/documents';
import type { WorkspaceMemory } from '../documents/memory';
import { serve, type Connection } from '../pages/connection';
import { readSetting } from '../registration';
import type { Runner } from '../runner';
import type { Panel, PanelServices } from './panels';

export type TextSubject = { readonly checkpoint: string };

export interface TextServices extends PanelServices {
  readonly documents: Pick<Documents, 'acquire'>;
  readonly checkpoints: Pick<Checkpoints, 'list' | 'pick' | 'choose'>;
  readonly memory: Pick<WorkspaceMemory, 'given' | 'setGiven'>;
  readonly runner: Pick<Runner, 'write' | 'stopText'>;
  inspect(path: string, module?: string): Promise<void>;
}

/** A run whose answer stands. */
interface Answer {
  readonly asked: string;
  readonly id: number;
  readonly run: TextRun;
}

interface Looking {
  readonly document: CheckpointDocument;
  readonly connection: Connection<TextPanelEvents>;
}

/** One checkpoint that reads texts: what it makes of them, and what each token looked at. */
export class TextPanel {
  private looking: Looking;
  private answer: Answer | undefined;
  private running: AbortController | undefined;
  private runs = 0;
  private layer: string | undefined;

  constructor(
    private readonly panel: Panel<TextSubject>,
    private readonly services: TextServices,
  ) {
    panel.own({ dispose: () => this.running?.abort() });
    this.looking = this.lookWith(panel.subject.checkpoint);
  }

  get checkpoint(): string {
    return this.panel.subject.checkpoint;
  }

  /** Shows a layer's maps. */
  show(layer: string | undefined): void {
    this.layer = layer;
    if (layer !== undefined) this.looking.connection.tell.layer(layer);
  }

  /** A setting or the checkpoint is another one than before. */
  runAgain(): void {
    this.answer = undefined;
    this.looking.connection.tell.changed();
    this.running?.abort();
  }

  private use(checkpoint: string): void {
    if (checkpoint !== this.checkpoint) this.looking = this.lookWith(checkpoint);
  }

  private lookWith(checkpoint: string): Looking {
    const { panel, services } = this;
    this.running?.abort();
    this.answer = undefined;
    const page = panel.load({ checkpoint }, `Text: ${checkpointLabel(checkpoint)}`);
    const { document } = page.add(services.documents.acquire(checkpoint));
    page.add(document.onDidChange(() => this.runAgain()));
    page.add(document.onDidGoStale(() => void document.reload().catch(() => this.runAgain())));
    const connection = page.add(
      serve<TextPanelApi, TextPanelEvents>(panel.webview, this.api(), services.log),
    );
    return { document, connection };
  }

  private api(): TextPanelApi {
    const { services } = this;
    return {
      open: () => this.open(),
      run: (given, call) => this.run(given, call),
      map: async (run, layer) => {
        const map = this.answer?.id === run ? this.answer.run.maps[layer] : undefined;
        if (!map) throw new Error('the maps of this text are no longer kept; run it again');
        return map.values;
      },
      stop: () => services.runner.stopText(),
      chooseCheckpoint: async (path) => {
        this.use(path === null ? await services.checkpoints.pick() : await services.checkpoints.choose(path));
      },
      perform: async (action, layer) => {
        const module = typeof layer === 'string' ? layer : undefined;
        if (action === 'inspect') await services.inspect(this.checkpoint, module);
        else await perform(action);
      },
      copy: copyText,
    };
  }

  private async open(): Promise<TextOpened> {
    const { services, checkpoint, layer } = this;
    const model = await this.looking.document.model();
    const { taskOf } = await import('../../tasks/tasks');
    const ways = (await taskOf(model).task.ways?.(model)) ?? [];
    const found = await services.checkpoints.list();
    const own = { path: checkpoint, label: checkpointLabel(checkpoint) };
    const given = services.memory.given(checkpoint);
    return {
      checkpoint,
      checkpoints: found.some(({ path }) => path === checkpoint) ? found : [own, ...found],
      ways: ways.map(({ name, prefix }) => ({ name, ...(prefix !== undefined && { prefix }) })),
      colourMap: readSetting('vitrine.colourMap'),
      ...(typeof given?.['text'] === 'string' && {
        given: { text: given['text'], as: typeof given['as'] === 'string' ? given['as'] : '' },
      }),
      ...(layer !== undefined && { layer }),
    };
  }

  /** A hidden page is thrown away and asks the same again: then the answer that stands is given. */
  private async run(given: TextGiven, { signal, progress }: CallContext): Promise<TextView> {
    requireTrust();
    const asked = JSON.stringify(given);
    if (this.answer?.asked === asked) return viewOf(this.answer);
    this.running?.abort();
    const running = new AbortController();
    this.running = running;
    const abort = (): void => running.abort();
    signal.addEventListener('abort', abort, { once: true });
    const { connection, document } = this.looking;
    try {
      const opened = await unlessCancelled(document.current(), running.signal);
      const run = await this.services.runner.write({
        opened,
        given: { ...given },
        signal: running.signal,
        report: progress,
        onText: (text) => connection.tell.written(text),
      });
      await this.services.memory.setGiven(this.checkpoint, { ...given });
      const answer = { asked, id: ++this.runs, run };
      this.answer = answer;
      return viewOf(answer);
    } catch (error) {
      throw running.signal.aborted ? new Cancelled() : error;
    } finally {
      signal.removeEventListener('abort', abort);
      if (this.running === running) this.running = undefined;
    }
  }
}

function viewOf({ id, run }: Answer): TextView {
  const { modelTitle, source, answer, maps, noMaps, times, warnings } = run;
  return {
    run: id,
    modelTitle,
    source,
    texts: answer.kind === 'translation' ? answer.texts : [],
    layers: maps.map(({ values: _, ...layer }) => layer),
    ...(noMaps !== undefined && { noMaps }),
    milliseconds: times.run,
    warnings,
  };
}
