import type { ProviderView } from '../../tasks/run';
import { window, workspace, type Disposable, type WebviewPanel } from 'vscode';
import { viewTypes, type Classified } from '../../contributions';
import { Disposables } from '../disposables';
import { UserError } from '../dialogue/errors';
import { ImagePanel, type Focus } from './imagePanel';
import { columnForAnswers } from './columns';
import { onSettingChange } from '../registration';
import { registerSerializer } from './serializer';
import type { Services } from '../services';

/** Settings that change an answer. */
const decisive = ['vitrine.provider', 'vitrine.threads', 'vitrine.memoryLimit', 'vitrine.topK'] as const;

/** The open image panels, one per picture and checkpoint; a reload of the window restores them, so the end of the extension host must not close them. */
export class ImagePanels implements Disposable {
  private readonly owned = new Disposables();
  private readonly panels = new Set<ImagePanel>();

  constructor(private readonly services: Services) {
    this.owned.add(
      registerSerializer(viewTypes.image, ['image', 'checkpoint'], ({ image, checkpoint }, panel) => {
        this.attach(image, checkpoint, 'labels', panel);
      }),
    );
    this.owned.add(onSettingChange(decisive, () => this.runAgain()));
    this.owned.add(workspace.onDidGrantWorkspaceTrust(() => this.runAgain()));
  }

  get size(): number {
    return this.panels.size;
  }

  /** Shows a picture's panel beside the editor, in front if it is open, and answers what the model said. */
  show(image: string, checkpoint: string, focus: Focus): Promise<Classified | undefined> {
    const open = this.find(image, checkpoint);
    open?.reveal(focus);
    return (open ?? this.create(image, checkpoint, focus)).nextAnswer();
  }

  /** Switches the panel that the user works in to another checkpoint; the others keep theirs. */
  use(checkpoint: string): void {
    for (const panel of this.panels) if (panel.isActive) panel.use(checkpoint);
  }

  /**
   * Checks the GPU once more on the picture in front, or on another that is open. Throws a `UserError` where no picture has been
   * classified yet.
   */
  async checkProviders(signal: AbortSignal): Promise<readonly ProviderView[]> {
    const answered = [...this.panels].filter((panel) => panel.isAnswered);
    const panel = answered.find(({ isActive }) => isActive) ?? answered.at(-1);
    if (!panel) throw new UserError('Classify a picture first: the GPU is checked on it.');
    return panel.checkProviders(signal);
  }

  private runAgain(): void {
    for (const panel of this.panels) panel.runAgain();
  }

  private find(image: string, checkpoint: string): ImagePanel | undefined {
    return [...this.panels].find((panel) => panel.image === image && panel.checkpoint === checkpoint);
  }

  private create(image: string, checkpoint: string, focus: Focus): ImagePanel {
    const panel = window.createWebviewPanel(viewTypes.image, '', columnForAnswers());
    return this.attach(image, checkpoint, focus, panel);
  }

  private attach(image: string, checkpoint: string, focus: Focus, panel: WebviewPanel): ImagePanel {
    const added = new ImagePanel(image, checkpoint, focus, panel, this.services);
    this.panels.add(added);
    added.onDidDispose(() => this.panels.delete(added));
    return added;
  }

  dispose(): void {
    this.owned.dispose();
  }
}
