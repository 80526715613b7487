import { window } from 'vscode';
import { Cancelled } from '../dialogue/errors';
import type { Added } from './memory';

interface Asked {
  readonly title: string;
  readonly openLabel: string;
  readonly folder: string;
  /** Without one only folders are taken. */
  readonly file?: string;
  readonly filters?: Readonly<Record<string, string[]>>;
}

/** What can be read with a checkpoint, and how it is asked for. */
const asked: Readonly<Record<keyof Added, Asked>> = {
  adapter: {
    title: 'Apply a LoRA Adapter: the Folder with adapter_config.json',
    openLabel: 'Apply',
    folder: '',
  },
  classes: {
    title: 'Take Class Names From',
    openLabel: 'Take Names',
    folder: 'Sub-Folders of a Data Set…',
    file: 'File: classes.txt, labels.json …',
    filters: { 'Class Names': ['txt', 'json', 'names'], 'All Files': ['*'] },
  },
};

const without = 'Without It Again';

/**
 * Asks for what is added to a checkpoint; undefined to take it off again, which is offered of what
 * is `current`. Throws `Cancelled`.
 */
export async function askForAdded(what: keyof Added, current?: string): Promise<string | undefined> {
  const { title, folder, file } = asked[what];
  const ways = [folder || 'Choose a Folder…', ...(file === undefined ? [] : [file])];
  const choices = [...ways, ...(current === undefined ? [] : [without])];
  const chosen =
    choices.length === 1 ? choices[0] : await window.showQuickPick(choices, { title, placeHolder: current });
  if (chosen === undefined) throw new Cancelled();
  return chosen === without ? undefined : browse(asked[what], chosen === file);
}

async function browse({ title, openLabel, filters }: Asked, files: boolean): Promise<string> {
  const picked = await window.showOpenDialog({
    title,
    openLabel,
    canSelectFiles: files,
    canSelectFolders: !files,
    ...(files && filters && { filters }),
  });
  if (!picked?.[0]) throw new Cancelled();
  return picked[0].fsPath;
}
