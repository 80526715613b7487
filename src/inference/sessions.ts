import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { dtypes, type DType } from '../checkpoint/tensors';
import { writeOnnx } from '../graph/onnx/export';
import type { Graph } from '../graph/graph';
import type { TensorData, TensorElements } from './remoteApi';
import { providerTitle } from './providers';
import type { Runtime } from './runtime';
import type { Placement } from './weights';

export type Session = InferenceSession;

export interface SessionSettings {
  readonly provider: string;
  /** Threads inside an operator; 0 leaves it to the runtime. */
  readonly threads: number;
  /**
   * Repack the weights for the processor's matrix kernels: 7 to 30 % faster runs, for a private
   * copy of them and four times the loading time.
   */
  readonly prepack: boolean;
  /** Attention maps that become outputs `attention.N`. */
  readonly probes: readonly number[];
  /** Further values that become outputs of their own name. */
  readonly kept?: readonly string[];
}

/**
 * Only errors: the runtime's warnings are about its own choices, and end up in the log otherwise.
 */
const logSeverityLevel = 3;

/**
 * Makes a session of a graph whose weights stay where `placement` says. Throws an error that names
 * the provider.
 */
export async function createSession(
  runtime: Runtime,
  graph: Graph,
  placement: Placement,
  settings: SessionSettings,
): Promise<Session> {
  const bytes = writeOnnx(graph, {
    locate: placement.locate,
    probes: settings.probes,
    taps: (settings.kept ?? []).map((value) => ({ name: value, value })),
  });
  try {
    return await runtime.InferenceSession.create(bytes, sessionOptions(placement, settings));
  } catch (error) {
    throw new Error(`${providerTitle(settings.provider)}: ${firstSentence(error)}`, { cause: error });
  }
}

function sessionOptions(placement: Placement, settings: SessionSettings): InferenceSession.SessionOptions {
  const { provider, threads, prepack } = settings;
  return {
    // One provider, never a list: a list fails as a whole when the first provider cannot be loaded.
    executionProviders: [provider],
    logSeverityLevel,
    // The arena keeps the run's memory between runs, which saves 3400 page faults (7 %) each at
    // ViT-B. But it doubles its blocks, and Electron's allocator on macOS kills the process at 1
    // GiB.
    enableCpuMemArena: process.platform !== 'darwin',
    // One block planned for the whole run is larger than what the arena hands out piece by piece:
    // 14 MB at ViT-B.
    enableMemPattern: false,
    ...(threads > 0 && { intraOpNumThreads: threads }),
    extra: {
      session: {
        model_external_initializers_file_folder_path: placement.folder,
        // Threads of an idle session would otherwise go on spinning and take cores from the next
        // one.
        force_spinning_stop: '1',
        ...(!prepack && { disable_prepacking: '1' }),
      },
    },
  };
}

/** The runtime's messages name its source files and functions first; the reason comes last. */
function firstSentence(error: unknown): string {
  const [text = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
  return text
    .replace(/^.*\/onnxruntime_src\/\S+ .*?(?:was false\.|Status::Success\b)\s*/, '')
    .replace(/^Non-zero status code returned while /, '');
}

/** Names of the runtime's element types; it has none for the others. */
const elementTypes: Partial<Record<DType, OrtTensor.Type>> = {
  F32: 'float32',
  F64: 'float64',
  F16: 'float16',
  I64: 'int64',
  U64: 'uint64',
  I32: 'int32',
  U32: 'uint32',
  I16: 'int16',
  U16: 'uint16',
  I8: 'int8',
  U8: 'uint8',
  BOOL: 'bool',
};

/** A tensor for the runtime. Throws if it has no such element type. */
export function toRuntime(runtime: Runtime, name: string, tensor: TensorData): OrtTensor {
  const type = elementTypes[tensor.dtype];
  if (!type)
    throw new Error(
      `${name}: ${tensor.dtype} cannot be an input; ${Object.keys(elementTypes).join(', ')} can`,
    );
  return new runtime.Tensor(type, tensor.data as never, tensor.shape as number[]);
}

/** A tensor of the runtime as plain data. */
export function fromRuntime(tensor: OrtTensor): TensorData {
  const dtype = (Object.keys(elementTypes) as DType[]).find((name) => elementTypes[name] === tensor.type);
  if (!dtype || !dtypes[dtype])
    throw new Error(`an output has element type ${tensor.type}, which is not handled`);
  return { dtype, shape: tensor.dims, data: tensor.data as TensorElements };
}

const integerTypes: ReadonlySet<string> = new Set([
  ...['int64', 'int32', 'int16', 'int8', 'uint64', 'uint32', 'uint16', 'uint8', 'bool'],
]);

/** An output's values as float32. Throws if it is of neither floats of 32 bits nor integers. */
export function floats(name: string, tensor: OrtTensor | undefined): Float32Array {
  if (tensor?.type === 'float32') return tensor.data as Float32Array;
  // Integers of a map of classes, which float32 holds exactly below 2^24.
  if (tensor && integerTypes.has(tensor.type))
    return Float32Array.from(tensor.data as ArrayLike<number | bigint>, Number);
  throw new Error(`output ${name} is ${tensor?.type ?? 'missing'}; float32 or integers are needed`);
}
