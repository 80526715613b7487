import { dtypes, elementCount } from '../../checkpoint/tensors';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { bertEmbedding, bertLayers } from '../blocks/bert';
import { withValue, type Tokens } from '../blocks/layers';
import { asSequence } from '../blocks/projectedAttention';
import { tokenAt } from '../blocks/specialTokens';
import {
  paddingMask,
  textLayers,
  textLengths,
  textPositions,
  tokenAtEnd,
  wordEmbedding,
} from '../blocks/textTower';
import { countOf, knownActivation, shapeOf } from '../decide';
import { assumed, stored } from '../evidence';
import type { Evidence } from '../family';
import { unitLength } from '../heads/similarity';
import { headsOfWhole, settle, type FoundWhole, type PartContext } from '../whole';

/** What a text tower is written by. */
export interface TextTower {
  readonly depth: number;
  readonly heads: number;
  readonly activation: string;
  readonly eps: number;
  /** Width of the space that both towers end in. */
  readonly width: number;
  /** The token that a text is read at; its greatest id without one. */
  readonly end?: number;
  /** Padding is hidden by a mask that is given. */
  readonly masked: boolean;
  /** Id of the padding, if positions are counted from behind it. */
  readonly paddingId?: number;
}

/** What differs between text towers. */
export interface TextKind {
  /** Table of words; that of positions has its name but for the word. */
  readonly table: string;
  readonly layers: string;
  readonly projection: string;
  readonly masked: boolean;
  readonly activation: string;
  readonly eps: number;
  readonly perHead: number;
  /** Its activation is that of its own kind, whatever the image tower has. */
  readonly ownActivation?: true;
  /** Settles the id of the padding, if positions are counted from behind it. */
  readonly paddingId?: (found: FoundWhole) => Evidence<number>;
}

/** Hyper-parameters of text towers that `assume` may set. */
export const textAssumable = ['text_heads', 'text_activation', 'text_eps'] as const;

/** The activation of the image tower, which published pairs share. */
function likeTheImageTower({ backbone }: FoundWhole): Evidence<string> | undefined {
  const { activation } = backbone.evidence;
  if (typeof activation?.value !== 'string') return undefined;
  const { value, source, assumed: isGuess } = activation;
  return isGuess
    ? assumed(value, 'as the image tower has it; not stored in the weights')
    : stored(value, `as the image tower has it: ${source}`);
}

/** A text tower's hyper-parameters, and how many tokens its texts may have. */
export function textTowerOf(found: FoundWhole, kind: TextKind) {
  const [words = 0, dim = 0] = shapeOf(found.tensors, kind.table);
  const [places = 0] = shapeOf(
    found.tensors,
    kind.table.replace(/(?:token|word)_(embeddings?)/, 'position_$1'),
  );
  const paddingId = kind.paddingId?.(found);
  const context = paddingId ? places - paddingId.value - 1 : places;
  const [width = 0] = shapeOf(found.tensors, `${kind.projection}.weight`);
  const evidence = {
    text_depth: stored(countOf(found.tensors, kind.layers), `${kind.layers}.*`),
    text_dim: stored(dim, kind.table),
    text_heads: headsOfWhole(found, 'text_heads', dim, {
      config: ['text_config.num_attention_heads', 'open_clip:model_cfg.text_cfg.heads'],
      perHead: kind.perHead,
    }),
    text_activation: settle<string>(found, 'text_activation', {
      config: ['text_config.hidden_act'],
      otherwise:
        (kind.ownActivation ? undefined : likeTheImageTower(found)) ??
        assumed(kind.activation, 'as published; not stored'),
      ...knownActivation,
    }),
    text_eps: settle<number>(found, 'text_eps', {
      config: ['text_config.layer_norm_eps', 'open_clip:model_cfg.text_cfg.norm_kwargs.eps'],
      otherwise: assumed(kind.eps, 'as published; not stored in the weights'),
      is: (value) => typeof value === 'number' && value > 0,
      needed: 'a number above 0',
    }),
    ...(paddingId && { text_padding: paddingId }),
    vocabulary: stored(words, kind.table),
    context: stored(context, 'rows of the table of positions'),
    projection: stored(width, `${kind.projection}.weight`),
  };
  const tower: TextTower = {
    depth: evidence.text_depth.value,
    heads: evidence.text_heads.value,
    activation: evidence.text_activation.value,
    eps: evidence.text_eps.value,
    width,
    masked: kind.masked,
    ...(paddingId && { paddingId: paddingId.value }),
  };
  return { evidence, tower, lengths: { texts: 1, text: context } };
}

/** Texts as they are read in, with what hides their padding. */
function read(
  b: GraphBuilder,
  { masked }: TextTower,
  { lengths }: PartContext,
): { readonly ids: ValueInfo; readonly padding: ValueInfo | undefined } {
  const { texts, text } = textLengths(lengths);
  const ids = b.input('input_ids', [texts, text], 'I64');
  const mask = masked ? b.input('attention_mask', [texts, text], 'I64') : undefined;
  return { ids, padding: mask && paddingMask(b, mask) };
}

/** The text tower of CLIP and SigLIP, normed at its end. */
function tower(
  b: GraphBuilder,
  config: TextTower,
  context: PartContext,
  causal: boolean,
): { readonly ids: ValueInfo; readonly tokens: Tokens } {
  const { ids, padding } = read(b, config, context);
  const lengths = textLengths(context.lengths);
  const words = wordEmbedding(b, ids, 'text_model.embeddings.token_embedding.weight');
  const places = textPositions(b, 'text_model.embeddings.position_embedding.weight', lengths);
  const embedded: Tokens = {
    value: b.add('Add', [words, places]),
    batch: lengths.texts,
    count: lengths.text,
    layout: { special: [], sequence: lengths.text },
  };
  const tokens = textLayers(b, embedded, 'text_model.encoder.layers', { ...config, causal }, padding);
  const normed = b.layerNorm(tokens.value, 'text_model.final_layer_norm', config.eps);
  b.output('text_model_output.last_hidden_state', asSequence(b, normed, tokens.batch), 'state');
  return { ids, tokens: { ...tokens, value: normed } };
}

/** CLIP's: read at the end token and projected (Radford et al. 2021, §2.4). */
export function clipText(b: GraphBuilder, config: TextTower, context: PartContext): void {
  const { ids, tokens } = tower(b, config, context, true);
  const pooled = tokenAtEnd(b, ids, tokens, config.end);
  b.output('text_embeds', unitLength(b, b.linear(pooled, 'text_projection')), 'embedding');
}

/** SigLIP reads a text at its last place, padding or not (transformers, SiglipTextModel). */
export function siglipText(b: GraphBuilder, config: TextTower, context: PartContext): void {
  const { tokens } = tower(b, config, context, false);
  const pooled = tokenAt(b, tokens, tokens.count - 1);
  b.output('text_embeds', unitLength(b, b.linear(pooled, 'text_model.head')), 'embedding');
}

/**
 * Where RoBERTa's tokens stand: counted from behind the id of the padding, which every padded token
 * has for its place (Liu et al. 2019; transformers, create_position_ids_from_input_ids):
 * `[texts · text]` of the type of indices.
 */
function placesBehindPadding(b: GraphBuilder, ids: ValueInfo, padding: number): ValueInfo {
  const short = b.add('Cast', [ids], { to: int(dtypes.I32.onnx) });
  const isPadding = b.add('Equal', [short, b.constant('/padding', 'I32', [], Int32Array.of(padding))]);
  const isWord = b.add('Sub', [b.scalar(1), b.add('Cast', [isPadding], { to: int(dtypes.F32.onnx) })]);
  const counted = b.add('Mul', [b.add('CumSum', [isWord, b.indices([1])]), isWord]);
  const places = b.add('Add', [counted, b.scalar(padding)]);
  return b.add('Cast', [b.reshape(places, [elementCount(ids.shape)])], { to: int(dtypes.I64.onnx) });
}

/** BERT's layers over the texts; parameters below `path`. */
function bert(b: GraphBuilder, path: string, config: TextTower, context: PartContext): Tokens {
  const { ids, padding } = read(b, config, context);
  const { eps, paddingId } = config;
  const places = paddingId === undefined ? undefined : placesBehindPadding(b, ids, paddingId);
  return b.scope(path, () => {
    const embedded = bertEmbedding(b, ids, textLengths(context.lengths), eps, places);
    return bertLayers(b, embedded, config, padding ? [padding] : []);
  });
}

/** A BERT whose first token is projected (Chinese CLIP, ALIGN). */
export function bertText(b: GraphBuilder, config: TextTower, context: PartContext): void {
  const tokens = bert(b, 'text_model', config, context);
  const pooled = b.linear(tokenAt(b, tokens, 0), 'text_projection');
  b.output('text_embeds', unitLength(b, pooled), 'embedding');
}

/**
 * AltCLIP's texts go through a RoBERTa, whose tokens are normed again and brought to the width of
 * CLIP's (Chen et al. 2022, fig. 2); the first is projected.
 */
export function altText(b: GraphBuilder, config: TextTower, context: PartContext): void {
  const tokens = bert(b, 'text_model.roberta', config, context);
  const normed = b.layerNorm(tokens.value, 'text_model.pre_LN', config.eps);
  const widened = withValue(tokens, b.linear(normed, 'text_model.transformation'));
  const pooled = b.linear(tokenAt(b, widened, 0), 'text_projection');
  b.output('text_embeds', unitLength(b, pooled), 'embedding');
}
