import { at, sum } from '../../../domain/lists';
import { int } from '../../graph';
import { cuts, concatAxis, padding, parts, permutation } from '../layout';
import { withAxis } from '../shapes';
import { shaped, sumOver, unbroadcast, zeros } from './arithmetic';
import type { GradientCall, GradientRule } from './call';
import { padded, ungathered } from './places';

/** The same elements under the input's shape. */
export const viewed: GradientRule = (call) => [shaped(call.b, call.g, call.shape(0))];

const transpose: GradientRule = (call) => {
  const perm = permutation(call);
  return [
    call.b.transpose(
      call.g,
      perm.map((_, axis) => perm.indexOf(axis)),
    ),
  ];
};

/** Zeros where nothing was taken. */
const slice: GradientRule = (call) => {
  const { b } = call;
  const own = cuts(call);
  const steps = own.map(({ start, step, size }, axis) => ({
    start,
    step,
    size,
    axis,
    whole: call.size(0, axis),
  }));
  const stepped = steps.filter(({ step, size, whole }) => step !== 1 && !(size === whole && step === 1));
  const spread = stepped.reduce(
    (g, { axis, start, step, size, whole }) =>
      ungathered(
        b,
        g,
        axis,
        Array.from({ length: size }, (_, place) => start + place * step),
        whole,
      ),
    call.g,
  );
  const margins = steps.map(({ step, start, size, whole }) =>
    step === 1 ? { before: start, after: whole - start - size } : { before: 0, after: 0 },
  );
  return [padded(b, spread, margins)];
};

const concat: GradientRule = (call) => {
  const axis = concatAxis(call);
  const starts = call.inputs.map((_, index) =>
    sum(call.inputs.slice(0, index).map((__, before) => call.size(before, axis))),
  );
  return call.each((index) => {
    const start = at(starts, index);
    return call.b.slice(call.g, axis, start, start + call.size(index, axis));
  });
};

/** Parts that nobody read bring zeros. */
const split: GradientRule = (call) => {
  const { axis, sizes } = parts(call);
  const own = sizes.map(
    (size, index) => call.gradient(index) ?? zeros(call.b, withAxis(call.shape(0), axis, size)),
  );
  return [call.b.concat(own, axis)];
};

/** Element of an axis that a padded place repeats. */
const mirrored: Readonly<Record<string, (place: number, size: number) => number>> = {
  edge: (place, size) => Math.min(size - 1, Math.max(0, place)),
  reflect: (place, size) => {
    const period = Math.max(1, 2 * (size - 1));
    const inside = ((place % period) + period) % period;
    return inside < size ? inside : period - inside;
  },
  wrap: (place, size) => ((place % size) + size) % size,
};

const pad: GradientRule = (call) => {
  call.only(0);
  const sides = padding(call);
  const repeat = mirrored[call.text('mode', 'constant')];
  if (!repeat)
    return [
      padded(
        call.b,
        call.g,
        sides.map(({ before, after }) => ({ before: -before, after: -after })),
      ),
    ];
  const gradient = sides.reduce((g, { size, before, after }, axis) => {
    if (before === 0 && after === 0) return g;
    const places = Array.from({ length: before + size + after }, (_, place) => repeat(place - before, size));
    return ungathered(call.b, g, axis, places, size);
  }, call.g);
  return [gradient];
};

const tile: GradientRule = (call) => {
  const repeats = call.values(1);
  const shape = call.shape(0).flatMap((size, axis) => [at(repeats, axis), size]);
  const copies = call.shape(0).map((_, axis) => 2 * axis);
  const added = sumOver(call.b, call.b.reshape(call.g, shape), copies);
  return [call.b.reshape(added, call.shape(0))];
};

/** Blocks of pixels back where they came from. */
const blocks =
  (toSpace: boolean): GradientRule =>
  (call) => {
    const [, channels, rows = 1, columns = 1] = call.map(0);
    const [batch, outChannels, outRows = 1, outColumns = 1] = call.y.shape as [
      number,
      number,
      number,
      number,
    ];
    const side = call.int('blocksize', 1);
    const columnFirst = toSpace && call.text('mode', 'DCR') === 'CRD';
    if (toSpace) {
      const g = call.b.reshape(call.g, [batch, outChannels, rows, side, columns, side]);
      const order = columnFirst ? [0, 1, 3, 5, 2, 4] : [0, 3, 5, 1, 2, 4];
      return [call.b.reshape(call.b.transpose(g, order), call.shape(0))];
    }
    const g = call.b.reshape(call.g, [batch, side, side, channels, outRows, outColumns]);
    return [call.b.reshape(call.b.transpose(g, [0, 3, 4, 1, 5, 2]), call.shape(0))];
  };

/** A triangle of a matrix: the rest was zeros. */
const trilu: GradientRule = (call) => {
  const { b, g } = call;
  const rest = { upper: int(call.int('upper', 1)) };
  return [b.add('Trilu', call.has(1) ? [g, call.input(1)] : [g], rest)];
};

/** Derivatives of operators that move elements. */
export const layoutGradients = {
  Identity: viewed,
  Dropout: viewed,
  Reshape: viewed,
  Squeeze: viewed,
  Unsqueeze: viewed,
  Flatten: viewed,
  Transpose: transpose,
  Slice: slice,
  Concat: concat,
  Split: split,
  Expand: (call: GradientCall) => [unbroadcast(call.b, call.g, call.shape(0))],
  Tile: tile,
  Trilu: trilu,
  Pad: pad,
  DepthToSpace: blocks(true),
  SpaceToDepth: blocks(false),
} as const;
