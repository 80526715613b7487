import { PathRunner } from '../../src/useCases/run';
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  ftruncateSync,
  closeSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { dtypes, elementCount, type DType } from '../../src/checkpoint/tensors';
import { at } from '../../src/domain/lists';
import type { Model } from '../../src/models/model';
import type { Classes, Guess } from '../../src/tasks/answer';
import type { Run } from '../../src/tasks/run';
import { nothingGiven, type Step } from '../../src/tasks/task';
import { taskOf } from '../../src/tasks/tasks';
import type { Log } from '../../src/inference/client';
import { defaultLimits, type Limits } from '../../src/inference/memory';
import { createMemoryStore } from '../../src/inference/providers';
import { createInference, type InferenceOptions } from '../../src/inference/service';

/** The bundled entry of the inference process, which `npm test` builds before these tests. */
export function processPath(): string {
  const path = resolve('dist/process.js');
  assert(existsSync(path), `${path} does not exist; build it first: node esbuild.mjs --tests`);
  return path;
}

export const silent: Log = { debug() {}, info() {}, warn() {} };

/** A service over the built process; tests change what they are about. */
export function testInference(
  options: Partial<Omit<InferenceOptions, 'limits'>> & { readonly limits?: Partial<Limits> } = {},
): PathRunner {
  return new PathRunner(
    createInference({
      processPath: processPath(),
      store: createMemoryStore(),
      log: silent,
      ...options,
      limits: () => ({ ...defaultLimits(), ...options.limits }),
    }),
  );
}

/** The answer of a run, which must be classes. */
export function classesOf({ answer }: Run): Classes {
  assert(answer.kind === 'classes', `classes expected, ${answer.kind} answered`);
  return answer;
}

/** The likeliest class of a run. */
export const firstOf = (run: Run): Guess => at(classesOf(run).top, 0);

/** What a task runs of an opened model. */
export const stepOf = (model: Model): Step =>
  at(taskOf(model).task.program(model, {}, nothingGiven).steps, 0);

/** A folder that is removed after the running suite. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'vitrine-test-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export const sampleImage = resolve('media/sample/images/cat-on-grass.jpg');
export const sampleModel = resolve('media/sample/vitrine-sample');

/** Sizes of a plain ViT. */
export interface VitSize {
  readonly dim: number;
  readonly depth: number;
  readonly patch: number;
  readonly image: number;
  readonly classes: number;
  /** Three by default. */
  readonly channels?: number;
}

/** Names and shapes of timm's plain ViT. */
export function vitTensors({
  dim,
  depth,
  patch,
  image,
  classes,
  channels = 3,
}: VitSize): readonly [string, readonly number[]][] {
  const tokens = 1 + (image / patch) ** 2;
  const pair = (name: string, weight: readonly number[]): [string, readonly number[]][] => [
    [`${name}.weight`, weight],
    [`${name}.bias`, [weight[0]!]],
  ];
  const block = (index: number): [string, readonly number[]][] =>
    [
      ...pair('norm1', [dim]),
      ...pair('attn.qkv', [3 * dim, dim]),
      ...pair('attn.proj', [dim, dim]),
      ...pair('norm2', [dim]),
      ...pair('mlp.fc1', [4 * dim, dim]),
      ...pair('mlp.fc2', [dim, 4 * dim]),
    ].map(([name, shape]) => [`blocks.${index}.${name}`, shape]);
  return [
    ['cls_token', [1, 1, dim]],
    ['pos_embed', [1, tokens, dim]],
    ...pair('patch_embed.proj', [dim, channels, patch, patch]),
    ...Array.from({ length: depth }, (_, index) => block(index)).flat(),
    ...pair('norm', [dim]),
    ...pair('head', [classes, dim]),
  ];
}

/** Bytes of a dtype for values that every dtype down to F8_E4M3 holds exactly. */
const encoders: Partial<Record<DType, (values: readonly number[]) => Uint8Array>> = {
  F64: (values) => new Uint8Array(Float64Array.from(values).buffer),
  F32: (values) => new Uint8Array(Float32Array.from(values).buffer),
  BF16: (values) => halves(values, (bits) => bits >>> 16),
  // Sign, exponent rebiased from 127 to 15, upper ten bits of the fraction; zero stays zero. Enough
  // for the values used here.
  F16: (values) => halves(values, (bits) => minifloat(bits, 5, 10)),
  F8_E4M3: (values) => Uint8Array.from(values, (value) => minifloat(bitsOf(value), 4, 3)),
  F8_E5M2: (values) => Uint8Array.from(values, (value) => minifloat(bitsOf(value), 5, 2)),
};

const bitsOf = (value: number): number => new Uint32Array(Float32Array.of(value).buffer)[0]!;

const halves = (values: readonly number[], convert: (bits: number) => number): Uint8Array =>
  new Uint8Array(Uint16Array.from(values, (value) => convert(bitsOf(value))).buffer);

function minifloat(bits: number, exponentBits: number, fractionBits: number): number {
  if ((bits & 0x7fffffff) === 0) return 0;
  const bias = 2 ** (exponentBits - 1) - 1;
  const exponent = ((bits >>> 23) & 0xff) - 127 + bias;
  assert(
    exponent > 0 && exponent < 2 ** exponentBits - 1,
    'a value of these tests must be normal in every type',
  );
  const fraction = (bits & 0x7fffff) >>> (23 - fractionBits);
  return ((bits >>> 31) << (exponentBits + fractionBits)) | (exponent << fractionBits) | fraction;
}

export function encode(dtype: DType, values: readonly number[]): Uint8Array {
  const encoder = encoders[dtype];
  assert(encoder, `these tests write no ${dtype}`);
  return encoder(values);
}

/** Seeded values that are exact in every floating-point type down to F8: 0, ±1/8, ±1/4, ±1/2. */
export function exactValues(count: number, seed: number): readonly number[] {
  const levels = [0, 0.125, -0.125, 0.25, -0.25, 0.5, -0.5, 0];
  let state = (seed * 2654435761) >>> 0 || 1;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return levels[state >>> 29]!;
  });
}

/** One tensor of a checkpoint that a test writes. */
export interface WrittenTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

/** A small ViT with values that do not depend on the type or file they are written in. */
export function smallVit(size: VitSize): readonly WrittenTensor[] {
  return vitTensors(size).map(([name, shape], index) => ({
    name,
    shape,
    values: exactValues(elementCount(shape), index + 1),
  }));
}

/** Writes a safetensors file; `padding` spaces in its header move the data to odd offsets. */
export function writeSafetensors(
  path: string,
  tensors: readonly WrittenTensor[],
  { dtype = 'F32', padding = 0 }: { readonly dtype?: DType; readonly padding?: number } = {},
): void {
  const parts = tensors.map(({ values }) => Buffer.from(encode(dtype, values)));
  mkdirSync(dirname(path), { recursive: true });
  const head = header(
    tensors.map(({ name, shape }) => ({ name, dtype, shape })),
    padding,
  );
  writeFileSync(path, Buffer.concat([head, ...parts]));
}

/**
 * Writes a checkpoint whose values are all zero as a sparse file: hundreds of megabytes that cost
 * no disk.
 */
export function writeSparseVit(path: string, size: VitSize): void {
  const tensors = vitTensors(size).map(([name, shape]) => ({ name, dtype: 'F32', shape }) as const);
  writeSparse(path, tensors);
}

/** A tensor of a file, without its values. */
interface HeaderEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** A .safetensors file of these tensors, all of zeros that take no room on the disk. */
export function writeSparse(path: string, tensors: readonly HeaderEntry[]): void {
  const head = header(tensors, 0);
  const data = tensors.reduce((sum, { dtype, shape }) => sum + dtypes[dtype].bytes * elementCount(shape), 0);
  const file = openSync(path, 'w');
  writeSync(file, head);
  ftruncateSync(file, head.length + data);
  closeSync(file);
}

function header(tensors: readonly HeaderEntry[], padding: number): Buffer {
  let offset = 0;
  const entries = tensors.map(({ name, dtype, shape }) => {
    const start = offset;
    offset += elementCount(shape) * dtypes[dtype].bytes;
    return [name, { dtype, shape, data_offsets: [start, offset] }] as const;
  });
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)) + ' '.repeat(padding));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json]);
}
