import { elementCount } from '../../checkpoint/tensors';
import { at } from '../../domain/lists';
import type { Call, Operator, OperatorTable, OutputInfo } from './call';
import { windowedShape } from './matrix';

const inputElements = (call: Call): number => elementCount(call.shape(0));

const pool: Operator = {
  kind: 'elementwise',
  pools: 'windows',
  infer: (call): readonly OutputInfo[] => {
    const [batch, channels, ...spatial] = call.map(0);
    const kernel = call.ints('kernel_shape') ?? call.fail('no kernel_shape');
    const shape = [batch, channels, ...windowedShape(call, spatial, kernel)];
    const rows: readonly OutputInfo[] = [call.output(shape), { dtype: 'I64', shape }];
    return rows.slice(0, call.node.outputs.length);
  },
  elements: inputElements,
};

const globalPool: Operator = {
  kind: 'elementwise',
  infer: (call) => [call.output(call.shape(0).map((size, axis) => (axis < 2 ? size : 1)))],
  elements: inputElements,
};

/**
 * Output sizes of Resize: `sizes` or `scales`, which `axes` may restrict; also the two-input form
 * of opset 10.
 */
function resized(call: Call): readonly number[] {
  const shape = call.shape(0);
  const legacy = call.inputs.length === 2;
  const sizes = !legacy && call.has(3) ? call.values(3) : [];
  const scales = sizes.length > 0 ? [] : call.values(legacy ? 1 : 2);
  const axes = call.ints('axes')?.map((axis) => call.axis(axis, shape.length)) ?? [...shape.keys()];
  return shape.map((size, axis) => {
    const place = axes.indexOf(axis);
    if (place < 0) return size;
    return sizes.length > 0 ? at(sizes, place) : Math.floor(size * at(scales, place));
  });
}

/** fvcore's charge for an element of an upsampling; bicubic ones are not in its table. */
const interpolation: Readonly<Record<string, number>> = { nearest: 1, linear: 4 };

const resize: Operator = { kind: 'elementwise', infer: (call) => [call.output(resized(call))] };

const gridSample: Operator = {
  kind: 'elementwise',
  charge: (_, { shape }) => 4 * elementCount(shape),
  infer: (call) => [call.output([...call.shape(0).slice(0, 2), ...call.shape(1).slice(1, -1)])],
};

const roiAlign: Operator = {
  kind: 'elementwise',
  infer: (call) => [
    call.output([
      call.size(1, 0),
      call.size(0, 1),
      call.int('output_height', 1),
      call.int('output_width', 1),
    ]),
  ],
};

/** Pooling and resampling. */
export const pooling = {
  MaxPool: { ...pool, title: 'Max pooling' },
  AveragePool: { ...pool, title: 'Average pooling' },
  LpPool: pool,
  GlobalAveragePool: {
    ...globalPool,
    pools: 'mean',
    charge: inputElements,
    title: 'Global average pooling',
  },
  GlobalMaxPool: globalPool,
  Resize: {
    ...resize,
    charge: (call, { shape }) => (interpolation[call.text('mode', 'nearest')] ?? 0) * elementCount(shape),
    title: 'Resizing',
  },
  Upsample: resize,
  GridSample: gridSample,
  RoiAlign: roiAlign,
} as const satisfies OperatorTable;
