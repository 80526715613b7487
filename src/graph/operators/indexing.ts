import { elementCount } from '../../checkpoint/tensors';
import type { Call, Operator, OperatorTable } from './call';
import { collect, flatIndex, strides } from './shapes';

const gatherAxis = (call: Call): number => call.axis(call.int('axis', 0), call.rank(0));
const fromFront = (position: number, size: number): number => (position < 0 ? position + size : position);

const gather: Operator = {
  kind: 'layout',
  infer: (call) => {
    const axis = gatherAxis(call);
    const shape = call.shape(0);
    return [call.output([...shape.slice(0, axis), ...call.shape(1), ...shape.slice(axis + 1)])];
  },
  fold: (call, [output]) => {
    const axis = gatherAxis(call);
    const steps = strides(call.shape(0));
    const indexSteps = strides(call.shape(1));
    const rank = call.rank(1);
    const [values, indices] = [call.known(0)!, call.known(1)!];
    return [
      collect(output!.shape, (index) => {
        const at = indices[flatIndex(index.slice(axis, axis + rank), indexSteps)]!;
        const source = [
          ...index.slice(0, axis),
          fromFront(at, call.shape(0)[axis]!),
          ...index.slice(axis + rank),
        ];
        return values[flatIndex(source, steps)]!;
      }),
    ];
  },
};

const gatherElements: Operator = {
  kind: 'layout',
  infer: (call) => [call.output(call.shape(1))],
  fold: (call, [output]) => {
    const axis = gatherAxis(call);
    const steps = strides(call.shape(0));
    const [values, indices] = [call.known(0)!, call.known(1)!];
    let flat = 0;
    return [
      collect(output!.shape, (index) => {
        const at = fromFront(indices[flat++]!, call.shape(0)[axis]!);
        return values[flatIndex(index, steps) + (at - index[axis]!) * steps[axis]!]!;
      }),
    ];
  },
};

const gatherND: Operator = {
  kind: 'layout',
  infer: (call) => {
    const batch = call.int('batch_dims', 0);
    const depth = call.shape(1).at(-1)!;
    const rest = call.shape(0).slice(batch + depth);
    if (batch + depth > call.rank(0)) call.fail(`indices of ${depth} axes exceed the rank`);
    return [call.output([...call.shape(1).slice(0, -1), ...rest])];
  },
};

const oneHot: Operator = {
  kind: 'layout',
  infer: (call) => {
    const [depth] = call.values(1);
    const rank = call.rank(0);
    const axis = call.axis(call.int('axis', -1), rank + 1);
    return [call.output([...call.shape(0).slice(0, axis), depth!, ...call.shape(0).slice(axis)], 2)];
  },
};

/** Coordinates of the elements that are not 0, as a matrix of rank × count. */
function nonZeroCoordinates(call: Call): readonly number[][] {
  const values =
    call.known(0) ?? call.fail('the number of elements that are not 0 is only known when it runs');
  const result = call.shape(0).map((): number[] => []);
  let flat = 0;
  collect(call.shape(0), (index) => {
    if (values[flat++] !== 0) index.forEach((at, axis) => result[axis]!.push(at));
    return 0;
  });
  return result;
}

const nonZero: Operator = {
  kind: 'layout',
  infer: (call) => {
    const coordinates = nonZeroCoordinates(call);
    return [{ dtype: 'I64', shape: [call.rank(0), coordinates[0]?.length ?? 0] }];
  },
  fold: (call) => [nonZeroCoordinates(call).flat()],
};

const scatterND: Operator = {
  kind: 'layout',
  infer: (call) => [call.output(call.shape(0))],
  fold: (call) => {
    if (call.text('reduction', 'none') !== 'none') call.fail('only replacing scatters are folded');
    const shape = call.shape(0);
    const depth = call.shape(1).at(-1)!;
    const steps = strides(shape);
    const length = elementCount(shape.slice(depth));
    const [indices, updates] = [call.known(1)!, call.known(2)!];
    const result = Float64Array.from(call.known(0)!);
    for (let row = 0; row * depth < indices.length; row++) {
      let first = 0;
      for (let axis = 0; axis < depth; axis++)
        first += fromFront(indices[row * depth + axis]!, shape[axis]!) * steps[axis]!;
      for (let at = 0; at < length; at++) result[first + at] = updates[row * length + at]!;
    }
    return [result];
  },
};

const sameAsData: Operator = { kind: 'layout', infer: (call) => [call.output(call.shape(0))] };

/** Operators that choose elements by index. */
export const indexing = {
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterND: scatterND,
  ScatterElements: sameAsData,
  ReverseSequence: sameAsData,
  OneHot: oneHot,
  NonZero: nonZero,
} as const satisfies OperatorTable;
