import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { countAllMacs } from '../../src/analysis/complexity';
import type { Macs } from '../../src/domain/report';
import type { Size } from '../../src/domain/size';
import type { ConfigValue, Recognition } from '../../src/architectures/family';
import { buildGraph, countParameters, partsOf, recognise } from '../../src/architectures/recognise/recognise';
import type { Checkpoint } from '../../src/checkpoint/checkpoint';
import { dtypes, type DType, type Tensor } from '../../src/checkpoint/tensors';
import { unwrapNames } from '../../src/checkpoint/unwrap';

/**
 * One model without weights: its header, its configuration and what the reference implementation
 * counts.
 */
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

/**
 * Header-only models (`*.jsonl.gz`) that come with the tests; VITRINE_CASES names another folder of
 * them.
 */
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

/**
 * Lines of every `*.jsonl.gz` of a folder. torchvision keeps both versions of Swin in one module,
 * which names the lines of both.
 */
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

/**
 * The line as a checkpoint: header only, with its config.json beside it where `config` is given.
 */
export function checkpointOf(
  line: Pick<Line, 'id' | 'tensors'>,
  config?: Readonly<Record<string, unknown>>,
): Checkpoint {
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
    beside: [],
    size: 0,
  };
}

/**
 * What recognition makes of a line, without the graph: a thousand of them would not fit into
 * memory.
 */
export interface Understood {
  readonly recognition: Recognition;
  readonly params: number;
  readonly buffers: number;
  readonly macs: Macs;
  /** Names of the graph's outputs; empty where there is no graph. */
  readonly outputs: readonly string[];
}

const understood = new Map<string, Understood>();

function remembered(key: string, make: () => Understood): Understood {
  const known = understood.get(key) ?? make();
  understood.set(key, known);
  return known;
}

/** What names and shapes alone tell, at the image size that they tell. */
export const understandAsFound = (line: Line): Understood =>
  remembered(`${line.id} as found`, () => summarise(checkpointOf(line)));

/**
 * What is read from a line's header at the line's own image size, with `config` beside it if it is
 * given. The passes over a line share a recognition: the one that names and shapes tell serves at
 * its own size, too.
 */
export function understand(
  line: Line,
  config?: Line['config_json'],
  assume?: Readonly<Record<string, ConfigValue>>,
): Understood {
  return remembered(`${line.id} ${config ? 'config' : 'bare'} ${JSON.stringify(assume)}`, () => {
    if (assume) return summarise(checkpointOf(line, config), line.image_size, assume);
    const found = config ? undefined : understandAsFound(line);
    if (found?.recognition.family && isOfLine(found.recognition.imageSize, line)) return found;
    return summarise(checkpointOf(line, config), sizeOf(line));
  });
}

/** The image size of a line; none of a model that reads no images, whose line says 0. */
const sizeOf = ({ image_size: size }: Line): Size | undefined => (size.includes(0) ? undefined : size);

const isOfLine = (size: Size | undefined, line: Line): boolean => String(size) === String(sizeOf(line));

/**
 * Multiply-accumulates of a line's whole model at its own image size, for texts of so many tokens.
 */
export function macsOfTexts(line: Line, lengths: Readonly<Record<string, number>>): Macs {
  const checkpoint = checkpointOf(line, line.config_json);
  const recognition = recognise(checkpoint, { imageSize: line.image_size });
  assert(recognition.family !== null, line.id);
  const graphs = partsOf(recognition).map(
    (part) => buildGraph(checkpoint, recognition, { part, lengths }).graph,
  );
  const { conv, linear, attention } = countAllMacs(graphs);
  return { conv, linear, attention };
}

function summarise(
  checkpoint: Checkpoint,
  imageSize?: Size,
  assume?: Readonly<Record<string, ConfigValue>>,
): Understood {
  const recognition = recognise(checkpoint, { imageSize, ...(assume && { assume }) });
  const { params, buffers } = countParameters(checkpoint, recognition);
  if (recognition.family === null)
    return { recognition, params, buffers, macs: { conv: 0, linear: 0, attention: 0 }, outputs: [] };
  const missing = recognition.warnings.filter((warning) => warning.startsWith('Missing:'));
  assert.deepEqual(missing, [], `${checkpoint.path} is published as it is`);
  const parts = partsOf(recognition);
  const graphs = (parts.length > 0 ? parts : [undefined]).map(
    (part) => buildGraph(checkpoint, recognition, part && { part }).graph,
  );
  const { conv, linear, attention } = countAllMacs(graphs);
  const outputs = graphs.flatMap((graph) => graph.outputs.map(({ name }) => name));
  return { recognition, params, buffers, macs: { conv, linear, attention }, outputs };
}
