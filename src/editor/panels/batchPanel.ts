import { dirname } from 'node:path';
import type { Classified } from '../../contributions';
import type { CallContext } from '../../protocol/channel';
import type { BatchApi, BatchState } from '../../protocol/batch';
import type { Batch } from './batch';
import type { BatchFiles } from './batchFiles';
import { serve } from '../pages/connection';
import { perform } from '../dialogue/notices';
import type { Panel, PanelServices } from './panels';
import { saveAndOpen } from '../dialogue/saving';

/**
 * Where the rows of a table come from: a batch that runs, or what one left before the window was
 * reloaded.
 */
export interface BatchSource {
  readonly state: BatchState;
  /** The state; of a batch that was just cancelled as soon as it has ended. */
  settled(): Promise<BatchState>;
  /** As `BatchApi.run`. */
  run(known: number, call: CallContext<BatchState>): Promise<void>;
}

/** Opens the panel of an image and does not wait for its answer, which belongs to that panel. */
export type OpenImage = (image: string, checkpoint: string) => void;

/**
 * A batch as pages follow it, each from the rows on that it has; `tell` is called when there are
 * more.
 */
export function followed(batch: Batch) {
  const followers = new Set<() => void>();
  return {
    tell: (): void => followers.forEach((hear) => hear()),
    source: (run: () => Promise<void>): BatchSource => ({
      get state() {
        return batch.state;
      },
      settled: () => batch.settled(),
      async run(known, { signal, progress }) {
        let told = known;
        const hear = (): void => {
          const { state } = batch;
          progress({ ...state, rows: state.rows.slice(told) });
          told = state.rows.length;
        };
        const cancel = (): void => batch.cancel();
        followers.add(hear);
        signal.addEventListener('abort', cancel, { once: true });
        try {
          await run();
        } finally {
          followers.delete(hear);
          signal.removeEventListener('abort', cancel);
        }
        hear();
      },
    }),
  };
}

const writers = {
  csv: async (state: BatchState) => (await import('./batchExport')).batchCsv(state),
  json: async (state: BatchState) => (await import('./batchExport')).batchJson(state),
} as const;

/** Fills a panel with a table of results. */
export function fillBatch(
  panel: Panel<{ readonly batch: string }>,
  source: BatchSource,
  files: BatchFiles,
  services: PanelServices & { readonly openImage: OpenImage },
  title?: string,
): void {
  const api: BatchApi = {
    open: () => source.settled(),
    run: (known, call) => source.run(known, call),
    openRow: async (index) => {
      const { checkpoint, rows } = source.state;
      const row = rows.find((candidate) => candidate.index === index);
      if (row) services.openImage(row.image, checkpoint);
    },
    export: async (format) => {
      const { state } = source;
      return saveAndOpen(folderOf(state), `results.${format}`, await writers[format](state));
    },
    exportFiles: (ending) => files.export(source.state, ending),
    perform,
  };
  panel.load(panel.subject, title).add(serve<BatchApi, object>(panel.webview, api, services.log));
}

const folderOf = ({ rows, checkpoint }: BatchState): string => rows[0]?.image ?? dirname(checkpoint);

/** What the rows of a finished batch say to whoever called the command. */
export function answersOf({ state }: Batch): readonly Classified[] {
  const { checkpoint, provider, rows } = state;
  return rows
    .filter(({ error }) => error === undefined)
    .map(({ image, top }) => ({ image, checkpoint, provider, top }));
}
