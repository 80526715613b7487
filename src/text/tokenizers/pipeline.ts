import { TextError } from '../errors';
import { asJson, asText, type Json } from '../json';
import { AddedTokens, type AddedToken } from './addedTokens';
import { cleanUp, decoder } from './decoders';
import { Bpe } from './algorithms/bpe';
import type { Model } from './algorithms/model';
import { Unigram } from './algorithms/unigram';
import { WordLevel } from './algorithms/wordLevel';
import { WordPiece } from './algorithms/wordPiece';
import { normalizer } from './normalizers';
import { preTokenizer } from './preTokenizers';
import type { TokenizerParts } from './tokenizer';
import { strip } from './unicode';

const models: Readonly<Record<string, (model: Json) => Model>> = {
  BPE: Bpe.of,
  WordPiece: WordPiece.of,
  Unigram: Unigram.of,
  WordLevel: WordLevel.of,
};

/** Reads the `model` of tokenizer.json. Throws `TextError`. */
export function readModel(model: Json): Model {
  const type = asText(model['type']) ?? untyped(model);
  const read = models[type];
  if (read === undefined) throw new TextError(`a model of type ${JSON.stringify(type)} is not supported`);
  return read(model);
}

/** Old files name no type: lists are of unigrams, merges of byte pairs, a prefix of word pieces. */
function untyped(model: Json): string {
  if (Array.isArray(model['vocab'])) return 'Unigram';
  if (model['merges'] !== undefined) return 'BPE';
  return model['continuing_subword_prefix'] !== undefined ? 'WordPiece' : 'WordLevel';
}

/** A pipeline in the words of tokenizer.json, and what transformers does beside it. */
export interface Pipeline {
  readonly normalizer?: unknown;
  readonly preTokenizer?: unknown;
  readonly decoder?: unknown;
  readonly model: Json;
  /** Added in this order, which decides the ids of new ones. */
  readonly added: readonly AddedToken[];
  /** Ends of words that are spaces in decoded text (CLIP). */
  readonly wordEnd?: string;
  /** Takes spaces before signs out of decoded text. */
  readonly tidies: boolean;
}

type Encoder = Pick<TokenizerParts, 'idsOf' | 'decode' | 'token' | 'id' | 'size'>;

/**
 * Compiles a pipeline: added tokens, normaliser, pre-tokenizer, model; back by the decoder. Throws
 * `TextError` for steps that are unknown.
 */
export function compile(pipeline: Pipeline): Encoder {
  const model = readModel(pipeline.model);
  const cut = preTokenizer(asJson(pipeline.preTokenizer));
  const decode = decoder(asJson(pipeline.decoder));
  const added = new AddedTokens(model, normalizer(asJson(pipeline.normalizer)));
  added.add(pipeline.added);
  const token = (id: number) => added.tokenOf(id) ?? model.tokenOf(id);
  const tidies = pipeline.tidies && model.kind !== 'BPE';
  return {
    size: added.size,
    token,
    id: (text) => added.idOf(text) ?? model.idOf(text),
    idsOf: (text) =>
      added
        .split(text)
        .flatMap((section) =>
          'id' in section ? [section.id] : cut([section]).flatMap((piece) => model.ids(piece.text)),
        ),
    decode: (ids, { skipSpecial = false } = {}) => {
      const tokens = ids
        .map(token)
        .filter((each) => each !== undefined && !(skipSpecial && added.isSpecial(each))) as string[];
      const text = decode(tokens).join('');
      const words = pipeline.wordEnd === undefined ? text : strip(text.replaceAll(pipeline.wordEnd, ' '));
      return tidies ? cleanUp(words) : words;
    },
  };
}
