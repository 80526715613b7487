import type { GraphBuilder } from '../../graph/builder';
import { rows, transposed } from '../dialect';
import { unitLength, writeSimilarity } from '../heads/similarity';
import { patchTowerOf, poolNames, towerOfPatches, type PatchTower } from './siglipPatches';
import { textLengths } from '../blocks/textTower';
import { stored } from '../evidence';
import { settle, type FoundWhole, type PartContext, type RecognisedWhole, type Whole } from '../whole';
import {
  clipText,
  siglipText,
  textAssumable,
  textTowerOf,
  type TextKind,
  type TextTower,
} from './textTowers';

/** Token ids that transformers' CLIP takes for a historical mistake: the greatest id counts. */
const mistakenEnd = 2;

/** MetaCLIP 2 alone takes that id at its word: its tokenizer's end has it. */
const readsGreatest = ({ found }: FoundWhole): boolean =>
  found.checkpoint.sidecars.config?.['model_type'] !== 'metaclip_2';

/** What a pair of an image tower and a text tower of this kind is. */
export const recogniser =
  (kind: TextKind) =>
  (found: FoundWhole): RecognisedWhole<TextTower> => {
    const { evidence, tower, lengths } = textTowerOf(found, kind);
    const end = settle<number>(found, 'text_end', {
      config: ['text_config.eos_token_id'],
      otherwise: stored(mistakenEnd, 'the greatest id of a text'),
    }).value;
    return {
      label: found.backbone.label,
      title: found.backbone.title.replace(/ image tower$/, ''),
      evidence,
      config: { ...tower, ...(!(end === mistakenEnd && readsGreatest(found)) && { end }) },
      reading: {
        task: 'zero-shot',
        scores: found.tensors.has('logit_bias') ? 'sigmoid' : 'softmax',
        context: lengths.text,
        padding: kind.masked ? 'longest' : 'context',
      },
      lengths,
      bounds: { text: { most: lengths.text } },
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

/** What a pair of SigLIP's towers is written by. */
interface SiglipConfig extends TextTower {
  /** Of a tower that takes patches of images of any shape. */
  readonly patches?: PatchTower;
}

/** The image tower on an image, or on patches that it was cut into before. */
function siglipImage(b: GraphBuilder, { patches }: SiglipConfig, context: PartContext): void {
  if (!patches || context.lengths['patches'] === undefined) return image(b, context);
  const features = towerOfPatches(b, patches, context);
  b.output('image_embeds', unitLength(b, features), 'embedding');
  b.output('features', features, 'features');
}

const scorePart: Whole<TextTower>['parts'][number] = {
  name: 'score',
  build: (b, { width }, { lengths, batch }) =>
    writeSimilarity(b, width, { images: batch, texts: textLengths(lengths).texts }),
};

/** The parts of a pair: both towers, and what compares them. */
export const dualParts = (
  text: (b: GraphBuilder, config: TextTower, context: PartContext) => void,
  project?: string,
): Whole<TextTower>['parts'] => [
  { name: 'image', build: (b, _, context) => image(b, context, project) },
  { name: 'text', build: text },
  scorePart,
];

const table = 'text_model.embeddings.token_embedding.weight';

/** From open_clip's and OpenAI's names, whose text tower lies at the root, to transformers'. */
const openClipNames: Whole['renames'] = [
  [/^(?:text\.)?token_embedding\.weight$/, table],
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
export const clip: Whole<TextTower> = {
  name: 'clip',
  title: 'CLIP',
  task: 'zero-shot',
  isTower: true,
  signature: [table, 'text_projection.weight', 'visual_projection.weight', 'logit_scale'],
  assumable: textAssumable,
  recognise: recogniser({
    table: table,
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
  const isOwnClass = /(?:^|\.)text\.token_embedding\.weight$/.test(tensors.get(table)?.tensor.name ?? '');
  if (!text) return !isOwnClass;
  const { pool_type: pool = 'argmax', no_causal_mask: isOpen = false, embed_cls: hasClass = false } = text;
  return pool === 'argmax' && isOpen !== true && hasClass !== true;
}

type Json = Readonly<Record<string, unknown>>;

const asOpenClip = recogniser({
  table: table,
  layers: 'text_model.encoder.layers',
  projection: 'text_projection',
  masked: false,
  activation: 'quick_gelu',
  eps: 1e-5,
  perHead: 64,
});

/** CLIP under OpenAI's and open_clip's names, which hide no padding. */
export const openClip: Whole<TextTower> = {
  ...clip,
  name: 'open-clip',
  row: 'clip',
  signature: ['text_projection.weight', 'visual_projection.weight', 'logit_scale', table],
  renames: openClipNames,
  recognise: (found) => (readsAsClip(found) ? asOpenClip(found) : undefined),
};

const asSiglip = recogniser({
  table: table,
  layers: 'text_model.encoder.layers',
  projection: 'text_model.head',
  masked: false,
  activation: 'gelu_tanh',
  eps: 1e-6,
  perHead: 64,
});

/**
 * SigLIP (Zhai et al. 2023) and SigLIP 2 (Tschannen et al. 2025) with both their towers; NaFlex
 * takes images of any shape, each at a grid of its own.
 */
export const siglip: Whole<SiglipConfig> = {
  name: 'siglip',
  title: 'SigLIP',
  task: 'zero-shot',
  isTower: true,
  signature: [table, 'text_model.head.weight', 'logit_scale', 'logit_bias'],
  renames: poolNames,
  assumable: textAssumable,
  recognise(found) {
    const own = asSiglip(found);
    const patches = patchTowerOf(found);
    return own && patches ? { ...own, config: { ...own.config, patches } } : own;
  },
  parts: [{ name: 'image', build: siglipImage }, { name: 'text', build: siglipText }, scorePart],
};

/**
 * Whether a configuration of open_clip lets texts be read as SigLIP does: at the last place, all
 * tokens seeing all. Without one the bias of the projection says it, which no other has there.
 */
function readsAsSiglip({ found }: FoundWhole): boolean {
  const model = found.checkpoint.sidecars.openClip?.['model_cfg'] as Json | undefined;
  const text = model?.['text_cfg'] as Json | undefined;
  return !text || (text['pool_type'] === 'last' && text['no_causal_mask'] === true);
}

/** SigLIP under open_clip's names, around an image tower of timm's. */
export const openClipSiglip: Whole<TextTower> = {
  ...siglip,
  name: 'open-clip-siglip',
  row: 'siglip',
  signature: [...siglip.signature, 'text_model.head.bias'],
  // transformers' own files have the same names for texts.
  absent: ['vision_model.head.probe'],
  renames: [...openClipNames, [/^text\.text_projection\.(weight|bias)$/, 'text_model.head.$1']],
  recognise(found) {
    const own = readsAsSiglip(found) ? siglip.recognise(found) : undefined;
    return own && { ...own, warnings: [...(own.warnings ?? []), asTyped] };
  },
};

const asTyped =
  'Texts are read as they are typed: open_clip lower-cases them and drops their punctuation first.';
