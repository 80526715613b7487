import { TextError } from '../../errors';
import { AddedTokens } from '../addedTokens';
import type { Vocabulary } from '../algorithms/vocabulary';
import type { Specials } from '../specials';
import { first, second, token } from '../templates';
import type { TokenizerParts } from '../tokenizer';
import { strip } from '../unicode';
import type { Processor } from './processor';

/** The two languages' models and the vocabulary that gives their pieces ids. */
export interface MarianFiles {
  readonly source: Processor;
  readonly target: Processor;
  /** vocab.json */
  readonly vocabulary: Vocabulary;
  /** target_vocab.json, if the languages have one each. */
  readonly targetVocabulary?: Vocabulary;
}

/**
 * Marian's tokenizer: pieces of the source language's SentencePiece model, ids of vocab.json, the
 * end token behind. A code like `>>fr<<` in front stays whole.
 */
export function marian(
  files: MarianFiles,
  specials: Specials,
): Pick<
  TokenizerParts,
  'idsOf' | 'decode' | 'token' | 'id' | 'size' | 'template' | 'pairsEmpty' | 'oddToFirst'
> {
  const { source, target, vocabulary, targetVocabulary } = files;
  const unknown = vocabulary.need(specials.named.unk?.content ?? '<unk>');
  const added = new AddedTokens(
    {
      kind: 'WordLevel',
      size: vocabulary.size,
      ids: () => [],
      idOf: (piece) => vocabulary.idOf(piece),
      tokenOf: (id) => vocabulary.tokenOf(id),
    },
    (text) => text,
  );
  added.add(specials.added.map((each) => ({ ...each, normalized: false })));
  const end = added.idOf(specials.named.eos?.content ?? '');
  if (end === undefined) throw new TextError('the vocabulary has no end token');
  const shown = targetVocabulary ?? vocabulary;
  // One vocabulary for both languages is shown by the source's model, as transformers does.
  const shower = targetVocabulary === undefined ? source : target;
  const tokenOf = (id: number) => added.tokenOf(id) ?? shown.tokenOf(id) ?? shower.pieceOf(id);
  return {
    template: { single: [first(), token(end)], pair: [first(), second(), token(end)] },
    pairsEmpty: true,
    oddToFirst: true,
    size: added.size,
    token: tokenOf,
    id: (text) => added.idOf(text) ?? vocabulary.idOf(text),
    idsOf: (text) =>
      added.split(text).flatMap((section) => {
        if ('id' in section) return [section.id];
        const [code, rest] = languageCode(section.text);
        return [...code, ...source.encode(rest)].map((piece) => vocabulary.idOf(piece) ?? unknown);
      }),
    decode: (ids, { skipSpecial = false } = {}) => {
      let out = '';
      let run: string[] = [];
      for (const id of ids) {
        const piece = tokenOf(id) ?? specials.named.unk?.content ?? '<unk>';
        const isSpecial = added.isSpecial(piece);
        if (!isSpecial) run.push(piece);
        if (!isSpecial || (skipSpecial && added.idOf(piece) === id)) continue;
        out += `${shower.decode(run)}${piece} `;
        run = [];
      }
      return strip((out + shower.decode(run)).replaceAll('▁', ' '));
    },
  };
}

function languageCode(text: string): readonly [readonly string[], string] {
  const end = text.startsWith('>>') ? text.indexOf('<<') : -1;
  return end === -1 ? [[], text] : [[text.slice(0, end + 2)], text.slice(end + 2)];
}
