import { headerKey } from '../../checkpoint/header';
import { commands, Uri, workspace, type Disposable, type Webview } from 'vscode';
import type { Model } from '../../models/model';
import { pack, type Packed } from '../../protocol/packed';
import { ownTensors } from '../../models/ownTensors';
import type {
  Addable,
  InspectorAction,
  InspectorApi,
  InspectorEvents,
  InspectorModel,
} from '../../protocol/inspector';
import { Cancelled } from '../dialogue/errors';
import { askForAdded } from '../documents/added';
import { checkpointLabel } from '../documents/checkpointEntries';
import type { CheckpointDocument } from '../documents/checkpointDocument';
import { serve } from '../pages/connection';
import { Disposables } from '../disposables';
import type { Documents } from '../documents/documents';
import type { WorkspaceMemory } from '../documents/memory';
import { perform, restricted } from '../dialogue/notices';
import { copyText, saveAndOpen } from '../dialogue/saving';
import type { Reveals } from './reveals';
import type { PanelServices } from './panels';

/** What a page about a checkpoint needs of the extension. */
export interface InspectorServices extends PanelServices {
  readonly documents: Pick<Documents, 'acquire'>;
  readonly memory: Pick<WorkspaceMemory, 'assumptions' | 'added'>;
  readonly checkpoints: { choose(path: string): Promise<string> };
  readonly reveals: Pick<Reveals, 'take' | 'onDidAsk'>;
}

type Action = (path: string, services: InspectorServices) => Promise<unknown>;

/** What the page's buttons do; the commands say themselves what went wrong. */
const actions: Readonly<Record<InspectorAction, Action>> = {
  classify: async (path, { checkpoints }) => {
    await checkpoints.choose(path);
    await commands.executeCommand('vitrine.classifyImage');
  },
  write: async (path) => commands.executeCommand('vitrine.translateText', Uri.file(path)),
  complexity: async (path) => commands.executeCommand('vitrine.complexityReport', Uri.file(path)),
  exportOnnx: async (path) => commands.executeCommand('vitrine.exportOnnx', Uri.file(path)),
  showLog: () => perform('showLog'),
  manageTrust: () => perform('manageTrust'),
  revealFile: async (path) => commands.executeCommand('revealInExplorer', Uri.file(path)),
};

/**
 * Answers a page that shows a checkpoint, the inspector or the complexity report, and tells it when
 * the file or the assumptions change. The analysis is loaded with the first question.
 */
export function serveInspector(
  webview: Webview,
  document: CheckpointDocument,
  services: InspectorServices,
): Disposable {
  const owned = new Disposables();
  const { tell } = owned.add(
    serve<InspectorApi, InspectorEvents>(webview, createApi(document, services), services.log),
  );
  const changed = async (model: Model): Promise<void> => tell.changed(await viewOf(model, services));
  owned.add(document.onDidChange((model) => void changed(model)));
  owned.add(document.onDidGoStale(() => tell.stale()));
  owned.add(services.reveals.onDidAsk((file) => file === document.path && tell.revealed()));
  owned.add(workspace.onDidGrantWorkspaceTrust(async () => changed(await document.model())));
  return owned;
}

function createApi(document: CheckpointDocument, services: InspectorServices): InspectorApi {
  const { path } = document;
  const first = viewAhead(document, services);
  return {
    open: async ({ signal }) => {
      const model = await document.model(signal);
      return (await first(model)) ?? viewOf(model, services);
    },
    assume: async (key, value) => viewOf(await document.assume(key, value), services),
    chooseStateDict: async (name) => viewOf(await document.chooseStateDict(name), services),
    readAs: async (mapping) => viewOf(await document.readAs(mapping), services),
    add: async (what) => viewOf(await add(document, what, services), services),
    remove: async (what) => viewOf(await document.add({ [what]: undefined }), services),
    reload: async ({ signal }) => viewOf(await document.reload(signal), services),
    tensorValues: async (tensor, first, count) =>
      (await analysis()).tensorValues(await document.model(), tensor, first, count),
    besideFiles: async () => (await analysis()).besideFiles((await document.model()).checkpoint),
    takeRevealed: async () => services.reveals.take(path),
    revealModule: async (module) => {
      await commands.executeCommand('vitrine.revealModule', Uri.file(path), module);
    },
    showAttention: async (layer) => {
      await commands.executeCommand('vitrine.showLayer', Uri.file(path), layer);
    },
    complexity: async (asked) => (await analysis()).report(await document.model(), asked),
    operatorUses: async (operator, asked) =>
      (await analysis()).findUses(await document.model(), operator, asked),
    operatorsIn: async (module, part) =>
      (await analysis()).findOperators(await document.model(), module, part ?? undefined),
    scaling: async (lengths) => (await analysis()).scale(await document.model(), lengths),
    perform: async (action) => void (await actions[action](path, services)),
    copy: copyText,
    save: (suggestedName, content) => saveAndOpen(path, suggestedName, content),
    exportReport: async (format, asked) => {
      const { report, reportFile } = await analysis();
      const model = await document.model();
      const { extension, content } = reportFile(model, format, report(model, asked));
      return saveAndOpen(path, `${checkpointLabel(path)}-complexity.${extension}`, content);
    },
  };
}

const analysis = () => import('../analysis');

/** Asks what to add; whoever closes the dialog is shown the model as it was. */
async function add(
  document: CheckpointDocument,
  what: Addable,
  { memory }: InspectorServices,
): Promise<Model> {
  const model = await document.model();
  try {
    const path = await askForAdded(what, memory.added(model.checkpoint.file)[what]);
    return await document.add({ [what]: path });
  } catch (error) {
    if (error instanceof Cancelled) return model;
    throw error;
  }
}

/**
 * Reads the file and makes the first view while the page loads, which takes as long. Answers it
 * once, if it is of that model; a failure is left to the page's own question.
 */
function viewAhead(
  document: CheckpointDocument,
  services: InspectorServices,
): (model: Model) => Promise<Packed<InspectorModel> | undefined> {
  void analysis();
  const made = document.model().then(
    async (model) => ({ model, view: await viewOf(model, services) }),
    () => undefined,
  );
  let asked = false;
  return async (model) => {
    if (asked) return undefined;
    asked = true;
    const ahead = await made;
    return ahead?.model === model ? ahead.view : undefined;
  };
}

async function viewOf(model: Model, { memory }: InspectorServices): Promise<Packed<InspectorModel>> {
  const { inspect } = await analysis();
  const assumptions = memory.assumptions(headerKey(ownTensors(model)));
  const added = memory.added(model.checkpoint.file);
  const view = inspect(model, { assumptions, added }, workspace.isTrusted ? '' : restricted);
  const label = checkpointLabel(view.path);
  return pack({ ...view, folder: label === view.fileName ? '' : label });
}
