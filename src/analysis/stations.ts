import type { Grid } from '../domain/size';
import { queryGrid } from '../attention/reading';
import { elementCount } from '../checkpoint/tensors';
import type { Graph } from '../graph/graph';
import { type Probe, isGate, tokenCount } from '../domain/probes';
import type { Station } from '../domain/report';
import { formatExact } from '../domain/units';
import { ancestors, blocksOf, leaves, type Block } from './blocks';
import { cutsPatches } from './moduleNotes';
import { withoutBatch } from './shapes';
import { mixingScope, workOf, type Work } from './work';

/** `14 × 14 × 768` */
const sizes = (shape: readonly number[]): string => shape.map(formatExact).join(' × ');

/** Blocks of one list that follow each other and keep the resolution: a stage. */
interface Run {
  readonly blocks: readonly Block[];
  readonly station: Station;
}

/**
 * The drawing of the whole, from picture to head, read off the graph: what stands before the first block embeds, numbered modules are
 * blocks, what shrinks the map between them downsamples, and norm, pooling and head follow the last. A network without blocks is drawn
 * by its convolutions.
 */
export function stations(graph: Graph): readonly Station[] {
  const work = workOf(graph);
  const blocks = blocksOf(graph);
  const runs = runsOf(blocks.length > 0 ? blocks : convolutions(work)).map((members) => ({
    blocks: members,
    station: blockStation(graph, members, blocks),
  }));
  const first = runs[0]?.blocks[0]?.first ?? 0;
  const last = runs.at(-1)?.blocks.at(-1)?.last ?? -1;
  const embedded = embedding(graph, work.slice(0, first));
  return [
    ...picture(graph),
    ...embedded,
    ...tokens(graph, runs[0], embedded),
    ...runs.flatMap((run, index) => [...between(graph, runs[index - 1], run), run.station]),
    ...tail(graph, work.slice(last + 1)),
  ];
}

/** The convolutions of a plain chain, each a block of its own. */
const convolutions = (work: readonly Work[]): readonly Block[] =>
  work.flatMap((each, at) => {
    const { scope } = each.node;
    if (!isConvolution(each)) return [];
    return [
      { path: scope, list: ancestors(scope)[0] ?? '', first: at, last: at, output: each.outputs[0]!.shape },
    ];
  });

function runsOf(blocks: readonly Block[]): readonly (readonly Block[])[] {
  const runs: Block[][] = [];
  for (const block of blocks) {
    const before = runs.at(-1)?.at(-1);
    const goesOn = before?.list === block.list && positions(before) === positions(block);
    if (goesOn) runs.at(-1)!.push(block);
    else runs.push([block]);
  }
  return runs;
}

/** Rows and columns of the map that a block hands on, or the number of tokens. */
const positions = ({ output }: Block): string =>
  (output.length === 4 ? output.slice(2) : output.slice(0, -1)).join();

/** `all` are the blocks of the whole network. */
function blockStation(graph: Graph, blocks: readonly Block[], all: readonly Block[]): Station {
  const [{ path, list }] = blocks as readonly [Block];
  const { output } = blocks.at(-1)!;
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

/** The probes whose attention is applied between the first and the last operator of each of these parts. */
function probesIn(
  graph: Graph,
  parts: readonly { readonly first: number; readonly last: number }[],
): readonly Probe[] {
  const work = workOf(graph);
  const isIn = (probe: Probe): boolean => {
    const scope = mixingScope(graph, probe);
    const at = work.findIndex(({ node }) => node.scope === scope);
    return parts.some(({ first, last }) => first <= at && at <= last);
  };
  return graph.probes.filter(isIn);
}

/** What mixes tokens, and what weighs channels or positions: `12 heads`, `channel gates`. */
function mixing(probes: readonly Probe[]): readonly string[] {
  const gates = probes.filter(isGate);
  const counts = [...new Set(probes.filter((probe) => !isGate(probe)).map(({ heads }) => heads))];
  const kinds = [...new Set(gates.map(({ kind }) => kind))];
  return [
    ...(counts.length > 0 ? [counts.join() === '1' ? '1 head' : `${counts.join('/')} heads`] : []),
    ...(kinds.length > 0 ? [`${kinds.join(' and ')} gates`] : []),
  ];
}

function picture(graph: Graph): readonly Station[] {
  const input = pictureOf(graph);
  if (!input) return [];
  const [, channels, height, width] = input;
  const detail = `${sizes([height, width])}, ${channels} channels`;
  return [{ kind: 'image', label: 'Picture', detail, path: '', grid: [height, width] }];
}

/** Shape of the picture that goes in; undefined where the graph takes none. */
const pictureOf = (graph: Graph): readonly [number, number, number, number] | undefined =>
  graph.inputs.find(({ shape }) => shape.length === 4)?.shape as [number, number, number, number] | undefined;

const pools: ReadonlySet<string> = new Set(['MaxPool', 'AveragePool']);

/** The patch embeddings, or the convolutions that stand in their place. */
function embedding(graph: Graph, before: readonly Work[]): readonly Station[] {
  const products = before.filter(({ macs, bytes }) => macs > 0 && bytes > 0);
  const input = pictureOf(graph);
  if (products.length === 0 || !input) return [];
  const cutsPicture = (work: Work): boolean => cutsPatches(work) && work.inputs[1]!.shape[1] === input[1];
  if (products.every(cutsPicture)) return products.map((work) => patches(work, products.length));
  const map = before.findLast(({ kind, node }) => kind === 'conv' || pools.has(node.op));
  const grid = products.at(-1)!.kind === 'linear' ? firstGrid(graph) : map?.outputs[0]!.shape.slice(2);
  const [rows, columns] = grid ?? firstGrid(graph) ?? [];
  if (!rows || !columns) return [];
  const steps = [input[2] / rows, input[3] / columns];
  const step = steps.every(Number.isInteger) ? ` at steps of ${side(steps)}` : '';
  const detail = `${sizes([rows, columns])}${step}`;
  return [{ kind: 'patches', label: 'Stem', detail, path: commonPath(products), grid: [rows, columns] }];
}

const firstGrid = ({ probes: [probe] }: Graph): Grid | undefined => probe && queryGrid(probe);

/** `4`, or `4 × 8` where the sides differ. */
const side = ([height = 1, width = 1]: readonly number[]): string =>
  height === width ? formatExact(height) : sizes([height, width]);

function patches({ node: { scope }, inputs, outputs }: Work, count: number): Station {
  const [rows, columns] = outputs[0]!.shape.slice(2) as [number, number];
  return {
    kind: 'patches',
    label: 'Patches',
    detail: `${sizes([rows, columns])} patches of ${side(inputs[1]!.shape.slice(2))}`,
    path: (count === 1 ? ancestors(scope)[0] : undefined) ?? scope,
    grid: [rows, columns],
  };
}

/** The module that holds them all; their own where they are alone. */
function commonPath(work: readonly Work[]): string {
  const [first = '', ...others] = work.map(({ node: { scope } }) => scope);
  const holds = (path: string): boolean =>
    others.every((scope) => scope === path || scope.startsWith(`${path}.`));
  return [first, ...ancestors(first)].find(holds) ?? first;
}

/** The token sequence, where special tokens or the whole picture attend to each other from the first block on. */
function tokens(graph: Graph, run: Run | undefined, embedded: readonly Station[]): readonly Station[] {
  const [probe] = run ? probesIn(graph, run.blocks) : [];
  const grid = probe?.queries.grid?.slice(-2);
  if (probe?.kind !== 'self' || probe.window || !grid || run?.blocks[0]?.output.length === 4) return [];
  if (!embedded.some((station) => station.grid?.join() === grid.join())) return [];
  const mix = workOf(graph).find(({ kind, node }) => kind === 'attention' && node.inputs[0] === probe.value);
  const width = probe.heads * (mix?.outputs[0]?.shape.at(-1) ?? 0);
  const count = formatExact(tokenCount(probe.queries));
  return [
    {
      kind: 'tokens',
      label: 'Tokens',
      detail: width > 0 ? `${count} × ${formatExact(width)}` : count,
      path: '',
      grid: grid as [number, number],
      special: probe.queries.special ?? [],
    },
  ];
}

/** What makes the map smaller between two stages. */
function between(graph: Graph, before: Run | undefined, after: Run): readonly Station[] {
  if (!before) return [];
  const [first, last] = [before.blocks.at(-1)!.last + 1, after.blocks[0]!.first - 1];
  const gap = workOf(graph).slice(first, last + 1);
  const products = gap.filter(({ macs, bytes }) => macs > 0 && bytes > 0);
  const [handed, taken] = [before.blocks.at(-1)!.output, after.blocks[0]!.output];
  if (products.length === 0 || handed.join() === taken.join()) return [];
  const inGap = new Set(gap);
  const shape = gap.findLast((work) => leaves(graph, work, (reader) => inGap.has(reader)))!.outputs[0]!.shape;
  return [
    {
      kind: 'downsample',
      label: 'Downsampling',
      detail: [sizes(withoutBatch(graph, shape)), ...mixing(probesIn(graph, [{ first, last }]))].join(', '),
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

/** Rows and columns of a map `[batch, channels, rows, columns]`, or of as many tokens in the picture's proportions. */
function gridOf(graph: Graph, shape: readonly number[]): Grid | undefined {
  if (shape.length === 4) return [shape[2]!, shape[3]!];
  const input = pictureOf(graph);
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
  const once = found.filter(({ kind }, index) => kind !== found[index - 1]?.kind);
  return [...once, ...(head ? [heads(classifiers)] : [])];
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
const isConvolution = ({ kind, outputs }: Work): boolean =>
  kind === 'conv' && outputs[0]!.shape.length === 4 && elementCount(outputs[0]!.shape.slice(2)) > 1;

function tailStation(graph: Graph, work: Work, after: readonly Work[]): readonly Station[] {
  const path = work.node.scope;
  const shape = withoutBatch(graph, work.outputs[0]!.shape);
  const detail = sizes(shape);
  if (work.kind === 'normalisation') {
    // A group norm reshapes before and after it.
    const last = after.findLast(({ node }) => node.scope === path)!;
    return [
      { kind: 'norm', label: 'Norm', detail: sizes(withoutBatch(graph, last.outputs[0]!.shape)), path },
    ];
  }
  if (isConvolution(work)) return [{ kind: 'blocks', label: 'Convolution', detail, path }];
  const [probe] = graph.probes.filter(({ value }) => work.node.inputs.includes(value));
  if (probe) return [{ kind: 'pool', label: 'Attention pooling', detail: mixing([probe]).join(), path }];
  if (!isPooling(work)) return [];
  const label = averages.has(work.node.op) ? 'Mean' : 'Token';
  return [{ kind: 'pool', label, detail: sizes(shape.filter((size) => size !== 1)), path }];
}

const attends = (graph: Graph, { node, kind }: Work): boolean =>
  kind === 'attention' && graph.probes.some(({ value }) => node.inputs.includes(value));

/** The classifiers: a distilled model has two of the same width; of several layers in a row the last one counts. */
function heads(products: readonly Work[]): Station {
  const outputsOf = ({ outputs: [output], kind }: Work): number =>
    (kind === 'conv' ? output!.shape[1] : output!.shape.at(-1)) ?? 1;
  const classes = outputsOf(products.at(-1)!);
  const last = products.filter((work) => outputsOf(work) === classes);
  return {
    kind: 'head',
    label: last.length > 1 ? 'Heads' : 'Head',
    detail: `${formatExact(classes)} outputs`,
    path: last[0]!.node.scope,
    count: last.length,
  };
}

const averages: ReadonlySet<string> = new Set(['ReduceMean', 'GlobalAveragePool']);
const choosers: ReadonlySet<string> = new Set(['Gather', 'Slice']);

/** Whether a token sequence or map becomes one vector: the width stays, the rest goes. */
function isPooling({ node, inputs, outputs }: Work): boolean {
  const [input, output] = [inputs[0]?.shape ?? [], outputs[0]!.shape];
  if (!averages.has(node.op) && !choosers.has(node.op)) return false;
  const width = input.length === 4 ? input[1] : input.at(-1);
  return elementCount(output) === input[0]! * width! && elementCount(output) < elementCount(input);
}
