import { dirname } from 'node:path';
import type { WebviewPanel } from 'vscode';
import type { Classified } from '../../contributions';
import type { BatchApi, BatchEvents, BatchState } from '../../protocol/batch';
import type { Batch } from './batch';
import { serve } from '../pages/connection';
import { Disposables } from '../disposables';
import { perform } from '../dialogue/notices';
import { showIcon, showPage } from '../pages/page';
import { saveAndOpen } from '../dialogue/saving';
import type { Services } from '../services';

/** Where the rows of a table come from: a batch that runs, or what one left before the window was reloaded. */
export interface BatchSource {
  readonly state: BatchState;
  cancel(): void;
  resume(): void;
}

const writers = {
  csv: async (state: BatchState) => (await import('./batchExport')).batchCsv(state),
  json: async (state: BatchState) => (await import('./batchExport')).batchJson(state),
} as const;

/** Shows a table of results. Answers a function that hands the page new rows. */
export function showBatch(
  panel: WebviewPanel,
  id: string,
  source: () => BatchSource,
  services: Services,
): (state: BatchState) => void {
  const owned = new Disposables();
  panel.onDidDispose(() => owned.dispose());
  const api: BatchApi = {
    open: async () => source().state,
    cancel: async () => source().cancel(),
    resume: async () => source().resume(),
    openRow: async (index) => {
      const { checkpoint, rows } = source().state;
      const row = rows.find((candidate) => candidate.index === index);
      // Not awaited: the answer belongs to the picture's own panel.
      if (row) void services.images.show(row.image, checkpoint, 'labels');
    },
    export: async (format) => {
      const { state } = source();
      return saveAndOpen(folderOf(state), `results.${format}`, await writers[format](state));
    },
    perform,
  };
  const { tell } = owned.add(serve<BatchApi, BatchEvents>(panel.webview, api, services.log));
  showIcon(panel, services.extensionUri);
  showPage(panel.webview, services.extensionUri, 'batch', panel.title, { batch: id });
  return (state) => tell.progress(state);
}

const folderOf = ({ rows, checkpoint }: BatchState): string => rows[0]?.image ?? dirname(checkpoint);

/** What the rows of a finished batch say to whoever called the command. */
export function answersOf({ state }: Batch): readonly Classified[] {
  const { checkpoint, provider, rows } = state;
  return rows
    .filter(({ error }) => error === undefined)
    .map(({ image, top }) => ({ image, checkpoint, provider, top }));
}
