import { isSameSize, type Size } from '../domain/size';
import type { Opener } from '../checkpoint/byteSource';
import type { Checkpoint } from '../checkpoint/checkpoint';
import type { OnnxModel } from '../checkpoint/formats/onnxModel';
import { selectStateDict } from '../checkpoint/open';
import { elementCount } from '../checkpoint/tensors';
import { readTensor, readTogether, toFloat32 } from '../checkpoint/values';
import { valueOf, type ConstantTensor, type Graph } from '../graph/graph';
import {
  imageInput,
  importOnnx,
  importWithNotes,
  ImportError,
  readShapeConstants,
  type ImageInput,
  type Imported,
} from '../graph/onnx/import';
import { TooLargeError } from '../graph/limits';
import { OperatorError } from '../graph/operators';
import type { ParameterCounts, Recognition, TensorRole } from '../architectures/family';
import { titleOfFamily } from '../architectures/recognise/recognise';
import { withGuesses } from './guesses';
import { foldedPositions, positionTensors } from './foldedPositions';
import { modelAtSizes, unread, type SettledSize, type Model, type Settings, type Understood } from './model';
import {
  describeOnnx,
  onnxParameters,
  packedParameters,
  quantisationOf,
  roundingNotes,
  type ImageFacts,
} from './onnxFamilies';
import { sizeCandidates, type SizeCandidate } from './onnxSizes';

/**
 * What of an .onnx file decides what it is: its graph, and the few values that shapes depend on.
 */
export interface OnnxParts {
  readonly file: OnnxModel;
  readonly constants: ReadonlyMap<string, ConstantTensor>;
  /** What takes images, and the size that the file is made for; absent if nothing takes any. */
  readonly own?: OwnSize;
  /** Values of arrays that an exporter may have computed from position tables, by tensor name. */
  readonly positions: ReadonlyMap<string, Float32Array>;
}

/** Reads the values that understanding an .onnx file needs. Throws `CheckpointError`. */
export async function readOnnxParts(
  checkpoint: Checkpoint,
  file: OnnxModel,
  open: Opener,
): Promise<OnnxParts> {
  const constants = await readShapeConstants(file, (tensors) => readTogether(tensors, open));
  const own = ownSize(checkpoint, file, constants);
  const imported = own?.imported;
  const isKnown = imported !== undefined && !(imported instanceof Error);
  const tensors = isKnown ? positionTensors(imported.graph, checkpoint) : [];
  const positions = tensors.map(
    async (tensor) => [tensor.name, toFloat32(await readTensor(tensor, open), tensor.dtype)] as const,
  );
  return { file, constants, own, positions: new Map(await Promise.all(positions)) };
}

/** The image input of a file, and the first size that its operators take. */
interface OwnSize extends SizeCandidate {
  readonly image: ImageInput;
  /** The graph at that size, or why it cannot be imported, which is said later. */
  readonly imported: Imported | Error;
  /** Whether other sizes can be asked for, as far as the file says. */
  readonly isFixed: boolean;
}

function ownSize(
  checkpoint: Checkpoint,
  file: OnnxModel,
  constants: OnnxParts['constants'],
): OwnSize | undefined {
  const image = imageInput(file, constants);
  if (!image) return undefined;
  const isFixed = image.height !== undefined && image.width !== undefined;
  let likeliest: OwnSize | undefined;
  for (const candidate of sizeCandidates(file, image, checkpoint)) {
    const imported = tryImport(file, constants, candidate.size);
    const own = { ...candidate, image, imported, isFixed };
    if (!(imported instanceof Error)) return own;
    likeliest ??= own;
  }
  return likeliest;
}

function tryImport(file: OnnxModel, constants: OnnxParts['constants'], imageSize: Size): Imported | Error {
  try {
    return importWithNotes(file, constants, { imageSize, batch: 1 });
  } catch (error) {
    if (isRefusal(error)) return error;
    throw error;
  }
}

const isRefusal = (error: unknown): error is Error =>
  error instanceof ImportError || error instanceof OperatorError || error instanceof TooLargeError;

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
  { file, constants, positions, own }: OnnxParts,
  asked: Size | undefined,
): Understood {
  const dialect = 'onnx';
  const unknown = (reason: string): Understood => ({
    checkpoint,
    recognition: { family: null, dialect, reason },
    counts: countOnnx(checkpoint),
    unused: [],
    parts: [],
  });
  if (!own) return unknown(noImage(file));
  const imageSize = asked ?? own.size;
  const isOwn = isSameSize(imageSize, own.size);
  try {
    const imported = isOwn ? own.imported : tryImport(file, constants, imageSize);
    if (imported instanceof Error) return unknown(imported.message);
    const { graph, notes } = imported;
    const facts: ImageFacts = {
      inside: own.image.inside,
      size: isOwn ? own : { source: `asked for; input ${own.image.name} leaves it open`, assumed: false },
      takes: (size) => !own.isFixed && !(tryImport(file, constants, size) instanceof Error),
      quantisation: quantisationOf(file, checkpoint),
    };
    const recognition = withGuesses(recognitionOf(graph, facts));
    const behind = new Map([...packedParameters(graph), ...foldedPositions(graph, checkpoint, positions)]);
    const counts = countOnnx(checkpoint, graph, behind, new Set(own.image.constants));
    const build = ({ imageSize: size = imageSize, batch }: SettledSize): Graph =>
      batch === 1 && isSameSize(size, imageSize)
        ? graph
        : importOnnx(file, constants, { imageSize: size, batch });
    return {
      checkpoint: {
        ...checkpoint,
        warnings: [
          ...checkpoint.warnings,
          ...defaultNotes(file),
          ...roundingNotes(file),
          ...notes,
          ...saidOnly(recognition, facts),
        ],
      },
      recognition,
      counts,
      unused: unread(counts),
      imageSize,
      parts: [{ name: 'whole', build }],
    };
  } catch (error) {
    if (isRefusal(error)) return unknown(error.message);
    throw error;
  }
}

/** Inputs and shapes listed in a message. */
const listedInputs = 6;

function noImage({ graph }: OnnxModel): string {
  const found = graph.inputs
    .slice(0, listedInputs)
    .map(({ name, dtype, shape }) => `${name} ${dtype ?? '?'} [${shape?.join(', ') ?? '?'}]`);
  return `no input takes images [batch, channels, height, width] or [batch, height, width, channels]; found are ${found.join(', ') || 'none'}`;
}

/**
 * Inputs that the file gives a value, which is kept. Exporters that list every weight as an input,
 * as all had to before IR version 4, say nothing by it.
 */
function defaultNotes({ graph, irVersion }: OnnxModel): readonly string[] {
  const names = graph.defaults ?? [];
  const all = graph.initializers.length;
  if (irVersion < 4 || names.length === 0 || names.length === all) return [];
  const more = names.length > listedInputs ? ` and ${names.length - listedInputs} more` : '';
  return [
    `inputs left at the value that the file gives them: ${names.slice(0, listedInputs).join(', ')}${more}`,
  ];
}

/** What a known family states as evidence, for a graph of none. */
const saidOnly = ({ family }: Recognition, { quantisation }: ImageFacts): readonly string[] =>
  family === null && quantisation ? [`quantised: ${quantisation.value}`] : [];

function recognitionOf(graph: Graph, facts: ImageFacts): Recognition {
  const dialect = 'onnx';
  const description = describeOnnx(graph, facts);
  const { family } = description;
  if ('missing' in description)
    return {
      family: null,
      dialect,
      reason: 'an ONNX graph of no known family',
      nearest: { family, missing: description.missing },
      input: { sizeStep: stepOf(graph, facts), ...(facts.inside && { inside: facts.inside }) },
    };
  const familyTitle = titleOfFamily(family);
  return { ...description.recognised, family, architecture: family, familyTitle, dialect, assumable: [] };
}

/** Pixels by which sides may grow if the file leaves them open and no family tells. */
const openStep = 32;

function stepOf(graph: Graph, { takes }: ImageFacts): Size {
  const [height = 0, width = 0] = valueOf(graph, 'pixel_values').shape.slice(-2);
  return takes([height + openStep, width + openStep]) ? [openStep, openStep] : [0, 0];
}

/**
 * `folded` holds how many parameters stand behind tensors that an exporter computed from others,
 * `inside` the constants of a normalisation.
 */
function countOnnx(
  checkpoint: Checkpoint,
  graph?: Graph,
  folded: ReadonlyMap<string, number> = new Map(),
  inside: ReadonlySet<string> = new Set(),
): ParameterCounts {
  const read = new Set(graph && readTensors(graph));
  const parameters = graph ? onnxParameters(graph, checkpoint) : undefined;
  const roles = new Map<string, TensorRole>();
  const totals = { parameter: 0, buffer: 0 };
  for (const { name, shape } of checkpoint.selected.tensors) {
    const used = !graph || read.has(name);
    const behind = folded.get(name) ?? elementCount(shape);
    const isBuffer = behind === 0 || inside.has(name) || (parameters && !parameters.has(name));
    const role = isBuffer ? 'buffer' : 'parameter';
    totals[role] += parameters && role === 'buffer' ? 0 : behind;
    roles.set(name, used ? role : 'unused');
  }
  return { params: totals.parameter, buffers: totals.buffer, roles };
}

/** Tensors of the file that operators read, whole or in part. */
const readTensors = ({ nodes, initializers }: Graph): readonly string[] =>
  nodes.flatMap(({ inputs }) =>
    inputs.flatMap((name) => {
      const data = initializers.get(name)?.data;
      return data?.kind === 'parameter' ? [name, data.tensor] : [name];
    }),
  );
