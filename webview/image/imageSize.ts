import type { InputSize } from '../../src/tasks/run';
import type { Size } from '../../src/domain/size';
import { parseSize } from '../../src/domain/units';

/** `224×224`, height first as everywhere. */
export const sizeText = ([height, width]: Size): string => `${height}×${width}`;

/** Sizes offered beside the native one: a few steps around it, then larger by half and twice. */
const PLACES: readonly ((native: number, step: number) => number)[] = [
  (native, step) => native - 2 * step,
  (native, step) => native - step,
  (native) => native,
  (native, step) => native + step,
  (native, step) => native + 2 * step,
  (native, step) => native + step * Math.round(native / 2 / step),
  (native, step) => native + step * Math.round(native / step),
];

/** Sizes that the model can take, in order; the native one alone if it takes no other. */
export function sizeChoices({ native, step }: InputSize): readonly string[] {
  if (step[0] <= 0 || step[1] <= 0) return [sizeText(native)];
  const sizes = PLACES.map((place): Size => [place(native[0], step[0]), place(native[1], step[1])]);
  const possible = sizes.filter(([height, width]) => height >= step[0] && width >= step[1]);
  return [...new Set(possible.sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(sizeText))];
}

/** What is wrong with a typed size as such; whether the model takes it is the host's to say. */
export const sizeError = (text: string): string =>
  parseSize(text) ? '' : `${text}: one number for a square or HEIGHT×WIDTH in pixels is needed`;
