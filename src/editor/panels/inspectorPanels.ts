import {
  ViewColumn,
  window,
  type CustomDocument,
  type CustomReadonlyEditorProvider,
  type Disposable,
  type Uri,
  type WebviewPanel,
} from 'vscode';
import { viewTypes } from '../../contributions';
import type { InspectorApi, InspectorEvents } from '../../protocol/inspector';
import type { DocumentReference } from '../documents/documents';
import { pathOf } from '../documents/images';
import { serve } from '../pages/connection';
import { serveInspector, type InspectorServices } from './inspectorApi';
import { Panels } from './panels';

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

/**
 * The checkpoint inspector, a read-only custom editor: VS Code makes its panels and restores them.
 */
class CheckpointEditor implements CustomReadonlyEditorProvider<OpenFile> {
  private readonly panels: Panels<{ readonly uri: string }>;

  constructor(private readonly services: InspectorServices) {
    const kind = {
      viewType: viewTypes.checkpoint,
      page: 'inspector',
      restoredBy: [],
      fill: () => undefined,
    } as const;
    this.panels = new Panels<{ readonly uri: string }>(kind, services, () => ViewColumn.Active);
  }

  openCustomDocument(uri: Uri): OpenFile {
    const reference = uri.scheme === 'file' ? this.services.documents.acquire(uri.fsPath) : undefined;
    return new OpenFile(uri, reference);
  }

  resolveCustomEditor({ uri, reference }: OpenFile, webviewPanel: WebviewPanel): void {
    const { services } = this;
    this.panels.adopt(webviewPanel, { uri: uri.toString() }, (panel) => {
      const page = panel.load(panel.subject);
      if (reference) page.add(serveInspector(panel.webview, reference.document, services));
      else {
        const refusing: Pick<InspectorApi, 'open'> = { open: async () => refuse(uri) };
        page.add(serve<typeof refusing, InspectorEvents>(panel.webview, refusing, services.log));
      }
    });
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
export function registerCheckpointEditor(services: InspectorServices): readonly Disposable[] {
  const editor = new CheckpointEditor(services);
  const options = { supportsMultipleEditorsPerDocument: true };
  return [viewTypes.checkpoint, viewTypes.checkpointOption].map((viewType) =>
    window.registerCustomEditorProvider(viewType, editor, options),
  );
}
