import { TextError } from '../errors';
import { asFlag, asJson, asList, asNumber, isJson, type Json } from '../json';
import { textLimits } from '../limits';

/** Where a setting's value comes from. */
export type SettingSource = 'given' | 'generation_config.json' | 'config.json' | 'default' | 'positions';

/** How tokens are chosen, one by one; names are transformers' in our spelling. */
export interface GenerationSettings {
  /** Most tokens of the whole sequence, prompt included. */
  readonly maxLength: number;
  /** Fewest tokens of the whole sequence, prompt included. */
  readonly minLength: number;
  readonly minNewTokens: number;
  readonly beams: number;
  /** Sequences that are handed back. */
  readonly sequences: number;
  readonly samples: boolean;
  readonly seed: number;
  readonly temperature: number;
  /** 0 for all. */
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly lengthPenalty: number;
  readonly earlyStopping: boolean | 'never';
  readonly repetitionPenalty: number;
  readonly encoderRepetitionPenalty: number;
  readonly noRepeatNgram: number;
  readonly encoderNoRepeatNgram: number;
  readonly badWords: readonly (readonly number[])[];
  readonly suppressed: readonly number[];
  readonly suppressedAtBegin: readonly number[];
  readonly forcedFirst: number | undefined;
  readonly forcedLast: readonly number[];
  readonly removesInvalid: boolean;
  readonly renormalizes: boolean;
  /** Tokens that end a sequence. */
  readonly end: readonly number[];
  readonly pad: number | undefined;
  /** What an encoder–decoder's sequence starts with. */
  readonly start: number | undefined;
}

export interface SettledGeneration {
  readonly settings: GenerationSettings;
  /** By transformers' name: where each value comes from. */
  readonly sources: Readonly<Record<string, SettingSource>>;
  /** What the files ask for and this search does not do: the answer is another without it. */
  readonly unsupported: readonly string[];
}

/** Files and arguments that settings are read from. */
export interface GenerationSources {
  /** Arguments of the call, by transformers' names. */
  readonly given?: Json;
  /** generation_config.json, if there is one. */
  readonly file?: Json;
  /** config.json: read only without a generation_config.json, as transformers does. */
  readonly config?: Json;
  /** Tokens that are there before the first one is generated. */
  readonly promptLength: number;
  /** Positions that the decoder has: a sequence cannot be longer. */
  readonly positions?: number;
}

/** Defaults of transformers 5.23 for what neither call nor file sets. */
const defaults: Json = {
  min_length: 0,
  do_sample: false,
  early_stopping: false,
  num_beams: 1,
  num_return_sequences: 1,
  temperature: 1,
  top_k: 50,
  top_p: 1,
  repetition_penalty: 1,
  encoder_repetition_penalty: 1,
  length_penalty: 1,
  no_repeat_ngram_size: 0,
  encoder_no_repeat_ngram_size: 0,
  remove_invalid_values: false,
  renormalize_logits: false,
  seed: 0,
};

/** New tokens if nothing says how many. */
const defaultNewTokens = 20;

/** Values under which a setting that is not supported changes nothing. */
const inert: Readonly<Record<string, readonly unknown[]>> = {
  guidance_scale: [1],
  sequence_bias: [],
  exponential_decay_length_penalty: [],
  typical_p: [1],
  epsilon_cutoff: [0],
  eta_cutoff: [0],
  top_h: [],
  watermarking_config: [],
  force_words_ids: [],
  constraints: [],
  num_beam_groups: [1],
  diversity_penalty: [0],
  penalty_alpha: [0],
  dola_layers: [],
  stop_strings: [],
  max_time: [],
  prompt_lookup_num_tokens: [],
  assistant_early_exit: [],
};

/**
 * Settles how tokens are chosen: arguments, then generation_config.json or, without one,
 * config.json and its decoder's, then the library's defaults. Throws `TextError` for values that
 * make no sense.
 */
export function settleGeneration(from: GenerationSources): SettledGeneration {
  const sources: Record<string, SettingSource> = {};
  const layers = layersOf(from);
  const value = (name: string): unknown => {
    for (const { source, values } of layers) {
      const found = values[name];
      if (found === undefined || found === null) continue;
      sources[name] = source;
      return found;
    }
    return undefined;
  };
  const number = (name: string, least: number, most: number): number => {
    const found = value(name);
    if (typeof found !== 'number' || !(found >= least) || !(found <= most))
      throw new TextError(`${name} is ${JSON.stringify(found)}; numbers from ${least} to ${most} are read`);
    return found;
  };
  const whole = (name: string, least: number, most: number): number => {
    const found = number(name, least, most);
    if (!Number.isInteger(found)) throw new TextError(`${name} is ${found}, no whole number`);
    return found;
  };
  const id = (name: string): number | undefined => idsOf(name, value(name))[0];
  const flag = (name: string): boolean => asFlag(value(name)) ?? false;
  const most = textLimits.generatedTokens;

  const newTokens = value('max_new_tokens') === undefined ? undefined : whole('max_new_tokens', 1, most);
  const length = value('max_length') === undefined ? undefined : whole('max_length', 0, 2 ** 31);
  const wanted = wantedLength(from, newTokens, length);
  const maxLength = Math.min(wanted, from.positions ?? wanted, from.promptLength + most);
  if (maxLength < wanted) sources['max_length'] = 'positions';
  const minNewTokens = value('min_new_tokens') === undefined ? 0 : whole('min_new_tokens', 0, most);
  const minLength = whole('min_length', 0, 2 ** 31);
  const end = idsOf('eos_token_id', value('eos_token_id'));
  const early = value('early_stopping');
  const settings: GenerationSettings = {
    maxLength,
    minLength: minNewTokens > 0 ? minNewTokens + from.promptLength : minLength,
    minNewTokens,
    beams: whole('num_beams', 1, textLimits.beams),
    sequences: whole('num_return_sequences', 1, textLimits.beams),
    samples: flag('do_sample'),
    seed: whole('seed', 0, 2 ** 32 - 1),
    temperature: number('temperature', 1e-6, 1e6),
    topK: whole('top_k', 0, 2 ** 31),
    topP: number('top_p', 0, 1),
    minP: value('min_p') === undefined ? 0 : number('min_p', 0, 1),
    lengthPenalty: number('length_penalty', -100, 100),
    earlyStopping: early === 'never' ? 'never' : early === true,
    repetitionPenalty: number('repetition_penalty', 1e-6, 1e6),
    encoderRepetitionPenalty: number('encoder_repetition_penalty', 1e-6, 1e6),
    noRepeatNgram: whole('no_repeat_ngram_size', 0, most),
    encoderNoRepeatNgram: whole('encoder_no_repeat_ngram_size', 0, most),
    badWords: wordsOf(value('bad_words_ids')),
    suppressed: idsOf('suppress_tokens', value('suppress_tokens')),
    suppressedAtBegin: idsOf('begin_suppress_tokens', value('begin_suppress_tokens')),
    forcedFirst: id('forced_bos_token_id'),
    forcedLast: idsOf('forced_eos_token_id', value('forced_eos_token_id')),
    removesInvalid: flag('remove_invalid_values'),
    renormalizes: flag('renormalize_logits'),
    end,
    pad: id('pad_token_id') ?? end[0],
    start: id('decoder_start_token_id') ?? id('bos_token_id'),
  };
  const { beams, sequences, samples } = settings;
  if (sequences > beams && !(samples && beams === 1))
    throw new TextError(`num_return_sequences is ${sequences}, more than the ${beams} beams`);
  return { settings, sources, unsupported: unsupported(value) };
}

interface Layer {
  readonly source: SettingSource;
  readonly values: Json;
}

function layersOf({ given = {}, file, config = {} }: GenerationSources): readonly Layer[] {
  const decoder = ['decoder', 'generator', 'text_config'].map((name) => asJson(config[name])).find(isJson);
  const files: readonly Layer[] =
    file === undefined
      ? [
          { source: 'config.json', values: config },
          { source: 'config.json', values: decoder ?? {} },
        ]
      : [{ source: 'generation_config.json', values: file }];
  return [{ source: 'given', values: given }, ...files, { source: 'default', values: defaults }];
}

/** The length that is asked for: new tokens win over a length, which wins over the default. */
function wantedLength(
  { promptLength, positions }: GenerationSources,
  newTokens: number | undefined,
  length: number | undefined,
): number {
  if (newTokens !== undefined) return promptLength + newTokens;
  if (length !== undefined) return length;
  const most = promptLength + defaultNewTokens;
  return positions === undefined ? most : Math.min(most, positions);
}

function idsOf(name: string, value: unknown): readonly number[] {
  if (value === undefined) return [];
  const list = asList(value) ?? [value];
  if (list.length > textLimits.vocabulary) throw new TextError(`${name} lists ${list.length} tokens`);
  return list.map((item) => {
    const id = asNumber(item);
    if (id === undefined || !Number.isInteger(id))
      throw new TextError(`${name} holds ${JSON.stringify(item)}, no token id`);
    return id;
  });
}

function wordsOf(value: unknown): readonly (readonly number[])[] {
  if (value === undefined) return [];
  const words = asList(value);
  if (words === undefined || words.length > textLimits.vocabulary)
    throw new TextError('bad_words_ids is no list of token ids');
  return words.map((word) => idsOf('bad_words_ids', word)).filter(({ length }) => length > 0);
}

function unsupported(value: (name: string) => unknown): readonly string[] {
  return Object.entries(inert).flatMap(([name, values]) => {
    const found = value(name);
    return found === undefined || found === false || values.includes(found)
      ? []
      : [`${name} = ${JSON.stringify(found)}`];
  });
}
