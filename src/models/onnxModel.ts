import type { Size } from '../domain/size';
import type { Opener } from '../checkpoint/byteSource';
import type { Checkpoint } from '../checkpoint/checkpoint';
import type { OnnxModel } from '../checkpoint/formats/onnxModel';
import { selectStateDict } from '../checkpoint/open';
import { elementCount } from '../checkpoint/tensors';
import { readTensor, toFloat32 } from '../checkpoint/values';
import type { ConstantTensor, Graph } from '../graph/graph';
import { importOnnx, ImportError, imageInput, readShapeConstants } from '../graph/onnx/import';
import { OperatorError } from '../graph/operators';
import type { ParameterCounts, Recognition, TensorRole } from '../architectures/family';
import { titleOfFamily } from '../architectures/recognise/recognise';
import { foldedPositions, positionTensors } from './foldedPositions';
import { modelAtSizes, unread, type Model, type Settings, type Understood } from './model';
import { describeOnnx, onnxParameters } from './onnxFamilies';

/** Assumed if an .onnx file leaves the size of its images open. */
const openSize = 224;

/**
 * What of an .onnx file decides what it is: its graph, and the few values that shapes depend on.
 */
export interface OnnxParts {
  readonly file: OnnxModel;
  readonly constants: ReadonlyMap<string, ConstantTensor>;
  /** Values of arrays that an exporter may have computed from position tables, by tensor name. */
  readonly positions: ReadonlyMap<string, Float32Array>;
}

/** Reads the values that understanding an .onnx file needs. Throws `CheckpointError`. */
export async function readOnnxParts(
  checkpoint: Checkpoint,
  file: OnnxModel,
  open: Opener,
): Promise<OnnxParts> {
  const constants = await readShapeConstants(file, (tensor) => readTensor(tensor, open));
  const graph = tryImport(file, constants);
  const tensors = graph ? positionTensors(graph, checkpoint) : [];
  const positions = tensors.map(
    async (tensor) => [tensor.name, toFloat32(await readTensor(tensor, open), tensor.dtype)] as const,
  );
  return { file, constants, positions: new Map(await Promise.all(positions)) };
}

/**
 * Returns the graph at the file's own size; nothing if it cannot be imported, which is said later.
 */
function tryImport(file: OnnxModel, constants: OnnxParts['constants']): Graph | undefined {
  const imageSize = ownSize(file);
  try {
    return imageSize && importOnnx(file, constants, { imageSize, batch: 1 });
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw error;
  }
}

const isRefusal = (error: unknown): error is Error =>
  error instanceof ImportError || error instanceof OperatorError;

function ownSize(file: OnnxModel): Size | undefined {
  const image = imageInput(file);
  return image && [image.height ?? openSize, image.width ?? openSize];
}

/**
 * Understands an .onnx file, without reading it: the graph is the file's own, the family is read
 * off it. It states all there is, so that nothing can be assumed.
 */
export function understandOnnx(checkpoint: Checkpoint, parts: OnnxParts, settings: Settings = {}): Model {
  const { stateDict } = settings;
  const chosen = stateDict === undefined ? checkpoint : selectStateDict(checkpoint, stateDict);
  return modelAtSizes((imageSize) => understoodAt(chosen, parts, imageSize));
}

function understoodAt(
  checkpoint: Checkpoint,
  { file, constants, positions }: OnnxParts,
  asked: Size | undefined,
): Understood {
  const dialect = 'onnx';
  const unknown = (reason: string): Understood => ({
    checkpoint,
    recognition: { family: null, dialect, reason },
    counts: countOnnx(checkpoint),
    unused: [],
  });
  const image = imageInput(file);
  const imageSize = asked ?? ownSize(file);
  if (!image || !imageSize) return unknown('no input takes pictures [batch, 3, height, width]');
  try {
    const own = importOnnx(file, constants, { imageSize, batch: 1 });
    const recognition = recognitionOf(own, image.height !== undefined && image.width !== undefined);
    const counts = countOnnx(checkpoint, own, foldedPositions(own, checkpoint, positions));
    const build = (size: Size, batch: number): Graph =>
      batch === 1 && size === imageSize ? own : importOnnx(file, constants, { imageSize: size, batch });
    return {
      checkpoint,
      recognition,
      counts,
      unused: unread(counts),
      imageSize,
      part: { name: 'whole', build },
    };
  } catch (error) {
    if (isRefusal(error)) return unknown(error.message);
    throw error;
  }
}

function recognitionOf(graph: Graph, fixedSize: boolean): Recognition {
  const dialect = 'onnx';
  const description = describeOnnx(graph, fixedSize);
  const { family } = description;
  if ('missing' in description)
    return {
      family: null,
      dialect,
      reason: 'an ONNX graph of no known family',
      nearest: { family, missing: description.missing },
    };
  const familyTitle = titleOfFamily(family);
  return { ...description.recognised, family, architecture: family, familyTitle, dialect, assumable: [] };
}

/**
 * `folded` holds how many parameters stand behind tensors that an exporter computed from others.
 */
function countOnnx(
  checkpoint: Checkpoint,
  graph?: Graph,
  folded: ReadonlyMap<string, number> = new Map(),
): ParameterCounts {
  const read = new Set(graph?.nodes.flatMap((node) => node.inputs));
  const parameters = graph ? onnxParameters(graph, checkpoint) : undefined;
  const roles = new Map<string, TensorRole>();
  const totals = { parameter: 0, buffer: 0 };
  for (const { name, shape } of checkpoint.selected.tensors) {
    const used = !graph || read.has(name);
    const behind = folded.get(name) ?? elementCount(shape);
    const role = behind === 0 || (parameters && !parameters.has(name)) ? 'buffer' : 'parameter';
    totals[role] += parameters && role === 'buffer' ? 0 : behind;
    roles.set(name, used ? role : 'unused');
  }
  return { params: totals.parameter, buffers: totals.buffer, roles };
}
