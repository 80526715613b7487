import { TextError } from '../../errors';
import { asFlag, type Json } from '../../json';
import { AddedTokens } from '../addedTokens';
import type { Specials } from '../specials';
import { first, second, token } from '../templates';
import type { TokenizerParts } from '../tokenizer';
import { oneSpace, strip } from '../unicode';
import type { Processor } from './processor';

const space = '▁';

/** Python's string.punctuation. */
const punctuation = /[!-/:-@[-`{-~]/g;

/** Tokens that a text is searched for before SentencePiece sees it, with SentencePiece's ids. */
export const addedTo = (processor: Processor, { added }: Specials): AddedTokens => {
  const tokens = new AddedTokens(
    {
      kind: 'Unigram',
      size: processor.size,
      ids: () => [],
      idOf: (piece) => (processor.has(piece) ? processor.idOf(piece) : undefined),
      tokenOf: (id) => processor.pieceOf(id),
    },
    (text) => text,
  );
  tokens.add(added.map((each) => ({ ...each, normalized: false })));
  return tokens;
};

/**
 * SigLIP's tokenizer: lower case, no punctuation, single spaces; then SentencePiece, behind an
 * unknown token, so that it does not drop the first space; the end token behind it.
 */
export function siglip(
  processor: Processor,
  specials: Specials,
  config: Json,
): Pick<
  TokenizerParts,
  'idsOf' | 'decode' | 'token' | 'id' | 'size' | 'template' | 'pairsEmpty' | 'endOnce' | 'oddToFirst'
> {
  const added = addedTo(processor, specials);
  const lower = asFlag(config['do_lower_case']) ?? true;
  const unknown = specials.named.unk?.content ?? '<unk>';
  const end = added.idOf(specials.named.eos?.content ?? '');
  if (end === undefined) throw new TextError('the vocabulary has no end token');
  const unknownLength = processor.encode(unknown).length;
  const pieces = (text: string) => {
    const plain = (lower ? text.toLowerCase() : text).replace(punctuation, '');
    const found = processor.encode(unknown + strip(oneSpace(plain)));
    return found.length >= unknownLength ? found.slice(unknownLength) : found;
  };
  const isSpecial = (id: number) => added.isSpecial(added.tokenOf(id) ?? '');
  return {
    template: {
      single: [first(), token(end)],
      pair: [first(), token(end), second(), token(end)],
    },
    pairsEmpty: true,
    endOnce: end,
    oddToFirst: true,
    size: added.size,
    token: (id) => added.tokenOf(id) ?? processor.pieceOf(id),
    id: (text) => added.idOf(text) ?? (processor.has(text) ? processor.idOf(text) : undefined),
    idsOf: (text) => {
      const tokens = added
        .split(space + text.replaceAll(space, ' '))
        .flatMap((section) => ('id' in section ? [added.tokenOf(section.id) ?? ''] : pieces(section.text)));
      // Words that are unknown are compared as they stand, not as the unknown token.
      const dropsSpace = tokens[0] === space && added.isSpecial(tokens[1] ?? '');
      return (dropsSpace ? tokens.slice(1) : tokens).map((each) => added.idOf(each) ?? processor.idOf(each));
    },
    decode: (ids, { skipSpecial = false } = {}) => {
      let out = '';
      let run: string[] = [];
      let wasSpecial = false;
      for (const id of ids) {
        const piece = added.tokenOf(id) ?? processor.pieceOf(id);
        if (piece === undefined || (skipSpecial && isSpecial(id))) continue;
        if (!added.isSpecial(piece)) {
          run.push(piece);
          wasSpecial = false;
          continue;
        }
        out += (wasSpecial ? '' : ' ') + processor.decode(run) + piece;
        wasSpecial = true;
        run = [];
      }
      return strip(out + processor.decode(run));
    },
  };
}
