import type { DType } from '../checkpoint/tensors';
import type { Attribute, ValueInfo } from './graph';

/** Reductions that a writer knows the axes' form of. */
export type Reduction = 'ReduceMean' | 'ReduceSum' | 'ReduceMax';

/** What writes operators: a graph's builder, as rules about operators see it. */
export interface Writer {
  /** Operator set of ai.onnx that is written. */
  readonly operatorSet: number;
  /** One operator with one output. */
  add(
    op: string,
    inputs: readonly (ValueInfo | undefined)[],
    attributes?: Readonly<Record<string, Attribute>>,
  ): ValueInfo;
  /** One operator with `count` outputs. */
  addMany(
    op: string,
    inputs: readonly (ValueInfo | undefined)[],
    count: number,
    attributes?: Readonly<Record<string, Attribute>>,
  ): readonly ValueInfo[];
  constant(name: string, dtype: DType, shape: readonly number[], data: ArrayBufferView): ValueInfo;
  reshape(x: ValueInfo, shape: readonly number[]): ValueInfo;
  transpose(x: ValueInfo, perm: readonly number[]): ValueInfo;
  reduce(op: Reduction, x: ValueInfo, axes: readonly number[], keep?: boolean): ValueInfo;
  concat(values: readonly ValueInfo[], axis: number): ValueInfo;
  slice(x: ValueInfo, axis: number, start: number, end: number): ValueInfo;
  /** int64 vector, written once. */
  indices(values: readonly number[]): ValueInfo;
  /** float32 scalar, written once. */
  scalar(value: number): ValueInfo;
  /** What several places have in common, made once. */
  shared<T = ValueInfo>(key: string, make: () => T): T;
}
