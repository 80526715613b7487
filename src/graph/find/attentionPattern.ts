import type { Probe, TokenLayout } from '../../domain/probes';
import { geometryOf } from './attentionGeometry';
import type { Graph, Node, ValueInfo } from '../graph';
import { blockOf } from '../onnx/scopes';
import { producers, readBy } from '../order';

type Parts = Pick<Graph, 'nodes' | 'values' | 'initializers'>;

/** An attention map found in a graph that does not declare any. */
export type FoundAttention = Probe;

/** What may stand between the scores' product and the softmax: scaling, biases, masks, casts. */
const beforeSoftmax = new Set([
  ...['Mul', 'Div', 'Add', 'Sub', 'Where', 'Cast', 'Identity', 'Reshape', 'Clip', 'Tanh', 'Max', 'Min'],
  ...['QuantizeLinear', 'DequantizeLinear'],
]);
/** What may stand between the softmax and the product with the values. */
const afterSoftmax = new Set([
  'Cast',
  'Identity',
  'Dropout',
  'Where',
  'Reshape',
  'QuantizeLinear',
  'DequantizeLinear',
]);
const products = new Set(['MatMul', 'MatMulInteger', 'QLinearMatMul', 'Einsum']);

/**
 * Attention by its pattern: a softmax over the last axis between two matrix products of activations (Vaswani et al. 2017, §3.2.1),
 * whichever exporter wrote it. In execution order.
 */
export function findAttention(graph: Parts): readonly FoundAttention[] {
  const links = linkNodes(graph);
  const tokens = tokenLayoutOf(graph, links);
  return graph.nodes
    .filter((node) => node.op === 'Softmax' && isOverLastAxis(node, graph.values))
    .flatMap((node) => {
      const scores = scoresOf(node, graph, links);
      return scores && goesIntoProduct(node.outputs[0]!, links)
        ? [describe(node, scores, graph, links, tokens)]
        : [];
    });
}

interface Links {
  readonly producers: ReadonlyMap<string, Node>;
  readonly consumers: ReadonlyMap<string, readonly Node[]>;
}

function linkNodes(graph: Parts): Links {
  const consumers = new Map<string, Node[]>();
  for (const node of graph.nodes)
    for (const input of readBy(node)) {
      const readers = consumers.get(input);
      if (readers) readers.push(node);
      else consumers.set(input, [node]);
    }
  return { producers: producers(graph), consumers };
}

function isOverLastAxis(node: Node, values: ReadonlyMap<string, ValueInfo>): boolean {
  const rank = values.get(node.outputs[0]!)!.shape.length;
  const axis = node.attributes['axis'];
  const at = axis?.type === 'int' ? axis.value : -1;
  return rank >= 3 && (at === -1 || at === rank - 1);
}

/** The product of two computed operands to which some path of scaling and biases leads back. */
function scoresOf(node: Node, graph: Parts, { producers }: Links): Node | undefined {
  const seen = new Set<Node>();
  const search = (at: Node | undefined): Node | undefined => {
    if (!at || seen.has(at)) return undefined;
    seen.add(at);
    if (products.has(at.op))
      return at.inputs.slice(0, 2).some((input) => graph.initializers.has(input)) ? undefined : at;
    return beforeSoftmax.has(at.op) ? searchAll(at.inputs) : undefined;
  };
  const searchAll = (inputs: readonly string[]): Node | undefined => {
    for (const input of inputs) {
      const found = search(producers.get(input));
      if (found) return found;
    }
    return undefined;
  };
  return searchAll(node.inputs);
}

function goesIntoProduct(value: string, links: Links): boolean {
  return (links.consumers.get(value) ?? []).some(
    (node) =>
      (products.has(node.op) && node.inputs[0] === value) ||
      (afterSoftmax.has(node.op) && goesIntoProduct(node.outputs[0]!, links)),
  );
}

/** The tokens of the picture: patches of the patch embedding, and the special tokens put before them. */
interface PictureTokens {
  readonly grid: readonly [number, number];
  readonly special: readonly string[];
}

function describe(
  node: Node,
  scores: Node,
  graph: Parts,
  { producers }: Links,
  tokens: PictureTokens | undefined,
): FoundAttention {
  const { shape } = graph.values.get(node.outputs[0]!)!;
  const [heads, queries, keys] = shape.slice(-3) as [number, number, number];
  const found = { value: node.outputs[0]!, layer: blockOf(node.scope), heads };
  const batch = shape.slice(0, -3).reduce((product, size) => product * size, 1);
  const operands = [scores.inputs[0]!, scores.inputs[1]!] as const;
  const geometry = isSpecial(queries, tokens)
    ? undefined
    : geometryOf({ operands, queries, keys, batch }, graph, producers);
  if (geometry) return { ...found, ...geometry };
  return {
    ...found,
    kind: queries === keys ? 'self' : queries === 1 ? 'pool' : 'cross',
    queries: queries === 1 && keys !== 1 ? { special: ['probe'] } : layoutOf(queries, tokens),
    keys: layoutOf(keys, tokens),
  };
}

/** As many tokens as all patches and the special tokens put before them. */
const isSpecial = (count: number, tokens: PictureTokens | undefined): boolean =>
  tokens !== undefined &&
  tokens.special.length > 0 &&
  layoutOf(count, tokens).special?.length === tokens.special.length;

function layoutOf(count: number, tokens: PictureTokens | undefined): TokenLayout {
  if (!tokens) return { sequence: count };
  const patches = tokens.grid[0] * tokens.grid[1];
  if (count === patches) return { special: [], grid: tokens.grid };
  return count === patches + tokens.special.length
    ? { special: tokens.special, grid: tokens.grid }
    : { sequence: count };
}

/**
 * The patch embedding is the first convolution whose stride is its kernel; special tokens are what a later Concat puts before its
 * patches, named after the parameters they come from.
 */
function tokenLayoutOf(graph: Parts, links: Links): PictureTokens | undefined {
  const patches = graph.nodes.find((node) => patchStride(node) !== undefined);
  const shape = patches && graph.values.get(patches.outputs[0]!)!.shape;
  if (!shape || shape.length !== 4) return undefined;
  const grid = [shape[2]!, shape[3]!] as const;
  const count = grid[0] * grid[1];
  const concat = graph.nodes.find(
    (node) =>
      node.op === 'Concat' &&
      node.inputs.some((input) => isSequence(graph.values.get(input), count, shape[1]!)),
  );
  const before =
    concat?.inputs.filter((input) => !isSequence(graph.values.get(input), count, shape[1]!)) ?? [];
  const tokens = before.flatMap((input) => tokensOf(input, graph, links));
  return { grid, special: nameTokens(tokens, [...graph.initializers.keys()]) };
}

const isSequence = (value: ValueInfo | undefined, tokens: number, width: number): boolean =>
  value?.shape.at(-2) === tokens && value.shape.at(-1) === width;

/** Stride of a patch embedding: a convolution whose stride is its kernel, larger than one pixel. Undefined for any other node. */
export function patchStride(node: Node): readonly number[] | undefined {
  const [kernel, stride] = [node.attributes['kernel_shape'], node.attributes['strides']];
  if (node.op !== 'Conv' || kernel?.type !== 'ints' || stride?.type !== 'ints') return undefined;
  const alike = kernel.value.join() === stride.value.join() && kernel.value.every((size) => size > 1);
  return alike ? stride.value : undefined;
}

/** One entry per token of a value that is put before the patches: the parameter it comes from. */
function tokensOf(value: string, graph: Parts, { producers }: Links): readonly string[] {
  const parameter = (name: string, depth: number): string | undefined => {
    const data = graph.initializers.get(name)?.data;
    if (data?.kind === 'parameter') return data.tensor;
    const inputs = depth > 0 ? (producers.get(name)?.inputs ?? []) : [];
    for (const input of inputs) {
      const found = parameter(input, depth - 1);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const count = graph.values.get(value)?.shape.at(-2) ?? 1;
  return Array<string>(count).fill(parameter(value, 6) ?? '');
}

/** The field's names by what the parameter is called; the first token without a telling name is the class token. */
const tokenNames: readonly (readonly [RegExp, string])[] = [
  [/dist/i, 'dist'],
  [/reg/i, 'reg'],
  [/cls|class/i, 'cls'],
];

function nameTokens(parameters: readonly string[], stored: readonly string[]): readonly string[] {
  // An exporter that folded class and distillation token into one constant leaves only the second head's name.
  const distilled = parameters.length === 2 && stored.some((name) => /dist/i.test(name));
  let registers = 0;
  return parameters.map((parameter, index) => {
    const other = index === 0 ? 'cls' : distilled ? 'dist' : 'reg';
    const name = tokenNames.find(([pattern]) => pattern.test(parameter))?.[1] ?? other;
    return name === 'reg' ? `reg${registers++}` : name;
  });
}
