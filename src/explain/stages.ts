import { elementCount } from '../checkpoint/tensors';
import { blocksOf } from '../analysis/blocks';
import { isWithin } from '../analysis/work';
import { at, sum } from '../domain/lists';
import type { Graph, Initializer, Node } from '../graph/graph';
import { operatorOf } from '../graph/operators';
import { readBy } from '../graph/order';
import { readersOf } from '../graph/find/headOutputs';

/** A range of a stored tensor as the graph reads it. */
export interface StoredRange {
  /** Name of the value that holds it as float32. */
  readonly value: string;
  readonly first: number;
  readonly count: number;
}

/** A stored tensor, and all ranges of it that are read. */
export interface StoredTensor {
  readonly name: string;
  readonly ranges: readonly StoredRange[];
}

/** A block, or what stands in front of the first one or behind the last. */
export interface Stage {
  readonly path: string;
  readonly tensors: readonly StoredTensor[];
}

const isWeighing = (node: Node): boolean => ['product', 'conv'].includes(operatorOf(node)?.kind ?? '');

/** The module around the blocks' lists that a scope lies in: `head` of `head.fc`. */
function moduleOutside(scope: string, blocks: readonly string[]): string {
  const parts = scope.split('.');
  const lengths = parts.map((_, index) => index + 1);
  const length = lengths.find((count) => {
    const path = parts.slice(0, count).join('.');
    return !blocks.some((block) => isWithin(block, path));
  });
  return parts.slice(0, length ?? parts.length).join('.');
}

/** A parameter as float32: itself, or what it is converted to; undefined of another type. */
function asFloat(graph: Graph, { name, dtype }: Initializer): string | undefined {
  if (dtype === 'F32') return name;
  const cast = (readersOf(graph).get(name) ?? []).find(({ op }) => op === 'Cast');
  return cast && graph.values.get(at(cast.outputs, 0))?.dtype === 'F32' ? at(cast.outputs, 0) : undefined;
}

/** Adds a range that a node reads to its tensor. */
function bring(tensors: Map<string, StoredRange[]>, graph: Graph, initializer: Initializer): void {
  const value = asFloat(graph, initializer);
  if (value === undefined || initializer.data.kind !== 'parameter') return;
  const { tensor, first } = initializer.data;
  const ranges = tensors.get(tensor) ?? [];
  if (!ranges.some((range) => range.value === value))
    ranges.push({ value, first, count: elementCount(initializer.shape) });
  tensors.set(tensor, ranges);
}

/**
 * The modules of a model from its head to its first convolution, each with the parameters that it
 * reads, in the order in which they are read. Norms that stand by themselves, special tokens and
 * tables of positions are in none.
 */
export function stagesOf(graph: Graph): readonly Stage[] {
  const blocks = blocksOf(graph).map(({ path }) => path);
  const stages = new Map<string, { readonly tensors: Map<string, StoredRange[]>; weighs: boolean }>();
  for (const node of graph.nodes) {
    const block = blocks.find((path) => isWithin(node.scope, path));
    const path = block ?? moduleOutside(node.scope, blocks);
    if (path === '') continue;
    const stage = stages.get(path) ?? { tensors: new Map<string, StoredRange[]>(), weighs: false };
    stages.set(path, stage);
    stage.weighs ||= isWeighing(node);
    for (const input of readBy(node)) {
      const initializer = graph.initializers.get(input);
      if (initializer) bring(stage.tensors, graph, initializer);
    }
  }
  return [...stages]
    .filter(([, { weighs, tensors }]) => weighs && tensors.size > 0)
    .map(([path, { tensors }]) => ({
      path,
      tensors: [...tensors].map(([name, ranges]) => ({ name, ranges })),
    }))
    .reverse();
}

/** Numbers of all parameters of stages. */
export const parameterCount = (stages: readonly Stage[]): number =>
  sum(stages.flatMap(({ tensors }) => tensors.flatMap(({ ranges }) => ranges.map(({ count }) => count))));
