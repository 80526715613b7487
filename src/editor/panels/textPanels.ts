import { workspace, type Disposable } from 'vscode';
import { viewTypes } from '../../contributions';
import { Disposables } from '../disposables';
import { onSettingChange } from '../registration';
import { columnForAnswers } from './columns';
import { Panels } from './panels';
import { TextPanel, type TextServices, type TextSubject } from './textPanel';

/** Settings that change an answer. */
const decisive = ['vitrine.threads', 'vitrine.memoryLimit'] as const;

/** The open panels of checkpoints that read texts, one each. */
export class TextPanels implements Disposable {
  private readonly owned = new Disposables();
  private readonly panels: Panels<TextSubject, TextPanel>;

  constructor(services: TextServices) {
    this.panels = this.owned.add(
      new Panels(
        {
          viewType: viewTypes.text,
          page: 'text',
          restoredBy: ['checkpoint'],
          fill: (panel) => new TextPanel(panel, services),
        },
        services,
        columnForAnswers,
      ),
    );
    this.owned.add(onSettingChange(decisive, () => this.runAgain()));
    this.owned.add(workspace.onDidGrantWorkspaceTrust(() => this.runAgain()));
  }

  get size(): number {
    return this.panels.size;
  }

  /** Brings a checkpoint's panel to the front, at a layer if one is named, or opens one. */
  show(checkpoint: string, layer?: string): void {
    this.panels.show({ checkpoint }).show(layer);
  }

  private runAgain(): void {
    for (const panel of this.panels.views) panel.runAgain();
  }

  dispose(): void {
    this.owned.dispose();
  }
}
