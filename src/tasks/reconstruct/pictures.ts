import type { Pixels } from '../../domain/pixels';
import type { Size } from '../../domain/size';
import { formatNumber } from '../../domain/units';
import type { Rebuilt } from '../answer';

/** `27 of 36 patches hidden by seed 0; drawn 12.3 levels of 255 off`, for people. */
export const summaryOf = ({ hiddenPatches, patches, seed, error }: Rebuilt): string =>
  `${hiddenPatches} of ${patches} patches hidden by seed ${seed}; drawn ${formatNumber(error)} levels of 255 off`;

/** Planes `[3, rows, columns]` of 0 … 255 as pixels; what leaves that range is clipped. */
export function pixelsOf(planes: Float32Array, [height, width]: Size): Pixels {
  const area = height * width;
  const rgb = Uint8Array.from({ length: 3 * area }, (_, at) => {
    const value = planes[(at % 3) * area + Math.floor(at / 3)] ?? 0;
    return Math.min(255, Math.max(0, Math.round(value)));
  });
  return { width, height, rgb };
}

/** Middle grey, which no colour of the image is mistaken for where a whole patch has it. */
const unseen = 128;

/** What the model saw: the image with its hidden patches grey. */
export function maskedOf({ pasted, hidden, grid }: Rebuilt): Pixels {
  return pixelsOf(
    pasted.map((value, place) => ((hidden[place % hidden.length] ?? 0) > 0 ? unseen : value)),
    grid,
  );
}

/**
 * How far off each hidden pixel is drawn, the mean over its colours in levels of 255; NaN where the
 * model saw the image.
 */
export function errorsOf({ pasted, hidden, grid }: Rebuilt, { width, height, rgb }: Pixels): Float32Array {
  const area = hidden.length;
  const fits = height === grid[0] && width === grid[1];
  return Float32Array.from({ length: area }, (_, place) => {
    if (!fits || (hidden[place] ?? 0) === 0) return NaN;
    const off = [0, 1, 2].map((colour) =>
      Math.abs((pasted[colour * area + place] ?? 0) - (rgb[3 * place + colour] ?? 0)),
    );
    return off.reduce((sum, each) => sum + each, 0) / 3;
  });
}
