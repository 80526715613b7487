import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { withValue, type Tokens } from './layers';
import { mergeHeads, splitHeads } from './transformer';

/**
 * Image and text attend to one another by one matrix of scores (Li et al. 2022, GLIP, §3.2,
 * equations 4 and 5): its rows are the image's attention, its columns the text's.
 *
 * @param hidden added to the scores of texts' tokens that are padding, `[texts, 1, 1, text]`
 * @returns what each is given of the other, `[batch · count, dim]`
 */
export function fusedAttention(
  b: GraphBuilder,
  name: string,
  { image, text, hidden }: { readonly image: Tokens; readonly text: Tokens; readonly hidden: ValueInfo },
  heads: number,
): { readonly image: ValueInfo; readonly text: ValueInfo } {
  return b.scope(
    name,
    () => {
      const split = ({ value, batch }: Tokens, projection: string): ValueInfo =>
        splitHeads(b, b.linear(value, projection), batch, heads);
      const asked = split(image, 'vision_proj');
      const scale = b.scalar(1 / Math.sqrt(at(asked.shape, 3)));
      const keys = b.transpose(split(text, 'text_proj'), [0, 1, 3, 2]);
      const scores = b.add('MatMul', [b.add('Mul', [asked, scale]), keys], {}, { name: '/scores' });
      const ofImage = split(image, 'values_vision_proj');
      const ofText = split(text, 'values_text_proj');
      const attend = (scored: ValueInfo, values: ValueInfo, queries: Tokens, to: Tokens): ValueInfo => {
        const map = b.add('Softmax', [scored], { axis: int(-1) });
        b.probe(map, { layer: b.scopePath, kind: 'cross', queries: queries.layout, keys: to.layout });
        return mergeHeads(b, b.add('MatMul', [map, values], {}, { name: '/mix' }));
      };
      const told = attend(b.transpose(scores, [0, 1, 3, 2]), ofImage, text, image);
      const seen = attend(b.add('Add', [scores, hidden]), ofText, image, text);
      return { image: b.linear(seen, 'out_vision_proj'), text: b.linear(told, 'out_text_proj') };
    },
    { title: 'Cross-attention both ways', formula: 'softmax(QKᵀ/√d)·V, softmax(KQᵀ/√d)·V' },
  );
}

/** x + factor · branch, with a learned factor for each channel. */
export const scaledResidual = (b: GraphBuilder, tokens: Tokens, branch: ValueInfo, factor: string): Tokens =>
  withValue(tokens, b.add('Add', [tokens.value, b.add('Mul', [branch, b.parameter(factor)])]));
