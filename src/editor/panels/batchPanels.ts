import { countOf, headGuessesOf, rankedOf, ranksAreas, type Answer } from '../../tasks/answer';
import { randomUUID } from 'node:crypto';
import { Uri, workspace, type Disposable } from 'vscode';
import { viewTypes, type Classified } from '../../contributions';
import type { BatchState } from '../../protocol/batch';
import { Batch, type BatchSteps } from './batch';
import { BatchFiles } from './batchFiles';
import { answersOf, fillBatch, followed, type BatchSource, type OpenImage } from './batchPanel';
import { checkpointLabel } from '../documents/checkpointEntries';
import type { Documents } from '../documents/documents';
import type { WorkspaceMemory } from '../documents/memory';
import { messageOf } from '../dialogue/errors';
import { columnForAnswers } from './columns';
import { Panels, type Panel, type PanelServices } from './panels';
import { exportAsks } from '../dialogue/exporting';
import { withProgress } from '../dialogue/progress';
import type { Runner } from '../runner';

const thumbnailSide = 64;
const batchId = /^[0-9a-f-]{36}$/;

export interface BatchServices extends PanelServices {
  /** Where results of batches are kept for a reload. */
  readonly storageUri: Uri;
  readonly documents: Pick<Documents, 'acquire'>;
  /** Texts that were given to a checkpoint score all images of a table. */
  readonly memory: Pick<WorkspaceMemory, 'given'>;
  readonly runner: Pick<Runner, 'thumbnail' | 'classifyForTable'>;
  /** Opens the panel of one image of a batch. */
  readonly openImage: OpenImage;
}

type BatchPanel = Panel<{ readonly batch: string }>;

/**
 * Tables of results. Their rows are kept in a file, so that a reload of the window shows them
 * without running again.
 */
export class BatchPanels implements Disposable {
  private readonly panels: Panels<{ readonly batch: string }>;

  constructor(private readonly services: BatchServices) {
    this.panels = new Panels(
      {
        viewType: viewTypes.batch,
        page: 'batch',
        restoredBy: ['batch'],
        fill: (panel) => void this.restore(panel),
      },
      services,
      columnForAnswers,
    );
  }

  get size(): number {
    return this.panels.size;
  }

  /** Classifies images in a new table; resolves when it is done. */
  async show(images: readonly string[], checkpoint: string): Promise<readonly Classified[]> {
    const { document, dispose } = this.services.documents.acquire(checkpoint);
    try {
      const { recognition } = await withProgress(`Reading ${checkpointLabel(checkpoint)}`, () =>
        document.model(),
      );
      const modelTitle = recognition.family === null ? checkpointLabel(checkpoint) : recognition.title;
      const title = `${images.length} images × ${checkpointLabel(checkpoint)}`;
      const facts = { checkpoint, modelTitle };
      const id = randomUUID();
      const batch = new Batch(images, facts, this.steps(checkpoint, this.filesOf(id)), () => follow.tell());
      const follow = followed(batch);
      let done = Promise.resolve();
      this.panels.create({ batch: id }, (panel) => {
        const run = (): Promise<void> => this.run(batch, checkpoint, panel);
        this.fill(panel, follow.source(run), title);
        panel.own({ dispose: () => batch.cancel() });
        done = run();
      });
      await done;
      return answersOf(batch);
    } finally {
      dispose();
    }
  }

  /**
   * The checkpoint stays open as long as the batch runs; its rows are kept for a reload of the
   * window.
   */
  private async run(batch: Batch, checkpoint: string, panel: BatchPanel): Promise<void> {
    const { documents, log } = this.services;
    const { dispose } = documents.acquire(checkpoint);
    try {
      await batch.run();
      if (!panel.isClosed) await this.keep(panel.subject.batch, batch.state);
      const { rows, done } = batch.state;
      const failed = rows.filter(({ error }) => error !== undefined);
      for (const { image, error } of failed) log.warn(`${image}: ${error}`);
      log.info(
        `${checkpoint}: ${done - failed.length} done, ${failed.length} failed, of ${batch.images.length} images`,
      );
    } finally {
      dispose();
    }
  }

  private steps(checkpoint: string, files: BatchFiles): BatchSteps {
    const { documents, memory, runner } = this.services;
    return {
      thumbnail: (image) => runner.thumbnail(image, thumbnailSide),
      classify: async (image, signal, index) => {
        const { document, dispose } = documents.acquire(checkpoint);
        try {
          const opened = await document.current();
          const report = (): void => undefined;
          const given = memory.given(checkpoint);
          const request = { opened, image, options: given ? { given } : {}, signal, report };
          const { answer, provider, seen } = await runner.classifyForTable(request);
          const used = provider.all.find(({ state }) => state === 'used');
          const [heads, objects, top] = [headGuessesOf(answer), countOf(answer), rankedOf(answer)];
          const kept = await files.keep(index, answer, seen);
          return {
            top,
            ...(ranksAreas(answer) && { scoresAreAreas: true as const }),
            ...(top.length === 0 && objects === undefined && { summary: await summaryOf(answer) }),
            ...(kept.length > 0 && { files: kept }),
            ...(objects !== undefined && { objects }),
            ...(heads && { heads }),
            provider: used?.title ?? provider.used,
          };
        } finally {
          dispose();
        }
      },
    };
  }

  private async restore(panel: BatchPanel): Promise<void> {
    const { batch } = panel.subject;
    if (!batchId.test(batch)) return panel.close();
    try {
      const bytes = await workspace.fs.readFile(this.fileOf(batch));
      const kept = JSON.parse(Buffer.from(bytes).toString('utf8')) as BatchState;
      // Which images a cancelled batch left out went with the window.
      const state = { ...kept, resumable: false };
      this.fill(panel, { state, settled: async () => state, run: async () => undefined });
    } catch (error) {
      // The window was closed while the batch ran: there is nothing to show.
      this.services.log.info(`a table of results is not restored: ${messageOf(error)}`);
      panel.close();
    }
  }

  private fill(panel: BatchPanel, source: BatchSource, title?: string): void {
    panel.own({ dispose: () => void this.forget(panel.subject.batch) });
    fillBatch(panel, source, this.filesOf(panel.subject.batch), this.services, title);
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
    await this.filesOf(id).forget();
  }

  private filesOf(id: string): BatchFiles {
    return new BatchFiles(Uri.joinPath(this.services.storageUri, 'batches', id).fsPath, exportAsks);
  }

  private fileOf(id: string): Uri {
    return Uri.joinPath(this.services.storageUri, 'batches', `${id}.json`);
  }

  dispose(): void {
    this.panels.dispose();
  }
}

/** The first line of what the command line says of an answer. */
async function summaryOf(answer: Answer): Promise<string> {
  const { answerLines } = await import('../../tasks/tasks');
  return (answerLines(answer)[0] ?? '').trim();
}
