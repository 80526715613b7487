import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { bertProjections } from '../blocks/bert';
import { ownAttention, placedWords, separateProjections, stateInput, type Memory } from '../blocks/decoding';
import { activate, withValue, type Tokens } from '../blocks/layers';
import { decodingOf } from '../blocks/passes';
import { postNorm } from '../blocks/projectedAttention';
import { hiddenScore, paddingMask } from '../blocks/textTower';
import { countOf, shapeOf } from '../decide';
import { configOf, stored } from '../evidence';
import { backboneTitle, headsOfWhole, settle, type FoundWhole, type PartContext, type Whole } from '../whole';
import {
  countedTokens,
  decoderActivation,
  decoderAssumable,
  decoderEps,
  type DecoderConfig,
} from './imageToText';
import { room } from '../../graph/limits';

interface GitConfig extends Omit<DecoderConfig, 'decoder_scaled'> {
  /** Epsilon of the norm behind the projection of the image. */
  readonly imageEps: number;
}

const words = 'git.embeddings.word_embeddings.weight';
const places = 'git.embeddings.position_embeddings.weight';
const layers = 'git.encoder.layer';
const projection = 'git.visual_projection.visual_projection';

function recognise(found: FoundWhole): ReturnType<Whole<GitConfig>['recognise']> {
  const [vocabulary = 0, dim = 0] = shapeOf(found.tensors, words);
  const [context = 0] = shapeOf(found.tensors, places);
  const evidence = {
    decoder_depth: stored(countOf(found.tensors, layers), `${layers}.*`),
    decoder_dim: stored(dim, words),
    decoder_heads: headsOfWhole(found, 'decoder_heads', dim, {
      config: ['num_attention_heads'],
      perHead: 64,
    }),
    decoder_activation: decoderActivation(found, ['hidden_act'], 'gelu'),
    decoder_eps: decoderEps(found, ['layer_norm_eps'], 1e-12),
    vocabulary: stored(vocabulary, words),
    context: stored(context, places),
  };
  const { eps } = found.backbone.evidence;
  const imageEps = settle<number>(found, 'image_eps', {
    config: ['vision_config.layer_norm_eps'],
    otherwise: stored(typeof eps?.value === 'number' ? eps.value : 1e-5, 'as the image network has it'),
  });
  return {
    label: 'git',
    title: `GIT behind ${backboneTitle(found)}`,
    evidence,
    config: { ...configOf(evidence), imageEps: imageEps.value },
    reading: { task: 'caption', writing: { positions: context, prompt: 'bare' } },
    lengths: { text: countedTokens },
    bounds: { text: { most: context } },
  };
}

const imageState = 'image_embeds';

/** All tokens behind the image network's norm, which its family's head applies. */
function image(b: GraphBuilder, _: GitConfig, { answered }: PartContext): void {
  const tokens = answered().get('tokens');
  if (!tokens) throw new Error('the image network answers no tokens');
  b.output(imageState, tokens, 'state');
  b.output('tokens', b.reshape(tokens, tokens.shape), 'tokens');
}

/** The image as the decoder's first tokens: projected to its width and normed. */
function imagePrefix(b: GraphBuilder, { imageEps }: GitConfig, image: Tokens): Tokens {
  const projected = b.linear(image.value, `${projection}.0`);
  return withValue(image, b.layerNorm(projected, `${projection}.1`, imageEps));
}

const projections = separateProjections(bertProjections);

/** BERT's layers under the memory's masks (Wang et al. 2022, §3.1). */
function gitLayers(b: GraphBuilder, config: GitConfig, embedded: Tokens, memory: Memory): Tokens {
  const { decoder_depth: depth, decoder_heads: heads } = config;
  const { decoder_activation: activation, decoder_eps: eps } = config;
  let tokens = embedded;
  const layer = (): Tokens => {
    const own = ownAttention(b, 'attention', tokens, { heads, projections, memory, layer: 'self' });
    const first = postNorm(b, tokens.value, own, 'attention.output.LayerNorm', eps);
    const wide = activate(b, b.linear(first, 'intermediate.dense'), activation);
    return withValue(tokens, postNorm(b, first, b.linear(wide, 'output.dense'), 'output.LayerNorm', eps));
  };
  for (let index = 0; index < depth; index++)
    tokens = b.scope(`${layers}.${index}`, layer, { title: 'Decoder layer' });
  return tokens;
}

/** The image's tokens see one another; words see the image, themselves and those before them. */
function blockMask(b: GraphBuilder, image: number, text: number): ValueInfo {
  return b.shared(`blocks ${image} ${text}`, () => {
    const count = image + text;
    const values = new Float32Array(room(count * count));
    for (let query = 0; query < count; query++)
      values.fill(hiddenScore, query * count + Math.max(image, query + 1), (query + 1) * count);
    return b.constant('/blocks', 'F32', [1, 1, count, count], values);
  });
}

/** Padding of the words behind an image, whose tokens are all there: `[batch, 1, 1, tokens]`. */
function paddingBehind(b: GraphBuilder, mask: ValueInfo, image: number): ValueInfo {
  const batch = at(mask.shape, 0);
  const ones = b.constant('/seen', 'I64', [batch, image], new BigInt64Array(batch * image).fill(1n));
  return paddingMask(b, b.concat([ones, mask], 1));
}

function decoder(b: GraphBuilder, config: GitConfig, context: PartContext): void {
  const { batch, lengths } = context;
  const count = lengths['text'] ?? countedTokens;
  const seen = imagePrefix(b, config, stateInput(b, imageState, context.imageTokens()));
  const padding = (): ValueInfo =>
    paddingBehind(b, b.input('attention_mask', [batch, count], 'I64'), seen.count);
  const { placed, joined, memory, answer } = decodingOf(b, context, {
    ids: 'input_ids',
    count,
    before: seen,
    ahead: (all) => blockMask(b, seen.count, all - seen.count),
    padding: () => [[padding()]],
  });
  const embedded = placedWords(b, placed, [words, places]);
  const text = withValue(
    embedded,
    b.layerNorm(embedded.value, 'git.embeddings.LayerNorm', config.decoder_eps),
  );
  answer(gitLayers(b, config, joined(text), memory), (rows) => b.linear(rows, 'output'));
}

/** GIT (Wang et al. 2022): an image's tokens and words in one decoder. */
export const git: Whole<GitConfig> = {
  name: 'git',
  row: 'caption',
  title: 'GIT',
  task: 'caption',
  isTower: true,
  signature: [words, places, `${layers}.0.attention.self.query.weight`, `${projection}.0.weight`],
  assumable: decoderAssumable,
  recognise,
  parts: [
    { name: 'image', build: image },
    { name: 'decoder', build: decoder },
  ],
};
