import { at } from '../../domain/lists';
import type { TokenLayout } from '../../domain/probes';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import {
  ownAttention,
  placedWords,
  separateProjections,
  stateInput,
  type Memory,
  type StateShape,
} from '../blocks/decoding';
import { activate, residual, withValue, type Tokens } from '../blocks/layers';
import { sequence } from '../blocks/maps';
import { decodingOf } from '../blocks/passes';
import type { TokenMaps } from '../blocks/stages';
import { feedForward, postNorm, projectedAttention } from '../blocks/projectedAttention';
import { countOf, shapeOf } from '../decide';
import { configOf, stored } from '../evidence';
import {
  backboneTitle,
  headsOfWhole,
  settle,
  type FoundWhole,
  type PartContext,
  type RecognisedWhole,
  type Whole,
} from '../whole';
import { layersOf, queryLayout, queryTable } from './detectors';
import { countedTokens, decoderActivation, decoderAssumable, type DecoderConfig } from './imageToText';

interface Blip2Config extends Pick<DecoderConfig, 'decoder_depth' | 'decoder_heads' | 'decoder_activation'> {
  readonly queries: number;
  readonly query_depth: number;
  readonly query_heads: number;
  readonly query_activation: string;
  readonly query_eps: number;
}

const layers = 'qformer.encoder.layer';
const decoderPath = 'language_model.model.decoder';
const words = `${decoderPath}.embed_tokens.weight`;
const places = `${decoderPath}.embed_positions.weight`;

/** Rows of OPT's table of positions that no token has. */
const firstPlace = 2;
/** Norms of OPT have torch's own epsilon. */
const decoderEps = 1e-5;

/** Token ids of OPT, which a config.json may leave out (transformers, OPTConfig). */
const publishedTokens = { bos_token_id: 2, eos_token_id: 2, pad_token_id: 1 };

function queryEvidence(found: FoundWhole) {
  const [, queries = 0, dim = 0] = shapeOf(found.tensors, 'query_tokens');
  return {
    queries: stored(queries, 'query_tokens'),
    query_dim: stored(dim, 'query_tokens'),
    query_depth: layersOf(found, layers),
    query_heads: headsOfWhole(found, 'query_heads', dim, {
      config: ['qformer_config.num_attention_heads'],
      perHead: 64,
    }),
    query_activation: settle<string>(found, 'query_activation', {
      config: ['qformer_config.hidden_act'],
      otherwise: stored('gelu', 'as the library has it: BERT’s'),
    }),
    query_eps: settle<number>(found, 'query_eps', {
      config: ['qformer_config.layer_norm_eps'],
      otherwise: stored(1e-12, 'as the library has it: BERT’s'),
      is: (value) => typeof value === 'number' && value > 0,
      needed: 'a number above 0',
    }),
  };
}

function recognise(found: FoundWhole): RecognisedWhole<Blip2Config> | undefined {
  const { tensors } = found;
  const [vocabulary = 0, dim = 0] = shapeOf(tensors, words);
  const [rows = 0, width = 0] = shapeOf(tensors, places);
  const asked = queryEvidence(found);
  const context = rows - firstPlace - asked.queries.value;
  const isBefore = settle<boolean>(found, 'norm_order', {
    config: ['text_config.do_layer_norm_before'],
    otherwise: stored(true, `${decoderPath}.final_layer_norm.weight`),
  });
  // OPT-350M brings words to another width, and norms behind each branch.
  if (dim !== width || !isBefore.value || context < 1) return undefined;
  const evidence = {
    ...asked,
    decoder_depth: stored(countOf(tensors, `${decoderPath}.layers`), `${decoderPath}.layers.*`),
    decoder_dim: stored(dim, words),
    decoder_heads: headsOfWhole(found, 'decoder_heads', dim, {
      config: ['text_config.num_attention_heads'],
      perHead: 80,
    }),
    decoder_activation: decoderActivation(found, ['text_config.activation_function'], 'relu'),
    vocabulary: stored(vocabulary, words),
    context: stored(context, `${places}, behind the image’s ${asked.queries.value}`),
  };
  return {
    label: 'blip2',
    title: `BLIP-2 with OPT around ${backboneTitle(found)}`,
    evidence,
    config: configOf(evidence),
    reading: {
      task: 'caption',
      writing: { positions: context, prompt: 'bare', section: 'text_config', defaults: publishedTokens },
    },
    lengths: { text: countedTokens },
    bounds: { text: { most: context } },
  };
}

const imageState = 'image_embeds';
const queryNames = ['attention.query', 'attention.key', 'attention.value', 'output.dense'] as const;

/**
 * A layer of the querying transformer (Li et al. 2023, §3.1): queries see one another, and in every
 * other layer the image.
 */
function queryLayer(b: GraphBuilder, queries: Tokens, image: Tokens, config: Blip2Config): Tokens {
  const { query_heads: heads, query_activation: activation, query_eps: eps } = config;
  const attended = (name: string, from: Tokens, keys: Tokens, kind: 'self' | 'cross'): Tokens => {
    const options = { heads, kind, names: queryNames, layer: 'attention' };
    const mixed = projectedAttention(b, name, { queries: from, keys }, options);
    return withValue(from, postNorm(b, from.value, mixed, `${name}.output.LayerNorm`, eps));
  };
  const own = attended('attention', queries, queries, 'self');
  const seen = b.has('crossattention.attention.query.weight')
    ? attended('crossattention', own, image, 'cross')
    : own;
  const wide = activate(b, b.linear(seen.value, 'intermediate_query.dense'), activation);
  const fed = b.linear(wide, 'output_query.dense');
  return withValue(seen, postNorm(b, seen.value, fed, 'output_query.LayerNorm', eps));
}

/** The image, and what queries make of it in the width of the words. */
function image(b: GraphBuilder, config: Blip2Config, { backbone, batch }: PartContext): void {
  const { tokens } = backbone() as TokenMaps;
  const { queries: asked, query_depth: depth, query_eps: eps } = config;
  const table = queryTable(b, 'query_tokens', batch);
  const rows = b.reshape(table, [batch * asked, at(table.shape, 2)]);
  const first = b.layerNorm(rows, 'qformer.layernorm', eps);
  let queries: Tokens = { value: first, batch, count: asked, layout: queryLayout(asked) };
  for (let index = 0; index < depth; index++)
    queries = b.scope(`${layers}.${index}`, () => queryLayer(b, queries, tokens, config), {
      title: 'Layer of the querying transformer',
    });
  const projected = withValue(queries, b.linear(queries.value, 'language_projection'));
  b.output(imageState, sequence(b, projected), 'state');
  b.output('tokens', sequence(b, tokens), 'tokens');
}

/** Tokens that stand for the image, each by its number: `image1` … */
const standIns = (count: number): TokenLayout => ({
  special: Array.from({ length: count }, (_, index) => `image${index + 1}`),
});

const projections = separateProjections(['q_proj', 'k_proj', 'v_proj', 'out_proj']);

/** OPT's layers (Zhang et al. 2022, §2.1), norms before each branch. */
function optLayers(b: GraphBuilder, config: Blip2Config, first: Tokens, memory: Memory): Tokens {
  const { decoder_depth: depth, decoder_heads: heads, decoder_activation: activation } = config;
  let tokens = first;
  const normed = (name: string): Tokens => withValue(tokens, b.layerNorm(tokens.value, name, decoderEps));
  const layer = (): Tokens => {
    const own = ownAttention(b, 'self_attn', normed('self_attn_layer_norm'), { heads, projections, memory });
    tokens = withValue(tokens, residual(b, tokens.value, own));
    return withValue(
      tokens,
      residual(b, tokens.value, feedForward(b, normed('final_layer_norm').value, activation)),
    );
  };
  for (let index = 0; index < depth; index++)
    tokens = b.scope(`${decoderPath}.layers.${index}`, layer, { title: 'Decoder layer' });
  return tokens;
}

/** The image's tokens at the first places of the text. */
function placedImage(b: GraphBuilder, shape: StateShape): Tokens {
  const tokens = stateInput(b, imageState, shape);
  const rows = b.slice(b.parameter(places), 0, firstPlace, firstPlace + shape.count);
  const table = shape.batch === 1 ? rows : b.concat(Array<ValueInfo>(shape.batch).fill(rows), 0);
  return withValue(tokens, b.add('Add', [tokens.value, table]));
}

function decoder(b: GraphBuilder, config: Blip2Config, context: PartContext): void {
  const { queries } = config;
  const width = at(b.shapeOf(words), 1);
  const seen = placedImage(b, { batch: context.batch, count: queries, width, layout: standIns(queries) });
  const { placed, joined, memory, answer } = decodingOf(b, context, {
    ids: 'input_ids',
    count: context.lengths['text'] ?? countedTokens,
    before: seen,
  });
  const text = placedWords(b, placed, [words, places], { offset: firstPlace + queries });
  const head = b.has('language_model.lm_head.weight')
    ? 'language_model.lm_head'
    : `${decoderPath}.embed_tokens`;
  answer(optLayers(b, config, joined(text), memory), (rows) =>
    b.linear(b.layerNorm(rows, `${decoderPath}.final_layer_norm`, decoderEps), head),
  );
}

/** BLIP-2 (Li et al. 2023) with OPT: queries read an image, a language model goes on from them. */
export const blip2: Whole<Blip2Config> = {
  name: 'blip2',
  row: 'caption',
  title: 'BLIP-2',
  task: 'caption',
  isTower: true,
  signature: [
    'query_tokens',
    `${layers}.0.crossattention.attention.query.weight`,
    'language_projection.weight',
    words,
    places,
    `${decoderPath}.final_layer_norm.weight`,
  ],
  assumable: decoderAssumable.filter((key) => key !== 'decoder_eps').concat('query_heads'),
  // What the querying transformer reads texts by, where it is asked for none.
  idle: /^qformer\.(?:embeddings\.|encoder\.layer\.\d+\.(?:intermediate|output)\.)/,
  recognise,
  parts: [
    { name: 'image', build: image },
    { name: 'decoder', build: decoder },
  ],
};
