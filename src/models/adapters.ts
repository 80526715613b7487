import { basename, dirname, join } from 'node:path';
import { stat } from 'node:fs/promises';
import { recognise } from '../architectures/recognise/recognise';
import type { Translation } from '../architectures/dialect';
import type { Checkpoint, Tensor } from '../checkpoint/checkpoint';
import { CheckpointError } from '../checkpoint/errors';
import { elementCount } from '../checkpoint/tensors';
import { openCheckpoint, readSidecar } from '../checkpoint/open';

type Json = Readonly<Record<string, unknown>>;

/** A LoRA adapter of PEFT: products of thin matrices for some of a base's, and whole modules. */
export interface LoraAdapter {
  /** As the user named it: a folder or a file. */
  readonly path: string;
  readonly checkpoint: Checkpoint;
  readonly config: Json;
}

const configName = 'adapter_config.json';

/**
 * Opens an adapter: its folder, or its file. Throws `CheckpointError` if it is none that is known.
 */
export async function readAdapter(path: string): Promise<LoraAdapter> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  const config = await readSidecar(join(isFolder ? path : dirname(path), configName));
  if (!config) throw refused(path, `no ${configName} lies in it, which holds the factor of a LoRA adapter`);
  requireLora(path, config);
  return { path, config, checkpoint: await openCheckpoint(path) };
}

/**
 * A checkpoint with adapters in place, as PEFT saves it unmerged: with their factors if the config
 * lies beside it.
 */
export async function withOwnFactors(checkpoint: Checkpoint): Promise<Checkpoint> {
  const { selected } = checkpoint;
  if (!selected.tensors.some(({ name }) => inPlace.test(name))) return checkpoint;
  const config = await readSidecar(join(dirname(checkpoint.file), configName));
  if (config?.['peft_type'] !== 'LORA') return checkpoint;
  const tensors = selected.tensors.map((tensor): Tensor => {
    const [, target] = inPlace.exec(tensor.name) ?? [];
    const [rank = 1] = tensor.shape;
    return target === undefined ? tensor : { ...tensor, loraScale: factorOf(config, target, rank) };
  });
  return withTensors(checkpoint, tensors);
}

/** The first matrix of a product, `….q_proj.lora_A.default.weight`. */
const inPlace = /^(.*)\.lora_A(?:\.\w+)?\.weight$/;

/** The checkpoint with other tensors in the place of those that are shown. */
function withTensors(checkpoint: Checkpoint, tensors: readonly Tensor[]): Checkpoint {
  const selected = { ...checkpoint.selected, tensors };
  const stateDicts = checkpoint.stateDicts.map((each) => (each === checkpoint.selected ? selected : each));
  return { ...checkpoint, selected, stateDicts };
}

const refused = (path: string, detail: string): CheckpointError =>
  new CheckpointError(
    'unsupported',
    path,
    `${detail}; merge it with PEFT (merge_and_unload) and open the result`,
  );

/** Settings under which PEFT computes something else than base + factor · B · A. */
const others: readonly (readonly [key: string, what: string])[] = [
  ['fan_in_fan_out', 'weights that lie transposed'],
  ['use_qalora', 'QALoRA'],
  ['lora_bias', 'a bias behind the second matrix'],
  ['layer_replication', 'layers that are replicated'],
];

function requireLora(path: string, config: Json): void {
  const { peft_type: type } = config;
  if (type !== 'LORA') throw refused(path, `peft_type ${String(type)} found, LORA is applied`);
  const other = others.find(([key]) => Boolean(config[key]));
  if (other) throw refused(path, `${other[0]} stands in ${configName}: ${other[1]}, is not applied`);
}

/** α / r of a target, or α / √r (rsLoRA), with what the config says of single targets. */
export function factorOf(config: Json, target: string, rank: number): number {
  const { lora_alpha: all, alpha_pattern: own, use_rslora: stabilised } = config;
  const alpha = Number(ofTarget(own, target) ?? all);
  return alpha / (stabilised === true ? Math.sqrt(rank) : rank);
}

/**
 * The value of the first pattern that fits the end of the target's name. PEFT takes patterns for
 * regular expressions, `(.*\.)?(pattern)$`.
 */
function ofTarget(patterns: unknown, target: string): unknown {
  if (typeof patterns !== 'object' || patterns === null) return undefined;
  return Object.entries(patterns).find(([key]) => expressionOf(key).test(target))?.[1];
}

/** Throws if it is no expression, or one that may take for ever: a repeated group. */
function expressionOf(pattern: string): RegExp {
  const refusal = `${configName}: alpha_pattern ${JSON.stringify(pattern)} is not read`;
  if (/\)[*+{]/.test(pattern)) throw new CheckpointError('unsupported', configName, refusal);
  try {
    return new RegExp(`^(?:.*\\.)?(?:${pattern})$`);
  } catch {
    throw new CheckpointError('unsupported', configName, refusal);
  }
}

/** What an adapter's tensor is to its base. */
interface Piece {
  /** Name of the module, or of the parameter that is replaced. */
  readonly target: string;
  readonly part: 'down' | 'up' | 'magnitude' | 'whole';
  readonly tensor: Tensor;
}

function pieceOf(tensor: Tensor): Piece {
  const name = tensor.name
    .replace(/^base_model\.model\./, '')
    .replace(/\.modules_to_save(?:\.\w+)?\./, '.')
    .replace(/\.base_layer\./, '.');
  const lengths = /^(.*)\.lora_magnitude_vector(?:\.\w+)*$/.exec(name);
  if (lengths) return { target: lengths[1] ?? '', part: 'magnitude', tensor };
  const thin = /^(.*)\.lora_(A|B)(?:\.\w+)?\.weight$/.exec(name);
  if (!thin) return { target: name, part: 'whole', tensor };
  return { target: thin[1] ?? '', part: thin[2] === 'A' ? 'down' : 'up', tensor };
}

/**
 * The checkpoint with the adapter's matrices beside those of the base that they are added to, and
 * with the modules that it replaces. Both may be named in other ways of one library: what the rows
 * of the base's naming call the same is the same. Throws `CheckpointError` with the target that the
 * base lacks, or the shape that does not fit.
 */
export function withAdapter(base: Checkpoint, adapter: LoraAdapter): Checkpoint {
  const recognition = recognise(base);
  if (recognition.family === null || !recognition.translation)
    throw refused(adapter.path, `the base ${basename(base.path)} is of no known architecture`);
  const nameOf = nameInBase(base, recognition.translation);
  const more: Tensor[] = [];
  const replaced = new Map<string, Tensor>();
  for (const piece of adapter.checkpoint.selected.tensors.map(pieceOf)) {
    const { target, part, tensor } = piece;
    const name = nameOf(part === 'whole' ? target : `${target}.weight`);
    if (name === undefined)
      throw refused(adapter.path, `${tensor.name} has no ${target} in ${basename(base.path)} to go with`);
    if (part === 'whole') replaced.set(name, { ...tensor, name });
    else more.push(beside(name, { ...piece, part }, adapter.config));
  }
  requireMagnitudes(more, adapter);
  requireFit(base, more, replaced, adapter.path);
  const tensors = [...base.selected.tensors.map((tensor) => replaced.get(tensor.name) ?? tensor), ...more];
  return {
    ...withTensors(base, tensors),
    files: [...base.files, ...adapter.checkpoint.files],
    warnings: [
      ...base.warnings,
      `The LoRA adapter ${basename(adapter.path)} is applied to ${more.filter(({ name }) => isDownName(name)).length} matrices${replaced.size > 0 ? `, and replaces ${[...replaced.keys()].join(', ')}` : ''}.`,
    ],
  };
}

const pieceNames = { down: 'lora_A', up: 'lora_B', magnitude: 'lora_magnitude_vector' } as const;

const isDownName = (name: string): boolean => name.endsWith('.lora_A.adapter.weight');

/** A part of an adapter under the name of the module that holds the base's. */
function beside(
  name: string,
  { target, part, tensor }: Piece & { readonly part: keyof typeof pieceNames },
  config: Json,
): Tensor {
  const holder = name.slice(0, name.lastIndexOf('.') + 1);
  const named = { ...tensor, name: `${holder}${pieceNames[part]}.adapter.weight` };
  return part === 'down' ? { ...named, loraScale: factorOf(config, target, tensor.shape[0] ?? 1) } : named;
}

/** Finds what the base calls a parameter: so itself, or as the naming's rows call both. */
function nameInBase(base: Checkpoint, translation: Translation): (name: string) => string | undefined {
  const own = new Set(base.selected.tensors.map(({ name }) => name));
  const { dialect, prefix, parameters } = translation;
  return (name) => {
    if (own.has(name)) return name;
    const bare = name.startsWith(prefix) ? name.slice(prefix.length) : name;
    const inner = /^[a-z0-9_]+\.(?=\w)/.exec(bare)?.[0] ?? '';
    for (const candidate of [bare, bare.slice(inner.length)])
      for (const [from, to] of dialect.renames) {
        if (!from.test(candidate)) continue;
        const canonical = typeof to === 'string' ? candidate.replace(from, to) : candidate.replace(from, to);
        const found = parameters.get(canonical)?.tensor.name;
        if (found !== undefined) return found;
      }
    return undefined;
  };
}

/** Throws if a product of DoRA's lacks the lengths of its rows: it would be a plain one. */
function requireMagnitudes(more: readonly Tensor[], { path, config }: LoraAdapter): void {
  if (config['use_dora'] !== true) return;
  const names = new Set(more.map(({ name }) => name));
  const bare = more.find(
    ({ name }) => isDownName(name) && !names.has(name.replace(pieceNames.down, pieceNames.magnitude)),
  );
  if (bare)
    throw refused(path, `use_dora stands in ${configName}, and ${bare.name} has no lora_magnitude_vector`);
}

/** Throws if a replaced tensor has another shape, or a product another than its matrix. */
function requireFit(
  base: Checkpoint,
  more: readonly Tensor[],
  replaced: ReadonlyMap<string, Tensor>,
  path: string,
): void {
  const shapes = new Map(base.selected.tensors.map(({ name, shape }) => [name, shape]));
  for (const [name, { shape }] of replaced)
    if (shape.join() !== shapes.get(name)?.join() && !/(?:head|classifier|fc)/.test(name))
      throw refused(
        path,
        `${name} is [${shape.join(', ')}], the base has [${shapes.get(name)?.join(', ') ?? ''}]`,
      );
  for (const { name, shape } of more) {
    const holder = name.replace(/lora_\w+\.adapter\.weight$/, 'weight');
    const [out, width] = shapes.get(holder) ?? [];
    const fits = name.endsWith('lora_magnitude_vector.adapter.weight')
      ? elementCount(shape) === out
      : shape.length === 2 && (name.includes('lora_A') ? shape[1] === width : shape[0] === out);
    if (!fits)
      throw refused(
        path,
        `${name} is [${shape.join(', ')}], ${holder} of the base is [${out ?? ''}, ${width ?? ''}]`,
      );
  }
}
