import { openAt } from '../support/open';
import { fileStates } from '../../src/models/files';
import assert from 'node:assert/strict';
import * as runtime from 'onnxruntime-node';
import { openCheckpoint } from '../../src/checkpoint/open';
import { elementCount } from '../../src/checkpoint/tensors';
import { readTensor, toFloat32 } from '../../src/checkpoint/values';
import { runAllParts } from '../../src/inference/allParts';
import { LoadedModel } from '../../src/inference/loadedModel';
import type { TensorData } from '../../src/inference/remoteApi';
import { join } from 'node:path';
import { casesFolder, checkpointPath, readCases, sizeOfCase, type Case } from '../support/cases';

type Values = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

/** Input, outputs and maps that the reference implementation computed in float64. */
async function readReference({ folder }: Case): Promise<Values> {
  const { selected } = await openCheckpoint(join(folder, 'reference.safetensors'));
  const entries = selected.tensors.map(async (tensor) => {
    const data = toFloat32(await readTensor(tensor), tensor.dtype);
    return [tensor.name, { shape: tensor.shape, data }] as const;
  });
  return new Map(await Promise.all(entries));
}

/** Every output and attention map of the case's model on the case's inputs. */
async function run(
  golden: Case,
  inputs: Readonly<Record<string, TensorData>>,
  batch = 1,
): Promise<Readonly<Record<string, TensorData>>> {
  const model = await openAt(checkpointPath(golden), {
    assume: golden.assume,
    imageSize: sizeOfCase(golden),
  });
  const files = await fileStates(model.checkpoint.files);
  const [only, ...more] = model.graph({ batch }).inputs;
  const given =
    model.parts.length === 1 && only && more.length === 0 ? { [only.name]: inputs['pixel_values']! } : inputs;
  return runAllParts(model, given, { batch }, async (graph, feeds) => {
    const { tensors } = model.checkpoint.selected;
    const request = { key: golden.id, graph, tensors, files, threads: 1, attention: budget };
    const loaded = await LoadedModel.load(runtime, request, () => undefined);
    try {
      return await loaded.runAll('cpu', feeds);
    } finally {
      await loaded.release();
    }
  });
}

const budget = { whole: 2 ** 28, kept: 0 };

/** The case's inputs: ids and masks as integers, everything else as it is. */
function inputsOf(golden: Case, reference: Values): Readonly<Record<string, TensorData>> {
  // What a library is given beside what the graph reads (shapes of patches) is not always stored.
  const stored = Object.keys(golden.inputs).flatMap((name) => {
    const found = reference.get(name);
    return found ? [[name, found] as const] : [];
  });
  const entries = stored.map(([name, { shape, data }]) => {
    const isInteger = /_ids$|_mask$/.test(name) && name !== 'pixel_mask';
    const input: TensorData = isInteger
      ? { dtype: 'I64', shape, data: BigInt64Array.from(data, (value) => BigInt(value)) }
      : { dtype: 'F32', shape, data };
    return [name, input] as const;
  });
  return Object.fromEntries(entries);
}

function largestDifference(found: TensorData | undefined, expected: Float32Array, name: string): number {
  assert(found, `${name} is not an output`);
  assert.equal(
    elementCount(found.shape),
    expected.length,
    `${name}: elements of [${found.shape.join(', ')}]`,
  );
  // Scores of what is not there are −∞ in both, whose difference is no number.
  const difference = (value: number, other: number): number =>
    value === other ? 0 : Math.abs(value - other);
  return expected.reduce(
    (most, value, index) => Math.max(most, difference(value, Number(found.data[index]))),
    0,
  );
}

/** A timm twin of a CLIP tower calls the projection to the joint space its classifier. */
const otherNames: Readonly<Record<string, string>> = { logits: 'image_embeds', output: 'logits' };

/** What a case's greedy search chose step by step: no output of one pass. */
const isGenerated = (name: string): boolean => /^(?:generated_|generation\.)/.test(name);

describe(`golden cases of ${casesFolder}`, () => {
  for (const golden of readCases()) {
    it(golden.id, async () => {
      const reference = await readReference(golden);
      const outputs = await run(golden, inputsOf(golden, reference));
      const differences = [
        ...Object.keys(golden.outputs)
          .filter((name) => !isGenerated(name))
          .map((name) => [name, golden.tolerance.output] as const),
        ...golden.attention
          .flatMap(({ tensor, places }) => (places === undefined ? [tensor] : [tensor, places]))
          .map((name) => [name, golden.tolerance.attention] as const),
      ].map(([name, tolerance]) => {
        const found = outputs[name] ?? outputs[otherNames[name] ?? ''];
        const expected = reference.get(name) ?? assert.fail(`${name} is not in the reference`);
        return { name, tolerance, found: largestDifference(found, expected.data, name) };
      });
      assert.deepEqual(
        differences.filter(({ found, tolerance }) => !(found <= tolerance)),
        [],
      );
    });
  }

  /** One case per way of making tokens and pooling them. */
  const batched = [
    'vit-timm-safetensors',
    'vit-reg4-cls-timm-safetensors',
    'siglip-timm-safetensors',
    'vit-gap-timm-safetensors',
    'beit-timm-safetensors',
    'data2vec-vision-transformers-safetensors',
    'eva02-base-timm-hub-safetensors',
    'rope-mixed-timm-hub-safetensors',
    'pe-core-timm-hub-safetensors',
    'sapiens2-timm-hub-safetensors',
    'vit-hybrid-timm-safetensors',
    'hybrid-resnetd-timm-safetensors',
    'hybrid-mci-timm-safetensors',
    'naflexvit-factorised-timm-hub-safetensors',
    'swin-timm-safetensors',
    'swin-resized-smaller-timm-safetensors',
    'swinv2-small-map-torchvision-pth',
    'davit-timm-safetensors',
    'vit-relpos-cls-timm-hub-safetensors',
    'maxvit-timm-safetensors',
    'maxvit-pm-timm-hub-safetensors',
    'coatnet-0-rw-timm-hub-safetensors',
    'mobilevit-timm-pth',
    'mobilevitv2-timm-pth',
    'mobilevitv2-transformers-safetensors',
    'caformer-timm-safetensors',
    'poolformerv2-timm-safetensors',
    'pvt1-resized-original-pth',
    'pvtv2-li-timm-safetensors',
    'twins-svt-timm-safetensors',
    'pit-distilled-timm-hub-safetensors',
    'cvt-original-pth',
    'crossvit-dagger-timm-safetensors',
    'coat-timm-safetensors',
    'cait-timm-safetensors',
    'xcit-timm-hub-safetensors',
    'convit-timm-hub-safetensors',
    'samvit-timm-safetensors',
    'vitdet-transformers-safetensors',
    'mvitv2-cls-timm-safetensors',
    'hiera-timm-safetensors',
    'hieradet-timm-safetensors',
    'volo-timm-safetensors',
    'cbam-resnet-timm-safetensors',
    'eca-resnet-timm-safetensors',
    'gc-resnet-timm-safetensors',
    'nonlocal-resnet-timm-safetensors',
    'segformer-whole-transformers-safetensors',
    'upernet-shifted-transformers-safetensors',
    'beit-upernet-transformers-safetensors',
    'dpt-hybrid-transformers-safetensors',
    'dpt-added-token-transformers-safetensors',
    'depth-anything-metric-transformers-safetensors',
    'zoedepth-transformers-safetensors',
    'glpn-whole-transformers-safetensors',
    'maskformer-transformers-safetensors',
    'mask2former-swin-segment',
    'eomt-masked-transformers-safetensors',
    'deeplabv3-torchvision-pth',
    'setr-mla-mmseg-pth',
    'segmenter-mmseg-pth',
    'segformer-mmseg-pth',
    'vjepa2-transformers-safetensors',
    'bit-timm-safetensors',
    'convnextv2-transformers-safetensors',
    'mobilenetv3-small-timm-safetensors',
    'vgg-torchvision-pth',
  ];
  for (const golden of readCases().filter(({ id }) => batched.includes(id)))
    it(`${golden.id}: a batch of two gives each image its own answer`, async () => {
      const reference = await readReference(golden);
      const { shape, data } = reference.get('pixel_values')!;
      const [name] = Object.keys(golden.outputs);
      const expected = reference.get(name!)!.data;
      const pair = new Float32Array(2 * data.length);
      pair.set(data, data.length);
      const both = { dtype: 'F32', shape: [2, ...shape.slice(1)], data: pair } as const;
      const outputs = await run(golden, { pixel_values: both }, 2);
      const answers = outputs[name!]!.data as Float32Array;
      const second = {
        dtype: 'F32',
        shape: [expected.length],
        data: answers.slice(expected.length),
      } as const;
      assert(largestDifference(second, expected, name!) <= golden.tolerance.output);
      assert.notDeepEqual(answers.slice(0, expected.length), second.data);
    });
});
