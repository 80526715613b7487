import { chainLength, tokenCount, type Probe } from '../../domain/probes';
import { at, product } from '../../domain/lists';
import { outputName, valueOf, type Graph, type Node } from '../graph';
import { operatorOf } from '../operators';
import { changingWith, madeOf, producers } from '../order';
import { perGraph } from '../perGraph';
import { headOutputs, isLayout, keepsShape, pathTo, valuesOfImage, type HeadOutputs } from './headOutputs';

/** A block of a plain transformer, where its attention is added to the residual stream. */
export interface StreamBlock {
  readonly probe: Probe;
  /** What goes into the block: rows of tokens, `[…, width]`. */
  readonly input: string;
  /** What attention adds to it. */
  readonly added: string;
  /** Undefined if the heads' outputs do not stand side by side. */
  readonly heads?: HeadOutputs;
  /** What is added is linear in what the projection reads: no norm behind it, no bias beside it. */
  readonly isLinear: boolean;
}

/** One stream of the same tokens through all blocks. */
export interface ResidualStream {
  readonly blocks: readonly StreamBlock[];
  /** What the last block hands on. */
  readonly last: string;
}

const makersOf = perGraph(producers);

/** The other one of two values that are added. */
function addedTo({ op, inputs }: Node, value: string): string | undefined {
  if (op !== 'Add' || !inputs.includes(value)) return undefined;
  return inputs[0] === value ? inputs[1] : inputs[0];
}

/** A value without a bias that a fused operator adds to the stream first. */
function unbiased(graph: Graph, value: string): string {
  const maker = makersOf(graph).get(value);
  if (maker?.op !== 'Add') return value;
  const [own, ...more] = maker.inputs.filter((input) => valuesOfImage(graph).has(input));
  return own !== undefined && more.length === 0 ? own : value;
}

/** Where a value is added to the stream. */
interface Join {
  readonly node: Node;
  /** The stream before. */
  readonly input: string;
  /** The nodes from the map to there. */
  readonly way: readonly Node[];
  readonly isBiased: boolean;
}

/** Where what is made of a map is added to what the map is made of. */
function joinOf(graph: Graph, probe: Probe): Join | undefined {
  const behind = changingWith(graph, [probe.value]);
  const before = madeOf(graph, [probe.value]);
  const streamOf = (node: Node, value: string): string | undefined => {
    const other = addedTo(node, value);
    const stream = other === undefined || before.has(other) ? other : unbiased(graph, other);
    return stream !== undefined && before.has(stream) && !behind.has(stream) ? stream : undefined;
  };
  const mayPass = (node: Node, value: string): boolean =>
    isLayout(node) || operatorOf(node)?.kind === 'product' || keepsShape(graph, node, value);
  const isJoin = (node: Node, value: string): boolean => streamOf(node, value) !== undefined;
  const way = pathTo(graph, probe.value, isJoin, mayPass);
  const node = way?.at(-1);
  if (!way || !node) return undefined;
  const value = addedOn(way, probe);
  const input = streamOf(node, value);
  return input === undefined ? undefined : { node, input, way, isBiased: !node.inputs.includes(input) };
}

/** The value that the last node of a way adds. */
const addedOn = (way: readonly Node[], probe: Probe): string =>
  way.length > 1 ? outputName(at(way, way.length - 2)) : probe.value;

/** Whether a node adds or multiplies something that does not change with the image. */
function isLinear(graph: Graph, node: Node, ofMap: ReadonlySet<string>): boolean {
  const others = node.inputs.filter((input) => input !== '' && !ofMap.has(input));
  const isOne = node.inputs.length - others.length === 1;
  const kind = operatorOf(node)?.kind;
  const scales =
    ['Add', 'Sub', 'Mul'].includes(node.op) || (node.op === 'Div' && ofMap.has(at(node.inputs, 0)));
  return isOne && (isLayout(node) || kind === 'product' || scales);
}

function blockOf(graph: Graph, probe: Probe): (StreamBlock & { readonly sum: string }) | undefined {
  const found = joinOf(graph, probe);
  if (!found) return undefined;
  const { node, way, input, isBiased } = found;
  const heads = headOutputs(graph, probe);
  const place = heads ? way.indexOf(heads.projection) : -1;
  const ofMap = changingWith(graph, [probe.value]);
  const isPlain = way.slice(place, -1).every((each) => isLinear(graph, each, ofMap));
  return {
    probe,
    input,
    added: addedOn(way, probe),
    ...(heads && { heads }),
    isLinear: place >= 0 && !isBiased && isPlain,
    sum: outputName(node),
  };
}

/** The last of the sums that begin with this one: each adds what is made of the one before. */
function lastSum(graph: Graph, first: string): string {
  let sum = first;
  for (;;) {
    const behind = changingWith(graph, [sum]);
    const own = new Set([sum, ...[...behind].filter((value) => unbiased(graph, value) === sum)]);
    const next = graph.nodes.find((node) =>
      [...own].some((value) => {
        const other = addedTo(node, value);
        return other !== undefined && !own.has(other) && behind.has(other);
      }),
    );
    if (!next) return sum;
    sum = outputName(next);
  }
}

/**
 * The residual stream of a plain transformer (Elhage et al. 2021), by where each layer's attention
 * is added to what it was made of: whatever modules are called. Undefined if layers have other
 * tokens than the first, windows or reduced keys, or if one adds its attention to nothing. Pooling
 * attention may follow.
 */
export const residualStream = perGraph((graph): ResidualStream | undefined => {
  const length = chainLength(graph.probes);
  if (length === 0 || graph.probes.slice(length).some(({ kind }) => kind !== 'pool')) return undefined;
  const blocks = graph.probes.slice(0, length).map((probe) => blockOf(graph, probe));
  const shape = blocks[0] && valueOf(graph, blocks[0].input).shape.join();
  const found = blocks.flatMap((block) =>
    block && valueOf(graph, block.input).shape.join() === shape ? [block] : [],
  );
  const end = found.at(-1);
  if (!end || found.length < length) return undefined;
  const rows = product(valueOf(graph, end.input).shape.slice(0, -1));
  if (rows !== tokenCount(end.probe.queries)) return undefined;
  return {
    blocks: found.map(({ sum: _, ...block }) => block),
    last: lastSum(graph, end.sum),
  };
});
