/**
 * Element types, named as safetensors names them. `onnx` is TensorProto.DataType; `bytes` per
 * element (fractions for packed types); `runnable`: a graph may read it (through a Cast to
 * float32); the others are listed only.
 */
export const dtypes = {
  BOOL: { bytes: 1, onnx: 9, runnable: true },
  U8: { bytes: 1, onnx: 2, runnable: true },
  I8: { bytes: 1, onnx: 3, runnable: true },
  I16: { bytes: 2, onnx: 5, runnable: true },
  U16: { bytes: 2, onnx: 4, runnable: true },
  I32: { bytes: 4, onnx: 6, runnable: true },
  U32: { bytes: 4, onnx: 12, runnable: true },
  I64: { bytes: 8, onnx: 7, runnable: true },
  U64: { bytes: 8, onnx: 13, runnable: true },
  F16: { bytes: 2, onnx: 10, runnable: true },
  BF16: { bytes: 2, onnx: 16, runnable: true },
  F32: { bytes: 4, onnx: 1, runnable: true },
  F64: { bytes: 8, onnx: 11, runnable: true },
  C64: { bytes: 8, onnx: 14, runnable: false },
  C128: { bytes: 16, onnx: 15, runnable: false },
  F8_E4M3: { bytes: 1, onnx: 17, runnable: true },
  F8_E4M3FNUZ: { bytes: 1, onnx: 18, runnable: false },
  F8_E5M2: { bytes: 1, onnx: 19, runnable: true },
  F8_E5M2FNUZ: { bytes: 1, onnx: 20, runnable: false },
  F8_E8M0: { bytes: 1, onnx: 24, runnable: false },
  F4: { bytes: 0.5, onnx: 23, runnable: false },
  F6_E2M3: { bytes: 0.75, onnx: 0, runnable: false },
  F6_E3M2: { bytes: 0.75, onnx: 0, runnable: false },
  U4: { bytes: 0.5, onnx: 21, runnable: false },
  I4: { bytes: 0.5, onnx: 22, runnable: false },
  STRING: { bytes: 0, onnx: 8, runnable: false },
} as const satisfies Record<string, { bytes: number; onnx: number; runnable: boolean }>;

export type DType = keyof typeof dtypes;

/** Where a tensor's storage lies. Flat data: it crosses process borders unchanged. */
export type Storage =
  | {
      readonly kind: 'file';
      /**
       * Absolute path with symbolic links resolved (Hugging Face caches are links into `blobs/`).
       */
      readonly file: string;
      /** First byte of the storage (or of its compressed stream) in the file. */
      readonly offset: number;
      /** Bytes of the storage as they lie in the file. */
      readonly length: number;
      /** A zip entry stored with deflate: `length` compressed bytes become `size` bytes. */
      readonly deflated?: { readonly size: number };
    }
  | { readonly kind: 'inline'; readonly bytes: Uint8Array };

/**
 * How a parameter is computed from tensors that the file holds in its place:
 * - `masked`: original ⊙ mask (pruning)
 * - `weight-norm`: magnitude · direction / ‖direction‖ over the axes along which the magnitude has
 *   one element (Salimans & Kingma 2016, eq. 2)
 * - `spectral-norm`: original / (leftᵀ · original · right) (Miyato et al. 2018, §2.1, with the
 *   vectors as they were saved)
 * - `low-rank`: base + scale · up · down (Hu et al. 2021, LoRA, §4.1)
 * - `low-rank-norm`: that with rows of given lengths: magnitude · w / ‖w‖ of w = base + scale · up
 *   · down (Liu et al. 2024, DoRA, eq. 5)
 * - `low-rank-thirds`: `low-rank` in some thirds of the rows: queries, keys or values of one matrix
 * - `scaled-rows`: matrix · scales / 127, row by row (Dettmers et al. 2022, LLM.int8(), §2.1)
 * - `affine`: scale · (integers − zero point) (Jacob et al. 2018, eq. 1)
 * - `affine-rows`: the same with a scale and a zero point of each row
 */
export interface Derivation {
  readonly kind:
    | 'masked'
    | 'weight-norm'
    | 'spectral-norm'
    | 'low-rank'
    | 'low-rank-norm'
    | 'low-rank-thirds'
    | 'scaled-rows'
    | 'affine'
    | 'affine-rows';
  /** In the order of the formula; the first is where the parameter lies. */
  readonly parts: readonly Tensor[];
  /** Factor of a low-rank product, α / r, or of integers; undefined if nothing says it. */
  readonly scale?: number;
  /** The integer that stands for 0 of an affine quantisation. */
  readonly zeroPoint?: number;
  /** Thirds of the rows that have a product of their own, in the order of the parts. */
  readonly thirds?: readonly number[];
}

/** What integers of a quantised tensor stand for: scale · (integer − zero point). */
export interface Affine {
  readonly scale: number;
  readonly zeroPoint: number;
}

/** One tensor of a checkpoint. No data is read until somebody asks for it. */
export interface Tensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly storage: Storage;
  /** Byte offset of the first element inside the (inflated) storage. */
  readonly start: number;
  /**
   * Strides in elements, only if the tensor is not contiguous in row-major order (PyTorch views,
   * Fortran order).
   */
  readonly strides?: readonly number[];
  /** The storage is big-endian (NumPy `>f4`, old PyTorch files). */
  readonly bigEndian?: true;
  /**
   * The model registers it as a buffer, if the file itself says so (TorchScript, whole modules).
   */
  readonly buffer?: true;
  /** Its integers are quantised numbers. */
  readonly affine?: Affine;
  /** Factor of the low-rank product that it is the first matrix of, as its adapter says. */
  readonly loraScale?: number;
  /** Its values, where they say how a model computes (`told.ts`). */
  readonly told?: readonly number[];
  /** The parameter that it stands for is computed from it and others. */
  readonly derived?: Derivation;
}

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Bytes of the tensor's elements in its own dtype. */
export function byteLength(tensor: Pick<Tensor, 'dtype' | 'shape'>): number {
  return Math.ceil(elementCount(tensor.shape) * dtypes[tensor.dtype].bytes);
}

/**
 * The file's bytes can be handed to the runtime as they lie: one contiguous little-endian range of
 * a file.
 */
export function isPlain(tensor: Tensor): tensor is Tensor & { storage: Extract<Storage, { kind: 'file' }> } {
  return tensor.storage.kind === 'file' && !tensor.storage.deflated && !tensor.strides && !tensor.bigEndian;
}

/** One of the state dicts that a training checkpoint holds. */
export interface StateDict {
  /**
   * Path inside the file: `model_ema`, `teacher.backbone`, empty if the file itself is the state
   * dict.
   */
  readonly name: string;
  readonly tensors: readonly Tensor[];
  /** Prefix taken off every name: `module.`, `_orig_mod.`, `model.`; empty if nothing was. */
  readonly stripped: string;
}

/**
 * Anything that lies in the file besides the tensors shown: `epoch: 37`, `optimizer: 412 tensors`,
 * `args: argparse.Namespace`.
 */
export interface Extra {
  readonly name: string;
  readonly summary: string;
}
