import { Uri, window } from 'vscode';
import type { ExportAsks } from '../panels/batchFiles';
import { askWhereToSave } from './saving';

/** Files that a question names before it counts the rest. */
const named = 3;

/** Asks before files are replaced; true if they may be. */
export async function askToReplace(names: readonly string[]): Promise<boolean> {
  const replace = 'Replace';
  const more = names.length > named ? ` and ${names.length - named} more` : '';
  const chosen = await window.showWarningMessage(
    `${names.slice(0, named).join(', ')}${more} ${names.length === 1 ? 'is' : 'are'} already there.`,
    { modal: true },
    replace,
  );
  return chosen === replace;
}

/** Asks for a folder that files are written into; undefined if the dialog is closed. */
export async function askForFolder(near: string, title: string): Promise<string | undefined> {
  const [folder] =
    (await window.showOpenDialog({
      canSelectFiles: false,
      canSelectFolders: true,
      defaultUri: Uri.file(near),
      openLabel: 'Export Here',
      title,
    })) ?? [];
  return folder?.fsPath;
}

/** What a table's export asks of the user. */
export const exportAsks: ExportAsks = {
  file: async (near, name) => (await askWhereToSave(near, name))?.fsPath,
  folder: askForFolder,
  mayReplace: askToReplace,
  warn: (text) => void window.showWarningMessage(text),
};
