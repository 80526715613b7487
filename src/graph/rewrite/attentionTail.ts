import { elementCount, dtypes } from '../../checkpoint/tensors';
import { at, sum } from '../../domain/lists';
import { isChannelMatrix, type Probe } from '../../domain/probes';
import { GraphBuilder } from '../builder';
import { constantIn, GraphError, int, valueOf, type Graph, type Node, type ValueInfo } from '../graph';
import { Call, operatorOf, statesShape } from '../operators';
import { everything, isEverything, selectedShape, type Place, type Selection } from '../operators/places';
import { producers, readBy } from '../order';
import { perGraph } from '../perGraph';
import { tapNames } from './tapNames';

// A map of 1370 × 1370 weights for each of 72 heads are 540 MB; the queries and keys that it is
// made of are 50 MB, and a row of it is as many products. So the run keeps the smallest values
// from which the graph's own operators make the map (the cut), and what comes after them (the
// tail) is run again for the rows that are asked for.

/** Values that a search for a cut may look at: a map is made of a dozen. */
const searchLimit = 400;

/** What is kept of a run for one map. */
export interface Cut {
  /** Names of the values that are kept, in the order in which the tail reads them. */
  readonly keep: readonly string[];
  /** Bytes of them. */
  readonly bytes: number;
}

/**
 * Names of a tail's inputs besides the kept values, int64 `[1]`: the place of a token among the
 * queries, and that of its window.
 */
export const placeNames = {
  row: (index: number): string => `attention.${index}.row`,
  window: (index: number): string => `attention.${index}.window`,
};
type Given = keyof typeof placeNames;

/**
 * The cheapest cut before a map (bytes of values and of the parameters that the tail reads
 * besides), from which one row of it can be computed without the others. Undefined if some operator
 * on the way cannot do a row alone, or if the cut is no smaller than the map.
 */
export function cheapestCut(graph: Graph, probe: Probe): Cut | undefined {
  if (isChannelMatrix(probe)) return undefined;
  const keep = [...new Search(graph).planOf(probe.value, rowOf(graph, probe)).keep];
  const bytes = sum(keep.map((name) => valueBytes(valueOf(graph, name))));
  return keep.includes(probe.value) || bytes >= valueBytes(valueOf(graph, probe.value))
    ? undefined
    : { keep, bytes };
}

/** A probe whose map is made by a tail. */
export interface CutProbe {
  readonly probe: Probe;
  readonly index: number;
  readonly keep: readonly string[];
}

/**
 * The tails of several maps as one graph: inputs are the kept values and, for each map, the place
 * of a row (and of its window); outputs `attention.N.rows` `[1, heads, 1, keys]`.
 */
export function rowsOfTails(graph: Graph, cuts: readonly CutProbe[]): Graph {
  const b = GraphBuilder.continuing(parametersOf(graph), 'tail');
  const kept = new Map<string, ValueInfo>();
  for (const { probe, index, keep } of cuts) {
    for (const name of keep)
      if (!kept.has(name))
        kept.set(name, b.input(name, valueOf(graph, name).shape, valueOf(graph, name).dtype));
    const rows = new TailWriter(graph, b, kept, index).make(probe.value, rowOf(graph, probe));
    b.output(tapNames.rows(index), rows, 'attention');
  }
  return b.build();
}

/** The tails of several maps as a graph that makes them whole: its inputs are the kept values. */
export function mapsOfTails(graph: Graph, cuts: readonly CutProbe[]): Graph {
  const keep = [...new Set(cuts.flatMap((cut) => cut.keep))];
  const kept = new Set(keep);
  return {
    ...graph,
    inputs: keep.map((name) => valueOf(graph, name)),
    outputs: [],
    nodes: graph.nodes.filter(({ outputs }) => !outputs.some((output) => kept.has(output))),
  };
}

const valueBytes = ({ dtype, shape }: ValueInfo): number => elementCount(shape) * dtypes[dtype].bytes;

/** A graph of its parameters and constants alone. */
function parametersOf(graph: Graph): Graph {
  const values = new Map([...graph.initializers.keys()].map((name) => [name, valueOf(graph, name)] as const));
  return { ...graph, inputs: [], outputs: [], nodes: [], values, probes: [], modules: new Map() };
}

/** Values made of parameters and constants alone: a bias that a table is read for. */
const fixedValues = perGraph((graph): ReadonlySet<string> => {
  const fixed = new Set(graph.initializers.keys());
  for (const node of graph.nodes)
    if (readBy(node).every((input) => fixed.has(input))) for (const output of node.outputs) fixed.add(output);
  return fixed;
});

const makersOf = perGraph(producers);

/** One row of a probe's map: a place of its queries, and of its windows. */
function rowOf(graph: Graph, probe: Probe): Selection {
  const { shape } = valueOf(graph, probe.value);
  const place = (of: Given, size: number): Place | undefined =>
    size > 1 ? { of, divisor: 1, size, width: 1 } : undefined;
  return shape.map((size, axis) => {
    if (axis === shape.length - 2) return place('row', size);
    return axis === 0 && probe.window ? place('window', size) : undefined;
  });
}

/** What a node needs of its inputs; undefined if its operator cannot do with parts of them. */
function needsOf(graph: Graph, node: Node, name: string, asked: Selection): readonly Selection[] | undefined {
  if (isEverything(asked)) return node.inputs.map(() => everything);
  const inputs = node.inputs.map((input) => (input === '' ? undefined : valueOf(graph, input)));
  const call = new Call(node, inputs, (value) => constantIn(graph.initializers, value.name));
  return operatorOf(node)?.select?.(call, valueOf(graph, name), asked);
}

/** What has to be held for a value, or a part of it: kept of the run, and read of the model. */
interface Plan {
  readonly keep: ReadonlySet<string>;
  readonly read: ReadonlySet<string>;
}

/** Looks for the cheapest cut, as far back as a part of a value can be made of parts. */
class Search {
  private readonly plans = new Map<string, Plan>();
  private looked = 0;

  constructor(private readonly graph: Graph) {}

  planOf(name: string, asked: Selection): Plan {
    const key = keyOf(name, asked);
    const plan = this.plans.get(key) ?? this.cheaper(name, asked);
    this.plans.set(key, plan);
    return plan;
  }

  private cheaper(name: string, asked: Selection): Plan {
    const { graph } = this;
    const own: Plan = fixedValues(graph).has(name)
      ? { keep: new Set(), read: new Set([name]) }
      : { keep: new Set([name]), read: new Set() };
    const node = makersOf(graph).get(name);
    if (!node || isEverything(asked) || ++this.looked > searchLimit) return own;
    const needs = needsOf(graph, node, name, asked);
    if (!needs) return own;
    const plans = node.inputs.flatMap((input, index) =>
      input === '' ? [] : [this.planOf(input, at(needs, index))],
    );
    const joined: Plan = {
      keep: new Set(plans.flatMap(({ keep }) => [...keep])),
      read: new Set(plans.flatMap(({ read }) => [...read])),
    };
    return this.bytesOf(joined) < this.bytesOf(own) ? joined : own;
  }

  private bytesOf({ keep, read }: Plan): number {
    return sum([...keep, ...read].map((name) => valueBytes(valueOf(this.graph, name))));
  }
}

/** Writes the tail of one map for a row of it. */
class TailWriter {
  private readonly made = new Map<string, ValueInfo>();
  private readonly places = new Map<string, ValueInfo>();

  constructor(
    private readonly graph: Graph,
    private readonly b: GraphBuilder,
    private readonly kept: ReadonlyMap<string, ValueInfo>,
    private readonly index: number,
  ) {}

  /** @throws GraphError where an operator behind the kept values cannot do with parts */
  make(name: string, asked: Selection): ValueInfo {
    return once(this.made, keyOf(name, asked), () => {
      const held = this.kept.get(name) ?? this.graph.initializers.get(name);
      if (held) return this.chosen(held, asked);
      return this.computed(name, asked) ?? this.chosen(this.fixed(name), asked);
    });
  }

  private fixed(name: string): ValueInfo {
    if (fixedValues(this.graph).has(name)) return this.make(name, everything);
    throw new GraphError(`no part of ${name} can be made by itself`);
  }

  private computed(name: string, asked: Selection): ValueInfo | undefined {
    const { b, graph } = this;
    const node = makersOf(graph).get(name);
    const needs = node && needsOf(graph, node, name, asked);
    if (!needs) return undefined;
    const inputs = node.inputs.map((input, index) =>
      input === '' ? undefined : this.make(input, at(needs, index)),
    );
    if (statesShape(node)) {
      const shape = b.indices(selectedShape(valueOf(graph, name).shape, asked));
      return b.add(node.op === 'Expand' ? 'Expand' : 'Reshape', [at(inputs, 0), shape]);
    }
    const { op, attributes, domain, outputs } = node;
    return at(b.addMany(op, inputs, outputs.length, attributes, { domain }), outputs.indexOf(name));
  }

  /** A part of a value: of every axis with a place, the element or block there. */
  private chosen(value: ValueInfo, asked: Selection): ValueInfo {
    const { b } = this;
    return asked.reduce((part, place, axis) => {
      if (!place) return part;
      const [before, after] = [part.shape.slice(0, axis), part.shape.slice(axis + 1)];
      const isBlock = place.width > 1;
      const from = isBlock ? b.reshape(part, [...before, place.size, place.width, ...after]) : part;
      const taken = b.add('Gather', [from, this.placeOf(place)], { axis: int(axis) });
      return isBlock ? b.reshape(taken, [...before, place.width, ...after]) : taken;
    }, value);
  }

  private placeOf({ of, divisor, size }: Place): ValueInfo {
    const { b } = this;
    const given = once(this.places, of, () => b.input(placeNames[of as Given](this.index), [1], 'I64'));
    return once(this.places, `${of} ${divisor} ${size}`, () =>
      b.add('Mod', [b.add('Div', [given, b.indices([divisor])]), b.indices([size])]),
    );
  }
}

function once<V>(known: Map<string, V>, key: string, make: () => V): V {
  const value = known.get(key) ?? make();
  known.set(key, value);
  return value;
}

const keyOf = (name: string, asked: Selection): string =>
  `${name}\n${isEverything(asked) ? '' : JSON.stringify(asked.map((place) => place ?? null))}`;
