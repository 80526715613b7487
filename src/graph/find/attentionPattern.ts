import type { Probe, TokenLayout } from '../../domain/probes';
import { geometryOf, Lineage, mapOf } from './attentionGeometry';
import { softmaxes } from './softmax';
import { product } from '../../domain/lists';
import { intsOf, outputName, valueOf, type Graph, type Node, type ValueInfo } from '../graph';
import { blockOf } from '../onnx/scopes';
import { factorsOf, keepsElements, operatorOf } from '../operators';
import { readBy } from '../order';

type Parts = Pick<Graph, 'nodes' | 'values' | 'initializers'>;

/** An attention map found in a graph that does not declare any. */
export type FoundAttention = Probe;

/**
 * What scales scores, caps them and adds biases and masks, between their product and the softmax.
 */
const onScores: ReadonlySet<string> = new Set([
  ...['Mul', 'Div', 'Add', 'Sub', 'Where', 'Clip', 'Tanh', 'Max', 'Min', 'QLinearMul', 'QLinearAdd'],
]);

const mayPrecedeSoftmax = (node: Node): boolean => onScores.has(node.op) || keepsElements(node);
const mayFollowSoftmax = (node: Node): boolean => node.op === 'Where' || keepsElements(node);

/** A product over batch and heads. Gemm multiplies matrices alone. */
const isProduct = (node: Node): boolean => operatorOf(node)?.kind === 'product' && !node.op.endsWith('Gemm');

/**
 * Attention by its pattern: a softmax over the last axis between two matrix products of activations
 * (Vaswani et al. 2017, §3.2.1), whichever exporter wrote it. In execution order.
 */
export function findAttention(file: Parts): readonly FoundAttention[] {
  const graph = withoutConversions(file);
  const lineage = new Lineage(graph);
  const tokens = tokenLayoutOf(graph, lineage);
  const [scored, used] = [scoresByValue(graph), goingIntoProducts(graph)];
  return softmaxes(graph)
    .filter(({ node }) => valueOf(graph, outputName(node)).shape.length >= 3)
    .flatMap(({ node, input }) => {
      const scores = scored.get(input);
      return scores && used.has(outputName(node)) ? [describe(node, scores, graph, lineage, tokens)] : [];
    });
}

/**
 * The graph without the operators that convert types, integers and back above all: what they make
 * goes by the name of what they are given.
 */
function withoutConversions(graph: Parts): Parts {
  const sources = new Map<string, string>();
  const source = (name: string): string => sources.get(name) ?? name;
  const nodes: Node[] = [];
  for (const node of graph.nodes)
    if (operatorOf(node)?.carries === 'converts') sources.set(outputName(node), source(node.inputs[0] ?? ''));
    else nodes.push({ ...node, inputs: node.inputs.map(source) });
  return { ...graph, nodes };
}

/**
 * For each value the product of two computed operands to which some path of scaling and biases
 * leads back. One pass in execution order: what is found of a value's inputs is found once, however
 * many softmaxes ask.
 */
function scoresByValue({ nodes, initializers }: Parts): ReadonlyMap<string, Node> {
  const found = new Map<string, Node>();
  for (const node of nodes) {
    const own = isProduct(node) && !factorsOf(node).some((input) => initializers.has(input));
    const scores = own
      ? node
      : mayPrecedeSoftmax(node) && !isProduct(node)
        ? node.inputs.flatMap((input) => found.get(input) ?? [])[0]
        : undefined;
    if (scores) for (const output of node.outputs) found.set(output, scores);
  }
  return found;
}

/** Values that some path of layout and masks leads into the left operand of a product. */
function goingIntoProducts({ nodes }: Parts): ReadonlySet<string> {
  const found = new Set<string>();
  for (const node of nodes.toReversed()) {
    const [left = ''] = node.inputs;
    if (isProduct(node)) found.add(left);
    if (mayFollowSoftmax(node) && found.has(outputName(node)))
      for (const input of readBy(node)) found.add(input);
  }
  return found;
}

/**
 * The tokens of the image: patches of the patch embedding, and the special tokens put before them.
 */
interface ImageTokens {
  readonly grid: readonly [number, number];
  readonly special: readonly string[];
}

function describe(
  node: Node,
  scores: Node,
  graph: Parts,
  lineage: Lineage,
  tokens: ImageTokens | undefined,
): FoundAttention {
  const { name: value, shape } = valueOf(graph, outputName(node));
  const [heads = 1, queries = 1, keys = 1] = shape.slice(-3);
  const found = { value, layer: blockOf(node.scope), heads };
  const batch = product(shape.slice(0, -3));
  const operands = factorsOf(scores);
  const geometry = isSpecial(queries, tokens)
    ? undefined
    : geometryOf({ operands, queries, keys, batch }, graph, lineage);
  if (geometry) return { ...found, ...geometry };
  return {
    ...found,
    kind: queries === keys ? 'self' : queries === 1 ? 'pool' : 'cross',
    queries: queries === 1 && keys !== 1 ? { special: ['probe'] } : layoutOf(queries, tokens),
    keys: layoutOf(keys, tokens),
  };
}

/** As many tokens as all patches and the special tokens put before them. */
const isSpecial = (count: number, tokens: ImageTokens | undefined): boolean =>
  tokens !== undefined &&
  tokens.special.length > 0 &&
  layoutOf(count, tokens).special?.length === tokens.special.length;

function layoutOf(count: number, tokens: ImageTokens | undefined): TokenLayout {
  if (!tokens) return { sequence: count };
  const patches = tokens.grid[0] * tokens.grid[1];
  if (count === patches) return { special: [], grid: tokens.grid };
  return count === patches + tokens.special.length
    ? { special: tokens.special, grid: tokens.grid }
    : { sequence: count };
}

/**
 * The patch embedding is the first convolution whose stride is its kernel; special tokens are what
 * a later Concat puts before its patches, named after the parameters they come from.
 */
function tokenLayoutOf(graph: Parts, lineage: Lineage): ImageTokens | undefined {
  const patches = graph.nodes.find((node) => patchStride(node) !== undefined);
  const map = patches && mapOf(patches, graph);
  if (!map) return undefined;
  const { channels: width, rows, columns } = map;
  const count = rows * columns;
  const joined = graph.nodes
    .map(joinedBy)
    .find((inputs) => inputs.some((input) => isSequence(graph.values.get(input), count, width)));
  const before = joined?.filter((input) => !isSequence(graph.values.get(input), count, width)) ?? [];
  const tokens = before.flatMap((input) => tokensOf(input, graph, lineage));
  return { grid: [rows, columns], special: nameTokens(tokens, [...graph.initializers.keys()]) };
}

/** Values that a node puts one after the other; a quantised one has scales between them. */
function joinedBy({ op, inputs }: Node): readonly string[] {
  if (op === 'Concat') return inputs;
  return op === 'QLinearConcat' ? inputs.filter((_, index) => index >= 2 && index % 3 === 2) : [];
}

const isSequence = (value: ValueInfo | undefined, tokens: number, width: number): boolean =>
  value?.shape.at(-2) === tokens && value.shape.at(-1) === width;

/**
 * Stride of a patch embedding: a convolution whose stride is its kernel, larger than one pixel.
 * Undefined for any other node.
 */
export function patchStride(node: Node): readonly number[] | undefined {
  const [kernel, stride] = [intsOf(node, 'kernel_shape'), intsOf(node, 'strides')];
  if (operatorOf(node)?.kind !== 'conv' || kernel.length === 0 || stride.length === 0) return undefined;
  return kernel.join() === stride.join() && kernel.every((size) => size > 1) ? stride : undefined;
}

/** One entry per token of a value that is put before the patches: the parameter it comes from. */
function tokensOf(value: string, graph: Parts, { producers }: Lineage): readonly string[] {
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

/**
 * The field's names by what the parameter is called; the first token without a telling name is the
 * class token.
 */
const tokenNames: readonly (readonly [RegExp, string])[] = [
  [/dist/i, 'dist'],
  [/reg/i, 'reg'],
  [/cls|class/i, 'cls'],
];

function nameTokens(parameters: readonly string[], stored: readonly string[]): readonly string[] {
  // An exporter that folded class and distillation token into one constant leaves only the second
  // head's name.
  const distilled = parameters.length === 2 && stored.some((name) => /dist/i.test(name));
  let registers = 0;
  return parameters.map((parameter, index) => {
    const other = index === 0 ? 'cls' : distilled ? 'dist' : 'reg';
    const name = tokenNames.find(([pattern]) => pattern.test(parameter))?.[1] ?? other;
    return name === 'reg' ? `reg${registers++}` : name;
  });
}
