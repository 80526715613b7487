import { randomUUID } from 'node:crypto';
import { Uri, window, workspace, type Disposable, type WebviewPanel } from 'vscode';
import { viewTypes, type Classified } from '../contributions';
import type { BatchState } from '../protocol/batch';
import { Batch, type BatchSteps } from './batch';
import { answersOf, showBatch } from './batchPanel';
import { checkpointLabel } from './checkpointEntries';
import type { CheckpointDocument } from './checkpointDocument';
import { Disposables } from './disposables';
import { messageOf } from './errors';
import { columnForAnswers } from './columns';
import { withProgress } from './progress';
import { registerSerializer } from './serializer';
import type { Services } from './services';

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
    const { documents, log } = this.services;
    const { document, dispose } = documents.acquire(checkpoint);
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
      const batch = new Batch(images, { checkpoint, modelTitle }, this.steps(document, checkpoint), (state) =>
        tell(state),
      );
      tell = showBatch(panel, id, () => batch, this.services);
      panel.onDidDispose(() => batch.cancel());
      await batch.run();
      if (this.panels.has(panel)) await this.keep(id, batch.state);
      log.info(`${batch.state.done} of ${images.length} pictures classified with ${checkpoint}`);
      return answersOf(batch);
    } finally {
      dispose();
    }
  }

  private steps(document: CheckpointDocument, checkpoint: string): BatchSteps {
    const { runner } = this.services;
    return {
      thumbnail: (image) => runner.thumbnail(image, thumbnailSide),
      classify: async (image, signal) => {
        const model = await document.model();
        return runner.classifyForTable({
          checkpoint,
          model,
          image,
          options: {},
          signal,
          report: () => undefined,
        });
      },
    };
  }

  private async restore(id: string, panel: WebviewPanel): Promise<void> {
    if (!batchId.test(id)) return panel.dispose();
    try {
      const bytes = await workspace.fs.readFile(this.fileOf(id));
      const state = JSON.parse(Buffer.from(bytes).toString('utf8')) as BatchState;
      showBatch(this.track(id, panel), id, () => ({ state, cancel: () => undefined }), this.services);
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
