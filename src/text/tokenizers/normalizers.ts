import { TextError } from '../errors';
import { asFlag, asText, needSteps, needText, type Json } from '../json';
import { textLimits } from '../limits';
import { toStandIns } from './byteLevel';
import { Charsmap } from './charsmap';
import { compilePattern } from './patterns';
import { bytesOf, characters, lowerCaseEach, trimSpace } from './unicode';

/** Rewrites a text before it is cut. */
export type Normalize = (text: string) => string;

/**
 * Normalisers by their names in tokenizer.json. Those of @huggingface/tokenizers 0.2.0 are not
 * used: it stands in for a compiled table with NFKC, lower-cases by word (final sigma), cleans
 * by JavaScript's white space and reads `$` in a replacement.
 */
const normalizers: Readonly<Record<string, (step: Json, depth: number) => Normalize>> = {
  NFC: () => (text) => text.normalize('NFC'),
  NFD: () => (text) => text.normalize('NFD'),
  NFKC: () => (text) => text.normalize('NFKC'),
  NFKD: () => (text) => text.normalize('NFKD'),
  Lowercase: () => lowerCaseEach,
  StripAccents: () => (text) => text.replace(/\p{M}/gu, ''),
  Nmt: () => nmt,
  ByteLevel: () => toStandIns,
  BertNormalizer: bertNormalizer,
  Precompiled: (step) => {
    const table = needText(step['precompiled_charsmap'], 'the normalisation table');
    return precompiled(Charsmap.of(Buffer.from(table, 'base64')));
  },
  Prepend: (step) => {
    const front = needText(step['prepend'], 'what is put before the text');
    return (text) => (text === '' ? '' : front + text);
  },
  Replace: (step) => {
    const pattern = compilePattern(step['pattern'], 'a replacement');
    const content = needText(step['content'], 'what replaces a pattern');
    return (text) => text.replace(pattern, () => content);
  },
  Strip: (step) => {
    const start = asFlag(step['strip_left']) ?? true;
    const end = asFlag(step['strip_right']) ?? true;
    return (text) => trimSpace(text, start, end);
  },
  Sequence: (step, depth) => {
    const steps = needSteps(step['normalizers'], 'the normaliser').map((each) => normalizer(each, depth + 1));
    return (text) => steps.reduce((sofar, run) => run(sofar), text);
  },
};

/** Reads a normaliser of tokenizer.json. Throws `TextError` for one that is unknown. */
export function normalizer(step: Json | undefined, depth = 0): Normalize {
  if (step === undefined) return (text) => text;
  const type = asText(step['type']) ?? '';
  const make = normalizers[type];
  if (make === undefined || depth > textLimits.nesting)
    throw new TextError(`a normaliser of type ${JSON.stringify(type)} is not supported`);
  return make(step, depth);
}

/**
 * BERT's cleaning: control characters go, white space becomes a space, a CJK character is a word of
 * its own, accents go with the case if the file does not say otherwise (`strip_accents: null`).
 */
function bertNormalizer(step: Json): Normalize {
  const clean = asFlag(step['clean_text']) ?? true;
  const chinese = asFlag(step['handle_chinese_chars']) ?? true;
  const lower = asFlag(step['lowercase']) ?? true;
  const accents = asFlag(step['strip_accents']) ?? lower;
  const steps: Normalize[] = [];
  if (clean) steps.push(cleanText);
  if (chinese) steps.push((text) => text.replace(chineseCharacters, ' $& '));
  if (accents) steps.push((text) => text.normalize('NFD').replace(/\p{Mn}/gu, ''));
  if (lower) steps.push(lowerCaseEach);
  return (text) => steps.reduce((sofar, run) => run(sofar), text);
}

const chineseCharacters =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;

const cleanText: Normalize = (text) =>
  text.replace(/[\0\ufffd]|(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}]/gu, '').replace(/\p{White_Space}/gu, ' ');

/** What Google's neural translation cleans: a few controls go, odd spaces become one. */
const nmt: Normalize = (text) =>
  text
    .replace(/[\u0001-\u0008\u000b\u000e-\u001f\u007f\u008f\u009f]/g, '')
    .replace(/[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/g, ' ');

/** A grapheme of so many bytes or more is looked up character by character. */
const graphemeBytes = 6;

/**
 * The library's reading of a compiled table: a short grapheme as a whole, else its characters; the
 * SHORTEST rule that fits its start stands for all of it, so that "\r\n" becomes one space.
 * SentencePiece itself takes the longest (see sentencePiece/normalize).
 */
function precompiled(table: Charsmap): Normalize {
  const segments = new Intl.Segmenter('en', { granularity: 'grapheme' });
  const shortest = (text: string) => table.prefixes(bytesOf(text))[0]?.text;
  const graphemes = (text: string) =>
    isPlain(text) ? text : Array.from(segments.segment(text), ({ segment }) => segment);
  return (text) => {
    let out = '';
    for (const grapheme of graphemes(text)) {
      const whole = bytesOf(grapheme).length < graphemeBytes ? shortest(grapheme) : undefined;
      out +=
        whole ??
        characters(grapheme)
          .map((character) => shortest(character) ?? character)
          .join('');
    }
    return out;
  };
}

/** Every character is a grapheme: ASCII without carriage returns. */
const isPlain = (text: string): boolean => /^[ -~\t\n]*$/.test(text);
