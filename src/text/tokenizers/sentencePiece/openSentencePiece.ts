import { asFlag, type Json } from '../../json';
import { Vocabulary } from '../algorithms/vocabulary';
import { commonOf, jsonOf, needFile, specialIds, type Sidecars, type TokenizerFile } from '../sidecars';
import { settleSpecials, type Specials } from '../specials';
import { tokenizerOf, type SpecialName, type Tokenizer } from '../tokenizer';
import { marian } from './marian';
import { readSentencePiece } from './model';
import { Processor } from './processor';
import { siglip } from './siglip';

const maskedInputs = ['input_ids', 'attention_mask'] as const;

/** Lengths that the classes take if tokenizer_config.json says none. */
const lengths = { SiglipTokenizer: 64, MarianTokenizer: 512 } as const;

const tokens: Readonly<Record<keyof typeof lengths, Partial<Record<SpecialName, string>>>> = {
  SiglipTokenizer: { eos: '</s>', unk: '<unk>', pad: '</s>' },
  MarianTokenizer: { eos: '</s>', unk: '<unk>', pad: '<pad>' },
};

/** Opens a tokenizer of a class that calls SentencePiece itself. Throws `TextError`. */
export function openSentencePiece(given: Sidecars, kind: keyof typeof lengths, config: Json): Tokenizer {
  const specials = settleSpecials({
    config,
    map: given.has('special_tokens_map.json') ? jsonOf(given, 'special_tokens_map.json') : undefined,
    ids: given.has('added_tokens.json') ? jsonOf(given, 'added_tokens.json') : undefined,
    defaults: tokens[kind],
    extra: [],
  });
  const parts =
    kind === 'SiglipTokenizer'
      ? siglip(processorOf(given, 'spiece.model'), specials, config)
      : openMarian(given, specials, config);
  const common = commonOf(config, 'right', maskedInputs);
  return tokenizerOf({
    ...parts,
    ...common,
    maxLength: common.maxLength ?? ('model_max_length' in config ? undefined : lengths[kind]),
    kind,
    source: `${kind === 'SiglipTokenizer' ? 'spiece.model' : 'source.spm, target.spm and vocab.json'}, ${kind}`,
    special: specialIds(specials, parts.id),
  });
}

const processorOf = (given: Sidecars, name: TokenizerFile): Processor =>
  new Processor(readSentencePiece(needFile(given, name), name));

function openMarian(given: Sidecars, specials: Specials, config: Json) {
  const separate = asFlag(config['separate_vocabs']) ?? false;
  return marian(
    {
      source: processorOf(given, 'source.spm'),
      target: processorOf(given, 'target.spm'),
      vocabulary: Vocabulary.of(jsonOf(given, 'vocab.json')),
      targetVocabulary: separate ? Vocabulary.of(jsonOf(given, 'target_vocab.json')) : undefined,
    },
    specials,
  );
}
