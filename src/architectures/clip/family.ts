import { last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { maybeNorm, withValue, type Tokens } from '../blocks/layers';
import { meanOfTokens, sequence } from '../blocks/maps';
import { patchesOnly, tokenAt } from '../blocks/specialTokens';
import { tokenStage, type TokenMaps } from '../blocks/stages';
import { imageConfig } from '../config';
import { assumed } from '../evidence';
import type { BuildOptions, Family, Found, Recognised } from '../family';
import { asImageTower, buildPlain, encode, plainAssumable } from '../groups/plain';
import type { PlainConfig, UsualFacts } from '../groups/plainConfig';
import { answer } from '../heads/classifier';
import { plainAnswer } from '../heads/tokens';
import { clipNames } from './names';

/** Label of a dual encoder: one whose text tower is BERT's is none of OpenAI's. */
function labelOf({ tensors }: Found): string {
  return tensors.has('text.text_model.embeddings.word_embeddings.weight') ? 'dual-encoder' : 'clip';
}

interface ClipConfig extends PlainConfig {
  /** The last norm sees all tokens, not the class token alone. */
  readonly normsAll: boolean;
}

/** Whether the tower is GIT's (Wang et al. 2022), whose decoder reads all of its normed tokens. */
const isOfGit = ({ checkpoint }: Found): boolean =>
  imageConfig(checkpoint)?.modelType === 'git_vision_model' ||
  checkpoint.selected.tensors.some(({ name }) => name.startsWith('git.image_encoder.'));

/** Default of the library's configuration: OpenAI's activation (transformers, CLIPVisionConfig). */
const usualOf = ({ dialect: { name, title } }: Found): UsualFacts =>
  name === 'transformers' ? { activation: assumed('quick_gelu', `default of ${title}`) } : {};

function recognise(found: Found): Recognised<ClipConfig> | undefined {
  if (!found.dialect.dualEncoder || found.tensors.has('attn_pool.latent')) return undefined;
  const tower = asImageTower(found, labelOf(found), 'clip', usualOf(found));
  return tower && { ...tower, config: { ...tower.config, normsAll: isOfGit(found) } };
}

/** Whether the tower is a timm trunk, whose head is the projection. */
const isTrunk = (b: GraphBuilder): boolean => b.has('head.weight');

/** Writes the tower; its last norm, which sees the class token alone, comes with the head. */
function build(b: GraphBuilder, config: PlainConfig, options: BuildOptions): TokenMaps {
  if (isTrunk(b)) return buildPlain(b, config, options);
  const blocks = encode(b, config, options);
  return { stages: blocks.map((tokens) => tokenStage(tokens, options.imageSize)), tokens: last(blocks) };
}

/**
 * Ends the tower with the norm of the class token, and its projection to the joint space as
 * `image_embeds` (Radford et al. 2021, §2.4). Beside a text tower the projection belongs to the
 * comparison with a text, not to the image tower.
 */
function towerAnswer(b: GraphBuilder, maps: TokenMaps, config: ClipConfig): void {
  const { tokens } = maps;
  const { eps } = config;
  if (b.has('classifier.weight')) return classifierAnswer(b, tokens);
  if (config.normsAll) return plainAnswer(b, { ...maps, tokens: normed(b, tokens, eps) }, config);
  const features = maybeNorm(b, tokenAt(b, tokens, 0), 'norm', eps);
  if (b.has('projection.weight') && !b.has('logit_scale'))
    b.output('image_embeds', b.linear(features, 'projection'), 'features');
  b.output('features', features, 'features');
  b.output('tokens', sequence(b, tokens), 'tokens');
}

const normed = (b: GraphBuilder, tokens: Tokens, eps: number): Tokens =>
  withValue(tokens, maybeNorm(b, tokens.value, 'norm', eps));

/**
 * Ends an image classifier over the tower: what `classifier` says of the mean of the patches, of
 * which none is normed (transformers, CLIPForImageClassification).
 */
function classifierAnswer(b: GraphBuilder, tokens: Tokens): void {
  const all = sequence(b, tokens);
  answer(b, meanOfTokens(b, patchesOnly(b, tokens)), all, 'classifier');
}

/**
 * CLIP (Radford et al. 2021): the image tower of a dual encoder. Over a timm trunk, the tower is
 * timm's with its head as the projection.
 */
export const clip: Family<ClipConfig, TokenMaps> = {
  name: 'clip',
  title: 'CLIP',
  names: clipNames,
  assumable: plainAssumable,
  recognise,
  build,
  head: (b, maps, config) => (isTrunk(b) ? plainAnswer : towerAnswer)(b, maps, config),
};
