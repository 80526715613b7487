import type { Format } from '../format';
import type { ByteSource } from '../byteSource';
import { CheckpointError } from '../errors';
import { limits } from '../limits';
import { checkOnnxModel } from './onnxChecks';
import type {
  OnnxAttribute,
  OnnxDimension,
  OnnxFunction,
  OnnxGraph,
  OnnxModel,
  OnnxNode,
  OnnxValue,
} from './onnxModel';
import { onnxDtype, readPair, repeatedVarints, TensorReader } from './onnxTensors';
import { ProtoMessage, signed, type ProtoField } from '../containers/protobuf';
import { elementCount, type Tensor } from '../tensors';
import { unwrapNames } from '../unwrap';

/**
 * Open Neural Network Exchange: a protobuf of graph and weights
 * (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
 */
export const onnx: Format = {
  name: 'onnx',

  matches(head) {
    // ir_version as the first field, then producer, graph or opset_import: every exporter writes
    // the fields in order.
    const [first, version = 0, second = 0] = head;
    return (
      first === 0x08 &&
      version > 0 &&
      version < 0x80 &&
      [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42].includes(second)
    );
  },

  async read(source) {
    const model = await readOnnxModel(source);
    return {
      format: 'onnx',
      files: model.files,
      stateDicts: unwrapNames(model.graph.initializers),
      extras: model.functions.map(({ domain, name }) => ({ name: `${domain}.${name}`, summary: 'function' })),
      metadata: {
        producer: model.producer,
        opset: Object.entries(model.opsets)
          .map(([domain, version]) => `${domain || 'ai.onnx'} ${version}`)
          .join(', '),
        ...model.metadata,
      },
      warnings: model.warnings,
      onnx: model,
    };
  },
};

/**
 * Reads an .onnx file: everything but the weights' values. Throws `CheckpointError`: `malformed`
 * where the protobuf or the graph's structure is broken (cycles, names without a producer, wrong
 * sizes), `unsafe` where external data points out of the folder.
 */
export async function readOnnxModel(source: ByteSource): Promise<OnnxModel> {
  const reader = new ModelReader(source);
  const read = await reader.read();
  const model = { ...read, graph: withStoredConstants(read.graph) };
  return { ...model, warnings: await checkOnnxModel(source, model) };
}

/** Elements of arrays of real numbers: single ones are exponents, epsilons and scales. */
const realElements = ({ dtype, shape }: Tensor): number =>
  /^B?F/.test(dtype) && elementCount(shape) > 1 ? elementCount(shape) : 0;

const total = (tensors: readonly Tensor[]): number =>
  tensors.reduce((sum, tensor) => sum + realElements(tensor), 0);

/** What a Constant node holds, under the name of its output. */
function heldBy({ opType, domain, attributes, outputs: [output] }: OnnxNode): Tensor | undefined {
  const value = opType === 'Constant' && domain === '' ? attributes['value'] : undefined;
  if (value?.type !== 'tensor' || !output || realElements(value.value) === 0) return undefined;
  return { ...value.value, name: output };
}

/**
 * Weights that an exporter wrote into Constant nodes, as initializers: a model that is traced from
 * outside has all of them there. Where initializers hold most of the numbers, constants are the
 * exporter's own.
 */
function withStoredConstants(graph: OnnxGraph): OnnxGraph {
  const held = new Map(graph.nodes.map((node) => [node, heldBy(node)] as const));
  const constants = [...held.values()].flatMap((tensor) => tensor ?? []);
  if (total(constants) <= total(graph.initializers)) return graph;
  return {
    ...graph,
    nodes: graph.nodes.filter((node) => !held.get(node)),
    initializers: [...graph.initializers, ...constants],
  };
}

const noAttributes: OnnxNode['attributes'] = Object.freeze({});
const noMetadata: OnnxNode['metadata'] = Object.freeze({});

class ModelReader {
  private readonly tensors: TensorReader;
  private nodes = 0;

  constructor(private readonly source: ByteSource) {
    this.tensors = new TensorReader(source);
  }

  async read(): Promise<OnnxModel> {
    const fields = byNumber(await ProtoMessage.of(this.source).fields());
    const graph = fields.get(7)?.at(-1);
    if (!graph) throw this.refuse('the model has no graph: this may be no ONNX model at all');
    const producer = [await lastText(fields, 2), await lastText(fields, 3)].filter(Boolean).join(' ');
    const read = {
      irVersion: Number(lastNumber(fields, 1)),
      opsets: await this.opsets(fields.get(8)),
      producer,
      functions: await each(fields.get(25), (message) => this.function(message)),
      metadata: await pairs(fields.get(14)),
      graph: await this.graph(graph.payload, 0),
    };
    return { ...read, files: [this.source.file, ...this.tensors.files].filter(isFirst), warnings: [] };
  }

  private async opsets(fields: readonly ProtoField[] | undefined): Promise<Record<string, number>> {
    const entries = await each(fields, async (message) => {
      const parts = byNumber(await message.fields());
      return [normalDomain(await lastText(parts, 1)), Number(signed(lastNumber(parts, 2)))] as const;
    });
    return Object.fromEntries(entries);
  }

  private async graph(message: ProtoMessage, depth: number): Promise<OnnxGraph> {
    if (depth > limits.onnxDepth)
      throw this.refuse(`subgraphs are nested more than ${limits.onnxDepth} levels deep`, 'unsupported');
    const fields = byNumber(await message.fields());
    if (fields.has(15))
      throw this.refuse('the graph has sparse initializers, which are not supported', 'unsupported');
    const initializers = await each(fields.get(5), (tensor) => this.tensors.read(tensor));
    const stored = new Set(initializers.map((tensor) => tensor.name));
    const inputs = await each(fields.get(11), (value) => this.value(value));
    return {
      name: await lastText(fields, 2),
      nodes: await each(fields.get(1), (node) => this.node(node, depth)),
      initializers,
      inputs: inputs.filter((value) => !stored.has(value.name)),
      defaults: inputs.flatMap(({ name }) => (stored.has(name) ? [name] : [])),
      outputs: await each(fields.get(12), (value) => this.value(value)),
      values: await each(fields.get(13), (value) => this.value(value)),
    };
  }

  private async node(message: ProtoMessage, depth: number): Promise<OnnxNode> {
    if (++this.nodes > limits.onnxNodes)
      throw this.refuse(`more than ${limits.onnxNodes} nodes`, 'unsupported');
    const fields = byNumber(await message.fields());
    const attributes = await each(fields.get(5), (attribute) => this.attribute(attribute, depth));
    return {
      name: await lastText(fields, 3),
      opType: await lastText(fields, 4),
      domain: normalDomain(await lastText(fields, 7)),
      inputs: await texts(fields.get(1)),
      outputs: await texts(fields.get(2)),
      attributes: attributes.length > 0 ? Object.fromEntries(attributes) : noAttributes,
      metadata: fields.has(9) ? await pairs(fields.get(9)) : noMetadata,
    };
  }

  private async attribute(
    message: ProtoMessage,
    depth: number,
  ): Promise<[name: string, value: OnnxAttribute]> {
    const fields = byNumber(await message.fields());
    const name = await lastText(fields, 1);
    const reference = await lastText(fields, 21);
    if (reference) return [name, { type: 'reference', value: reference }];
    const kind = attributeKinds[Number(lastNumber(fields, 20))] ?? kindByField(fields);
    const readAttribute = kind && attributeReaders[kind];
    if (!readAttribute) return [name, { type: 'other', value: `attribute type ${lastNumber(fields, 20)}` }];
    const context = {
      tensor: (tensor: ProtoMessage) => this.tensors.read(tensor, name),
      graph: (graph: ProtoMessage) => this.graph(graph, depth + 1),
      missing: () => this.refuse(`attribute ${name} says it is a ${kind} and has none`),
    };
    return [name, await readAttribute(fields, context)];
  }

  private async value(message: ProtoMessage): Promise<OnnxValue> {
    const fields = byNumber(await message.fields());
    const name = await lastText(fields, 1);
    const type = byNumber((await fields.get(2)?.at(-1)?.payload.fields()) ?? []);
    const tensor = type.get(1)?.at(-1);
    if (!tensor) return { name };
    const parts = byNumber(await tensor.payload.fields());
    const dtype = onnxDtype(lastNumber(parts, 1));
    const shape = parts.get(2)?.at(-1);
    return {
      name,
      ...(dtype ? { dtype } : {}),
      ...(shape ? { shape: await this.dimensions(name, shape.payload) } : {}),
    };
  }

  private async dimensions(name: string, message: ProtoMessage): Promise<OnnxDimension[]> {
    return each(byNumber(await message.fields()).get(1), async (dimension) => {
      const fields = byNumber(await dimension.fields());
      if (!fields.has(1)) return lastText(fields, 2);
      const size = signed(lastNumber(fields, 1));
      if (typeof size === 'bigint') throw this.refuse(`the shape of ${name} has a dimension of ${size}`);
      // Some exporters write -1 for a free dimension.
      return size < 0 ? '' : size;
    });
  }

  private async function(message: ProtoMessage): Promise<OnnxFunction> {
    const fields = byNumber(await message.fields());
    return {
      name: await lastText(fields, 1),
      domain: normalDomain(await lastText(fields, 10)),
      inputs: await texts(fields.get(4)),
      outputs: await texts(fields.get(5)),
      attributes: await texts(fields.get(6)),
      nodes: await each(fields.get(7), (node) => this.node(node, 0)),
      opsets: await this.opsets(fields.get(9)),
    };
  }

  private refuse(detail: string, kind: 'malformed' | 'unsupported' = 'malformed'): CheckpointError {
    return new CheckpointError(kind, this.source.path, detail);
  }
}

type Fields = ReadonlyMap<number, readonly ProtoField[]>;

/** AttributeProto.AttributeType. */
const attributeKinds = [
  undefined,
  'float',
  'int',
  'string',
  'tensor',
  'graph',
  'floats',
  'ints',
  'strings',
  'tensors',
  'graphs',
] as const;

type AttributeKind = NonNullable<(typeof attributeKinds)[number]>;

/**
 * Files before IR version 3 do not state the type: then it follows from the field that is filled.
 */
function kindByField(fields: Fields): AttributeKind | undefined {
  const kinds: Readonly<Record<number, AttributeKind>> = {
    2: 'float',
    3: 'int',
    4: 'string',
    5: 'tensor',
    6: 'graph',
    7: 'floats',
    8: 'ints',
    9: 'strings',
    10: 'tensors',
    11: 'graphs',
  };
  return lastNumber(fields, 20) === 0
    ? [...fields.keys()].map((number) => kinds[number]).find(Boolean)
    : undefined;
}

interface AttributeContext {
  tensor(message: ProtoMessage): Promise<Tensor>;
  graph(message: ProtoMessage): Promise<OnnxGraph>;
  missing(): CheckpointError;
}

const attributeReaders: {
  readonly [Kind in AttributeKind]: (
    fields: Fields,
    context: AttributeContext,
  ) => Promise<Extract<OnnxAttribute, { type: Kind }>>;
} = {
  float: async (fields) => ({ type: 'float', value: (await floats(fields.get(2))).at(-1) ?? 0 }),
  int: async (fields) => ({ type: 'int', value: signed(lastNumber(fields, 3)) }),
  string: async (fields) => ({ type: 'string', value: await lastText(fields, 4) }),
  tensor: async (fields, context) => ({
    type: 'tensor',
    value: await context.tensor(payload(fields, 5, context)),
  }),
  graph: async (fields, context) => ({
    type: 'graph',
    value: await context.graph(payload(fields, 6, context)),
  }),
  floats: async (fields) => ({ type: 'floats', value: await floats(fields.get(7)) }),
  ints: async (fields) => ({ type: 'ints', value: (await repeatedVarints(fields.get(8) ?? [])).map(signed) }),
  strings: async (fields) => ({ type: 'strings', value: await texts(fields.get(9)) }),
  tensors: async (fields, context) => ({
    type: 'tensors',
    value: await each(fields.get(10), context.tensor),
  }),
  graphs: async (fields, context) => ({ type: 'graphs', value: await each(fields.get(11), context.graph) }),
};

function payload(fields: Fields, number: number, context: AttributeContext): ProtoMessage {
  const field = fields.get(number)?.at(-1);
  if (!field) throw context.missing();
  return field.payload;
}

/** `ai.onnx` is the long name of the standard's own domain. */
function normalDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain;
}

function byNumber(fields: readonly ProtoField[]): Fields {
  const groups = new Map<number, ProtoField[]>();
  for (const field of fields) {
    const group = groups.get(field.number);
    if (group) group.push(field);
    else groups.set(field.number, [field]);
  }
  return groups;
}

/** Of a field that is not repeated the last one counts (protobuf's rule). */
function lastNumber(fields: Fields, number: number): number | bigint {
  return fields.get(number)?.at(-1)?.value ?? 0;
}

async function lastText(fields: Fields, number: number): Promise<string> {
  return (await fields.get(number)?.at(-1)?.payload.text()) ?? '';
}

function texts(fields: readonly ProtoField[] | undefined): Promise<string[]> {
  return each(fields, (message) => message.text());
}

async function pairs(fields: readonly ProtoField[] | undefined): Promise<Record<string, string>> {
  return Object.fromEntries(await each(fields, readPair));
}

/** float fields: four bytes each, packed or not. */
async function floats(fields: readonly ProtoField[] | undefined): Promise<number[]> {
  const values: number[] = [];
  for (const field of fields ?? []) {
    const bytes = await field.payload.bytes();
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at + 4 <= bytes.length; at += 4) values.push(view.getFloat32(at, true));
  }
  return values;
}

async function each<T>(
  fields: readonly ProtoField[] | undefined,
  read: (message: ProtoMessage) => Promise<T>,
): Promise<T[]> {
  const values: T[] = [];
  for (const field of fields ?? []) values.push(await read(field.payload));
  return values;
}

function isFirst<T>(value: T, index: number, all: readonly T[]): boolean {
  return all.indexOf(value) === index;
}
