import type { Checkpoint } from '../checkpoint/checkpoint';
import { elementCount } from '../checkpoint/tensors';
import { patchStride } from '../graph/attentionPattern';
import type { Graph, Node } from '../graph/graph';
import { tokenCount, type Probe } from '../protocol/probes';
import type { Evidence, Recognised, Task } from './family';

/** What an imported graph shows of itself, or what it lacks to be called a plain Vision Transformer. */
export type OnnxDescription = { readonly recognised: Recognised } | { readonly missing: readonly string[] };

/**
 * Reads a plain Vision Transformer off an imported graph: a patch embedding, self-attention of one token layout in every layer,
 * and a head. Nothing is assumed: the graph states all of it.
 */
export function describeOnnx(graph: Graph, fixedSize: boolean): OnnxDescription {
  const patches = graph.nodes.find((node) => patchStride(node) !== undefined);
  const convolutions = graph.nodes.filter((node) => node.op.includes('Conv') && node !== patches);
  const [first, ...others] = graph.probes;
  const missing = [
    patches ? [] : ['a patch embedding (a convolution whose stride is its kernel)'],
    first ? [] : ['attention (a softmax between two products)'],
    convolutions.length > 0
      ? [`nothing but attention and MLPs: ${convolutions.length} further convolutions found`]
      : [],
    first && !first.queries.grid ? ['one token per patch in the attention'] : [],
    others.some((probe) => !isAlike(probe, first!)) ? ['attention of one shape in every layer'] : [],
  ].flat();
  if (missing.length > 0) return { missing };
  return { recognised: recognised(graph, patches!, first!, fixedSize) };
}

function recognised(graph: Graph, patches: Node, probe: Probe, fixedSize: boolean): Recognised {
  const [height, width] = graph.inputs.find(({ name }) => name === 'pixel_values')!.shape.slice(2) as [
    number,
    number,
  ];
  const patch = patchStride(patches)!;
  const dim = graph.values.get(patches.outputs[0]!)!.shape[1]!;
  const special = probe.queries.special ?? [];
  const { classes, task } = headOf(graph);
  const stated = (value: Evidence['value'], source: string): Evidence => ({ value, source, assumed: false });
  const square = patch[0] === patch[1];
  return {
    label: special.includes('dist')
      ? 'deit-distilled'
      : special.some((name) => name.startsWith('reg'))
        ? 'vit-registers'
        : 'vit',
    title: `ViT ${dim}/${patch[0]}`,
    task,
    imageSize: [height, width],
    figures: {
      depth: stated(graph.probes.length, `${graph.probes.length} softmaxes between two products`),
      dim: stated(dim, `${patches.name}: output channels`),
      heads: stated(probe.heads, `${probe.value}: first axis after the batch`),
      patch: stated(square ? patch[0]! : patch, `${patches.name}: stride = kernel`),
      classes: stated(classes, classes > 0 ? 'last axis of logits' : 'no logits among the outputs'),
      special_tokens: stated(
        special,
        `${tokenCount(probe.queries)} tokens, ${probe.queries.grid!.join(' × ')} patches`,
      ),
    },
    candidates: [],
    warnings: [],
    pixels: 'half',
    sizeStep: fixedSize ? [0, 0] : [patch[0]!, patch[1]!],
  };
}

function headOf(graph: Graph): { classes: number; task: Task } {
  const logits = graph.outputs.find(({ name }) => name === 'logits');
  const classes = logits ? graph.values.get(logits.value)!.shape.at(-1)! : 0;
  return { classes, task: logits ? 'classify' : 'features' };
}

const isAlike = (probe: Probe, first: Probe): boolean =>
  probe.heads === first.heads &&
  tokenCount(probe.queries) === tokenCount(first.queries) &&
  probe.kind === first.kind;

/** Inputs by operator that hold scales and zero points: constants of the quantisation, not parameters. */
const quantisationInputs: Readonly<Record<string, readonly number[]>> = {
  QuantizeLinear: [1, 2],
  DequantizeLinear: [1, 2],
  MatMulInteger: [2, 3],
  ConvInteger: [2, 3],
  QLinearMatMul: [1, 2, 4, 5, 6, 7],
  QLinearConv: [1, 2, 4, 5, 6, 7],
  DynamicQuantizeMatMul: [2, 3],
  MatMulIntegerToFloat: [2, 3, 4, 5],
};

/**
 * Initializers that are parameters: stored arrays of numbers that operators work on. Shapes, indices and single constants that the
 * exporter wrote down are not, nor are scales and zero points of a quantised file.
 */
export function onnxParameters(graph: Graph, checkpoint: Checkpoint): ReadonlySet<string> {
  const scales = new Set<string>();
  const dequantised = new Set<string>();
  for (const node of graph.nodes) {
    for (const index of quantisationInputs[node.op] ?? []) scales.add(node.inputs[index] ?? '');
    if (node.op === 'DequantizeLinear') dequantised.add(node.inputs[0]!);
  }
  const isWeight = (dtype: string, name: string): boolean =>
    /^(F|BF|I8|U8|I4|U4)/.test(dtype) || (dtype === 'I32' && dequantised.has(name));
  const parameters = checkpoint.selected.tensors.filter(
    ({ name, dtype, shape }) =>
      shape.length > 0 &&
      elementCount(shape) > 0 &&
      isWeight(dtype, name) &&
      !scales.has(name) &&
      !/_(scale|zero_point)$/.test(name),
  );
  return new Set(parameters.map(({ name }) => name));
}
