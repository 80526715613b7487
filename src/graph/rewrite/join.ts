import type { Probe } from '../../domain/probes';
import type { ConstantTensor, Graph, Initializer, ValueInfo } from '../graph';
import { valueOf } from '../graph';

/**
 * Two graphs as one that runs the second behind the first: its inputs that are called as outputs of
 * the first are fed by them, others of the first's inputs' names are the same. All other names of
 * the second begin with `scope`.
 *
 * @returns the graph with the outputs and probes of the second added to those of the first
 */
export function joined(first: Graph, second: Graph, scope: string): Graph {
  const fed = new Map(first.outputs.map(({ name, value }) => [name, value]));
  const known = new Set(first.inputs.map(({ name }) => name));
  const own = new Map(
    second.inputs.map(({ name }) => [name, fed.get(name) ?? (known.has(name) ? name : `${scope}${name}`)]),
  );
  const rename = (name: string): string => (name === '' ? '' : (own.get(name) ?? `${scope}${name}`));
  const renamed = <T extends ValueInfo>(value: T): T => ({ ...value, name: rename(value.name) });
  return {
    ...first,
    inputs: [
      ...first.inputs,
      ...second.inputs.filter(({ name }) => !fed.has(name) && !known.has(name)).map(renamed),
    ],
    outputs: [
      ...first.outputs,
      ...second.outputs.map((output) => ({ ...output, value: rename(output.value) })),
    ],
    nodes: [
      ...first.nodes,
      ...second.nodes.map((node) => ({
        ...node,
        name: `${scope}${node.name}`,
        inputs: node.inputs.map(rename),
        outputs: node.outputs.map(rename),
      })),
    ],
    initializers: new Map([
      ...first.initializers,
      ...[...second.initializers.values()].map((own): [string, Initializer] => [
        rename(own.name),
        renamed(own),
      ]),
    ]),
    // What feeds the second is described by the first.
    values: new Map([...[...second.values.values()].map(renamed).map(named), ...first.values]),
    probes: [...first.probes, ...second.probes.map((probe) => renamedProbe(probe, rename))],
    modules: new Map([...second.modules, ...first.modules]),
  };
}

const named = (value: ValueInfo): [string, ValueInfo] => [value.name, value];

const renamedProbe = (probe: Probe, rename: (name: string) => string): Probe => ({
  ...probe,
  value: rename(probe.value),
  ...(probe.places !== undefined && { places: rename(probe.places) }),
});

/** The graph with some of its inputs given once and for all. */
export function withGiven(graph: Graph, given: ReadonlyMap<string, ConstantTensor>): Graph {
  const constants = graph.inputs.flatMap(({ name }): [string, Initializer][] => {
    const constant = given.get(name);
    if (!constant) return [];
    return [[name, { ...valueOf(graph, name), data: { kind: 'constant', bytes: constant.bytes } }]];
  });
  return {
    ...graph,
    inputs: graph.inputs.filter(({ name }) => !given.has(name)),
    initializers: new Map([...graph.initializers, ...constants]),
  };
}
