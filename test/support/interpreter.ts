import assert from 'node:assert/strict';
import { elementCount, type DType } from '../../src/checkpoint/tensors';
import { at, product, sum } from '../../src/domain/lists';
import { constantIn, type ConstantTensor, type Graph, type ValueInfo } from '../../src/graph/graph';
import { Call, operatorOf } from '../../src/graph/operators';
import { decode, encode } from '../../src/graph/operators/constants';
import { slidings, windowedShape, type Sliding } from '../../src/graph/operators/matrix';
import {
  broadcastStrides,
  collect,
  collectBroadcast,
  flatIndex,
  strides,
} from '../../src/graph/operators/shapes';

/** A value in numbers of double precision, row-major. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

type Rule = (call: Call, inputs: readonly Tensor[]) => readonly Tensor[];

const like = ({ shape }: Tensor, data: ArrayLike<number>): Tensor => ({
  shape,
  data: Float64Array.from(data),
});
const map =
  (compute: (value: number, call: Call) => number): Rule =>
  (call, [x]) => [
    like(
      first(x),
      first(x).data.map((value) => compute(value, call)),
    ),
  ];
const first = (x: Tensor | undefined): Tensor => x ?? assert.fail('no input');

/** The elements of a tensor that is broadcast to a shape. */
function broadcastTo({ shape: own, data }: Tensor, shape: readonly number[]): Float64Array {
  const size = product(shape);
  if (data.length === size) return data;
  const isRepeated = own.every((side, axis) => side === at(shape, axis + shape.length - own.length));
  if (isRepeated || data.length === 1)
    return new Float64Array(size).map((_, flat) => data[flat % data.length] ?? NaN);
  const operand = { values: data, steps: broadcastStrides(own, shape.length) };
  return collectBroadcast(shape, [operand], ([value = NaN]) => value);
}

/** A function of two broadcast numbers, which the table's own rule computes of a list at a time. */
const arithmetic =
  (compute: (a: number, b: number) => number): Rule =>
  (call, inputs) => {
    const [info] = operatorOf(call.node)?.infer(call) ?? [];
    const shape = info?.shape ?? [];
    const [start = assert.fail('no input'), ...more] = inputs.map((x) => broadcastTo(x, shape));
    const data = start.slice();
    for (const other of more)
      for (let flat = 0; flat < data.length; flat++)
        data[flat] = compute(data[flat] ?? NaN, other[flat] ?? NaN);
    return [{ shape, data }];
  };

/** Error function: its series (Abramowitz & Stegun 7.1.6), a continued fraction further out. */
export function erf(x: number): number {
  const size = Math.abs(x);
  if (size > 3) {
    let fraction = 0;
    for (let term = 60; term > 0; term--) fraction = term / 2 / (size + fraction);
    return Math.sign(x) * (1 - Math.exp(-size * size) / (Math.sqrt(Math.PI) * (size + fraction)));
  }
  let [term, total] = [x, x];
  for (let n = 1; n < 80 && Math.abs(term) > 1e-17 * Math.abs(total); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    total += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * total;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const softplus = (x: number): number => Math.log1p(Math.exp(x));
const gelu = (x: number): number => (x * (1 + erf(x * Math.SQRT1_2))) / 2;
const tanhGelu = (x: number): number =>
  (x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))) / 2;

/** Every line along an axis, changed by `compute`. */
function lines(x: Tensor, axis: number, compute: (line: readonly number[]) => readonly number[]): Tensor {
  const [step, size] = [at(strides(x.shape), axis), at(x.shape, axis)];
  const data = new Float64Array(x.data.length);
  for (let flat = 0; flat < data.length; flat++) {
    if (Math.floor(flat / step) % size !== 0) continue;
    const line = Array.from({ length: size }, (_, place) => at(x.data, flat + place * step));
    compute(line).forEach((value, place) => (data[flat + place * step] = value));
  }
  return { shape: x.shape, data };
}

const softmaxOf = (line: readonly number[]): readonly number[] => {
  const most = Math.max(...line);
  const powers = line.map((value) => Math.exp(value - most));
  const total = sum(powers);
  return powers.map((value) => value / total);
};

const lastAxis = (call: Call): number => call.axis(call.int('axis', -1), call.rank(0));

/** Rows of `width` elements. */
const rowsOf = ({ data }: Tensor, width: number): readonly (readonly number[])[] =>
  Array.from({ length: data.length / width }, (_, row) => [...data.subarray(row * width, (row + 1) * width)]);

/** A matrix that lies in a tensor: its first element, and the steps along rows and columns. */
interface Matrix {
  readonly data: Float64Array;
  readonly start: number;
  readonly steps: readonly [row: number, column: number];
}

/** Adds the product of two matrices to `rows × columns` elements from `start`. */
function addProduct(
  target: Float64Array,
  start: number,
  [rows, inner, columns]: readonly [number, number, number],
  { data: left, start: leftStart, steps: [leftRow, leftColumn] }: Matrix,
  { data: right, start: rightStart, steps: [rightRow, rightColumn] }: Matrix,
): void {
  for (let row = 0; row < rows; row++)
    for (let k = 0; k < inner; k++) {
      const factor = left[leftStart + row * leftRow + k * leftColumn] ?? NaN;
      const [own, from] = [start + row * columns, rightStart + k * rightRow];
      for (let column = 0; column < columns; column++)
        target[own + column] =
          (target[own + column] ?? NaN) + factor * (right[from + column * rightColumn] ?? NaN);
    }
}

const matMul: Rule = (call, [a, b]) => {
  const [left, right] = [first(a), first(b)];
  const [output] = operatorOf(call.node)?.infer(call) ?? [];
  const shape = output?.shape ?? [];
  const [rows = 1, columns = 1] = shape.slice(-2);
  const inner = at(left.shape, left.shape.length - 1);
  const stack = shape.slice(0, -2);
  const [leftSteps, rightSteps] = [left, right].map((x) => stackSteps(x.shape, stack.length));
  const data = new Float64Array(product(shape));
  let start = 0;
  collect(stack, (index) => {
    const one = { data: left.data, start: flatIndex(index, leftSteps ?? []), steps: [inner, 1] } as const;
    const other = {
      data: right.data,
      start: flatIndex(index, rightSteps ?? []),
      steps: [columns, 1],
    } as const;
    addProduct(data, start, [rows, inner, columns], one, other);
    start += rows * columns;
    return 0;
  });
  return [{ shape, data }];
};

/** Steps from matrix to matrix of a stack that is broadcast to `rank` axes. */
const stackSteps = (shape: readonly number[], rank: number): readonly number[] => {
  const size = product(shape.slice(-2));
  return broadcastStrides(shape.slice(0, -2), rank).map((step) => step * size);
};

const gemm: Rule = (call, [a, b, c]) => {
  const [left, right] = [first(a), first(b)];
  const [rows, inner] = call.matrix(0, 'transA');
  const [, columns] = call.matrix(1, 'transB');
  const data = new Float64Array(rows * columns);
  const one: Matrix = { data: left.data, start: 0, steps: call.int('transA', 0) ? [1, rows] : [inner, 1] };
  const other: Matrix = {
    data: right.data,
    start: 0,
    steps: call.int('transB', 0) ? [1, inner] : [columns, 1],
  };
  addProduct(data, 0, [rows, inner, columns], one, other);
  const bias = c && { ...c, shape: [...Array<number>(2 - c.shape.length).fill(1), ...c.shape] };
  const [high = 1, wide = 1] = bias?.shape ?? [];
  const [alpha, beta] = [call.float('alpha', 1), call.float('beta', 1)];
  const added = (row: number, column: number): number =>
    bias ? at(bias.data, (high === 1 ? 0 : row * wide) + (wide === 1 ? 0 : column)) : 0;
  return [
    {
      shape: [rows, columns],
      data: data.map(
        (value, flat) => alpha * value + beta * added(Math.floor(flat / columns), flat % columns),
      ),
    },
  ];
};

/** `auto_pad` as numbers. */
function withPads(call: Call, own: Sliding, count: number): Sliding {
  if (call.text('auto_pad', 'NOTSET') !== 'SAME_UPPER') return own;
  const total = Math.max(0, (count - 1) * own.stride + own.reach - own.size);
  return { ...own, pads: [Math.floor(total / 2), Math.ceil(total / 2)] };
}

/** Pairs of a pixel and a window that covers it, and their place in the kernel: each flat. */
interface Covered {
  readonly pixels: readonly number[];
  readonly windows: readonly number[];
  readonly places: readonly number[];
}

/** Every pair of a pixel and a window that covers it. */
function covered(
  call: Call,
  sides: readonly number[],
  kernel: readonly number[],
  windows: readonly number[],
): Covered {
  const along = slidings(call, sides, kernel).map((own, axis) => withPads(call, own, at(windows, axis)));
  const gaps = call.ints('dilations') ?? kernel.map(() => 1);
  const found = { pixels: [] as number[], windows: [] as number[], places: [] as number[] };
  const [bySide, byWindow, byPlace] = [strides(sides), strides(windows), strides(kernel)];
  collect([...windows, ...kernel], (index) => {
    const [window, place] = [index.slice(0, windows.length), index.slice(windows.length)];
    const pixel = along.map(
      ({ stride, pads }, axis) => at(window, axis) * stride - at(pads, 0) + at(place, axis) * at(gaps, axis),
    );
    if (pixel.some((position, axis) => position < 0 || position >= at(sides, axis))) return 0;
    found.pixels.push(flatIndex(pixel, bySide));
    found.windows.push(flatIndex(window, byWindow));
    found.places.push(flatIndex(place, byPlace));
    return 0;
  });
  return found;
}

/** A plane of a tensor: its numbers, and which is the first. */
interface Plane {
  readonly data: Float64Array;
  readonly start: number;
}

/** Adds to one plane the products of two others, element by element of the three lists. */
function addProducts(
  [target, to]: readonly [Plane, readonly number[]],
  [left, from]: readonly [Plane, readonly number[]],
  [right, by]: readonly [Plane, readonly number[]],
): void {
  for (let pair = 0; pair < to.length; pair++) {
    const place = target.start + (to[pair] ?? NaN);
    const factor = left.data[left.start + (from[pair] ?? NaN)] ?? NaN;
    target.data[place] =
      (target.data[place] ?? NaN) + factor * (right.data[right.start + (by[pair] ?? NaN)] ?? NaN);
  }
}

const conv: Rule = (call, [x, w, bias]) => {
  const [input, weight] = [first(x), first(w)];
  const [batch, channels, ...sides] = call.map(0);
  const [out, width, ...kernel] = call.map(1);
  const perGroup = out / call.int('group', 1);
  const windows = windowedShape(call, sides, kernel);
  const shape = [batch, out, ...windows];
  const data = new Float64Array(product(shape));
  const pairs = covered(call, sides, kernel, windows);
  const [side, size, kernelSize] = [product(sides), product(windows), product(kernel)];
  for (let image = 0; image < batch; image++)
    for (let filter = 0; filter < out; filter++)
      for (let channel = 0; channel < width; channel++) {
        const own = Math.floor(filter / perGroup) * width + channel;
        addProducts(
          [{ data, start: (image * out + filter) * size }, pairs.windows],
          [{ data: input.data, start: (image * channels + own) * side }, pairs.pixels],
          [{ data: weight.data, start: (filter * width + channel) * kernelSize }, pairs.places],
        );
      }
  return [withBias({ shape, data }, bias)];
};

/** One number for each channel, added to a map. */
const withBias = ({ shape, data }: Tensor, bias: Tensor | undefined): Tensor => {
  if (!bias) return { shape, data };
  return perChannel({ shape, data }, (value, channel) => value + at(bias.data, channel));
};

const convTranspose: Rule = (call, [x, w, bias]) => {
  const [input, weight] = [first(x), first(w)];
  const [batch, channels, ...windows] = call.map(0);
  const [, width, ...kernel] = call.map(1);
  const group = call.int('group', 1);
  const shape = operatorOf(call.node)?.infer(call)[0]?.shape ?? [];
  const sides = shape.slice(2);
  const data = new Float64Array(product(shape));
  const pairs = covered(call, sides, kernel, windows);
  const [side, size, kernelSize] = [product(sides), product(windows), product(kernel)];
  for (let image = 0; image < batch; image++)
    for (let channel = 0; channel < channels; channel++)
      for (let filter = 0; filter < width; filter++) {
        const own = Math.floor(channel / (channels / group)) * width + filter;
        addProducts(
          [{ data, start: (image * width * group + own) * side }, pairs.pixels],
          [{ data: input.data, start: (image * channels + channel) * size }, pairs.windows],
          [{ data: weight.data, start: (channel * width + filter) * kernelSize }, pairs.places],
        );
      }
  return [withBias({ shape, data }, bias)];
};

const layerNorm: Rule = (call, [x, scale, bias]) => {
  const axis = lastAxis(call);
  const width = product(first(x).shape.slice(axis));
  const epsilon = call.float('epsilon', 1e-5);
  const rows = rowsOf(first(x), width).map((row) => {
    const mean = sum(row) / width;
    const inverse = 1 / Math.sqrt(sum(row.map((value) => (value - mean) ** 2)) / width + epsilon);
    const normed = row.map(
      (value, place) => (value - mean) * inverse * at(first(scale).data, place) + (bias?.data[place] ?? 0),
    );
    return { mean, inverse, normed };
  });
  const statistics = first(x).shape.map((size, place) => (place < axis ? size : 1));
  return [
    like(
      first(x),
      rows.flatMap(({ normed }) => normed),
    ),
    { shape: statistics, data: Float64Array.from(rows, ({ mean }) => mean) },
    { shape: statistics, data: Float64Array.from(rows, ({ inverse }) => inverse) },
  ];
};

const rmsNorm: Rule = (call, [x, scale]) => {
  const width = product(first(x).shape.slice(lastAxis(call)));
  const normed = rowsOf(first(x), width).flatMap((row) => {
    const root = Math.sqrt(sum(row.map((value) => value * value)) / width + call.float('epsilon', 1e-5));
    return row.map((value, place) => (value / root) * at(first(scale).data, place));
  });
  return [like(first(x), normed)];
};

const perChannel = (x: Tensor, compute: (value: number, channel: number) => number): Tensor => {
  const [step, channels] = [at(strides(x.shape), 1), at(x.shape, 1)];
  return like(
    x,
    x.data.map((value, flat) => compute(value, Math.floor(flat / step) % channels)),
  );
};

const batchNorm: Rule = (call, [x, scale, bias, mean, variance]) => {
  const epsilon = call.float('epsilon', 1e-5);
  const factors = first(scale).data.map(
    (own, channel) => own / Math.sqrt(at(first(variance).data, channel) + epsilon),
  );
  const moved = (value: number, channel: number): number =>
    (value - at(first(mean).data, channel)) * at(factors, channel) + at(first(bias).data, channel);
  return [perChannel(first(x), moved)];
};

const groupNorm: (groups: (call: Call) => number) => Rule =
  (groups) =>
  (call, [x, scale, bias]) => {
    const count = groups(call);
    const width = first(x).data.length / (call.size(0, 0) * count);
    const normed = rowsOf(first(x), width).flatMap((row) => {
      const mean = sum(row) / width;
      const root = Math.sqrt(
        sum(row.map((value) => (value - mean) ** 2)) / width + call.float('epsilon', 1e-5),
      );
      return row.map((value) => (value - mean) / root);
    });
    const each = (vector: Tensor | undefined, channel: number): number =>
      at(first(vector).data, Math.floor((channel * first(vector).data.length) / call.size(0, 1)));
    return [
      perChannel(
        like(first(x), normed),
        (value, channel) => value * each(scale, channel) + each(bias, channel),
      ),
    ];
  };

/** What a pooling makes of the pixels of each window; `all` counts padding too. */
const pool =
  (compute: (values: readonly number[], all: number, call: Call) => number): Rule =>
  (call, [x]) => {
    const [batch, channels, ...sides] = call.map(0);
    const kernel = call.ints('kernel_shape') ?? [];
    const windows = windowedShape(call, sides, kernel);
    const shape = [batch, channels, ...windows];
    const found = Array.from({ length: product(shape) }, (): { value: number; flat: number }[] => []);
    const pairs = covered(call, sides, kernel, windows);
    const [side, size] = [product(sides), product(windows)];
    for (let plane = 0; plane < batch * channels; plane++)
      pairs.pixels.forEach((pixel, pair) => {
        const flat = plane * side + pixel;
        at(found, plane * size + at(pairs.windows, pair)).push({ value: at(first(x).data, flat), flat });
      });
    const data = Float64Array.from(found, (own) =>
      compute(
        own.map(({ value }) => value),
        product(kernel),
        call,
      ),
    );
    const largest = found.map(
      (own) => own.reduce((best, each) => (each.value > best.value ? each : best)).flat,
    );
    return [
      { shape, data },
      { shape, data: Float64Array.from(largest) },
    ];
  };

const cubic = (distance: number): number => {
  const [d, a] = [Math.abs(distance), -0.75];
  if (d <= 1) return (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1;
  return d < 2 ? a * d ** 3 - 5 * a * d ** 2 + 8 * a * d - 4 * a : 0;
};

/** One axis of a Resize without antialiasing. */
const resize: Rule = (call, [x]) => {
  const shape = operatorOf(call.node)?.infer(call)[0]?.shape ?? [];
  const mode = call.text('mode', 'nearest');
  const corners = call.text('coordinate_transformation_mode', 'half_pixel') === 'align_corners';
  const result = shape.reduce<Tensor>((from, size, axis) => {
    const own = at(from.shape, axis);
    if (own === size) return from;
    const scale = call.has(2) && call.values(2).length > 0 ? at(call.values(2), axis) : size / own;
    const sides = from.shape.map((side, place) => (place === axis ? size : side));
    const steps = strides(from.shape);
    const data = collect(sides, (index) => {
      const place = at(index, axis);
      const middle = corners ? (place * (own - 1)) / Math.max(1, size - 1) : (place + 0.5) / scale - 0.5;
      const base = Math.floor(middle);
      const read = (position: number): number =>
        at(
          from.data,
          flatIndex(
            index.map((each, other) => (other === axis ? Math.min(own - 1, Math.max(0, position)) : each)),
            steps,
          ),
        );
      if (mode === 'nearest') return read(Math.ceil(middle - 0.5));
      if (mode === 'linear') return read(base) * (1 - (middle - base)) + read(base + 1) * (middle - base);
      return sum([-1, 0, 1, 2].map((step) => read(base + step) * cubic(middle - base - step)));
    });
    return { shape: sides, data };
  }, first(x));
  return [result];
};

/** What `reduction` makes of an element and what is written over it. */
const replaced = (call: Call, old: number, update: number): number =>
  call.text('reduction', 'none') === 'add' ? old + update : update;

const scatterElements: Rule = (call, [x, places, updates]) => {
  const axis = call.axis(call.int('axis', 0), call.rank(0));
  const data = first(x).data.slice();
  const steps = strides(first(x).shape);
  let flat = 0;
  collect(first(places).shape, (index) => {
    const target = flatIndex(
      index.map((each, other) => (other === axis ? at(first(places).data, flat) : each)),
      steps,
    );
    data[target] = replaced(call, at(data, target), at(first(updates).data, flat++));
    return 0;
  });
  return [like(first(x), data)];
};

/** First element and length of the part that each row of indices names. */
const namedParts = (call: Call, places: Tensor): readonly (readonly [start: number, length: number])[] => {
  const depth = at(places.shape, places.shape.length - 1);
  const steps = strides(call.shape(0));
  const length = product(call.shape(0).slice(depth));
  return rowsOf(places, depth).map((row) => [sum(row.map((place, axis) => place * at(steps, axis))), length]);
};

const scatterND: Rule = (call, [x, places, updates]) => {
  const data = first(x).data.slice();
  namedParts(call, first(places)).forEach(([start, length], row) => {
    for (let place = 0; place < length; place++)
      data[start + place] = replaced(
        call,
        at(data, start + place),
        at(first(updates).data, row * length + place),
      );
  });
  return [like(first(x), data)];
};

const gatherND: Rule = (call, [x, places]) => {
  const shape = operatorOf(call.node)?.infer(call)[0]?.shape ?? [];
  const data = namedParts(call, first(places)).flatMap(([start, length]) => [
    ...first(x).data.subarray(start, start + length),
  ]);
  return [{ shape, data: Float64Array.from(data) }];
};

const topK: Rule = (call, [x]) => {
  const axis = call.axis(call.int('axis', -1), call.rank(0));
  assert.equal(axis, call.rank(0) - 1, 'TopK of the last axis alone');
  const shape = operatorOf(call.node)?.infer(call)[0]?.shape ?? [];
  const count = at(shape, axis);
  const ranked = rowsOf(first(x), call.size(0, axis)).map((row) =>
    row
      .map((value, place) => ({ value, place }))
      .sort((a, b) => b.value - a.value)
      .slice(0, count),
  );
  return [
    { shape, data: Float64Array.from(ranked.flat(), ({ value }) => value) },
    { shape, data: Float64Array.from(ranked.flat(), ({ place }) => place) },
  ];
};

const argMax: Rule = (call, [x]) => {
  const axis = call.axis(call.int('axis', 0), call.rank(0));
  const shape = operatorOf(call.node)?.infer(call)[0]?.shape ?? [];
  const found = lines(first(x), axis, (line) => line.map(() => line.indexOf(Math.max(...line))));
  // Every element of a line has the line's place: one of each is left.
  const kept = found.shape.map((size, place) => (place === axis ? 1 : size));
  const steps = strides(found.shape);
  return [{ shape, data: collect(kept, (index) => at(found.data, flatIndex(index, steps))) }];
};

/** A sum over all letters of an equation without an ellipsis. */
const einsum: Rule = (call, inputs) => {
  const [left = '', right = ''] = call.text('equation', '').split('->');
  const terms = left.split(',');
  const sizes = new Map<string, number>();
  terms.forEach((term, index) =>
    [...term].forEach((letter, axis) =>
      sizes.set(letter, Math.max(sizes.get(letter) ?? 1, call.size(index, axis))),
    ),
  );
  const letters = [...sizes.keys()];
  const shape = [...right].map((letter) => sizes.get(letter) ?? 0);
  const data = new Float64Array(product(shape));
  const placeIn = (term: string, own: readonly number[], index: readonly number[]): number => {
    const steps = strides(own);
    return sum(
      [...term].map((letter, axis) =>
        at(own, axis) === 1 ? 0 : at(index, letters.indexOf(letter)) * at(steps, axis),
      ),
    );
  };
  collect([...sizes.values()], (index) => {
    const target = placeIn(right, shape, index);
    const factor = inputs.reduce(
      (value, { data: own }, operand) =>
        value * at(own, placeIn(at(terms, operand), call.shape(operand), index)),
      1,
    );
    data[target] = at(data, target) + factor;
    return 0;
  });
  return [{ shape, data }];
};

const blocks =
  (toSpace: boolean): Rule =>
  (call, [x]) => {
    const shape = operatorOf(call.node)?.infer(call)[0]?.shape ?? [];
    const [side, steps] = [call.int('blocksize', 1), strides(first(x).shape)];
    const columnFirst = call.text('mode', 'DCR') === 'CRD';
    const depth = toSpace ? at(shape, 1) : call.size(0, 1);
    const data = collect(shape, ([image = 0, channel = 0, row = 0, column = 0]) => {
      if (!toSpace) {
        const [place, own] = [Math.floor(channel / depth), channel % depth];
        return at(
          first(x).data,
          flatIndex(
            [image, own, row * side + Math.floor(place / side), column * side + (place % side)],
            steps,
          ),
        );
      }
      const place = (row % side) * side + (column % side);
      const own = columnFirst ? channel * side * side + place : place * depth + channel;
      return at(
        first(x).data,
        flatIndex([image, own, Math.floor(row / side), Math.floor(column / side)], steps),
      );
    });
    return [{ shape, data }];
  };

const reduced =
  (compute: (values: readonly number[]) => number): Rule =>
  (call, [x]) => {
    const sides = call.shape(0).slice(2);
    const rows = rowsOf(first(x), product(sides));
    return [
      {
        shape: [...call.shape(0).slice(0, 2), ...sides.map(() => 1)],
        data: Float64Array.from(rows, compute),
      },
    ];
  };

/** Place along an axis that a padded one repeats; -1 for none. */
const repeated: Readonly<Record<string, (place: number, size: number) => number>> = {
  constant: (place, size) => (place >= 0 && place < size ? place : -1),
  edge: (place, size) => Math.min(size - 1, Math.max(0, place)),
  reflect: (place, size) => (place < 0 ? -place : place >= size ? 2 * (size - 1) - place : place),
  wrap: (place, size) => (place + size) % size,
};

const pad: Rule = (call, [x]) => {
  const shape = operatorOf(call.node)?.infer(call)[0]?.shape ?? [];
  const before = call.list('pads', 1) ?? [];
  const steps = strides(first(x).shape);
  const source = repeated[call.text('mode', 'constant')] ?? assert.fail('mode');
  const data = collect(shape, (index) => {
    const places = index.map((place, axis) => source(place - at(before, axis), call.size(0, axis)));
    return places.includes(-1) ? 0 : at(first(x).data, flatIndex(places, steps));
  });
  return [{ shape, data }];
};

const cumSum: Rule = (call, [x]) => {
  const axis = call.axis(at(call.values(1), 0), call.rank(0));
  const running = (line: readonly number[]): readonly number[] =>
    line.map((_, place) => sum(line.slice(0, place + 1)));
  const isReverse = call.int('reverse', 0) !== 0;
  return [
    lines(first(x), axis, (line) => (isReverse ? running(line.toReversed()).toReversed() : running(line))),
  ];
};

const gridSample: Rule = (call, [x, grid]) => {
  const shape = operatorOf(call.node)?.infer(call)[0]?.shape ?? [];
  const [, , high = 1, wide = 1] = first(x).shape;
  const [from, by] = [strides(first(x).shape), strides(first(grid).shape)];
  const corners = call.int('align_corners', 0) !== 0;
  const pixel = (value: number, size: number): number =>
    corners ? ((value + 1) / 2) * (size - 1) : ((value + 1) * size - 1) / 2;
  const data = collect(shape, ([image = 0, channel = 0, row = 0, column = 0]) => {
    const [px, py] = [0, 1].map((axis) => at(first(grid).data, flatIndex([image, row, column, axis], by)));
    const [left, top] = [pixel(px ?? 0, wide), pixel(py ?? 0, high)];
    let total = 0;
    for (const dy of [0, 1])
      for (const dx of [0, 1]) {
        const [cx, cy] = [Math.floor(left) + dx, Math.floor(top) + dy];
        if (cx < 0 || cy < 0 || cx >= wide || cy >= high) continue;
        const share = (1 - Math.abs(left - cx)) * (1 - Math.abs(top - cy));
        total += share * at(first(x).data, flatIndex([image, channel, cy, cx], from));
      }
    return total;
  });
  return [{ shape, data }];
};

const rules: Readonly<Record<string, Rule>> = {
  Add: arithmetic((a, b) => a + b),
  Sub: arithmetic((a, b) => a - b),
  Mul: arithmetic((a, b) => a * b),
  Sum: arithmetic((a, b) => a + b),
  MatMul: matMul,
  Gemm: gemm,
  Einsum: einsum,
  Conv: conv,
  ConvTranspose: convTranspose,
  Softmax: (call, [x]) => [lines(first(x), lastAxis(call), softmaxOf)],
  LogSoftmax: (call, [x]) => [lines(first(x), lastAxis(call), (line) => softmaxOf(line).map(Math.log))],
  LpNormalization: (call, [x]) => [
    lines(first(x), lastAxis(call), (line) => line.map((value) => value / Math.hypot(...line))),
  ],
  LayerNormalization: layerNorm,
  RMSNormalization: rmsNorm,
  SimplifiedLayerNormalization: rmsNorm,
  BatchNormalization: batchNorm,
  InstanceNormalization: groupNorm((call) => call.size(0, 1)),
  GroupNormalization: groupNorm((call) => call.int('num_groups', 1)),
  AveragePool: pool(
    (values, all, call) => sum(values) / (call.int('count_include_pad', 0) ? all : values.length),
  ),
  MaxPool: pool((values) => Math.max(...values)),
  GlobalAveragePool: reduced((values) => sum(values) / values.length),
  GlobalMaxPool: reduced((values) => Math.max(...values)),
  Resize: resize,
  ScatterElements: scatterElements,
  ScatterND: scatterND,
  GatherND: gatherND,
  TopK: topK,
  ArgMax: argMax,
  DepthToSpace: blocks(true),
  SpaceToDepth: blocks(false),
  Erf: map(erf),
  Gelu: map((x, call) => (call.text('approximate', 'none') === 'tanh' ? tanhGelu(x) : gelu(x))),
  QuickGelu: map((x, call) => x * sigmoid(call.float('alpha', 1.702) * x)),
  FastGelu: (call, [x, bias]) => [
    like(
      first(x),
      first(x).data.map((value, flat) =>
        tanhGelu(value + (bias ? at(bias.data, flat % bias.data.length) : 0)),
      ),
    ),
  ],
  HardSigmoid: map((x, call) =>
    Math.min(1, Math.max(0, call.float('alpha', 0.2) * x + call.float('beta', 0.5))),
  ),
  HardSwish: map((x) => x * Math.min(1, Math.max(0, x / 6 + 0.5))),
  LeakyRelu: map((x, call) => (x > 0 ? x : call.float('alpha', 0.01) * x)),
  Elu: map((x, call) => (x > 0 ? x : call.float('alpha', 1) * Math.expm1(x))),
  PRelu: arithmetic((x, slope) => (x > 0 ? x : x * slope)),
  Mish: map((x) => x * Math.tanh(softplus(x))),
  Softplus: map(softplus),
  Softsign: map((x) => x / (1 + Math.abs(x))),
  ReduceLogSum: (call, inputs) => reducedBy('ReduceSum', call, inputs, Math.log),
  ReduceLogSumExp: (call, [x, ...rest]) =>
    reducedBy('ReduceSum', call, [like(first(x), first(x).data.map(Math.exp)), ...rest], Math.log),
  Pad: pad,
  CumSum: cumSum,
  GridSample: gridSample,
  Selu: map((x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x))),
  Celu: map(
    (x, call) =>
      Math.max(0, x) + Math.min(0, call.float('alpha', 1) * Math.expm1(x / call.float('alpha', 1))),
  ),
};

/** A reduction of the table, and a function of what it gives. */
function reducedBy(
  op: string,
  call: Call,
  inputs: readonly Tensor[],
  after: (value: number) => number,
): readonly Tensor[] {
  const [result] = folded(new Call({ ...call.node, op }, call.inputs, constantsOf(call, inputs)));
  return [like(first(result), first(result).data.map(after))];
}

const known = new WeakMap<Tensor, ConstantTensor>();

/** The same tensor in bytes: of every one once, as rules ask for it again and again. */
function encoded(dtype: DType, x: Tensor | undefined): ConstantTensor | undefined {
  const found = x && known.get(x);
  if (found?.dtype === dtype) return found;
  const made = x && encode(dtype, x.shape, x.data);
  if (x && made) known.set(x, made);
  return made;
}

const constantsOf =
  (call: Call, inputs: readonly Tensor[]) =>
  ({ name, dtype }: ValueInfo): ConstantTensor | undefined =>
    encoded(dtype, inputs[call.node.inputs.indexOf(name)]);

/** By the table's own rule for constants. */
function folded(call: Call): readonly Tensor[] {
  const row = operatorOf(call.node);
  if (!row?.fold) return assert.fail(`no values of ${call.node.op}`);
  const outputs = row.infer(call);
  return row
    .fold(call, at(outputs, 0), outputs)
    .map((values, index) => ({ shape: at(outputs, index).shape, data: Float64Array.from(values) }));
}

const isReal = (dtype: DType): boolean => /^B?F\d/.test(dtype);

/**
 * Runs a graph in double precision: what derivatives are held to, as float32 differences are too
 * coarse. Parameters are looked up by the names of their initializers.
 */
export function interpret(graph: Graph, given: ReadonlyMap<string, Tensor>): ReadonlyMap<string, Tensor> {
  const values = new Map<string, Tensor>(given);
  const types = new Map<string, DType>();
  const typeOf = (name: string): DType => {
    const dtype = types.get(name) ?? graph.values.get(name)?.dtype ?? 'F32';
    return isReal(dtype) ? 'F64' : dtype;
  };
  for (const name of graph.initializers.keys()) {
    const constant = constantIn(graph.initializers, name);
    const data = constant && decode(constant);
    if (constant && data) values.set(name, { shape: constant.shape, data: Float64Array.from(data) });
  }
  for (const node of graph.nodes) {
    if (node.outputs.every((name) => name === '' || values.has(name))) continue;
    const inputs = node.inputs.map((name) =>
      name === '' ? undefined : (values.get(name) ?? assert.fail(`${node.name}: ${name}`)),
    );
    const infos = node.inputs.map((name, index): ValueInfo | undefined => {
      const x = inputs[index];
      return x && { name, dtype: typeOf(name), shape: x.shape };
    });
    const constantOf = ({ name, dtype }: ValueInfo): ConstantTensor | undefined =>
      encoded(dtype, values.get(name));
    const call = new Call(node, infos, constantOf);
    const rule = Object.hasOwn(rules, node.op) ? rules[node.op] : undefined;
    const results = rule ? rule(call, inputs as readonly Tensor[]) : folded(call);
    node.outputs.forEach((name, index) => {
      if (name === '') return;
      const result = at(results, index);
      assert.equal(result.data.length, elementCount(result.shape), node.name);
      values.set(name, result);
    });
  }
  return values;
}
