import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint';
import { dtypes, type DType, type Tensor } from '../../../src/checkpoint/tensors';
import { unwrapNames } from '../../../src/checkpoint/unwrap';

/** Multiply-accumulates by kind. */
export interface Macs {
  readonly conv: number;
  readonly linear: number;
  readonly attention: number;
}

/** One model without weights: its header, its configuration and what the reference implementation counts. */
export interface Line {
  readonly id: string;
  readonly dialect: string;
  readonly family: string;
  readonly task: string;
  readonly image_size: readonly [number, number];
  readonly config: Readonly<Record<string, unknown>>;
  readonly config_json?: Readonly<Record<string, unknown>>;
  readonly params: number;
  readonly buffers: number;
  readonly macs: Macs;
  readonly tensors: readonly (readonly [name: string, dtype: string, shape: readonly number[]])[];
}

/** Header-only models (`*.jsonl.gz`) that come with the tests; VITRINE_CASES names another folder of them. */
export const ownFolder = 'test/fixtures/oracles';
export const linesFolder = process.env.VITRINE_CASES ?? ownFolder;

/** Rows of families.json by name. */
export const familyRows = JSON.parse(readFileSync(join(ownFolder, 'families.json'), 'utf8')) as Record<
  string,
  { readonly labels: readonly string[] }
>;

/** The row that a label belongs to. */
export const rowOf = (label: string): string | undefined =>
  Object.keys(familyRows).find((row) => familyRows[row]!.labels.includes(label));

/** Lines of every `*.jsonl.gz` of a folder. torchvision keeps both versions of Swin in one module, which names the lines of both. */
export function readLines(folder: string): readonly Line[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.jsonl.gz'))
    .sort()
    .flatMap((file) =>
      gunzipSync(readFileSync(join(folder, file)))
        .toString('utf8')
        .split('\n'),
    )
    .filter((text) => text !== '')
    .map((text) => JSON.parse(text) as Line)
    .map((line) => (line.id.startsWith('torchvision/swin_v2_') ? { ...line, family: 'swinv2' } : line));
}

function isDType(name: string): name is DType {
  return name in dtypes;
}

function tensorOf([name, dtype, shape]: Line['tensors'][number], index: number): Tensor {
  if (!isDType(dtype)) throw new Error(`${name}: dtype ${dtype}`);
  // Storages apart: nothing is tied to anything else.
  return {
    name,
    dtype,
    shape,
    start: index,
    storage: { kind: 'file', file: 'header', offset: index, length: 0 },
  };
}

/** The line as a checkpoint: header only, with its config.json beside it where `config` is given. */
export function checkpointOf(line: Line, config?: Readonly<Record<string, unknown>>): Checkpoint {
  const stateDicts = unwrapNames(line.tensors.map(tensorOf));
  return {
    path: line.id,
    file: line.id,
    format: 'safetensors',
    files: [line.id],
    stateDicts,
    selected: stateDicts[0]!,
    extras: [],
    metadata: {},
    warnings: [],
    sidecars: config ? { config } : {},
    siblings: [],
    size: 0,
  };
}
