import { at } from '../../domain/lists';
import type { Size } from '../../domain/size';
import { dtypes, elementCount, type DType, type Tensor } from '../../checkpoint/tensors';
import type {
  OnnxAttribute,
  OnnxFunction,
  OnnxGraph,
  OnnxModel,
  OnnxNode,
  OnnxValue,
} from '../../checkpoint/formats/onnxModel';
import { findAttention } from '../find/attentionPattern';
import {
  int,
  type Attribute,
  type ConstantTensor,
  type Graph,
  type GraphOutput,
  type OutputMeaning,
  type Initializer,
  type Node,
  valueOf,
  type ValueInfo,
} from '../graph';
import { ImportError, lowerings, type Emitter } from './lowering';
import { readBy } from '../order';
import { moduleScopes } from './scopes';
import { foldNode, inferOutputs, OperatorError } from '../operators';
import { encode, isInteger } from '../operators/constants';

export { ImportError } from './lowering';

/**
 * Integer initializers up to this many elements may decide shapes; floats (Resize scales,
 * exponents) are a handful.
 */
const knownLimits = { integer: 4096, float: 16 } as const;
/** Nested functions and branches: real files stay below ten; more is a cycle. */
const nestingLimit = 32;

/**
 * The image input of an .onnx file: `[batch, 3, height, width]`, sizes as far as the file fixes
 * them.
 */
export interface ImageInput {
  readonly name: string;
  readonly dtype: DType;
  /** Undefined if the file leaves the size open. */
  readonly height?: number;
  readonly width?: number;
}

/** The input that takes images: rank 4, floating point, three channels in front. */
export function imageInput(model: OnnxModel): ImageInput | undefined {
  for (const { name, dtype, shape } of model.graph.inputs) {
    const [, channels] = shape ?? [];
    const takesImages = shape?.length === 4 && (channels === 3 || typeof channels === 'string');
    if (!takesImages || (dtype !== 'F32' && dtype !== 'F16')) continue;
    const [height, width] = shape.slice(2).map((size) => (typeof size === 'number' ? size : undefined));
    return { name, dtype, height, width };
  }
  return undefined;
}

/**
 * Values of the small stored tensors on which shapes may depend, by value name. The only data that
 * is read to understand a model. `read` gives a tensor's row-major little-endian bytes.
 */
export async function readShapeConstants(
  model: OnnxModel,
  read: (tensor: Tensor) => Promise<Uint8Array>,
): Promise<ReadonlyMap<string, ConstantTensor>> {
  const wanted = new Map<string, Tensor>();
  for (const tensor of model.graph.initializers) if (mayDecideShape(tensor)) wanted.set(tensor.name, tensor);
  for (const nodes of [model.graph.nodes, ...model.functions.map((own) => own.nodes)])
    for (const [name, tensor] of constantNodes(nodes)) wanted.set(name, tensor);
  const entries = [...wanted].map(async ([name, tensor]) => {
    const constant: ConstantTensor = { dtype: tensor.dtype, shape: tensor.shape, bytes: await read(tensor) };
    return [name, constant] as const;
  });
  return new Map(await Promise.all(entries));
}

function mayDecideShape({ dtype, shape }: Tensor): boolean {
  const limit = isInteger(dtype) || dtype === 'BOOL' ? knownLimits.integer : knownLimits.float;
  return elementCount(shape) <= limit;
}

/**
 * Tensors written into nodes (Constant, ConstantOfShape), by the name of the node's output;
 * initializers of branches.
 */
function* constantNodes(nodes: readonly OnnxNode[]): Iterable<readonly [string, Tensor]> {
  for (const node of nodes) {
    const value = node.attributes['value'];
    if (value?.type === 'tensor') yield [node.outputs[0] ?? '', value.value];
    for (const graph of branchesOf(node)) {
      for (const tensor of graph.initializers) yield [tensor.name, tensor];
      yield* constantNodes(graph.nodes);
    }
  }
}

const branchesOf = (node: OnnxNode): readonly OnnxGraph[] =>
  Object.values(node.attributes).flatMap((attribute) =>
    attribute.type === 'graph' ? [attribute.value] : [],
  );

export interface ImportOptions {
  readonly imageSize: Size;
  readonly batch: number;
}

/**
 * An .onnx file as a `Graph` of concrete shapes: shape arithmetic is computed, functions and
 * decided branches are written out, fused attention is lowered to plain operators, and attention is
 * found by its pattern. Throws `ImportError` or `OperatorError` naming the node where the file
 * holds something that is not known.
 */
export function importOnnx(
  model: OnnxModel,
  constants: ReadonlyMap<string, ConstantTensor>,
  options: ImportOptions,
): Graph {
  return new Importer(model, constants).run(options);
}

/** What an output is, by the names of its exporter if they are known ones, else by its axes. */
function meaningOf(name: string, shape: readonly number[]): OutputMeaning {
  if (name === 'logits' || name === 'features' || name === 'tokens') return name;
  if (shape.length === 3) return 'tokens';
  return shape.length === 2 ? 'features' : 'maps';
}

/**
 * Published names of outputs and ours; a single matrix `[batch, n]` of another name is taken for
 * logits.
 */
const outputNames: Readonly<Record<string, string>> = {
  last_hidden_state: 'tokens',
  pooler_output: 'features',
};

class Importer implements Emitter {
  private readonly nodes: Node[] = [];
  private readonly values = new Map<string, ValueInfo>();
  private readonly initializers = new Map<string, Initializer>();
  private readonly known = new Map<string, ConstantTensor>();
  private readonly functions: ReadonlyMap<string, OnnxFunction>;
  /** Inputs under the name that their readers use. */
  private readonly renamed = new Map<string, string>();
  private readonly names = new Set<string>();
  private scope = '';
  private label = '';
  private serial = 0;

  constructor(
    private readonly model: OnnxModel,
    private readonly constants: ReadonlyMap<string, ConstantTensor>,
  ) {
    this.functions = new Map(model.functions.map((own) => [`${own.domain}:${own.name}`, own]));
  }

  run(options: ImportOptions): Graph {
    const { graph } = this.model;
    for (const tensor of graph.initializers) this.addParameter(tensor);
    const image = imageInput(this.model);
    const inputs = graph.inputs.map((input) => this.addInput(input, image, options));
    const parameters = new Set(graph.initializers.map(({ name }) => name));
    const scopes = moduleScopes(graph.nodes, (name) => parameters.has(name));
    graph.nodes.forEach((node, index) => this.write(node, at(scopes, index), 0));
    const outputs = graph.outputs.map((output) => this.addOutput(output));
    const { nodes, values, initializers } = this;
    const found = findAttention({ nodes, values, initializers });
    const probes = found.map((probe) => ({ ...probe, value: this.asFloat(probe.value) }));
    this.dropUnused(inputs, outputs);
    return {
      name: graph.name,
      opsets: this.model.opsets,
      inputs,
      outputs,
      nodes,
      initializers,
      values,
      probes,
      modules: new Map(),
    };
  }

  /**
   * Takes out what folding left over: initializers that no node reads, and values that no node
   * makes.
   */
  private dropUnused(inputs: readonly ValueInfo[], outputs: readonly GraphOutput[]): void {
    const read = new Set([...this.nodes.flatMap(readBy), ...outputs.map(({ value }) => value)]);
    for (const name of this.initializers.keys()) if (!read.has(name)) this.initializers.delete(name);
    const made = new Set([...inputs.map(({ name }) => name), ...this.nodes.flatMap((node) => node.outputs)]);
    for (const name of this.values.keys())
      if (!made.has(name) && !this.initializers.has(name)) this.values.delete(name);
  }

  info(name: string): ValueInfo | undefined {
    return this.values.get(this.renamed.get(name) ?? name);
  }

  add(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    output = this.fresh(op),
  ): string {
    this.emit({ op, domain: '', inputs, outputs: [output], attributes });
    return output;
  }

  split(input: string, parts: number, axis: number): readonly string[] {
    const { shape } = this.info(input) ?? fail(`${input} of a Split is made by no node`);
    const size = (shape.at(axis) ?? 1) / parts;
    const outputs = Array.from({ length: parts }, () => this.fresh('Split'));
    const sizes = Array<number>(parts).fill(size);
    // Operator sets before 13 take the sizes as an attribute.
    const old = (this.model.opsets[''] ?? 13) < 13;
    const attributes: Record<string, Attribute> = { axis: int(axis < 0 ? axis + shape.length : axis) };
    if (old) attributes['split'] = { type: 'ints', value: sizes };
    this.emit({
      op: 'Split',
      domain: '',
      inputs: old ? [input] : [input, this.indices(sizes)],
      outputs,
      attributes,
    });
    return outputs;
  }

  indices(values: readonly number[]): string {
    return this.addConstant(this.fresh('indices'), encode('I64', [values.length], values));
  }

  scalar(value: number, dtype: DType): string {
    const name = this.addConstant(this.fresh('scalar'), encode('F32', [], [value]));
    return dtype === 'F32' ? name : this.add('Cast', [name], { to: int(dtypes[dtype].onnx) });
  }

  private fresh(word: string): string {
    return `${this.label}/${word}_${this.serial++}`;
  }

  private addParameter(tensor: Tensor): void {
    const data = { kind: 'parameter', tensor: tensor.name, first: 0 } as const;
    const { name, dtype, shape } = tensor;
    this.initializers.set(name, { name, dtype, shape, data });
    this.values.set(name, { name, dtype, shape });
    const known = this.constants.get(name);
    if (known) this.known.set(name, known);
  }

  private addConstant(name: string, constant: ConstantTensor): string {
    this.values.set(name, { name, dtype: constant.dtype, shape: constant.shape });
    this.known.set(name, constant);
    return name;
  }

  private addInput(input: OnnxValue, image: ImageInput | undefined, options: ImportOptions): ValueInfo {
    if (!input.dtype || !input.shape)
      throw new ImportError(`input ${input.name}: no tensor of a stated shape`);
    const isImage = input.name === image?.name;
    const defaults = isImage ? [options.batch, 3, ...options.imageSize] : [options.batch];
    const shape = input.shape.map((size, axis) => (typeof size === 'number' ? size : (defaults[axis] ?? 1)));
    if (isImage && (shape[2] !== options.imageSize[0] || shape[3] !== options.imageSize[1]))
      throw new ImportError(
        `input ${input.name}: ${options.imageSize.join('×')} pixels asked for, the file fixes ${shape[2]}×${shape[3]}`,
      );
    const info: ValueInfo = { name: input.name, dtype: input.dtype, shape };
    this.values.set(input.name, info);
    if (!isImage) return info;
    // Images come as float32 under one name, whatever the exporter called and typed them.
    const pixels: ValueInfo = { name: 'pixel_values', dtype: 'F32', shape };
    this.values.set(pixels.name, pixels);
    this.label = pixels.name;
    const half =
      input.dtype !== 'F32' && this.add('Cast', [pixels.name], { to: int(dtypes[input.dtype].onnx) });
    this.renamed.set(input.name, half || pixels.name);
    return pixels;
  }

  private addOutput(output: OnnxValue): GraphOutput {
    const info = this.values.get(output.name);
    if (!info) throw new ImportError(`output ${output.name}: no node makes it`);
    if (this.known.has(output.name)) this.materialise(output.name);
    const matrices = this.model.graph.outputs.filter(({ name }) => this.values.get(name)?.shape.length === 2);
    const single = matrices.length === 1 && this.model.graph.outputs.length === 1;
    const name = outputNames[output.name] ?? (single && info.shape.length === 2 ? 'logits' : output.name);
    return { name, value: this.asFloat(output.name), means: meaningOf(name, info.shape) };
  }

  /** A float32 form of a value, for whoever looks at it. */
  private asFloat(name: string): string {
    const { dtype } = valueOf({ values: this.values }, name);
    if (!['F16', 'BF16', 'F64'].includes(dtype)) return name;
    this.label = name;
    return this.add('Cast', [name], { to: int(dtypes.F32.onnx) });
  }

  private write(node: OnnxNode, scope: string, nesting: number): void {
    if (nesting > nestingLimit)
      throw new ImportError(`${node.name} (${node.opType}): nested more than ${nestingLimit} deep`);
    this.scope = scope;
    this.label = node.name || `${scope}/${node.opType}`;
    const own = this.functions.get(`${node.domain}:${node.opType}`);
    if (own) return this.callFunction(node, own, scope, nesting);
    if (node.opType === 'If') return this.writeBranch(node, scope, nesting);
    const constant = node.opType === 'Constant' ? this.constants.get(node.outputs[0] ?? '') : undefined;
    const { opType: op, domain, inputs, outputs } = node;
    if (constant) return void this.addConstant(outputs[0] ?? '', constant);
    const fused = { op, domain, inputs, outputs, attributes: this.attributesOf(node) };
    const reason = lowerings[`${domain}:${op}`]?.(fused, this);
    if (reason !== undefined)
      throw new ImportError(`${this.label} (${op}): ${reason} has no plain form here`);
    if (!(`${domain}:${op}` in lowerings)) this.emit(fused);
  }

  private callFunction(node: OnnxNode, own: OnnxFunction, scope: string, nesting: number): void {
    const prefix = `${this.label}/${this.serial++}/`;
    const bound = new Map<string, string>([['', '']]);
    own.inputs.forEach((name, index) => bound.set(name, node.inputs[index] ?? ''));
    own.outputs.forEach((name, index) => bound.set(name, node.outputs[index] || `${prefix}${name}`));
    const rename = (name: string): string => bound.get(name) ?? `${prefix}${name}`;
    for (const inner of own.nodes) {
      const constant = this.constants.get(inner.outputs[0] ?? '');
      const outputs = inner.outputs.map(rename);
      if (inner.opType === 'Constant' && constant) {
        this.addConstant(outputs[0] ?? '', constant);
        continue;
      }
      const attributes = resolveReferences(inner.attributes, node.attributes);
      this.write(
        { ...inner, name: `${prefix}${inner.name}`, inputs: inner.inputs.map(rename), outputs, attributes },
        scope,
        nesting + 1,
      );
    }
  }

  /**
   * A branch that is decided by shapes is written out; one that depends on the image is not known.
   */
  private writeBranch(node: OnnxNode, scope: string, nesting: number): void {
    const condition = this.known.get(node.inputs[0] ?? '');
    if (!condition)
      throw new ImportError(`${this.label} (If): the condition is only known when the model runs`);
    const branch = node.attributes[condition.bytes[0] ? 'then_branch' : 'else_branch'];
    if (branch?.type !== 'graph') throw new ImportError(`${this.label} (If): a branch is missing`);
    for (const { name } of branch.value.initializers) {
      const value = this.constants.get(name);
      if (value) this.addConstant(name, value);
    }
    for (const inner of branch.value.nodes) this.write(inner, scope, nesting + 1);
    this.scope = scope;
    branch.value.outputs.forEach(({ name }, index) => this.add('Identity', [name], {}, node.outputs[index]));
  }

  /**
   * Attributes as the graph holds them; kinds a tensor operator never has (graphs, sequences) are
   * left out.
   */
  private attributesOf(node: OnnxNode): Readonly<Record<string, Attribute>> {
    const entries = Object.entries(node.attributes).flatMap(([name, attribute]) => {
      const tensor = name === 'value' ? this.constants.get(node.outputs[0] ?? '') : undefined;
      const plain = tensor ? ({ type: 'tensor', value: tensor } as const) : plainAttribute(attribute);
      return plain ? [[name, plain] as const] : [];
    });
    return Object.fromEntries(entries);
  }

  private emit(node: Omit<Node, 'name' | 'scope'>): void {
    const sources = node.inputs.map((name) => this.renamed.get(name) ?? name);
    const named: Node = { ...node, inputs: sources, name: this.unique(this.label), scope: this.scope };
    const inputs = sources.map((name) => (name === '' ? undefined : this.resolve(name, named)));
    const constantOf = (value: ValueInfo): ConstantTensor | undefined => this.known.get(value.name);
    const folded = this.mayFold(sources) ? foldNode(named, inputs, constantOf) : undefined;
    if (folded)
      return node.outputs.forEach((name, index) => name && this.addConstant(name, at(folded, index)));
    inferOutputs(named, inputs, constantOf).forEach((info, index) => {
      const name = node.outputs[index];
      if (name) this.values.set(name, { ...info, name });
    });
    for (const name of sources) this.materialise(name);
    this.nodes.push(named);
  }

  private resolve(name: string, node: Node): ValueInfo {
    const value = this.values.get(name);
    if (!value) throw new OperatorError(node, [], `input ${name} is made by no node`);
    return value;
  }

  /** Weights stay parameters: only shape arithmetic and scalars are computed here. */
  private mayFold(inputs: readonly string[]): boolean {
    return !inputs.some((name) => {
      const initializer = this.initializers.get(name);
      return (
        initializer?.data.kind === 'parameter' &&
        !isInteger(initializer.dtype) &&
        initializer.shape.length > 0
      );
    });
  }

  /** A computed constant that a node reads becomes an initializer. */
  private materialise(name: string): void {
    const constant = this.known.get(name);
    if (!constant || this.initializers.has(name)) return;
    const data = { kind: 'constant', bytes: constant.bytes } as const;
    this.initializers.set(name, { name, dtype: constant.dtype, shape: constant.shape, data });
  }

  private unique(name: string): string {
    let unique = name;
    for (let count = 1; this.names.has(unique); count++) unique = `${name}_${count}`;
    this.names.add(unique);
    return unique;
  }
}

function fail(detail: string): never {
  throw new ImportError(detail);
}

function plainAttribute(attribute: OnnxAttribute): Attribute | undefined {
  switch (attribute.type) {
    case 'int':
      return { type: 'int', value: Number(attribute.value) };
    case 'ints':
      return { type: 'ints', value: attribute.value.map(Number) };
    case 'float':
    case 'floats':
    case 'string':
    case 'strings':
      return attribute;
    case 'tensor':
    case 'tensors':
    case 'graph':
    case 'graphs':
    case 'reference':
    case 'other':
      return undefined;
  }
}

function resolveReferences(
  own: Readonly<Record<string, OnnxAttribute>>,
  caller: Readonly<Record<string, OnnxAttribute>>,
): Readonly<Record<string, OnnxAttribute>> {
  const entries = Object.entries(own).flatMap(([name, attribute]) => {
    const value = attribute.type === 'reference' ? caller[attribute.value] : attribute;
    return value ? [[name, value] as const] : [];
  });
  return Object.fromEntries(entries);
}
