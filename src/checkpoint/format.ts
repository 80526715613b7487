import type { ByteSource } from './byteSource';
import type { ClassNames } from './classNames';
import type { OnnxModel } from './formats/onnxModel';
import type { Extra, StateDict } from './tensors';

/** What a format's reader makes of a file: names and places, no values. */
export interface TensorTable {
  /** `safetensors`, `pytorch zip`, `pytorch legacy`, `torchscript`, `npz`, `onnx` … */
  readonly format: string;
  /** Every file that holds tensors, links resolved. */
  readonly files: readonly string[];
  /**
   * In order of preference: EMA, teacher's backbone, state_dict / model, … Never empty; the first
   * is shown unless the user chose another.
   */
  readonly stateDicts: readonly StateDict[];
  readonly extras: readonly Extra[];
  /** Text metadata of the file (`__metadata__`, ONNX metadata_props, producer …). */
  readonly metadata: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
  /** Lists of class names that the file holds. */
  readonly classNames?: readonly ClassNames[];
  /** The graph that an .onnx file holds beside its tensors. */
  readonly onnx?: OnnxModel;
}

/** A reader of one file format. */
export interface Format {
  readonly name: string;
  /**
   * Peeks at the first bytes (at most 4096, the whole of a shorter file); "not mine" is `false`,
   * never an exception.
   */
  matches(head: Uint8Array, path: string): boolean;
  /** Reads headers only. Throws `CheckpointError`. */
  read(source: ByteSource): Promise<TensorTable>;
}
