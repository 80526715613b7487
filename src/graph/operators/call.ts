import { dtypes, type DType } from '../../checkpoint/tensors';
import type { Attribute, ConstantTensor, Node, ValueInfo } from '../graph';
import { decode } from './constants';

/** Type and shape of one output. */
export interface OutputInfo {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** Value of a tensor where it is known without running the model. */
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

/** One node with its inputs: what an operator's rule reads. Every accessor fails with the node's name and the shapes found. */
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

  /** Values of an input known beforehand, row-major; undefined where the input is absent or only known when the model runs. */
  known(index: number): ArrayLike<number> | undefined {
    const input = this.inputs[index];
    const constant = input && this.constantOf(input);
    return constant && decode(constant);
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
 * What an operator's cost counts as. `product` is a matrix product: linear where an operand is a parameter, attention otherwise,
 * which only the graph around it tells.
 */
export type OperatorKind =
  'conv' | 'product' | 'normalisation' | 'softmax' | 'activation' | 'elementwise' | 'layout' | 'other';

/** One row of the operator table. */
export interface Operator {
  readonly kind: OperatorKind;
  readonly infer: (call: Call) => readonly OutputInfo[];
  /** Values of every output, row-major, where all inputs are known (or, with `foldsShape`, only their shapes). */
  readonly fold?: (call: Call, outputs: readonly OutputInfo[]) => readonly ArrayLike<number>[];
  /** `fold` looks at shapes alone. */
  readonly foldsShape?: true;
  /** Multiply-accumulates. */
  readonly macs?: (call: Call, outputs: readonly OutputInfo[]) => number;
  /** Elements that element-wise work touches; those of the outputs where absent. */
  readonly elements?: (call: Call, outputs: readonly OutputInfo[]) => number;
}

export type OperatorTable = Readonly<Record<string, Operator>>;
