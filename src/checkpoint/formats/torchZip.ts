import type { Format } from '../format';
import { CheckpointError } from '../errors';
import { limits } from '../limits';
import { foreignArchive, foreignName } from './foreignNames';
import { PickledTensorError, type PickledStorage } from '../pickle/tensors';
import { shown } from '../shape';
import type { Storage } from '../tensors';
import { buildTorchTable, describePickle } from './torchTable';
import { readEntry, readZip, type ZipArchive, type ZipEntry } from '../containers/zip';
import { entryStorage } from '../containers/zipStorage';

/**
 * PyTorch's container since 1.6 and TorchScript's since 1.0: a zip with `<root>/data.pkl` and one
 * stored entry `<root>/data/<key>` per storage (torch/serialization.py;
 * caffe2/serialize/inline_container.h).
 */
export const torchZip: Format = {
  name: 'pytorch zip',

  matches(head) {
    return head[0] === 0x50 && head[1] === 0x4b && (head[2] === 3 || head[2] === 5);
  },

  async read(source) {
    const archive = await readZip(source);
    const { root, entry } = findRoot(archive);
    const item = `${root}data.pkl`;
    const pickle = describePickle(source, item, await readEntry(archive, entry, limits.pickleBytes));
    const version = await readText(archive, `${root}version`);
    const script = isTorchScript(archive, root);
    return buildTorchTable({
      format: script ? 'torchscript' : 'pytorch zip',
      source,
      item,
      pickle,
      bigEndian: await isBigEndian(archive, root),
      metadata: version === undefined ? {} : { 'archive version': version },
      warnings: [...versionWarnings(version), ...(script ? [scriptWarning] : [])],
      locate: (storage) => locateStorage(archive, root, storage),
      ...(script ? { buffersOf: bufferLists(archive, root) } : {}),
    });
  },
};

const scriptWarning = 'a TorchScript archive: its tensors are shown, its code is not run';

/** The newest container version: torch/csrc/jit/serialization (kMaxSupportedFileFormatVersion). */
const newestVersion = 10;

function versionWarnings(version: string | undefined): string[] {
  if (version === undefined || Number(version) <= newestVersion) return [];
  return [
    `its version file says ${shown(version)}, ${newestVersion} is the newest known; it may be read wrongly`,
  ];
}

/** The pickle, and the folder in front of the names of all entries. */
function findRoot({ source, entries }: ZipArchive): { readonly root: string; readonly entry: ZipEntry } {
  const roots = [...entries.keys()].filter((name) => /^([^/]+\/)?data\.pkl$/.test(name));
  const [name = ''] = roots;
  const entry = entries.get(name);
  if (roots.length === 1 && entry) return { root: name.slice(0, -'data.pkl'.length), entry };
  const foreign =
    roots.length === 0 ? (foreignName(source.path) ?? foreignArchive([...entries.keys()])) : undefined;
  if (foreign) throw new CheckpointError('unsupported', source.path, `this is ${foreign}`);
  const found = roots.length === 0 ? sample([...entries.keys()]) : roots.join(', ');
  throw new CheckpointError(
    roots.length === 0 ? 'unsupported' : 'malformed',
    source.path,
    roots.length === 0
      ? `a zip without data.pkl is no PyTorch checkpoint; its entries are ${found}`
      : `the archive holds data.pkl ${roots.length} times (${found}), one is allowed`,
  );
}

function sample(names: readonly string[]): string {
  return names.length === 0
    ? 'none: it is empty'
    : `${names.slice(0, 4).map(shown).join(', ')}${names.length > 4 ? ' …' : ''}`;
}

function isTorchScript({ entries }: ZipArchive, root: string): boolean {
  return (
    entries.has(`${root}constants.pkl`) || [...entries.keys()].some((name) => name.startsWith(`${root}code/`))
  );
}

const smallTextBytes = 1000;

async function readText(archive: ZipArchive, name: string): Promise<string | undefined> {
  const entry = archive.entries.get(name);
  return (
    entry &&
    Buffer.from(await readEntry(archive, entry, smallTextBytes))
      .toString('latin1')
      .trim()
  );
}

/**
 * PyTorch since 2.1 says the byte order in a file of its own; before that everything was
 * little-endian.
 */
async function isBigEndian(archive: ZipArchive, root: string): Promise<boolean> {
  const order = (await readText(archive, `${root}byteorder`)) ?? 'little';
  if (order === 'little' || order === 'big') return order === 'big';
  throw new CheckpointError(
    'malformed',
    archive.source.path,
    `${root}byteorder says the byte order is ${shown(order)}; little or big is allowed`,
  );
}

async function locateStorage(archive: ZipArchive, root: string, storage: PickledStorage): Promise<Storage> {
  const name = `${root}data/${storage.key}`;
  const entry = archive.entries.get(name);
  if (!entry) throw new PickledTensorError('malformed', `its storage ${shown(name)} is not in the archive`);
  if (entry.size < storage.bytes)
    throw new PickledTensorError(
      'malformed',
      `its storage should have ${storage.bytes} bytes, the entry ${name} has ${entry.size}`,
    );
  return entryStorage(archive, entry);
}

/**
 * TorchScript's pickle does not tell buffers from parameters, its code does:
 * `__buffers__ = ["running_mean", ]` in the class. The code is searched for that line, nothing else
 * of it is read.
 */
function bufferLists(archive: ZipArchive, root: string): (owner: string) => Promise<ReadonlySet<string>> {
  const lists = new Map<string, Promise<ReadonlySet<string>>>();
  return (owner) => {
    const found = lists.get(owner) ?? readBuffers(archive, root, owner);
    lists.set(owner, found);
    return found;
  };
}

const codeBytes = 4e6;

async function readBuffers(archive: ZipArchive, root: string, owner: string): Promise<ReadonlySet<string>> {
  const parts = owner.split('.');
  const entry = archive.entries.get(`${root}code/${parts.slice(0, -1).join('/')}.py`);
  if (!entry || entry.size > codeBytes) return new Set();
  const code = Buffer.from(await readEntry(archive, entry, codeBytes)).toString('utf8');
  const start = code.indexOf(`class ${parts.at(-1)}(`);
  const list = /^\s+__buffers__ = \[(.*)\]$/m.exec(code.slice(start, code.indexOf('\n  def ', start) >>> 0));
  return new Set(list?.[1]?.match(/[^", ]+/g) ?? []);
}
