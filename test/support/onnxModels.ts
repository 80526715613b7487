import type { OnnxModel, OnnxNode, OnnxValue } from '../../src/checkpoint/formats/onnxModel';
import { dtypes, elementCount, type DType, type Tensor } from '../../src/checkpoint/tensors';
import { encode } from '../../src/graph/operators/constants';

/** A stored tensor of zeros, or of the given bytes. */
export const weight = (
  name: string,
  shape: readonly number[],
  dtype: DType = 'F32',
  values?: readonly number[],
): Tensor => ({
  name,
  dtype,
  shape,
  start: 0,
  storage: {
    kind: 'inline',
    bytes: values
      ? encode(dtype, shape, values).bytes
      : new Uint8Array(elementCount(shape) * dtypes[dtype].bytes),
  },
});

/** A node of an .onnx file. */
export const node = (
  opType: string,
  inputs: string[],
  outputs: string[],
  rest: Partial<OnnxNode> = {},
): OnnxNode => ({
  name: '',
  opType,
  domain: '',
  inputs,
  outputs,
  attributes: {},
  metadata: {},
  ...rest,
});

/** An .onnx file as it is read, with the output `y` if no other is named. */
export function model(
  nodes: readonly OnnxNode[],
  inputs: readonly OnnxValue[],
  initializers: readonly Tensor[] = [],
  outputs: readonly OnnxValue[] = [{ name: 'y' }],
): OnnxModel {
  return {
    irVersion: 9,
    opsets: { '': 17, 'com.microsoft': 1 },
    producer: 'test',
    graph: { name: 'test', inputs, outputs, values: [], nodes, initializers },
    functions: [],
    metadata: {},
    files: [],
    warnings: [],
  };
}
