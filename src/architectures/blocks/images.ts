import type { Size } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';

/** Channels of colour images, which a stem under no known name reads. */
const colours = 3;

/**
 * The images `[batch, channels, height, width]`, of as many channels as the first layer of a stem
 * reads: the first of these convolutions that the file has.
 */
export function images(
  b: GraphBuilder,
  [batch, ...imageSize]: readonly [batch: number, ...Size],
  ...stems: readonly string[]
): ValueInfo {
  const kernel = stems.map((stem) => `${stem}.weight`).find((name) => b.has(name));
  const channels = kernel === undefined ? colours : (b.shapeOf(kernel)[1] ?? colours);
  return b.input('pixel_values', [batch, channels, ...imageSize]);
}
