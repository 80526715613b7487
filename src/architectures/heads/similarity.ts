import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';

/** x / ‖x‖ over the last axis of `[rows, width]`. */
export function unitLength(b: GraphBuilder, x: ValueInfo): ValueInfo {
  const squares = b.add('ReduceSum', [b.add('Mul', [x, x]), b.indices([1])]);
  return b.add('Div', [x, b.add('Sqrt', [squares])]);
}

/**
 * Scores of images with texts: exp(scale) · cosine + bias (Radford et al. 2021, fig. 3; Zhai et al.
 * 2023, algorithm 1), or cosine / temperature (Jia et al. 2021, §4.2), of `[images, width]` and
 * `[texts, width]` of unit length.
 */
export function similarity(b: GraphBuilder, image: ValueInfo, text: ValueInfo): ValueInfo {
  const cosine = b.add('MatMul', [image, b.transpose(text, [1, 0])]);
  if (b.has('temperature')) return b.add('Div', [cosine, b.parameter('temperature', [1])]);
  const scaled = b.add('Mul', [cosine, b.add('Exp', [b.parameter('logit_scale', [1])])]);
  return b.has('logit_bias') ? b.add('Add', [scaled, b.parameter('logit_bias', [1])]) : scaled;
}

/** The same of `image_embeds` and `text_embeds`, as a graph of its own. */
export function writeSimilarity(
  b: GraphBuilder,
  width: number,
  { images, texts }: { readonly images: number; readonly texts: number },
): void {
  const image = b.input('image_embeds', [images, width]);
  const text = b.input('text_embeds', [texts, width]);
  b.output('logits_per_image', similarity(b, image, text), 'scores');
}
