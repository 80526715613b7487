/** From masks of prompts to the image's own pixels, as the processors of SAM and SAM 2 do it. */
import type { Size } from '../../domain/size';
import { composedTaps, interpolationTaps } from '../../preprocessing/interpolation';
import type { Taps } from '../../preprocessing/resize';
import { ofOneImage, type Values } from './values';

/** Where a prompt's mask is, and how well the model thinks that it fits. */
export interface PromptMask {
  readonly prompt: number;
  readonly mask: number;
  /** Estimated intersection over union. */
  readonly score: number;
  readonly size: Size;
  /** 1 in the mask, 0 outside. */
  readonly ids: Uint8Array;
  /** Pixels in the mask. */
  readonly area: number;
}

export interface PromptSizes {
  /**
   * What the image was padded to, and what it was resized to inside of that (SAM's 1024 × 1024);
   * without them the image was stretched (SAM 2).
   */
  readonly frame?: { readonly padded: Size; readonly resized: Size } | undefined;
  readonly image: Size;
  /** Logits above it are in the mask. */
  readonly threshold?: number;
}

type AxisTaps = Taps<Float64Array>;

/** One axis of the way from a mask's samples to the image's pixels, all bilinear. */
function axisOf(from: number, { frame, image }: PromptSizes, side: 0 | 1): AxisTaps {
  const resize = (start: number, to: number, length: number): AxisTaps =>
    interpolationTaps({ from: start, to, start: 0, length }, 'bilinear', 'centres');
  if (!frame) return resize(from, image[side], image[side]);
  const [padded, kept] = [frame.padded[side], frame.resized[side]];
  return composedTaps(resize(from, padded, kept), resize(kept, image[side], image[side]));
}

/** The plane at all pixels that the taps make, as 1 above the threshold and 0 elsewhere. */
function above(plane: Float32Array, width: number, rows: AxisTaps, columns: AxisTaps, threshold: number) {
  const [high, wide] = [rows.first.length, columns.first.length];
  const row = new Float64Array(width);
  const ids = new Uint8Array(high * wide);
  const { first, count, weights, stride } = columns;
  let area = 0;
  for (let y = 0, at = 0; y < high; y++) {
    row.fill(0);
    for (let k = 0; k < (rows.count[y] ?? 0); k++) {
      const weight = rows.weights[y * rows.stride + k] ?? 0;
      const from = ((rows.first[y] ?? 0) + k) * width;
      for (let x = 0; x < width; x++) row[x] = (row[x] ?? 0) + weight * (plane[from + x] ?? 0);
    }
    for (let x = 0; x < wide; x++, at++) {
      const [from, own, taps] = [first[x] ?? 0, x * stride, count[x] ?? 0];
      let value = 0;
      for (let k = 0; k < taps; k++) value += (weights[own + k] ?? 0) * (row[from + k] ?? 0);
      if (value > threshold) {
        ids[at] = 1;
        area++;
      }
    }
  }
  return { ids, area };
}

/**
 * `post_process_masks`: masks [prompts, masks, rows, columns] are enlarged to the padded input, cut
 * to what the image takes of it, and brought to the image's size, bilinear both times; here in one
 * pass, because both are linear.
 */
export function promptMasksOf(masks: Values, scores: Values, sizes: PromptSizes): readonly PromptMask[] {
  const { shape, values } = ofOneImage(masks, 4, 'masks');
  const [prompts = 0, each = 0, height = 0, width = 0] = shape;
  const estimates = ofOneImage(scores, 2, 'scores of masks').values;
  const [rows, columns] = [axisOf(height, sizes, 0), axisOf(width, sizes, 1)];
  return Array.from({ length: prompts * each }, (_, i) => ({
    ...{ prompt: Math.floor(i / each), mask: i % each, score: estimates[i] ?? 0, size: sizes.image },
    ...above(
      values.subarray(i * height * width, (i + 1) * height * width),
      ...([width, rows, columns, sizes.threshold ?? 0] as const),
    ),
  }));
}
