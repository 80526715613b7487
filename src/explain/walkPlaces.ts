import { at } from '../domain/lists';
import { outputName, valueOf, type Graph, type Node } from '../graph/graph';
import { readersOf, valuesOfImage } from '../graph/find/headOutputs';
import { residualStream, type StreamBlock } from '../graph/find/residualStream';
import { softmaxes } from '../graph/find/softmax';
import { factorsOf, keepsElements, operatorOf } from '../graph/operators';
import { madeOf, producers } from '../graph/order';
import { perGraph } from '../graph/perGraph';

/** Names of the values of a block that a patch goes through. */
export interface WalkPlaces {
  readonly input: string;
  readonly norm: string;
  /** Factors of the scores, `[1, heads, tokens, d]` and `[1, heads, d, tokens]`. */
  readonly query: string;
  readonly key: string;
  readonly scores: string;
  readonly map: string;
  readonly values: string;
  readonly read: string;
  readonly added: string;
  readonly middle: string;
  readonly norm2: string;
  readonly mlp: string;
  readonly next: string;
}

const makersOf = perGraph(producers);

const normBehind = (graph: Graph, value: string): string | undefined => {
  const norm = (readersOf(graph).get(value) ?? []).find((node) => operatorOf(node)?.kind === 'normalisation');
  return norm && outputName(norm);
};

/** The product that scores are made of, through scales, masks and biases. */
function productBefore(graph: Graph, value: string): Node | undefined {
  const maker = makersOf(graph).get(value);
  if (!maker || operatorOf(maker)?.kind === 'product') return maker;
  const passes = ['Mul', 'Div', 'Add'].includes(maker.op) || keepsElements(maker);
  const [own, ...more] = maker.inputs.filter((input) => valuesOfImage(graph).has(input));
  return passes && own !== undefined && more.length === 0 ? productBefore(graph, own) : undefined;
}

/** Where two values are added, and the sum. */
const addedUp = (graph: Graph, one: string, other: string): string | undefined => {
  const node = (readersOf(graph).get(one) ?? []).find(
    ({ op, inputs }) => op === 'Add' && inputs.includes(other),
  );
  return node && outputName(node);
};

function placesOfBlock(graph: Graph, block: StreamBlock, next: string): WalkPlaces | string {
  const { input, added, heads, probe } = block;
  if (!heads?.isDirect)
    return 'the outputs of its heads do not stand side by side in front of a linear layer';
  const norm = normBehind(graph, input);
  if (norm === undefined || !madeOf(graph, [probe.value]).has(norm))
    return 'no norm stands between the stream and its attention';
  const softmax = softmaxes(graph).find(({ node }) => outputName(node) === probe.value);
  const product = softmax && productBefore(graph, softmax.input);
  if (!softmax || !product) return 'its weights are no softmax of one product of queries and keys';
  const middle = addedUp(graph, input, added);
  const norm2 = middle === undefined ? undefined : normBehind(graph, middle);
  const end = makersOf(graph).get(next);
  const mlp =
    end?.op === 'Add' && middle !== undefined && end.inputs.includes(middle)
      ? end.inputs.find((each) => each !== middle)
      : undefined;
  if (middle === undefined || norm2 === undefined || mlp === undefined)
    return 'no MLP behind a norm of its own follows its attention on the stream';
  const [query, key] = factorsOf(product);
  const { values, read } = heads;
  return {
    ...{ input, norm, query, key, scores: softmax.input, map: probe.value, values, read, added },
    ...{ middle, norm2, mlp, next },
  };
}

/** The places of every block, or why a block has not all of them. */
export const walkPlaces = perGraph((graph): readonly (WalkPlaces | string)[] => {
  const stream = residualStream(graph);
  if (!stream) return [];
  const { blocks, last } = stream;
  return blocks.map((block, index) => placesOfBlock(graph, block, blocks[index + 1]?.input ?? last));
});

/** What a patch is before its position is added, and the position. */
export interface Embedded {
  readonly patches: string;
  readonly position: string;
}

/** Undefined if positions are not added once to the patches, as rows of a table. */
export const embedded = perGraph((graph): Embedded | undefined => {
  const first = residualStream(graph)?.blocks[0];
  if (!first) return undefined;
  const width = at(valueOf(graph, first.input).shape.toReversed(), 0);
  const before = madeOf(graph, [first.input]);
  const found = graph.nodes.flatMap((node): readonly Embedded[] => {
    if (node.op !== 'Add' || !before.has(outputName(node))) return [];
    const patches = node.inputs.find((input) => valuesOfImage(graph).has(input));
    const position = node.inputs.find((input) => !valuesOfImage(graph).has(input));
    if (patches === undefined || position === undefined) return [];
    const rows = [patches, position].map((name) => valueOf(graph, name).shape.slice(-2).join());
    return rows[0] === rows[1] && rows[0]?.endsWith(`,${width}`) ? [{ patches, position }] : [];
  });
  return found.length === 1 ? found[0] : undefined;
});
