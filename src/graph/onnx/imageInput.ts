import type { OnnxModel, OnnxNode, OnnxValue } from '../../checkpoint/formats/onnxModel';
import type { DType } from '../../checkpoint/tensors';
import { toFloat32 } from '../../checkpoint/values';
import { at } from '../../domain/lists';
import type { PixelsInside } from '../../domain/pixels';
import type { ConstantTensor } from '../graph';

/** Constants of an .onnx file by value name, as `readShapeConstants` reads them. */
export type Constants = ReadonlyMap<string, ConstantTensor>;

/** The image input of an .onnx file, sizes as far as the file fixes them. */
export interface ImageInput {
  readonly name: string;
  readonly dtype: DType;
  /** Axes of `[batch, channels, height, width]` in the input's order; without a batch three. */
  readonly axes: readonly Axis[];
  readonly channels: number;
  /** Undefined if the file leaves it open. */
  readonly batch?: number;
  readonly height?: number;
  readonly width?: number;
  /** Absent if the graph takes normalised values. */
  readonly inside?: PixelsInside;
  /** Stored values that a normalisation inside of the graph works with. */
  readonly constants: readonly string[];
}

type Axis = 'batch' | 'channels' | 'height' | 'width';

/** Types of image inputs: floating point, or integers that hold bytes. */
const imageTypes: ReadonlySet<DType> = new Set(['F32', 'F16', 'BF16', 'F64', 'U8', 'I32']);
const byteTypes: ReadonlySet<DType> = new Set(['U8', 'I32']);
/** Channels of an input without a convolution behind it: satellites have 13, more is no image. */
const mostChannels = 16;
/** Operators between an input and its first convolution: exporters write a dozen at most. */
const longestWay = 32;

const channelsFirst = ['batch', 'channels', 'height', 'width'] as const;
const channelsLast = ['batch', 'height', 'width', 'channels'] as const;

/** The first input that takes images: by the convolution that reads it, else by its shape. */
export function imageInput(model: OnnxModel, constants: Constants = new Map()): ImageInput | undefined {
  const ways = new Ways(model, constants);
  const found = model.graph.inputs.flatMap((input) => imageOf(input, ways) ?? []);
  const [first] = found;
  // A mask [batch, 1, tokens, tokens] looks like an image, too.
  return found.find(({ name, axes }) => ways.from(name, axes.length).channels !== undefined) ?? first;
}

function imageOf(input: OnnxValue, ways: Ways): ImageInput | undefined {
  const { name, dtype, shape } = input;
  if (!shape || !dtype || !imageTypes.has(dtype) || shape.length < 3 || shape.length > 4) return undefined;
  const way = ways.from(name, shape.length);
  const axes =
    (way.channelAxis === undefined ? undefined : axesOf(way.channelAxis, shape.length)) ?? axesByShape(shape);
  if (!axes) return undefined;
  const stated = (axis: Axis): number | undefined => {
    const size = shape[axes.indexOf(axis)];
    return typeof size === 'number' && size > 0 ? size : undefined;
  };
  const channels = stated('channels') ?? way.channels ?? 3;
  if (way.channels !== undefined && channels !== way.channels) return undefined;
  if (way.channels === undefined && channels > mostChannels) return undefined;
  const inside: PixelsInside | undefined = byteTypes.has(dtype)
    ? { takes: 'bytes', source: `input ${name} is ${dtype}` }
    : way.inside;
  return {
    name,
    dtype,
    axes,
    channels,
    batch: stated('batch'),
    height: stated('height'),
    width: stated('width'),
    constants: way.constants,
    ...(inside && { inside }),
  };
}

function axesOf(channelAxis: number, rank: number): readonly Axis[] | undefined {
  const orders = [channelsFirst, channelsLast].map((order) => order.slice(4 - rank));
  return orders.find((order) => order[channelAxis] === 'channels');
}

/** Without a convolution: a few channels at the end, or else in front. */
function axesByShape(shape: readonly (number | string)[]): readonly Axis[] | undefined {
  const isFew = (size: number | string | undefined): boolean => typeof size === 'number' && size <= 4;
  const [first, last] = [shape.at(-3), shape.at(-1)];
  const order = isFew(last) && !isFew(first) ? channelsLast : channelsFirst;
  // Sequences have three axes, too.
  const isImage = shape.length === 4 || first === 3 || last === 3;
  return isImage ? order.slice(4 - shape.length) : undefined;
}

/** What lies between an input and the first convolution that reads it. */
interface Way {
  /** Axis of the input that the convolution takes for channels. */
  readonly channelAxis?: number;
  readonly channels?: number;
  readonly inside?: PixelsInside | undefined;
  readonly constants: readonly string[];
}

/** `scale · x + offset`, by channel or for all of them. */
interface Affine {
  readonly scale: readonly number[];
  readonly offset: readonly number[];
  /** Names of the operators that make it, and of the values that they work with. */
  readonly nodes: readonly string[];
  readonly constants: readonly string[];
}

const unchanged: Affine = { scale: [1], offset: [0], nodes: [], constants: [] };

/** Operators that leave values and axes as they are. */
const passing: ReadonlySet<string> = new Set([
  ...['Identity', 'Cast', 'Dropout', 'Pad', 'DequantizeLinear', 'QuantizeLinear', 'DynamicQuantizeLinear'],
]);
const linear: ReadonlySet<string> = new Set(['Mul', 'Div', 'Add', 'Sub']);

class Ways {
  private readonly readers = new Map<string, OnnxNode[]>();
  private readonly makers = new Map<string, OnnxNode>();
  private readonly shapes: ReadonlyMap<string, readonly number[]>;

  constructor(
    { graph }: OnnxModel,
    private readonly constants: Constants,
  ) {
    this.shapes = new Map(graph.initializers.map(({ name, shape }) => [name, shape]));
    for (const node of graph.nodes) {
      for (const output of node.outputs) this.makers.set(output, node);
      for (const input of node.inputs) {
        const known = this.readers.get(input);
        if (known) known.push(node);
        else this.readers.set(input, [node]);
      }
    }
  }

  /** Follows a value through casts, arithmetic with constants and transpositions. */
  from(input: string, rank: number): Way {
    let [value, order, affine] = [input, [...Array(rank).keys()], unchanged];
    for (let step = 0; step < longestWay; step++) {
      const node = this.next(value);
      if (!node) break;
      if (/Conv/.test(node.opType)) return { ...this.ofConvolution(node, order), ...done(affine) };
      const [output = ''] = node.outputs;
      if (node.opType === 'Transpose') {
        const perm = node.attributes['perm'];
        if (perm?.type !== 'ints') break;
        order = perm.value.map((axis) => order[Number(axis)] ?? -1);
      } else if (node.opType === 'ReorderInput' && node.attributes['channels_last']) {
        order = [order[0] ?? 0, order.at(-1) ?? 0, ...order.slice(1, -1)];
      } else if (node.opType === 'Unsqueeze' && order.length === 3) order = [-1, ...order];
      else if (linear.has(node.opType)) {
        const next = this.with(affine, node, value);
        if (!next) break;
        affine = next;
      } else if (!passing.has(node.opType) && node.opType !== 'ReorderInput') break;
      value = output;
    }
    return done(affine);
  }

  /** Shapes are asked for by the way; of what works on the values one goes on. */
  private next(value: string): OnnxNode | undefined {
    const readers = (this.readers.get(value) ?? []).filter(({ opType }) => opType !== 'Shape');
    return readers.length === 1 ? readers[0] : undefined;
  }

  private ofConvolution(node: OnnxNode, order: readonly number[]): Pick<Way, 'channelAxis' | 'channels'> {
    const isLast = /^Nhwc/.test(node.opType) || node.attributes['channels_last'] !== undefined;
    const channelAxis = isLast ? order.at(-1) : order[1];
    const group = node.attributes['group'];
    const weight = node.inputs.slice(1).map((name) => this.stored(name));
    const [, width] = weight.find((shape) => shape.length >= 3) ?? [];
    const groups = group?.type === 'int' ? Number(group.value) : 1;
    // Blocked kernels pad their channels.
    const blocked = node.domain.endsWith('nchwc');
    return {
      ...(channelAxis !== undefined && channelAxis >= 0 && { channelAxis }),
      ...(width !== undefined && !blocked && { channels: width * groups }),
    };
  }

  /** Shape of a stored tensor, converted at most. */
  private stored(name: string, depth = 0): readonly number[] {
    const maker = this.makers.get(name);
    if (!maker || depth > 4) return this.shapes.get(name) ?? [];
    return passing.has(maker.opType) ? this.stored(maker.inputs[0] ?? '', depth + 1) : [];
  }

  /** The affine map with an operator's after it; undefined if its other operand is not known. */
  private with(affine: Affine, { opType, name, inputs }: OnnxNode, value: string): Affine | undefined {
    const [left = '', right = ''] = inputs;
    const other = left === value ? right : left;
    const operand = this.constants.get(other);
    const isSwapped = left !== value && (opType === 'Div' || opType === 'Sub');
    if (!operand || isSwapped) return undefined;
    const values = [...toFloat32(operand.bytes, operand.dtype)];
    const count = Math.max(values.length, affine.scale.length);
    const spread = (list: readonly number[]): readonly number[] =>
      Array.from({ length: count }, (_, index) => at(list, list.length === 1 ? 0 : index));
    if (values.length !== 1 && affine.scale.length !== 1 && values.length !== affine.scale.length)
      return undefined;
    const [scale, offset, by] = [affine.scale, affine.offset, values].map(spread);
    if (!scale || !offset || !by) return undefined;
    const apply = (list: readonly number[], work: (a: number, b: number) => number): readonly number[] =>
      list.map((each, index) => work(each, at(by, index)));
    const nodes = [...affine.nodes, name || opType];
    const constants = [...affine.constants, other];
    if (opType === 'Mul' || opType === 'Div') {
      const work = opType === 'Mul' ? (a: number, b: number) => a * b : (a: number, b: number) => a / b;
      return { scale: apply(scale, work), offset: apply(offset, work), nodes, constants };
    }
    const work = opType === 'Add' ? (a: number, b: number) => a + b : (a: number, b: number) => a - b;
    return { scale, offset: apply(offset, work), nodes, constants };
  }
}

/** What a way did to values: its constants are no parameters if it is a normalisation. */
function done(affine: Affine): Pick<Way, 'inside' | 'constants'> {
  const found = inside(affine);
  return { inside: found, constants: found ? affine.constants : [] };
}

/**
 * What values an affine map wants that stands before the first layer. 1/255, alone or over a
 * deviation of 0.2 … 1, makes small numbers of bytes; a mean in the middle of 0 … 1 or of 0 … 255
 * is subtracted from what lies there. A mere scale is no normalisation.
 */
function inside({ scale, offset, nodes }: Affine): PixelsInside | undefined {
  if (nodes.length === 0) return undefined;
  const means = scale.map((each, index) => -at(offset, index) / each);
  const all = (test: (value: number) => boolean, of: readonly number[]): boolean => of.every(test);
  const source = `${nodes.join(', ')} of the graph`;
  if (all((each) => each > 1 / 1024 && each < 1 / 20, scale)) return { takes: 'bytes', source };
  if (all((mean) => mean > 60 && mean < 200, means)) return { takes: 'bytes', source };
  const isUnit =
    all((each) => each > 1.4 && each < 300, scale) && all((mean) => mean > 0.15 && mean < 0.85, means);
  return isUnit ? { takes: 'unit', source } : undefined;
}
