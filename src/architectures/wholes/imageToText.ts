import type { Writing } from '../../domain/reading';
import type { GraphBuilder } from '../../graph/builder';
import type { TokenMaps } from '../blocks/stages';
import { sequence } from '../blocks/maps';
import {
  fusedProjections,
  otherAttention,
  ownAttention,
  placedWords,
  separateProjections,
  stateInput,
} from '../blocks/decoding';
import { activate, residual, withValue, type Tokens } from '../blocks/layers';
import { decodingOf, type Decoding } from '../blocks/passes';
import { feedForward, postNorm } from '../blocks/projectedAttention';
import { tokenAt } from '../blocks/specialTokens';
import { countOf, knownActivation, shapeOf } from '../decide';
import { transposed } from '../dialect';
import { assumed, configOf, stored } from '../evidence';
import type { Evidence } from '../family';
import { backboneTitle, headsOfWhole, settle, type FoundWhole, type PartContext, type Whole } from '../whole';

/** What the decoders behind an image encoder are written by. */
export interface DecoderConfig {
  readonly decoder_depth: number;
  readonly decoder_heads: number;
  readonly decoder_activation: string;
  readonly decoder_eps: number;
  /** Words are multiplied with the root of their width. */
  readonly decoder_scaled: boolean;
}

/** An activation of a decoder: by the user, config.json, or as its paper has it. */
export const decoderActivation = (
  found: FoundWhole,
  config: readonly string[],
  otherwise: string,
): Evidence<string> =>
  settle<string>(found, 'decoder_activation', {
    config,
    otherwise: assumed(otherwise, 'as published; not stored in the weights'),
    ...knownActivation,
  });

/** Epsilon of a decoder's norms. */
export const decoderEps = (
  found: FoundWhole,
  config: readonly string[],
  otherwise: number,
): Evidence<number> =>
  settle<number>(found, 'decoder_eps', {
    config,
    otherwise: assumed(otherwise, 'as published; not stored in the weights'),
    is: (value) => typeof value === 'number' && value > 0,
    needed: 'a number above 0',
  });

export const decoderAssumable = ['decoder_heads', 'decoder_activation', 'decoder_eps'];

/** Tokens that a decoder is counted for if nobody says how many. */
export const countedTokens = 1;

/** What differs between the decoders that transformers puts behind an image encoder. */
export interface Kind {
  readonly words: string;
  readonly places: string;
  /** Rows of the table of positions that no token has. */
  readonly offset: number;
  readonly layers: string;
  readonly heads: readonly string[];
  readonly perHead: number;
  readonly activation: readonly [key: string, otherwise: string];
  readonly eps: (found: FoundWhole) => Evidence<number>;
  /** Key of what multiplies words, if the library has such. */
  readonly scaled?: string;
  /** Values of config.json under which the library computes something else. */
  readonly refuses: readonly (readonly [key: string, value: boolean])[];
  /** How a prompt stands to the start token; behind it without it. */
  readonly prompt?: Writing['prompt'];
}

const says = (found: FoundWhole, key: string, value: boolean): boolean =>
  settle<boolean>(found, key, { config: [key], otherwise: assumed(!value, 'not said') }).value === value;

/** Whether words are multiplied with the root of their width, which no weight tells. */
const scaledWords = (found: FoundWhole, key: string): Evidence<boolean> =>
  settle<boolean>(found, 'decoder_scaled', {
    config: [key],
    otherwise: assumed(false, 'the library’s default; not stored in the weights'),
    is: (value) => typeof value === 'boolean',
    needed: 'true or false',
  });

/** What an image encoder with a decoder of this kind is. */
export const recogniser =
  (label: string, title: string, kind: Kind) =>
  (found: FoundWhole): ReturnType<Whole<DecoderConfig>['recognise']> => {
    const [words = 0, dim = 0] = shapeOf(found.tensors, kind.words);
    const [places = 0] = shapeOf(found.tensors, kind.places);
    const evidence = {
      decoder_depth: stored(countOf(found.tensors, kind.layers), `${kind.layers}.*`),
      decoder_dim: stored(dim, kind.words),
      decoder_heads: headsOfWhole(found, 'decoder_heads', dim, {
        config: kind.heads,
        perHead: kind.perHead,
      }),
      decoder_activation: decoderActivation(found, [kind.activation[0]], kind.activation[1]),
      decoder_eps: kind.eps(found),
      ...(kind.scaled !== undefined && { decoder_scaled: scaledWords(found, kind.scaled) }),
      vocabulary: stored(words, kind.words),
      context: stored(places - kind.offset, kind.places),
    };
    if (kind.refuses.some(([key, value]) => says(found, key, value))) return undefined;
    return {
      label,
      title: `${title} behind ${backboneTitle(found)}`,
      evidence,
      config: { decoder_scaled: false, ...configOf(evidence) },
      reading: {
        task: 'caption',
        writing: { positions: evidence.context.value, prompt: kind.prompt ?? 'bare' },
      },
      lengths: { decoder: countedTokens },
      bounds: { decoder: { most: evidence.context.value } },
    };
  };

const state = 'encoder_last_hidden_state';

/** The image's tokens behind the encoder's norm, and the vector that the library pools of them. */
export function image(b: GraphBuilder, _: DecoderConfig, { backbone }: PartContext): void {
  const { tokens } = backbone() as TokenMaps;
  b.output(state, sequence(b, tokens), 'state');
  if (!b.has('encoder.pooler.dense.weight')) return;
  const pooled = b.linear(tokenAt(b, tokens, 0), 'encoder.pooler.dense');
  b.output('features', b.add('Tanh', [pooled]), 'features');
}

/** The image as the decoder's layers read it: of the decoder's width, if a layer makes it so. */
function projectedState(b: GraphBuilder, context: PartContext): Tokens {
  const tokens = stateInput(b, state, context.imageTokens());
  return b.has('enc_to_dec_proj.weight')
    ? withValue(tokens, b.linear(tokens.value, 'enc_to_dec_proj'))
    : tokens;
}

/** Writes a decoder over the tokens of a pass and an image. */
export type Decode = (b: GraphBuilder, config: DecoderConfig, decoding: Decoding, image: Tokens) => void;

/** The part that a decoder is. */
export const decoder =
  (decode: Decode) =>
  (b: GraphBuilder, config: DecoderConfig, context: PartContext): void => {
    const seen = projectedState(b, context);
    const count = context.lengths['decoder'] ?? countedTokens;
    decode(b, config, decodingOf(b, context, { ids: 'decoder_input_ids', count }), seen);
  };

/** GPT-2 (Radford et al. 2019) with an attention to the image in each layer. */
const gpt2: Decode = (b, config, { placed, memory, answer }, seen) => {
  const { decoder_depth: depth, decoder_heads: heads } = config;
  const { decoder_activation: activation, decoder_eps: eps } = config;
  const at = 'decoder.transformer';
  let tokens = placedWords(b, placed, [`${at}.wte.weight`, `${at}.wpe.weight`]);
  const attention = { heads, memory, projections: fusedProjections };
  const layer = (): Tokens => {
    const normed = withValue(tokens, b.layerNorm(tokens.value, 'ln_1', eps));
    const own = residual(b, tokens.value, ownAttention(b, 'attn', normed, attention));
    const asking = withValue(tokens, b.layerNorm(own, 'ln_cross_attn', eps));
    const other = residual(b, own, otherAttention(b, 'crossattention', asking, seen, attention));
    const x = b.layerNorm(other, 'ln_2', eps);
    const fed = b.scope('mlp', () => b.linear(activate(b, b.linear(x, 'c_fc'), activation), 'c_proj'));
    return withValue(tokens, residual(b, other, fed));
  };
  for (let index = 0; index < depth; index++)
    tokens = b.scope(`${at}.h.${index}`, layer, { title: 'Decoder layer' });
  const table = b.has('decoder.lm_head.weight') ? 'decoder.lm_head' : `${at}.wte`;
  answer(tokens, (rows) => b.linear(b.layerNorm(rows, `${at}.ln_f`, eps), table));
};

/** Norms of TrOCR's decoder have torch's own epsilon. */
const trocrEps = 1e-5;
const trocrProjections = separateProjections(['q_proj', 'k_proj', 'v_proj', 'out_proj']);

/** TrOCR's decoder (Li et al. 2023), norms behind each branch. */
const trocrDecoder: Decode = (b, config, { placed, memory, answer }, seen) => {
  const { decoder_depth: depth, decoder_heads: heads } = config;
  const { decoder_activation: activation, decoder_scaled: scaled } = config;
  const at = 'decoder.model.decoder';
  const names = [`${at}.embed_tokens.weight`, `${at}.embed_positions.weight`] as const;
  const dim = b.shapeOf(names[0])[1] ?? 1;
  const words = placedWords(b, placed, names, { offset: 2, ...(scaled && { scale: Math.sqrt(dim) }) });
  let tokens = b.has(`${at}.layernorm_embedding.weight`)
    ? withValue(words, b.layerNorm(words.value, `${at}.layernorm_embedding`, trocrEps))
    : words;
  const attention = { heads, memory, projections: trocrProjections };
  const layer = (): Tokens => {
    const own = ownAttention(b, 'self_attn', tokens, attention);
    const first = withValue(tokens, postNorm(b, tokens.value, own, 'self_attn_layer_norm'));
    const other = otherAttention(b, 'encoder_attn', first, seen, attention);
    const second = postNorm(b, first.value, other, 'encoder_attn_layer_norm');
    const fed = feedForward(b, second, activation);
    return withValue(tokens, postNorm(b, second, fed, 'final_layer_norm'));
  };
  for (let index = 0; index < depth; index++)
    tokens = b.scope(`${at}.layers.${index}`, layer, { title: 'Decoder layer' });
  const head = 'decoder.output_projection';
  answer(tokens, (rows) => b.linear(rows, b.has(`${head}.weight`) ? head : `${at}.embed_tokens`));
};

/** An image encoder with GPT-2 behind it. */
export const vitGpt2: Whole<DecoderConfig> = {
  name: 'vit-gpt2',
  row: 'caption',
  title: 'GPT-2 with an image encoder',
  task: 'caption',
  isTower: true,
  signature: ['decoder.transformer.wte.weight', 'decoder.transformer.h.0.crossattention.q_attn.weight'],
  renames: [[/^(decoder\.transformer\.h\.\d+\..*(?:c_attn|q_attn|c_proj|c_fc)\.weight)$/, '$1', transposed]],
  assumable: decoderAssumable,
  idle: /\.(?:attn|crossattention)\.(?:bias|masked_bias)$/,
  recognise: recogniser('vit-gpt2', 'GPT-2', {
    words: 'decoder.transformer.wte.weight',
    places: 'decoder.transformer.wpe.weight',
    offset: 0,
    layers: 'decoder.transformer.h',
    heads: ['decoder.n_head', 'decoder.num_attention_heads'],
    perHead: 64,
    activation: ['decoder.activation_function', 'gelu_new'],
    eps: (found) => decoderEps(found, ['decoder.layer_norm_epsilon'], 1e-5),
    refuses: [
      ['decoder.scale_attn_by_inverse_layer_idx', true],
      ['decoder.scale_attn_weights', false],
    ],
  }),
  parts: [
    { name: 'image', build: image },
    { name: 'decoder', build: decoder(gpt2) },
  ],
};

/** TrOCR: an image encoder with a decoder that reads lines of text off it. */
export const trocr: Whole<DecoderConfig> = {
  name: 'trocr',
  row: 'caption',
  title: 'TrOCR',
  task: 'caption',
  isTower: true,
  signature: [
    'decoder.model.decoder.embed_tokens.weight',
    'decoder.model.decoder.embed_positions.weight',
    'decoder.model.decoder.layers.0.encoder_attn.q_proj.weight',
  ],
  // mBART's decoder ends with a norm.
  absent: ['decoder.model.decoder.layer_norm.weight'],
  assumable: ['decoder_heads', 'decoder_activation', 'decoder_scaled'],
  recognise: recogniser('trocr', 'TrOCR', {
    words: 'decoder.model.decoder.embed_tokens.weight',
    places: 'decoder.model.decoder.embed_positions.weight',
    offset: 2,
    layers: 'decoder.model.decoder.layers',
    heads: ['decoder.decoder_attention_heads'],
    perHead: 64,
    activation: ['decoder.activation_function', 'gelu'],
    eps: () => stored(trocrEps, 'torch’s default'),
    scaled: 'decoder.scale_embedding',
    refuses: [],
  }),
  parts: [
    { name: 'image', build: image },
    { name: 'decoder', build: decoder(trocrDecoder) },
  ],
};
