import { byteLength, elementCount, type Tensor } from '../../checkpoint/tensors';

/**
 * Whether a tensor shows memory of one of these, in another shape or in part, or one number many
 * times over: the same numbers once more. A second name of the same range is no view.
 */
export function viewsOf(tensors: readonly Tensor[]): (tensor: Tensor) => boolean {
  // Of most files nobody asks.
  let held: ReadonlyMap<string, readonly Range[]> | undefined;
  return (tensor) => {
    if (tensor.strides?.some((stride, axis) => stride === 0 && (tensor.shape[axis] ?? 1) > 1)) return true;
    const range = rangeOf(tensor);
    if (!range) return false;
    const [start, end] = range;
    held ??= rangesOf(tensors);
    const ranges = held.get(storageOf(tensor) ?? '') ?? [];
    return ranges.some(([from, to]) => start < to && from < end && (start !== from || end !== to));
  };
}

/** First byte in a storage, and the one behind the last. */
type Range = readonly [start: number, end: number];

/** Where the tensors lie in each storage. */
function rangesOf(tensors: readonly Tensor[]): ReadonlyMap<string, readonly Range[]> {
  const held = new Map<string, Range[]>();
  for (const tensor of tensors) {
    const [storage, range] = [storageOf(tensor), rangeOf(tensor)];
    if (storage === undefined || !range) continue;
    const known = held.get(storage);
    if (known) known.push(range);
    else held.set(storage, [range]);
  }
  return held;
}

/** The storage that a tensor lies in; undefined if it lies in none of a file. */
const storageOf = ({ storage }: Tensor): string | undefined =>
  storage.kind === 'file' ? `${storage.offset} ${storage.file}` : undefined;

/**
 * First byte of a tensor in its storage, and the one behind its last; undefined if they are not in
 * it.
 */
function rangeOf(tensor: Tensor): Range | undefined {
  const { shape, strides, start, dtype, storage } = tensor;
  const last = strides
    ? shape.reduce((sum, side, axis) => sum + (side - 1) * (strides[axis] ?? 0), 0)
    : elementCount(shape) - 1;
  const end = start + (last + 1) * byteLength({ dtype, shape: [1] });
  const size = storage.kind === 'file' ? (storage.deflated?.size ?? storage.length) : 0;
  return end <= size ? [start, end] : undefined;
}
