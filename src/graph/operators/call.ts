import { dtypes, type DType } from '../../checkpoint/tensors';
import { at } from '../../domain/lists';
import type { Attribute, ConstantTensor, Node, ValueInfo } from '../graph';
import { decode } from './constants';
import type { Selection } from './places';

/** Type and shape of one output. */
export interface OutputInfo {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** Value of a tensor if it is known without running the model. */
export type ConstantOf = (value: ValueInfo) => ConstantTensor | undefined;

/** Value of each type of attribute. */
type AttributeValues = { readonly [A in Attribute as A['type']]: A['value'] };

/** A node does not fit its inputs, or its operator is not known. */
export class OperatorError extends Error {
  constructor(
    readonly node: Node,
    inputs: readonly (ValueInfo | undefined)[],
    detail: string,
  ) {
    const shapes = inputs.map((input) => (input ? `${input.dtype} [${input.shape.join(', ')}]` : 'none'));
    super(`${node.name} (${node.op}): ${detail}; inputs ${shapes.join(', ') || 'none'}`);
    this.name = 'OperatorError';
  }
}

/**
 * One node with its inputs: what an operator's rule reads. Every accessor fails with the node's
 * name and the shapes found.
 */
export class Call {
  constructor(
    readonly node: Node,
    readonly inputs: readonly (ValueInfo | undefined)[],
    private readonly constantOf: ConstantOf,
  ) {}

  fail(detail: string): never {
    throw new OperatorError(this.node, this.inputs, detail);
  }

  has(index: number): boolean {
    return this.inputs[index] !== undefined;
  }

  input(index: number): ValueInfo {
    return this.inputs[index] ?? this.fail(`input ${index} is missing`);
  }

  shape(index: number): readonly number[] {
    return this.input(index).shape;
  }

  /** Size of an input along an axis, which counts from the end if it is negative. */
  size(index: number, axis: number): number {
    const { length } = this.shape(index);
    return at(this.shape(index), this.axis(axis, length));
  }

  /**
   * `[batch, channels, …sides]` of a map, or `[filters, channels, …kernel]` of a convolution's
   * weight.
   */
  map(index: number): readonly [lead: number, channels: number, ...sides: number[]] {
    const [lead, channels, ...sides] = this.shape(index);
    if (lead === undefined || channels === undefined) this.fail(`input ${index} is no map of channels`);
    return [lead, channels, ...sides];
  }

  /** Rows and columns of a matrix, in the other order if the attribute is set. */
  matrix(index: number, transposed: string): readonly [rows: number, columns: number] {
    const [rows, columns, ...rest] = this.shape(index);
    if (rows === undefined || columns === undefined || rest.length > 0)
      this.fail(`${this.node.op} needs matrices`);
    return this.int(transposed, 0) ? [columns, rows] : [rows, columns];
  }

  rank(index: number): number {
    return this.shape(index).length;
  }

  dtype(index: number): DType {
    return this.input(index).dtype;
  }

  /** Output of the dtype of input `like`. */
  output(shape: readonly number[], like = 0): OutputInfo {
    return { dtype: this.dtype(like), shape };
  }

  int(name: string, otherwise: number): number {
    return this.attribute(name, 'int') ?? otherwise;
  }

  float(name: string, otherwise: number): number {
    return this.attribute(name, 'float') ?? otherwise;
  }

  text(name: string, otherwise: string): string {
    return this.attribute(name, 'string') ?? otherwise;
  }

  ints(name: string): readonly number[] | undefined {
    return this.attribute(name, 'ints');
  }

  floats(name: string): readonly number[] | undefined {
    return this.attribute(name, 'floats');
  }

  tensor(name: string): ConstantTensor | undefined {
    return this.attribute(name, 'tensor');
  }

  /**
   * Values of an input known beforehand, row-major; undefined if the input is absent or only
   * known when the model runs.
   */
  known(index: number): ArrayLike<number> | undefined {
    const input = this.inputs[index];
    const constant = input && this.constantOf(input);
    return constant && decode(constant);
  }

  /** Whether an input is a constant of the graph, not a parameter and not computed. */
  isConstant(index: number): boolean {
    const input = this.inputs[index];
    return input !== undefined && this.constantOf(input) !== undefined;
  }

  /** Values of an input that is folded, row-major. */
  constant(index: number): ArrayLike<number> {
    return this.known(index) ?? this.fail(`the values of input ${index} are not known`);
  }

  /** Values of an input that the output's shape depends on. */
  values(index: number): readonly number[] {
    const values = this.known(index);
    return values ? Array.from(values) : this.fail(`input ${index} decides the shape and is not constant`);
  }

  /** A list that newer operator sets take as an input and older ones as an attribute. */
  list(name: string, index: number): readonly number[] | undefined {
    return this.ints(name) ?? (this.has(index) ? this.values(index) : undefined);
  }

  /** Axis counted from the front. */
  axis(axis: number, rank: number): number {
    const front = axis < 0 ? axis + rank : axis;
    return front >= 0 && front < rank ? front : this.fail(`axis ${axis} is outside rank ${rank}`);
  }

  /** Element type named by an integer attribute (TensorProto.DataType). */
  dtypeAttribute(name: string, otherwise: DType): DType {
    const number = this.attribute(name, 'int');
    if (number === undefined) return otherwise;
    const found = (Object.keys(dtypes) as DType[]).find((dtype) => dtypes[dtype].onnx === number);
    return found ?? this.fail(`${name} ${number} is no element type`);
  }

  private attribute<T extends keyof AttributeValues>(name: string, type: T): AttributeValues[T] | undefined {
    const attribute = this.node.attributes[name];
    if (!attribute) return undefined;
    if (attribute.type !== type) this.fail(`attribute ${name} is ${attribute.type}, ${type} needed`);
    return attribute.value as AttributeValues[T];
  }
}

/**
 * What an operator's cost counts as. `product` is a matrix product: linear if an operand is a
 * parameter, attention otherwise, which only the graph around it decides.
 */
export type OperatorKind =
  'conv' | 'product' | 'normalisation' | 'softmax' | 'activation' | 'elementwise' | 'layout' | 'other';

/**
 * What an output holds of an input:
 * - `view`: all elements in their order, under another shape; no memory of its own.
 * - `moves`: elements in another order, or a part of them.
 * - `converts`: all elements in their order, in another type.
 */
export type Carries = 'view' | 'moves' | 'converts';

/**
 * What is needed of each input for what is asked of the output; undefined if that is no selection.
 */
export type SelectionRule = (
  call: Call,
  output: OutputInfo,
  asked: Selection,
) => readonly Selection[] | undefined;

/** One row of the operator table: all that is known of an operator wherever it stands. */
export interface Operator {
  readonly kind: OperatorKind;
  readonly infer: (call: Call) => readonly OutputInfo[];
  /**
   * Values of every output, row-major, if all inputs are known (or, with `foldsShape`, only their
   * shapes). `output` is the first one.
   */
  readonly fold?: (
    call: Call,
    output: OutputInfo,
    outputs: readonly OutputInfo[],
  ) => readonly ArrayLike<number>[];
  /** `fold` looks at shapes alone. */
  readonly foldsShape?: true;
  /** Multiply-accumulates that make the first output. */
  readonly macs?: (call: Call, output: OutputInfo) => number;
  /** Elements that element-wise work touches; those of the outputs if absent. */
  readonly elements?: (call: Call) => number;
  /**
   * What fvcore charges for the first output besides products (nn/flop_count.py, jit_handles.py).
   */
  readonly charge?: (call: Call, output: OutputInfo) => number;
  /** How a part of the output is made of parts of the inputs; by the whole alone if absent. */
  readonly select?: SelectionRule;
  /** What the outputs hold of the first input, or of all of them if it `joins` them. */
  readonly carries?: Carries;
  readonly joins?: true;
  /** Takes elements by their place. */
  readonly chooses?: true;
  /** Summarises a map in windows that slide over it, or takes the mean over whole axes. */
  readonly pools?: 'windows' | 'mean';
  /** Makes maps `[batch, …sides, channels]`. */
  readonly channelsLast?: true;
  /** Inputs that a product or a convolution multiplies: of a convolution the map and its weight. */
  readonly factors?: readonly [left: number, right: number];
  /** Input that is added to a product or convolution. */
  readonly bias?: number;
  /** Inputs that hold scales and zero points of a quantisation: no parameters. */
  readonly scales?: readonly number[];
  /** The field's name of a module that is this operator alone, and its formula. */
  readonly title?: string;
  readonly formula?: string;
}

export type OperatorTable = Readonly<Record<string, Operator>>;
