import assert from 'node:assert/strict';
import { copyFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openCheckpoint } from '../../src/checkpoint/open';
import { readTensor, toFloat32 } from '../../src/checkpoint/values';
import { at } from '../../src/domain/lists';
import { buildGraph, recognise, type Known } from '../../src/architectures/recognise/recognise';
import type { Checkpoint } from '../../src/checkpoint/checkpoint';
import type { Graph } from '../../src/graph/graph';
import type { TensorData } from '../../src/inference/remoteApi';
import type { PathRunner } from '../../src/useCases/run';
import { checkpointPath, readCases, sizeOfCase, type Case } from '../support/cases';
import { temporaryFolder, testInference, writeSafetensors } from './support';

/** A tensor of a file that is written anew. */
interface Folded {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

/** Weight of a convolution and the four vectors of the norm behind it, by the file's names. */
interface Pair {
  readonly weight: string;
  readonly vectors: readonly string[];
  readonly eps: number;
}

/** The batch norms of a graph that follow a convolution. */
function pairsIn(graph: Graph, { translation }: Known): readonly Pair[] {
  const stored = (name = ''): string => translation?.parameters.get(name)?.tensor.name ?? name;
  return graph.nodes.flatMap((node) => {
    if (node.op !== 'BatchNormalization') return [];
    const before = graph.nodes.find(({ op, outputs }) => op === 'Conv' && outputs[0] === node.inputs[0]);
    const { epsilon } = node.attributes;
    if (!before || epsilon?.type !== 'float') return [];
    const vectors = node.inputs.slice(1).map(stored);
    return [{ weight: stored(before.inputs[1]), vectors, eps: epsilon.value }];
  });
}

/** Everything a file holds, as numbers. */
async function written({ selected }: Checkpoint): Promise<Map<string, Folded>> {
  // Integers are indices, which a graph makes itself.
  const floats = selected.tensors.filter(({ dtype }) => /^B?F/.test(dtype));
  const read = floats.map(async (tensor) => {
    const values = Array.from(toFloat32(await readTensor(tensor), tensor.dtype));
    return [tensor.name, { name: tensor.name, shape: tensor.shape, values }] as const;
  });
  return new Map(await Promise.all(read));
}

/** A convolution with its norm in it: w · γ / √(σ² + ε), and b for β − μ · γ / √(σ² + ε). */
function fold(tensors: Map<string, Folded>, { weight, vectors, eps }: Pair): void {
  const { shape, values } = tensors.get(weight) ?? assert.fail(weight);
  const bias = weight.replace(/weight$/, 'bias');
  const [gamma = [], beta = [], mean = [], variance = []] = vectors.map(
    (name) => (tensors.get(name) ?? assert.fail(name)).values,
  );
  const scales = Array.from(gamma, (value, row) => value / Math.sqrt(at(variance, row) + eps));
  const before = tensors.get(bias)?.values;
  const rowLength = values.length / scales.length;
  const scaled = values.map((value, index) => value * at(scales, Math.floor(index / rowLength)));
  const shifts = scales.map((scale, row) => at(beta, row) + ((before?.[row] ?? 0) - at(mean, row)) * scale);
  tensors.set(weight, { name: weight, shape, values: scaled });
  tensors.set(bias, { name: bias, shape: [scales.length], values: shifts });
  for (const name of vectors) tensors.delete(name);
  tensors.delete((vectors[0] ?? '').replace(/weight$/, 'num_batches_tracked'));
}

/**
 * Writes a case's checkpoint with its norms folded, and what lies beside it; false if there are
 * none or it is a model of several parts.
 */
async function writeFolded(golden: Case, path: string): Promise<boolean> {
  const from = checkpointPath(golden);
  const checkpoint = await openCheckpoint(from);
  const recognition = recognise(checkpoint, { imageSize: sizeOfCase(golden), assume: golden.assume });
  if (recognition.family === null || recognition.whole) return false;
  const pairs = pairsIn(buildGraph(checkpoint, recognition).graph, recognition);
  if (pairs.length === 0) return false;
  const tensors = await written(checkpoint);
  for (const pair of pairs) fold(tensors, pair);
  writeSafetensors(path, [...tensors.values()]);
  const beside = dirname(checkpoint.files[0] ?? from);
  for (const name of readdirSync(beside).filter((each) => each.endsWith('.json')))
    copyFileSync(join(beside, name), join(dirname(path), name));
  return true;
}

async function pixelsOf({ folder }: Case): Promise<TensorData> {
  const pixels = (await written(await openCheckpoint(join(folder, 'reference.safetensors')))).get(
    'pixel_values',
  );
  assert(pixels);
  return { dtype: 'F32', shape: pixels.shape, data: Float32Array.from(pixels.values) };
}

/** The largest difference of two tensors, of the largest value. */
function distance(one: TensorData | undefined, other: TensorData | undefined): number {
  const values = Array.from(one?.data ?? [], Number);
  const most = Math.max(...values.map(Math.abs));
  return Math.max(...values.map((value, index) => Math.abs(value - Number(other?.data[index])))) / most;
}

/** Cases of networks with batch norms. */
const convolutional =
  /resnet|mobilenet|efficientnet|regnet|levit|mobilevit|vgg|fastvit|efficientvit|efficientformer|starnet|densenet|tiny|coatnet|maxvit|visformer|cvt/;

/** What a model says of an image. */
const answers: ReadonlySet<string> = new Set(['logits', 'features']);
/** Of the largest output: folding rounds each weight once more, in float32. */
const tolerance = 1e-5;
/** What is said where a norm may be lost: the file cannot tell it from a folded one. */
const saysSo = /^Missing: /;
/** Golden cases that are read as their whole networks are, without a word. */
const leastAlike = 45;

describe('networks whose batch norms are folded into their convolutions', () => {
  const folder = temporaryFolder();
  let inference: PathRunner;
  let alike = 0;
  before(() => (inference = testInference()));
  after(() => inference.dispose());

  for (const golden of readCases().filter(({ id }) => convolutional.test(id)))
    it(`${golden.id} is computed as it is, or said to lack them`, async function () {
      const path = join(folder, golden.id, 'model.safetensors');
      if (!(await writeFolded(golden, path))) return;
      const reading = { imageSize: sizeOfCase(golden), assume: golden.assume };
      const recognition = recognise(await openCheckpoint(path), reading);
      if (recognition.family === null || recognition.warnings.some((text) => saysSo.test(text))) return;
      const inputs = { pixel_values: await pixelsOf(golden) };
      const run = (checkpoint: string) => inference.runTensors({ checkpoint, inputs, ...reading });
      const [whole, folded] = await Promise.all([run(checkpointPath(golden)), run(path)]);
      for (const name of Object.keys(whole).filter((each) => answers.has(each)))
        assert.ok(distance(whole[name], folded[name]) < tolerance, name);
      alike++;
    });

  it(`are ${leastAlike} of the golden cases at least`, () => {
    assert.ok(alike >= leastAlike, `${alike}`);
  });
});
