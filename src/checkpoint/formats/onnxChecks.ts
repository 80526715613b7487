import type { ByteSource } from '../byteSource';
import { CheckpointError } from '../errors';
import { limits } from '../limits';
import type { OnnxFunction, OnnxGraph, OnnxModel, OnnxNode } from './onnxModel';
import { onnxAttributeTypes, onnxOperators } from './onnxOperators';
import { elementCount, type Tensor } from '../tensors';

/** The newest versions that are known (onnx 1.21); a newer file is read, with a warning. */
const newestIr = 13;
const newestOpset = 26;

/** Domains with operators of published runtimes and exporters. */
const knownDomains = /^$|^ai\.onnx\.|^com\.microsoft(\.|$)|^com\.ms\.internal/;
const maxNamed = 8;

/**
 * Checks a model's structure as onnx.checker does (SSA, topological order, no recursion) and gives
 * warnings about what a runtime may not know. Throws `CheckpointError` of kind `malformed`.
 */
export async function checkOnnxModel(source: ByteSource, model: OnnxModel): Promise<string[]> {
  const refuse = (detail: string) => new CheckpointError('malformed', source.path, detail);
  if (Object.keys(model.opsets).length === 0)
    throw refuse('the model has no opset_import: the meaning of its operators is not known');
  checkRecursion(model.functions, refuse);
  checkGraph(model.graph, new Scope(), refuse);
  return [
    ...versionWarnings(model),
    ...inputWarnings(model.graph),
    ...operatorWarnings(model),
    ...(await sizeWarnings(source, model.graph, refuse)),
  ];
}

type Refuse = (detail: string) => CheckpointError;

/** Names that a node may read: of its own graph and of those around it. */
class Scope {
  private readonly names = new Set<string>();

  constructor(private readonly outer?: Scope) {}

  has(name: string): boolean {
    return this.names.has(name) || (this.outer?.has(name) ?? false);
  }

  /** False if this graph has the name already. */
  add(name: string): boolean {
    return this.names.size !== this.names.add(name).size;
  }
}

function checkGraph(graph: OnnxGraph, scope: Scope, refuse: Refuse): void {
  for (const { name } of [...graph.inputs, ...graph.initializers])
    if (!scope.add(name))
      throw refuse(`the name ${name} is given twice to inputs or initializers of graph ${graph.name}`);
  for (const node of graph.nodes) checkNode(node, graph, scope, refuse);
  for (const { name } of graph.outputs)
    if (!scope.has(name)) throw refuse(`the graph's output ${name} is produced by no node`);
}

function checkNode(node: OnnxNode, graph: OnnxGraph, scope: Scope, refuse: Refuse): void {
  const missing = node.inputs.find((input) => input !== '' && !scope.has(input));
  if (missing !== undefined) throw refuse(missingInput(node, missing, graph));
  checkSignature(node, refuse);
  for (const attribute of Object.values(node.attributes)) {
    const inner =
      attribute.type === 'graph' ? [attribute.value] : attribute.type === 'graphs' ? attribute.value : [];
    for (const subgraph of inner) checkGraph(subgraph, new Scope(scope), refuse);
  }
  const repeated = node.outputs.find((output) => output !== '' && !scope.add(output));
  if (repeated !== undefined)
    throw refuse(
      `${shownNode(node)} produces ${repeated}, which another node, input or initializer is already`,
    );
}

function missingInput(node: OnnxNode, input: string, graph: OnnxGraph): string {
  const producer = graph.nodes.find((other) => other.outputs.includes(input));
  return producer
    ? `${shownNode(node)} reads ${input}, which ${shownNode(producer)} produces only later: nodes must be in topological order, without a cycle`
    : `${shownNode(node)} reads ${input}, which no node, input or initializer gives`;
}

function checkSignature(node: OnnxNode, refuse: Refuse): void {
  if (node.domain !== '') return;
  const least = onnxOperators.get(node.opType) ?? 0;
  if (node.inputs.length < least)
    throw refuse(`${shownNode(node)} has ${node.inputs.length} inputs, at least ${least} are needed`);
  for (const [name, { type }] of Object.entries(node.attributes)) {
    const expected = onnxAttributeTypes.get(name);
    if (expected !== undefined && type !== expected && type !== 'reference')
      throw refuse(`attribute ${name} of ${shownNode(node)} is of type ${type}, ${expected} is allowed`);
  }
}

function checkRecursion(functions: readonly OnnxFunction[], refuse: Refuse): void {
  const calls = new Map(functions.map((called) => [keyOf(called.domain, called.name), called]));
  const finished = new Set<string>();
  const visit = (key: string, path: readonly string[]): void => {
    if (path.includes(key))
      throw refuse(`the local function ${key} calls itself (recursion: ${[...path, key].join(' -> ')})`);
    if (finished.has(key)) return;
    if (path.length >= limits.onnxFunctionDepth)
      throw refuse(`local functions call one another more than ${limits.onnxFunctionDepth} levels deep`);
    for (const node of calls.get(key)?.nodes ?? []) {
      const inner = keyOf(node.domain, node.opType);
      if (calls.has(inner)) visit(inner, [...path, key]);
    }
    finished.add(key);
  };
  for (const key of calls.keys()) visit(key, []);
}

function versionWarnings({ irVersion, opsets }: OnnxModel): string[] {
  const opset = opsets[''] ?? 0;
  return [
    ...(irVersion > newestIr
      ? [`IR version ${irVersion} is newer than ${newestIr}, the newest known; it may be read wrongly`]
      : []),
    ...(opset > newestOpset
      ? [`opset ${opset} is newer than ${newestOpset}, the newest known; operators may mean something else`]
      : []),
  ];
}

function inputWarnings({ inputs }: OnnxGraph): string[] {
  const others = inputs.filter((input) => input.dtype === undefined).map((input) => input.name);
  return others.length > 0
    ? [
        `inputs whose type is no tensor of numbers, a model with them cannot run here: ${others.slice(0, maxNamed).join(', ')}`,
      ]
    : [];
}

function operatorWarnings({ graph, functions }: OnnxModel): string[] {
  const local = new Set(functions.map(({ domain, name }) => keyOf(domain, name)));
  const unknown = new Set<string>();
  for (const node of allNodes(graph)) {
    const key = keyOf(node.domain, node.opType);
    const isKnown = node.domain === '' ? onnxOperators.has(node.opType) : knownDomains.test(node.domain);
    if (!isKnown && !local.has(key)) unknown.add(key);
  }
  const names = [...unknown];
  return names.length > 0
    ? [
        `operators that are not known, a model with them may not run: ${names.slice(0, maxNamed).join(', ')}${names.length > maxNamed ? ` and ${names.length - maxNamed} more` : ''}`,
      ]
    : [];
}

function* allNodes(graph: OnnxGraph): Generator<OnnxNode> {
  for (const node of graph.nodes) {
    yield node;
    for (const attribute of Object.values(node.attributes)) {
      if (attribute.type === 'graph') yield* allNodes(attribute.value);
      else if (attribute.type === 'graphs') for (const inner of attribute.value) yield* allNodes(inner);
    }
  }
}

/**
 * Elements that a node makes out of a few numbers; `undefined` if the file does not decide it.
 */
type Made = (
  numbers: readonly (readonly number[] | undefined)[],
  elements: readonly (number | undefined)[],
) => number | undefined;

const makers: Readonly<Record<string, Made>> = {
  ConstantOfShape: ([shape]) => shape && elementCount(shape),
  Expand: ([, shape], [elements = 1]) => shape && Math.max(elements, elementCount(shape)),
  Tile: ([, repeats], [elements]) =>
    repeats && elements !== undefined ? elements * elementCount(repeats) : undefined,
  Range: (numbers) => {
    const [start, limit, delta] = numbers.map((given) => given?.[0]);
    if (start === undefined || limit === undefined || delta === undefined) return undefined;
    return Math.max(0, Math.ceil((limit - start) / delta));
  },
};

/** Warns of values that would not fit into memory: a file of 200 bytes can ask for 16 EB. */
async function sizeWarnings(source: ByteSource, graph: OnnxGraph, refuse: Refuse): Promise<string[]> {
  if (!graph.nodes.some((node) => node.domain === '' && Object.hasOwn(makers, node.opType))) return [];
  const stored = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  const elements = new Map<string, number>(
    graph.initializers.map((tensor) => [tensor.name, elementCount(tensor.shape)]),
  );
  const warnings: string[] = [];
  for (const node of graph.nodes) {
    const make = node.domain === '' && Object.hasOwn(makers, node.opType) ? makers[node.opType] : undefined;
    if (!make) continue;
    const numbers = await Promise.all(node.inputs.map((input) => readSmall(source, stored.get(input))));
    if (node.opType === 'Range' && numbers[2]?.[0] === 0)
      throw refuse(`${shownNode(node)} has a step of 0 and never ends`);
    const made = make(
      numbers,
      node.inputs.map((input) => elements.get(input)),
    );
    if (made === undefined) continue;
    for (const output of node.outputs) elements.set(output, made);
    if (made > limits.onnxMadeElements && warnings.length < maxNamed)
      warnings.push(
        `${shownNode(node)} makes a value of ${made} elements: too large to fold or to run (at most ${limits.onnxMadeElements})`,
      );
  }
  return warnings;
}

const smallElements = 64;

/** The values of a small integer initializer that lies in the model's own file or is inline. */
async function readSmall(
  source: ByteSource,
  tensor: Tensor | undefined,
): Promise<readonly number[] | undefined> {
  const storage = tensor?.storage;
  if (!storage || tensor.dtype !== 'I64' || elementCount(tensor.shape) > smallElements) return undefined;
  if (storage.kind === 'file' && storage.file !== source.file) return undefined;
  const bytes = storage.kind === 'inline' ? storage.bytes : await source.read(storage.offset, storage.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 8 }, (_, index) => Number(view.getBigInt64(index * 8, true)));
}

function keyOf(domain: string, name: string): string {
  return domain === '' ? name : `${domain}.${name}`;
}

function shownNode(node: OnnxNode): string {
  return `node ${node.name || node.outputs[0] || ''} (${keyOf(node.domain, node.opType)})`;
}
