import assert from 'node:assert/strict';
import { join } from 'node:path';
import * as runtime from 'onnxruntime-node';
import { openCheckpoint } from '../../src/checkpoint/open';
import { elementCount } from '../../src/checkpoint/tensors';
import { readTensor, toFloat32 } from '../../src/checkpoint/values';
import { LoadedModel } from '../../src/inference/loadedModel';
import type { TensorData } from '../../src/inference/remoteApi';
import { at } from '../../src/domain/lists';
import { fileStates } from '../../src/models/files';
import { understand, type Model } from '../../src/models/model';
import { checkpointPath, readCases, sizeOfCase, type Case } from '../support/cases';
import { scrambled } from '../support/scrambled';

/** Golden cases of families that are read by structure: one of each kind of names and parts. */
const readBy: readonly string[] = [
  'vit-timm-safetensors',
  'vit-transformers-safetensors',
  'vit-torchvision-pth',
  'deit-distilled-original-pth',
  'deit-distilled-transformers-safetensors',
  'deit3-timm-hub-safetensors',
  'dino-original-pth',
  'dinov2-transformers-safetensors',
  'dinov2-registers-transformers-safetensors',
  'dinov2-reg4-swiglu-timm-hub-safetensors',
  'vit-reg4-cls-timm-safetensors',
  'vit-reg4-gap-timm-safetensors',
  'clip-vision-transformers-safetensors',
  'clip-vit-timm-safetensors',
  'siglip-vision-transformers-safetensors',
  'siglip-timm-safetensors',
  'vit-msn-transformers-safetensors',
  'beit-original-pth',
  'beit-timm-safetensors',
  'beit-transformers-safetensors',
  'eva-giant-timm-safetensors',
  'eva02-base-timm-hub-safetensors',
  'dinov3-transformers-safetensors',
  'vit-aimv2-timm-hub-safetensors',
  'vit-beit3-timm-hub-safetensors',
  'vit-parallel-things-timm-safetensors',
  'vit-diff-timm-hub-safetensors',
  'vit-post-norm-timm-hub-safetensors',
  'vit-relpos-timm-hub-safetensors',
  'samvit-timm-safetensors',
  'sam-vision-transformers-safetensors',
  'cait-timm-safetensors',
  'convit-timm-hub-safetensors',
  'swin-timm-safetensors',
  'swin-transformers-safetensors',
  'swinv2-timm-safetensors',
  'pvtv2-original-pth',
  'segformer-original-pth',
  'twins-svt-timm-safetensors',
  'pit-timm-safetensors',
  'nest-timm-safetensors',
  'davit-original-pth',
  'mvitv2-timm-safetensors',
  'levit-timm-hub-safetensors',
  'tiny-vit-timm-hub-safetensors',
  'convformer-timm-safetensors',
  'pe-core-timm-hub-safetensors',
  'naflexvit-gap-timm-hub-safetensors',
  'hybrid-stem-timm-safetensors',
  'fastvit-t-timm-hub-safetensors',
  'xcit-timm-hub-safetensors',
  'swin-torchvision-pth',
  'hiera-timm-safetensors',
  'hiera-abswin-timm-safetensors',
  'hiera-original-pth',
  'hiera-transformers-safetensors',
  'maxvit-timm-safetensors',
  'maxvit-rmlp-timm-hub-safetensors',
  'maxvit-torchvision-pth',
  'coatnet-cc-timm-hub-safetensors',
  'maxxvit-timm-hub-safetensors',
  'gcvit-timm-safetensors',
  'gcvit-scaled-timm-safetensors',
  'mvitv2-original-pth',
  'edgenext-original-pth',
  'convnext-original-pth',
  'timm-training-checkpoint',
  'pth-zip',
];

async function values({ folder }: Case, name: string): Promise<TensorData> {
  const { selected } = await openCheckpoint(join(folder, 'reference.safetensors'));
  const tensor = selected.tensors.find((each) => each.name === name) ?? assert.fail(`no ${name}`);
  return {
    dtype: 'F32',
    shape: tensor.shape,
    data: toFloat32(await readTensor(tensor), tensor.dtype),
  };
}

/** The golden model with random words for names, read by structure. */
async function readByStructure(golden: Case): Promise<Model> {
  const checkpoint = await openCheckpoint(checkpointPath(golden));
  const model = understand(scrambled(checkpoint), { assume: golden.assume, byStructure: true });
  return model.at(sizeOfCase(golden));
}

async function run(golden: Case, model: Model): Promise<Readonly<Record<string, TensorData>>> {
  const graph = model.graph();
  const loaded = await LoadedModel.load(
    runtime,
    {
      key: `${golden.id} by structure`,
      graph,
      tensors: model.checkpoint.selected.tensors,
      files: await fileStates(model.checkpoint.files),
      threads: 1,
      attention: { whole: 2 ** 28, kept: 0 },
    },
    () => undefined,
  );
  try {
    const pixels = await values(golden, 'pixel_values');
    return await loaded.runAll('cpu', { [at(graph.inputs, 0).name]: pixels });
  } finally {
    await loaded.release();
  }
}

describe('golden cases whose names are random words, read by structure', () => {
  const cases = readCases().filter(({ id }) => readBy.includes(id));

  it('are as many as are listed', () => assert.equal(cases.length, readBy.length));

  for (const golden of cases)
    it(golden.id, async () => {
      const model = await readByStructure(golden);
      assert.deepEqual(
        { params: model.counts.params, buffers: model.counts.buffers },
        { params: golden.params, buffers: golden.buffers },
      );
      const outputs = await run(golden, model);
      for (const name of Object.keys(golden.outputs)) {
        const found = outputs[name] ?? assert.fail(`${name} is not an output`);
        const expected = (await values(golden, name)).data as Float32Array;
        assert.equal(elementCount(found.shape), expected.length, name);
        const apart = expected.reduce(
          (most, value, index) => Math.max(most, Math.abs(value - Number(found.data[index]))),
          0,
        );
        // The tolerance of the case: float32 against the reference's float64.
        assert(apart <= golden.tolerance.output, `${name} differs by ${apart}`);
      }
    });
});
