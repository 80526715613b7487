import { commands, Uri, type ExtensionContext } from 'vscode';
import { BatchPanels } from './panels/batchPanels';
import { Checkpoints } from './documents/checkpoints';
import { createComplexityPanels, type ComplexityPanels } from './panels/complexityPanels';
import type { Disposables } from './disposables';
import { Documents } from './documents/documents';
import { viewTypes } from '../contributions';
import { ImagePanels } from './panels/imagePanels';
import { createLog, type Log } from './log';
import { WorkspaceMemory } from './documents/memory';
import { followTask } from './documents/taskContext';
import { Reveals } from './panels/reveals';
import { withProgress } from './dialogue/progress';
import { Runner } from './runner';
import { Trials } from '../useCases/trials';
import { TextPanels } from './panels/textPanels';

/**
 * What views and commands share, put together in this one place: panels state what they need of it,
 * and know nothing of each other. Everything heavy behind it is loaded when it is first asked for.
 */
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
  readonly texts: TextPanels;
  readonly reports: ComplexityPanels;
  /** What views ask the inspector to show. */
  readonly reveals: Reveals;
  /** Opens a checkpoint in the inspector, at a module if one is named. */
  inspect(path: string, module?: string): Promise<void>;
  /** Starts what an image will need, while it and its checkpoint are looked for. */
  warmUp(): void;
}

/** Builds the services; `owned` ends them in reverse order. */
export function createServices(context: ExtensionContext, owned: Disposables): Services {
  const { extensionUri, globalState, workspaceState } = context;
  const log = owned.add(createLog());
  const memory = new WorkspaceMemory(workspaceState);
  const trials = owned.add(new Trials(Uri.joinPath(extensionUri, 'dist', 'understand.js').fsPath));
  const documents = owned.add(new Documents(memory, log, (asked) => trials.try(asked)));
  const checkpoints = owned.add(new Checkpoints(memory, log));
  const runner = owned.add(new Runner(extensionUri, globalState, log));
  owned.add(followTask({ memory, checkpoints, documents, log }));
  const reveals = owned.add(new Reveals());
  const base = {
    extensionUri,
    storageUri: context.storageUri ?? context.globalStorageUri,
    log,
    memory,
    documents,
    checkpoints,
    runner,
    reveals,
    inspect: (path: string, module?: string) => inspect(path, { documents, reveals }, module),
  };
  const images = owned.add(new ImagePanels(base));
  const openImage = (image: string, checkpoint: string): void =>
    void images.show(image, checkpoint, 'labels');
  return {
    ...base,
    images,
    warmUp() {
      runner.warmUp();
      trials.warmUp();
      Documents.warmUp();
    },
    batches: owned.add(new BatchPanels({ ...base, openImage })),
    texts: owned.add(new TextPanels(base)),
    reports: owned.add(createComplexityPanels(base)),
  };
}

/** A folder opens as the file that was chosen in it. */
async function inspect(
  path: string,
  { documents, reveals }: Pick<Services, 'documents' | 'reveals'>,
  module?: string,
): Promise<void> {
  const { document, dispose } = documents.acquire(path);
  try {
    const { checkpoint } = await withProgress(`Reading ${path}`, () => document.model());
    if (module !== undefined) reveals.ask(checkpoint.file, module);
    await commands.executeCommand('vscode.openWith', Uri.file(checkpoint.file), viewTypes.checkpoint);
  } finally {
    dispose();
  }
}
