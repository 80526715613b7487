import type { Size } from '../domain/size';
import { openFile } from '../checkpoint/byteSource';
import type { Checkpoint } from '../checkpoint/checkpoint';
import { readOnnxModel } from '../checkpoint/formats/onnx';
import { openCheckpoint } from '../checkpoint/open';
import { elementCount } from '../checkpoint/tensors';
import { readTensor } from '../checkpoint/values';
import type { Graph } from '../graph/graph';
import { importOnnx, ImportError, pictureInput, readShapeConstants } from '../graph/onnx/import';
import { OperatorError } from '../graph/operators';
import type { ConfigValue, ParameterCounts, Recognition, TensorRole } from '../architectures/family';
import { foldedPositions } from './foldedPositions';
import { describeOnnx, onnxParameters } from './onnxFamilies';
import { buildGraph, countParameters, recognise, titleOfFamily } from '../architectures/recognise/recognise';

export interface ModelOptions {
  /** Figures the weights do not tell, as the user typed them in. */
  readonly assume?: Readonly<Record<string, ConfigValue>>;
  readonly stateDict?: string;
  readonly imageSize?: Size;
}

/** What a graph is built for; the model's own image size and a batch of 1 by default. */
export interface GraphSize {
  readonly imageSize?: Size;
  readonly batch?: number;
}

/** An opened and understood checkpoint: what views, reports and the inference process start from. */
export interface Model {
  readonly checkpoint: Checkpoint;
  readonly recognition: Recognition;
  readonly counts: ParameterCounts;
  /** Names of tensors that no operator reads. */
  readonly unused: readonly string[];
  /** Native image size, or the one asked for; undefined where no graph can be built. */
  readonly imageSize?: Size;
  /**
   * The graph at an image size (the model's own by default) and batch (1 by default); the last few are kept.
   * Throws where the architecture is not known or cannot take the size.
   */
  graph(size?: GraphSize): Graph;
}

/** Opens a checkpoint file, index or folder and understands it. Throws `CheckpointError` where the file is refused. */
export async function openModel(path: string, options: ModelOptions = {}): Promise<Model> {
  const checkpoint = await openCheckpoint(path, { stateDict: options.stateDict });
  return checkpoint.format === 'onnx' ? understandOnnx(checkpoint, options) : understand(checkpoint, options);
}

/** Understands a checkpoint of bare weights. */
export function understand(checkpoint: Checkpoint, options: ModelOptions = {}): Model {
  const recognition = recognise(checkpoint, options);
  if (recognition.family === null) return withoutGraph(checkpoint, recognition);
  const { imageSize } = recognition;
  const graph = rememberGraphs(
    imageSize,
    (size, batch) => buildGraph(checkpoint, recognition, { imageSize: size, batch }).graph,
  );
  const counts = countParameters(checkpoint, recognition);
  return { checkpoint, recognition, counts, unused: unread(counts), imageSize, graph };
}

type Unknown = Extract<Recognition, { family: null }>;

function withoutGraph(checkpoint: Checkpoint, recognition: Unknown): Model {
  const counts = countParameters(checkpoint, recognition);
  const graph = (): never => refuse(checkpoint, recognition.reason, recognition.cause);
  return { checkpoint, recognition, counts, unused: [], graph };
}

/** Assumed where an .onnx file leaves the size of its pictures open. */
const openSize = 224;

/** Understands an .onnx file: the graph is the file's own, the family is read off it. */
async function understandOnnx(checkpoint: Checkpoint, options: ModelOptions): Promise<Model> {
  const source = await openFile(checkpoint.file);
  const file = await readOnnxModel(source).finally(() => source.close());
  const picture = pictureInput(file);
  const dialect = 'onnx';
  const unknown = (reason: string): Model => ({
    checkpoint,
    recognition: { family: null, dialect, reason },
    counts: countOnnx(checkpoint),
    unused: [],
    graph: () => refuse(checkpoint, reason),
  });
  if (!picture) return unknown('no input takes pictures [batch, 3, height, width]');
  const [height, width] = options.imageSize ?? [picture.height ?? openSize, picture.width ?? openSize];
  const constants = await readShapeConstants(file, readTensor);
  const graph = rememberGraphs([height, width], (imageSize, batch) =>
    importOnnx(file, constants, { imageSize, batch }),
  );
  try {
    const own = graph();
    const fixed = picture.height !== undefined && picture.width !== undefined;
    const description = describeOnnx(own, fixed);
    const known = 'recognised' in description;
    const recognition: Recognition = known
      ? {
          ...description.recognised,
          family: description.family,
          architecture: description.family,
          familyTitle: titleOfFamily(description.family),
          dialect,
          assumable: [],
        }
      : {
          family: null,
          dialect,
          reason: 'an ONNX graph of no known family',
          nearest: { family: description.family, missing: description.missing },
        };
    const total = countOnnx(checkpoint, own, await foldedPositions(own, checkpoint));
    return {
      checkpoint,
      recognition,
      counts: total,
      unused: unread(total),
      imageSize: [height, width],
      graph,
    };
  } catch (error) {
    if (error instanceof ImportError || error instanceof OperatorError) return unknown(error.message);
    throw error;
  }
}

/** `folded` holds how many parameters stand behind tensors that an exporter computed from others. */
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

/** Names that no operator reads; of a copy it reads the other name. */
const unread = ({ roles }: ParameterCounts): readonly string[] =>
  [...roles].filter(([, role]) => role === 'unused' || role === 'copy').map(([name]) => name);

function refuse(checkpoint: Checkpoint, reason: string, cause?: unknown): never {
  throw new Error(
    `${checkpoint.path}: ${reason}; only files whose architecture is known can be counted and run`,
    { cause },
  );
}

/** Graphs of the last few sizes: a slider and a panel ask for the same ones again and again. */
const remembered = 8;

function rememberGraphs(native: Size, build: (imageSize: Size, batch: number) => Graph): Model['graph'] {
  const graphs = new Map<string, Graph>();
  return ({ imageSize = native, batch = 1 } = {}) => {
    const key = `${imageSize.join('x')} ${batch}`;
    const graph = graphs.get(key) ?? build(imageSize, batch);
    graphs.delete(key);
    graphs.set(key, graph);
    if (graphs.size > remembered) graphs.delete(graphs.keys().next().value!);
    return graph;
  };
}
