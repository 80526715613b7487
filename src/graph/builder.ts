import { dtypes, elementCount, type DType, type Derivation } from '../checkpoint/tensors';
import {
  constantIn,
  float,
  int,
  ints,
  type Attribute,
  type ConstantTensor,
  type Graph,
  type GraphOutput,
  type Initializer,
  type ModuleNote,
  type Node,
  outputName,
  type OutputMeaning,
  type ValueInfo,
} from './graph';
import { at, last, pushAll } from '../domain/lists';
import { derivedValue } from './derived';
import { graphLimits, TooLargeError } from './limits';
import { inferOutputs } from './operators';
import type { Probe } from '../domain/probes';
import type { Reduction, Writer } from './writer';

/** How a canonical parameter is found in the checkpoint. */
export interface ParameterView {
  /** Name in the checkpoint. */
  readonly tensor: string;
  readonly dtype: DType;
  /**
   * Shape of the range as it lies in the file (a reshape costs nothing: the runtime only sees
   * bytes).
   */
  readonly stored: readonly number[];
  /** First element of the range inside the tensor: stacked blocks, fused q/k/v. */
  readonly first: number;
  /**
   * Axes of the stored range in canonical order, if the file keeps another one (JAX `[in, out]`,
   * HWIO).
   */
  readonly permutation?: readonly number[];
  /** The range is one of a tensor that is computed from several. */
  readonly derived?: Derivation;
}

/**
 * Canonical parameter names (timm's, `blocks.0.attn.qkv.weight`) looked up in a checkpoint of any
 * dialect.
 */
export interface ParameterSource {
  find(name: string): ParameterView | undefined;
}

/** A family asked for a parameter the checkpoint does not hold, or one of another shape. */
export class ParameterError extends Error {
  constructor(
    readonly parameter: string,
    detail: string,
  ) {
    super(`${parameter}: ${detail}`);
    this.name = 'ParameterError';
  }
}

/** A number of heads that does not divide the width that they share. */
export class HeadsError extends ParameterError {
  constructor(
    parameter: string,
    readonly heads: number,
    width: number,
  ) {
    super(parameter, `${heads} heads found; a number that divides the width ${width} is needed`);
    this.name = 'HeadsError';
  }
}

/** Canonical shape of a view: the stored one with its axes permuted. */
export function viewShape(view: ParameterView): readonly number[] {
  return view.permutation ? view.permutation.map((axis) => at(view.stored, axis)) : view.stored;
}

export interface AttentionOptions {
  /** Factor of the scores, or one per head `[heads, 1, 1]`; 1/√d unless a family says otherwise. */
  readonly scale?: number | ValueInfo;
  /**
   * Added to the scaled scores before the softmax, one after the other (relative position bias,
   * mask).
   */
  readonly bias?: ValueInfo | readonly ValueInfo[];
  /** What the map is, for whoever draws it. */
  readonly probe: Omit<Probe, 'value' | 'heads'>;
}

/** A parameter in a shape. */
interface Read {
  readonly shape: readonly number[];
  readonly value: ValueInfo;
}

/** Operator set of ai.onnx that new graphs are written in. */
const newestSet = 20;
/** Since these a reduction takes its axes as an input (ONNX Changelog.md). */
const axesAsInput: Readonly<Record<Reduction, number>> = { ReduceMean: 18, ReduceSum: 13, ReduceMax: 18 };

/**
 * Writes a `Graph` operator by operator. Names are relative to the current scope, as in the
 * checkpoint: inside `scope('blocks.0', …)`, `linear(x, 'mlp.fc1')` reads `blocks.0.mlp.fc1.weight`
 * and makes a node of that name. Every mistake fails at once with the parameter or operator it is
 * about.
 */
export class GraphBuilder implements Writer {
  private readonly nodes: Node[] = [];
  private readonly inputs: ValueInfo[] = [];
  private readonly outputs: GraphOutput[] = [];
  private readonly initializers = new Map<string, Initializer>();
  private readonly values = new Map<string, ValueInfo>();
  private readonly probes: Probe[] = [];
  private readonly modules = new Map<string, ModuleNote>();
  /** Names in use, and how many things asked for each. */
  private readonly names = new Map<string, number>();
  /** What was read of each parameter, in the shapes that it was asked for in. */
  private readonly parameters = new Map<string, Read[]>();
  private readonly common = new Map<string, unknown>();
  private constantBytes = 0;
  private path = '';
  /** Where what modules share is written. */
  private root = '';
  /** What is written makes a parameter. */
  private atLoad = false;
  private opsets: Graph['opsets'] = { '': newestSet };

  constructor(
    private readonly name: string,
    private readonly source: ParameterSource,
  ) {}

  /** Goes on with a copy of a finished graph. All new names begin with `scope`. */
  static continuing(graph: Graph, scope: string): GraphBuilder {
    const b = new GraphBuilder(graph.name, { find: () => undefined });
    b.opsets = graph.opsets;
    pushAll(b.inputs, graph.inputs);
    pushAll(b.outputs, graph.outputs);
    pushAll(b.probes, graph.probes);
    for (const node of graph.nodes) {
      b.nodes.push(node);
      b.names.set(node.name, 1);
    }
    for (const [name, value] of graph.values) {
      b.values.set(name, value);
      b.names.set(name, 1);
    }
    for (const [name, initializer] of graph.initializers) b.initializers.set(name, initializer);
    for (const [path, note] of graph.modules) b.modules.set(path, note);
    b.root = scope;
    b.path = scope;
    return b;
  }

  /** Runs `write` with `name` appended to the module path. */
  scope<T>(name: string, write: () => T, note?: ModuleNote): T {
    const outer = this.path;
    this.path = this.resolve(name);
    // Nothing else that a caller's object may hold: a graph is sent to another process.
    if (note) this.modules.set(this.path, { title: note.title, formula: note.formula });
    try {
      return write();
    } finally {
      this.path = outer;
    }
  }

  /** Operator set of ai.onnx that is written. */
  get operatorSet(): number {
    return this.opsets[''] ?? newestSet;
  }

  /** Current module path. */
  get scopePath(): string {
    return this.path;
  }

  input(name: string, shape: readonly number[], dtype: DType = 'F32'): ValueInfo {
    const value = this.declare({ name, dtype, shape });
    this.inputs.push(value);
    return value;
  }

  output(name: string, value: ValueInfo, means: OutputMeaning): void {
    this.outputs.push({ name, value: value.name, means });
  }

  /** Whether the checkpoint holds the parameter. */
  has(name: string): boolean {
    return this.source.find(this.resolve(name)) !== undefined;
  }

  /** Canonical shape of a parameter. Throws `ParameterError` if there is none. */
  shapeOf(name: string): readonly number[] {
    return viewShape(this.view(this.resolve(name)));
  }

  /**
   * A parameter as a float32 value of its canonical shape, or of `shape` (same number of elements).
   * Other stored types pass through a Cast, other axis orders through a Transpose; the runtime
   * folds both when it loads the graph.
   */
  parameter(name: string, shape?: readonly number[]): ValueInfo {
    const path = this.resolve(name);
    return this.parameterAt(path, this.view(path), shape);
  }

  /** A parameter by its whole path. */
  private parameterAt(path: string, view: ParameterView, shape?: readonly number[]): ValueInfo {
    const { permutation, stored } = view;
    if (!permutation) return this.stored(path, view, shape ?? stored);
    const canonical = this.transpose(this.stored(path, view, stored), permutation);
    return shape ? this.reshape(canonical, shape) : canonical;
  }

  /**
   * One operator with one output. Its name is the current scope's plus the operator, or
   * `options.name` relative to the scope: a module of its own, unless it begins with a slash.
   */
  add(
    op: string,
    inputs: readonly (ValueInfo | undefined)[],
    attributes: Readonly<Record<string, Attribute>> = {},
    options: { name?: string; domain?: string } = {},
  ): ValueInfo {
    return at(this.addMany(op, inputs, 1, attributes, options), 0);
  }

  /** One operator with `count` outputs (Split). */
  addMany(
    op: string,
    inputs: readonly (ValueInfo | undefined)[],
    count: number,
    attributes: Readonly<Record<string, Attribute>> = {},
    options: { name?: string; domain?: string } = {},
  ): readonly ValueInfo[] {
    const named = this.resolve(options.name ?? `/${op}`);
    const name = this.unique(named);
    const isModule = options.name !== undefined && !options.name.startsWith('/');
    const node: Node = {
      name,
      scope: isModule ? named : this.path,
      op,
      domain: options.domain ?? '',
      inputs: inputs.map((input) => input?.name ?? ''),
      outputs:
        count === 1 ? [`${name}:out`] : Array.from({ length: count }, (_, index) => `${name}:out${index}`),
      attributes,
      ...(this.atLoad && { atLoad: true as const }),
    };
    if (this.nodes.length >= graphLimits.nodes)
      throw new TooLargeError(`its graph would have more than ${graphLimits.nodes} operators`);
    const inferred = inferOutputs(node, inputs, this.constantOf);
    this.nodes.push(node);
    return inferred.map(({ dtype, shape }, index) =>
      this.declare({ name: outputName(node, index), dtype, shape }),
    );
  }

  /** A constant the family computed. */
  constant(name: string, dtype: DType, shape: readonly number[], data: ArrayBufferView): ValueInfo {
    this.constantBytes += data.byteLength;
    if (this.constantBytes > graphLimits.constantBytes)
      throw new TooLargeError(
        `its tables would have more than ${graphLimits.constantBytes} bytes; a smaller image size needs fewer`,
      );
    const given = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    // A part of something larger would keep all of it.
    const bytes = given.length === data.buffer.byteLength ? given : given.slice();
    if (bytes.length !== elementCount(shape) * dtypes[dtype].bytes)
      throw new Error(
        `${this.resolve(name)}: ${bytes.length} bytes given for ${dtype} [${shape.join(', ')}]`,
      );
    const unique = this.unique(this.resolve(name));
    this.initializers.set(unique, { name: unique, dtype, shape, data: { kind: 'constant', bytes } });
    return this.declare({ name: unique, dtype, shape });
  }

  /**
   * What modules of one kind have in common (the mask of a stage's windows): made once, outside of
   * any module.
   */
  shared<T = ValueInfo>(key: string, make: () => T): T {
    if (this.common.has(key)) return this.common.get(key) as T;
    const outer = this.path;
    this.path = this.root;
    try {
      const value = make();
      this.common.set(key, value);
      return value;
    } finally {
      this.path = outer;
    }
  }

  /**
   * int64 vector, for shapes, axes and indices; written once, as hundreds of operators have the
   * same ones.
   */
  indices(values: readonly number[]): ValueInfo {
    if (!values.every(Number.isInteger))
      throw new ParameterError(
        this.lastParameter?.name ?? this.path,
        `sizes that divide evenly needed; they come to ${values.map((side) => Number(side.toFixed(2))).join(' × ')}`,
      );
    return this.shared(`indices ${values.join(' ')}`, () =>
      this.constant('/indices', 'I64', [values.length], BigInt64Array.from(values.map(BigInt))),
    );
  }

  /**
   * Width of each of so many heads. Throws `HeadsError` if they do not divide the whole, by the
   * name of the parameter that has this width, else of the last one.
   */
  headWidth(width: number, heads: number, name?: string): number {
    if (width % heads === 0) return width / heads;
    const own = name === undefined ? this.lastParameter?.name : this.resolve(name);
    throw new HeadsError(own ?? this.path, heads, width);
  }

  /** float32 scalar, written once. */
  scalar(value: number): ValueInfo {
    return this.shared(`scalar ${value}`, () => this.constant('/scalar', 'F32', [], Float32Array.of(value)));
  }

  reshape(x: ValueInfo, shape: readonly number[]): ValueInfo {
    return this.add('Reshape', [x, this.indices(shape)]);
  }

  transpose(x: ValueInfo, perm: readonly number[]): ValueInfo {
    return this.add('Transpose', [x], { perm: ints(perm) });
  }

  /** Mean over one axis, which stays with size 1 or goes. */
  mean(x: ValueInfo, axis: number, keep = true): ValueInfo {
    return this.reduce('ReduceMean', x, [axis], keep);
  }

  /** A reduction over axes, which stay with size 1 or go. */
  reduce(op: Reduction, x: ValueInfo, axes: readonly number[], keep = true): ValueInfo {
    const keepdims = int(keep ? 1 : 0);
    return this.operatorSet < axesAsInput[op]
      ? this.add(op, [x], { axes: ints(axes), keepdims })
      : this.add(op, [x, this.indices(axes)], { keepdims });
  }

  concat(values: readonly ValueInfo[], axis: number): ValueInfo {
    return values.length === 1 ? at(values, 0) : this.add('Concat', values, { axis: int(axis) });
  }

  /** `count` equal parts along `axis`, or parts of the given sizes. */
  split(x: ValueInfo, parts: number | readonly number[], axis: number): readonly ValueInfo[] {
    const sizes = typeof parts === 'number' ? Array<number>(parts).fill(at(x.shape, axis) / parts) : parts;
    return this.addMany('Split', [x, this.indices(sizes)], sizes.length, { axis: int(axis) });
  }

  /** Elements `start … end` along one axis. */
  slice(x: ValueInfo, axis: number, start: number, end: number): ValueInfo {
    return this.add('Slice', [x, this.indices([start]), this.indices([end]), this.indices([axis])]);
  }

  /**
   * y = x·Wᵀ + b over the last axis of a 2-D `x` `[rows, in]`, W = `<name>.weight` `[out, in]`, b =
   * `<name>.bias` if it is stored. Gemm with transB reads the weights as PyTorch stores them:
   * nothing is transposed or copied when the graph is loaded.
   */
  linear(x: ValueInfo, name: string, options: { bias?: boolean } = {}): ValueInfo {
    const path = this.resolve(`${name}.weight`);
    const view = this.view(path);
    const [out, width, ...rest] = viewShape(view);
    if (out === undefined || width === undefined || rest.length > 0 || width !== x.shape.at(-1))
      throw new ParameterError(
        path,
        `shape [${viewShape(view).join(', ')}] found, [*, ${x.shape.at(-1)}] needed`,
      );
    const transposed = view.permutation?.length === 2;
    const weight = this.stored(path, view, transposed ? [width, out] : [out, width]);
    const bias = options.bias !== false ? this.given(`${name}.bias`, [out]) : undefined;
    return this.add('Gemm', [x, weight, bias], { transB: int(transposed ? 0 : 1) }, { name });
  }

  /**
   * LayerNorm over the last axis (Ba et al. 2016); scale and bias from `<name>.weight` / `.bias`, a
   * bias of zeros if none is stored. Throws `ParameterError` without a scale: no library here has a
   * norm without one, so that it has got lost.
   */
  layerNorm(x: ValueInfo, name: string, epsilon: number): ValueInfo {
    const width = last(x.shape);
    const scale = this.parameter(`${name}.weight`, [width]);
    // Without a bias onnxruntime 1.30 ends the whole process when it optimises the graph.
    const bias =
      this.given(`${name}.bias`, [width]) ??
      this.constant(`${name}/zeros`, 'F32', [width], new Float32Array(width));
    return this.add(
      'LayerNormalization',
      [x, scale, bias],
      { axis: int(-1), epsilon: float(epsilon) },
      { name },
    );
  }

  /**
   * RMSNorm over the last axis (Zhang & Sennrich 2019): x / √(mean(x²) + ε) · weight. Written in
   * plain operators, which every provider has.
   */
  rmsNorm(x: ValueInfo, name: string, epsilon: number): ValueInfo {
    return this.scope(name, () => {
      const mean = this.mean(this.add('Mul', [x, x]), -1);
      const norm = this.add('Div', [x, this.add('Sqrt', [this.add('Add', [mean, this.scalar(epsilon)])])]);
      return this.has('weight') ? this.add('Mul', [norm, this.parameter('weight', [last(x.shape)])]) : norm;
    });
  }

  /**
   * Convolution of `[batch, channels, height, width]` with `<name>.weight` `[out, in / groups,
   * kernel, kernel]`.
   */
  conv2d(
    x: ValueInfo,
    name: string,
    options: {
      stride?: number | readonly number[];
      padding?: number | readonly number[];
      groups?: number;
      dilation?: number;
      /** The kernel's shape, if it is stored with more axes. */
      shape?: readonly number[];
    } = {},
  ): ValueInfo {
    const weight = this.parameter(`${name}.weight`, options.shape);
    const bias = this.given(`${name}.bias`, [at(weight.shape, 0)]);
    const pair = (value: number | readonly number[] | undefined, otherwise: number): readonly number[] =>
      typeof value === 'object' ? value : [value ?? otherwise, value ?? otherwise];
    const padding = pair(options.padding, 0);
    return this.add(
      'Conv',
      [x, weight, bias],
      {
        kernel_shape: ints(weight.shape.slice(2)),
        strides: ints(pair(options.stride, 1)),
        pads: ints([...padding, ...padding]),
        dilations: ints(pair(options.dilation, 1)),
        group: int(options.groups ?? 1),
      },
      { name },
    );
  }

  /**
   * softmax(q·kᵀ·scale + bias)·v (Vaswani et al. 2017, §3.2.1) for `[batch, heads, tokens, d]`
   * operands, and its map as a probe. Plain operators, not a fused one: every provider has them,
   * and the map can be looked at.
   */
  attention(q: ValueInfo, k: ValueInfo, v: ValueInfo, options: AttentionOptions): ValueInfo {
    const { scale = 1 / Math.sqrt(last(q.shape)), bias = [] } = options;
    const factor = typeof scale === 'number' ? this.scalar(scale) : scale;
    const keys = this.transpose(k, [0, 1, 3, 2]);
    const products = this.add('MatMul', [q, keys], {}, { name: '/scores' });
    const scores = [bias]
      .flat()
      .reduce<ValueInfo>((sum, each) => this.add('Add', [sum, each]), this.add('Mul', [products, factor]));
    const map = this.add('Softmax', [scores], { axis: int(-1) });
    this.probe(map, options.probe);
    return this.add('MatMul', [map, v], {}, { name: '/mix' });
  }

  /** Declares that `map` `[batch, heads, queries, keys]` is an attention map. */
  probe(map: ValueInfo, probe: Omit<Probe, 'value' | 'heads'>): void {
    this.probes.push({ ...probe, value: map.name, heads: at(map.shape, 1) });
  }

  build(): Graph {
    return {
      name: this.name,
      opsets: this.opsets,
      inputs: this.inputs,
      outputs: this.outputs,
      nodes: this.nodes,
      initializers: this.initializers,
      values: this.values,
      probes: this.probes,
      modules: this.modules,
    };
  }

  /** The parameter that was read last: where a graph cannot go on, it is near to the reason. */
  get lastParameter(): Initializer | undefined {
    return [...this.initializers.values()].findLast(({ data }) => data.kind === 'parameter');
  }

  private resolve(name: string): string {
    return this.path === '' || name.startsWith('/') ? `${this.path}${name}` : `${this.path}.${name}`;
  }

  private unique(name: string): string {
    let count = this.names.get(name);
    if (count === undefined) {
      this.names.set(name, 1);
      return name;
    }
    let unique = `${name}_${count++}`;
    while (this.names.has(unique)) unique = `${name}_${count++}`;
    this.names.set(unique, 1);
    this.names.set(name, count);
    return unique;
  }

  /** A parameter if the checkpoint holds it. */
  private given(name: string, shape: readonly number[]): ValueInfo | undefined {
    const path = this.resolve(name);
    const view = this.source.find(path);
    return view && this.parameterAt(path, view, shape);
  }

  /** View of a parameter by its whole path. */
  private view(path: string): ParameterView {
    const view = this.source.find(path);
    if (!view) throw new ParameterError(path, 'not in the checkpoint');
    return view;
  }

  /**
   * The stored range as a float32 value; one initializer per (parameter, shape), however often it
   * is read.
   */
  private stored(path: string, view: ParameterView, shape: readonly number[]): ValueInfo {
    if (elementCount(shape) !== elementCount(view.stored))
      throw new ParameterError(path, `shape [${view.stored.join(', ')}] found, [${shape.join(', ')}] needed`);
    const shapes = this.parameters.get(path);
    const isShaped = (known: Read): boolean =>
      known.shape.length === shape.length && known.shape.every((side, axis) => side === shape[axis]);
    const known = shapes?.find(isShaped);
    if (known) return known.value;
    const value = view.derived
      ? this.rangeOf(this.derivedFrom(view.derived), view, shape)
      : this.read(path, view.tensor, view.first, view.dtype, shape);
    if (shapes) shapes.push({ shape, value });
    else this.parameters.set(path, [{ shape, value }]);
    return value;
  }

  /** A range of a tensor of the file as float32. */
  private read(
    path: string,
    tensor: string,
    first: number,
    dtype: DType,
    shape: readonly number[],
  ): ValueInfo {
    const unique = this.unique(path);
    this.initializers.set(unique, {
      name: unique,
      dtype,
      shape,
      data: { kind: 'parameter', tensor, first },
    });
    const raw = this.declare({ name: unique, dtype, shape });
    return dtype === 'F32' ? raw : this.add('Cast', [raw], { to: int(dtypes.F32.onnx) });
  }

  /**
   * A computed parameter, whole and in its own shape; written once, where it is first asked for.
   */
  private derivedFrom(derived: Derivation): ValueInfo {
    const key = `derived ${at(derived.parts, 0).name}`;
    const known = this.common.get(key) as ValueInfo | undefined;
    if (known) return known;
    const parts = derived.parts.map(({ name, dtype, shape }) =>
      this.read(this.resolve(`/${name.slice(name.lastIndexOf('.') + 1)}`), name, 0, dtype, shape),
    );
    this.atLoad = true;
    const value = derivedValue(this, derived, parts);
    this.atLoad = false;
    this.common.set(key, value);
    return value;
  }

  /** Elements `first …` of a value in another shape. */
  private rangeOf(value: ValueInfo, { first, stored }: ParameterView, shape: readonly number[]): ValueInfo {
    const count = elementCount(stored);
    const isWhole = count === elementCount(value.shape);
    if (isWhole && shape.join() === value.shape.join()) return value;
    if (isWhole) return this.reshape(value, shape);
    const flat = this.reshape(value, [elementCount(value.shape)]);
    return this.reshape(this.slice(flat, 0, first, first + count), shape);
  }

  private readonly constantOf = ({ name }: ValueInfo): ConstantTensor | undefined =>
    constantIn(this.initializers, name);

  private declare(value: ValueInfo): ValueInfo {
    this.values.set(value.name, value);
    return value;
  }
}
