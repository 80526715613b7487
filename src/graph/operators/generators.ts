import { elementCount } from '../../checkpoint/tensors';
import { at } from '../../domain/lists';
import type { Call, Operator, OperatorTable, OutputInfo } from './call';
import { decode } from './constants';
import { collect } from './shapes';

/** The one attribute a Constant node stores its value in. */
function constantValue(call: Call): OutputInfo & { readonly values?: ArrayLike<number> } {
  const tensor = call.tensor('value');
  if (tensor) return { dtype: tensor.dtype, shape: tensor.shape, values: decode(tensor) };
  const attributes = call.node.attributes;
  const [name, attribute] = Object.entries(attributes)[0] ?? call.fail('no value');
  const dtype = name.startsWith('value_int') ? 'I64' : 'F32';
  if (attribute.type === 'int' || attribute.type === 'float')
    return { dtype, shape: [], values: [attribute.value] };
  if (attribute.type === 'ints' || attribute.type === 'floats')
    return { dtype, shape: [attribute.value.length], values: attribute.value };
  return call.fail(`a value of kind ${name} is not supported`);
}

const constant: Operator = {
  kind: 'other',
  infer: (call) => {
    const { dtype, shape } = constantValue(call);
    return [{ dtype, shape }];
  },
  fold: (call) => [constantValue(call).values ?? call.fail('its type is not computed with')],
  elements: () => 0,
};

const shapeOf = (call: Call): readonly number[] =>
  call.shape(0).slice(call.int('start', 0), call.int('end', call.rank(0)));

const shape: Operator = {
  kind: 'other',
  infer: (call) => [{ dtype: 'I64', shape: [shapeOf(call).length] }],
  fold: (call) => [shapeOf(call)],
  foldsShape: true,
};

const size: Operator = {
  kind: 'other',
  infer: () => [{ dtype: 'I64', shape: [] }],
  fold: (call) => [[elementCount(call.shape(0))]],
  foldsShape: true,
};

const constantOfShape: Operator = {
  kind: 'layout',
  infer: (call) => [{ dtype: call.tensor('value')?.dtype ?? 'F32', shape: call.values(0) }],
  fold: (call, output) => {
    const value = call.tensor('value');
    const fill = value ? at(decode(value) ?? call.fail('its type is not computed with'), 0) : 0;
    return [new Float64Array(elementCount(output.shape)).fill(fill)];
  },
};

const rangeOf = (call: Call): { readonly start: number; readonly step: number; readonly length: number } => {
  const [start, limit, step] = [at(call.values(0), 0), at(call.values(1), 0), at(call.values(2), 0)];
  return { start, step, length: Math.max(0, Math.ceil((limit - start) / step)) };
};

const range: Operator = {
  kind: 'other',
  infer: (call) => [call.output([rangeOf(call).length])],
  fold: (call) => {
    const { start, step, length } = rangeOf(call);
    return [Float64Array.from({ length }, (_, index) => start + index * step)];
  },
};

const eyeLike: Operator = {
  kind: 'layout',
  infer: (call) => [{ dtype: call.dtypeAttribute('dtype', call.dtype(0)), shape: call.shape(0) }],
  fold: (call, output) => [
    collect(output.shape, ([row = 0, column = 0]) => Number(column - row === call.int('k', 0))),
  ],
  foldsShape: true,
};

/** Operators that make tensors out of nothing but shapes and scalars. */
export const generators = {
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Shape: shape,
  Size: size,
  Range: range,
  EyeLike: eyeLike,
} as const satisfies OperatorTable;
