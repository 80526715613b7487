import type { Tensor } from '../../checkpoint/tensors';
import type { HeadLayer } from '../heads/ownHead';
import { isNumber, modulesOf, parentOf } from '../../checkpoint/moduleNames';
import type { Member } from '../networks/networks';
import type { Leftover } from './leftovers';

export type Layers = readonly HeadLayer[];

/** A module of a head, or one head of several: layers that stand in one line. */
export interface Group {
  /** `age`, `heads.age`, `classifier`. */
  readonly path: string;
  readonly layers: Layers;
}

/** Width of what the first layer of a group takes. */
export const widthOf = ({ layers }: Group): number => layers[0]?.width ?? 0;
/** Width of what its last layer hands on. */
export const endOf = ({ layers }: Group): number => layers.at(-1)?.out ?? 0;
export const isNorm = ({ layers }: Group): boolean => layers.every(({ kind }) => kind !== 'linear');

/**
 * The lines of layers in a leftover: one if each takes what the one before it hands on, else one
 * per child (`heads.age`, `heads.sex`). Undefined if a part is no layer, or no lines follow.
 */
export function groupsOf(leftover: Leftover): readonly Group[] | undefined {
  const { path } = leftover;
  const layers = layersOf(leftover);
  if (!layers) return undefined;
  if (isLine(layers)) return [{ path, layers }];
  const children = new Map<string, HeadLayer[]>();
  for (const layer of layers) {
    const child = childOf(layer.path, path);
    const known = children.get(child);
    if (known) known.push(layer);
    else children.set(child, [layer]);
  }
  const groups = [...children].map(([child, own]): Group => ({ path: child, layers: own }));
  const isList = groups.every((group) => isLine(group.layers)) && !hasGaps([...children.keys()]);
  return isList ? groups : undefined;
}

const childOf = (path: string, holder: string): string => {
  const [child = ''] = path.slice(holder.length + 1).split('.');
  return child === '' ? path : `${holder}.${child}`;
};

/** Whether layers are numbered with gaps, as those of a sequence are: heads of a list have none. */
const hasGaps = (paths: readonly string[]): boolean =>
  paths.some((path, index) => {
    const own = path.slice(path.lastIndexOf('.') + 1);
    return isNumber(own) && Number(own) !== index;
  });

/**
 * Whether each layer takes what the one before it hands on. Layers of own names that could change
 * places are no line: a square one may stand anywhere, or beside.
 */
function isLine(layers: Layers): boolean {
  const joins = layers.every((layer, index) => index === 0 || layer.width === layers[index - 1]?.out);
  const linear = layers.filter(({ kind }) => kind === 'linear');
  const isNumbered = layers.every(({ path }) => path.split('.').some(isNumber));
  const isSquare = ({ kind, width, out }: HeadLayer): boolean => kind === 'linear' && width === out;
  return joins && (isNumbered || linear.length < 2 || !layers.slice(0, -1).some(isSquare));
}

/**
 * How far a layer stands behind another in the sequence that both are in, directly or in modules of
 * it; not a number if names do not tell.
 */
export function distance(before: HeadLayer, after: HeadLayer): number {
  const [left, right] = [before.path.split('.'), after.path.split('.')];
  const depth = left.findIndex((component, index) => component !== right[index]);
  const [own = '', other = ''] = [left[depth], right[depth]];
  if (!isNumber(own) || !isNumber(other)) return Number.NaN;
  const steps = Number(other) - Number(own);
  // A sequence inside of the sequence may end or begin with what has no parameters.
  const isDirect = left.length === depth + 1 && right.length === depth + 1;
  return isDirect || steps > 1 ? steps : Number.NaN;
}

/** Modules of a group's sequence in front of its first layer, which have no parameters. */
export function modulesBefore({ path, layers: [first] }: Group): number {
  const [own = ''] = first?.path.slice(path.length + 1).split('.') ?? [];
  return isNumber(own) ? Number(own) : 0;
}

/** The layers of a leftover, in the order of their numbers; undefined if one is of another kind. */
function layersOf({ members }: Leftover): Layers | undefined {
  const modules = modulesOf(members.map(({ name }) => name));
  const layers: HeadLayer[] = [];
  const seen = new Set<string>();
  for (const { name } of members) {
    const path = parentOf(`${name}.`).slice(0, -1);
    if (seen.has(path)) continue;
    seen.add(path);
    const layer = modules.children.has(`${path}.`) ? layerOf(path, membersAt(path, members)) : undefined;
    if (!layer) return undefined;
    layers.push(layer);
  }
  return layers.toSorted(byNumber);
}

/** Files may hold layers by their names' letters: `head.10` before `head.2`. */
function byNumber({ path: left }: HeadLayer, { path: right }: HeadLayer): number {
  const [own, other] = [left.split('.'), right.split('.')];
  const depth = own.findIndex((component, index) => component !== other[index]);
  const [a = '', b = ''] = [own[depth], other[depth]];
  return isNumber(a) && isNumber(b) ? Number(a) - Number(b) : 0;
}

function membersAt(path: string, members: readonly Member[]): ReadonlyMap<string, Tensor> {
  const own = members.filter(({ name }) => parentOf(`${name}.`).slice(0, -1) === path);
  return new Map(own.map(({ name, tensor }) => [name.slice(path.length + 1), tensor]));
}

const layerParts = ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'];

function layerOf(path: string, parts: ReadonlyMap<string, Tensor>): HeadLayer | undefined {
  if ([...parts.keys()].some((name) => !layerParts.includes(name))) return undefined;
  const [weight, mean] = [parts.get('weight'), parts.get('running_mean')];
  const bias = parts.has('bias');
  const batch = mean?.shape.length === 1 && parts.has('running_var');
  // A batch norm may have nothing that is learned.
  const { shape = [] } = weight ?? (batch && !bias ? mean : {});
  const [out = 0, width = 0] = shape;
  if (shape.length === 2 && !mean) return { path, kind: 'linear', width, out, bias };
  if (shape.length !== 1 || (!batch && !bias && !scalesAlone.test(path))) return undefined;
  return { path, kind: batch ? 'batch norm' : 'norm', width: out, out, bias };
}

/**
 * Where a scale without a bias is a norm's: under the name of one, or first in a sequence. An
 * activation with a slope per value (PReLU) has the same tensor, and stands behind another layer.
 */
const scalesAlone = /norm|rms|(?:^|[._])ln|\.0$/i;
