import { guessesOf } from '../../tasks/answer';
import { randomUUID } from 'node:crypto';
import { Uri, window, workspace, type Disposable, type WebviewPanel } from 'vscode';
import { viewTypes, type Classified } from '../../contributions';
import type { BatchState } from '../../protocol/batch';
import { Batch, type BatchSteps } from './batch';
import { answersOf, showBatch } from './batchPanel';
import { checkpointLabel } from '../documents/checkpointEntries';
import { Disposables } from '../disposables';
import { messageOf } from '../dialogue/errors';
import { columnForAnswers } from './columns';
import { withProgress } from '../dialogue/progress';
import { registerSerializer } from './serializer';
import type { Services } from '../services';

const thumbnailSide = 64;
const batchId = /^[0-9a-f-]{36}$/;

/** Tables of results. Their rows are kept in a file, so that a reload of the window shows them without running again. */
export class BatchPanels implements Disposable {
  private readonly owned = new Disposables();
  private readonly panels = new Set<WebviewPanel>();

  constructor(private readonly services: Services) {
    this.owned.add(
      registerSerializer(viewTypes.batch, ['batch'], ({ batch }, panel) => void this.restore(batch, panel)),
    );
  }

  get size(): number {
    return this.panels.size;
  }

  /** Classifies pictures in a new table; resolves when it is done. */
  async show(images: readonly string[], checkpoint: string): Promise<readonly Classified[]> {
    const { document, dispose } = this.services.documents.acquire(checkpoint);
    try {
      const { recognition } = await withProgress(`Reading ${checkpointLabel(checkpoint)}`, () =>
        document.model(),
      );
      const modelTitle = recognition.family === null ? checkpointLabel(checkpoint) : recognition.title;
      const id = randomUUID();
      const panel = this.track(
        id,
        window.createWebviewPanel(
          viewTypes.batch,
          `${images.length} pictures × ${checkpointLabel(checkpoint)}`,
          columnForAnswers(),
        ),
      );
      let tell: (state: BatchState) => void = () => undefined;
      const batch = new Batch(images, { checkpoint, modelTitle }, this.steps(checkpoint), (state) =>
        tell(state),
      );
      const run = (): Promise<void> => this.run(batch, checkpoint, id, panel);
      const source = {
        get state() {
          return batch.state;
        },
        cancel: () => batch.cancel(),
        resume: () => void run(),
      };
      tell = showBatch(panel, id, () => source, this.services);
      panel.onDidDispose(() => batch.cancel());
      await run();
      return answersOf(batch);
    } finally {
      dispose();
    }
  }

  /** The checkpoint stays open as long as the batch runs; its rows are kept for a reload of the window. */
  private async run(batch: Batch, checkpoint: string, id: string, panel: WebviewPanel): Promise<void> {
    const { documents, log } = this.services;
    const { dispose } = documents.acquire(checkpoint);
    try {
      await batch.run();
      if (this.panels.has(panel)) await this.keep(id, batch.state);
      log.info(`${batch.state.done} of ${batch.images.length} pictures classified with ${checkpoint}`);
    } finally {
      dispose();
    }
  }

  private steps(checkpoint: string): BatchSteps {
    const { documents, runner } = this.services;
    return {
      thumbnail: (image) => runner.thumbnail(image, thumbnailSide),
      classify: async (image, signal) => {
        const { document, dispose } = documents.acquire(checkpoint);
        try {
          const opened = await document.current();
          const report = (): void => undefined;
          const request = { opened, image, options: {}, signal, report };
          const { answer, provider } = await runner.classifyForTable(request);
          const used = provider.all.find(({ state }) => state === 'used');
          return { top: guessesOf(answer), provider: used?.title ?? provider.used };
        } finally {
          dispose();
        }
      },
    };
  }

  private async restore(id: string, panel: WebviewPanel): Promise<void> {
    if (!batchId.test(id)) return panel.dispose();
    try {
      const bytes = await workspace.fs.readFile(this.fileOf(id));
      const kept = JSON.parse(Buffer.from(bytes).toString('utf8')) as BatchState;
      // Which pictures a cancelled batch left out went with the window.
      const state = { ...kept, resumable: false };
      const source = { state, cancel: () => undefined, resume: () => undefined };
      showBatch(this.track(id, panel), id, () => source, this.services);
    } catch (error) {
      // The window was closed while the batch ran: there is nothing to show.
      this.services.log.info(`a table of results is not restored: ${messageOf(error)}`);
      panel.dispose();
    }
  }

  private track(id: string, panel: WebviewPanel): WebviewPanel {
    this.panels.add(panel);
    panel.onDidDispose(() => {
      this.panels.delete(panel);
      void this.forget(id);
    });
    return panel;
  }

  private async keep(id: string, state: BatchState): Promise<void> {
    await workspace.fs.writeFile(this.fileOf(id), Buffer.from(JSON.stringify(state), 'utf8'));
  }

  private async forget(id: string): Promise<void> {
    try {
      await workspace.fs.delete(this.fileOf(id));
    } catch {
      // Closed before it was kept.
    }
  }

  private fileOf(id: string): Uri {
    return Uri.joinPath(this.services.storageUri, 'batches', `${id}.json`);
  }

  dispose(): void {
    this.owned.dispose();
  }
}
