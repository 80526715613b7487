import { pushAll } from '../../domain/lists';
import type { Tensor } from '../../checkpoint/tensors';
import type { HeadChain, HeadLayer, HeadStep } from '../heads/ownHead';
import { isNumber, modulesOf, parentOf } from '../../checkpoint/moduleNames';
import type { Member } from '../networks/networks';
import type { Leftover } from './leftovers';

/** Heads that were found beside a network, and what of it is left. */
export interface FoundHeads {
  readonly chains: readonly HeadChain[];
  /** Leftovers that the chains read. */
  readonly read: readonly Leftover[];
  /** Places whose function no file tells. */
  readonly activations: number;
  /** A head of one linear layer without a bias, which may be one of cosines. */
  readonly biasFree: boolean;
}

/**
 * What training puts beside a network and no image is told by: projections of contrastive learning,
 * decoders of what was masked, losses.
 */
const noHeads = /proj|predict|decod|mask|moment|teacher|queue|prototype|loss|criteri|contrast|rotat|jigsaw/i;

/**
 * Heads behind a pooled vector of `width` that follow from names and shapes: linear layers and
 * norms whose widths join, one after the other in a module or from one module to the next, or each
 * from the vector. Undefined if there is none, or more than one way to join them.
 */
export function headsFrom(beside: readonly Leftover[], width: number): FoundHeads | undefined {
  const groups = beside
    .filter(({ path }) => !noHeads.test(path))
    .flatMap((leftover) => {
      const layers = layersOf(leftover);
      return layers ? [{ leftover, layers }] : [];
    });
  const necks = groups.filter(({ layers }) => layers.every(({ kind }) => kind !== 'linear'));
  const rest = groups.filter((group) => !necks.includes(group));
  const neck = necks.flatMap(({ layers }) => layers);
  if (rest.length === 0 || neck.some((layer) => layer.width !== width) || neck.length > 1) return undefined;
  const chains = chained(
    rest.map(({ layers }) => layers),
    width,
  );
  if (!chains) return undefined;
  const named = chains.map((layers): HeadChain => ({
    name: chains.length === 1 ? 'logits' : pathOf(layers),
    steps: withActivations([...neck, ...layers]),
  }));
  const ends = chains.map((layers) => layers.at(-1));
  return {
    chains: named,
    read: [...necks, ...rest].map(({ leftover }) => leftover),
    activations: named.flatMap(({ steps }) => steps).filter(({ kind }) => kind === 'activation').length,
    biasFree: chains.length === 1 && chains[0]?.length === 1 && neck.length === 0 && ends[0]?.bias === false,
  };
}

type Layers = readonly HeadLayer[];

const isAmbiguous = (layers: Layers, width: number): boolean =>
  layers.length > 1 &&
  !layers.every(({ path }) => isNumber(path.slice(path.lastIndexOf('.') + 1))) &&
  layers.filter(({ kind }) => kind === 'linear').every((layer) => layer.width === width) &&
  layers.slice(0, -1).some(({ kind, out }) => kind === 'linear' && out === width);

/** Groups of layers as chains that begin at the vector, each to its end. */
function chained(groups: readonly Layers[], width: number): readonly Layers[] | undefined {
  const joined: Layers[] = [];
  for (const layers of groups) {
    const before = joined.at(-1);
    if (joins(layers, width)) joined.push(layers);
    else if (before && joins(layers, before.at(-1)?.out ?? 0)) joined.splice(-1, 1, [...before, ...layers]);
    else if (layers.every((layer) => layer.kind === 'linear' && layer.width === width) && !hasGaps(layers))
      pushAll(
        joined,
        layers.map((layer) => [layer]),
      );
    else return undefined;
  }
  const several = groups.length > 1 && joined.length > 1;
  const ambiguous = joined.some((layers) => isAmbiguous(layers, width));
  // A square layer beside another may stand before it as well as next to it.
  const square = several && joined.some((layers) => layers.at(-1)?.out === width);
  return ambiguous || square ? undefined : joined;
}

/** Whether layers are numbered with gaps, as those of a sequence are: heads of a list have none. */
const hasGaps = (layers: Layers): boolean =>
  layers.some((layer, index) => !Number.isNaN(numberOf(layer)) && numberOf(layer) !== index);

/** Whether each layer takes what the one before it hands on. */
function joins(layers: Layers, width: number): boolean {
  let now = width;
  for (const layer of layers) {
    if (layer.width !== now) return false;
    now = layer.out;
  }
  return true;
}

const pathOf = (layers: Layers): string => {
  const paths = layers.map(({ path }) => path);
  const [first = ''] = paths;
  return paths.length === 1 ? first : parentOf(`${first}.`).slice(0, -1) || first;
};

/**
 * The layers with the functions between linear ones. Modules without parameters leave a gap in the
 * numbers of a sequence: the first gap behind a linear layer is where its function is, and
 * neighbours have none between them. Without numbers it stands in front of the next linear layer.
 */
function withActivations(layers: Layers): readonly HeadStep[] {
  const steps: HeadStep[] = [];
  let pending = false;
  layers.forEach((layer, index) => {
    const before = layers[index - 1];
    const gap = before ? numberOf(layer) - numberOf(before) : Number.NaN;
    const here = Number.isNaN(gap) ? layer.kind === 'linear' : gap > 1;
    if (pending && here) steps.push({ kind: 'activation' });
    if (here) pending = false;
    steps.push(layer);
    if (layer.kind === 'linear') pending = true;
  });
  return steps;
}

/** Number of a layer in its sequence; not a number if it has none. */
const numberOf = ({ path }: HeadLayer): number => {
  const own = path.slice(path.lastIndexOf('.') + 1);
  return isNumber(own) ? Number(own) : Number.NaN;
};

/** The layers of a leftover in the file's order; undefined if one of them is of another kind. */
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
  return layers;
}

function membersAt(path: string, members: readonly Member[]): ReadonlyMap<string, Tensor> {
  const own = members.filter(({ name }) => parentOf(`${name}.`).slice(0, -1) === path);
  return new Map(own.map(({ name, tensor }) => [name.slice(path.length + 1), tensor]));
}

function layerOf(path: string, parts: ReadonlyMap<string, Tensor>): HeadLayer | undefined {
  const known = ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'];
  const weight = parts.get('weight');
  if (!weight || [...parts.keys()].some((name) => !known.includes(name))) return undefined;
  const bias = parts.has('bias');
  const [out = 0, width = 0] = weight.shape;
  if (weight.shape.length === 2) return { path, kind: 'linear', width, out, bias };
  if (weight.shape.length !== 1) return undefined;
  const batch = parts.has('running_mean') && parts.has('running_var');
  if (!batch && !bias) return undefined;
  return { path, kind: batch ? 'batch norm' : 'layer norm', width: out, out, bias };
}
