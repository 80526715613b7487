import { elementCount, type Tensor } from '../checkpoint/tensors';
import { viewShape, type ParameterSource, type ParameterView } from '../graph/builder';
import type { ProbeKind } from '../domain/probes';
import type { ResamplingName } from './blocks/positions';
import { isBuffer } from './buffers';
import type { Member, Network } from './networks/networks';

/**
 * How one tensor of the file becomes canonical parameters: one view for each index that `*` stands
 * for in the canonical name, a single one if the name has no `*`.
 */
export type Layout = (tensor: Tensor) => readonly ParameterView[];

/** A name made of the groups of a match, if counting is needed: `layers.4` is `blocks.2`. */
export type Renamed = (match: string, ...groups: string[]) => string;

/**
 * A rename: what the file calls it (after the dialect's prefix), timm's canonical name (`$1` … of
 * the match), layout if it differs.
 */
export type Rename = readonly [from: RegExp, to: string | Renamed, layout?: Layout];

/** A fact that a code base fixes, or, if its users choose, the one that most of them do. */
export type Habit<T> = readonly [value: T, why: string, assumed?: 'assumed'];

/**
 * What a code base's plain transformers do that neither names nor shapes tell. A habit outranks
 * published models, which are of other code bases.
 */
export interface Habits {
  readonly activation?: Habit<string>;
  /** Of MLPs whose gate is a layer of its own, whatever a configuration says of others. */
  readonly gate?: Habit<string>;
  /** Norms before the branches, behind them inside the residual, or behind the sum. */
  readonly norm_order?: (names: ReadonlySet<string>) => Habit<'pre' | 'post' | 'after'>;
  /** Of those with a class token; where parts of the head decide, they do. */
  readonly pool?: Habit<'token' | 'avg'>;
  readonly pool_prefix?: Habit<boolean>;
  /** Channels of a head by the width of the queries; 64 without it. */
  readonly perHead?: (width: number) => number;
  /**
   * Whose positions are learned: the patches' alone, though a class token goes with them; or
   * nobody's, and they are sines and cosines of the place.
   */
  readonly positions?: 'patches' | 'sincos';
  /** Pixels around the image that the patch embedding sees as zeros. */
  readonly padding?: Habit<number>;
  /** What the classifier's outputs go through, by the name of its weight. */
  readonly afterHead?: (head: string) => Habit<string> | undefined;
  /** Heads of a file whose attention has no projection: vit-pytorch leaves it out for one head. */
  readonly bareAttention?: true;
  /** Other models of the same names and shapes, of which no file tells that it is none. */
  readonly namesakes?: (names: ReadonlySet<string>) => string | undefined;
}

/** Shapes of a file's tensors by their names. */
export type Shapes = ReadonlyMap<string, readonly number[]>;

/** One way in which a library or repository names the tensors of a model. */
export interface Dialect {
  readonly name: string;
  /** What the user is shown: `Hugging Face transformers`. */
  readonly title: string;
  /**
   * What may stand in front of the names: `vit.`, `backbone.`. The names of a head often lack it.
   */
  readonly prefix?: RegExp;
  /**
   * Names that the library keeps outside of that prefix. If it is given, others of its words there
   * are somebody's own: a norm or a head that their code applies.
   */
  readonly outside?: RegExp;
  /** The dialect is spoken if each of these finds a name (after the prefix). */
  readonly signature: readonly RegExp[];
  /** Not spoken if one of these finds a name: a narrower family has it, too. */
  readonly absent?: readonly RegExp[];
  readonly renames: readonly Rename[];
  /**
   * Names as the rows know them, where only the whole file tells a number (blocks that are counted
   * through all stages): a function of the names (after the prefix) with their shapes.
   */
  readonly numbering?: (shapes: Shapes) => (name: string) => string;
  /**
   * Names of the network itself (after the prefix): one of these that no row knows means a network
   * of another kind. Without it every tensor of the file must be read by the family's graph, be a
   * buffer or idle.
   */
  readonly territory?: RegExp;
  /**
   * Its names are anyone's: a parameter of the network that no row knows, and that is no layer of a
   * head, speaks against it.
   */
  readonly closed?: true;
  /** Families whose models the rows rename; the plain transformers without it. */
  readonly families?: readonly string[];
  /**
   * Names (after the prefix) that this library registers as buffers, beside those that all
   * libraries do.
   */
  readonly buffers?: RegExp;
  /**
   * Canonical module path of an attention block -> the file's own, for whoever names a layer to the
   * user.
   */
  readonly modules?: readonly (readonly [canonical: RegExp, own: string])[];
  /**
   * The same by a canonical parameter: the module is what the file calls the one that holds it, or
   * the one so many levels above.
   */
  readonly holders?: readonly (readonly [canonical: RegExp, parameter: string, above?: number])[];
  /**
   * Kinds of maps by the canonical path of their module, where this library's models differ from
   * timm's words.
   */
  readonly kinds?: readonly (readonly [canonical: RegExp, kind: ProbeKind])[];
  /**
   * How the library resamples a position table for another image size: without and with register
   * tokens.
   */
  readonly resampling: readonly [plain: ResamplingName, withRegisters: ResamplingName];
  /** Epsilon of the norms if nothing says otherwise: the library's default. */
  readonly eps: number;
  /**
   * Its models are the image towers of dual encoders, with or without the text tower beside them.
   */
  readonly dualEncoder?: true;
  /**
   * The kind of model around the network, of which the rows rename the image backbone alone:
   * `DETR`.
   */
  readonly backboneOf?: string;
  /**
   * The naming inside of this one, if a library has another's networks as parts: whose defaults
   * hold for what weights do not tell.
   */
  readonly inner?: Dialect;
  /** Number of the first register token: timm counts from 0, transformers from 1. */
  readonly firstRegister?: number;
  readonly habits?: Habits;
  /** Heads, if the shapes give them. */
  readonly heads?: (tensors: ReadonlyMap<string, Translated>) => number | undefined;
}

/** A canonical parameter: its canonical shape, the tensor it is cut from and where. */
export interface Translated {
  readonly shape: readonly number[];
  readonly tensor: Tensor;
  readonly view: ParameterView;
}

/** A checkpoint's tensors under canonical names. */
export interface Translation {
  readonly dialect: Dialect;
  /** The subtree of the file that was read. */
  readonly network: Network;
  /**
   * What stands before the network's names, by path and dialect: `net.vit.`; empty if nothing does.
   */
  readonly prefix: string;
  readonly parameters: ReadonlyMap<string, Translated>;
  readonly source: ParameterSource;
  /** Tensors of the network that no row knows. */
  readonly unexpected: readonly string[];
  /**
   * Tensors that are there once more for each module that shares the parameter, and the tensor that
   * is read.
   */
  readonly copies: ReadonlyMap<string, string>;
}

/** Names that are canonical as they stand. */
export const asNamed: Rename = [/^(.+)$/, '$1'];

/**
 * timm's own names of a family, which are the canonical ones; `signature` finds a name of each part
 * that only this family has.
 */
export function timmNames(
  family: string,
  signature: readonly RegExp[],
  more: Partial<Dialect> = {},
): Dialect {
  return {
    name: 'timm',
    title: 'timm',
    families: [family],
    resampling: ['bicubic, antialias', 'bicubic, antialias'],
    eps: 1e-6,
    signature,
    renames: [asNamed],
    ...more,
  };
}

/** The whole tensor under another shape of as many elements; its own if none is given. */
export function whole(tensor: Tensor, stored: readonly number[] = tensor.shape): ParameterView {
  const { name, dtype, derived } = tensor;
  return { tensor: name, dtype, stored, first: 0, ...(derived && { derived }) };
}

/** A vector or table without the leading axes of one that timm stores: `[dim]` as `[1, 1, dim]`. */
export const asTokens: Layout = (tensor) => [
  whole(tensor, [1, elementCount(tensor.shape) / tensor.shape.at(-1)!, tensor.shape.at(-1)!]),
];

/** A dense kernel `[in, out]`. */
export const transposed: Layout = (tensor) => [{ ...whole(tensor), permutation: [1, 0] }];

/**
 * Part `index` of `count` equal parts along the first axis (fused q, k, v), `length` parts long.
 */
export function rows(index: number, count: number, length = 1): Layout {
  return (tensor) => {
    const part = tensor.shape[0]! / count;
    const stored = [part * length, ...tensor.shape.slice(1)];
    return [{ ...whole(tensor, stored), first: index * part * elementCount(tensor.shape.slice(1)) }];
  };
}

/** The names of a file without what stands in front of them. */
interface Bare {
  readonly prefix: string;
  readonly names: readonly string[];
  readonly known: ReadonlySet<string>;
}

/** The names of a file. A hundred dialects ask for the same prefixes: what was found is kept. */
export class FileNames {
  private readonly prefixes = new Map<RegExp, string>();
  private readonly bare = new Map<string, Bare>();

  constructor(readonly all: readonly string[]) {}

  /** What stands in front of the names by this pattern, and the names without it. */
  behind(pattern: RegExp | undefined): Bare {
    const prefix = pattern === undefined ? '' : this.prefixOf(pattern);
    const found = this.bare.get(prefix) ?? this.without(prefix);
    this.bare.set(prefix, found);
    return found;
  }

  private prefixOf(pattern: RegExp): string {
    const prefix =
      this.prefixes.get(pattern) ?? this.all.find((name) => pattern.test(name))?.match(pattern)?.[0] ?? '';
    this.prefixes.set(pattern, prefix);
    return prefix;
  }

  private without(prefix: string): Bare {
    const names = prefix === '' ? this.all : this.all.map((name) => withoutPrefix(name, prefix));
    return { prefix, names, known: new Set(names) };
  }
}

/**
 * The only name that a signature name finds, if it is nothing but a name: those are looked up, not
 * searched for.
 */
const onlyName = ({ source }: RegExp): string | undefined =>
  /^\^(?:\w|\\\.)+\$$/.test(source) ? source.slice(1, -1).replaceAll('\\.', '.') : undefined;

function finds(signatureName: RegExp, { names, known }: Bare): boolean {
  const name = onlyName(signatureName);
  return name === undefined ? names.some((each) => signatureName.test(each)) : known.has(name);
}

/**
 * The names of a dialect's signature that the file lacks, one after the other: whoever asks whether
 * there is one stops at it.
 */
export function* lackingSignature({ prefix, signature }: Dialect, file: FileNames): Generator<RegExp> {
  const bare = file.behind(prefix);
  for (const name of signature) if (!finds(name, bare)) yield name;
}

function withoutPrefix(name: string, prefix: string): string {
  return name.startsWith(prefix) ? name.slice(prefix.length) : name;
}

/**
 * Another tensor with the name and shape of a parameter: one that modules share and that is saved
 * with each.
 */
const isCopy = (shape: readonly number[], known: Translated): boolean =>
  shape.length === known.shape.length && shape.every((side, axis) => side === known.shape[axis]);

/**
 * A network's tensors under canonical names; undefined if they do not speak the dialect. Names that
 * no row knows are left out.
 */
export function translate(
  dialect: Dialect,
  network: Network,
  names = insideNames(network),
): Translation | undefined {
  if (!lackingSignature(dialect, names).next().done) return undefined;
  const own = names.behind(dialect.prefix);
  if (dialect.absent?.some((name) => finds(name, own))) return undefined;
  const parameters = new Map<string, Translated>();
  const unexpected: string[] = [];
  const copies = new Map<string, string>();
  const numbered = numberedBy(dialect, network, own.prefix);
  for (const { name: stands, tensor, inside } of network.members) {
    const bare = numbered(withoutPrefix(stands, own.prefix));
    // The register tokens of a model without any have a name and no elements.
    if (tensor.shape.includes(0)) continue;
    const views = canonical(dialect, tensor, bare);
    const isHeld = isBuffer(tensor) || network.roles.get(tensor.name) === 'buffer';
    if (views.length === 0 && inside && !isHeld && dialect.territory?.test(bare))
      unexpected.push(tensor.name);
    for (const [name, view] of views) {
      if (!inside) continue;
      if (isStranger(dialect, own.prefix, stands)) return undefined;
      const known = parameters.get(name);
      if (!known) parameters.set(name, { shape: viewShape(view), tensor, view });
      // Names that are anyone's: what was taken for the number of a block was another module's.
      else if (dialect.closed && name.startsWith('blocks.')) return undefined;
      else if (isCopy(viewShape(view), known)) copies.set(tensor.name, known.tensor.name);
    }
  }
  const source = { find: (name: string) => parameters.get(name)?.view };
  const prefix = network.root + own.prefix;
  return { dialect, network, prefix, parameters, unexpected, copies, source };
}

/** Whether a name that the dialect has a row for stands where its library keeps none. */
const isStranger = ({ outside }: Dialect, prefix: string, name: string): boolean =>
  outside !== undefined && prefix !== '' && !name.startsWith(prefix) && !outside.test(name);

/** The names of a network's own tensors. */
export const insideNames = ({ members }: Network): FileNames =>
  new FileNames(members.flatMap(({ name, inside }) => (inside ? [name] : [])));

/** The name of a member as the dialect's rows see it. */
export const bareName = ({ network, prefix }: Translation, { name }: Member): string =>
  withoutPrefix(name, prefix.slice(network.root.length));

function numberedBy({ numbering }: Dialect, { members }: Network, prefix: string): (name: string) => string {
  if (!numbering) return (name) => name;
  const inside = members.filter((member) => member.inside);
  return numbering(new Map(inside.map(({ name, tensor }) => [withoutPrefix(name, prefix), tensor.shape])));
}

function canonical(
  dialect: Dialect,
  tensor: Tensor,
  name: string,
): readonly (readonly [string, ParameterView])[] {
  return dialect.renames
    .filter(([from]) => from.test(name))
    .flatMap(([from, to, layout]) => {
      const target = typeof to === 'string' ? name.replace(from, to) : name.replace(from, to);
      const views = layout ? layout(tensor) : [whole(tensor)];
      return views.map((view, index) => [target.replace('*', String(index)), view] as const);
    });
}

/** The file's own path of a canonical module: `blocks.3` -> `vit.encoder.layer.3.attention`. */
export function ownModule({ dialect, prefix, parameters }: Translation, path: string): string {
  const row = dialect.modules?.find(([canonicalPath]) => canonicalPath.test(path));
  if (row) return `${prefix}${path.replace(row[0], row[1])}`;
  const holder = dialect.holders?.find(([canonicalPath]) => canonicalPath.test(path));
  const held = holder && parameters.get(path.replace(holder[0], holder[1]))?.tensor.name;
  if (held)
    return held
      .split('.')
      .slice(0, -1 - (holder[2] ?? 0))
      .join('.');
  const own = parameters.get(`${path}.norm1.weight`)?.tensor.name;
  return dialect.modules === undefined && own?.endsWith('.norm1.weight')
    ? withoutPrefix(own.slice(0, -'.norm1.weight'.length), prefix)
    : path;
}
