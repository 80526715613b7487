import { workspace, type Disposable } from 'vscode';
import { viewTypes, type Classified } from '../../contributions';
import type { ProviderView } from '../../tasks/run';
import { UserError } from '../dialogue/errors';
import { Disposables } from '../disposables';
import { onSettingChange } from '../registration';
import { columnForAnswers } from './columns';
import { ImagePanel, type Focus, type ImageServices, type ImageSubject } from './imagePanel';
import { Panels } from './panels';

/** Settings that change an answer. */
const decisive = ['vitrine.provider', 'vitrine.threads', 'vitrine.memoryLimit', 'vitrine.topK'] as const;

/** The open image panels, one per image and checkpoint. */
export class ImagePanels implements Disposable {
  private readonly owned = new Disposables();
  private readonly panels: Panels<ImageSubject, ImagePanel>;

  constructor(services: ImageServices) {
    this.panels = this.owned.add(
      new Panels(
        {
          viewType: viewTypes.image,
          page: 'image',
          restoredBy: ['image', 'checkpoint'],
          fill: (panel) => new ImagePanel(panel, services),
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

  /**
   * Shows an image's panel beside the editor, in front if it is open, and answers what the model
   * said.
   */
  show(image: string, checkpoint: string, focus: Focus, layer?: string): Promise<Classified | undefined> {
    const panel = this.panels.show({ image, checkpoint });
    panel.show(focus, layer);
    panel.runAhead();
    return panel.nextAnswer();
  }

  /**
   * Shows a layer's attention in a panel that looks with this weight file, the one in front before
   * others; false if none does.
   */
  async showLayer(file: string, layer: string): Promise<boolean> {
    const { active, views } = this.panels;
    const ordered = active ? [active, ...views.filter((view) => view !== active)] : views.toReversed();
    for (const panel of ordered) {
      if ((await panel.file().catch(() => '')) !== file) continue;
      this.panels.show({ image: panel.image, checkpoint: panel.checkpoint }).show('attention', layer);
      return true;
    }
    return false;
  }

  /** Switches the panel that the user works in to another checkpoint; the others keep theirs. */
  use(checkpoint: string): void {
    this.panels.active?.use(checkpoint);
  }

  /**
   * Checks the GPU once more on the image in front, or on another that is open. Throws a
   * `UserError` if no image has been classified yet.
   */
  async checkProviders(signal: AbortSignal): Promise<readonly ProviderView[]> {
    const answered = this.panels.views.filter((panel) => panel.isAnswered);
    const panel = answered.find((one) => one === this.panels.active) ?? answered.at(-1);
    if (!panel) throw new UserError('Classify an image first: the GPU is checked on it.');
    return panel.checkProviders(signal);
  }

  private runAgain(): void {
    for (const panel of this.panels.views) panel.runAgain();
  }

  dispose(): void {
    this.owned.dispose();
  }
}
