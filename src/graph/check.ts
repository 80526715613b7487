import { dtypes, elementCount, type Tensor } from '../checkpoint/tensors';
import { product } from '../domain/lists';
import { tokenCount } from '../domain/probes';
import { constantIn, GraphError, type ConstantTensor, type Graph, type Node, type ValueInfo } from './graph';
import { inferOutputs, type OutputInfo } from './operators';
import { readBy } from './order';

/** What a graph is checked against besides itself. */
export interface Sources {
  /**
   * Tensors of the checkpoint, of which parameters are ranges. Ranges are not checked without it.
   */
  readonly tensors?: readonly Tensor[];
  /** Values of stored tensors that decide shapes (of an .onnx file). */
  readonly constants?: ReadonlyMap<string, ConstantTensor>;
}

/**
 * Whether a graph is legal: operators known and in execution order, every value made once and
 * before it is read, types and shapes those that the operators make, stored bytes and ranges of the
 * right size, nothing stored that is not read and nothing named that is not there. Throws
 * `GraphError` naming the node or value that breaks a rule.
 *
 * Runs in tests after every build and rewrite, not in the product: it costs as much as the build.
 */
export function check(graph: Graph, sources: Sources = {}): void {
  checkOpsets(graph);
  checkInitializers(graph, sources);
  checkNodes(graph, sources);
  checkOutputs(graph);
  checkUses(graph);
  checkProbes(graph);
  checkModules(graph);
}

function fail(what: string, detail: string): never {
  throw new GraphError(`${what}: ${detail}`);
}

const called = ({ name, op }: Node): string => `${name} (${op})`;
const written = ({ dtype, shape }: OutputInfo): string => `${dtype} [${shape.join(', ')}]`;

/** Names that occur twice are an error of what they name. */
function checkUnique(names: Iterable<string>, what: string): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) fail(name, `${what} of this name is not the only one`);
    seen.add(name);
  }
}

function checkOpsets({ opsets, nodes }: Graph): void {
  for (const [domain, version] of Object.entries(opsets))
    if (!Number.isInteger(version) || version < 1) fail(domain || 'ai.onnx', `operator set ${version}`);
  for (const node of nodes)
    if (!(node.domain in opsets) && !(node.domain === 'ai.onnx' && '' in opsets))
      fail(called(node), `no operator set of ${node.domain || 'ai.onnx'} is named`);
}

function checkInitializers({ initializers }: Graph, { tensors }: Sources): void {
  const stored = new Map(tensors?.map((tensor) => [tensor.name, tensor]));
  for (const [name, { data, ...value }] of initializers) {
    if (name !== value.name) fail(name, `stored under the name of ${value.name}`);
    const count = elementCount(value.shape);
    if (data.kind === 'constant') {
      const bytes = Math.ceil(count * dtypes[value.dtype].bytes);
      if (data.bytes.length !== bytes) fail(name, `${data.bytes.length} bytes for ${written(value)}`);
    } else if (tensors) {
      const tensor = stored.get(data.tensor) ?? fail(name, `${data.tensor} is not in the checkpoint`);
      const isInside = data.first >= 0 && data.first + count <= elementCount(tensor.shape);
      if (!isInside || tensor.dtype !== value.dtype)
        fail(name, `${written(value)} from element ${data.first} on is no range of ${written(tensor)}`);
    }
  }
}

/** Follows the nodes in their order, from what is there at the start. */
function checkNodes(graph: Graph, { constants }: Sources): void {
  const { values, initializers } = graph;
  checkUnique(
    graph.nodes.map(({ name }) => name),
    'a node',
  );
  checkUnique([...graph.inputs.map(({ name }) => name), ...initializers.keys()], 'an input or initializer');
  const known = new Map<string, ValueInfo>();
  const declare = (what: string, { name, dtype, shape }: ValueInfo): void => {
    const stated = values.get(name) ?? fail(what, `${name} is not among the values`);
    if (known.has(name)) fail(what, `${name} is made twice`);
    if (name !== stated.name || written(stated) !== written({ dtype, shape }))
      fail(what, `${name} is ${written({ dtype, shape })}, not ${written(stated)}`);
    if (!shape.every((size) => Number.isInteger(size) && size >= 0)) fail(what, `${name} has no whole sizes`);
    known.set(name, stated);
  };
  for (const input of graph.inputs) declare(input.name, input);
  for (const initializer of initializers.values()) declare(initializer.name, initializer);
  const constantOf = ({ name }: ValueInfo): ConstantTensor | undefined =>
    constantIn(initializers, name) ?? (initializers.has(name) ? constants?.get(name) : undefined);
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((name) =>
      name === '' ? undefined : (known.get(name) ?? fail(called(node), `${name} is read before it is made`)),
    );
    const made = inferOutputs(node, inputs, constantOf);
    node.outputs.forEach((name, index) => {
      const info = made[index] ?? fail(called(node), `it makes ${made.length} outputs, not ${name}`);
      if (name !== '') declare(called(node), { name, ...info });
    });
  }
  for (const name of values.keys()) if (!known.has(name)) fail(name, 'a value that nothing makes');
}

function checkOutputs({ outputs, values }: Graph): void {
  checkUnique(
    outputs.map(({ name }) => name),
    'an output',
  );
  for (const { name, value } of outputs)
    if (!values.has(value)) fail(name, `its value ${value} is not there`);
}

/** What is stored is read, or leaves the graph. */
function checkUses({ nodes, initializers, outputs }: Graph): void {
  const read = new Set([...nodes.flatMap(readBy), ...outputs.map(({ value }) => value)]);
  for (const name of initializers.keys()) if (!read.has(name)) fail(name, 'no node reads it');
}

/**
 * A map `[batch · windows, heads, queries, keys]` has the heads and tokens that its probe says:
 * those of a window, or those of all windows. Foreign graphs may leave out the batch.
 */
function checkProbes({ probes, values, inputs }: Graph): void {
  const batch = inputs[0]?.shape[0] ?? 1;
  for (const { value, layer, heads, queries, keys, window } of probes) {
    const { shape } = values.get(value) ?? fail(layer, `the attention map ${value} is not there`);
    const [ownHeads = 0, ...sides] = shape.slice(-3);
    const windows = window ? product(shape.slice(0, -3)) / batch : 1;
    const tokens = [tokenCount(queries), tokenCount(keys)];
    const fits = sides.every((side, index) => [side, side * windows].includes(tokens[index] ?? 0));
    if (shape.length < 3 || ownHeads !== heads || !fits)
      fail(layer, `${heads} heads of ${tokens.join(' × ')} tokens are not [${shape.join(', ')}]`);
  }
}

/**
 * Notes name modules in which nodes stand. Layers of probes bear the file's names, not the graph's.
 */
function checkModules({ nodes, modules }: Graph): void {
  const paths = new Set(['']);
  for (const { scope } of nodes) {
    const parts = scope.split('.');
    for (let length = parts.length; length > 0; length--) paths.add(parts.slice(0, length).join('.'));
  }
  for (const path of modules.keys()) if (!paths.has(path)) fail(path, 'no node stands in this module');
}
