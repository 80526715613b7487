import { elementCount } from '../../checkpoint/tensors';
import { at } from '../../domain/lists';
import type { Call, Operator, OperatorTable } from './call';
import { collect, flatIndex, strides } from './shapes';

export const gatherAxis = (call: Call): number => call.axis(call.int('axis', 0), call.rank(0));
export const fromFront = (position: number, size: number): number =>
  position < 0 ? position + size : position;

const gather: Operator = {
  kind: 'layout',
  chooses: true,
  // Indices take the place of the axis that they choose from.
  select: (call, _, asked) => {
    const [axis, rank] = [gatherAxis(call), call.rank(1)];
    return [
      [...asked.slice(0, axis), undefined, ...asked.slice(axis + rank)],
      asked.slice(axis, axis + rank),
    ];
  },
  infer: (call) => {
    const axis = gatherAxis(call);
    const shape = call.shape(0);
    return [call.output([...shape.slice(0, axis), ...call.shape(1), ...shape.slice(axis + 1)])];
  },
  fold: (call, output) => {
    const axis = gatherAxis(call);
    const size = call.size(0, axis);
    const steps = strides(call.shape(0));
    const indexSteps = strides(call.shape(1));
    const rank = call.rank(1);
    const [values, indices] = [call.constant(0), call.constant(1)];
    return [
      collect(output.shape, (index) => {
        const position = at(indices, flatIndex(index.slice(axis, axis + rank), indexSteps));
        const source = [...index.slice(0, axis), fromFront(position, size), ...index.slice(axis + rank)];
        return at(values, flatIndex(source, steps));
      }),
    ];
  },
};

const gatherElements: Operator = {
  kind: 'layout',
  chooses: true,
  infer: (call) => [call.output(call.shape(1))],
  fold: (call, output) => {
    const axis = gatherAxis(call);
    const size = call.size(0, axis);
    const steps = strides(call.shape(0));
    const [values, indices] = [call.constant(0), call.constant(1)];
    let flat = 0;
    return [
      collect(output.shape, (index) => {
        const moved = fromFront(at(indices, flat++), size) - at(index, axis);
        return at(values, flatIndex(index, steps) + moved * at(steps, axis));
      }),
    ];
  },
};

const gatherND: Operator = {
  kind: 'layout',
  chooses: true,
  infer: (call) => {
    const batch = call.int('batch_dims', 0);
    const depth = call.size(1, -1);
    const rest = call.shape(0).slice(batch + depth);
    if (batch + depth > call.rank(0)) call.fail(`indices of ${depth} axes exceed the rank`);
    return [call.output([...call.shape(1).slice(0, -1), ...rest])];
  },
};

const oneHot: Operator = {
  kind: 'layout',
  infer: (call) => {
    const depth = at(call.values(1), 0);
    const rank = call.rank(0);
    const axis = call.axis(call.int('axis', -1), rank + 1);
    return [call.output([...call.shape(0).slice(0, axis), depth, ...call.shape(0).slice(axis)], 2)];
  },
};

/** Coordinates of the elements that are not 0, as a matrix of rank × count. */
function nonZeroCoordinates(call: Call): readonly number[][] {
  const values =
    call.known(0) ?? call.fail('the number of elements that are not 0 is only known when it runs');
  const result = call.shape(0).map((): number[] => []);
  let flat = 0;
  collect(call.shape(0), (index) => {
    if (values[flat++] !== 0) index.forEach((place, axis) => at(result, axis).push(place));
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
    const depth = call.size(1, -1);
    const steps = strides(shape);
    const length = elementCount(shape.slice(depth));
    const [indices, updates] = [call.constant(1), call.constant(2)];
    const result = Float64Array.from(call.constant(0));
    for (let row = 0; row * depth < indices.length; row++) {
      let first = 0;
      for (let axis = 0; axis < depth; axis++)
        first += fromFront(at(indices, row * depth + axis), at(shape, axis)) * at(steps, axis);
      for (let place = 0; place < length; place++) result[first + place] = at(updates, row * length + place);
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
