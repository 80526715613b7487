import type { GraphBuilder } from '../../graph/builder';
import { int, text, type ValueInfo } from '../../graph/graph';

/**
 * Answers with the pixels that a model of masked images rebuilds,
 * `[batch, channels, height, width]`, if its decoder is stored: one linear layer from each token of
 * `[batch, rows, columns, dim]` to the pixels of its part of the image, channels first (Xie et al.
 * 2022, SimMIM, §3.3).
 */
export function reconstruct(b: GraphBuilder, tokens: ValueInfo): void {
  if (!b.has('decoder.0.weight')) return;
  const pixels = b.conv2d(b.transpose(tokens, [0, 3, 1, 2]), 'decoder.0');
  const [, channels = 1] = b.shapeOf('patch_embed.proj.weight');
  const [, width = 0] = pixels.shape;
  const side = Math.sqrt(width / channels);
  const image = b.add('DepthToSpace', [pixels], { blocksize: int(side), mode: text('CRD') });
  b.output('reconstruction', image, 'pixels');
}

/** Samples of each patch, `[batch, patches, rows · columns · channels]`. */
export function patchesOf(
  b: GraphBuilder,
  pixels: ValueInfo,
  [rows, columns]: readonly [number, number],
): ValueInfo {
  const [batch, channels, height, width] = pixels.shape as readonly [number, number, number, number];
  const [down, across] = [height / rows, width / columns];
  const cut = b.reshape(pixels, [batch, channels, rows, down, columns, across]);
  return b.reshape(b.transpose(cut, [0, 2, 4, 3, 5, 1]), [batch, rows * columns, down * across * channels]);
}
