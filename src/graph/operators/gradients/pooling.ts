import { elementCount } from '../../../checkpoint/tensors';
import { at, product } from '../../../domain/lists';
import { int, text, type Attribute, type ValueInfo } from '../../graph';
import { slidings, type Sliding } from '../matrix';
import { zeros } from './arithmetic';
import type { GradientCall, GradientRule } from './call';
import { alongAxis } from './places';

/** Windows of a pooling, with the padding that `auto_pad` stands for. */
function windows(call: GradientCall): readonly Sliding[] {
  const kernel = call.ints('kernel_shape') ?? call.fail('no kernel_shape');
  if (call.text('auto_pad', 'NOTSET').startsWith('SAME')) call.fail('no derivative is known with auto_pad');
  return slidings(call, call.shape(0).slice(2), kernel);
}

/** Which pixels `[pixels, windows]` one axis of a mean's windows weights, and how much. */
function weights(
  { size, stride, reach, pads: [before, after] }: Sliding,
  count: number,
  gap: number,
  countsPads: boolean,
): Float32Array {
  const result = new Float32Array(size * count);
  for (let window = 0; window < count; window++) {
    const start = window * stride - before;
    const places = Array.from(
      { length: Math.floor((reach - 1) / gap) + 1 },
      (_, place) => start + place * gap,
    );
    const inside = places.filter((place) => place >= 0 && place < size);
    // A last window that hangs over the padding counts what lies inside of it.
    const counted = countsPads ? places.filter((place) => place < size + after).length : inside.length;
    for (const place of inside) result[place * count + window] = 1 / counted;
  }
  return result;
}

/** A mean of windows is a product with one constant matrix for each axis. */
const averagePool: GradientRule = (call) => {
  const { b } = call;
  const gaps = call.ints('dilations');
  const countsPads = call.int('count_include_pad', 0) !== 0;
  const gradient = windows(call).reduce((g, sliding, axis) => {
    const count = at(g.shape, axis + 2);
    const gap = gaps?.[axis] ?? 1;
    const key = `means ${Object.values(sliding).join(' ')} ${count} ${gap} ${countsPads}`;
    const matrix = b.shared(key, () =>
      b.constant('/means', 'F32', [sliding.size, count], weights(sliding, count, gap, countsPads)),
    );
    return alongAxis(b, g, axis + 2, matrix);
  }, call.g);
  return [gradient];
};

/**
 * The operator's own second output says where each largest element stood, flat in the whole map.
 * Windows overlap, so that what they bring is added up. Of equal elements the first one counts.
 */
const maxPool: GradientRule = (call) => {
  const { b } = call;
  if (call.int('storage_order', 0) !== 0) call.fail('no derivative is known with storage_order 1');
  const [all, taken] = [elementCount(call.shape(0)), elementCount(call.y.shape)];
  const places = b.reshape(at(call.made, 1), [taken]);
  const added = b.add('ScatterElements', [zeros(b, [all]), places, b.reshape(call.g, [taken])], {
    axis: int(0),
    reduction: text('add'),
  });
  return [b.reshape(added, call.shape(0))];
};

/**
 * Resizing is linear, one axis after the other: the same operator over an identity gives each
 * axis's matrix, once, when the graph is loaded.
 */
const resize: GradientRule = (call) => {
  call.only(0);
  if (call.text('coordinate_transformation_mode', 'half_pixel') === 'tf_crop_and_resize')
    call.fail('no derivative is known for tf_crop_and_resize');
  const changed = call.shape(0).flatMap((size, axis) => (size === at(call.y.shape, axis) ? [] : [axis]));
  return [changed.reduce((g, axis) => alongAxis(call.b, g, axis, resizing(call, axis)), call.g)];
};

/** What each of n elements gives to each of m: `[n, m]`. */
function resizing(call: GradientCall, axis: number): ValueInfo {
  const { b } = call;
  const [n, m] = [call.size(0, axis), at(call.y.shape, axis)];
  const { axes: _, ...attributes } = call.node.attributes;
  const scale = scaleOf(call, axis);
  const key = `resized ${n} ${m} ${scale ?? ''} ${JSON.stringify(attributes)}`;
  return b.shared(key, () => {
    const identity = new Float32Array(n * n);
    for (let place = 0; place < n; place++) identity[place * n + place] = 1;
    const x = b.constant('/identity', 'F32', [n, 1, n, 1], identity);
    const scales =
      scale === undefined ? undefined : b.constant('/scales', 'F32', [4], Float32Array.of(1, 1, scale, 1));
    const inputs = scales ? [x, undefined, scales] : [x, undefined, undefined, b.indices([n, 1, m, 1])];
    const own = call.node.op === 'Upsample' || call.inputs.length === 2 ? 'Upsample' : 'Resize';
    if (own === 'Upsample') call.fail('no derivative is known for resizing before operator set 11');
    return b.reshape(b.add('Resize', inputs, attributes as Readonly<Record<string, Attribute>>), [n, m]);
  });
}

/** The factor of an axis, if that and not a size was given: coordinates go by it. */
function scaleOf(call: GradientCall, axis: number): number | undefined {
  if (call.has(3) && product(call.shape(3)) > 0) return undefined;
  const axes = call.ints('axes')?.map((each) => call.axis(each, call.rank(0)));
  return call.values(2)[axes ? axes.indexOf(axis) : axis];
}

/** Derivatives of poolings and resampling. */
export const poolingGradients = {
  AveragePool: averagePool,
  MaxPool: maxPool,
  Resize: resize,
} as const;
