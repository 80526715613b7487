// What is measured: a ViT-B/16 with random weights as timm's hub would hold it, and the same
// weights as the peers need them.
import { openModel } from '../../src/models/openedModels';
import { mkdirSync, openSync, closeSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Model } from '../../src/models/model';
import { elementCount, type DType } from '../../src/checkpoint/tensors';
import { writeOnnx } from '../../src/graph/onnx/export';
import { exportOnnx } from '../../src/inference/export';
import { placeWeights } from '../../src/inference/weights';
import { vitTensors, writeSparse, writeSparseVit, type VitSize } from '../inference/support';
import { ownFolder, readLines } from '../oracles/lines';
import { cacheFolder, provideFolder } from '../run/cache.mjs';
import { seeded } from '../support/random';

const base: VitSize = { dim: 768, depth: 12, patch: 16, image: 224, classes: 1000 };
/** As many tensors as the other, and 10.3 GB of them: twelve blocks of 12 · 4224² parameters. */
const architecture = 'vit_base_patch16_224';
const large: VitSize = { ...base, dim: 4224 };

/** 640 × 480, as a camera's image would be after a messenger had it. */
export const image = resolve('media/sample/images/cat-on-grass.jpg');

/** The files that are measured. */
export interface Workload {
  /** ViT-B/16, 346 MB, with timm's config.json beside it. */
  readonly weights: string;
  /** timm's name of it. */
  readonly architecture: string;
  readonly weightBytes: number;
  /** The graph alone, its weights being those of `weights`. */
  readonly graph: string;
  /** The same with the attention map of its last layer as a second output. */
  readonly graphWithLastLayer: string;
  /** Folder of models in the layout of the Hugging Face hub, and the name of the model in it. */
  readonly hub: string;
  readonly hubName: string;
  /** A sparse file of more than 10 GB with as many tensors. */
  readonly large: string;
}

/**
 * Makes the weights once and keeps them in the cache; what depends on this project's code is
 * written anew.
 */
export async function makeWorkload(): Promise<Workload> {
  const folder = await provideFolder('bench-vit-base-1', async (place) => writeBase(place));
  const weights = join(folder, 'model.safetensors');
  const model = await openModel(weights);
  const parameters = vitTensors(base).reduce((sum, [, shape]) => sum + elementCount(shape), 0);
  const [graph, graphWithLastLayer] = await writeGraphs(model, folder);
  const hub = join(cacheFolder(), 'bench-hub');
  await writeHub(model, join(hub, 'vit-base'));
  const largeFile = join(folder, 'large.safetensors');
  writeSparseVit(largeFile, large);
  return {
    weights,
    architecture,
    weightBytes: 4 * parameters,
    graph: graph!,
    graphWithLastLayer: graphWithLastLayer!,
    hub,
    hubName: 'vit-base',
    large: largeFile,
  };
}

function writeBase(folder: string): void {
  const file = join(folder, 'model.safetensors');
  writeSparseVit(file, base);
  fill(file);
  const input = { input_size: [3, 224, 224], interpolation: 'bicubic', crop_pct: 0.9 };
  const normalisation = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };
  const config = {
    architecture,
    num_classes: base.classes,
    num_features: base.dim,
    pretrained_cfg: { ...input, ...normalisation, num_classes: base.classes },
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config, undefined, 1));
}

/**
 * Writes random values over the zeros of a file: uniform, with the deviation that ViTs are
 * initialised with; norms scale by 1.
 */
function fill(path: string): void {
  const file = openSync(path, 'r+');
  const random = seeded(16);
  const width = 2 * 0.02 * Math.sqrt(3);
  let offset = 8 + headerLength(file);
  for (const [name, shape] of vitTensors(base)) {
    const values = new Float32Array(elementCount(shape));
    if (/norm\d?\.weight$/.test(name)) values.fill(1);
    else if (!name.endsWith('.bias'))
      for (let index = 0; index < values.length; index++) values[index] = (random() - 0.5) * width;
    writeSync(file, new Uint8Array(values.buffer), 0, values.byteLength, offset);
    offset += values.byteLength;
  }
  closeSync(file);
}

function headerLength(file: number): number {
  const length = Buffer.alloc(8);
  readSync(file, length, 0, 8, 0);
  return Number(length.readBigUInt64LE());
}

/** The graphs that the bare runtime runs, beside the weights that they read. */
async function writeGraphs(model: Model, folder: string): Promise<readonly string[]> {
  const graph = model.graph();
  const { locate, close } = await placeWeights(graph, model.checkpoint.selected.tensors);
  const wanted: readonly (readonly number[])[] = [[], [graph.probes.length - 1]];
  const files = wanted.map((probes) => {
    const file = join(folder, `graph-${probes.length}.onnx`);
    writeFileSync(file, writeOnnx(graph, { locate, probes }));
    return file;
  });
  close();
  return files;
}

/**
 * The layout that transformers.js reads; its preprocessing is what timm's config.json says, in the
 * words of transformers.
 */
async function writeHub(model: Model, folder: string): Promise<void> {
  mkdirSync(join(folder, 'onnx'), { recursive: true });
  const labels = Array.from({ length: base.classes }, (_, index) => [index, `class ${index}`]);
  const config = {
    model_type: 'vit',
    architectures: ['ViTForImageClassification'],
    id2label: Object.fromEntries(labels) as object,
  };
  const preprocessor = {
    image_processor_type: 'ViTImageProcessor',
    do_resize: true,
    size: { shortest_edge: 248 },
    resample: 3,
    do_center_crop: true,
    crop_size: { height: 224, width: 224 },
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: [0.5, 0.5, 0.5],
    image_std: [0.5, 0.5, 0.5],
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'preprocessor_config.json'), JSON.stringify(preprocessor));
  await exportOnnx(model.graph(), model.checkpoint.selected.tensors, join(folder, 'onnx', 'model.onnx'));
}

/** The published model with the most tensors, which says how large a file's tree may be. */
const mostTensors = 'timm/mvitv2_huge_cls';

/** A sparse file of that model, in a folder of its own. */
export async function provideMostTensors(): Promise<{ folder: string; file: string; tensors: number }> {
  const line = readLines(ownFolder).find(({ id }) => id === mostTensors);
  if (!line) throw new Error(`no line ${mostTensors}`);
  const file = 'most-tensors.safetensors';
  const folder = await provideFolder('bench-views-most-tensors', async (place) =>
    writeSparse(
      join(place, file),
      line.tensors.map(([name, dtype, shape]) => ({ name, dtype: dtype as DType, shape })),
    ),
  );
  return { folder, file, tensors: line.tensors.length };
}
