import type { Grid } from '../domain/size';
import { queryGrid } from '../attention/reading';
import { elementCount } from '../checkpoint/tensors';
import { at, last } from '../domain/lists';
import type { Graph } from '../graph/graph';
import { operatorOf } from '../graph/operators';
import { type Probe, isGate, tokenCount } from '../domain/probes';
import type { LaneJoin, Station } from '../domain/report';
import type { Model, NamedGraph } from '../models/model';
import { formatCount, formatExact, quantity } from '../domain/units';
import { ancestors, blocksOf, leaves, type Block } from './blocks';
import { cutsPatches, kernelOf, weightShape } from './moduleNotes';
import { withoutBatch } from './shapes';
import { mixingScope, outputOf, workOf, type Work } from './work';

/** `14 × 14 × 768` */
const sizes = (shape: readonly number[]): string => shape.map(formatExact).join(' × ');

/** Blocks of one list that follow each other and keep the resolution: a stage. Never empty. */
type Blocks = readonly [first: Block, ...others: Block[]];

interface Run {
  readonly blocks: Blocks;
  readonly station: Station;
}

/**
 * The drawing of the whole, from image to head, read off the graph: what stands before the first
 * block embeds, numbered modules are blocks, what shrinks the map between them downsamples, and
 * norm, pooling and head follow the last. A network without blocks is drawn by its convolutions.
 * `given` are the inputs that no other part of the model makes.
 */
export function stations(graph: Graph, given: Graph['inputs'] = graph.inputs): readonly Station[] {
  const work = workOf(graph);
  const blocks = blocksOf(graph);
  const runs = runsOf(blocks.length > 0 ? blocks : convolutions(work)).map((members) => ({
    blocks: members,
    station: blockStation(graph, members, blocks),
  }));
  const [firstRun] = runs;
  const embedded = embedding(graph, work.slice(0, firstRun?.blocks[0].first ?? 0));
  const lastBlock = runs.at(-1)?.blocks.at(-1);
  return [
    ...image(given),
    ...words(given),
    ...embedded,
    ...tokens(graph, firstRun, embedded),
    ...runs.flatMap((run, index) => [...between(graph, runs[index - 1], run), run.station]),
    ...tail(graph, work.slice((lastBlock?.last ?? -1) + 1)),
  ];
}

/** The drawings of all parts of a model one after the other, each station with its part. */
export function laneStations(parts: readonly NamedGraph[]): readonly Station[] {
  const [alone] = parts;
  if (alone && parts.length === 1) return stations(alone.graph);
  const made = new Set(parts.flatMap(({ graph }) => graph.outputs.map(({ name }) => name)));
  return parts.flatMap(({ name: part, graph }) => {
    const given = graph.inputs.filter(({ name }) => !made.has(name));
    return stations(graph, given).map((station): Station => ({ ...station, part }));
  });
}

/** Which parts read what another makes. */
export const laneJoins = (parts: readonly NamedGraph[]): readonly LaneJoin[] =>
  parts.flatMap(({ name: to, graph }) => {
    const read = new Set(graph.inputs.map(({ name }) => name));
    const makes = parts.filter(
      (other) => other.name !== to && other.graph.outputs.some(({ name }) => read.has(name)),
    );
    return makes.map(({ name: from }) => ({ from, to }));
  });

/** Parts of a file that lie beside the network: at most so many are drawn by themselves. */
const drawnBeside = 3;

/** What a file has beyond the network that runs, by the outermost modules: counted, not run. */
export function partsBeside({ recognition, checkpoint }: Model): readonly Station[] {
  const names = recognition.family === null ? [] : (recognition.share?.notRun ?? []);
  const outermost = [...new Set(names.map((name) => name.split('.').slice(0, besideLevels).join('.')))];
  const unread = checkpoint.selected.tensors;
  const elements = (module: string): number =>
    unread.reduce(
      (sum, { name, shape }) =>
        name === module || (name.startsWith(`${module}.`) && names.some((part) => holds(part, name)))
          ? sum + elementCount(shape)
          : sum,
      0,
    );
  const parts = outermost
    .map((path) => ({ path, count: elements(path) }))
    .toSorted((left, right) => right.count - left.count);
  const rest = parts.slice(drawnBeside);
  const more = rest.reduce((sum, { count }) => sum + count, 0);
  return [
    ...parts.slice(0, drawnBeside).map(({ path, count }) => beside(path, count, path)),
    ...(rest.length > 0 ? [beside(`${rest.length} further parts`, more, '')] : []),
  ];
}

/** Names of modules are cut to so many levels, or each layer of a decoder would be a part. */
const besideLevels = 2;

const holds = (module: string, name: string): boolean => name === module || name.startsWith(`${module}.`);

const beside = (label: string, count: number, path: string): Station => ({
  kind: 'beside',
  label,
  detail: `${formatCount(count)} parameters, not run`,
  path,
});

/** The convolutions of a plain chain, each a block of its own. */
const convolutions = (work: readonly Work[]): readonly Block[] =>
  work.flatMap((each, place) => {
    const { scope } = each.node;
    if (!isConvolution(each)) return [];
    return [
      {
        path: scope,
        list: ancestors(scope)[0] ?? '',
        first: place,
        last: place,
        output: outputOf(each).shape,
      },
    ];
  });

function runsOf(blocks: readonly Block[]): readonly Blocks[] {
  const runs: [Block, ...Block[]][] = [];
  for (const block of blocks) {
    const run = runs.at(-1);
    const before = run?.at(-1);
    const goesOn = before?.list === block.list && positions(before) === positions(block);
    if (run && goesOn) run.push(block);
    else runs.push([block]);
  }
  return runs;
}

/** Rows and columns of the map that a block hands on, or the number of tokens. */
const positions = ({ output }: Block): string =>
  (output.length === 4 ? output.slice(2) : output.slice(0, -1)).join();

/** `all` are the blocks of the whole network. */
function blockStation(graph: Graph, blocks: Blocks, all: readonly Block[]): Station {
  const [{ path, list }] = blocks;
  const { output } = last(blocks);
  const probes = probesIn(graph, blocks);
  const isWhole = all.filter((block) => block.list === list).length === blocks.length;
  return {
    kind: 'blocks',
    label: nameOf(blocks, all, probes),
    detail: [sizes(withoutBatch(graph, output)), ...mixing(probes)].join(', '),
    path: (blocks.length > 1 && isWhole ? ancestors(path)[0] : undefined) ?? path,
    count: blocks.length,
  };
}

/** `Block`, `Blocks`, `Class blocks`; `Convolutions` in a network without blocks. */
function nameOf(blocks: readonly Block[], all: readonly Block[], probes: readonly Probe[]): string {
  const isClass = probes.length > 0 && probes.every(({ kind }) => kind === 'class');
  const name = all.length === 0 ? 'Convolution' : isClass ? 'Class block' : 'Block';
  return blocks.length === 1 ? name : `${name}s`;
}

/**
 * The probes whose attention is applied between the first and the last operator of each of these
 * parts.
 */
function probesIn(
  graph: Graph,
  parts: readonly { readonly first: number; readonly last: number }[],
): readonly Probe[] {
  const work = workOf(graph);
  const isIn = (probe: Probe): boolean => {
    const scope = mixingScope(graph, probe);
    const place = work.findIndex(({ node }) => node.scope === scope);
    return parts.some((part) => part.first <= place && place <= part.last);
  };
  return graph.probes.filter(isIn);
}

/** What mixes tokens, and what weighs channels or positions: `12 heads`, `channel gates`. */
function mixing(probes: readonly Probe[]): readonly string[] {
  const gates = probes.filter(isGate);
  const counts = [...new Set(probes.filter((probe) => !isGate(probe)).map(({ heads }) => heads))];
  const kinds = [...new Set(gates.map(({ kind }) => kind))];
  return [
    ...(counts.length > 0 ? [quantity(counts, 'head')] : []),
    ...(kinds.length > 0 ? [`${kinds.join(' and ')} gates`] : []),
  ];
}

/** The image that is given, or the frames of a clip. */
function image(given: Graph['inputs']): readonly Station[] {
  const clip = given.find(({ shape }) => shape.length === 5)?.shape;
  if (clip) {
    const [, frames = 1, channels = 3, rows = 1, columns = 1] = clip;
    const of = `${formatExact(frames)} frames of ${sizes([rows, columns])}, ${channels} channels`;
    return [{ kind: 'image', label: 'Clip', detail: of, path: '', grid: [rows, columns], count: frames }];
  }
  const input = imageShape({ inputs: given.filter(({ name }) => !promptName.test(name)) });
  if (!input) return [];
  const [, channels, height, width] = input;
  const detail = `${sizes([height, width])}, ${channels} channels`;
  return [{ kind: 'image', label: 'Image', detail, path: '', grid: [height, width] }];
}

/** Prompts that a segmenter is given, as libraries call them. */
const promptName = /^input_(?:points|boxes)$/;

/** Token ids and prompts that are given: how many, and how many tokens or points each has. */
const words = (given: Graph['inputs']): readonly Station[] =>
  given.flatMap(({ name, dtype, shape }): readonly Station[] => {
    const isWords = dtype === 'I64' && /^(?:\w+_)?input_ids$/.test(name);
    if (!isWords && !promptName.test(name)) return [];
    const label = isWords ? 'Token ids' : name === 'input_boxes' ? 'Boxes' : 'Points';
    const detail = sizes(isWords ? shape : shape.slice(1, -1));
    return [{ kind: isWords ? 'words' : 'prompt', label, detail, path: '' }];
  });

/** Shape of the image that goes in; undefined if the graph takes none. */
function imageShape(graph: Pick<Graph, 'inputs'>): readonly [number, number, number, number] | undefined {
  const [batch, channels, height, width] = graph.inputs.find(({ shape }) => shape.length === 4)?.shape ?? [];
  if (batch === undefined || channels === undefined || height === undefined || width === undefined)
    return undefined;
  return [batch, channels, height, width];
}

/** Operators after which a map of another size begins. */
const makesMap = ({ kind, node }: Work): boolean => kind === 'conv' || operatorOf(node)?.pools === 'windows';

/** The patch embeddings, or the convolutions that stand in their place. */
function embedding(graph: Graph, before: readonly Work[]): readonly Station[] {
  const products = before.filter(({ macs, bytes }) => macs > 0 && bytes > 0);
  const input = imageShape(graph);
  const lastProduct = products.at(-1);
  if (!lastProduct || !input) return [];
  const cutsImage = (work: Work): boolean => cutsPatches(work) && weightShape(work)[1] === input[1];
  if (products.every(cutsImage)) return products.map((work) => patches(work, products.length));
  const map = before.findLast(makesMap);
  const grid = lastProduct.kind === 'linear' ? firstGrid(graph) : map && outputOf(map).shape.slice(2);
  const [rows, columns] = grid ?? firstGrid(graph) ?? [];
  if (!rows || !columns) return [];
  const steps = [input[2] / rows, input[3] / columns];
  const step = steps.every(Number.isInteger) ? ` at steps of ${side(steps)}` : '';
  const detail = `${sizes([rows, columns])}${step}`;
  return [{ kind: 'patches', label: 'Stem', detail, path: commonPath(products), grid: [rows, columns] }];
}

const firstGrid = ({ probes: [probe] }: Graph): Grid | undefined => probe && queryGrid(probe);

/** `4`, or `4 × 8` if the sides differ. */
const side = ([height = 1, width = 1]: readonly number[]): string =>
  height === width ? formatExact(height) : sizes([height, width]);

function patches(work: Work, count: number): Station {
  const { scope } = work.node;
  const [, , rows = 1, columns = 1] = outputOf(work).shape;
  return {
    kind: 'patches',
    label: 'Patches',
    detail: `${sizes([rows, columns])} patches of ${side(kernelOf(work))}`,
    path: (count === 1 ? ancestors(scope)[0] : undefined) ?? scope,
    grid: [rows, columns],
  };
}

/** The module that holds them all; their own if they are alone. */
function commonPath(work: readonly Work[]): string {
  const [first = '', ...others] = work.map(({ node: { scope } }) => scope);
  const holds = (path: string): boolean =>
    others.every((scope) => scope === path || scope.startsWith(`${path}.`));
  return [first, ...ancestors(first)].find(holds) ?? first;
}

/**
 * The token sequence, if special tokens or the whole image attend to each other from the first
 * block on.
 */
function tokens(graph: Graph, run: Run | undefined, embedded: readonly Station[]): readonly Station[] {
  const [probe] = run ? probesIn(graph, run.blocks) : [];
  const [rows, columns] = probe?.queries.grid?.slice(-2) ?? [];
  if (probe?.kind !== 'self' || probe.window || run?.blocks[0].output.length === 4) return [];
  if (rows === undefined || columns === undefined) return [];
  if (!embedded.some(({ grid }) => grid?.join() === [rows, columns].join())) return [];
  const mix = workOf(graph).find(({ kind, node }) => kind === 'attention' && node.inputs[0] === probe.value);
  const width = probe.heads * (mix?.outputs[0]?.shape.at(-1) ?? 0);
  const count = formatExact(tokenCount(probe.queries));
  return [
    {
      kind: 'tokens',
      label: 'Tokens',
      detail: width > 0 ? `${count} × ${formatExact(width)}` : count,
      path: '',
      grid: [rows, columns],
      special: probe.queries.special ?? [],
    },
  ];
}

/** What makes the map smaller between two stages. */
function between(graph: Graph, before: Run | undefined, after: Run): readonly Station[] {
  if (!before) return [];
  const [left, entered] = [last(before.blocks), after.blocks[0]];
  const part = { first: left.last + 1, last: entered.first - 1 };
  const gap = workOf(graph).slice(part.first, part.last + 1);
  const products = gap.filter(({ macs, bytes }) => macs > 0 && bytes > 0);
  if (products.length === 0 || left.output.join() === entered.output.join()) return [];
  const inGap = new Set(gap);
  const made = gap.findLast((work) => leaves(graph, work, (reader) => inGap.has(reader)));
  const { shape } = outputOf(made ?? last(gap));
  return [
    {
      kind: 'downsample',
      label: 'Downsampling',
      detail: [sizes(withoutBatch(graph, shape)), ...mixing(probesIn(graph, [part]))].join(', '),
      path: wholePath(commonPath(products), gap, graph),
      grid: gridOf(graph, shape),
    },
  ];
}

/** The outermost module around `path` that holds nothing but these operators. */
function wholePath(path: string, work: readonly Work[], graph: Graph): string {
  const own = new Set(work);
  const isWhole = (module: string): boolean =>
    workOf(graph).every((each) => own.has(each) || !`${each.node.scope}.`.startsWith(`${module}.`));
  return ancestors(path).findLast(isWhole) ?? path;
}

/**
 * Rows and columns of a map `[batch, channels, rows, columns]`, or of as many tokens in the image's
 * proportions.
 */
function gridOf(graph: Graph, shape: readonly number[]): Grid | undefined {
  const [, , height = 1, width = 1] = shape;
  if (shape.length === 4) return [height, width];
  const input = imageShape(graph);
  const [count = 0] = withoutBatch(graph, shape);
  if (!input) return undefined;
  const rows = Math.round(Math.sqrt((count * input[2]) / input[3]));
  return count > 0 && count % rows === 0 ? [rows, count / rows] : undefined;
}

/** Convolutions, norm and pooling after the last block, and the head. */
function tail(graph: Graph, after: readonly Work[]): readonly Station[] {
  const pooled = after.findLastIndex((work) => isPooling(work) || attends(graph, work));
  const pooling = after[pooled];
  const isPooled = (work: Work): boolean => pooled < 0 || after.indexOf(work) > pooled;
  const products = after.filter(({ macs, bytes }) => macs > 0 && bytes > 0);
  const classifiers = products.slice(
    products.findLastIndex((work) => isConvolution(work) || partOf(pooling, work) || !isPooled(work)) + 1,
  );
  const [head] = classifiers;
  const found = after.slice(0, head && after.indexOf(head)).flatMap((work): readonly Station[] => {
    // A gate pools, too, and class tokens may be mixed by a convolution.
    const isOther = work === pooling ? false : isPooling(work) || partOf(pooling, work);
    const mixes = pooled >= 0 && isConvolution(work) && isPooled(work);
    return isOther || mixes || isOfConvolution(graph, work) ? [] : tailStation(graph, work, after);
  });
  const once = joined(found);
  if (head) return [...once, heads(classifiers)];
  return [...once, ...(once.at(-1)?.kind === 'blocks' ? answeredMap(graph) : [])];
}

/** Neighbours of one kind are one station: of convolutions in a row the last one's map is told. */
function joined(found: readonly Station[]): readonly Station[] {
  const stations: Station[] = [];
  for (const station of found) {
    const before = stations.at(-1);
    if (before?.kind !== station.kind) stations.push(station);
    else if (station.kind === 'blocks') {
      const count = (before.count ?? 1) + 1;
      const { detail } = station;
      stations[stations.length - 1] = { ...before, label: 'Convolutions', detail, count };
    }
  }
  return stations;
}

/** The map that a network of no head answers with: rows and columns in the image's proportions. */
function answeredMap(graph: Graph): readonly Station[] {
  const input = imageShape(graph);
  const shapes = graph.outputs.map(({ value }) => graph.values.get(value)?.shape ?? []);
  const map = shapes.find((shape) => {
    const [rows = 1, columns = 1] = shape.slice(-2);
    return input && shape.length > 2 && rows > 1 && input[2] * columns === input[3] * rows;
  });
  if (!map) return [];
  const [rows = 1, columns = 1] = map.slice(-2);
  const detail = sizes(withoutBatch(graph, map));
  return [{ kind: 'map', label: 'Map', detail, path: '', grid: [rows, columns] }];
}

/** The norm of a convolution is a part of it. */
function isOfConvolution(graph: Graph, { kind, node: { inputs } }: Work): boolean {
  const maker = workOf(graph).find(({ node }) => node.outputs.includes(inputs[0] ?? ''));
  return kind === 'normalisation' && maker !== undefined && isConvolution(maker);
}

/** Whether an operator belongs to the module that pools by attention. */
const partOf = (pooling: Work | undefined, { node: { scope } }: Work): boolean =>
  pooling?.kind === 'attention' && `${scope}.`.startsWith(`${pooling.node.scope}.`);

/** A convolution over a map; on a single position it is a linear layer. */
function isConvolution(work: Work): boolean {
  const { shape } = outputOf(work);
  return work.kind === 'conv' && shape.length === 4 && elementCount(shape.slice(2)) > 1;
}

function tailStation(graph: Graph, work: Work, after: readonly Work[]): readonly Station[] {
  const path = work.node.scope;
  const shape = withoutBatch(graph, outputOf(work).shape);
  const detail = sizes(shape);
  if (work.kind === 'normalisation') {
    // A group norm reshapes before and after it.
    const end = after.findLast(({ node }) => node.scope === path) ?? work;
    return [{ kind: 'norm', label: 'Norm', detail: sizes(withoutBatch(graph, outputOf(end).shape)), path }];
  }
  if (isConvolution(work)) return [{ kind: 'blocks', label: 'Convolution', detail, path }];
  const [probe] = graph.probes.filter(({ value }) => work.node.inputs.includes(value));
  if (probe) return [{ kind: 'pool', label: 'Attention pooling', detail: mixing([probe]).join(), path }];
  if (!isPooling(work)) return [];
  const label = operatorOf(work.node)?.pools === 'mean' ? 'Mean' : 'Token';
  return [{ kind: 'pool', label, detail: sizes(shape.filter((size) => size !== 1)), path }];
}

const attends = (graph: Graph, { node, kind }: Work): boolean =>
  kind === 'attention' && graph.probes.some(({ value }) => node.inputs.includes(value));

/**
 * The classifiers: a distilled model has two of the same width; of several layers in a row the last
 * one counts.
 */
function heads(products: readonly Work[]): Station {
  const outputsOf = (work: Work): number => {
    const { shape } = outputOf(work);
    return (work.kind === 'conv' ? shape[1] : shape.at(-1)) ?? 1;
  };
  const classes = outputsOf(last(products));
  const classifiers = products.filter((work) => outputsOf(work) === classes);
  return {
    kind: 'head',
    label: classifiers.length > 1 ? 'Heads' : 'Head',
    detail: quantity(classes, 'output'),
    path: at(classifiers, 0).node.scope,
    count: classifiers.length,
  };
}

/** Whether a token sequence or map becomes one vector: the width stays, the rest goes. */
function isPooling(work: Work): boolean {
  const row = operatorOf(work.node);
  if (row?.pools !== 'mean' && !row?.chooses) return false;
  const [input, output] = [work.inputs[0]?.shape ?? [], outputOf(work).shape];
  const [batch = 1] = input;
  const width = (input.length === 4 ? input[1] : input.at(-1)) ?? 1;
  return elementCount(output) === batch * width && elementCount(output) < elementCount(input);
}
