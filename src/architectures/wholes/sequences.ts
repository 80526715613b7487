import type { ConfigValue } from '../../domain/evidence';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { stateInput } from '../blocks/decoding';
import { residual, withValue, type Tokens } from '../blocks/layers';
import { sequence } from '../blocks/maps';
import { decodingOf, type Decoding } from '../blocks/passes';
import { paddingMask } from '../blocks/textTower';
import { assumed, stored } from '../evidence';
import type { Evidence } from '../family';
import { settle, type FoundModel, type ModelContext } from '../whole';
import { countedTokens } from './imageToText';

/** What an encoder hands to its decoder, as transformers calls it. */
export const encoderState = 'encoder_last_hidden_state';

/** Tokens that an encoder is counted for if nobody says how many. */
export const countedText = 32;

/** How a hyper-parameter is settled that no weight tells. */
interface Untold<T extends ConfigValue> {
  readonly config: readonly string[];
  /** What the class of config.json has where it leaves the key out. */
  readonly byClass: T;
  /** What published models have, for files without a config.json. */
  readonly published: T;
  readonly is?: (value: ConfigValue) => boolean;
  readonly needed?: string;
}

/** By the user, config.json or the default of its class; without either as published, assumed. */
export function untold<T extends ConfigValue>(
  found: FoundModel,
  key: string,
  { byClass, published, ...question }: Untold<T>,
): Evidence<T> {
  const hasConfig = found.found.checkpoint.sidecars.config !== undefined;
  const otherwise = hasConfig
    ? stored<T>(byClass, 'the default of its class, which config.json leaves')
    : assumed<T>(published, 'as published; not stored in the weights');
  return settle<T>(found, key, { ...question, otherwise });
}

/** Values of a question that is answered with a number above 0. */
export const aboveZero = {
  is: (value: ConfigValue): boolean => typeof value === 'number' && value > 0,
  needed: 'a number above 0',
} as const;

export const trueOrFalse = {
  is: (value: ConfigValue): boolean => typeof value === 'boolean',
  needed: 'true or false',
} as const;

/** Sequences and their tokens that the parts of an encoder–decoder are written for. */
export interface Sequences {
  /** Several are read side by side by whole passes alone. */
  readonly batch: number;
  readonly text: number;
  readonly decoder: number;
}

/** What a pass is written for: generation reads one text. */
export function sequencesOf({ batch, lengths, pass }: ModelContext): Sequences {
  return {
    batch: pass === 'whole' ? (lengths['texts'] ?? batch) : 1,
    text: lengths['text'] ?? countedText,
    decoder: lengths['decoder'] ?? countedTokens,
  };
}

/** Tokens that a decoder may have a place for in a pass. */
export function placesOf({ lengths, pass }: ModelContext, { decoder }: Sequences): number {
  if (pass === 'whole') return decoder;
  return pass === 'start' ? (lengths['prompt'] ?? 1) : (lengths['past'] ?? 1) + 1;
}

/** Token ids of the texts that are read, and what hides their padding. */
export interface SourceText {
  readonly ids: ValueInfo;
  readonly padding: ValueInfo;
}

/** The inputs of an encoder: `[batch, text]` each. */
export function sourceText(b: GraphBuilder, { batch, text }: Sequences): SourceText {
  const ids = b.input('input_ids', [batch, text], 'I64');
  return { ids, padding: paddingMask(b, b.input('attention_mask', [batch, text], 'I64')) };
}

/** Names what an encoder makes of the texts. */
export const encoded = (b: GraphBuilder, tokens: Tokens): void =>
  b.output(encoderState, sequence(b, tokens), 'state');

/** What a decoder reads: the encoder's tokens of a width, and its own of a pass. */
export function decoding(
  b: GraphBuilder,
  context: ModelContext,
  width: number,
): Decoding & { readonly state: Tokens; readonly places: number } {
  const sequences = sequencesOf(context);
  const { batch, text, decoder } = sequences;
  const state = stateInput(b, encoderState, {
    batch,
    count: text,
    width,
    layout: { special: [], sequence: text },
  });
  const mask = (): ValueInfo => paddingMask(b, b.input('attention_mask', [batch, text], 'I64'));
  const own = decodingOf(
    b,
    { ...context, batch },
    { ids: 'decoder_input_ids', count: decoder, padding: () => [[], [mask()]] },
  );
  return { ...own, state, places: placesOf(context, sequences) };
}

/** Norms of torch, fairseq and Marian have torch's own epsilon. */
export const sequenceEps = 1e-5;

/**
 * A branch with its norm: in front of it where the side ends with a norm (Xiong et al. 2020), else
 * behind the sum (Vaswani et al. 2017).
 */
export function normedBranch(
  b: GraphBuilder,
  tokens: Tokens,
  { norm, isPre }: { readonly norm: string; readonly isPre: boolean },
  write: (tokens: Tokens) => ValueInfo,
): Tokens {
  const normed = (value: ValueInfo): Tokens => withValue(tokens, b.layerNorm(value, norm, sequenceEps));
  if (isPre) return withValue(tokens, residual(b, tokens.value, write(normed(tokens.value))));
  return normed(residual(b, tokens.value, write(tokens)));
}
