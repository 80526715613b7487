import { at } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { activate, withValue } from '../blocks/layers';
import { sequence } from '../blocks/maps';
import { asSequence } from '../blocks/projectedAttention';
import { tokenAt } from '../blocks/specialTokens';
import type { Maps, TokenMaps } from '../blocks/stages';
import { textLengths } from '../blocks/textTower';
import { pairIn, stored } from '../evidence';
import { similarity, unitLength } from '../heads/similarity';
import type { FoundWhole, PartContext, Whole } from '../whole';
import { sideOf } from './detectors';
import { numberOfBackbone } from './innerLayers';
import { clipText, textAssumable, textTowerOf, type TextTower } from './textTowers';
import { placesRoom } from '../../graph/limits';

interface OwlConfig extends TextTower {
  /** Of the norms of the image tower, and of the one behind it. */
  readonly imageEps: number;
}

/** Version 2 says of every patch whether there is an object at all. */
const objectness = 'objectness_head';
const classHead = 'class_head';
const boxHead = 'box_head';

function recognise(found: FoundWhole): ReturnType<Whole<OwlConfig>['recognise']> {
  const { evidence, tower, lengths } = textTowerOf(found, {
    table: 'text_model.embeddings.token_embedding.weight',
    layers: 'text_model.encoder.layers',
    projection: 'text_projection',
    masked: true,
    activation: 'quick_gelu',
    eps: 1e-5,
    perHead: 64,
  });
  const isSecond = found.tensors.has(`${objectness}.dense0.weight`);
  const [size = found.backbone.title] = /ViT-\S+/.exec(found.backbone.title) ?? [];
  return {
    label: isSecond ? 'owlv2' : 'owlvit',
    title: `${isSecond ? 'OWLv2' : 'OWL-ViT'}, ${size} image tower`,
    evidence: {
      ...evidence,
      query_dim: sideOf(found, `${classHead}.dense0.weight`, 0),
      objectness: stored(isSecond, `${objectness}.dense0.weight${isSecond ? '' : ': not in the file'}`),
    },
    config: { ...tower, imageEps: numberOfBackbone(found, 'eps', 1e-5) },
    modelType: isSecond ? 'owlv2' : 'owlvit',
    reading: {
      task: 'detect',
      rule: 'texts',
      square: isSecond,
      texts: { context: lengths.text, padding: 'context' },
      patch: pairIn(found.backbone.evidence['patch']?.value ?? 0, 'patch'),
    },
    lengths,
    bounds: { text: { most: lengths.text } },
  };
}

/** Added to 0 … 1 before the logarithm of box biases. */
const boxEps = 1e-4;
const logit = (x: number): number => Math.log(x + boxEps) - Math.log1p(boxEps - x);

/**
 * What box logits start from: the lower right corner of each patch and the sides of one (Minderer
 * et al. 2022, §3.2, and its code), `[rows · columns, 4]`.
 */
export function boxBiases([rows, columns]: Grid): Float32Array {
  const values = Array.from({ length: placesRoom(rows * columns) }, (_, cell) => [
    logit(((cell % columns) + 1) / columns),
    logit((Math.floor(cell / columns) + 1) / rows),
    logit(1 / columns),
    logit(1 / rows),
  ]);
  return Float32Array.from(values.flat());
}

/** Linear layers `dense0` … with GELU between them, the head of a box. */
function denseLayers(b: GraphBuilder, x: ValueInfo, name: string): ValueInfo {
  let value = b.linear(x, `${name}.dense0`);
  for (let index = 1; b.has(`${name}.dense${index}.weight`); index++)
    value = b.linear(activate(b, value, 'gelu'), `${name}.dense${index}`);
  return value;
}

const hasTokens = (maps: Maps): maps is TokenMaps => 'tokens' in maps;

/** Patches times the class token, normed (Minderer et al. 2022, code), `[batch · patches, dim]`. */
function patchFeatures(b: GraphBuilder, maps: TokenMaps, eps: number) {
  const { tokens } = maps;
  const { batch, count } = tokens;
  const normed = withValue(tokens, b.layerNorm(tokens.value, 'vision_model.post_layernorm', eps));
  const all = sequence(b, normed);
  const dim = at(all.shape, 2);
  const merged = b.add('Mul', [b.slice(all, 1, 1, count), b.slice(all, 1, 0, 1)]);
  const value = b.layerNorm(b.reshape(merged, [batch * (count - 1), dim]), 'layer_norm', eps);
  return { value, whole: tokenAt(b, normed, 0), dim };
}

/** A box for each patch, and what texts are compared with. */
function image(b: GraphBuilder, { imageEps }: OwlConfig, { backbone, batch }: PartContext): void {
  const maps = backbone();
  if (!hasTokens(maps)) throw new Error('OWL-ViT reads tokens, and its backbone hands back none');
  const { value, whole, dim } = patchFeatures(b, maps, imageEps);
  const [rows = 1, columns = 1] = maps.tokens.layout.grid ?? [];
  const biases = b.constant('/box_bias', 'F32', [1, rows * columns, 4], boxBiases([rows, columns]));
  const told = asSequence(b, denseLayers(b, value, boxHead), batch);
  b.output('pred_boxes', b.add('Sigmoid', [b.add('Add', [told, biases])]), 'boxes');
  b.output('image_embeds', b.reshape(value, [batch, rows, columns, dim]), 'state');
  if (b.has(`${objectness}.dense0.weight`))
    b.output(
      'objectness_logits',
      b.reshape(denseLayers(b, value, objectness), [batch, rows * columns]),
      'state',
    );
  for (const [name, layer] of Object.entries(classLayers))
    b.output(name, asSequence(b, b.linear(value, `${classHead}.${layer}`), batch), 'state');
  b.output('image_vector', unitLength(b, b.linear(whole, 'visual_projection')), 'state');
}

/** What the head of classes makes of a patch before any text is there. */
const classLayers = {
  class_embeds: 'dense0',
  class_shift: 'logit_shift',
  class_scale: 'logit_scale',
} as const;

/** x / (‖x‖ + ε) over the last axis. */
function nearlyUnit(b: GraphBuilder, x: ValueInfo): ValueInfo {
  const squares = b.add('ReduceSum', [b.add('Mul', [x, x]), b.indices([x.shape.length - 1])]);
  return b.add('Div', [x, b.add('Add', [b.add('Sqrt', [squares]), b.scalar(1e-6)])]);
}

/**
 * Scores of each patch with each text: (cosine + shift) · (elu(scale) + 1), both told by the patch
 * (Minderer et al. 2022, code), `[batch, patches, texts]`.
 */
function score(b: GraphBuilder, { width }: OwlConfig, { lengths, batch, imageTokens }: PartContext): void {
  const { texts } = textLengths(lengths);
  const patches = imageTokens().count - 1;
  const dim = b.shapeOf(`${classHead}.dense0.weight`)[0] ?? width;
  const classes = b.input('class_embeds', [batch, patches, dim]);
  const shift = b.input('class_shift', [batch, patches, 1]);
  const scale = b.input('class_scale', [batch, patches, 1]);
  const words = b.input('text_embeds', [texts, width]);
  const vector = b.input('image_vector', [batch, width]);
  b.output('logits_per_image', similarity(b, vector, words), 'state');
  const cosine = b.add('MatMul', [nearlyUnit(b, classes), b.transpose(nearlyUnit(b, words), [1, 0])]);
  const factor = b.add('Add', [activate(b, scale, 'elu'), b.scalar(1)]);
  b.output('logits', b.add('Mul', [b.add('Add', [cosine, shift]), factor]), 'logits');
}

/**
 * OWL-ViT (Minderer et al. 2022) and OWLv2 (Minderer et al. 2023): CLIP's towers, with a box and a
 * comparison with any texts at every patch.
 */
export const owlVit: Whole<OwlConfig> = {
  name: 'owlvit',
  title: 'OWL-ViT',
  task: 'detect',
  isTower: true,
  signature: [
    `${classHead}.dense0.weight`,
    `${classHead}.logit_shift.weight`,
    `${boxHead}.dense2.weight`,
    'text_projection.weight',
    'visual_projection.weight',
  ],
  renames: [[/^owl(?:vit|v2)\./, '']],
  assumable: textAssumable,
  hasNoBias: (path) => /_(?:projection|embedding)$/.test(path),
  recognise,
  parts: [
    { name: 'image', build: image },
    { name: 'text', build: clipText },
    { name: 'score', build: score },
  ],
};
