import { TextError } from '../errors';
import { asFlag, asText, needIndex, needSteps, type Json } from '../json';
import { textLimits } from '../limits';
import { toStandIns } from './byteLevel';
import { compilePattern } from './patterns';
import { characterFinder, cutting, finderOf, inverted, rewriting, type Cut } from './pieces';
import { characters, isPunctuation, isSpace } from './unicode';

/** GPT-2's words: contractions, then letters, digits or signs with the space before them. */
const gpt2Words =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

const words =
  /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu;

const inTurn =
  (cuts: readonly Cut[]): Cut =>
  (pieces) =>
    cuts.reduce((sofar, cut) => cut(sofar), pieces);

/**
 * Pre-tokenizers by their names in tokenizer.json. Those of @huggingface/tokenizers 0.2.0 are not
 * used: it knows two of five ways of splitting, cuts no words at ▁ and takes \s for white space.
 */
const preTokenizers: Readonly<Record<string, (step: Json, depth: number) => Cut>> = {
  WhitespaceSplit: () => cutting(characterFinder(isSpace), 'Removed'),
  Whitespace: () => cutting(inverted(finderOf(words)), 'Removed'),
  BertPreTokenizer: () =>
    inTurn([
      cutting(characterFinder(isSpace), 'Removed'),
      cutting(characterFinder(isPunctuation), 'Isolated'),
    ]),
  Punctuation: (step) => cutting(characterFinder(isPunctuation), asText(step['behavior']) ?? 'Isolated'),
  Digits: (step) =>
    cutting(
      characterFinder((character) => /^\p{N}$/u.test(character)),
      asFlag(step['individual_digits']) ? 'Isolated' : 'Contiguous',
    ),
  CharDelimiterSplit: (step) => {
    const delimiter = asText(step['delimiter']);
    return cutting(
      characterFinder((character) => character === delimiter),
      'Removed',
    );
  },
  FixedLength: (step) => fixedLength(needIndex(step['length'], 'the length of pieces')),
  Split: (step) => {
    const finder = finderOf(compilePattern(step['pattern'], 'a split'));
    return cutting(asFlag(step['invert']) ? inverted(finder) : finder, asText(step['behavior']) ?? '');
  },
  ByteLevel: (step) => {
    const prefix = asFlag(step['add_prefix_space']) ?? true;
    const cuts = [
      rewriting(({ text }) => (prefix && !text.startsWith(' ') ? ` ${text}` : text)),
      cutting(finderOf(gpt2Words), 'Isolated'),
      rewriting(({ text }) => toStandIns(text)),
    ];
    return inTurn(asFlag(step['use_regex']) === false ? cuts.toSpliced(1, 1) : cuts);
  },
  Metaspace: metaspace,
  Sequence: (step, depth) =>
    inTurn(
      needSteps(step['pretokenizers'], 'the pre-tokenizer').map((each) => preTokenizer(each, depth + 1)),
    ),
};

/** Reads a pre-tokenizer of tokenizer.json. Throws `TextError` for one that is unknown. */
export function preTokenizer(step: Json | undefined, depth = 0): Cut {
  if (step === undefined) return (pieces) => pieces;
  const type = asText(step['type']) ?? '';
  const make = preTokenizers[type];
  if (make === undefined || depth > textLimits.nesting)
    throw new TextError(`a pre-tokenizer of type ${JSON.stringify(type)} is not supported`);
  return make(step, depth);
}

/** SentencePiece's spaces: ▁ for each, one put before the text, a cut before each. */
function metaspace(step: Json): Cut {
  const mark = asText(step['replacement']) ?? '▁';
  // Files from before prepend_scheme say add_prefix_space.
  const scheme =
    asText(step['prepend_scheme']) ?? (asFlag(step['add_prefix_space']) === false ? 'never' : 'always');
  const marks = ({ text, atStart }: { readonly text: string; readonly atStart: boolean }) => {
    const marked = text.replaceAll(' ', mark);
    const prepends = scheme === 'always' || (scheme === 'first' && atStart);
    return prepends && !marked.startsWith(mark) ? mark + marked : marked;
  };
  const cuts = [rewriting(marks)];
  if (asFlag(step['split']) !== false)
    cuts.push(
      cutting(
        characterFinder((character) => character === mark),
        'MergedWithNext',
      ),
    );
  return inTurn(cuts);
}

const fixedLength =
  (length: number): Cut =>
  (pieces) => {
    if (length === 0) throw new TextError('pieces of no length');
    return pieces.flatMap(({ text, atStart }) => {
      const all = characters(text);
      return Array.from({ length: Math.ceil(all.length / length) }, (_, index) => ({
        text: all.slice(index * length, (index + 1) * length).join(''),
        atStart: atStart && index === 0,
      }));
    });
  };
