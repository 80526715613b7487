import type { GraphBuilder } from '../builder';
import { int, intOf, type Graph, type Node, type ValueInfo } from '../graph';
import { isView, operatorOf } from '../operators';
import { producers } from '../order';
import { perGraph } from '../perGraph';
import { at } from '../../domain/lists';
import { extend } from './extend';

/** Likeliest classes that have a map. */
const mapCount = 5;
const scope = 'class_activation';

/** A linear classifier of what is pooled from the last map, by the values of the graph. */
interface LinearHead {
  readonly logits: ValueInfo;
  /**
   * `[classes, channels]`, or with the transpose or trailing ones that `transposed` and its rank
   * tell.
   */
  readonly weight: ValueInfo;
  readonly transposed: boolean;
  /** Layer norm between pooling and classifier. */
  readonly norm?: { readonly scale: ValueInfo; readonly epsilon: number };
  /** Mean over the map, `[batch, channels]` or with trailing ones. */
  readonly pooled: ValueInfo;
  /** `[batch, channels, rows, columns]` */
  readonly map: ValueInfo;
  /** Module of the classifier. */
  readonly layer: string;
}

/** The operator that makes a value, past those that only reshape it. */
function makerOf(nodes: ReadonlyMap<string, Node>, value: string): Node | undefined {
  const node = nodes.get(value);
  return node && isView(node) ? makerOf(nodes, at(node.inputs, 0)) : node;
}

/**
 * Whether the node is the mean over rows and columns of a map: by its shapes, whatever names its
 * axes.
 */
function pools(node: Node, map: ValueInfo | undefined, pooled: ValueInfo | undefined): boolean {
  if (operatorOf(node)?.pools !== 'mean') return false;
  const [batch, channels, ...rest] = pooled?.shape ?? [];
  const [ownBatch, ownChannels] = map?.shape ?? [];
  return (
    map?.shape.length === 4 &&
    batch === ownBatch &&
    channels === ownChannels &&
    rest.every((side) => side === 1)
  );
}

/** The linear head over the mean of the last map; undefined if the graph ends otherwise. */
function linearHead(graph: Graph): LinearHead | undefined {
  const nodes = producers(graph);
  const info = (name: string | undefined): ValueInfo | undefined => graph.values.get(name ?? '');
  const logits = info(graph.outputs.find(({ means }) => means === 'logits')?.value);
  const head = logits && makerOf(nodes, logits.name);
  const weight = info(head?.inputs[1]);
  if (!logits || logits.shape.length !== 2 || !head || !weight || !['Gemm', 'Conv'].includes(head.op))
    return undefined;
  const before = makerOf(nodes, at(head.inputs, 0));
  const normed = before?.op === 'LayerNormalization' ? before : undefined;
  const pool = normed ? makerOf(nodes, at(normed.inputs, 0)) : before;
  const [map, pooled] = [info(pool?.inputs[0]), info(pool?.outputs[0])];
  if (!pool || !map || !pooled || !pools(pool, map, pooled)) return undefined;
  const epsilon = normed?.attributes['epsilon'];
  const scale = info(normed?.inputs[1]);
  return {
    logits,
    weight,
    transposed: head.op === 'Gemm' && intOf(head, 'transB', 0) === 0,
    norm: scale && epsilon?.type === 'float' ? { scale, epsilon: epsilon.value } : undefined,
    pooled,
    map,
    layer: head.scope,
  };
}

/**
 * The map as the classifier sees it through a layer norm of its mean: given the mean's own
 * deviation, the norm is linear, so that what each position adds is its difference from the mean of
 * its channels, divided by that deviation and scaled.
 */
function throughNorm(b: GraphBuilder, { map, pooled, norm }: LinearHead): ValueInfo {
  if (!norm) return map;
  const [batch = 1, channels = 1] = map.shape;
  const mean = (x: ValueInfo): ValueInfo => b.mean(x, 1);
  const centred = (x: ValueInfo): ValueInfo => b.add('Sub', [x, mean(x)]);
  const off = centred(b.reshape(pooled, [batch, channels, 1, 1]));
  const variance = b.add('Add', [mean(b.add('Mul', [off, off])), b.scalar(norm.epsilon)]);
  const scaled = b.add('Mul', [centred(map), b.reshape(norm.scale, [channels, 1, 1])]);
  return b.add('Div', [scaled, b.add('Sqrt', [variance])]);
}

/**
 * Adds maps `[batch, 1, classes, positions]` of the likeliest classes: the rows of the classifier
 * times the map at each position.
 */
function addActivations(b: GraphBuilder, head: LinearHead): void {
  const { logits, weight, transposed, map, layer } = head;
  const [batch = 1, channels = 1, rows = 1, columns = 1] = map.shape;
  const classes = at(logits.shape, 1);
  const count = Math.min(mapCount, classes);
  const table = transposed ? b.transpose(weight, [1, 0]) : b.reshape(weight, [classes, channels]);
  const likeliest = at(b.addMany('TopK', [logits, b.indices([count])], 2, { axis: int(1) }), 1);
  const weights = b.add('Gather', [table, likeliest], { axis: int(0) });
  const positions = b.reshape(throughNorm(b, head), [batch, channels, rows * columns]);
  const maps = b.add('MatMul', [weights, positions]);
  b.probe(b.reshape(maps, [batch, 1, count, rows * columns]), {
    layer,
    kind: 'activation',
    queries: { special: Array.from({ length: count }, (_, rank) => `top${rank + 1}`) },
    keys: { special: [], grid: [rows, columns] },
  });
}

/**
 * The graph with class activation maps (Zhou et al. 2016) of the likeliest classes as a last probe,
 * if it has no attention over positions and a linear head over the mean of its last map; else the
 * graph itself. The mean of a class's map is its logit less its bias.
 */
export const withClassActivation = perGraph((graph): Graph => {
  const gatesOnly = graph.probes.every(({ kind }) => kind === 'channel' || kind === 'spatial');
  const head = gatesOnly ? linearHead(graph) : undefined;
  return head ? extend(graph, scope, (b) => addActivations(b, head)) : graph;
});
