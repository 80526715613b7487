import { stat } from 'node:fs/promises';
import { window, type QuickPick, type QuickPickItem } from 'vscode';
import { messageOf } from '../dialogue/errors';

/** A line of the list: a checkpoint, or the way to any other file. */
export interface Choice extends QuickPickItem {
  readonly path?: string;
  readonly browse?: true;
}

/** Milliseconds between two redraws of the list while facts arrive. */
const interval = 120;
/** Checkpoints of which the headers are read at the same time. */
const atOnce = 2;

/** Facts by path and state of the file, so that a list that is opened again has them at once. */
const known = new Map<string, string>();

/**
 * Shows a list of checkpoints at once, and says of each what it is as its header is read.
 * Undefined if the user turned away.
 */
export function pickCheckpoint(
  choices: Promise<readonly Choice[]>,
  placeholder: string,
): Promise<Choice | undefined> {
  const pick = window.createQuickPick<Choice>();
  Object.assign(pick, { title: 'Checkpoint', placeholder, matchOnDescription: true, matchOnDetail: true });
  pick.keepScrollPosition = true;
  pick.busy = true;
  const state = { isOpen: true };
  pick.show();
  return new Promise((resolve, reject) => {
    choices.then((found) => describe(pick, found, state)).catch(reject);
    pick.onDidAccept(() => {
      resolve(pick.selectedItems[0]);
      pick.hide();
    });
    pick.onDidHide(() => {
      state.isOpen = false;
      pick.dispose();
      resolve(undefined);
    });
  });
}

/** Fills the list, and each line as what it is about becomes known. */
async function describe(
  pick: QuickPick<Choice>,
  choices: readonly Choice[],
  state: { readonly isOpen: boolean },
): Promise<void> {
  // Lines keep their height when the facts come.
  const items = choices.map((choice) => (choice.path === undefined ? choice : { detail: '…', ...choice }));
  let drawnAt = 0;
  const draw = (): void => {
    if (!state.isOpen) return;
    const active = pick.activeItems[0]?.path;
    pick.items = items;
    const again = items.find(({ path }) => path !== undefined && path === active);
    if (again) pick.activeItems = [again];
    drawnAt = performance.now();
  };
  draw();
  const waiting = items.flatMap(({ path }, index) => (path === undefined ? [] : [[index, path] as const]));
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next && state.isOpen; next = waiting.shift()) {
      const [index, path] = next;
      const before = items[index];
      if (before) items[index] = { ...before, detail: await factsOf(path) };
      if (performance.now() - drawnAt > interval) draw();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  draw();
  if (state.isOpen) pick.busy = false;
}

async function factsOf(path: string): Promise<string> {
  const file = await stat(path).catch(() => undefined);
  const key = `${path} ${file?.size} ${file?.mtimeMs}`;
  const facts = known.get(key) ?? (await readFacts(path));
  // What lies in a folder may change without it.
  if (file?.isFile()) known.set(key, facts);
  return facts;
}

async function readFacts(path: string): Promise<string> {
  try {
    const { checkpointFacts } = await import('../../useCases/facts');
    return await checkpointFacts(path);
  } catch (error) {
    return `cannot be opened: ${messageOf(error)}`;
  }
}
