import { elementCount } from '../checkpoint/tensors';
import { at, sum } from '../domain/lists';
import { outputName, valueOf, type Graph, type GraphOutput } from '../graph/graph';
import { isView } from '../graph/operators';
import { neededNodes, producers, readBy } from '../graph/order';
import { perGraph } from '../graph/perGraph';
import { withGradients } from '../graph/rewrite/backward';
import { tapNames } from '../graph/rewrite/tapNames';
import { explainedOutput, onlyOutputs } from './explainedOutput';

const gradientsIn = (graph: Graph): readonly GraphOutput[] =>
  graph.outputs.filter(({ name }) => name.startsWith('gradient.'));

const input = (graph: Graph): string => at(graph.inputs, 0).name;

/** Gives the derivative of the explained output by the pixels alone. */
export const withPixelGradient = perGraph((graph): Graph => {
  const derived = withGradients(graph, { of: [explainedOutput(graph).value], by: [input(graph)] });
  return onlyOutputs(derived, gradientsIn(derived));
});

/** Gives the explained output, all maps, and its derivatives by the pixels and by each map. */
export const withAllGradients = perGraph((graph): Graph => {
  const output = explainedOutput(graph);
  const maps = graph.probes.map(({ value }) => value);
  const derived = withGradients(graph, { of: [output.value], by: [input(graph), ...maps] });
  return onlyOutputs(derived, [output, ...gradientsIn(derived), ...maps.map(tap)]);
});

const tap = (value: string, index: number): GraphOutput => ({
  name: tapNames.map(index),
  value,
  means: 'attention',
});

/** Gives some maps, and the derivatives of the explained output by them. */
export function withGradientsBy(graph: Graph, maps: readonly string[]): Graph {
  const derived = withGradients(graph, { of: [explainedOutput(graph).value], by: maps });
  return onlyOutputs(derived, [...gradientsIn(derived), ...maps.map(tap)]);
}

/** Gives a value of the graph, `value`, and the derivative of the explained output by it. */
export function withGradientBy(graph: Graph, value: string): Graph {
  const derived = withGradients(graph, { of: [explainedOutput(graph).value], by: [value] });
  return onlyOutputs(derived, [...gradientsIn(derived), { name: 'value', value, means: 'state' }]);
}

/** Bytes that a session with derivatives takes, beside what operators need while they run. */
export interface SessionBytes {
  /** Parameters and constants that it reads, as float32. */
  readonly weights: number;
  /** Values of the forward pass that are kept until the way back has read them. */
  readonly kept: number;
}

/**
 * What a graph with derivatives keeps. A value under another shape takes no memory of its own.
 *
 * @param forward the graph that it was made of
 */
export function sessionBytes(derived: Graph, forward: Graph): SessionBytes {
  const nodes = neededNodes(
    derived,
    derived.outputs.map(({ value }) => value),
  );
  const own = new Set(forward.nodes.map(({ name }) => name));
  const makers = producers({ nodes: nodes.filter(({ name }) => own.has(name)) });
  const base = (name: string): string => {
    const maker = makers.get(name);
    return maker && isView(maker) && outputName(maker) === name ? base(at(maker.inputs, 0)) : name;
  };
  const bytes = (name: string): number => 4 * elementCount(valueOf(derived, name).shape);
  const inputs = new Set(forward.inputs.map(({ name }) => name));
  const back = nodes.filter(({ name }) => !own.has(name)).flatMap(readBy);
  const kept = new Set(back.map(base).filter((name) => makers.has(name) || inputs.has(name)));
  const weights = new Set(nodes.flatMap(readBy).filter((name) => derived.initializers.has(name)));
  return { weights: sum([...weights].map(bytes)), kept: sum([...kept].map(bytes)) };
}
