import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { window, workspace, type Uri } from 'vscode';
import { imageExtensions, pictureExtensions } from '../../inference/imageFormats';
import { Cancelled, UserError } from '../dialogue/errors';

const known: ReadonlySet<string> = new Set(imageExtensions);
const pictures: ReadonlySet<string> = new Set(pictureExtensions);

/** Whether the name of a file says that it is an image that can be decoded. */
export const isImage = (path: string): boolean => known.has(extname(path).toLowerCase());

/** Whether a file that lies in a chosen folder is one: arrays may be anything. */
const isPicture = (path: string): boolean => pictures.has(extname(path).toLowerCase());

/** Folders that hold no images of the user. */
const skipped = (name: string): boolean => name.startsWith('.') || name === 'node_modules';

/** What a command was called on: images, or whole folders of them. */
export interface Selection {
  readonly images: readonly string[];
  /** Folders stood in the selection: their images are many even if there is one. */
  readonly fromFolder: boolean;
}

/**
 * The images among files, and those in folders. Throws `Cancelled`, or a `UserError` if there
 * is no image or they lie outside the file system.
 */
export async function selectImages(uris: readonly Uri[], signal: AbortSignal): Promise<Selection> {
  const paths = uris.map(pathOf);
  const found: string[] = [];
  let fromFolder = false;
  for (const path of paths) {
    const isFolder = (await stat(path)).isDirectory();
    fromFolder ||= isFolder;
    if (isFolder) await collectImages(path, found, signal);
    else if (isImage(path)) found.push(path);
  }
  const images = [...new Set(found)];
  if (images.length === 0) throw new UserError(`No image in the selection; ${allowed}.`);
  return { images, fromFolder };
}

const allowed = `these can be decoded: ${imageExtensions.join(', ')}`;

/**
 * The path of a resource on disk; what lies elsewhere (git:, a virtual workspace) cannot be read by
 * the runtime.
 */
export function pathOf(uri: Uri): string {
  if (uri.scheme === 'file') return uri.fsPath;
  throw new UserError(
    `${uri.path} lies in ${uri.scheme}:, not on a disk this extension can read. Save a copy to a folder and open that.`,
  );
}

async function collectImages(folder: string, found: string[], signal: AbortSignal): Promise<void> {
  if (signal.aborted) throw new Cancelled();
  const entries = await readdir(folder, { withFileTypes: true });
  entries.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  for (const entry of entries) {
    const path = join(folder, entry.name);
    // A link to a folder is not followed: it may lead back up.
    if (entry.isDirectory() && !skipped(entry.name)) await collectImages(path, found, signal);
    else if (!entry.isDirectory() && isPicture(path)) found.push(path);
  }
}

/** Images of a workspace that are listed: more are found by the dialog. */
const mostListed = 1000;

/** Images of the workspace by their paths in it, and one that may lie elsewhere. */
export async function workspaceImages(
  own: string,
): Promise<readonly { readonly path: string; readonly label: string }[]> {
  const endings = pictureExtensions.map((extension) => extension.slice(1)).join(',');
  const found = await workspace.findFiles(`**/*.{${endings}}`, '**/{node_modules,.git}/**', mostListed);
  const paths = new Set([own, ...found.map((uri) => uri.fsPath)]);
  return [...paths]
    .map((path) => ({ path, label: workspace.asRelativePath(path) }))
    .sort((a, b) => a.label.localeCompare(b.label, undefined, { numeric: true }));
}

/** Paths of images that the user picks, or of one; none if the dialog is closed. */
export async function pickedImages(canSelectMany: boolean): Promise<readonly string[]> {
  try {
    return (await pickImages(canSelectMany)).map(pathOf);
  } catch (error) {
    if (error instanceof Cancelled) return [];
    throw error;
  }
}

/** Lets the user pick images in a dialog, or one. Throws `Cancelled`. */
export async function pickImages(canSelectMany = true): Promise<readonly Uri[]> {
  const picked = await window.showOpenDialog({
    title: canSelectMany ? 'Choose Images' : 'Choose an Image',
    openLabel: 'Choose',
    canSelectMany,
    filters: { Images: imageExtensions.map((extension) => extension.slice(1)), 'All Files': ['*'] },
  });
  if (!picked?.length) throw new Cancelled();
  return picked;
}
