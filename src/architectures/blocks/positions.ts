import { at } from '../../domain/lists';
import type { Size } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { float, int, ints, text, type Attribute, type ValueInfo } from '../../graph/graph';

/** How a library resamples a position table for another image size. */
interface Resampling {
  readonly mode: 'cubic' | 'linear';
  readonly antialias: boolean;
  readonly alignCorners: boolean;
  /**
   * Added to the new side before the scale is taken: DINO's guard against rounding, which shifts
   * every sample a little.
   */
  readonly offset: number;
}

const bicubic: Resampling = { mode: 'cubic', antialias: false, alignCorners: false, offset: 0 };

/**
 * Sources: timm layers/pos_embed.py resample_abs_pos_embed; transformers interpolate_pos_encoding
 * of each model (registers: with antialias; SigLIP 2: bilinear with antialias); torchvision
 * interpolate_embeddings; big_vision resample_posemb (scipy zoom of order 1); dinov2
 * vision_transformer.py interpolate_pos_encoding; open_clip resize_pos_embed.
 */
const resamplings = {
  'bicubic, antialias': { ...bicubic, antialias: true },
  bicubic,
  bilinear: { ...bicubic, mode: 'linear' },
  'bicubic, corners aligned': { ...bicubic, alignCorners: true },
  'bilinear, antialias': { ...bicubic, mode: 'linear', antialias: true },
  'bilinear, corners aligned': { ...bicubic, mode: 'linear', alignCorners: true },
  'bicubic, offset 0.1': { ...bicubic, offset: 0.1 },
} as const satisfies Record<string, Resampling>;

/** Name of a way of resampling: the value of the hyper-parameter `resampling`. */
export type ResamplingName = keyof typeof resamplings;

/** Every way of resampling. */
export const resamplingNames = Object.keys(resamplings) as readonly ResamplingName[];

/** Whether the word names a way of resampling. */
export function isResampling(name: string): name is ResamplingName {
  return Object.hasOwn(resamplings, name);
}

/**
 * `[1, rows · columns, dim]` patch rows of a position table for `grid`, resampled from the grid the
 * table was made for as the checkpoint's library does. Interpolation with antialias has a = -0.5
 * (as Pillow), without a = -0.75: torch's constants.
 */
export function resampled(
  b: GraphBuilder,
  table: ValueInfo,
  native: Size,
  grid: readonly [number, number],
  name: ResamplingName,
): ValueInfo {
  if (native[0] === grid[0] && native[1] === grid[1]) return table;
  const way: Resampling = resamplings[name];
  const dim = at(table.shape, 2);
  const map = b.transpose(b.reshape(table, [1, ...native, dim]), [0, 3, 1, 2]);
  const resized = b.add('Resize', resizeInputs(b, map, native, grid, way), resizeAttributes(way));
  return b.reshape(b.transpose(resized, [0, 2, 3, 1]), [1, grid[0] * grid[1], dim]);
}

function resizeInputs(
  b: GraphBuilder,
  map: ValueInfo,
  native: Size,
  grid: readonly [number, number],
  { offset }: Resampling,
): readonly (ValueInfo | undefined)[] {
  if (offset === 0) return [map, undefined, undefined, b.indices([1, at(map.shape, 1), ...grid])];
  const scales = [1, 1, (grid[0] + offset) / native[0], (grid[1] + offset) / native[1]];
  return [map, undefined, b.constant('/scales', 'F32', [4], Float32Array.from(scales))];
}

function resizeAttributes({
  mode,
  antialias,
  alignCorners,
}: Resampling): Readonly<Record<string, Attribute>> {
  return {
    mode: text(mode),
    coordinate_transformation_mode: text(alignCorners ? 'align_corners' : 'half_pixel'),
    ...(mode === 'cubic' && { cubic_coeff_a: float(antialias ? -0.5 : -0.75) }),
    ...(antialias && { antialias: int(1), exclude_outside: int(1) }),
    axes: ints([0, 1, 2, 3]),
  };
}
