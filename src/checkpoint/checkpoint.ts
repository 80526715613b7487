import type { Opener } from './byteSource';
import type { ClassNames } from './classNames';
import type { OnnxModel } from './formats/onnxModel';
import type { Extra, StateDict, Tensor } from './tensors';

/**
 * JSON files that lie beside the weights, parsed; absent if there is none or it is not JSON (a
 * warning then says so).
 */
export interface Sidecars {
  /** config.json of Hugging Face or of timm's hub layout (`architecture`, `pretrained_cfg`). */
  readonly config?: Readonly<Record<string, unknown>>;
  /** preprocessor_config.json */
  readonly preprocessor?: Readonly<Record<string, unknown>>;
  /** open_clip_config.json (`model_cfg`, `preprocess_cfg`) */
  readonly openClip?: Readonly<Record<string, unknown>>;
  /** What is wrong with those that are there and cannot be read; the warning says it, too. */
  readonly invalid?: Readonly<Partial<Record<SidecarName, string>>>;
}

export type SidecarName = Exclude<keyof Sidecars, 'invalid'>;

/**
 * An opened checkpoint: what the file (or folder) holds, which of its state dicts is chosen, and
 * what lies beside it.
 */
export interface Checkpoint {
  /** The path the user opened (a file, an index.json, or a folder). */
  readonly path: string;
  /** The file that was chosen in it; equal to `path` unless that is a folder. */
  readonly file: string;
  readonly format: string;
  readonly files: readonly string[];
  readonly stateDicts: readonly StateDict[];
  /** `stateDicts[…]` that is shown. */
  readonly selected: StateDict;
  readonly extras: readonly Extra[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
  readonly sidecars: Sidecars;
  /** Lists of class names beside the weights and in their file, those in the file first. */
  readonly classNames?: readonly ClassNames[];
  /** Paths at which sidecars are looked for, whether they are there or not: what to watch. */
  readonly beside: readonly string[];
  /** Other weight files of the folder that were not chosen. */
  readonly siblings: readonly string[];
  /** Size in bytes of all files. */
  readonly size: number;
  /** The graph of an .onnx file. */
  readonly onnx?: OnnxModel;
}

export interface OpenOptions {
  /** Name of the state dict to select; an unknown name is an error that lists the known ones. */
  readonly stateDict?: string;
  /** Opens the files; `openFile` by default. */
  readonly open?: Opener;
}

export type { StateDict, Tensor };
