import { otherAttention, ownAttention, placedWords, separateProjections } from '../blocks/decoding';
import { withValue, type Tokens } from '../blocks/layers';
import { feedForward } from '../blocks/projectedAttention';
import { stored } from '../evidence';
import type { Whole } from '../whole';
import { decoder, image, recogniser, type Decode, type DecoderConfig } from './imageToText';
import { normedBranch, sequenceEps } from './sequences';

const at = 'decoder.model.decoder';
const words = `${at}.embed_tokens.weight`;
const places = `${at}.embed_positions.weight`;
const projections = separateProjections(['q_proj', 'k_proj', 'v_proj', 'out_proj']);

/** mBART's decoder (Liu et al. 2020): norms before each branch, behind the words and at the end. */
const mbart: Decode = (b, config, { placed, memory, answer }, seen) => {
  const { decoder_depth: depth, decoder_heads: heads } = config;
  const { decoder_activation: activation, decoder_scaled: scaled } = config;
  const [, dim = 1] = b.shapeOf(words);
  const embedded = placedWords(b, placed, [words, places], {
    offset: 2,
    ...(scaled && { scale: Math.sqrt(dim) }),
  });
  let tokens = withValue(embedded, b.layerNorm(embedded.value, `${at}.layernorm_embedding`, sequenceEps));
  const attention = { heads, memory, projections };
  const branch = (on: Tokens, norm: string, write: Parameters<typeof normedBranch>[3]): Tokens =>
    normedBranch(b, on, { norm, isPre: true }, write);
  const layer = (): Tokens => {
    const own = branch(tokens, 'self_attn_layer_norm', (asking) =>
      ownAttention(b, 'self_attn', asking, attention),
    );
    const other = branch(own, 'encoder_attn_layer_norm', (asking) =>
      otherAttention(b, 'encoder_attn', asking, seen, attention),
    );
    return branch(other, 'final_layer_norm', ({ value }) => feedForward(b, value, activation));
  };
  for (let index = 0; index < depth; index++)
    tokens = b.scope(`${at}.layers.${index}`, layer, { title: 'Decoder layer' });
  answer(tokens, (rows) => {
    const normed = b.layerNorm(rows, `${at}.layer_norm`, sequenceEps);
    return b.linear(normed, b.has('decoder.lm_head.weight') ? 'decoder.lm_head' : `${at}.embed_tokens`);
  });
};

/**
 * Donut (Kim et al. 2022): mBART's decoder writes what stands on a
 * page, behind a Swin Transformer or any other encoder.
 */
export const donut: Whole<DecoderConfig> = {
  name: 'donut',
  row: 'caption',
  title: 'Donut',
  task: 'caption',
  isTower: true,
  signature: [words, places, `${at}.layers.0.encoder_attn.q_proj.weight`, `${at}.layer_norm.weight`],
  assumable: ['decoder_heads', 'decoder_activation', 'decoder_scaled'],
  recognise: recogniser('donut', 'mBART’s decoder', {
    words,
    places,
    offset: 2,
    layers: `${at}.layers`,
    heads: ['decoder.decoder_attention_heads'],
    perHead: 64,
    activation: ['decoder.activation_function', 'gelu'],
    eps: () => stored(sequenceEps, 'torch’s default'),
    scaled: 'decoder.scale_embedding',
    refuses: [],
    prompt: 'instead',
  }),
  parts: [
    { name: 'image', build: image },
    { name: 'decoder', build: decoder(mbart) },
  ],
};
