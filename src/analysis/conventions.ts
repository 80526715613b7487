import { elementCount } from '../checkpoint/tensors';
import type { Graph } from '../graph/graph';
import { exactSum } from './exact';
import { countedMacs, sumMacs, type Work } from './work';

const inputElements = ({ inputs }: Work): number => elementCount(inputs[0]!.shape);
const outputElements = ({ outputs }: Work): number => elementCount(outputs[0]!.shape);

/** A layer norm without learned scale stands in the graph with a constant one. */
const hasScale = ({ node }: Work, graph: Graph): boolean =>
  graph.initializers.get(node.inputs[1] ?? '')?.data.kind !== 'constant';

const norm = (work: Work, graph: Graph): number => (hasScale(work, graph) ? 5 : 4) * inputElements(work);

/** Charge per output element of an upsampling; bicubic ones are not in fvcore's table. */
const interpolation: Readonly<Record<string, number>> = { undefined: 1, nearest: 1, linear: 4 };

/** What fvcore charges besides products, by operator (fvcore/nn/flop_count.py and jit_handles.py). */
const charges: Readonly<Record<string, (work: Work, graph: Graph) => number>> = {
  LayerNormalization: norm,
  GroupNormalization: norm,
  InstanceNormalization: norm,
  BatchNormalization: (work) => 2 * inputElements(work),
  GlobalAveragePool: inputElements,
  GridSample: (work) => 4 * outputElements(work),
  Resize: (work) => (interpolation[String(work.node.attributes['mode']?.value)] ?? 0) * outputElements(work),
};

/**
 * fvcore's count, which timm's tables print as GMACs: the counted MACs and a charge for norms, pooling and upsampling.
 * Fused attention, softmax, activations and additions cost nothing there.
 */
export function fvcoreCount(graph: Graph, work: readonly Work[]): number {
  const extras = work.map((row) => (row.bytes > 0 ? (charges[row.node.op]?.(row, graph) ?? 0) : 0));
  return exactSum([countedMacs(sumMacs(work)), ...extras]);
}

/** Output elements of convolutions, linear layers and matrix products: `macts` of timm's tables. */
export function productActivations(work: readonly Work[]): number {
  return exactSum(work.filter(({ macs }) => macs > 0).map(outputElements));
}
