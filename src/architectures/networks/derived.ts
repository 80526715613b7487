import type { Derivation, Tensor } from '../../checkpoint/tensors';
import { at } from '../../domain/lists';
import { isNumber, modulesOf, parentOf, pathsOf, type Modules } from '../../checkpoint/moduleNames';

/** A tensor under a name that it may not have in the file. */
export interface Named {
  readonly name: string;
  readonly tensor: Tensor;
}

type Shape = readonly number[];

/** Which parts of a derivation are learned, in its order; the others are buffers. */
const learnedParts: Readonly<Record<Derivation['kind'], readonly boolean[]>> = {
  masked: [true, false],
  'weight-norm': [true, true],
  'spectral-norm': [true, false, false],
  'low-rank': [true, true, true],
  'low-rank-norm': [true, true, true, true],
  'low-rank-thirds': [true, true, true, true, true, true, true],
  'scaled-rows': [true, false],
  affine: [true],
  'affine-rows': [true, false, false],
};

/**
 * What each tensor of the file is that a parameter is computed from, or that says how one is
 * quantised, by its name.
 */
export function rolesOfParts(members: readonly Named[]): ReadonlyMap<string, 'parameter' | 'buffer'> {
  const roles = new Map<string, 'parameter' | 'buffer'>();
  const zeroPoints = new Set(members.flatMap(({ name }) => stemOf(name, /zero_points?$/) ?? []));
  const eighths = new Set(members.flatMap(({ name, tensor }) => (isEighth(tensor) ? [name] : [])));
  for (const { name, tensor } of members) {
    const scaled = eighths.size > 0 ? scaledBy(name) : undefined;
    if (scaled !== undefined && eighths.has(scaled)) roles.set(tensor.name, 'buffer');
    const stem = zeroPoints.size > 0 ? stemOf(name, /(?:scales?|zero_points?)$/) : undefined;
    if (stem !== undefined && zeroPoints.has(stem)) roles.set(tensor.name, 'buffer');
    if (!tensor.derived) continue;
    const learned = learnedParts[tensor.derived.kind];
    for (const [index, part] of tensor.derived.parts.entries())
      roles.set(part.name, learned[index] ? 'parameter' : 'buffer');
  }
  return roles;
}

const isEighth = ({ dtype }: Tensor): boolean => dtype.startsWith('F8_');

/** The float8 matrix whose factor, or whose input's, bears this name. */
function scaledBy(name: string): string | undefined {
  const stem = stemOf(name, /(?:weight|input)_scale(?:_inv)?$/);
  return stem === undefined ? undefined : `${stem}weight`;
}

/** What stands before an ending; undefined if the name does not end so. */
function stemOf(name: string, ending: RegExp): string | undefined {
  const start = name.search(ending);
  return start < 0 ? undefined : name.slice(0, start);
}

/** How libraries store a parameter that is computed from several tensors. */
interface Form {
  readonly kind: Derivation['kind'];
  /** Endings of the parts' names, in the order of the formula. */
  readonly endings: readonly [string, ...string[]];
  /** Ending of the parameter's own name in the place of theirs. */
  readonly own: string;
  /** Whether these can be the shapes of the parts. */
  readonly fits: (shapes: readonly Shape[]) => boolean;
  /** Shape of the parameter, that of the part at this index. */
  readonly shapedAs: number;
}

const count = (shape: Shape): number => shape.reduce((product, side) => product * side, 1);
const isSame = (left: Shape, right: Shape): boolean =>
  left.length === right.length && left.every((side, axis) => side === right[axis]);

/** One number, or one for each index of some axes: `[out, 1, 1, 1]` for `[out, in, 3, 3]`. */
const isMagnitude = (magnitude: Shape, direction: Shape): boolean =>
  magnitude.length === 0 ||
  (magnitude.length === direction.length &&
    magnitude.every((side, axis) => side === 1 || side === direction[axis]));

/**
 * pruning, spectral_norm and weight_norm of torch.nn.utils (whose parametrizations get the same
 * names below), the 8 bit of bitsandbytes, and torch's of rows.
 */
const forms: readonly Form[] = [
  {
    kind: 'masked',
    endings: ['_orig', '_mask'],
    own: '',
    fits: ([original = [], mask = []]) => isSame(original, mask),
    shapedAs: 0,
  },
  {
    kind: 'spectral-norm',
    endings: ['_orig', '_u', '_v'],
    own: '',
    fits: ([matrix = [], left = [], right = []]) =>
      isSame(left, matrix.slice(0, 1)) && isSame(right, [count(matrix.slice(1))]),
    shapedAs: 0,
  },
  {
    kind: 'weight-norm',
    endings: ['_g', '_v'],
    own: '',
    fits: ([magnitude = [], direction = []]) => isMagnitude(magnitude, direction),
    shapedAs: 1,
  },
  {
    kind: 'scaled-rows',
    endings: ['weight', 'SCB'],
    own: 'weight',
    fits: ([matrix = [], scales = []]) => matrix.length === 2 && isSame(scales, matrix.slice(0, 1)),
    shapedAs: 0,
  },
  {
    kind: 'affine-rows',
    endings: ['weight', 'weight_scales', 'weight_zero_points'],
    own: 'weight',
    fits: ([matrix = [], scales = [], zeroPoints = []]) =>
      matrix.length > 1 && isSame(scales, matrix.slice(0, 1)) && isSame(zeroPoints, scales),
    shapedAs: 0,
  },
];

/**
 * torch.nn.utils.parametrize's names as those of the older hooks that compute the same, and PEFT's
 * trained copies of whole modules as the modules.
 */
const respelled: readonly (readonly [RegExp, string])[] = [
  [/(?<=^|\.)modules_to_save\.\w+\./, ''],
  [/(?<=^|\.)_packed_params\._packed_params\.(weight(?:_scales|_zero_points)?|bias)$/, '$1'],
  [/(?<=^|\.)parametrizations\.(\w+)\.original0$/, '$1_g'],
  [/(?<=^|\.)parametrizations\.(\w+)\.original1$/, '$1_v'],
  [/(?<=^|\.)parametrizations\.(\w+)\.original$/, '$1_orig'],
  [/(?<=^|\.)parametrizations\.(\w+)\.0\._([uv])$/, '$1_$2'],
];

const plainName = (name: string): string => {
  if (!/(?:parametrizations|modules_to_save|_packed_params)\./.test(name)) return name;
  const row = respelled.find(([pattern]) => pattern.test(name));
  return row ? name.replace(row[0], row[1]) : name;
};

/**
 * The tensors of a file, with those that a parameter is computed from as that one parameter, in the
 * place of its first part.
 *
 * @param loraScale factor of low-rank products, if somebody says it
 */
export function derivedMembers(tensors: readonly Tensor[], loraScale?: number): readonly Named[] {
  const named = withoutOriginals(tensors).map((tensor): Named => {
    const name = plainName(tensor.name);
    const { affine } = tensor;
    return affine ? parameterOf(name, { kind: 'affine', parts: [tensor], ...affine }) : { name, tensor };
  });
  return withoutOtherAdapters(withAdapters(withThirds(withForms(named), loraScale), loraScale));
}

/**
 * Tensors without the modules that PEFT keeps as they were beside their trained copies: nothing
 * reads `classifier.original_module` if there is `classifier.modules_to_save`.
 */
function withoutOriginals(tensors: readonly Tensor[]): readonly Tensor[] {
  const trained = new Set(tensors.flatMap(({ name }) => /^(.*)\.modules_to_save\./.exec(name)?.[1] ?? []));
  if (trained.size === 0) return tensors;
  return tensors.filter(({ name }) => !trained.has(/^(.*)\.original_module\./.exec(name)?.[1] ?? ''));
}

const partEndings = /(?:_orig|_g|SCB|_zero_points)$/;

function withForms(named: readonly Named[]): readonly Named[] {
  if (!named.some(({ name }) => partEndings.test(name))) return named;
  const byName = new Map(named.map((entry) => [entry.name, entry]));
  const parts = new Set<Named>();
  const made = new Map<Named, Named>();
  for (const entry of named)
    for (const form of forms) {
      const found = composedBy(form, entry, byName);
      if (!found) continue;
      for (const part of found.parts) parts.add(part);
      made.set(entry, found.parameter);
      break;
    }
  return named.flatMap((entry) => made.get(entry) ?? (parts.has(entry) ? [] : [entry]));
}

function composedBy(
  { kind, endings, own, fits, shapedAs }: Form,
  { name }: Named,
  byName: ReadonlyMap<string, Named>,
): { readonly parts: readonly Named[]; readonly parameter: Named } | undefined {
  const [first] = endings;
  if (!name.endsWith(first)) return undefined;
  const stem = name.slice(0, name.length - first.length);
  const parts = endings.flatMap((ending) => byName.get(stem + ending) ?? []);
  const tensors = parts.map(({ tensor }) => tensor);
  if (parts.length < endings.length || !fits(tensors.map(({ shape }) => shape))) return undefined;
  return { parts, parameter: parameterOf(stem + own, { kind, parts: tensors }, shapedAs) };
}

/** A parameter that is computed: read as float32, whatever its parts are. */
function parameterOf(name: string, derived: Derivation, shapedAs = 0): Named {
  const [{ name: held, storage, start }, shaped] = [at(derived.parts, 0), at(derived.parts, shapedAs)];
  return { name, tensor: { name: held, dtype: 'F32', shape: shaped.shape, storage, start, derived } };
}

const thirdsOf = ['q', 'k', 'v'] as const;

/**
 * One matrix of queries, keys and values with products for some of them beside it, as LoRA-ViT and
 * SAMed wrap `qkv`: `qkv.qkv.weight`, `qkv.linear_a_q.weight`, `qkv.linear_b_q.weight` …
 */
function withThirds(named: readonly Named[], scale: number | undefined): readonly Named[] {
  const holders = new Set(named.flatMap(({ name }) => /^(.*\.)linear_a_q\.weight$/.exec(name)?.[1] ?? []));
  if (holders.size === 0) return named;
  const byName = new Map(named.map((entry) => [entry.name, entry]));
  const renamed = new Map<Named, Named | undefined>();
  for (const path of holders) {
    const base = byName.get(`${path}qkv.weight`);
    const pairs = thirdsOf.flatMap((letter, third) => {
      const pair = ['a', 'b'].flatMap((side) => byName.get(`${path}linear_${side}_${letter}.weight`) ?? []);
      return pair.length === 2 ? [{ third, pair }] : [];
    });
    if (!base || !pairs.every(({ pair }) => isThird(base, pair))) continue;
    const parts = [base, ...pairs.flatMap(({ pair }) => pair)];
    for (const part of parts) renamed.set(part, undefined);
    const derived: Derivation = {
      kind: 'low-rank-thirds',
      parts: parts.map(({ tensor }) => tensor),
      thirds: pairs.map(({ third }) => third),
      ...(scale !== undefined && { scale }),
    };
    renamed.set(base, parameterOf(`${path}weight`, derived));
    const bias = byName.get(`${path}qkv.bias`);
    if (bias) renamed.set(bias, { ...bias, name: `${path}bias` });
  }
  return named.flatMap((entry) => (renamed.has(entry) ? (renamed.get(entry) ?? []) : [entry]));
}

/** Whether two thin matrices make a third of this one's rows. */
function isThird(base: Named, pair: readonly Named[]): boolean {
  const [out = 0, width = 0] = base.tensor.shape;
  const [[rank = 0] = [], up = []] = pair.map(({ tensor }) => tensor.shape);
  return isSame(pair[0]?.tensor.shape ?? [], [rank, width]) && isSame(up, [out / 3, rank]);
}

/** The largest rank of an adapter as a share of the matrix's smaller side. */
const lowRank = 0.5;

/** A matrix, and the product of two thin ones that is added to it. */
interface Adapter {
  readonly base: Named;
  readonly down: Named;
  readonly up: Named;
  /** Lengths of its rows behind that (DoRA). */
  readonly magnitude?: Named;
}

/**
 * Low-rank products are found by their shapes, whatever they are called: a module that holds a
 * matrix `[out, in]`, perhaps its bias, and two without, `[r, in]` and `[out, r]`. PEFT keeps the
 * matrix in a module of its own, hand-made ones under any name.
 */
function withAdapters(named: readonly Named[], scale: number | undefined): readonly Named[] {
  let modules: Modules | undefined;
  const branches = (path: string): boolean => {
    modules ??= modulesOf(named.map(({ name }) => name));
    return modules.children.get(path)!.size > 1;
  };
  const renamed = new Map<Named, Named | undefined>();
  for (const [path, held] of holdersOf(named)) {
    const found = adapterIn(path, held);
    if (!found || !branches(path) || renamed.has(found.base)) continue;
    const inner = found.base.name.slice(0, found.base.name.lastIndexOf('.') + 1);
    const { base, down, up, magnitude } = found;
    const own = scale ?? down.tensor.loraScale;
    const derived: Derivation = {
      kind: magnitude ? 'low-rank-norm' : 'low-rank',
      parts: [base, down, up, ...(magnitude ? [magnitude] : [])].map(({ tensor }) => tensor),
      ...(own !== undefined && { scale: own }),
    };
    for (const entry of held) renamed.set(entry, { ...entry, name: path + entry.name.slice(inner.length) });
    renamed.set(base, parameterOf(`${path}weight`, derived));
    renamed.set(down, undefined);
    renamed.set(up, undefined);
    if (magnitude) renamed.set(magnitude, undefined);
  }
  if (renamed.size === 0) return named;
  return named.flatMap((entry) => (renamed.has(entry) ? (renamed.get(entry) ?? []) : [entry]));
}

/** What adapters that are not applied are renamed to lie in: beside every network. */
export const otherAdapters = 'adapters_not_applied';

/**
 * Layers around which PEFT has put adapters that are no products of thin matrices (IA³, LoHa, OFT,
 * VeRA …), as the layers alone: `q_proj.base_layer.weight` as `q_proj.weight`.
 */
function withoutOtherAdapters(named: readonly Named[]): readonly Named[] {
  const holders = new Set(named.flatMap(({ name }) => /^(.*\.)base_layer\.\w+$/.exec(name)?.[1] ?? []));
  if (holders.size === 0) return named;
  return named.map(({ name, tensor }): Named => {
    const holder = pathsOf(name).find((path) => holders.has(path));
    if (holder === undefined) return { name, tensor };
    const inner = name.slice(holder.length);
    const isBase = inner.startsWith('base_layer.');
    return { name: isBase ? holder + inner.slice('base_layer.'.length) : `${otherAdapters}.${name}`, tensor };
  });
}

/** A matrix, its bias, two thin matrices and the lengths of rows. */
const mostHeld = 5;

/**
 * What lies in each module, in it and the two levels below: the module itself, the one that holds
 * it, and PEFT's two levels of name and adapter. Of those that hold more than an adapter does, the
 * first entries.
 */
function holdersOf(named: readonly Named[]): ReadonlyMap<string, readonly Named[]> {
  const own = new Map<string, Named[]>();
  for (const entry of named) pushTo(own, parentOf(`${entry.name}.`), entry);
  const holders = new Map<string, Named[]>();
  for (const [module, entries] of own) {
    let path = module;
    for (let level = 0; level < 3 && path !== ''; level++, path = parentOf(path))
      for (const entry of entries) if (!pushTo(holders, path, entry)) break;
  }
  return holders;
}

/** Adds to the list of a path; false if it is as long as it needs to be. */
function pushTo(lists: Map<string, Named[]>, path: string, entry: Named): boolean {
  const held = lists.get(path);
  if (!held) lists.set(path, [entry]);
  else if (held.length > mostHeld) return false;
  else held.push(entry);
  return true;
}

const isThin = ({ name }: Named): boolean => /\.lora_[AB]\b/.test(name);

/** The lengths of rows as PEFT calls them: `[out]`, or `[1, out, 1, 1]` of a convolution. */
const isMagnitudes = ({ name }: Named): boolean => /\.lora_magnitude_vector\b/.test(name);

function adapterIn(path: string, all: readonly Named[]): Adapter | undefined {
  const magnitude = all.find(isMagnitudes);
  const held = all.filter((entry) => entry !== magnitude);
  const matrices = held.filter(({ tensor }) => tensor.shape.length === 2 || tensor.shape.length === 4);
  if (matrices.length !== 3 || all.length > mostHeld) return undefined;
  // PEFT's names tell which is which, whatever the rank; else the largest is the base.
  const [base, ...thin] = matrices.toSorted(
    (a, b) => Number(isThin(a)) - Number(isThin(b)) || count(b.tensor.shape) - count(a.tensor.shape),
  );
  if (!base || !/(?:^|\.)weight$/.test(base.name)) return undefined;
  const [out = 0, width = 0] = base.tensor.shape;
  const rest = held.filter((entry) => !matrices.includes(entry));
  // A second bias is the product's own, which is not computed.
  if (
    rest.length > 1 ||
    !rest.every(({ name, tensor }) => name.endsWith('bias') && isSame(tensor.shape, [out]))
  )
    return undefined;
  if (base.name.slice(path.length).split('.').some(isNumber)) return undefined;
  if (magnitude && count(magnitude.tensor.shape) !== out) return undefined;
  const found = thinPair(base, thin, out, width);
  return found && { ...found, ...(magnitude && { magnitude }) };
}

function thinPair(base: Named, thin: readonly Named[], out: number, width: number): Adapter | undefined {
  const [first, second] = thin;
  if (!first || !second) return undefined;
  // Of a convolution: one with its kernel to a few channels, and one of 1 × 1 back.
  const kernel = base.tensor.shape.slice(2);
  for (const [down, up] of [
    [first, second],
    [second, first],
  ] as const) {
    const [rank = 0] = down.tensor.shape;
    const fits =
      isSame(down.tensor.shape, [rank, width, ...kernel]) &&
      isSame(up.tensor.shape, [out, rank, ...kernel.map(() => 1)]);
    const isLow = rank <= lowRank * Math.min(out, width) || thin.every(isThin);
    if (fits && isLow && !/\blora_B\b/.test(down.name)) return { base, down, up };
  }
  return undefined;
}
