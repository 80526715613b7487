import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { type Tokens } from '../blocks/layers';
import { bertEmbedding, bertLayers } from '../blocks/bert';
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
import { rows, transposed } from '../dialect';
import { assumed, stored } from '../evidence';
import type { Evidence } from '../family';
import { unitLength, writeSimilarity } from '../heads/similarity';
import { headsOfWhole, settle, type FoundWhole, type PartContext, type Whole } from '../whole';

/** What two towers and their comparison are written by. */
interface DualConfig {
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
}

/** What differs between the pairs of towers. */
interface Kind {
  readonly table: string;
  readonly layers: string;
  readonly projection: string;
  readonly masked: boolean;
  readonly activation: string;
  readonly eps: number;
  readonly perHead: number;
}

/** Token ids that transformers' CLIP takes for a historical mistake: the greatest id counts. */
const mistakenEnd = 2;

/** MetaCLIP 2 alone takes that id at its word: its tokenizer's end has it. */
const readsGreatest = ({ found }: FoundWhole): boolean =>
  found.checkpoint.sidecars.config?.['model_type'] !== 'metaclip_2';

/** The activation of the image tower, which published pairs share. */
function likeTheImageTower({ backbone }: FoundWhole): Evidence<string> | undefined {
  const { activation } = backbone.evidence;
  if (typeof activation?.value !== 'string') return undefined;
  const { value, source, assumed: isGuess } = activation;
  return isGuess
    ? assumed(value, 'as the image tower has it; not stored in the weights')
    : stored(value, `as the image tower has it: ${source}`);
}

const recogniser =
  (kind: Kind) =>
  (found: FoundWhole): ReturnType<Whole<DualConfig>['recognise']> => {
    const [words = 0, dim = 0] = shapeOf(found.tensors, kind.table);
    const [context = 0] = shapeOf(
      found.tensors,
      kind.table.replace(/(?:token|word)_(embeddings?)/, 'position_$1'),
    );
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
        otherwise: likeTheImageTower(found) ?? assumed(kind.activation, 'as published; not stored'),
        ...knownActivation,
      }),
      text_eps: settle<number>(found, 'text_eps', {
        config: ['text_config.layer_norm_eps'],
        otherwise: assumed(kind.eps, 'as published; not stored in the weights'),
        is: (value) => typeof value === 'number' && value > 0,
        needed: 'a number above 0',
      }),
      vocabulary: stored(words, kind.table),
      context: stored(context, 'rows of the table of positions'),
      projection: stored(width, `${kind.projection}.weight`),
    };
    const end = settle<number>(found, 'text_end', {
      config: ['text_config.eos_token_id'],
      otherwise: stored(mistakenEnd, 'the greatest id of a text'),
    }).value;
    return {
      label: found.backbone.label,
      title: found.backbone.title.replace(/ image tower$/, ''),
      evidence,
      config: {
        depth: evidence.text_depth.value,
        heads: evidence.text_heads.value,
        activation: evidence.text_activation.value,
        eps: evidence.text_eps.value,
        width,
        masked: kind.masked,
        ...(!(end === mistakenEnd && readsGreatest(found)) && { end }),
      },
      reading: {
        task: 'zero-shot',
        scores: found.tensors.has('logit_bias') ? 'sigmoid' : 'softmax',
        context,
        padding: kind.masked ? 'longest' : 'context',
      },
      lengths: { texts: 1, text: context },
    };
  };

/** The vector of an image in the space of both towers, of unit length. */
function image(b: GraphBuilder, { answered }: PartContext, project?: string): void {
  const made = answered();
  const features = made.get('features');
  const embedded = made.get('image_embeds') ?? features;
  if (!features || !embedded) throw new Error('the image tower answers no features');
  const own = project !== undefined && b.has(`${project}.weight`) ? b.linear(features, project) : embedded;
  b.output('image_embeds', unitLength(b, own), 'embedding');
  b.output('features', features, 'features');
  const tokens = made.get('tokens');
  if (tokens) b.output('tokens', tokens, 'tokens');
}

/** Texts as they are read in, with what hides their padding. */
function read(
  b: GraphBuilder,
  { masked }: DualConfig,
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
  config: DualConfig,
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

function clipText(b: GraphBuilder, config: DualConfig, context: PartContext): void {
  const { ids, tokens } = tower(b, config, context, true);
  const pooled = tokenAtEnd(b, ids, tokens, config.end);
  b.output('text_embeds', unitLength(b, b.linear(pooled, 'text_projection')), 'embedding');
}

/** SigLIP reads a text at its last place, padding or not (transformers, SiglipTextModel). */
function siglipText(b: GraphBuilder, config: DualConfig, context: PartContext): void {
  const { tokens } = tower(b, config, context, false);
  const pooled = tokenAt(b, tokens, tokens.count - 1);
  b.output('text_embeds', unitLength(b, b.linear(pooled, 'text_model.head')), 'embedding');
}

/** Chinese CLIP's texts go through a BERT, whose first token is projected. */
function chineseText(b: GraphBuilder, config: DualConfig, context: PartContext): void {
  const { ids, padding } = read(b, config, context);
  const tokens = b.scope('text_model', () =>
    bertLayers(
      b,
      bertEmbedding(b, ids, textLengths(context.lengths), config.eps),
      config,
      padding ? [padding] : [],
    ),
  );
  const pooled = b.linear(tokenAt(b, tokens, 0), 'text_projection');
  b.output('text_embeds', unitLength(b, pooled), 'embedding');
}

const dualParts = (
  text: (b: GraphBuilder, config: DualConfig, context: PartContext) => void,
  project?: string,
): Whole<DualConfig>['parts'] => [
  { name: 'image', build: (b, _, context) => image(b, context, project) },
  { name: 'text', build: text },
  {
    name: 'score',
    build: (b, { width }, { lengths, batch }) =>
      writeSimilarity(b, width, { images: batch, texts: textLengths(lengths).texts }),
  },
];

const assumable = ['text_heads', 'text_activation', 'text_eps'];
const tables = {
  clip: 'text_model.embeddings.token_embedding.weight',
  chinese: 'text_model.embeddings.word_embeddings.weight',
} as const;

/** From open_clip's and OpenAI's names, whose text tower lies at the root, to transformers'. */
const openClipNames: Whole['renames'] = [
  [/^(?:text\.)?token_embedding\.weight$/, tables.clip],
  [/^(?:text\.)?positional_embedding$/, 'text_model.embeddings.position_embedding.weight'],
  [/^(?:text\.)?ln_final\.(weight|bias)$/, 'text_model.final_layer_norm.$1'],
  [/^(?:text\.)?text_projection$/, 'text_projection.weight', transposed],
  [/^visual\.proj$/, 'visual_projection.weight', transposed],
  ...[0, 1, 2].map(
    (index) =>
      [
        /^(?:text\.)?transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)$/,
        `text_model.encoder.layers.$1.self_attn.${['q', 'k', 'v'][index]}_proj.$2`,
        rows(index, 3),
      ] as const,
  ),
  [
    /^(?:text\.)?transformer\.resblocks\.(\d+)\.attn\.out_proj\.(weight|bias)$/,
    'text_model.encoder.layers.$1.self_attn.out_proj.$2',
  ],
  ...[1, 2].map(
    (index) =>
      [
        new RegExp(`^(?:text\\.)?transformer\\.resblocks\\.(\\d+)\\.ln_${index}\\.(weight|bias)$`),
        `text_model.encoder.layers.$1.layer_norm${index}.$2`,
      ] as const,
  ),
  [
    /^(?:text\.)?transformer\.resblocks\.(\d+)\.mlp\.c_fc\.(weight|bias)$/,
    'text_model.encoder.layers.$1.mlp.fc1.$2',
  ],
  [
    /^(?:text\.)?transformer\.resblocks\.(\d+)\.mlp\.c_proj\.(weight|bias)$/,
    'text_model.encoder.layers.$1.mlp.fc2.$2',
  ],
];

/** CLIP (Radford et al. 2021) with both its towers. */
export const clip: Whole<DualConfig> = {
  name: 'clip',
  title: 'CLIP',
  task: 'zero-shot',
  isTower: true,
  signature: [tables.clip, 'text_projection.weight', 'visual_projection.weight', 'logit_scale'],
  assumable,
  recognise: recogniser({
    table: tables.clip,
    layers: 'text_model.encoder.layers',
    projection: 'text_projection',
    masked: true,
    activation: 'quick_gelu',
    eps: 1e-5,
    perHead: 64,
  }),
  parts: dualParts(clipText, 'visual_projection'),
};

/**
 * Whether a file of open_clip's names reads texts as CLIP does: at the greatest id, tokens seeing
 * those before them. A tower of its own class (`text.`) may do otherwise, which its configuration
 * alone tells (CLIPA, CoCa).
 */
function readsAsClip({ tensors, found }: FoundWhole): boolean {
  const model = found.checkpoint.sidecars.openClip?.['model_cfg'] as Json | undefined;
  const text = model?.['text_cfg'] as Json | undefined;
  const isOwnClass = /(?:^|\.)text\.token_embedding\.weight$/.test(
    tensors.get(tables.clip)?.tensor.name ?? '',
  );
  if (!text) return !isOwnClass;
  const { pool_type: pool = 'argmax', no_causal_mask: isOpen = false, embed_cls: hasClass = false } = text;
  return pool === 'argmax' && isOpen !== true && hasClass !== true;
}

type Json = Readonly<Record<string, unknown>>;

const asOpenClip = recogniser({
  table: tables.clip,
  layers: 'text_model.encoder.layers',
  projection: 'text_projection',
  masked: false,
  activation: 'quick_gelu',
  eps: 1e-5,
  perHead: 64,
});

/** CLIP under OpenAI's and open_clip's names, which hide no padding. */
export const openClip: Whole<DualConfig> = {
  ...clip,
  name: 'open-clip',
  row: 'clip',
  signature: ['text_projection.weight', 'visual_projection.weight', 'logit_scale', tables.clip],
  renames: openClipNames,
  recognise: (found) => (readsAsClip(found) ? asOpenClip(found) : undefined),
};

/** SigLIP (Zhai et al. 2023) and SigLIP 2 with both their towers. */
export const siglip: Whole<DualConfig> = {
  name: 'siglip',
  title: 'SigLIP',
  task: 'zero-shot',
  isTower: true,
  signature: [tables.clip, 'text_model.head.weight', 'logit_scale', 'logit_bias'],
  assumable,
  recognise: recogniser({
    table: tables.clip,
    layers: 'text_model.encoder.layers',
    projection: 'text_model.head',
    masked: false,
    activation: 'gelu_tanh',
    eps: 1e-6,
    perHead: 64,
  }),
  parts: dualParts(siglipText),
};

/** Chinese CLIP (Yang et al. 2022): CLIP's image tower beside a BERT. */
export const chineseClip: Whole<DualConfig> = {
  name: 'chinese-clip',
  row: 'clip',
  title: 'Chinese CLIP',
  task: 'zero-shot',
  isTower: true,
  signature: [tables.chinese, 'text_projection.weight', 'visual_projection.weight', 'logit_scale'],
  // A pair of any two towers (VisionTextDualEncoder) reads its BERT through the pooler.
  absent: ['text_model.pooler.dense.weight'],
  assumable,
  recognise: recogniser({
    table: tables.chinese,
    layers: 'text_model.encoder.layer',
    projection: 'text_projection',
    masked: true,
    activation: 'gelu',
    eps: 1e-12,
    perHead: 64,
  }),
  parts: dualParts(chineseText, 'visual_projection'),
};
