import { TextError } from '../errors';
import { asNumber, asText, type Json } from '../json';
import { plainToken, type AddedToken } from './addedTokens';
import type { TokenizerFile } from './sidecars';
import { flag } from './specials';
import {
  bertTemplate,
  first,
  robertaTemplate,
  second,
  token,
  type Template,
  type TemplatePart,
} from './templates';
import type { Side, SpecialName } from './tokenizer';

/** A vocabulary as tokenizer.json or the older files hold it. */
export interface VocabularyFiles {
  readonly vocab: unknown;
  readonly merges?: unknown;
  /** Compiled normalisation table, base64. */
  readonly charsmap?: string;
}

/** What a class makes of a vocabulary, in the words of tokenizer.json. */
export interface Built {
  readonly normalizer?: Json;
  readonly pre_tokenizer?: Json;
  readonly decoder?: Json;
  readonly model: Json;
  readonly wordEnd?: string;
}

type Need = (name: SpecialName) => number;

/**
 * A tokenizer class of transformers 5.23. It builds its steps anew from the vocabulary, whatever
 * tokenizer.json says of them: what is read from there is the vocabulary, the added tokens and, if
 * the class has no template, the post-processor.
 */
export interface ClassRow {
  readonly model: 'BPE' | 'WordPiece' | 'Unigram';
  /** Files that hold its vocabulary beside tokenizer.json. */
  readonly files: readonly TokenizerFile[];
  readonly tokens: Readonly<Partial<Record<SpecialName, string>>>;
  readonly padSide?: Side;
  readonly inputs?: readonly string[];
  build(files: VocabularyFiles, config: Json, special: (name: SpecialName) => string | undefined): Built;
  /** Special tokens around texts; without, the file's, else `add_bos_token` and `add_eos_token`. */
  readonly template?: (need: Need, config: Json, id: (token: string) => number | undefined) => Template;
  readonly extra?: (config: Json) => readonly string[];
  /** The vocabulary of a SentencePiece model, whose pieces the class puts in another order. */
  readonly ofPieces?: (
    pieces: readonly (readonly [string, number])[],
    config: Json,
  ) => readonly (readonly [string, number])[];
}

const byteLevel = (prefix: boolean, regex = true): Json => ({
  type: 'ByteLevel',
  add_prefix_space: prefix,
  use_regex: regex,
});

const bpe = ({ vocab, merges }: VocabularyFiles, more: Json): Json => ({
  type: 'BPE',
  vocab,
  merges,
  ...more,
});

/** Words between spaces, each with ▁ in front. */
const spacedWords = (scheme: string): Json => ({
  type: 'Sequence',
  pretokenizers: [{ type: 'WhitespaceSplit' }, metaspace(scheme)],
});

const metaspace = (scheme: string): Json => ({
  type: 'Metaspace',
  replacement: '▁',
  prepend_scheme: scheme,
});

const precompiled = (charsmap: string | undefined): Json | undefined =>
  charsmap === undefined ? undefined : { type: 'Precompiled', precompiled_charsmap: charsmap };

const clip: ClassRow = {
  model: 'BPE',
  files: ['vocab.json', 'merges.txt'],
  tokens: {
    bos: '<|startoftext|>',
    eos: '<|endoftext|>',
    unk: '<|endoftext|>',
    pad: '<|endoftext|>',
  },
  build: (files, _, special) => ({
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'NFC' },
        { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' },
        { type: 'Lowercase' },
      ],
    },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        {
          type: 'Split',
          pattern: {
            Regex:
              "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+",
          },
          behavior: 'Removed',
          invert: true,
        },
        byteLevel(false),
      ],
    },
    decoder: { type: 'ByteLevel' },
    model: bpe(files, { unk_token: special('unk'), end_of_word_suffix: '</w>' }),
    wordEnd: '</w>',
  }),
  template: (need) => robertaTemplate(need('bos'), need('eos')),
};

const gpt2: ClassRow = {
  model: 'BPE',
  files: ['vocab.json', 'merges.txt'],
  tokens: { bos: '<|endoftext|>', eos: '<|endoftext|>', unk: '<|endoftext|>' },
  build: (files, config) => ({
    pre_tokenizer: byteLevel(flag(config, 'add_prefix_space', false)),
    decoder: { type: 'ByteLevel' },
    model: bpe(files, {}),
  }),
};

const roberta: ClassRow = {
  ...gpt2,
  tokens: {
    bos: '<s>',
    eos: '</s>',
    unk: '<unk>',
    sep: '</s>',
    pad: '<pad>',
    cls: '<s>',
    mask: '<mask>',
  },
  template: (need) => robertaTemplate(need('cls'), need('sep')),
};

const qwen2: ClassRow = {
  ...gpt2,
  tokens: { eos: '<|endoftext|>', unk: '<|endoftext|>', pad: '<|endoftext|>' },
  build: (files, config) => ({
    normalizer: { type: 'NFC' },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        {
          type: 'Split',
          pattern: {
            Regex:
              "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
          },
          behavior: 'Isolated',
          invert: false,
        },
        byteLevel(flag(config, 'add_prefix_space', false), false),
      ],
    },
    decoder: { type: 'ByteLevel' },
    model: bpe(files, {}),
  }),
};

const bert: ClassRow = {
  model: 'WordPiece',
  files: ['vocab.txt'],
  tokens: { unk: '[UNK]', sep: '[SEP]', pad: '[PAD]', cls: '[CLS]', mask: '[MASK]' },
  inputs: ['input_ids', 'token_type_ids', 'attention_mask'],
  build: ({ vocab }, config, special) => ({
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: flag(config, 'tokenize_chinese_chars', true),
      strip_accents: config['strip_accents'],
      lowercase: flag(config, 'do_lower_case', true),
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: { type: 'WordPiece', vocab, unk_token: special('unk') },
  }),
  template: (need) => bertTemplate(need('cls'), need('sep')),
};

/** T5's sentinels: their number is a setting, 100 by default; the last one comes first. */
const sentinels = (config: Json): readonly string[] => {
  const count = asNumber(config['extra_ids']) ?? 100;
  if (!Number.isInteger(count) || count < 0 || count > 10_000)
    throw new TextError(`extra_ids of ${count} tokens`);
  return Array.from({ length: count }, (_, index) => `<extra_id_${count - 1 - index}>`);
};

const t5: ClassRow = {
  model: 'Unigram',
  files: ['spiece.model'],
  tokens: { eos: '</s>', unk: '<unk>', pad: '<pad>' },
  build: ({ vocab, charsmap }) => ({
    normalizer: precompiled(charsmap),
    pre_tokenizer: spacedWords('always'),
    decoder: metaspace('always'),
    model: { type: 'Unigram', vocab, unk_id: 2 },
  }),
  template: (need) => ({
    single: [first(), token(need('eos'))],
    pair: [first(), token(need('eos')), second(), token(need('eos'))],
  }),
  extra: (config) => [...sentinels(config)].reverse(),
  ofPieces: (pieces, config) => [...pieces, ...sentinels(config).map((name) => [name, 0] as const)],
};

/** fairseq's order: four tokens of its own for the first three pieces. */
const fairseqPieces = (
  pieces: readonly (readonly [string, number])[],
  config: Json,
  after: readonly string[],
): readonly (readonly [string, number])[] => {
  const name = (key: string, otherwise: string) => asText(config[key]) ?? otherwise;
  const own = [
    name('bos_token', '<s>'),
    name('pad_token', '<pad>'),
    name('eos_token', '</s>'),
    name('unk_token', '<unk>'),
  ];
  const mask = asText(asContent(config['mask_token'])) ?? '<mask>';
  return [
    ...own.map((text) => [text, 0] as const),
    ...pieces.slice(3),
    ...[...after, mask].map((text) => [text, 0] as const),
  ];
};

const asContent = (value: unknown): unknown =>
  typeof value === 'object' && value !== null ? (value as Json)['content'] : value;

const xlmRoberta: ClassRow = {
  model: 'Unigram',
  files: ['sentencepiece.bpe.model'],
  tokens: roberta.tokens,
  build: ({ vocab, charsmap }, config) => {
    const scheme = flag(config, 'add_prefix_space', true) ? 'always' : 'never';
    return {
      normalizer: precompiled(charsmap),
      pre_tokenizer: spacedWords(scheme),
      decoder: metaspace(scheme),
      model: { type: 'Unigram', vocab, unk_id: 3 },
    };
  },
  template: (need) => robertaTemplate(need('bos'), need('eos')),
  ofPieces: (pieces, config) => fairseqPieces(pieces, config, []),
};

/** Languages of mBART, in the order of their ids. */
const mbartLanguages =
  'ar_AR cs_CZ de_DE en_XX es_XX et_EE fi_FI fr_XX gu_IN hi_IN it_IT ja_XX kk_KZ ko_KR lt_LT lv_LV my_MM ne_NP nl_XX ro_RO ru_RU si_LK tr_TR vi_VN zh_CN'.split(
    ' ',
  );

const mbart: ClassRow = {
  ...xlmRoberta,
  build: ({ vocab }) => ({
    pre_tokenizer: spacedWords('always'),
    decoder: metaspace('always'),
    model: { type: 'Unigram', vocab, unk_id: 3 },
  }),
  template: (need, config, id) => {
    const language = asText(config['src_lang']) ?? 'en_XX';
    const code = id(language);
    if (code === undefined) throw new TextError(`the vocabulary has no language ${language}`);
    const end: readonly TemplatePart[] = [token(need('eos')), token(code)];
    return { single: [first(), ...end], pair: [first(), second(), ...end] };
  },
  extra: () => mbartLanguages,
  ofPieces: (pieces, config) => fairseqPieces(pieces, config, mbartLanguages),
};

const gemma: ClassRow = {
  model: 'BPE',
  files: [],
  tokens: { bos: '<bos>', eos: '<eos>', unk: '<unk>', pad: '<pad>', mask: '<mask>' },
  padSide: 'left',
  build: (files, _, special) => ({
    normalizer: { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
    pre_tokenizer: {
      type: 'Split',
      pattern: { String: ' ' },
      behavior: 'MergedWithPrevious',
      invert: false,
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
      ],
    },
    model: bpe(files, { unk_token: special('unk'), fuse_unk: true, byte_fallback: true }),
  }),
};

/** Gemma's tokenizer on lower-cased text. */
const siglip2: ClassRow = {
  ...gemma,
  build: (files, config, special) => {
    const built = gemma.build(files, config, special);
    const { normalizer } = built;
    return { ...built, normalizer: { type: 'Sequence', normalizers: [{ type: 'Lowercase' }, normalizer] } };
  },
};

/** Classes that this room builds as transformers does, by name without "Fast". */
export const classRows: Readonly<Record<string, ClassRow>> = {
  CLIPTokenizer: clip,
  GPT2Tokenizer: gpt2,
  RobertaTokenizer: roberta,
  Qwen2Tokenizer: qwen2,
  BertTokenizer: bert,
  DistilBertTokenizer: { ...bert, inputs: ['input_ids', 'attention_mask'] },
  T5Tokenizer: t5,
  XLMRobertaTokenizer: xlmRoberta,
  MBartTokenizer: mbart,
  GemmaTokenizer: gemma,
  Siglip2Tokenizer: siglip2,
};

/** Classes that are others under a name of their own. */
const aliases: Readonly<Record<string, string>> = {
  BartTokenizer: 'RobertaTokenizer',
  LEDTokenizer: 'RobertaTokenizer',
  LongformerTokenizer: 'RobertaTokenizer',
  ElectraTokenizer: 'BertTokenizer',
  MobileBertTokenizer: 'BertTokenizer',
};

/** The class that transformers takes for a `model_type` whose files name none. */
const classOfModel: Readonly<Record<string, string>> = Object.fromEntries(
  (
    [
      [
        'CLIPTokenizer',
        'aimv2 clip clipseg groupvit omdet-turbo oneformer owlv2 owlvit sam3 sam3_video xclip',
      ],
      [
        'BertTokenizer',
        'align bert blip bros chinese_clip distilbert electra flava git grounding-dino mm-grounding-dino tvp vilt visual_bert',
      ],
      [
        'RobertaTokenizer',
        'bart bridgetower clap florence2 led lilt longformer roberta roberta-prelayernorm',
      ],
      ['GPT2Tokenizer', 'blip-2 gpt2 gpt_neo gptj instructblip instructblipvideo opt phi starcoder2'],
      ['T5Tokenizer', 'mt5 switch_transformers t5'],
      ['XLMRobertaTokenizer', 'metaclip_2 trocr xlm-roberta xmod'],
      ['MBartTokenizer', 'mbart'],
      ['GemmaTokenizer', 'gemma gemma2 gemma3 gemma3_text gemma3n recurrent_gemma shieldgemma2 t5gemma'],
      ['Siglip2Tokenizer', 'siglip2'],
      ['SiglipTokenizer', 'siglip'],
      ['MarianTokenizer', 'marian'],
      ['Qwen2Tokenizer', 'internvl qwen2 qwen2_5_vl qwen2_vl qwen3 qwen3_vl'],
    ] as const
  ).flatMap(([name, types]) => types.split(' ').map((type) => [type, name])),
);

/**
 * Model types whose published files name a wrong class: Siglip2's own class wins over the named
 * one, the others are read as tokenizer.json has them.
 */
const readAsWritten = new Set(
  'fuyu hyperclovax_vision_v2 llava llava_next molmo molmo2 openvla paddleocr_vl phi3 phi3_v qwen2 smolvlm vipllava modernbert'.split(
    ' ',
  ),
);
const ownClassWins = new Set(['siglip2']);

/** The name of no class: tokenizer.json is read as it is written. */
export const asWritten = 'TokenizersBackend';

const generic = new Set(['PreTrainedTokenizerFast', 'PreTrainedTokenizer', asWritten, 'PythonBackend']);

/** Which class transformers takes for the files beside a model; undefined if none says it. */
export function classFor(config: Json, modelConfig: Json): string | undefined {
  const type = asText(modelConfig['model_type']) ?? '';
  if (readAsWritten.has(type)) return asWritten;
  const named = (asText(config['tokenizer_class']) ?? asText(modelConfig['tokenizer_class']))?.replace(
    /(?<!PreTrainedTokenizer)Fast$/,
    '',
  );
  const own = classOfModel[type];
  if (own !== undefined && (named === undefined || ownClassWins.has(type))) return own;
  return named !== undefined && generic.has(named) ? asWritten : (aliases[named ?? ''] ?? named);
}

/** Tokens of the class beside the named ones. */
export const extraTokens = (row: ClassRow, config: Json): readonly AddedToken[] =>
  (row.extra?.(config) ?? []).map((name) => plainToken(name, true));
