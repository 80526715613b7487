import { TextError } from '../errors';
import { asFlag, asJson, asList, needText, type Json } from '../json';
import { plainToken, type AddedToken } from './addedTokens';
import { classRows, extraTokens, type Built, type ClassRow, type VocabularyFiles } from './classes';
import { compile } from './pipeline';
import { pieceKinds, readSentencePiece } from './sentencePiece/model';
import { commonOf, jsonOf, needFile, specialIds, type Sidecars, type TokenizerFile } from './sidecars';
import { settleSpecials, type Specials } from './specials';
import { bareTemplate, first, second, template, token, type Template, type TemplatePart } from './templates';
import { tokenizerOf, type SpecialName, type Tokenizer } from './tokenizer';
import { textOfBytes, trimSpace } from './unicode';

/** What is read of the vocabulary's files: tokenizer.json, or those from before it. */
interface Vocabulary extends VocabularyFiles {
  readonly source: string;
  /** Tokens that the files add, in their order. */
  readonly tokens: readonly AddedToken[];
}

/**
 * Opens a tokenizer of the tokenizers library's kind: tokenizer.json, or the files of a class.
 * Throws `TextError`.
 *
 * @param isGuess whether no file named the class, which `source` then says.
 */
export function openPipeline(given: Sidecars, kind: string, config: Json, isGuess: boolean): Tokenizer {
  const file = given.has('tokenizer.json') ? jsonOf(given, 'tokenizer.json') : undefined;
  const row = classRows[kind];
  const vocabulary = readVocabulary(given, file, row, config);
  const specials = settleSpecials({
    config,
    map: given.has('special_tokens_map.json') ? jsonOf(given, 'special_tokens_map.json') : undefined,
    ids: given.has('added_tokens.json') ? jsonOf(given, 'added_tokens.json') : undefined,
    file: asList(file?.['added_tokens']),
    defaults: row?.tokens ?? {},
    extra: [...vocabulary.tokens, ...(row === undefined ? [] : extraTokens(row, config))],
  });
  const built = build(vocabulary, file, row, config, specials);
  const engine = compile({
    normalizer: built.normalizer,
    preTokenizer: built.pre_tokenizer,
    decoder: built.decoder,
    model: built.model,
    added: specials.added,
    wordEnd: built.wordEnd,
    tidies: asFlag(config['clean_up_tokenization_spaces']) ?? false,
  });
  const special = specialIds(specials, engine.id);
  return tokenizerOf({
    ...engine,
    ...commonOf(config, row?.padSide ?? 'right', row?.inputs ?? inputsOf(kind)),
    kind,
    source: sourceOf(vocabulary.source, kind, row, isGuess),
    special,
    template: templateOf(row, file, config, special, engine.id),
    pairsEmpty: false,
  });
}

const inputsOf = (kind: string): readonly string[] =>
  kind.startsWith('Bert')
    ? ['input_ids', 'token_type_ids', 'attention_mask']
    : ['input_ids', 'attention_mask'];

function sourceOf(files: string, kind: string, row: ClassRow | undefined, isGuess: boolean): string {
  if (row === undefined) return `${files}, as it is written`;
  return isGuess ? `${files}, assumed: ${kind}; no file names the class` : `${files}, ${kind}`;
}

function build(
  files: VocabularyFiles,
  file: Json | undefined,
  row: ClassRow | undefined,
  config: Json,
  { named }: Specials,
): Built {
  if (row !== undefined) return row.build(files, config, (name) => named[name]?.content);
  const model = asJson(file?.['model']);
  if (model === undefined) throw new TextError('tokenizer.json has no model');
  return {
    normalizer: asJson(file?.['normalizer']),
    pre_tokenizer: asJson(file?.['pre_tokenizer']),
    decoder: asJson(file?.['decoder']),
    model,
  };
}

/** Special tokens around a text: the class's, the file's, or the ends that the config asks for. */
function templateOf(
  row: ClassRow | undefined,
  file: Json | undefined,
  config: Json,
  special: Readonly<Partial<Record<SpecialName, number>>>,
  id: (token: string) => number | undefined,
): Template {
  const need = (name: SpecialName): number => {
    const found = special[name];
    if (found === undefined) throw new TextError(`there is no ${name} token`);
    return found;
  };
  if (row?.template !== undefined) return row.template(need, config, id);
  const written = asJson(file?.['post_processor']);
  if (written !== undefined) return template(written) ?? bareTemplate;
  // With a tokenizer.json, transformers does not look at these two settings.
  const asks = (name: 'bos' | 'eos') => file === undefined && asFlag(config[`add_${name}_token`]) === true;
  const around = (text: TemplatePart, type: number): TemplatePart[] => [
    ...(asks('bos') ? [token(need('bos'), type)] : []),
    text,
    ...(asks('eos') ? [token(need('eos'), type)] : []),
  ];
  return { single: around(first(), 0), pair: [...around(first(), 0), ...around(second(1), 1)] };
}

function readVocabulary(
  given: Sidecars,
  file: Json | undefined,
  row: ClassRow | undefined,
  config: Json,
): Vocabulary {
  if (file !== undefined) return { source: 'tokenizer.json', tokens: [], ...ofTokenizerJson(file, row) };
  const [name] = row?.files ?? [];
  if (row === undefined || name === undefined) throw new TextError('tokenizer.json is missing');
  if (row.ofPieces !== undefined) return ofSentencePiece(given, name, row, config);
  if (name === 'vocab.txt') return { source: name, tokens: [], vocab: ofLines(needFile(given, name)) };
  return {
    source: 'vocab.json and merges.txt',
    tokens: [],
    vocab: jsonOf(given, 'vocab.json'),
    merges: textOfBytes(needFile(given, 'merges.txt'))
      .split(/\r?\n/)
      .filter((line) => line !== '' && !line.startsWith('#version')),
  };
}

function ofTokenizerJson(file: Json, row: ClassRow | undefined): VocabularyFiles {
  const model = asJson(file['model']);
  if (model === undefined) throw new TextError('tokenizer.json has no model');
  const steps = asJson(file['normalizer']);
  const table = [steps, ...(asList(steps?.['normalizers']) ?? [])].find(
    (step) => asJson(step)?.['type'] === 'Precompiled',
  );
  const isUnigram = Array.isArray(model['vocab']);
  if (row !== undefined && (row.model === 'Unigram') !== isUnigram)
    throw new TextError(`tokenizer.json holds no ${row.model} vocabulary, which its class reads`);
  return {
    vocab: model['vocab'],
    merges: model['merges'],
    charsmap:
      table === undefined
        ? undefined
        : needText(asJson(table)?.['precompiled_charsmap'], 'the normalisation table'),
  };
}

/** A token a line, ids in their order. */
function ofLines(bytes: Uint8Array): Json {
  const lines = textOfBytes(bytes).split('\n');
  if (lines.at(-1) === '') lines.pop();
  return Object.fromEntries(lines.map((line, id) => [trimSpace(line, false, true), id]));
}

function ofSentencePiece(given: Sidecars, name: TokenizerFile, row: ClassRow, config: Json): Vocabulary {
  const { pieces, charsmap } = readSentencePiece(needFile(given, name), name);
  return {
    source: name,
    vocab: row.ofPieces?.(
      pieces.map(({ text, score }) => [text, score]),
      config,
    ),
    charsmap: charsmap.length === 0 ? undefined : Buffer.from(charsmap).toString('base64'),
    tokens: pieces
      .filter(({ kind }) => kind === pieceKinds.control || kind === pieceKinds.userDefined)
      .map(({ text, kind }) => ({
        ...plainToken(text, kind === pieceKinds.control),
        normalized: false,
      })),
  };
}
