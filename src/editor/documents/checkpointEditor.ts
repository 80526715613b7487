import {
  window,
  type CustomDocument,
  type CustomReadonlyEditorProvider,
  type Disposable,
  type Uri,
  type WebviewPanel,
} from 'vscode';
import { viewTypes } from '../../contributions';
import type { InspectorApi, InspectorEvents } from '../../protocol/inspector';
import { serve } from '../pages/connection';
import { Disposables } from '../disposables';
import type { DocumentReference } from './documents';
import { pathOf } from './images';
import { serveInspector } from '../panels/inspectorApi';
import { showPage } from '../pages/page';
import type { Services } from '../services';

/**
 * What VS Code keeps for an open file. A file that lies on no disk has no document; its page says
 * why.
 */
class OpenFile implements CustomDocument {
  constructor(
    readonly uri: Uri,
    readonly reference: DocumentReference | undefined,
  ) {}

  dispose(): void {
    this.reference?.dispose();
  }
}

/** The checkpoint inspector, a read-only custom editor. */
class CheckpointEditor implements CustomReadonlyEditorProvider<OpenFile> {
  constructor(private readonly services: Services) {}

  openCustomDocument(uri: Uri): OpenFile {
    const reference = uri.scheme === 'file' ? this.services.documents.acquire(uri.fsPath) : undefined;
    return new OpenFile(uri, reference);
  }

  resolveCustomEditor({ uri, reference }: OpenFile, panel: WebviewPanel): void {
    const { services } = this;
    showPage(panel.webview, services.extensionUri, 'inspector', 'Checkpoint Inspector', {
      uri: uri.toString(),
    });
    const owned = new Disposables();
    panel.onDidDispose(() => owned.dispose());
    if (reference) owned.add(serveInspector(panel.webview, reference.document, services));
    else
      owned.add(
        serve<Pick<InspectorApi, 'open'>, InspectorEvents>(
          panel.webview,
          { open: async () => refuse(uri) },
          services.log,
        ),
      );
  }
}

function refuse(uri: Uri): never {
  pathOf(uri);
  throw new Error(`${uri.toString()}: cannot be opened`);
}

/**
 * Registers the inspector for the names that open in it by default and for those that only offer
 * it.
 */
export function registerCheckpointEditor(services: Services): readonly Disposable[] {
  const editor = new CheckpointEditor(services);
  const options = { supportsMultipleEditorsPerDocument: true };
  return [viewTypes.checkpoint, viewTypes.checkpointOption].map((viewType) =>
    window.registerCustomEditorProvider(viewType, editor, options),
  );
}
