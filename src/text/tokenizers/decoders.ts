import { TextError } from '../errors';
import { asFlag, asText, needIndex, needSteps, needText, type Json } from '../json';
import { textLimits } from '../limits';
import { fromStandIns } from './byteLevel';
import { compilePattern } from './patterns';
import { characters, textOfBytes } from './unicode';

/** Turns tokens into the parts of a text: what is joined, in the end, without anything between. */
export type Decode = (tokens: readonly string[]) => readonly string[];

const eachToken =
  (rewrite: (token: string, index: number, count: number) => string): Decode =>
  (tokens) =>
    tokens.map((token, index) => rewrite(token, index, tokens.length));

/** Takes back the spaces that a WordPiece decoder puts before signs; the library's list. */
const signs: readonly (readonly [string, string])[] = [
  [' .', '.'],
  [' ?', '?'],
  [' !', '!'],
  [' ,', ','],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [' do not', " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];

const tidy = (text: string, list: typeof signs): string =>
  list.reduce((sofar, [from, to]) => sofar.replaceAll(from, to), text);

/** transformers' clean_up_tokenization: the same list without "do not". */
export const cleanUp = (text: string): string =>
  tidy(
    text,
    signs.filter(([from]) => from !== ' do not'),
  );

/**
 * Decoders by their names in tokenizer.json. Those of @huggingface/tokenizers 0.2.0 are not
 * used: it drops one ▁ of the first token, not all, and decodes bytes that are no text as one
 * sign.
 */
const decoders: Readonly<Record<string, (step: Json, depth: number) => Decode>> = {
  ByteLevel: () => (tokens) => [fromStandIns(tokens)],
  Fuse: () => (tokens) => [tokens.join('')],
  ByteFallback: () => byteFallback,
  WordPiece: (step) => {
    const prefix = asText(step['prefix']) ?? '##';
    const tidies = asFlag(step['cleanup']) ?? true;
    return eachToken((token, index) => {
      const follows = token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
      const text = index === 0 ? token : follows;
      return tidies ? tidy(text, signs) : text;
    });
  },
  Metaspace: (step) => {
    const mark = asText(step['replacement']) ?? '▁';
    const prepends = asText(step['prepend_scheme']) !== 'never' && asFlag(step['add_prefix_space']) !== false;
    return eachToken((token, index) => token.replaceAll(mark, index === 0 && prepends ? '' : ' '));
  },
  BPEDecoder: (step) => {
    const suffix = asText(step['suffix']) ?? '</w>';
    return eachToken((token, index, count) => token.replaceAll(suffix, index === count - 1 ? '' : ' '));
  },
  Replace: (step) => {
    const pattern = compilePattern(step['pattern'], 'a replacement');
    const content = needText(step['content'], 'what replaces a pattern');
    return eachToken((token) => token.replace(pattern, () => content));
  },
  Strip: (step) => {
    const content = needText(step['content'], 'what is stripped');
    const start = needIndex(step['start'], 'how much is stripped in front');
    const stop = needIndex(step['stop'], 'how much is stripped at the end');
    return eachToken((token) => stripped(token, content, start, stop));
  },
  Sequence: (step, depth) => {
    const steps = needSteps(step['decoders'], 'the decoder').map((each) => decoder(each, depth + 1));
    return (tokens) => steps.reduce((sofar, run) => run(sofar), tokens);
  },
};

/**
 * Reads a decoder of tokenizer.json; without one, tokens are joined by spaces. Throws `TextError`
 * for one that is unknown.
 */
export function decoder(step: Json | undefined, depth = 0): Decode {
  if (step === undefined) return (tokens) => [tokens.join(' ')];
  const type = asText(step['type']) ?? '';
  const make = decoders[type];
  if (make === undefined || depth > textLimits.nesting)
    throw new TextError(`a decoder of type ${JSON.stringify(type)} is not supported`);
  return make(step, depth);
}

/** Runs of `<0xNN>` as the text that their bytes are; each byte of a run that is none is U+FFFD. */
const byteFallback: Decode = (tokens) => {
  const out: string[] = [];
  let bytes: number[] = [];
  const flush = () => {
    if (bytes.length === 0) return;
    const text = textOfBytes(Uint8Array.from(bytes));
    // Bytes that are text come back as they were; a replaced one does not.
    const isText = Buffer.from(text).equals(Buffer.from(bytes));
    out.push(isText ? text : '\ufffd'.repeat(bytes.length));
    bytes = [];
  };
  for (const token of tokens) {
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
    if (byte !== undefined) {
      bytes.push(parseInt(byte, 16));
      continue;
    }
    flush();
    out.push(token);
  }
  flush();
  return out;
};

function stripped(token: string, content: string, start: number, stop: number): string {
  const all = characters(token);
  let from = 0;
  while (from < start && all[from] === content) from++;
  let to = all.length;
  while (all.length - to < stop && all[to - 1] === content) to--;
  return all.slice(from, Math.max(from, to)).join('');
}
