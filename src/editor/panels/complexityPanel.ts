import { ViewColumn, window, type Disposable, type WebviewPanel } from 'vscode';
import { viewTypes } from '../../contributions';
import { checkpointLabel } from '../documents/checkpointEntries';
import { Disposables } from '../disposables';
import { serveInspector } from './inspectorApi';
import { showIcon, showPage } from '../pages/page';
import { registerSerializer } from './serializer';
import type { Services } from '../services';

/** Complexity reports, one panel per checkpoint; a reload of the window restores them. */
export class ComplexityPanels implements Disposable {
  private readonly owned = new Disposables();
  private readonly panels = new Map<string, WebviewPanel>();

  constructor(private readonly services: Services) {
    this.owned.add(
      registerSerializer(viewTypes.complexity, ['checkpoint'], ({ checkpoint }, panel) =>
        this.attach(checkpoint, panel),
      ),
    );
  }

  get size(): number {
    return this.panels.size;
  }

  /** Shows the report of a checkpoint, in front if it is open. */
  show(checkpoint: string): void {
    const open = this.panels.get(checkpoint);
    if (open) return open.reveal();
    const panel = window.createWebviewPanel(viewTypes.complexity, '', ViewColumn.Active);
    this.attach(checkpoint, panel);
  }

  private attach(checkpoint: string, panel: WebviewPanel): void {
    const owned = new Disposables();
    const { document } = owned.add(this.services.documents.acquire(checkpoint));
    this.panels.set(checkpoint, panel);
    panel.onDidDispose(() => {
      this.panels.delete(checkpoint);
      owned.dispose();
    });
    showIcon(panel, this.services.extensionUri);
    panel.title = `Complexity: ${checkpointLabel(checkpoint)}`;
    showPage(panel.webview, this.services.extensionUri, 'complexity', panel.title, { checkpoint });
    owned.add(serveInspector(panel.webview, document, this.services));
  }

  dispose(): void {
    this.owned.dispose();
  }
}
