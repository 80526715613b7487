import assert from 'node:assert/strict';
import type { Probe } from '../../../src/domain/probes';
import { foldedPositions, positionTensors } from '../../../src/models/foldedPositions';
import { describeOnnx, onnxParameters, type ImageFacts } from '../../../src/models/onnxFamilies';
import { openFile } from '../../../src/checkpoint/byteSource';
import { readOnnxModel } from '../../../src/checkpoint/formats/onnx';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint';
import { openCheckpoint } from '../../../src/checkpoint/open';
import { elementCount } from '../../../src/checkpoint/tensors';
import { readTensor, readTogether, toFloat32 } from '../../../src/checkpoint/values';
import type { Graph } from '../../../src/graph/graph';
import { importOnnx, ImportError, readShapeConstants } from '../../../src/graph/onnx/import';
import { moduleScopes } from '../../../src/graph/onnx/scopes';
import { checkpointPath, readCases, type Case } from '../../support/cases';

const onnxCases = readCases('test/fixtures/cases').filter(({ format }) => format === 'onnx');

const fixedSize: ImageFacts = { size: { source: 'its input', assumed: false }, takes: () => false };

async function open(golden: Case, imageSize = golden.image_size) {
  const opened = await openCheckpoint(checkpointPath(golden));
  const source = await openFile(opened.file);
  const file = await readOnnxModel(source).finally(() => source.close());
  const constants = await readShapeConstants(file, (tensors) => readTogether(tensors, openFile));
  return { opened, file, graph: importOnnx(file, constants, { imageSize, batch: 1 }) };
}

/**
 * Order of roll and padding, which records leave out, where it makes no difference to their sizes.
 */
const placesOf = (probe: object): object => {
  const { queries, keys, kind, window, reduction } = probe as Probe;
  const { rolls: _order, ...layout } = window ?? {};
  return { queries, keys, kind, window: layout, reduction };
};

async function positionsOf(graph: Graph, opened: Checkpoint): Promise<ReadonlyMap<string, Float32Array>> {
  const values = positionTensors(graph, opened).map(
    async (tensor) => [tensor.name, toFloat32(await readTensor(tensor), tensor.dtype)] as const,
  );
  return new Map(await Promise.all(values));
}

describe('.onnx files as graphs', () => {
  it('has cases', () => assert.ok(onnxCases.length >= 12));

  for (const expected of onnxCases)
    it(`${expected.id}: parameters, heads and tokens are found`, async () => {
      const { opened, graph } = await open(expected);
      const names = onnxParameters(graph, opened);
      const parameters = opened.selected.tensors.filter(({ name }) => names.has(name));
      const folded = foldedPositions(graph, opened, await positionsOf(graph, opened));
      const elements = parameters.reduce(
        (sum, { name, shape }) => sum + (folded.get(name) ?? elementCount(shape)),
        0,
      );
      assert.equal(elements, expected.params);
      const description = describeOnnx(graph, fixedSize);
      assert.ok('recognised' in description, JSON.stringify(description));
      const { label, evidence } = description.recognised;
      assert.equal(label, expected.family);
      for (const key of ['depth', 'dim', 'heads', 'patch', 'classes'])
        assert.deepEqual(evidence[key]?.value, expected.config[key], key);
      assert.deepEqual(graph.probes.map(placesOf), expected.attention.map(placesOf));
    });

  const titles = {
    'vit-onnx-legacy': 'ViT-24/8',
    'swin-onnx-dynamo': 'Swin with 2 + 1 blocks, width 16',
    'pvtv2-onnx-legacy-dynamic-hw': 'PVT v2 with 1 + 1 + 1 + 1 blocks, width 8',
  };
  for (const [id, title] of Object.entries(titles))
    it(`${id} is called as a checkpoint of its size is: ${title}`, async () => {
      const { graph } = await open(onnxCases.find((golden) => golden.id === id)!);
      const description = describeOnnx(graph, fixedSize);
      assert.equal('recognised' in description && description.recognised.title, title);
    });

  it('refuses a size that the file does not take', async () => {
    const fixed = onnxCases.find(({ id }) => id === 'deit-distilled-onnx-dynamo')!;
    await assert.rejects(
      open(fixed, [64, 64]),
      (error) =>
        error instanceof ImportError && /64×64 pixels asked for, the file fixes 32×48/.test(error.message),
    );
  });
});

describe('module paths of .onnx nodes', () => {
  const node = (name: string, inputs: string[] = [], metadata = {}) => ({
    name,
    inputs,
    metadata,
    opType: 'X',
    domain: '',
    outputs: [],
    attributes: {},
  });

  it('reads them from names, metadata and parameters, and from the neighbours where nothing is said', () => {
    const nodes = [
      node('/blocks/blocks.0/attn/qkv/MatMul'),
      node('softmax'),
      node('n', [], { 'pkg.torch.onnx.name_scopes': "['', 'blocks.0', 'blocks.0.attn', 'linear']" }),
      node('m', ['blocks.0.attn.proj.weight']),
    ];
    const scopes = moduleScopes(nodes, (name) => name.endsWith('.weight'));
    assert.deepEqual(scopes, ['blocks.0.attn.qkv', 'blocks.0.attn', 'blocks.0.attn', 'blocks.0.attn.proj']);
  });

  it('puts a product with its bias', () => {
    const product = { ...node('p', ['x', 'val_13']), opType: 'MatMul', outputs: ['y'] };
    const bias = { ...node('b', ['y', 'blocks.0.mlp.fc1.bias']), opType: 'Add' };
    assert.deepEqual(
      moduleScopes([product, bias], (name) => name.endsWith('.bias')),
      ['blocks.0.mlp.fc1', 'blocks.0.mlp.fc1'],
    );
  });
});
