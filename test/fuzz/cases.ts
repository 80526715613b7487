import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { drawEdit, editBytes, editJson, type Edit } from './edits';

/** A file that is whole, which of its folder is changed, and how. */
export interface FuzzCase {
  /** What is opened. */
  readonly seed: string;
  /** The file beside it, or itself, that is changed. */
  readonly target: string;
  readonly how: 'json' | 'header' | 'bytes';
  readonly edits: readonly Edit[];
}

/** Files that are read as JSON beside weights. */
const sidecars = /^(?:config|preprocessor_config|generation_config|open_clip_config|.*index)\.json$/;
const weights = /\.(?:safetensors|pth|pt|bin|npz|onnx|ckpt)$/;
/** Bytes of a seed: larger ones take too long to be copied for what they add. */
const mostSeedBytes = 600_000;
const mostEdits = 4;

/** Every small whole file of the fixtures. */
export function seedsIn(folders: readonly string[]): readonly string[] {
  const files = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) =>
      entry.isFile() && weights.test(entry.name) ? [join(entry.parentPath, entry.name)] : [],
    ),
  );
  const isWhole = (file: string): boolean =>
    !file.includes('hostile') || basename(file).startsWith('healthy');
  return files.filter((file) => isWhole(file) && statSync(file).size <= mostSeedBytes).sort();
}

/** Draws what of a seed is changed, and how. */
export function drawCase(random: () => number, seeds: readonly string[]): FuzzCase {
  const seed = seeds[Math.floor(random() * seeds.length)] ?? '';
  const beside = isAlone(seed) ? [] : readdirSync(dirname(seed)).filter((name) => sidecars.test(name));
  const target =
    random() < 0.5 ? (beside[Math.floor(random() * beside.length)] ?? basename(seed)) : basename(seed);
  const isJson = target.endsWith('.json') && random() < 0.9;
  const isHeader = target.endsWith('.safetensors') && random() < 0.8;
  const how = isJson ? 'json' : isHeader ? 'header' : 'bytes';
  const count = 1 + Math.floor(random() * mostEdits);
  const kind = how === 'bytes' ? 'bytes' : 'json';
  return { seed, target, how, edits: Array.from({ length: count }, () => drawEdit(random, kind)) };
}

/** A file among many that have nothing to do with it. */
const isAlone = (seed: string): boolean => seed.includes('hostile');

/** Writes a case into a folder, which is emptied. Returns what is to be opened. */
export function writeCase({ seed, target, how, edits }: FuzzCase, room: string): string {
  rmSync(room, { recursive: true, force: true });
  if (isAlone(seed)) cpSync(seed, join(room, basename(seed)));
  else cpSync(dirname(seed), room, { recursive: true, filter: isSmall });
  const file = join(room, target);
  const bytes = readFileSync(file);
  const edited =
    how === 'bytes'
      ? editBytes(bytes, edits)
      : how === 'json'
        ? jsonOf(bytes, edits)
        : headerOf(bytes, edits);
  writeFileSync(file, edited);
  return join(room, basename(seed));
}

const isSmall = (file: string): boolean =>
  statSync(file).isDirectory() || statSync(file).size <= mostSeedBytes;

const jsonOf = (bytes: Uint8Array, edits: readonly Edit[]): string =>
  JSON.stringify(editJson(JSON.parse(Buffer.from(bytes).toString()), edits)) ?? '';

/** The header of a safetensors file changed, its length put right, its data left. */
function headerOf(bytes: Buffer, edits: readonly Edit[]): Uint8Array {
  const end = 8 + Number(bytes.readBigUInt64LE());
  const json = Buffer.from(jsonOf(bytes.subarray(8, end), edits));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, bytes.subarray(end)]);
}
