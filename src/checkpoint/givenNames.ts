import { opendir, readdir, stat } from 'node:fs/promises';
import { basename, extname, join, resolve } from 'node:path';
import { attempt, openFile, type Opener } from './byteSource';
import { mostClasses, namesOfFile, type ClassNames } from './classNames';
import { CheckpointError } from './errors';

/** What torchvision's ImageFolder takes for images (`IMG_EXTENSIONS`). */
const imageExtensions: ReadonlySet<string> = new Set(
  ['jpg', 'jpeg', 'png', 'ppm', 'bmp', 'pgm', 'tif', 'tiff', 'webp'].map((extension) => `.${extension}`),
);
/** Folders in folders that are looked into for an image; links may lead in a circle. */
const deepest = 8;

/** Names of folders that part a data set; the classes are one level below. */
const split = /^(?:train(?:ing)?|val(?:id(?:ation)?)?|test(?:ing)?|dev|eval)$/i;

/**
 * Class names that a person points at: a file in a form that is read beside weights, too, or a
 * folder whose sub-folders are the classes. Throws `CheckpointError` if it names none.
 */
export async function readGivenNames(path: string, open: Opener = openFile): Promise<readonly ClassNames[]> {
  const isFolder = (await attempt(path, () => stat(path))).isDirectory();
  if (isFolder) return [await folderNames(path)];
  const found = await attempt(path, () => namesOfFile(path, open));
  if (found.length === 0) throw unnamed(path, 'a name a line, or JSON of names by index, is needed');
  return found.map((each) => ({ ...each, source: `given: ${each.source}`, given: true }));
}

const unnamed = (path: string, needed: string): CheckpointError =>
  new CheckpointError('unsupported', path, `holds no class names: ${needed}`);

/**
 * Sub-folders with images in the order of torchvision's ImageFolder, by code point. What others
 * number otherwise, or refuse, is noted.
 */
async function folderNames(path: string): Promise<ClassNames> {
  const folders = await subFolders(path);
  const filled = await Promise.all(folders.map((name) => hasImage(join(path, name))));
  const names = folders.filter((_, index) => filled[index]);
  const empty = folders.filter((_, index) => !filled[index]);
  if (names.length === 0) throw unnamed(path, 'a sub-folder with images for each class is needed');
  if (names.every((name) => split.test(name)))
    throw unnamed(path, `${names.join(', ')} are parts of a data set; choose one of them`);
  const notes = [
    ...(empty.length > 0 ? [`no images lie in ${shortList(empty)}, which names no class`] : []),
    ...(isNatural(names) ? [] : ['timm numbers these folders otherwise: without case, numbers by value']),
  ];
  return {
    source: `given: sub-folders of ${basename(resolve(path))}, sorted as torchvision’s ImageFolder does`,
    names,
    given: true,
    ...(notes.length > 0 && { note: notes.join('; ') }),
  };
}

const shortList = (names: readonly string[]): string =>
  names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ');

async function subFolders(path: string): Promise<readonly string[]> {
  const entries = await attempt(path, () => readdir(path, { withFileTypes: true }));
  const isFolder = await Promise.all(
    entries.map((entry) =>
      entry.isSymbolicLink() ? isLinkToFolder(join(path, entry.name)) : entry.isDirectory(),
    ),
  );
  const names = entries.flatMap(({ name }, index) => (isFolder[index] ? [name] : []));
  if (names.length > mostClasses)
    throw unnamed(path, `${names.length} sub-folders found, at most ${mostClasses} are read`);
  return names.toSorted(byCodePoint);
}

/** Python sorts by code point, as UTF-8 does; UTF-16 has another order behind U+D7FF. */
const byCodePoint = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

const isLinkToFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

/** Whether an image lies in a folder, or in one below; the first one answers. */
async function hasImage(folder: string, depth = 0): Promise<boolean> {
  const below: string[] = [];
  for await (const entry of await attempt(folder, () => opendir(folder))) {
    if (entry.isDirectory() || entry.isSymbolicLink()) below.push(join(folder, entry.name));
    if (!entry.isDirectory() && imageExtensions.has(extname(entry.name).toLowerCase())) return true;
  }
  if (depth >= deepest) return false;
  for (const inner of below)
    if ((await isLinkToFolder(inner)) && (await hasImage(inner, depth + 1))) return true;
  return false;
}

/** Whether timm's natural order of the names is the same one. */
function isNatural(names: readonly string[]): boolean {
  const keys = names.map((name) => name.toLowerCase().split(/(\d+)/));
  return keys.every((key, index) => {
    const next = keys[index + 1];
    return next === undefined || compareKeys(key, next) <= 0;
  });
}

/** Words and numbers take turns in both keys, the first is a word. */
function compareKeys(a: readonly string[], b: readonly string[]): number {
  for (const [place, mine] of a.entries()) {
    const other = b[place];
    if (other === undefined) return 1;
    const order = place % 2 === 1 ? Number(mine) - Number(other) : byCodePoint(mine, other);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}
