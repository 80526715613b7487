/**
 * Reads cases of answers: raw outputs, how answers are computed (`post`), and what the library
 * answers. Each is a folder with case.json, reference.safetensors, and maps in results/.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Size } from '../../src/domain/size';
import { topK } from '../../src/labels/labels';
import { resizedSize } from '../../src/preprocessing/steps';
import { extentOfWarp } from '../../src/preprocessing/warp';
import { cutInstancesOf, cutPanopticOf, type CutMasks } from '../../src/tasks/post/cutSegments';
import { depthOf, depthWithoutBorder } from '../../src/tasks/post/depth';
import { detectionsOf, phrasesOf, type DetectionRule } from '../../src/tasks/post/detection';
import { keypointsOf } from '../../src/tasks/post/keypoints';
import { reconstructionOf } from '../../src/tasks/post/reconstruction';
import { restorationOf } from '../../src/tasks/post/restoration';
import { promptMasksOf } from '../../src/tasks/post/promptMasks';
import * as segmentation from '../../src/tasks/post/segmentation';
import { itemOf, ofOneImage, type Values } from '../../src/tasks/post/values';
import { readPng } from './png';
import { numbersOf, readTensorFile } from './tensors';

interface Post {
  readonly name: string;
  readonly call: string;
  readonly [argument: string]: unknown;
}

interface StoredMap {
  readonly file: string;
  readonly unsure: readonly number[];
}

interface StoredAnswer {
  readonly list?: unknown;
  readonly maps?: readonly StoredMap[];
  readonly tensors?: readonly string[];
}

/** The keys of case.json that an answer needs. */
export interface PostCase {
  readonly id: string;
  readonly family: string;
  readonly pictures: readonly { readonly size: Size }[];
  readonly post: readonly Post[];
  readonly answers: Readonly<Record<string, StoredAnswer>>;
  readonly batch?: { readonly answers: Readonly<Record<string, StoredAnswer>> };
  readonly folder: string;
}

/** Every case with answers in a folder, or in its folder `cases`. */
export function readPostCases(folder: string): readonly PostCase[] {
  const folders = [folder, join(folder, 'cases')].filter((at) => existsSync(at));
  return folders
    .flatMap((at) => readdirSync(at).map((name) => join(at, name)))
    .filter((at) => existsSync(join(at, 'case.json')))
    .map((at) => ({
      ...(JSON.parse(readFileSync(join(at, 'case.json'), 'utf8')) as PostCase),
      folder: at,
    }))
    .filter(({ post }) => Array.isArray(post) && post.length > 0);
}

/** Outputs of one picture, and what else an answer is computed from. */
interface Given {
  readonly found: PostCase;
  readonly post: Post;
  readonly size: Size;
  /** An output, or an input, of this picture by its name. */
  readonly output: (name: string) => Values;
  readonly has: (name: string) => boolean;
}

/** What is answered: plain data, maps and planes of numbers. */
interface Got {
  readonly list?: unknown;
  readonly maps?: readonly (Int32Array | Uint8Array)[];
  readonly tensors?: Readonly<Record<string, Float32Array>>;
}

const json = (folder: string, name: string): Record<string, unknown> => {
  const path = join(folder, name);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>) : {};
};

/** `name` of a label, if the configuration has one. */
function named({ found }: Given, label: number): object {
  const names = json(found.folder, 'config.json')['id2label'] as Record<string, string> | undefined;
  return names?.[label] === undefined ? {} : { name: names[label] };
}

const detectionRules: Readonly<Record<string, readonly [DetectionRule, top?: number]>> = {
  detr: ['softmax'],
  yolos: ['softmax'],
  'conditional-detr': ['pairs', 100],
  'dab-detr': ['pairs', 100],
  'deformable-detr': ['pairs', 100],
  rt_detr: ['pairs'],
  owlvit: ['texts'],
  owlv2: ['texts'],
};

function detection(given: Given): Got {
  const { found, post, size, output } = given;
  const [rule, top] = detectionRules[found.family]!;
  const options = { threshold: Number(post['threshold']), top, square: found.family === 'owlv2' };
  const outputs = { logits: output('logits'), boxes: output('pred_boxes') };
  const texts = post['texts'] as readonly string[] | undefined;
  return {
    list: detectionsOf(rule, outputs, size, options).map(({ label, score, box }) => ({
      label,
      ...(texts ? { name: texts[label] } : named(given, label)),
      score,
      box,
    })),
  };
}

/** WordPiece read back, or the tokens themselves if there is no vocabulary. */
function phraseOf(folder: string, ids: readonly number[]): string {
  const path = join(folder, 'vocab.txt');
  if (!existsSync(path)) return ids.join(' ');
  const vocabulary = readFileSync(path, 'utf8').split('\n');
  const text = ids.map((id) => vocabulary[id]).join(' ');
  return text.replaceAll(' ##', '').replace(/ ([.?!,])/g, '$1');
}

function grounded({ found, post, size, output }: Given): Got {
  const outputs = { logits: output('logits'), boxes: output('pred_boxes') };
  const options = { threshold: Number(post['threshold']), textThreshold: Number(post['text_threshold']) };
  const ids = output('input_ids').values;
  return {
    list: phrasesOf(outputs, size, options).map(({ score, box, tokens }) => ({
      name: phraseOf(
        found.folder,
        tokens.map((token) => ids[token]!),
      ),
      score,
      box,
    })),
  };
}

const maskOutputs = ({ found, output }: Given): segmentation.MaskOutputs => ({
  classes: output('class_queries_logits'),
  masks: output('masks_queries_logits'),
  inner: found.family.startsWith('mask2former') ? segmentation.mask2FormerSize : squareOf(found),
});

/** EoMT's masks are brought to the sides of its input first. */
function squareOf({ family, folder }: PostCase): Size | undefined {
  if (family !== 'eomt') return undefined;
  const { longest_edge: side } = json(folder, 'preprocessor_config.json')['size'] as { longest_edge: number };
  return [side, side];
}

function semantic(given: Given): Got {
  const { size, output, has } = given;
  const map = has('logits')
    ? segmentation.semanticOf(output('logits'), size)
    : segmentation.semanticOfMasks(maskOutputs(given), size);
  return { maps: [map.ids] };
}

/** Masks that are cut to the image's part of a square input, if the family's processor does so. */
function cutMasks(given: Given): CutMasks | undefined {
  const { found, size } = given;
  if (found.family !== 'eomt') return undefined;
  const [side] = squareOf(found) ?? [0];
  const step = { kind: 'resize', rule: 'bounded', height: side, width: side, filter: 'bilinear' } as const;
  const resized = resizedSize(step, { height: size[0], width: size[1] });
  return { ...maskOutputs(given), inner: [side, side], content: [resized.height, resized.width] };
}

function segments(given: Given): Got {
  const { post, size } = given;
  const threshold = Number(post['threshold']);
  const options = {
    threshold,
    maskThreshold: Number(post['mask_threshold']),
    overlapThreshold: Number(post['overlap_mask_area_threshold']),
    fused: (post['label_ids_to_fuse'] ?? post['stuff_classes'] ?? []) as readonly number[],
  };
  const cut = cutMasks(given);
  const isInstance = post['which'] === 'instance';
  const contested = given.found.family === 'oneformer' && isInstance;
  const found = contested
    ? segmentation.contestedInstancesOf(maskOutputs(given), size, options)
    : cut
      ? (isInstance ? cutInstancesOf : cutPanopticOf)(cut, size, options)
      : isInstance
        ? segmentation.instancesOf(maskOutputs(given), size, { threshold })
        : segmentation.panopticOf(maskOutputs(given), size, options);
  const list = found.segments.map((segment) => ({ ...segment, ...named(given, segment.label_id) }));
  return { maps: [found.ids], list };
}

function masks({ found, size, output }: Given): Got {
  const { pad_size: pad } = json(found.folder, 'preprocessor_config.json') as {
    pad_size: { height: number; width: number };
  };
  const [height = 0, width = 0] = output('reshaped_input_sizes').values;
  const all = promptMasksOf(output('pred_masks'), output('iou_scores'), {
    frame: { padded: [pad.height, pad.width], resized: [height, width] },
    image: size,
  });
  return {
    maps: all.map(({ ids }) => ids),
    list: all.map(({ prompt, mask, score }) => ({ prompt, mask, score })),
  };
}

function depth({ found, post, size, output, has }: Given): Got {
  const flipped = has('predicted_depth_flipped') ? output('predicted_depth_flipped') : undefined;
  const options = { padded: post['source_sizes'] === true, flipped };
  const map =
    found.family === 'zoedepth'
      ? depthWithoutBorder(output('predicted_depth'), size, options)
      : depthOf(output('predicted_depth'), size);
  return { tensors: { [`${post.name}.0`]: map.values } };
}

/** The whole picture is the box of the one person, as it is without a detector. */
function keypoints(given: Given): Got {
  const { found, post, size, output } = given;
  const { size: input } = json(found.folder, 'preprocessor_config.json') as {
    size: { height: number; width: number };
  };
  const step = { kind: 'warp', ...input, factor: 1.25 } as const;
  const extent = extentOfWarp(step, { height: size[0], width: size[1] });
  const all = keypointsOf(output('heatmaps'), { extent, input: [input.height, input.width] });
  const shown = all.filter(({ score }) => score > Number(post['threshold'] ?? -Infinity));
  return {
    list: shown.map(({ label, score, x, y }) => ({ label, ...named(given, label), score, point: [x, y] })),
  };
}

function reconstruction({ found, post, output, has }: Given): Got {
  const { image_mean: mean, image_std: std } = json(found.folder, 'preprocessor_config.json') as {
    image_mean: number[];
    image_std: number[];
  };
  const drawn = output(has('patches') ? 'patches' : 'logits');
  const patch = Math.sqrt(drawn.shape.at(-1)! / mean.length);
  const normalised = post['norm_pix'] === true;
  const outputs = { logits: drawn, mask: output('mask') };
  const { reconstruction, pasted, hidden } = reconstructionOf(outputs, output('pixel_values'), {
    patch,
    normalised,
    mean,
    std,
  });
  return { tensors: { reconstruction, pasted, hidden } };
}

/** Padding stands at the right and at the bottom, and is cut off again. */
function restored({ found, post, size, output }: Given): Got {
  const scale = Number(json(found.folder, 'config.json')['upscale']);
  const { planes } = restorationOf(output('reconstruction'), { top: 0, left: 0, size }, scale);
  return { tensors: { [`${post.name}.0`]: Float32Array.from(planes) } };
}

function classes(given: Given): Got {
  const { post, output } = given;
  const rule = post['sigmoid'] === true ? 'sigmoid' : 'softmax';
  const { values } = ofOneImage(output('logits'), 1, 'logits');
  return {
    list: topK(values, Number(post['top'] ?? 5), rule).map(({ index, probability }) => ({
      label: index,
      ...named(given, index),
      score: probability,
    })),
  };
}

function zeroShot({ post, output }: Given): Got {
  const rule = post['sigmoid'] === true ? 'sigmoid' : 'softmax';
  const labels = post['labels'] as readonly string[];
  const { values } = ofOneImage(output('logits_per_image'), 1, 'logits');
  return {
    list: topK(values, values.length, rule).map(({ index, probability }) => ({
      label: index,
      name: labels[index],
      score: probability,
    })),
  };
}

/** What each `call` of a case asks for. */
const calls: Readonly<Record<string, (given: Given) => Got>> = {
  detection,
  'detection-tensor': detection,
  grounded,
  semantic,
  segments,
  masks,
  depth,
  keypoints,
  reconstruction,
  restored,
  classify: classes,
  'zero-shot': zeroShot,
};

/**
 * Outputs are stored as float32 of what was computed in float64: a score is off by less than 1e-6,
 * a box or a point by less than 1e-4 of a pixel. Segments' scores are rounded to six decimals.
 */
const scoreTolerance = 2e-6;
const boxTolerance = 1e-4;

/** Asserts that two lists hold the same, numbers with a fraction within the tolerance. */
function same(found: unknown, expected: unknown, path: string): void {
  if (typeof expected === 'number' && typeof found === 'number') {
    const tolerance = /\.(?:box|point)\b/.test(path)
      ? boxTolerance
      : path.includes('.score')
        ? scoreTolerance
        : 0;
    assert.ok(Math.abs(found - expected) <= tolerance, `${path}: ${found}, expected ${expected}`);
  } else if (typeof expected === 'object' && expected !== null) {
    assert.ok(typeof found === 'object' && found !== null, path);
    assert.deepEqual(Object.keys(found), Object.keys(expected), path);
    for (const [key, value] of Object.entries(expected))
      same((found as Record<string, unknown>)[key], value, `${path}.${key}`);
  } else assert.equal(found, expected, path);
}

function checkMap(found: Int32Array | Uint8Array, { file, unsure }: StoredMap, folder: string): void {
  const { data } = readPng(readFileSync(join(folder, file)));
  assert.equal(found.length, data.length, file);
  const loose = new Set(unsure);
  const wrong = [...found.keys()].filter((i) => !loose.has(i) && (found[i]! & 255) !== data[i]);
  assert.equal(wrong.length, 0, `${file}: ${wrong.length} of ${data.length} pixels differ`);
}

/**
 * Depth and pixels: 1e-5 of the largest value, as inputs are float32, and a cubic filter and
 * statistics of a patch add up some of them.
 */
const relativeTolerance = 1e-5;

function checkTensor(found: Float32Array, expected: Float64Array, name: string): void {
  assert.equal(found.length, expected.length, name);
  let [worst, most] = [0, 0];
  expected.forEach((value, i) => {
    worst = Math.max(worst, Math.abs(value - found[i]!));
    most = Math.max(most, Math.abs(value));
  });
  assert.ok(worst <= relativeTolerance * most, `${name}: largest difference ${worst} of ${most}`);
}

type Tensors = ReturnType<typeof readTensorFile>;

function valuesOf(tensors: Tensors, name: string): Values {
  const tensor = tensors.get(name);
  assert.ok(tensor, `${name} is not in the reference`);
  return { shape: tensor.shape, values: Float32Array.from(numbersOf(tensor)) };
}

/** Asserts the answers of the first picture alone. */
export function checkAlone(found: PostCase): void {
  const tensors = readTensorFile(join(found.folder, 'reference.safetensors'));
  const size = found.pictures[0]!.size;
  const given = { found, size, output: (name: string) => itemOrAll(valuesOf(tensors, name)) };
  for (const post of found.post) {
    const got = calls[post.call]!({ ...given, post, has: (name) => tensors.has(name) });
    const { list, maps = [], tensors: names = [] } = found.answers[post.name]!;
    if (list !== undefined) same(got.list, perPicture(post, list)[0], post.name);
    maps.forEach((map, i) => checkMap(got.maps![i]!, map, found.folder));
    names.forEach((name) => checkTensor(got.tensors![name]!, numbersOf(tensors.get(name)!), name));
  }
}

/** Inputs and outputs of the one picture; those of all pictures of a batch are longer. */
const itemOrAll = (values: Values): Values => (values.shape[0] === 1 ? itemOf(values, 0) : values);

/** Lists of SAM's masks are of the one picture, all others hold a list a picture. */
const perPicture = ({ call }: Post, list: unknown): readonly unknown[] =>
  call === 'masks' ? [list] : (list as readonly unknown[]);

/** Asserts the answers of all pictures in one padded batch, taken apart. */
export function checkBatch(found: PostCase): void {
  const tensors = readTensorFile(join(found.folder, 'reference.safetensors'));
  for (const post of found.post) {
    const { list, maps = [] } = found.batch!.answers[post.name]!;
    found.pictures.forEach(({ size }, i) => {
      const output = (name: string): Values => itemOf(valuesOf(tensors, `batch.${name}`), i);
      const has = (name: string): boolean => tensors.has(`batch.${name}`);
      const got = calls[post.call]!({ found, post, size, output, has });
      if (list !== undefined) same(got.list, perPicture(post, list)[i], `${post.name}[${i}]`);
      if (maps[i]) checkMap(got.maps![0]!, maps[i], found.folder);
    });
  }
}
