import { elementCount } from '../checkpoint/tensors';
import type { Graph } from '../graph/graph';
import { tokenCount, type Probe } from '../protocol/probes';
import type { Station } from '../protocol/report';
import { formatExact } from '../protocol/units';
import { withoutBatch } from './shapes';
import { mixingScope, workOf, type Work } from './work';

/** `14 × 14 × 768` */
const sizes = (shape: readonly number[]): string => shape.map(formatExact).join(' × ');

/**
 * The drawing of the whole, from picture to head, read off the graph: what stands before the first block embeds, numbered modules are
 * blocks, what shrinks the map between them downsamples, and norm, pooling and head follow the last.
 */
export function stations(graph: Graph): readonly Station[] {
  const blocks = new Blocks(graph);
  const runs = blockRuns(graph, blocks);
  const outside = workOf(graph).map((work) => ({ work, inside: blocks.of(work.node.scope) !== undefined }));
  const first = outside.findIndex(({ inside }) => inside);
  const last = outside.findLastIndex(({ inside }) => inside);
  const before = workOf(graph).slice(0, Math.max(0, first));
  const after = workOf(graph).slice(last + 1);
  const between = outside.slice(first, last + 1).filter(({ inside }) => !inside);
  const middle = [
    ...runs,
    ...downsamplings(
      between.map(({ work }) => work),
      graph,
    ),
  ];
  const inOrder = middle.toSorted((a, b) => a.at - b.at).map(({ station }) => station);
  return [
    ...picture(graph),
    ...embedding(graph, before),
    ...tokens(graph),
    ...inOrder,
    ...tail(graph, after),
  ];
}

/** The repeated modules: where attention is, and numbered modules elsewhere. */
class Blocks {
  private readonly paths: ReadonlySet<string>;

  constructor(graph: Graph) {
    const layers = new Set(graph.probes.map((probe) => layerOf(graph, probe)));
    const scopes = new Set(
      workOf(graph)
        .filter(({ macs }) => macs > 0)
        .map(({ node }) => node.scope),
    );
    const numbered = [...scopes].filter((scope) => !isInside(scope, layers)).flatMap(numberedModule);
    const candidates = new Set([...layers, ...numbered]);
    // A stage is numbered too; what holds other blocks is none.
    const holders = new Set([...candidates].flatMap((path) => ancestors(path)));
    this.paths = new Set([...candidates].filter((path) => path !== '' && !holders.has(path)));
  }

  /** The block that a scope lies in. */
  of(scope: string): string | undefined {
    return [scope, ...ancestors(scope)].find((path) => this.paths.has(path));
  }
}

/** The block a probe is about. Its name may be the checkpoint's own, where the graph's modules bear canonical ones. */
function layerOf(graph: Graph, probe: Probe): string {
  const scope = mixingScope(graph, probe);
  return isInside(scope, new Set([probe.layer])) ? probe.layer : (numberedModule(scope)[0] ?? scope);
}

/** `a.b`, `a` for `a.b.c`. */
function ancestors(path: string): readonly string[] {
  const parts = path.split('.');
  return parts.slice(1).map((_, index) => parts.slice(0, parts.length - 1 - index).join('.'));
}

const isInside = (scope: string, paths: ReadonlySet<string>): boolean =>
  [scope, ...ancestors(scope)].some((path) => paths.has(path));

/** The innermost numbered module that holds more than one operator: `stages.0.blocks.1` of `stages.0.blocks.1.conv_dw`. */
const numberedModule = (scope: string): readonly string[] =>
  ancestors(scope)
    .filter((path) => /\.\d+$/.test(path))
    .slice(0, 1);

interface Placed {
  /** Place in execution order. */
  readonly at: number;
  readonly station: Station;
}

/** Blocks of one list that hand on the same shape make one station. */
function blockRuns(graph: Graph, blocks: Blocks): readonly Placed[] {
  const order: { path: string; at: number; last: Work }[] = [];
  workOf(graph).forEach((work, at) => {
    const path = blocks.of(work.node.scope);
    if (path === undefined) return;
    const known = order.find((block) => block.path === path);
    if (known) known.last = work;
    else order.push({ path, at, last: work });
  });
  const runs: { key: string; list: string; at: number; paths: string[]; last: Work }[] = [];
  for (const { path, at, last } of order) {
    const list = ancestors(path)[0] ?? '';
    const key = `${list} ${last.outputs[0]?.shape.join()}`;
    const run = runs.at(-1);
    if (run?.key === key) run.paths.push(path);
    else runs.push({ key, list, at, paths: [path], last });
  }
  return runs.map(({ list, at, paths, last }) => {
    const probes = graph.probes.filter((probe) => paths.includes(blocks.of(mixingScope(graph, probe)) ?? ''));
    const pooling = probes.length > 0 && probes.every(({ kind }) => kind === 'pool');
    const heads = headsOf(probes);
    const shape = sizes(withoutBatch(graph, last.outputs[0]?.shape ?? []));
    const station: Station = {
      kind: pooling ? 'pool' : 'blocks',
      label: pooling ? 'Pooling' : paths.length === 1 ? 'Block' : 'Blocks',
      detail: heads === '' ? shape : `${shape}, ${heads}`,
      path: paths.length === 1 || list === '' ? paths[0]! : list,
      count: pooling ? undefined : paths.length,
    };
    return { at, station };
  });
}

function headsOf(probes: readonly Probe[]): string {
  const counts = [...new Set(probes.filter(({ kind }) => kind !== 'spatial').map(({ heads }) => heads))];
  if (counts.length === 0) return '';
  return counts.length === 1 && counts[0] === 1 ? '1 head' : `${counts.join('/')} heads`;
}

function picture(graph: Graph): readonly Station[] {
  const input = graph.inputs.find(({ shape }) => shape.length === 4);
  if (!input) return [];
  const [, channels, height, width] = input.shape;
  const detail = `${sizes([height!, width!])}, ${channels} channels`;
  return [{ kind: 'image', label: 'Picture', detail, path: '' }];
}

/** The patch embedding, or the convolutions that stand in its place. */
function embedding(graph: Graph, before: readonly Work[]): readonly Station[] {
  const products = before.filter(({ macs }) => macs > 0);
  const last = products.at(-1);
  const input = graph.inputs.find(({ shape }) => shape.length === 4);
  if (!last || !input) return [];
  const shape = last.outputs[0]!.shape;
  const grid = shape.length === 4 ? shape.slice(2) : graph.probes[0]?.queries.grid?.slice(-2);
  const [rows, columns] = grid ?? [];
  if (!rows || !columns) return [];
  const [height, width] = [input.shape[2]! / rows, input.shape[3]! / columns];
  const side = height === width ? formatExact(height) : sizes([height, width]);
  const single = products.length === 1;
  return [
    {
      kind: 'patches',
      label: single ? 'Patches' : 'Stem',
      detail: `${sizes([rows, columns])} ${single ? 'patches of' : 'at steps of'} ${side}`,
      path: single ? (ancestors(last.node.scope)[0] ?? last.node.scope) : last.node.scope,
      grid: [rows, columns],
    },
  ];
}

/** The token sequence, where special tokens or the whole picture attend to each other. */
function tokens(graph: Graph): readonly Station[] {
  const [probe] = graph.probes;
  if (probe?.kind !== 'self' || !probe.queries.grid) return [];
  const mix = workOf(graph).find(({ kind, node }) => kind === 'attention' && node.inputs[0] === probe.value);
  const width = probe.heads * (mix?.outputs[0]?.shape.at(-1) ?? 0);
  const [rows, columns] = probe.queries.grid.slice(-2);
  const count = formatExact(tokenCount(probe.queries));
  return [
    {
      kind: 'tokens',
      label: 'Tokens',
      detail: width > 0 ? `${count} × ${formatExact(width)}` : count,
      path: '',
      grid: [rows!, columns!],
      special: probe.queries.special ?? [],
    },
  ];
}

/** Convolutions and linear layers between blocks that make the map smaller; several in one module are one. */
function downsamplings(between: readonly Work[], graph: Graph): readonly Placed[] {
  const order = new Map(workOf(graph).map((work, at) => [work, at] as const));
  const found = new Map<string, Placed>();
  for (const work of between) {
    const [input, output] = [work.inputs[0]?.shape ?? [], work.outputs[0]!.shape];
    const shrinks = work.macs > 0 && elementCount(output) < elementCount(input);
    if (!shrinks) continue;
    const path = ancestors(work.node.scope)[0] ?? work.node.scope;
    const detail = sizes(withoutBatch(graph, output));
    found.set(path, {
      at: order.get(work)!,
      station: { kind: 'downsample', label: 'Downsampling', detail, path },
    });
  }
  return [...found.values()];
}

/** Norm, pooling and head after the last block, each once in a row. */
function tail(graph: Graph, after: readonly Work[]): readonly Station[] {
  const result: Station[] = [];
  for (const work of after) {
    const station = tailStation(graph, work);
    if (station && station.kind !== result.at(-1)?.kind) result.push(station);
  }
  return result;
}

function tailStation(graph: Graph, work: Work): Station | undefined {
  const path = work.node.scope;
  const shape = work.outputs[0]!.shape;
  const detail = sizes(withoutBatch(graph, shape));
  if (work.kind === 'normalisation') return { kind: 'norm', label: 'Norm', detail, path };
  if (pools(work))
    return {
      kind: 'pool',
      label: averages.has(work.node.op) ? 'Mean' : 'Token',
      detail: sizes(withoutBatch(graph, shape).filter((size) => size !== 1)),
      path,
    };
  if (work.kind !== 'linear' && work.kind !== 'conv') return undefined;
  return { kind: 'head', label: 'Head', detail: `${formatExact(shape.at(-1) ?? 1)} outputs`, path };
}

const averages: ReadonlySet<string> = new Set(['ReduceMean', 'GlobalAveragePool']);
const choosers: ReadonlySet<string> = new Set(['Gather', 'Slice']);

/** Whether a token sequence or map becomes one vector: the width stays, the rest goes. */
function pools({ node, inputs, outputs }: Work): boolean {
  const [input, output] = [inputs[0]?.shape ?? [], outputs[0]!.shape];
  if (!averages.has(node.op) && !choosers.has(node.op)) return false;
  const width = input.length === 4 ? input[1] : input.at(-1);
  return elementCount(output) === input[0]! * width! && elementCount(output) < elementCount(input);
}
