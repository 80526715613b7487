import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { EventEmitter, RelativePattern, Uri, window, workspace, type Disposable } from 'vscode';
import { checkpointExtensions, contextKeys } from '../../contributions';
import { checkpointEntries, searchedNames, type CheckpointEntry } from './checkpointEntries';
import { pickCheckpoint, type Choice } from './checkpointPick';
import { Cancelled } from '../dialogue/errors';
import type { Log } from '../log';
import type { WorkspaceMemory } from './memory';
import { withProgress } from '../dialogue/progress';
import { readSetting, setContext } from '../registration';

/**
 * Files looked at per search; a workspace with more is searched by naming folders in the settings.
 */
const maximum = 2000;
const excluded = '**/{node_modules,.git}/**';

/** The checkpoints of the workspace and which of them images are classified with. */
export class Checkpoints implements Disposable {
  private readonly emitter = new EventEmitter<string | undefined>();
  readonly onDidChoose = this.emitter.event;

  constructor(
    private readonly memory: WorkspaceMemory,
    private readonly log: Log,
  ) {
    setContext(contextKeys.checkpointChosen, memory.checkpoint !== undefined);
  }

  get chosen(): string | undefined {
    return this.memory.checkpoint;
  }

  /** Every checkpoint of the workspace and of the folders in the settings. */
  async list(): Promise<readonly CheckpointEntry[]> {
    const started = performance.now();
    const found = await Promise.all(
      [...searches()].map((search) => workspace.findFiles(search, excluded, maximum)),
    );
    const files = new Set(found.flat().map((uri) => uri.fsPath));
    const entries = checkpointEntries([...files]);
    const milliseconds = (performance.now() - started).toFixed(0);
    this.log.debug(`${entries.length} checkpoints among ${files.size} files, found in ${milliseconds} ms`);
    return entries;
  }

  /**
   * The chosen checkpoint if it still exists, else the only one there is, else what the user picks.
   */
  async require(): Promise<string> {
    const { chosen } = this;
    if (chosen !== undefined && (await exists(chosen))) return chosen;
    const [first, ...others] = await withProgress('Looking for checkpoints', () => this.list());
    if (first && others.length === 0) return this.choose(first.path);
    return this.pick();
  }

  /** Lets the user choose; the choice is remembered for the workspace. Throws `Cancelled`. */
  async pick(placeHolder = 'Choose the checkpoint that images are classified with'): Promise<string> {
    return this.choose(await this.ask(placeHolder));
  }

  /** Lets the user point at a checkpoint without remembering it. Throws `Cancelled`. */
  async ask(placeHolder: string): Promise<string> {
    const picked = await pickCheckpoint(this.choices(), placeHolder);
    if (!picked) throw new Cancelled();
    return picked.path ?? browse();
  }

  async choose(path: string): Promise<string> {
    await this.memory.chooseCheckpoint(path);
    setContext(contextKeys.checkpointChosen, true);
    this.emitter.fire(path);
    return path;
  }

  private async choices(): Promise<Choice[]> {
    const found = (await this.list()).map(({ path, label }) => ({
      label: `$(symbol-structure) ${label}`,
      description: [placeOf(path), ...(path === this.chosen ? ['in use'] : [])].join(' · '),
      path,
    }));
    return [
      ...found,
      { label: '$(folder-opened) Browse…', description: 'a checkpoint elsewhere', browse: true },
    ];
  }

  dispose(): void {
    this.emitter.dispose();
  }
}

/** The path as the explorer shows it. */
const placeOf = (path: string): string => workspace.asRelativePath(path);

async function browse(): Promise<string> {
  const picked = await window.showOpenDialog({
    title: 'Choose a Checkpoint',
    openLabel: 'Choose',
    filters: { Checkpoints: [...checkpointExtensions, 'bin', 'json'], 'All Files': ['*'] },
  });
  if (!picked?.[0]) throw new Cancelled();
  return picked[0].fsPath;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** One search per workspace folder and per folder of the settings. */
function* searches(): Generator<RelativePattern> {
  const folders = (workspace.workspaceFolders ?? []).filter(({ uri }) => uri.scheme === 'file');
  for (const folder of folders) yield new RelativePattern(folder, `**/${searchedNames}`);
  for (const setting of readSetting('vitrine.modelFolders')) {
    for (const place of placesOf(
      setting,
      folders.map(({ uri }) => uri.fsPath),
    )) {
      const { base, glob } = splitGlob(place);
      yield new RelativePattern(Uri.file(base), glob);
    }
  }
}

/** `~` is the home folder; a relative path is looked for in every workspace folder. */
function placesOf(setting: string, folders: readonly string[]): readonly string[] {
  const expanded = setting.replace(/^~(?=$|[\\/])/, homedir());
  return isAbsolute(expanded) ? [expanded] : folders.map((folder) => join(folder, expanded));
}

// `/models/vit-*.pth` is searched from `/models`; a folder without a glob is searched whole.
function splitGlob(place: string): { readonly base: string; readonly glob: string } {
  const parts = place.split(/[\\/]/);
  const first = parts.findIndex((part) => /[*?[{]/.test(part));
  if (first < 0) return { base: place, glob: `**/${searchedNames}` };
  return { base: parts.slice(0, first).join('/') || '/', glob: parts.slice(first).join('/') };
}
