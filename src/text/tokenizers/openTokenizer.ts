import { TextError } from '../errors';
import { textLimits } from '../limits';
import { asWritten, classFor, classRows } from './classes';
import { jsonOf, tokenizerFiles, type Sidecars, type TokenizerFile } from './sidecars';
import type { Tokenizer } from './tokenizer';

export { tokenizerFiles, type TokenizerFile } from './sidecars';

/** Reads files beside a model by name. */
export interface TextFiles {
  /**
   * A file's bytes; undefined if there is none of that name. Throws if it is larger than `most`.
   */
  read(name: string, most: number): Promise<Uint8Array | undefined>;
}

/**
 * Opens the tokenizer whose files lie beside a model, as AutoTokenizer of transformers 5.23 does.
 * Returns a sentence for people if there is none or it cannot be read.
 *
 * The code that reads a kind of tokenizer is loaded when one of that kind is opened.
 */
export async function openTokenizer(files: TextFiles): Promise<Tokenizer | string> {
  const given = new Map<TokenizerFile, Uint8Array>();
  for (const name of tokenizerFiles) {
    const bytes = await files.read(name, textLimits.fileBytes);
    if (bytes !== undefined) given.set(name, bytes);
  }
  try {
    return await open(given);
  } catch (error) {
    if (error instanceof TextError) return `The tokenizer cannot be read: ${error.message}.`;
    throw error;
  }
}

async function open(given: Sidecars): Promise<Tokenizer | string> {
  const config = jsonOf(given, 'tokenizer_config.json');
  const named = classFor(config, jsonOf(given, 'config.json'));
  const kind = named ?? guessedClass(given);
  if (kind === 'SiglipTokenizer' || kind === 'MarianTokenizer') {
    const missing = filesOf(kind).filter((name) => !given.has(name));
    if (missing.length > 0) return missingSentence(missing, kind);
    const { openSentencePiece } = await import('./sentencePiece/openSentencePiece');
    return openSentencePiece(given, kind, config);
  }
  const row = kind === undefined ? undefined : classRows[kind];
  if (!given.has('tokenizer.json')) {
    if (kind === undefined || row === undefined) return missingSentence(['tokenizer.json'], kind);
    const missing = row.files.filter((name) => !given.has(name));
    if (row.files.length === 0 || missing.length > 0)
      return missingSentence(['tokenizer.json'], kind, missing);
  }
  const { openPipeline } = await import('./openPipeline');
  return openPipeline(given, kind ?? asWritten, config, named === undefined);
}

const filesOf = (kind: 'SiglipTokenizer' | 'MarianTokenizer'): readonly TokenizerFile[] =>
  kind === 'SiglipTokenizer' ? ['spiece.model'] : ['source.spm', 'target.spm', 'vocab.json'];

/**
 * The class of a folder whose files name none, by what only one class has: BERT's vocab.txt, CLIP's
 * ends of words, RoBERTa's `<s>`. A SentencePiece model alone may be of several.
 */
function guessedClass(given: Sidecars): string | undefined {
  if (given.has('tokenizer.json')) return asWritten;
  if (given.has('vocab.txt')) return 'BertTokenizer';
  if (given.has('source.spm')) return 'MarianTokenizer';
  if (given.has('sentencepiece.bpe.model')) return 'XLMRobertaTokenizer';
  if (!given.has('vocab.json') || !given.has('merges.txt')) return undefined;
  const vocabulary = jsonOf(given, 'vocab.json');
  if ('<|startoftext|>' in vocabulary) return 'CLIPTokenizer';
  return '<s>' in vocabulary ? 'RobertaTokenizer' : 'GPT2Tokenizer';
}

/** Says which file is missing, and what can be given instead. */
function missingSentence(
  files: readonly string[],
  kind: string | undefined,
  older: readonly string[] = [],
): string {
  const instead = older.length > 0 ? ` (or ${older.join(' and ')})` : '';
  const of = kind === undefined || kind === asWritten ? 'the tokenizer' : kind;
  return (
    `${files.join(' and ')}${instead} of ${of} ${files.length > 1 ? 'are' : 'is'} missing beside the model: ` +
    'words cannot be read, token ids can.'
  );
}
