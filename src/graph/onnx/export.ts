import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { dtypes, elementCount, type DType } from '../../checkpoint/tensors';
import {
  intOf,
  outputName,
  valueOf,
  type Attribute,
  type ConstantTensor,
  type Graph,
  type GraphOutput,
  type Initializer,
  type Node,
  type ValueInfo,
} from '../graph';
import { clampTo64 } from '../operators/constants';
import { neededNodes, readBy } from '../order';
import { tapNames } from '../rewrite/tapNames';

/**
 * Where a parameter's bytes are. `dtype` differs from the checkpoint's if the bytes were
 * converted; casts to it are left out then.
 */
export type Located = { readonly dtype?: DType } & (
  | {
      readonly kind: 'external';
      /** Path relative to the folder that the runtime is given, with `/`. */
      readonly location: string;
      readonly offset: number;
      readonly length: number;
    }
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
);

/** A value that leaves the graph, and the name it gets. */
type NamedValue = Pick<GraphOutput, 'name' | 'value'>;

export interface WriteOptions {
  /** Names of the graph's outputs that are wanted; all if absent. */
  readonly outputs?: readonly string[];
  /**
   * Probes (their indices) that become outputs named `attention.0`, `attention.1` …; none if
   * absent.
   */
  readonly probes?: readonly number[];
  /** Further values as outputs. */
  readonly taps?: readonly NamedValue[];
  /** Asked once for every parameter that is needed. Constants are written inline. */
  readonly locate: (initializer: Initializer) => Located;
}

/** ONNX IR version of operator sets 19 to 20. */
const irVersion = 9;

/**
 * Serialised ModelProto of what the wanted outputs need: other nodes, initializers and inputs are
 * left out, because the runtime computes all that a graph contains. Throws for an output that the
 * graph does not have.
 */
export function writeOnnx(graph: Graph, options: WriteOptions): Uint8Array {
  return concatenate(onnxParts(graph, options));
}

/** The same bytes in pieces, weights uncopied, for writing a large self-contained file. */
export function onnxParts(graph: Graph, options: WriteOptions): readonly Uint8Array[] {
  const plan = planModel(graph, options);
  const opsets = Object.entries(graph.opsets).map(([domain, version]) =>
    message((w) => (string(w, 1, domain), integer(w, 2, version))),
  );
  return [
    message((w) => (integer(w, 1, irVersion), string(w, 2, 'vitrine'))),
    ...field(7, graphParts(graph.name, plan)),
    ...opsets.flatMap((opset) => field(8, [opset])),
  ];
}

interface Plan {
  readonly nodes: readonly Node[];
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly initializers: readonly { readonly value: ValueInfo; readonly data: Located }[];
}

/**
 * Resolves outputs, drops what they do not need, and gives every value the name it has in the file.
 */
function planModel(graph: Graph, options: WriteOptions): Plan {
  const wanted = wantedOutputs(graph, options);
  const needed = neededNodes(
    graph,
    wanted.map(({ value }) => value),
  );
  const read = new Set([...needed.flatMap(readBy), ...wanted.map(({ value }) => value)]);
  const initializers = [...graph.initializers.values()]
    .filter(({ name }) => read.has(name))
    .map(locateWith(options));
  const converted = new Map(
    initializers.flatMap(({ value, data }) => (data.dtype ? [[value.name, data.dtype] as const] : [])),
  );
  const { nodes, aliases } = withoutCasts(needed, converted);
  const outputs = wanted.map(({ name, value }) => ({ name, value: aliases.get(value) ?? value }));
  const { names, copies } = outputNames(graph, nodes, outputs);
  const rename = (name: string): string => names.get(name) ?? name;
  return {
    nodes: [...nodes.map((node) => renamed(node, rename)), ...copies],
    inputs: graph.inputs.filter(({ name }) => read.has(name)),
    outputs: wanted.map(({ name, value }) => ({ ...valueOf(graph, value), name })),
    initializers: initializers.map(({ value, data }) => ({
      value: { ...value, name: rename(value.name) },
      data,
    })),
  };
}

function wantedOutputs(graph: Graph, options: WriteOptions): readonly NamedValue[] {
  const named = options.outputs?.map((name) => {
    const output = graph.outputs.find((candidate) => candidate.name === name);
    const known = graph.outputs.map((candidate) => candidate.name).join(', ');
    if (!output) throw new Error(`${graph.name} has no output ${name}; it has ${known}`);
    return output;
  });
  const maps = (options.probes ?? []).flatMap((index) => {
    const probe = graph.probes[index];
    if (!probe)
      throw new Error(`${graph.name} has ${graph.probes.length} attention maps, none has index ${index}`);
    return [
      { name: tapNames.map(index), value: probe.value },
      ...(probe.places === undefined ? [] : [{ name: tapNames.places(index), value: probe.places }]),
    ];
  });
  const outputs = [...(named ?? graph.outputs), ...maps, ...(options.taps ?? [])];
  const lost = outputs.find(({ value }) => !graph.values.has(value));
  if (lost) throw new Error(`${graph.name} has no value ${lost.value} for the output ${lost.name}`);
  return outputs;
}

const locateWith =
  ({ locate }: WriteOptions) =>
  ({ name, dtype, shape, data }: Initializer): { value: ValueInfo; data: Located } => {
    const located: Located =
      data.kind === 'constant' ? { kind: 'inline', bytes: data.bytes } : locate({ name, dtype, shape, data });
    return { value: { name, dtype: located.dtype ?? dtype, shape }, data: located };
  };

/**
 * Takes out the casts whose input already has the type they make; what they made becomes another
 * name of their input.
 */
function withoutCasts(
  nodes: readonly Node[],
  converted: ReadonlyMap<string, DType>,
): { nodes: readonly Node[]; aliases: ReadonlyMap<string, string> } {
  const aliases = new Map<string, string>();
  const rest = nodes.filter((node) => {
    const [source = ''] = node.inputs;
    const dtype = node.op === 'Cast' ? converted.get(source) : undefined;
    const superfluous = dtype !== undefined && intOf(node, 'to', -1) === dtypes[dtype].onnx;
    if (superfluous) aliases.set(outputName(node), source);
    return !superfluous;
  });
  return { nodes: rest.map((node) => renamed(node, (name) => aliases.get(name) ?? name)), aliases };
}

/**
 * New names of values so that outputs have theirs. A value that no node makes, or that is two
 * outputs, is copied by an Identity; a value that happens to bear an output's name steps aside.
 */
function outputNames(
  graph: Graph,
  nodes: readonly Node[],
  outputs: readonly NamedValue[],
): { names: ReadonlyMap<string, string>; copies: readonly Node[] } {
  const made = new Set(nodes.flatMap((node) => node.outputs));
  const names = new Map<string, string>();
  const copied = outputs.filter(({ name, value }) => {
    if (names.has(value)) return true;
    if (!made.has(value)) return value !== name;
    names.set(value, name);
    return false;
  });
  const isInput = new Set(graph.inputs.map(({ name }) => name));
  for (const { name, value } of outputs) {
    if (value === name || names.has(name) || !graph.values.has(name)) continue;
    if (isInput.has(name)) throw new Error(`${graph.name}: ${name} is both an input and an output`);
    names.set(name, `${name}/value`);
  }
  const copies = copied.map(({ name, value }) => identity(name, names.get(value) ?? value));
  return { names, copies };
}

const identity = (name: string, value: string): Node => ({
  name: `/output/${name}`,
  scope: '',
  op: 'Identity',
  domain: '',
  inputs: [value],
  outputs: [name],
  attributes: {},
});

const renamed = (node: Node, rename: (name: string) => string): Node => ({
  ...node,
  inputs: node.inputs.map(rename),
  outputs: node.outputs.map(rename),
});

function graphParts(name: string, plan: Plan): readonly Uint8Array[] {
  return [
    message((w) => {
      for (const node of plan.nodes) embed(w, 1, (inner) => writeNode(inner, node));
      string(w, 2, name);
    }),
    ...plan.initializers.flatMap(({ value, data }) => field(5, tensorParts(value, data))),
    message((w) => {
      for (const value of plan.inputs) embed(w, 11, (inner) => writeValue(inner, value));
      for (const value of plan.outputs) embed(w, 12, (inner) => writeValue(inner, value));
    }),
  ];
}

function writeNode(w: BinaryWriter, node: Node): void {
  // The runtime fuses a convolution with the norm behind it only if a bias that is not there is
  // not named either.
  const given = node.inputs.findLastIndex((input) => input !== '') + 1;
  for (const input of node.inputs.slice(0, given)) string(w, 1, input);
  for (const output of node.outputs) string(w, 2, output);
  string(w, 3, node.name);
  string(w, 4, node.op);
  for (const [name, attribute] of Object.entries(node.attributes))
    embed(w, 5, (inner) => (string(inner, 1, name), attributeWriters[attribute.type](inner, attribute)));
  if (node.domain) string(w, 7, node.domain);
}

type ValueOf<T extends Attribute['type']> = Extract<Attribute, { type: T }>['value'];

/** One kind of attribute: its AttributeType and the field its value is stored in. */
const attributeWriter =
  <T extends Attribute['type']>(type: number, write: (w: BinaryWriter, value: ValueOf<T>) => void) =>
  (w: BinaryWriter, attribute: Attribute): void => {
    write(w, attribute.value as ValueOf<T>);
    integer(w, 20, type);
  };

const attributeWriters: Readonly<Record<Attribute['type'], (w: BinaryWriter, attribute: Attribute) => void>> =
  {
    float: attributeWriter<'float'>(1, (w, value) => w.tag(2, WireType.Bit32).float(value)),
    int: attributeWriter<'int'>(2, (w, value) => integer(w, 3, value)),
    string: attributeWriter<'string'>(3, (w, value) => string(w, 4, value)),
    tensor: attributeWriter<'tensor'>(4, (w, value) =>
      w.tag(5, WireType.LengthDelimited).bytes(constantBytes(value)),
    ),
    floats: attributeWriter<'floats'>(6, (w, values) => {
      for (const value of values) w.tag(7, WireType.Bit32).float(value);
    }),
    ints: attributeWriter<'ints'>(7, (w, values) => {
      for (const value of values) integer(w, 8, value);
    }),
    strings: attributeWriter<'strings'>(8, (w, values) => {
      for (const value of values) string(w, 9, value);
    }),
  };

const constantBytes = ({ dtype, shape, bytes }: ConstantTensor): Uint8Array =>
  concatenate(tensorParts({ name: '', dtype, shape }, { kind: 'inline', bytes }));

/** TensorProto: dims, type and name, then raw_data or the place of external data. */
function tensorParts(value: ValueInfo, data: Located): readonly Uint8Array[] {
  const head = message((w) => {
    for (const size of value.shape) integer(w, 1, size);
    integer(w, 2, dtypes[value.dtype].onnx);
    string(w, 8, value.name);
  });
  const expected = Math.ceil(elementCount(value.shape) * dtypes[value.dtype].bytes);
  const found = data.kind === 'inline' ? data.bytes.length : data.length;
  if (found !== expected)
    throw new Error(
      `${value.name}: ${found} bytes for ${value.dtype} [${value.shape.join(', ')}], ${expected} needed`,
    );
  if (data.kind === 'inline') return [head, ...field(9, [data.bytes])];
  const entries = { location: data.location, offset: String(data.offset), length: String(data.length) };
  const place = message((w) => {
    for (const [key, text] of Object.entries(entries))
      embed(w, 13, (inner) => (string(inner, 1, key), string(inner, 2, text)));
    integer(w, 14, 1);
  });
  return [head, place];
}

/** ValueInfoProto with a tensor type of fixed shape. */
function writeValue(w: BinaryWriter, { name, dtype, shape }: ValueInfo): void {
  string(w, 1, name);
  embed(w, 2, (type) =>
    embed(type, 1, (tensor) => {
      integer(tensor, 1, dtypes[dtype].onnx);
      embed(tensor, 2, (sizes) =>
        shape.forEach((size) => embed(sizes, 1, (inner) => integer(inner, 1, size))),
      );
    }),
  );
}

const string = (w: BinaryWriter, number: number, value: string): void => {
  w.tag(number, WireType.LengthDelimited).string(value);
};

const integer = (w: BinaryWriter, number: number, value: number): void => {
  w.tag(number, WireType.Varint).int64(Number.isSafeInteger(value) ? value : clampTo64(value, 'I64'));
};

const embed = (w: BinaryWriter, number: number, write: (inner: BinaryWriter) => void): void => {
  w.tag(number, WireType.LengthDelimited).fork();
  write(w);
  w.join();
};

const message = (write: (w: BinaryWriter) => void): Uint8Array => {
  const w = new BinaryWriter();
  write(w);
  return w.finish();
};

/**
 * A length-delimited field made of pieces, which stay uncopied (weights of an export are most of
 * the file).
 */
const field = (number: number, parts: readonly Uint8Array[]): readonly Uint8Array[] => {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return [message((w) => w.tag(number, WireType.LengthDelimited).uint32(length)), ...parts];
};

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part, offset);
    offset += part.length;
  }
  return result;
}
