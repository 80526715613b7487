import { dtypes } from '../../../checkpoint/tensors';
import { int, ints, text, type ValueInfo } from '../../graph';
import { add, multiply, shaped, stretched, subtract, sumOver, zeros } from './arithmetic';
import type { GradientCall, GradientRule } from './call';

/** A coordinate of sampling points along an axis of `size` pixels: whole part and rest. */
interface Along {
  readonly size: number;
  /** Pixels for one step of the grid's coordinate, which goes from −1 to 1. */
  readonly perUnit: number;
  readonly base: ValueInfo;
  readonly rest: ValueInfo;
}

/** One of the four pixels around each point. */
interface Corner {
  /** Its place in the flat map, int64 `[batch, 1, points]`; any place if it lies outside. */
  readonly place: ValueInfo;
  /** 1 if it lies inside the map, else 0: outside there are zeros. */
  readonly inside: ValueInfo;
  readonly right: boolean;
  readonly below: boolean;
}

/** Coordinates `[batch, 1, points]` of the points, in pixels of the map. */
function along(call: GradientCall, which: 0 | 1): Along {
  const { b } = call;
  const size = call.size(0, which === 0 ? 3 : 2);
  const corners = call.int('align_corners', 0) !== 0;
  const perUnit = (corners ? size - 1 : size) / 2;
  const grid = call.input(1);
  const [batch = 1, rows = 1, columns = 1] = grid.shape;
  const own = b.reshape(b.slice(grid, 3, which, which + 1), [batch, 1, rows * columns]);
  const scaled = multiply(b, add(b, own, 1), perUnit);
  const place = corners ? scaled : subtract(b, scaled, 0.5);
  const base = b.add('Floor', [place]);
  return { size, perUnit, base, rest: subtract(b, place, base) };
}

function corner(call: GradientCall, x: Along, y: Along, right: boolean, below: boolean): Corner {
  const { b } = call;
  const moved = ({ base }: Along, isNext: boolean): ValueInfo => (isNext ? add(b, base, 1) : base);
  const clamped = (place: ValueInfo, { size }: Along): ValueInfo =>
    b.add('Clip', [place, b.scalar(0), b.scalar(size - 1)]);
  const [column, row] = [moved(x, right), moved(y, below)];
  const [insideX, insideY] = [clamped(column, x), clamped(row, y)];
  const isInside = b.add('And', [b.add('Equal', [column, insideX]), b.add('Equal', [row, insideY])]);
  const flat = add(b, multiply(b, insideY, x.size), insideX);
  return {
    place: b.add('Cast', [flat], { to: int(dtypes.I64.onnx) }),
    inside: b.add('Cast', [isInside], { to: int(dtypes.F32.onnx) }),
    right,
    below,
  };
}

/**
 * Bilinear sampling (Jaderberg et al. 2015, §3.3): a map gets the gradient of each point at the
 * four pixels around it, by their weights; a point gets the slope of the map between them.
 */
export const gridSample: GradientRule = (call) => {
  const mode = call.text('mode', 'linear');
  if (
    !['linear', 'bilinear'].includes(mode) ||
    call.text('padding_mode', 'zeros') !== 'zeros' ||
    call.rank(0) !== 4
  )
    call.fail('derivatives are known of bilinear sampling of maps with zeros around them');
  const { b } = call;
  const [batch, channels, high = 1, wide = 1] = call.map(0);
  const points = call.size(1, 1) * call.size(1, 2);
  const [x, y] = [along(call, 0), along(call, 1)];
  const pairs = [false, true].flatMap((below) => [false, true].map((right) => [right, below] as const));
  const corners = pairs.map(([right, below]) => corner(call, x, y, right, below));
  const g = shaped(b, call.g, [batch, channels, points]);
  const share = ({ rest }: Along, isNext: boolean): ValueInfo => (isNext ? rest : subtract(b, 1, rest));
  const toMap = (): ValueInfo => {
    const wanted = corners.map(({ inside, right, below }) =>
      multiply(b, g, multiply(b, inside, multiply(b, share(x, right), share(y, below)))),
    );
    const places = b.concat(
      corners.map(({ place }) => place),
      2,
    );
    const all = stretched(b, places, [batch, channels, corners.length * points]);
    const empty = zeros(b, [batch, channels, high * wide]);
    const added = b.add('ScatterElements', [empty, all, b.concat(wanted, 2)], {
      axis: int(2),
      reduction: text('add'),
    });
    return b.reshape(added, call.shape(0));
  };
  const toGrid = (): ValueInfo => {
    const flat = b.reshape(call.input(0), [batch, channels, high * wide]);
    const seen = corners.map(({ place, inside, ...rest }) => ({
      ...rest,
      value: multiply(
        b,
        b.add('GatherElements', [flat, stretched(b, place, [batch, channels, points])], { axis: int(2) }),
        inside,
      ),
    }));
    const slope = (
      of: Along,
      other: Along,
      axis: 'right' | 'below',
      across: 'right' | 'below',
    ): ValueInfo => {
      const parts = seen.map((each) => {
        const weighted = multiply(b, each.value, share(other, each[across]));
        return each[axis] ? weighted : b.add('Neg', [weighted]);
      });
      return multiply(b, sumOver(b, multiply(b, g, b.add('Sum', parts)), [1]), of.perUnit);
    };
    const both = b.concat([slope(x, y, 'right', 'below'), slope(y, x, 'below', 'right')], 1);
    return b.reshape(b.add('Transpose', [both], { perm: ints([0, 2, 1]) }), call.shape(1));
  };
  return call.each((index) => (index === 0 ? toMap() : toGrid()));
};
