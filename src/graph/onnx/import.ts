import { at, pushAll, sum } from '../../domain/lists';
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
import { findAttention, type FoundAttention } from '../find/attentionPattern';
import {
  int,
  ints,
  type Attribute,
  type ConstantTensor,
  type Graph,
  type GraphOutput,
  type Initializer,
  type Node,
  valueOf,
  type ValueInfo,
} from '../graph';
import { Rebatch } from './batch';
import { defaultOf } from './defaults';
import { imageInput, type Constants, type ImageInput } from './imageInput';
import { ImportError, lowerings, type Emitter } from './lowering';
import { nameOutputs } from './outputs';
import { graphLimits, TooLargeError } from '../limits';
import { neededNodes, readBy } from '../order';
import { moduleScopes } from './scopes';
import { foldNode, inferOutputs, OperatorError, operatorOf } from '../operators';
import { decode, encode, isInteger } from '../operators/constants';

export { imageInput, type ImageInput } from './imageInput';
export { ImportError } from './lowering';

/**
 * Integer initializers up to this many elements may decide shapes; floats (Resize scales,
 * exponents) are a handful.
 */
const knownLimits = { integer: 4096, float: 16 } as const;
/** Nested functions and branches: real files stay below ten; more is a cycle. */
const nestingLimit = 32;

/**
 * Values of the small stored tensors on which shapes may depend, by value name. The only data that
 * is read to understand a model. `read` gives tensors' row-major little-endian bytes.
 */
export async function readShapeConstants(
  model: OnnxModel,
  read: (tensors: readonly Tensor[]) => Promise<readonly Uint8Array[]>,
): Promise<ReadonlyMap<string, ConstantTensor>> {
  const wanted = new Map<string, Tensor>();
  for (const tensor of model.graph.initializers) if (mayDecideShape(tensor)) wanted.set(tensor.name, tensor);
  for (const nodes of [model.graph.nodes, ...model.functions.map((own) => own.nodes)])
    for (const [name, tensor] of constantNodes(nodes)) wanted.set(name, tensor);
  const bytes = await read([...wanted.values()]);
  return new Map(
    [...wanted].map(([name, { dtype, shape }], index) => [name, { dtype, shape, bytes: at(bytes, index) }]),
  );
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
export function importOnnx(model: OnnxModel, constants: Constants, options: ImportOptions): Graph {
  return importWithNotes(model, constants, options).graph;
}

/** A graph, and what was decided on the way, for people. */
export interface Imported {
  readonly graph: Graph;
  readonly notes: readonly string[];
}

/**
 * The same with notes. A number of images that the file fixes is rewritten; where that does not
 * follow from the graph, the image is given to all of its rows, and the first ones are read.
 */
export function importWithNotes(model: OnnxModel, constants: Constants, options: ImportOptions): Imported {
  const image = imageInput(model, constants);
  const fixed = image?.batch ?? 1;
  const start = (own: Partial<ImportSettings> = {}): Imported =>
    new Importer(model, constants, { ...options, image, ...own }).run();
  if (fixed <= 1 || fixed === options.batch) return start();
  const whole = start({ batch: fixed });
  const said = `a batch of ${fixed} is fixed in the file`;
  try {
    const rebatch = new Rebatch(whole.graph.values, fixed, options.batch);
    const { graph, notes } = start({ rebatch });
    return {
      graph,
      notes: [
        ...notes,
        `${said}: its shapes are rewritten to ${options.batch}, counts are those of ${options.batch === 1 ? 'one image' : `${options.batch} images`}`,
      ],
    };
  } catch (error) {
    const isRefused = error instanceof ImportError || error instanceof OperatorError;
    if (!isRefused || options.batch > fixed) throw error;
    const { graph, notes } = start({ batch: fixed, rows: options.batch });
    return {
      graph,
      notes: [
        ...notes,
        `${said} and cannot be rewritten (${error.message}): the image is given ${fixed} times, and MACs and memory are those of ${fixed} images`,
      ],
    };
  }
}

interface ImportSettings extends ImportOptions {
  readonly image: ImageInput | undefined;
  /** Rewrites a fixed number of images. */
  readonly rebatch?: Rebatch;
  /** Images that are given and read of a fixed number. */
  readonly rows?: number;
}

/** Operators that hold rows for each image in a stored operand, if the exporter repeated it. */
const joining: ReadonlySet<string> = new Set(['Concat', 'Add', 'Sub', 'Mul', 'Div', 'Where']);
/** Unknown operators that can be kept: those with graphs of their own cannot. */
const keptWhole = (node: Pick<OnnxNode, 'attributes'>): boolean =>
  !Object.values(node.attributes).some(({ type }) => type === 'graph' || type === 'graphs');
const namedAtMost = 8;

class Importer implements Emitter {
  private readonly nodes: Node[] = [];
  private readonly values = new Map<string, ValueInfo>();
  private readonly initializers = new Map<string, Initializer>();
  private readonly known = new Map<string, ConstantTensor>();
  private readonly functions: ReadonlyMap<string, OnnxFunction>;
  /** Inputs under the name that their readers use. */
  private readonly renamed = new Map<string, string>();
  /** Names in use, and the number that the next operator of that name gets. */
  private readonly names = new Map<string, number>();
  /** Characters of the names of what local functions came to. */
  private namedCharacters = 0;
  /** Numbers that were computed while it was read. */
  private foldedNumbers = 0;
  private scope = '';
  private label = '';
  private serial = 0;

  private readonly notes: string[] = [];
  private readonly statedValues: ReadonlyMap<string, OnnxValue>;
  /** Sizes of symbolic dimensions, by the file's names of them. */
  private readonly symbols = new Map<string, number>();

  constructor(
    private readonly model: OnnxModel,
    private readonly constants: Constants,
    private readonly settings: ImportSettings,
  ) {
    const { values, outputs } = model.graph;
    this.statedValues = new Map([...values, ...outputs].map((value) => [value.name, value]));
    this.functions = new Map(model.functions.map((own) => [`${own.domain}:${own.name}`, own]));
  }

  run(): Imported {
    const { graph } = this.model;
    const { image } = this.settings;
    requireExpandable(this.model, this.functions);
    for (const tensor of graph.initializers) this.addParameter(tensor);
    this.bindSymbols();
    const inputs = graph.inputs.flatMap((input) =>
      input.name === image?.name ? [this.addImage(input, image)] : this.addInput(input),
    );
    const parameters = new Set(graph.initializers.map(({ name }) => name));
    const scopes = moduleScopes(graph.nodes, (name) => parameters.has(name));
    graph.nodes.forEach((node, index) => this.write(node, at(scopes, index), 0));
    const { outputs, lost } = this.runnableOutputs(inputs);
    const { values, initializers } = this;
    const found = this.attention();
    const probes = found.map((probe) => ({ ...probe, value: this.firstRows(this.asFloat(probe.value)) }));
    const used = this.prune(inputs, outputs, lost);
    const read = new Set(this.nodes.flatMap((node) => node.outputs));
    this.noteOperators();
    return {
      graph: {
        name: graph.name,
        opsets: this.model.opsets,
        inputs: used,
        outputs,
        nodes: this.nodes,
        initializers,
        values,
        probes: probes.filter(({ value }) => read.has(value)),
        modules: new Map(),
      },
      notes: this.notes,
    };
  }

  /** Attention as it is found; none, and a note, if looking for it would take too long. */
  private attention(): readonly FoundAttention[] {
    const { nodes, values, initializers } = this;
    const softmaxes = nodes.filter(({ op }) => op === 'Softmax').length;
    try {
      if (softmaxes <= graphLimits.attentions) return findAttention({ nodes, values, initializers });
      this.notes.push(
        `${softmaxes} softmaxes: attention is looked for among ${graphLimits.attentions} at most, and none is shown`,
      );
    } catch (error) {
      if (!(error instanceof TooLargeError)) throw error;
      this.notes.push(`${error.message}: none is shown`);
    }
    return [];
  }

  /**
   * Outputs that an image is enough for; those that need another input without a default are left
   * out, if any other is there.
   */
  private runnableOutputs(inputs: readonly ValueInfo[]): {
    outputs: readonly GraphOutput[];
    lost: readonly string[];
  } {
    const given = this.model.graph.outputs.map((output) => this.outputValue(output));
    const other = new Set(inputs.map(({ name }) => name).filter((name) => name !== 'pixel_values'));
    const needs = dependants(this.nodes, other);
    const runnable = given.filter(({ name }) => !needs.has(name));
    const { image } = this.settings;
    const kept = image && runnable.length > 0 ? runnable : given;
    const { nodes, values, initializers } = this;
    const named = nameOutputs({ nodes, values, initializers }, kept, this.settings.imageSize);
    pushAll(this.notes, named.notes);
    const lost = given.filter((value) => !kept.includes(value)).map(({ name }) => name);
    if (lost.length > 0)
      this.notes.push(
        `not run: ${lost.slice(0, namedAtMost).join(', ')}, which need${lost.length > 1 ? '' : 's'} ${[...other].slice(0, namedAtMost).join(', ')}; what is counted is the part that needs the image alone`,
      );
    const outputs = named.outputs.map((output) => ({
      ...output,
      value: this.firstRows(this.asFloat(output.value)),
    }));
    return { outputs, lost };
  }

  private outputValue({ name }: OnnxValue): ValueInfo {
    const info = this.values.get(name);
    if (!info) throw new ImportError(`output ${name}: no node makes it`);
    if (this.known.has(name)) this.materialise(name);
    return info;
  }

  /**
   * Takes out the nodes of outputs that are left out, and what folding left over: initializers that
   * no node reads, and values that no node makes.
   */
  private prune(
    inputs: readonly ValueInfo[],
    outputs: readonly GraphOutput[],
    lost: readonly string[],
  ): readonly ValueInfo[] {
    if (lost.length > 0) {
      const needed = neededNodes(
        { nodes: [...this.nodes] },
        outputs.map(({ value }) => value),
      );
      this.nodes.length = 0;
      pushAll(this.nodes, needed);
    }
    const read = new Set([...this.nodes.flatMap(readBy), ...outputs.map(({ value }) => value)]);
    const used = lost.length > 0 ? inputs.filter(({ name }) => read.has(name)) : inputs;
    for (const name of this.initializers.keys()) if (!read.has(name)) this.initializers.delete(name);
    const made = new Set([...used.map(({ name }) => name), ...this.nodes.flatMap((node) => node.outputs)]);
    for (const name of this.values.keys())
      if (!made.has(name) && !this.initializers.has(name)) this.values.delete(name);
    return used;
  }

  /** Says what of the nodes is not counted, or is made for one machine. */
  private noteOperators(): void {
    if (this.nodes.some(({ domain }) => domain.endsWith('.nchwc')))
      this.notes.push('convolutions are laid out in blocks for the processor that the file was optimised on');
    const counts = new Map<string, number>();
    for (const { stated, op, domain } of this.nodes)
      if (stated)
        counts.set(domain ? `${domain}.${op}` : op, (counts.get(domain ? `${domain}.${op}` : op) ?? 0) + 1);
    if (counts.size === 0) return;
    const names = [...counts].map(([name, count]) => (count > 1 ? `${name} × ${count}` : name));
    const more = names.length > namedAtMost ? ` and ${names.length - namedAtMost} more` : '';
    this.notes.push(
      `operators that only the runtime knows are run and not counted: ${names.slice(0, namedAtMost).join(', ')}${more}; MACs are a lower bound`,
    );
  }

  /** A value's first rows, if the file's number of images is larger than what is asked. */
  private firstRows(name: string): string {
    const { rows, image, batch } = this.settings;
    const { shape } = valueOf({ values: this.values }, name);
    const [lead = 0] = shape;
    if (rows === undefined || !image || lead % batch !== 0) return name;
    this.label = name;
    const place = Array.from({ length: (lead / batch) * rows }, (_, index) => index);
    return this.add('Gather', [name, this.indices(place)], { axis: int(0) });
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
    const { name, dtype, shape } = tensor;
    const known = this.constants.get(name);
    const bytes = known && isInteger(dtype) ? { known: known.bytes } : {};
    const data = { kind: 'parameter', tensor: name, first: 0, ...bytes } as const;
    this.initializers.set(name, { name, dtype, shape, data });
    this.values.set(name, { name, dtype, shape });
    if (known) this.known.set(name, known);
  }

  private addConstant(name: string, constant: ConstantTensor): string {
    this.values.set(name, { name, dtype: constant.dtype, shape: constant.shape });
    this.known.set(name, constant);
    return name;
  }

  /** Sizes that the image decides, under the file's names for them. */
  private bindSymbols(): void {
    const { image, imageSize, batch } = this.settings;
    const [height, width] = imageSize;
    const input = this.model.graph.inputs.find(({ name }) => name === image?.name);
    const sizes = { batch, channels: image?.channels ?? 3, height, width };
    input?.shape?.forEach((size, axis) => {
      const own = image?.axes[axis];
      if (typeof size === 'string' && size !== '' && own) this.symbols.set(size, sizes[own]);
    });
  }

  /** A stated shape with sizes for its free dimensions; undefined if one is not known. */
  private sized(shape: OnnxValue['shape'], otherwise?: number): readonly number[] | undefined {
    const { rebatch, batch } = this.settings;
    const sizes = shape?.map((size, axis) => {
      if (typeof size === 'number') return axis === 0 && rebatch?.from === size ? rebatch.to : size;
      return this.symbols.get(size) ?? (axis === 0 && otherwise !== undefined ? batch : otherwise);
    });
    return sizes?.every((size) => size !== undefined) ? sizes : undefined;
  }

  private addInput(input: OnnxValue): readonly ValueInfo[] {
    const { name, dtype } = input;
    const shape = this.sized(input.shape, 1);
    if (!dtype || !shape) throw new ImportError(`input ${name}: no tensor of a stated shape`);
    const value = this.settings.image && defaultOf(name, dtype);
    const info: ValueInfo = { name, dtype, shape };
    this.values.set(name, info);
    if (value === undefined) return [info];
    this.addConstant(name, encode(dtype, shape, new Float64Array(elementCount(shape)).fill(value)));
    this.notes.push(`input ${name} is left at ${value}: nothing else is known of it`);
    return [];
  }

  /**
   * Images come as float32 `[batch, channels, height, width]` under one name, whatever the exporter
   * called, typed and ordered them.
   */
  private addImage(input: OnnxValue, image: ImageInput): ValueInfo {
    const { imageSize, batch, rows } = this.settings;
    const [height, width] = imageSize;
    if ((image.height ?? height) !== height || (image.width ?? width) !== width)
      throw new ImportError(
        `input ${input.name}: ${imageSize.join('×')} pixels asked for, the file fixes ${image.height ?? 'any'}×${image.width ?? 'any'}`,
      );
    const fixed = image.batch === 1 ? 1 : batch;
    const pixels: ValueInfo = {
      name: 'pixel_values',
      dtype: 'F32',
      shape: [rows ?? fixed, image.channels, ...imageSize],
    };
    this.values.set(pixels.name, pixels);
    this.label = pixels.name;
    let value = pixels.name;
    if (rows !== undefined) {
      const place = Array.from({ length: batch }, (_, index) => Math.min(index, rows - 1));
      value = this.add('Gather', [value, this.indices(place)], { axis: int(0) });
    }
    if (image.dtype !== 'F32') value = this.add('Cast', [value], { to: int(dtypes[image.dtype].onnx) });
    if (image.axes.at(-1) === 'channels')
      value = this.add('Transpose', [value], { perm: ints([0, 2, 3, 1]) });
    if (image.axes.length === 3)
      value = this.add('Reshape', [value, this.indices(this.info(value)?.shape.slice(1) ?? [])]);
    if (value !== input.name) this.renamed.set(input.name, value);
    return pixels;
  }

  /** A float32 form of a value, for whoever looks at it. */
  private asFloat(name: string): string {
    const { dtype } = valueOf({ values: this.values }, name);
    const maker =
      dtype === 'U8' || dtype === 'I8' ? this.nodes.find(({ outputs }) => outputs.includes(name)) : undefined;
    if (maker?.op === 'QLinearSoftmax') {
      this.label = name;
      return this.add('DequantizeLinear', [name, ...maker.inputs.slice(3, 5)]);
    }
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
    const lower = Object.hasOwn(lowerings, `${domain}:${op}`) ? lowerings[`${domain}:${op}`] : undefined;
    // A use of a fused operator that has no plain form is kept whole, and not counted.
    if (!lower || lower(fused, this) !== undefined) this.emit(fused, keptWhole(node));
  }

  /** What an operator makes that is not known: as the file states it, else like its first input. */
  private stated(node: Pick<Node, 'inputs' | 'outputs'>): readonly Pick<ValueInfo, 'dtype' | 'shape'>[] {
    const [first = { dtype: 'F32', shape: [] } as const] = node.inputs.flatMap(
      (name) => this.info(name) ?? [],
    );
    return node.outputs.map((name) => {
      const value = this.statedValues.get(name);
      return { dtype: value?.dtype ?? first.dtype, shape: this.sized(value?.shape) ?? first.shape };
    });
  }

  private callFunction(node: OnnxNode, own: OnnxFunction, scope: string, nesting: number): void {
    const prefix = `${this.label}/${this.serial++}/`;
    this.namedCharacters += prefix.length * own.nodes.length;
    if (this.namedCharacters > graphLimits.expandedCharacters)
      throw new ImportError(
        `${node.opType}: names of what local functions come to have more than ${graphLimits.expandedCharacters} characters`,
      );
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

  private emit(node: Omit<Node, 'name' | 'scope'>, mayStay = false): void {
    const sources = node.inputs.map((name) => this.renamed.get(name) ?? name);
    const unique = { ...node, inputs: sources, name: this.unique(this.label), scope: this.scope };
    const own = operatorOf(node) || !mayStay ? unique : { ...unique, stated: this.stated(unique) };
    const named = this.rebatched(own);
    const inputs = named.inputs.map((name) => (name === '' ? undefined : this.resolve(name, named)));
    const constantOf = (value: ValueInfo): ConstantTensor | undefined => this.known.get(value.name);
    const folded = this.mayFold(named.inputs) ? this.folded(named, inputs) : undefined;
    if (folded)
      return node.outputs.forEach((name, index) => name && this.addConstant(name, at(folded, index)));
    inferOutputs(named, inputs, constantOf).forEach((info, index) => {
      const name = node.outputs[index];
      if (name) this.values.set(name, { ...info, name });
    });
    const made = node.outputs.flatMap((name) => this.values.get(name) ?? []);
    this.settings.rebatch?.require(named, inputs, made);
    for (const name of named.inputs) this.materialise(name);
    if (this.nodes.length >= graphLimits.nodes)
      throw new ImportError(`the graph has more than ${graphLimits.nodes} operators`);
    this.nodes.push(named);
  }

  /** What a node makes of constants alone; undefined if all nodes together come to too much. */
  private folded(
    node: Node,
    inputs: readonly (ValueInfo | undefined)[],
  ): readonly ConstantTensor[] | undefined {
    const known = inputs.flatMap((value) => (value && this.known.get(value.name)) ?? []);
    const read = sum(known.map(({ shape }) => elementCount(shape)));
    const left = graphLimits.foldedNumbers - this.foldedNumbers - read;
    if (left < 0) return undefined;
    const folded = foldNode(node, inputs, (value) => this.known.get(value.name), left);
    if (folded) this.foldedNumbers += read + sum(folded.map(({ shape }) => elementCount(shape)));
    return folded;
  }

  /** The node for another number of images than the file fixes. */
  private rebatched(node: Node): Node {
    const { rebatch } = this.settings;
    if (!rebatch) return node;
    if (joining.has(node.op)) return this.withRows(node, rebatch);
    const place = node.op === 'Resize' ? 3 : 1;
    const [input, told] = [node.inputs[0] ?? '', node.inputs[place] ?? ''].map((name) =>
      this.values.get(name),
    );
    const values = told && this.known.get(told.name);
    const wanted = values && input && decode(values);
    const shape = wanted && rebatch.told(node, input, Array.from(wanted));
    return shape ? { ...node, inputs: node.inputs.with(place, this.indices(shape)) } : node;
  }

  /** Stored operands that an exporter repeated for each image get as many rows as are asked for. */
  private withRows(node: Node, rebatch: Rebatch): Node {
    const infos = node.inputs.map((name) => this.values.get(name));
    const inputs = node.inputs.map((name, index) => {
      const info = infos[index];
      const others = infos.filter((_, place) => place !== index);
      const isStored = this.initializers.has(name) || this.known.has(name);
      return info && isStored && rebatch.isPerImage(info, others) ? this.rowsOf(info, rebatch.to) : name;
    });
    return { ...node, inputs };
  }

  private rowsOf(info: ValueInfo, rows: number): string {
    const shape = [rows, ...info.shape.slice(1)];
    const name = `${info.name}/rows`;
    if (rows > (info.shape[0] ?? 0))
      throw new ImportError(`${info.name}: it holds rows of ${info.shape[0]} images`);
    const stored = this.initializers.get(info.name);
    const known = this.known.get(info.name);
    if (known) {
      const bytes = known.bytes.slice(0, (known.bytes.length / (info.shape[0] ?? 1)) * rows);
      return this.addConstant(name, { dtype: info.dtype, shape, bytes });
    }
    if (!stored) throw new ImportError(`${info.name}: it is not stored`);
    this.values.set(name, { ...info, name, shape });
    this.initializers.set(name, { name, dtype: info.dtype, shape, data: stored.data });
    return name;
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
    let count = this.names.get(name) ?? 0;
    let unique = count === 0 ? name : `${name}_${count}`;
    while (count > 0 && this.names.has(unique)) unique = `${name}_${++count}`;
    this.names.set(name, count + 1);
    if (unique !== name) this.names.set(unique, 1);
    return unique;
  }
}

/**
 * Throws `ImportError` if local functions come to more operators than the limit where they are
 * called, branches included; before any is written.
 */
function requireExpandable({ graph }: OnnxModel, functions: ReadonlyMap<string, OnnxFunction>): void {
  const counted = new Map<OnnxFunction, number>();
  const countOf = (nodes: readonly OnnxNode[], nesting: number): number => {
    let count = 0;
    for (const node of nodes) {
      const own = functions.get(`${node.domain}:${node.opType}`);
      if (own) count += own.nodes.length + ofFunction(own, nesting + 1);
      for (const branch of branchesOf(node)) count += countOf(branch.nodes, nesting + 1);
    }
    return count;
  };
  const ofFunction = (own: OnnxFunction, nesting: number): number => {
    // One that calls itself is refused for its nesting when it is written.
    const known = nesting > nestingLimit ? 0 : counted.get(own);
    if (known !== undefined) return known;
    const count = countOf(own.nodes, nesting);
    counted.set(own, count);
    return count;
  };
  const count = functions.size === 0 ? 0 : countOf(graph.nodes, 0);
  if (count > graphLimits.expandedNodes)
    throw new ImportError(
      `local functions come to ${count} operators where they are called; at most ${graphLimits.expandedNodes} are written`,
    );
}

/** Values that depend on the given ones. */
function dependants(nodes: readonly Node[], on: Iterable<string>): ReadonlySet<string> {
  const found = new Set(on);
  for (const node of nodes)
    if (node.inputs.some((name) => found.has(name))) for (const output of node.outputs) found.add(output);
  return found;
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
