import { openAt } from '../support/open';
import { fileStates } from '../../src/models/files';
import assert from 'node:assert/strict';
import * as runtime from 'onnxruntime-node';
import { withClassActivation } from '../../src/graph/rewrite/classActivation';
import { openCheckpoint } from '../../src/checkpoint/open';
import { readTensor, toFloat32 } from '../../src/checkpoint/values';
import { LoadedModel } from '../../src/inference/loadedModel';
import { join } from 'node:path';
import { checkpointPath, readCases, sizeOfCase } from '../support/cases';

type Vectors = (name: string) => Promise<Float32Array>;

/**
 * What the classifier adds to the mean of every class's map: its bias, and what the bias of a norm
 * before it comes to.
 */
async function offsets(read: Vectors, head: string, norm?: string): Promise<Float32Array> {
  const bias = await read(`${head}.bias`);
  if (norm === undefined) return bias;
  const [weight, shift] = [await read(`${head}.weight`), await read(`${norm}.bias`)];
  return bias.map((value, row) =>
    shift.reduce((sum, each, column) => sum + each * weight[row * shift.length + column]!, value),
  );
}

/**
 * Cases by the names of their classifier and the norm before it: linear layer, norm between, a 1 ×
 * 1 convolution, gates below.
 */
const heads: Readonly<Record<string, readonly [head: string, norm?: string]>> = {
  'resnet-bottleneck-timm-pth': ['fc'],
  'convnext-timm-hub-safetensors': ['head.fc', 'head.norm'],
  'convnext-transformers-safetensors': ['classifier', 'convnext.layernorm'],
  'bit-timm-safetensors': ['head.fc'],
  'seresnet-timm-safetensors': ['fc'],
};

describe('class activation maps', () => {
  for (const [id, [head, norm]] of Object.entries(heads))
    it(`${id}: the mean of a class's map and the classifier's bias make its logit`, async () => {
      const golden = readCases().find((each) => each.id === id) ?? assert.fail(id);
      const model = await openAt(checkpointPath(golden), {
        assume: golden.assume,
        imageSize: sizeOfCase(golden),
      });
      const { tensors } = model.checkpoint.selected;
      const read: Vectors = async (name) => {
        const tensor = tensors.find((each) => each.name === name) ?? assert.fail(name);
        return toFloat32(await readTensor(tensor), tensor.dtype);
      };
      const graph = withClassActivation(model.graph());
      const reference = await openCheckpoint(join(golden.folder, 'reference.safetensors'));
      const pixels = reference.selected.tensors.find(({ name }) => name === 'pixel_values')!;
      const loaded = await LoadedModel.load(
        runtime,
        {
          key: id,
          graph,
          tensors,
          files: await fileStates(model.checkpoint.files),
          threads: 1,
          attention: { whole: 2 ** 28, kept: 0 },
        },
        () => undefined,
      );
      const data = toFloat32(await readTensor(pixels), pixels.dtype);
      const outputs = await loaded
        .runAll('cpu', { [graph.inputs[0]!.name]: { dtype: 'F32', shape: pixels.shape, data } })
        .finally(() => loaded.release());
      const logits = [...(outputs['logits']!.data as Float32Array)];
      const ranked = logits.map((value, index) => ({ value, index })).sort((a, b) => b.value - a.value);
      const [, classes, positions] = outputs[`attention.${graph.probes.length - 1}`]!.shape as number[];
      const maps = outputs[`attention.${graph.probes.length - 1}`]!.data as Float32Array;
      const added = await offsets(read, head, norm);
      for (let rank = 0; rank < classes!; rank++) {
        const { value, index } = ranked[rank]!;
        const map = maps.subarray(rank * positions!, (rank + 1) * positions!);
        const mean = map.reduce((sum, each) => sum + each, 0) / positions!;
        assert(
          Math.abs(mean + added[index]! - value) < 1e-4,
          `class ${index}: ${mean + added[index]!}, ${value}`,
        );
      }
    });
});
