import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import { byteLength, dtypes, type Tensor } from '../checkpoint/tensors';
import { readTensor } from '../checkpoint/values';
import type { Graph, Initializer } from '../graph/graph';
import { onnxParts, type Located } from '../graph/onnx/export';
import { requireRunnable } from './weights';

/** A protobuf message stops at 2 GiB; the graph itself takes the rest. */
const protobufBytes = 2e9;
/** Weights in the second file begin at pages, so that a runtime can map them. */
const alignment = 4096;

export interface ExportOptions {
  readonly signal?: AbortSignal;
  /** Share of the weights written, 0 … 1. */
  readonly progress?: (share: number) => void;
  /**
   * Bytes of weights from which on they go into a file of their own; 2 GB, where protobuf stops.
   */
  readonly singleFileBytes?: number;
}

export interface Exported {
  /** The .onnx file, and above 2 GB the file of its weights beside it. */
  readonly files: readonly string[];
  readonly bytes: number;
}

/**
 * A run of bytes of the output: written as it is, or read from the checkpoint when its turn comes.
 */
type Piece = Uint8Array | Initializer;

/**
 * Writes a graph with its weights as an ONNX file that depends on no other; above 2 GB `TARGET` and
 * `TARGET.data`. One tensor is in memory at a time. What stood at the target stays until the new
 * file is whole, so that a checkpoint may even be exported onto itself.
 */
export async function exportOnnx(
  graph: Graph,
  tensors: readonly Tensor[],
  target: string,
  options: ExportOptions = {},
): Promise<Exported> {
  const weights = new Weights(tensors);
  const parameters = [...graph.initializers.values()].filter(({ data }) => data.kind === 'parameter');
  const total = parameters.reduce((sum, initializer) => sum + weights.length(initializer), 0);
  const plan =
    total > (options.singleFileBytes ?? protobufBytes)
      ? besideFile(graph, weights, target)
      : inOneFile(graph, weights);
  const parts = plan.map(({ file, pieces }) => ({ file: file || target, pieces }));
  let done = 0;
  const tell = (bytes: number): void => options.progress?.((done += bytes) / Math.max(total, 1));
  try {
    let bytes = 0;
    for (const { file, pieces } of parts)
      bytes += await writePieces(`${file}.part`, pieces, weights, tell, options.signal);
    for (const { file } of parts) await rename(`${file}.part`, file);
    return { files: parts.map(({ file }) => file), bytes };
  } catch (error) {
    for (const { file } of parts) await rm(`${file}.part`, { force: true });
    throw error;
  }
}

interface Output {
  /** Empty for the target itself. */
  readonly file: string;
  readonly pieces: Iterable<Piece>;
}

/**
 * Where parameters lie in the checkpoint; the tensor read last is kept, because fused projections
 * read one several times.
 */
class Weights {
  private readonly byName: ReadonlyMap<string, Tensor>;
  private latest: { readonly tensor: Tensor; readonly bytes: Uint8Array } | undefined;

  constructor(tensors: readonly Tensor[]) {
    this.byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  }

  /** Bytes of an initializer, in the dtype of the file. */
  length(initializer: Initializer): number {
    return byteLength({ dtype: this.tensor(initializer).dtype, shape: initializer.shape });
  }

  async read(initializer: Initializer): Promise<Uint8Array> {
    const tensor = this.tensor(initializer);
    if (this.latest?.tensor !== tensor) this.latest = { tensor, bytes: await readTensor(tensor) };
    const first = initializer.data.kind === 'parameter' ? initializer.data.first : 0;
    const start = first * dtypes[tensor.dtype].bytes;
    return this.latest.bytes.subarray(start, start + this.length(initializer));
  }

  private tensor({ name, data }: Initializer): Tensor {
    const tensor = data.kind === 'parameter' ? this.byName.get(data.tensor) : undefined;
    if (!tensor) throw new Error(`${name}: the graph reads it, and the checkpoint does not hold it`);
    return requireRunnable(tensor);
  }
}

/**
 * The writer lays out the file around views of one stretch of zeros, as long as the largest
 * parameter; each view stands for the parameter that is read in its place.
 */
function inOneFile(graph: Graph, weights: Weights): readonly Output[] {
  const initializers = [...graph.initializers.values()];
  const lengths = initializers.map((item) => (item.data.kind === 'parameter' ? weights.length(item) : 0));
  const zeros = new ArrayBuffer(lengths.reduce((largest, length) => Math.max(largest, length), 0));
  const standIns = new Map<Uint8Array, Initializer>();
  const locate = (initializer: Initializer): Located => {
    const bytes = new Uint8Array(zeros, 0, weights.length(initializer));
    standIns.set(bytes, initializer);
    return { kind: 'inline', bytes };
  };
  const pieces = onnxParts(graph, { locate }).map((part) => standIns.get(part) ?? part);
  return [{ file: '', pieces }];
}

/** The weights in a second file, one after the other. */
function besideFile(graph: Graph, weights: Weights, target: string): readonly Output[] {
  const file = `${target}.data`;
  const data: Piece[] = [];
  let end = 0;
  const locate = (initializer: Initializer): Located => {
    const offset = Math.ceil(end / alignment) * alignment;
    const length = weights.length(initializer);
    data.push(new Uint8Array(offset - end), initializer);
    end = offset + length;
    return { kind: 'external', location: basename(file), offset, length };
  };
  return [
    { file: '', pieces: onnxParts(graph, { locate }) },
    { file, pieces: data },
  ];
}

async function writePieces(
  path: string,
  pieces: Iterable<Piece>,
  weights: Weights,
  tell: (bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<number> {
  const handle: FileHandle = await open(path, 'w');
  let written = 0;
  try {
    for (const piece of pieces) {
      signal?.throwIfAborted();
      const isPlain = piece instanceof Uint8Array;
      const bytes = isPlain ? piece : await weights.read(piece);
      await handle.writeFile(bytes);
      written += bytes.length;
      if (!isPlain) tell(bytes.length);
    }
  } finally {
    await handle.close();
  }
  return written;
}
