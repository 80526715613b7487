import { window, type Disposable, type WebviewPanel } from 'vscode';
import type { SavedState } from '../../protocol/page';

/**
 * Restores panels of a kind after a reload from the subject that their page kept. A subject without one of the keys (written by
 * another version) closes the panel: an empty one would only be in the way.
 */
export function registerSerializer<Key extends string>(
  viewType: string,
  keys: readonly Key[],
  restore: (subject: Readonly<Record<Key, string>>, panel: WebviewPanel) => void,
): Disposable {
  return window.registerWebviewPanelSerializer(viewType, {
    async deserializeWebviewPanel(panel, state: Partial<SavedState> | undefined) {
      const subject = (state?.subject ?? {}) as Readonly<Record<Key, unknown>>;
      if (hasText(subject, keys)) restore(subject, panel);
      else panel.dispose();
    },
  });
}

function hasText<Key extends string>(
  subject: Readonly<Record<Key, unknown>>,
  keys: readonly Key[],
): subject is Readonly<Record<Key, string>> {
  return keys.every((key) => typeof subject[key] === 'string');
}
