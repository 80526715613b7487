import { basename, dirname } from 'node:path';
import { RelativePattern, Uri, workspace, type Disposable } from 'vscode';
import { Disposables } from '../disposables';

/** A file that is being written changes many times; what watches it is told when it rests. */
const rest = 300;

/**
 * Calls back when one of the files changes, comes or goes, wherever it lies. Whole folders are
 * watched and names compared here, because a file's name may hold characters that a glob takes for
 * its own.
 */
export function watchFiles(paths: readonly string[], changed: () => void): Disposable {
  const owned = new Disposables();
  let timer: NodeJS.Timeout | undefined;
  const later = (): void => {
    clearTimeout(timer);
    timer = setTimeout(changed, rest);
  };
  for (const folder of new Set(paths.map((path) => dirname(path)))) {
    const names = new Set(paths.filter((path) => dirname(path) === folder).map((path) => basename(path)));
    const hear = (uri: Uri): void => {
      if (names.has(basename(uri.fsPath))) later();
    };
    const watcher = owned.add(workspace.createFileSystemWatcher(new RelativePattern(Uri.file(folder), '*')));
    for (const event of [watcher.onDidChange, watcher.onDidCreate, watcher.onDidDelete])
      owned.add(event(hear));
  }
  owned.add({ dispose: () => clearTimeout(timer) });
  return owned;
}
