import { field, int } from './protobufWriter';

/** A node of a file: what it computes, from which values, into which. */
export interface WrittenNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly name?: string;
  readonly domain?: string;
  /** Whole numbers, by the attribute's name. */
  readonly ints?: Readonly<Record<string, number | readonly number[]>>;
}

/** A local function of a file. */
export interface WrittenFunction {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly WrittenNode[];
}

/** A stored tensor of zeros, or of whole numbers. */
export interface WrittenTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly numbers?: readonly number[];
}

interface WrittenFile {
  readonly nodes: readonly WrittenNode[];
  readonly weights?: readonly WrittenTensor[];
  readonly functions?: readonly WrittenFunction[];
  /** Of the image `x`; [1, 3, 32, 32] if it is left out. */
  readonly image?: readonly number[];
  readonly outputs?: readonly string[];
}

/** Domain of local functions. */
const own = 'own';
const float32 = 1;
const int64 = 7;

/** Writes an .onnx file (onnx.proto3) of an image `x`; its output is `y` if none is named. */
export function onnxFile({
  nodes,
  weights = [],
  functions = [],
  image,
  outputs = ['y'],
}: WrittenFile): Buffer {
  const graph = field(
    7,
    ...nodes.map((each) => field(1, ...nodeFields(each))),
    field(2, 'g'),
    ...weights.map((each) => field(5, ...tensorFields(each))),
    field(11, field(1, 'x'), tensorType(image ?? [1, 3, 32, 32])),
    ...outputs.map((name) => field(12, field(1, name))),
  );
  const opsets = [field(8, int(2, 17)), field(8, field(1, own), int(2, 1))];
  return Buffer.concat([int(1, 8), graph, ...opsets, ...functions.map(functionField)]);
}

const tensorType = (shape: readonly number[]): Buffer =>
  field(2, field(1, int(1, float32), field(2, ...shape.map((size) => field(1, int(1, size))))));

function nodeFields({ op, inputs, outputs, name = '', domain, ints = {} }: WrittenNode): readonly Buffer[] {
  return [
    ...inputs.map((each) => field(1, each)),
    ...outputs.map((each) => field(2, each)),
    field(3, name),
    field(4, op),
    ...Object.entries(ints).map(([key, value]) =>
      typeof value === 'number'
        ? field(5, field(1, key), int(3, value), int(20, 2))
        : field(5, field(1, key), ...value.map((each) => int(8, each)), int(20, 7)),
    ),
    ...(domain === undefined ? [] : [field(7, domain)]),
  ];
}

function tensorFields({ name, shape, numbers }: WrittenTensor): readonly Buffer[] {
  const count = shape.reduce((product, size) => product * size, 1);
  const raw = numbers ? Buffer.from(BigInt64Array.from(numbers, BigInt).buffer) : Buffer.alloc(4 * count);
  return [
    ...shape.map((size) => int(1, size)),
    int(2, numbers ? int64 : float32),
    field(8, name),
    field(9, raw),
  ];
}

const functionField = ({ name, inputs, outputs, nodes }: WrittenFunction): Buffer =>
  field(
    25,
    field(1, name),
    ...inputs.map((each) => field(4, each)),
    ...outputs.map((each) => field(5, each)),
    ...nodes.map((each) => field(7, ...nodeFields(each))),
    field(9, int(2, 17)),
    field(9, field(1, own), int(2, 1)),
    field(10, own),
  );

/** A chain of operators from `x` to `y`, each reading what the one before it made. */
export function chain(
  length: number,
  of: (from: string, to: string, index: number) => WrittenNode,
): readonly WrittenNode[] {
  return Array.from({ length }, (_, index) =>
    of(index === 0 ? 'x' : `v${index}`, index === length - 1 ? 'y' : `v${index + 1}`, index),
  );
}

/**
 * Functions of which each calls the one before it so many times, in a row; the first computes so
 * many operators. `f<depth - 1>` is the last one.
 */
export function nestedFunctions(depth: number, calls: number): readonly WrittenFunction[] {
  return Array.from({ length: depth }, (_, level) => ({
    name: `f${level}`,
    inputs: ['a'],
    outputs: ['b'],
    nodes: Array.from({ length: calls }, (_, call) => ({
      op: level === 0 ? 'Relu' : `f${level - 1}`,
      inputs: [call === 0 ? 'a' : `t${call}`],
      outputs: [call === calls - 1 ? 'b' : `t${call + 1}`],
      ...(level > 0 && { domain: own }),
    })),
  }));
}
