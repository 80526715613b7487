import { pushAll } from '../../domain/lists';
import { namesByIndex, namesClasses, type ClassNames } from '../classNames';
import { limits } from '../limits';
import { isKind, isRecord, nameOf, type PickleObject, type PickleRecord, type PickleValue } from './pickle';
import { isPickledArray, isPickledTensor, parsePickledTensor, PickledTensorError } from './tensors';
import type { Extra } from '../tensors';
import { join } from '../unwrap';

/** A tensor's description with the name it has in its state dict. */
export interface NamedPickle {
  readonly name: string;
  readonly value: PickleObject;
  readonly buffer?: true;
  /**
   * The class that holds it (`__torch__.….LayerNorm`); TorchScript's code says which of its tensors
   * are buffers.
   */
  readonly owner?: string;
}

export interface PickleGroup {
  readonly path: string;
  readonly tensors: readonly NamedPickle[];
}

export interface PickleContents {
  readonly groups: readonly PickleGroup[];
  readonly extras: readonly Extra[];
  readonly warnings: readonly string[];
  /** Class names of whole modules that were pickled. */
  readonly modules: readonly string[];
  /** Those and the classes of all their submodules. */
  readonly parts: ReadonlySet<string>;
  /** Lists of class names: `class_to_idx`, `meta.CLASSES`. */
  readonly classNames: readonly ClassNames[];
  /** PyTorch Lightning wrote the file. */
  readonly lightning: boolean;
}

/** Keys under which tensors are no weights of a model: counted, not shown as state dicts. */
const bookkeeping =
  /optim|sched|scaler|(^|_)rng|random_state|callbacks|loops|hyper_parameters|(^|_)args$|loss_fn/i;

/** Finds the state dicts in an unpickled checkpoint and says what else it holds. */
export function collectTensors(root: PickleValue): PickleContents {
  let walk = new Walk(isPickledTensor);
  walk.visit(root, '', 0);
  if (walk.groups.length === 0) {
    // NumPy arrays beside tensors are statistics; if there are no tensors they are the weights
    // (Detectron2's .pkl).
    walk = new Walk(isPickledArray);
    walk.visit(root, '', 0);
  }
  if (walk.groups.length === 0) walk.flatten(root);
  return {
    groups: walk.groups,
    extras: walk.extras,
    warnings: [...walk.warnings],
    modules: [...walk.modules],
    parts: walk.parts,
    classNames: classNamesIn(root),
    lightning:
      isKind(root, 'dict') && [...root.entries.keys()].some((key) => key === 'pytorch-lightning_version'),
  };
}

class Walk {
  readonly groups: PickleGroup[] = [];
  readonly extras: Extra[] = [];
  readonly warnings = new Set<string>();
  readonly modules = new Set<string>();
  readonly parts = new Set<string>();
  /**
   * Each container once: a list may contain itself, and 24 levels of ten references are 10^24
   * paths.
   */
  private readonly seen = new Set<PickleValue>();

  constructor(private readonly isWeight: (value: PickleValue) => boolean) {}

  visit(value: PickleValue, path: string, depth: number): void {
    if (!isRecord(value) || this.seen.has(value) || this.tooDeep(depth, path)) return;
    this.seen.add(value);
    if (isKind(value, 'object') && moduleState(value)) return this.visitModule(value, path);
    const entries = entriesOf(value);
    if (entries) this.visitEntries(entries, path, depth);
    else if (isKind(value, 'list') || isKind(value, 'tuple')) this.visitList(value.items, path, depth);
  }

  /**
   * A list of state dicts: of an ensemble, of folds, or one beside the state of its optimizer. A
   * long list is a history.
   */
  private visitList(items: readonly PickleValue[], path: string, depth: number): void {
    if (items.length > limits.listedStateDicts || !items.some((item) => this.holdsMatrices(item))) return;
    const entries = items.map((item, index) => [String(index), item] as const);
    this.visitEntries(new Map(entries), path, depth);
  }

  /** Whether it is a dict or a module with weights; measured values have one dimension. */
  private holdsMatrices(item: PickleValue): boolean {
    if (!isRecord(item) || this.isWeight(item)) return false;
    let found = false;
    this.each(item, (tensor) => (found ||= isMatrix(tensor)));
    return found;
  }

  private visitEntries(entries: ReadonlyMap<PickleValue, PickleValue>, path: string, depth: number): void {
    const all = [...entries].flatMap(([key, value]) => unpacked(keyText(key), value));
    const tensors = all.filter((entry): entry is { key: string; value: PickleObject } =>
      this.isWeight(entry.value),
    );
    const groups = this.groups.length;
    if (tensors.length > 0)
      this.groups.push({ path, tensors: tensors.map(({ key, value }) => ({ name: key, value })) });
    if (isOptimizer(entries) && depth > 0) return;
    const extras: Extra[] = [];
    for (const { key, value } of all.filter((entry) => !this.isWeight(entry.value))) {
      const before = this.groups.length;
      if (!bookkeeping.test(key)) this.visit(value, join(path, key), depth + 1);
      if (this.groups.length === before) extras.push({ name: join(path, key), summary: this.summary(value) });
    }
    // What lies beside tensors is told entry by entry; a dict without any is one entry of the dict
    // that holds it.
    if (depth === 0 || this.groups.length > groups) pushAll(this.extras, extras);
  }

  /**
   * Every tensor at any depth under its dotted path: for files that are no state dict (an
   * optimizer's state, a list of arrays).
   */
  flatten(root: PickleValue): void {
    const tensors: NamedPickle[] = [];
    this.each(root, (value, path) => tensors.push({ name: path, value }));
    if (tensors.length === 0) return;
    const optimizer = isKind(root, 'dict') && isOptimizer(root.entries);
    this.warnings.add(
      isZeroPiece(root)
        ? "is one process's piece of a DeepSpeed (ZeRO) optimizer and no model: python zero_to_fp32.py . OUT, run in the folder above, makes one checkpoint of all pieces; its tensors are listed by their path"
        : optimizer
          ? 'holds the state of an optimizer (state, param_groups) and no model; its tensors are listed'
          : 'holds no state dict; all its tensors are listed by their path',
    );
    this.groups.push({ path: '', tensors });
    this.extras.length = 0;
  }

  private visitModule(module: PickleObject, path: string): void {
    const tensors: NamedPickle[] = [];
    this.modules.add(nameOf(module.type));
    this.moduleTensors(module, '', 0, tensors);
    if (tensors.length > 0) this.groups.push({ path, tensors });
  }

  /**
   * Parameters first, then buffers that are saved, then submodules: the order of `state_dict()`.
   */
  private moduleTensors(module: PickleObject, prefix: string, depth: number, out: NamedPickle[]): void {
    if (depth > limits.moduleDepth)
      return void this.warnings.add(`modules nested more than ${limits.moduleDepth} deep were left out`);
    const state = moduleState(module) ?? new Map<PickleValue, PickleValue>();
    const owner = nameOf(module.type);
    this.parts.add(owner);
    for (const part of moduleParts(state)) {
      for (const [key, value] of part.entries) {
        const name = join(prefix, keyText(key));
        if (!isKind(value, 'object')) continue;
        const packed = packedIn(value);
        if (isPickledTensor(value))
          out.push({ name, value, owner, ...(part.buffer ? { buffer: true } : {}) });
        else if (packed.length > 0)
          for (const each of packed) out.push({ name: join(name, each.key), value: each.value, owner });
        else if (moduleState(value) && !this.seen.has(value)) {
          this.seen.add(value);
          this.moduleTensors(value, name, depth + 1, out);
        }
      }
    }
  }

  private tooDeep(depth: number, path: string): boolean {
    if (depth <= limits.nesting) return false;
    this.warnings.add(
      `${path.split('.')[0]} is nested more than ${limits.nesting} levels deep; what lies deeper was left out`,
    );
    return true;
  }

  /** Calls `found` for every tensor below `value`, each container once. */
  private each(value: PickleValue, found: (tensor: PickleObject, path: string) => void): void {
    const seen = new Set<PickleValue>();
    const pending: { value: PickleValue; path: string; depth: number }[] = [{ value, path: '', depth: 0 }];
    for (let next = pending.pop(); next; next = pending.pop()) {
      const { value: current, path, depth } = next;
      if (!isRecord(current) || seen.has(current) || this.tooDeep(depth, path)) continue;
      seen.add(current);
      if (isKind(current, 'object') && (isPickledTensor(current) || isPickledArray(current)))
        found(current, path);
      else
        for (const [key, child] of [...holdersIn(current)].reverse())
          pending.push({ value: child, path: join(path, key), depth: depth + 1 });
    }
  }

  private summary(value: PickleValue): string {
    if (!isRecord(value)) return plainText(value);
    let tensors = 0;
    this.each(value, () => tensors++);
    const what = isKind(value, 'object')
      ? nameOf(value.type)
      : isKind(value, 'global')
        ? nameOf(value)
        : describe(value);
    return tensors > 0 ? `${tensors} tensor${tensors === 1 ? '' : 's'}` : what;
  }
}

function isMatrix(tensor: PickleObject): boolean {
  try {
    return parsePickledTensor(tensor).shape.length > 1;
  } catch (error) {
    if (error instanceof PickledTensorError) return false;
    throw error;
  }
}

/** Names of the two parts of what torch's quantised layers pack into one entry. */
const packedParts = ['weight', 'bias'] as const;

/** An entry of a state dict; of a quantised layer its weight and its bias, by themselves. */
function unpacked(key: string, value: PickleValue): readonly { key: string; value: PickleValue }[] {
  if (!key.endsWith('_packed_params') || !isKind(value, 'tuple')) return [{ key, value }];
  return partsOf(value.items, `${key}.`);
}

/** Weight and bias, the first tensors of what is packed; a layer without bias packs None for it. */
function partsOf(items: readonly PickleValue[], prefix = ''): { key: string; value: PickleObject }[] {
  const tensors = items.filter(
    (item): item is PickleObject => isKind(item, 'object') && isPickledTensor(item),
  );
  return packedParts.flatMap((part, index) => {
    const value = tensors[index];
    return value ? [{ key: `${prefix}${part}`, value }] : [];
  });
}

/**
 * Weight and bias of a quantised layer that was pickled whole: a convolution's state is a tuple of
 * all that it is, a linear layer's is an object of torch's C++ (`torch.ScriptObject`), whose state
 * is the packed pair and its class.
 */
function packedIn(module: PickleObject): readonly { key: string; value: PickleObject }[] {
  const { type, state } = module;
  if (!isKind(state, 'tuple')) return [];
  if (/\bquantized\b/.test(type.module)) return partsOf(state.items);
  const [pair] = state.items;
  return nameOf(type) === 'torch.ScriptObject' && isKind(pair, 'tuple') ? partsOf(pair.items) : [];
}

/**
 * A dict, or an object that is filled like one (OrderedDict, defaultdict; Python 2 hands
 * OrderedDict its pairs as an argument).
 */
function entriesOf(value: PickleRecord): ReadonlyMap<PickleValue, PickleValue> | undefined {
  if (isKind(value, 'dict')) return value.entries;
  if (!isKind(value, 'object')) return undefined;
  if (value.entries) return value.entries;
  if (isPickledTensor(value) || isPickledArray(value)) return undefined;
  const pairs = isKind(value.args[0], 'list') ? value.args[0].items : [];
  const isPairs =
    pairs.length > 0 &&
    pairs.every((pair) => (isKind(pair, 'list') || isKind(pair, 'tuple')) && pair.items.length === 2);
  if (isPairs)
    return new Map(
      pairs.map((pair) => (pair as { items: PickleValue[] }).items as [PickleValue, PickleValue]),
    );
  return isKind(value.state, 'dict') ? value.state.entries : undefined;
}

/** Attributes of a pickled nn.Module or of a TorchScript object; nothing for any other object. */
function moduleState(value: PickleObject): ReadonlyMap<PickleValue, PickleValue> | undefined {
  const state = isKind(value.state, 'tuple') ? value.state.items[0] : value.state;
  if (!isKind(state, 'dict')) return undefined;
  const isModule =
    value.type.module.startsWith('__torch__') ||
    (state.entries.has('_parameters') && state.entries.has('_modules'));
  return isModule ? state.entries : undefined;
}

interface ModulePart {
  readonly entries: Iterable<[PickleValue, PickleValue]>;
  readonly buffer: boolean;
}

function moduleParts(state: ReadonlyMap<PickleValue, PickleValue>): ModulePart[] {
  if (!state.has('_parameters')) return [{ entries: state, buffer: false }];
  const part = (key: string) => {
    const value = state.get(key);
    return (isRecord(value) && entriesOf(value)) || new Map<PickleValue, PickleValue>();
  };
  const unsaved = new Set(namesOf(state.get('_non_persistent_buffers_set')));
  return [
    { entries: part('_parameters'), buffer: false },
    { entries: [...part('_buffers')].filter(([key]) => !unsaved.has(key)), buffer: true },
    { entries: [...part('_modules'), ...packedOf(state)], buffer: false },
  ];
}

/** What a quantised linear layer keeps outside of its parameters. */
const packedOf = (state: ReadonlyMap<PickleValue, PickleValue>): [PickleValue, PickleValue][] => {
  const packed = state.get('_packed_params');
  return packed === undefined ? [] : [['_packed_params', packed]];
};

/** The members of a set, which protocol 2 writes as `set([…])`. */
function namesOf(value: PickleValue | undefined): readonly PickleValue[] {
  if (isKind(value, 'set') || isKind(value, 'list')) return value.items;
  return isKind(value, 'object') ? namesOf(value.args[0]) : [];
}

/** What DeepSpeed writes into `zero_pp_rank_0_mp_rank_00_optim_states.pt`. */
function isZeroPiece(root: PickleValue): boolean {
  const state = isKind(root, 'dict') ? root.entries.get('optimizer_state_dict') : undefined;
  return isKind(state, 'dict') && (state.entries.has('zero_stage') || state.entries.has('partition_count'));
}

function isOptimizer(entries: ReadonlyMap<PickleValue, PickleValue>): boolean {
  return entries.has('state') && entries.has('param_groups');
}

/** What lies directly inside of a value and may hold more, with its key. */
function* holdersIn(value: PickleRecord): Generator<readonly [string, PickleRecord]> {
  const entries = entriesOf(value);
  if (entries) {
    for (const [key, child] of entries) if (mayHold(child)) yield [keyText(key), child];
  } else if ('items' in value && value.items) {
    for (const [index, child] of value.items.entries()) if (mayHold(child)) yield [String(index), child];
  } else if (isKind(value, 'object'))
    for (const child of [...value.args, value.state ?? null]) if (mayHold(child)) yield ['', child];
}

/** Whether anything may lie inside: a list may have a million numbers, none of which is kept. */
function mayHold(value: PickleValue): value is PickleRecord {
  if (!isRecord(value) || isKind(value, 'float') || isKind(value, 'global')) return false;
  return !(isKind(value, 'list') || isKind(value, 'tuple')) || value.items.length > 0;
}

function keyText(key: PickleValue): string {
  return isRecord(key) ? describe(key) : plainText(key);
}

function plainText(value: Exclude<PickleValue, PickleRecord>): string {
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  const text = value === null ? 'None' : value === true ? 'True' : value === false ? 'False' : String(value);
  return text;
}

function describe(value: PickleRecord): string {
  if (isKind(value, 'float')) return String(value.value);
  if (isKind(value, 'dict')) return `dict of ${value.entries.size}`;
  return 'items' in value && value.items ? `${value.kind} of ${value.items.length}` : value.kind;
}

/** How deep lists of class names lie: `hyper_parameters.model.classes`. */
const namesDepth = 4;
/** Containers that are searched for them. */
const namesSearched = 5000;

/** Lists of class names under keys that say so, with the path of each. */
function classNamesIn(root: PickleValue): readonly ClassNames[] {
  const found: ClassNames[] = [];
  const seen = new Set<PickleValue>();
  const pending: { value: PickleValue; path: string; depth: number }[] = [
    { value: root, path: '', depth: 0 },
  ];
  for (let next = pending.shift(); next && seen.size < namesSearched; next = pending.shift()) {
    const { value, path, depth } = next;
    if (!isRecord(value) || seen.has(value) || depth > namesDepth) continue;
    seen.add(value);
    for (const [key, child] of entriesOf(value) ?? []) {
      const own = join(path, keyText(key));
      const names =
        isRecord(child) && namesClasses(keyText(key)) ? namesByIndex(plainValue(child)) : undefined;
      if (names) found.push({ source: `${own} in the file`, names });
      else if (isRecord(child)) pending.push({ value: child, path: own, depth: depth + 1 });
    }
  }
  return found;
}

/** fastai's CategoryMap keeps an L as an attribute, and that its list: `items` of `items`. */
const listsDepth = 3;

/** A list or dict of names and numbers as JSON has it; what else it holds is null. */
function plainValue(value: PickleValue, depth = 0): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (!isRecord(value)) return value instanceof Uint8Array ? null : value;
  if (isKind(value, 'list') || isKind(value, 'tuple'))
    return value.items.map((item) => (isRecord(item) ? null : plainValue(item)));
  const entries = entriesOf(value);
  const items = entries?.get('items');
  if (items !== undefined && isRecord(items) && !isKind(items, 'dict') && depth < listsDepth)
    return plainValue(items, depth + 1);
  if (!entries) return null;
  return Object.fromEntries(
    [...entries].map(([key, item]) => [keyText(key), isRecord(item) ? null : plainValue(item)]),
  );
}
