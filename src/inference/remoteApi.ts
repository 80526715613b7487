import type { CallContext } from '../protocol/channel';
import type { RunTimes, SeenImage } from '../tasks/run';
import type { OutputValues, Step } from '../tasks/task';
import type { Pixels } from '../domain/pixels';
import type { Size } from '../domain/size';
import type { AttentionRows, Method, Query } from '../domain/query';
import type { DType, Tensor } from '../checkpoint/tensors';
import type { Graph } from '../graph/graph';
import type { AttentionBudget } from '../graph/rewrite/taps';
import type { FileState } from '../models/files';
import type { Preprocessing } from '../preprocessing/pipeline';

/**
 * Version of this interface. A child of another version (the extension was updated under a running
 * window) is refused.
 */
export const inferenceVersion = 1;

/** What the inference process says first. */
export interface Hello {
  readonly version: number;
  readonly runtime: RuntimeFacts;
}

/** The native runtime, or why there is none. Decoding and preprocessing work without it. */
export type RuntimeFacts =
  | { readonly version: string; readonly providers: readonly string[] }
  | { readonly version: null; readonly reason: string };

/** A model to run: its graph, and where the values of its initializers lie. */
export interface ModelRequest {
  /** The asker's name for it; a second model of this name is the same one. */
  readonly key: string;
  readonly graph: Graph;
  /** The tensors that the graph's initializers read. */
  readonly tensors: readonly Tensor[];
  readonly files: readonly FileState[];
  /** Threads inside an operator; 0 leaves it to the runtime (one per core). */
  readonly threads: number;
  /**
   * Bytes that a run may keep of its attention; above it rows are computed when they are asked for.
   */
  readonly attention: AttentionBudget;
}

/** Elements of a tensor in the array type of its dtype (F16 and BF16: their bits). */
export type TensorElements =
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

/** A tensor as it crosses the process border: row-major. */
export interface TensorData {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TensorElements;
}

/** Images that are the frames of one clip. */
export interface ClipRequest {
  /** In the order of time. */
  readonly paths: readonly string[];
  /** Frames that the model reads. */
  readonly frames: number;
}

/** An image and what is to be done to it before the model sees it. */
export interface ImageRequest {
  /** Of a clip, its first frame. */
  readonly path: string;
  /** Absent if the model reads one image. */
  readonly clip?: ClipRequest;
  /** Leave the EXIF orientation unapplied, as timm's and torchvision's loaders do. */
  readonly asStored: boolean;
  readonly preprocessing: Preprocessing;
  /** Longest side of the decoded image that comes back for display; 0 sends none. */
  readonly displaySide: number;
}

/** How a model's session is to be made. */
export interface SessionRequest {
  readonly provider: string;
  /** Keep the attention maps, so that `attention` can be asked for. */
  readonly attention: boolean;
}

/** How one model is to be run: a step of a task's program, on a session. */
export interface RunRequest extends SessionRequest {
  readonly step: Step;
}

/** A step on an image with the model that runs it: what the inference process is asked for. */
export interface StepRequest {
  readonly model: ModelRequest;
  readonly image: ImageRequest;
  readonly step: Step;
}

/** What only the process that decoded an image can know of it. */
export interface ImageView {
  readonly seen: SeenImage;
  readonly times: RunTimes;
  readonly warnings: readonly string[];
}

/** The outputs of a step on an image. */
export interface ImageRun extends ImageView {
  /** Names the run whose attention maps are kept; 0 if none were asked for. */
  readonly run: number;
  readonly outputs: readonly OutputValues[];
}

/** A step that goes on from another one. */
export interface LaterRequest extends RunRequest {
  /** The run that it goes on from, whose maps are kept with its own; 0 of none. */
  readonly from: { readonly run: number; readonly step: number };
}

/** The outputs of a step without an image. */
export interface StepRun {
  /** Names the run whose attention maps are kept; 0 if none were asked for. */
  readonly run: number;
  readonly outputs: readonly OutputValues[];
  readonly milliseconds: number;
}

/** What loading a model cost. */
export interface Loaded {
  /**
   * Bytes written to a temporary file, because the checkpoint does not hold them as the runtime
   * reads them.
   */
  readonly materialisedBytes: number;
  readonly milliseconds: number;
}

/** One provider set beside the CPU on the same image. */
export interface ProviderCheck {
  readonly provider: string;
  readonly agrees: boolean;
  /** `agrees: largest difference 2e-6`, or what differs, or the provider's own error. */
  readonly reason: string;
  /**
   * A software implementation (SwiftShader, llvmpipe, WARP) by its library's name; empty for a real
   * device.
   */
  readonly software: string;
  /** Median of three runs after a warm-up; 0 if it did not run. */
  readonly cpuMilliseconds: number;
  readonly providerMilliseconds: number;
}

/**
 * What may be asked of the inference process. One request runs at a time; the native calls block
 * the process.
 */
export interface InferenceApi {
  hello(): Promise<Hello>;
  /** Loads the image decoder, which the first image would otherwise wait for. */
  warmUp(): Promise<void>;
  /**
   * Puts a model's weights in place and makes the session that the run will need. A model already
   * loaded answers at once.
   */
  load(model: ModelRequest, session: SessionRequest, call: CallContext): Promise<Loaded>;
  /** Lets a model's sessions go, and the temporary file with them. */
  release(key: string): Promise<void>;
  runImage(key: string, image: ImageRequest, run: RunRequest, call: CallContext): Promise<ImageRun>;
  /** Runs a step that reads no image: what it is given is there. */
  runStep(
    key: string,
    inputs: Readonly<Record<string, TensorData>>,
    run: LaterRequest,
    call: CallContext,
  ): Promise<StepRun>;
  /**
   * Runs on given tensors; answers every output by name, and every attention map as `attention.N`
   * in execution order.
   */
  runTensors(
    key: string,
    inputs: Readonly<Record<string, TensorData>>,
    provider: string,
    call: CallContext,
  ): Promise<Readonly<Record<string, TensorData>>>;
  /** Rows of one query of a kept run. */
  attention(run: number, query: Query, method: Method): Promise<AttentionRows>;
  /** Mean attention distance of each head of a layer of a kept run, in pixels of the input. */
  distances(run: number, layer: number, inputSize: Size): Promise<Float64Array>;
  /** Runs a step on the CPU and on a provider; with `timed`, three times more each. */
  check(
    key: string,
    image: ImageRequest,
    step: Step,
    provider: string,
    timed: boolean,
    call: CallContext,
  ): Promise<ProviderCheck>;
  /** Sides of what a preprocessing makes of an image, `[height, width]`, without a model. */
  preparedSize(image: ImageRequest): Promise<Size>;
  /** What the model would see of an image, without a model. */
  preprocess(image: ImageRequest): Promise<ImageView & { readonly pixelValues: TensorData }>;
  /** A small image as a data URL. */
  thumbnail(path: string, side: number): Promise<string>;
  /** The decoded image, reduced to at most `side` pixels. */
  image(path: string, asStored: boolean, side: number): Promise<Pixels>;
  /** Resident bytes of the process. */
  memory(): number;
}
