// Every published model of timm with random weights: how far our output is from timm's. Not a time,
// but only here is the peer at hand.
import { openAt } from '../support/open';
import { fileStates } from '../../src/models/files';
import * as runtime from 'onnxruntime-node';
import { join } from 'node:path';
import type { Model } from '../../src/models/model';
import { openCheckpoint } from '../../src/checkpoint/open';
import { readTensor, toFloat32 } from '../../src/checkpoint/values';
import type { TensorData } from '../../src/inference/remoteApi';
import { LoadedModel } from '../../src/inference/loadedModel';
import { ownFolder, readLines, rowOf, type Line } from '../oracles/lines';
import { findTimmOutputs } from './findPeers';
import { inFolder } from './folders';
import { Peer } from './processes';
import { spreadOf } from './statistics';
import { missingRow, type Row } from './table';

/** Largest model in parameters and MACs of one image: what two cores answer within seconds. */
const most = { params: 130e6, macs: 8e9 };

/**
 * Millionths of the output's spread: float32 gives up to fifty, an epsilon of another size some
 * hundred, a wrong hyper-parameter ten thousand.
 */
const target = 100;

/** What came of one model. */
interface Compared {
  readonly model: string;
  readonly difference: number;
  /**
   * Why a large difference is none of ours: hyper-parameters that no weight tells, or the float32
   * of the model itself.
   */
  readonly excuse?: string;
}

/**
 * One row per family; VITRINE_FAMILIES names the families (separated by commas), VITRINE_PARAMETERS
 * the largest model.
 */
export async function measureAnswers(): Promise<readonly Row[]> {
  const other = await findTimmOutputs();
  if ('notFound' in other) return [missingRow('outputs against timm', other.notFound)];
  const peer = await Peer.start(other.command);
  const rows: Row[] = [];
  for (const [family, lines] of wantedModels()) {
    console.log(`  ${family}: ${lines.length} models …`);
    const compared: Compared[] = [];
    for (const line of lines) compared.push(await inFolder((folder) => compare(peer, line, folder)));
    rows.push(rowFor(family, compared));
  }
  await peer.end();
  return rows;
}

const modelOf = ({ id }: Line): string => id.replace(/^timm\//, '').split('#')[0]!;

/**
 * Lines of timm's models by family, one for each model; those that a name with a mark of ours
 * builds are left out.
 */
function wantedModels(): ReadonlyMap<string, readonly Line[]> {
  const wanted = process.env.VITRINE_FAMILIES?.split(',');
  const params = Number(process.env.VITRINE_PARAMETERS ?? most.params);
  const models = new Map<string, Line>();
  for (const line of readLines(ownFolder)) {
    const macs = Object.values(line.macs).reduce((sum, each) => sum + each, 0);
    const plain = line.id.startsWith('timm/') && ['classify', 'features'].includes(line.task);
    if (plain && !/[@+]/.test(line.id) && line.params <= params && macs <= (most.macs * params) / most.params)
      models.set(modelOf(line), line);
  }
  const families = new Map<string, Line[]>();
  for (const line of models.values()) {
    const family = String(rowOf(line.family));
    if (wanted?.includes(family) ?? true) families.set(family, [...(families.get(family) ?? []), line]);
  }
  return families;
}

async function compare(peer: Peer, line: Line, folder: string): Promise<Compared> {
  const asked = { model: modelOf(line), size: line.image_size, folder };
  await peer.ask(JSON.stringify(asked));
  const model = await openAt(join(folder, 'model.safetensors'), { imageSize: line.image_size });
  if (model.recognition.family === null)
    return { model: asked.model, difference: Infinity, excuse: undefined };
  const difference = 1e6 * (await differenceOf(model, folder));
  const found = { model: asked.model, difference };
  if (difference <= target) return found;
  const assumed = Object.entries(model.recognition.evidence).filter(([, found]) => found.assumed);
  if (assumed.length > 0) return { ...found, excuse: `assumed ${assumed.map(([key]) => key).join(', ')}` };
  const own = (await peer.ask(JSON.stringify({ ...asked, exact: true }))) as { difference: number };
  const shaky = own.difference * 1e6 > target / 2;
  return shaky ? { ...found, excuse: 'its own float32 output is as far from float64' } : found;
}

/** Largest difference between our output and timm's, in parts of the spread of timm's. */
async function differenceOf(model: Model, folder: string): Promise<number> {
  const { selected } = await openCheckpoint(join(folder, 'reference.safetensors'));
  const [image, expected] = await Promise.all(
    ['picture', 'output'].map(async (name) => {
      const tensor = selected.tensors.find((each) => each.name === name)!;
      return {
        dtype: 'F32',
        shape: tensor.shape,
        data: toFloat32(await readTensor(tensor), tensor.dtype),
      } as const;
    }),
  );
  const outputs = await run(model, image!);
  const fits = outputs.filter(({ length }) => length === expected!.data.length);
  return Math.min(...fits.map((found) => relativeDifference(found, expected!.data)));
}

function relativeDifference(found: Float32Array, expected: Float32Array): number {
  const mean = expected.reduce((sum, value) => sum + value, 0) / expected.length;
  const spread = Math.sqrt(expected.reduce((sum, value) => sum + (value - mean) ** 2, 0) / expected.length);
  return expected.reduce((most, value, at) => Math.max(most, Math.abs(value - found[at]!)), 0) / spread;
}

async function run(model: Model, image: TensorData): Promise<readonly Float32Array[]> {
  const graph = model.graph();
  const loaded = await LoadedModel.load(
    runtime,
    {
      key: graph.name,
      graph,
      tensors: model.checkpoint.selected.tensors,
      files: await fileStates(model.checkpoint.files),
      threads: 2,
      attention: { whole: 0, kept: 0 },
    },
    () => undefined,
  );
  try {
    const names = graph.outputs.map(({ name }) => name);
    const outputs = await loaded.run('cpu', false, { [graph.inputs[0]!.name]: image }, names);
    return names.map((name) => outputs[name]!.data as Float32Array);
  } finally {
    await loaded.release();
  }
}

function rowFor(family: string, compared: readonly Compared[]): Row {
  const counted = compared.filter(({ excuse }) => excuse === undefined);
  const excused = compared.filter(({ excuse }) => excuse !== undefined);
  const detail = [
    `${counted.length} models of timm with random weights, millionths of the output's spread`,
    ...excused.map(({ model, excuse }) => `without ${model}: ${excuse}`),
  ].join('; ');
  const what = `${family}: outputs against timm's`;
  if (counted.length === 0) return missingRow(what, detail);
  const worst = counted.reduce((a, b) => (a.difference > b.difference ? a : b));
  const value = spreadOf(counted.map(({ difference }) => difference));
  return { what, value: { ...value, median: value.highest }, unit: 'ppm', target, detail, why: worst.model };
}
