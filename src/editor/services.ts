import { commands, Uri, type ExtensionContext } from 'vscode';
import { BatchPanels } from './panels/batchPanels';
import { Checkpoints } from './documents/checkpoints';
import { ComplexityPanels } from './panels/complexityPanel';
import type { Disposables } from './disposables';
import { Documents } from './documents/documents';
import { viewTypes } from '../contributions';
import { ImagePanels } from './panels/imagePanels';
import { createLog, type Log } from './log';
import { WorkspaceMemory } from './documents/memory';
import { withProgress } from './dialogue/progress';
import { Runner } from './runner';

/** What views and commands share. Everything heavy behind it is loaded when it is first asked for. */
export interface Services {
  readonly extensionUri: Uri;
  /** Where results of batches are kept for a reload. */
  readonly storageUri: Uri;
  readonly log: Log;
  readonly memory: WorkspaceMemory;
  readonly documents: Documents;
  readonly checkpoints: Checkpoints;
  readonly runner: Runner;
  readonly images: ImagePanels;
  readonly batches: BatchPanels;
  readonly reports: ComplexityPanels;
  /** Opens a checkpoint in the inspector. */
  inspect(path: string): Promise<void>;
}

/** Builds the services; `owned` ends them in reverse order. */
export function createServices(context: ExtensionContext, owned: Disposables): Services {
  const { extensionUri, globalState, workspaceState } = context;
  const log = owned.add(createLog());
  const memory = new WorkspaceMemory(workspaceState);
  const documents = owned.add(new Documents(memory, log));
  const base = {
    extensionUri,
    storageUri: context.storageUri ?? context.globalStorageUri,
    log,
    memory,
    documents,
    checkpoints: owned.add(new Checkpoints(memory, log)),
    runner: owned.add(new Runner(extensionUri, globalState, log)),
    inspect: (path: string) => inspect(path, documents),
  };
  // Panels open other panels (a row of a batch opens its picture), so they get the finished record.
  const services = base as Services;
  return Object.assign(services, {
    images: owned.add(new ImagePanels(services)),
    batches: owned.add(new BatchPanels(services)),
    reports: owned.add(new ComplexityPanels(services)),
  });
}

/** A folder opens as the file that was chosen in it. */
async function inspect(path: string, documents: Documents): Promise<void> {
  const { document, dispose } = documents.acquire(path);
  try {
    const { checkpoint } = await withProgress(`Reading ${path}`, () => document.model());
    await commands.executeCommand('vscode.openWith', Uri.file(checkpoint.file), viewTypes.checkpoint);
  } finally {
    dispose();
  }
}
