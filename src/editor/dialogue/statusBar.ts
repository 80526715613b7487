import { StatusBarAlignment, TabInputCustom, window, type Disposable } from 'vscode';
import { checkpointLabel } from '../documents/checkpointEntries';
import type { Checkpoints } from '../documents/checkpoints';
import { isAnswer } from '../panels/columns';
import { Disposables } from '../disposables';
import { isImage } from '../documents/images';

/**
 * Shows which checkpoint images are classified with, while an image or its answer is looked at;
 * a click changes it.
 */
export function createStatusBar(checkpoints: Checkpoints): Disposable {
  const owned = new Disposables();
  const item = owned.add(window.createStatusBarItem('vitrine.checkpoint', StatusBarAlignment.Right, 100));
  item.name = 'Vitrine: Checkpoint';
  item.command = 'vitrine.chooseCheckpoint';
  const update = (): void => {
    const { chosen } = checkpoints;
    if (chosen === undefined || !concernsImages()) return item.hide();
    const label = checkpointLabel(chosen);
    item.text = `$(symbol-structure) ${label}`;
    item.tooltip = `Images are classified with ${chosen}. Click to choose another checkpoint.`;
    item.accessibilityInformation = { label: `Checkpoint ${label}, choose another`, role: 'button' };
    item.show();
  };
  owned.add(checkpoints.onDidChoose(update));
  owned.add(window.tabGroups.onDidChangeTabs(update));
  owned.add(window.tabGroups.onDidChangeTabGroups(update));
  update();
  return owned;
}

function concernsImages(): boolean {
  const input: unknown = window.tabGroups.activeTabGroup.activeTab?.input;
  return isAnswer(input) || (input instanceof TabInputCustom && isImage(input.uri.fsPath));
}
