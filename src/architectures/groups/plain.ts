import { ParameterError, type GraphBuilder } from '../../graph/builder';
import { maybeNorm, withValue, type Tokens } from '../blocks/layers';
import { timmNames } from '../libraries/timm';
import type { BuildOptions, Found, EvidenceRecord, Recognised } from '../family';
import { numberOf, wordOf } from '../figures';
import { labelOf, originOf, pixelsOf, titleOf } from '../names';
import { isPerceptionEncoder, measure } from './measure';
import { distilled, plainAnswer } from './plainAnswer';
import { blockKinds, postNorm } from './plainBlocks';
import { embed } from './plainEmbedding';
import { plainFigures } from './plainFigures';

/** Canonical names that a plain transformer reads beside timm's own. */
const alsoRead = /^blocks\.\d+\.attn\.[qkv]_proj\.(?:weight|bias)$/;

const network = /^(?:blocks|patch_embed|attn_pool)\./;

/** Whether every parameter of the network is one that a plain transformer reads, and every block as wide as the first. */
function isPlain({ tensors }: Found): boolean {
  const read = [...tensors.keys()].every(
    (name) => !network.test(name) || alsoRead.test(name) || timmNames.some(([from]) => from.test(name)),
  );
  const width = tensors.get('blocks.0.norm1.weight')?.shape[0];
  return (
    read &&
    !isPerceptionEncoder(tensors) &&
    [...tensors].every(
      ([name, { shape }]) => !/^blocks\.\d+\.norm1\.weight$/.test(name) || shape[0] === width,
    )
  );
}

/** What every plain transformer has in common, whichever library named it; undefined where a part of one is missing. */
export function recognisePlain(evidences: Found): Recognised | undefined {
  const plain = isPlain(evidences) ? plainFigures(evidences) : undefined;
  if (!plain) return undefined;
  const { measures, figures, choices, imageSize, warnings, published } = plain;
  const label = labelOf(evidences, measures);
  const origin = originOf(label, measures);
  return {
    label,
    title: titleOf(origin, measures),
    task: measures.classes > 0 ? 'classify' : 'features',
    imageSize,
    evidence: figures,
    choices,
    candidates: [...new Set(published.flatMap((model) => model.models))],
    warnings,
    pixels: pixelsOf(origin, published),
    sizeStep: measures.patch,
  };
}

/** The token sequence before the last norm. */
export function encode(b: GraphBuilder, { evidence: figures }: Recognised, options: BuildOptions): Tokens {
  return throughBlocks(b, embed(b, figures, options), figures);
}

/** The tokens behind all blocks. */
export function throughBlocks(b: GraphBuilder, embedded: Tokens, figures: EvidenceRecord): Tokens {
  const kinds = wordOf(figures, 'norm_order') === 'post' ? [postNorm, ...blockKinds] : blockKinds;
  const block = kinds.find(({ has }) => b.has(`blocks.0.${has}`));
  if (!block) throw new ParameterError('blocks.0', 'no kind of block that a plain transformer has');
  const settings = {
    heads: numberOf(figures, 'heads'),
    eps: numberOf(figures, 'eps'),
    activation: wordOf(figures, 'activation'),
  };
  let tokens = embedded;
  for (let index = 0; index < numberOf(figures, 'depth'); index++) {
    const from = tokens;
    const value = b.scope(`blocks.${index}`, () => block.build(b, from, { ...settings, index }), block.note);
    tokens = withValue(tokens, value);
  }
  return tokens;
}

/** The whole transformer with its last norm over all tokens. */
export function buildPlain(b: GraphBuilder, recognised: Recognised, options: BuildOptions): void {
  const { evidence: figures } = recognised;
  const last = encode(b, recognised, options);
  const tokens = withValue(last, maybeNorm(b, last.value, 'norm', numberOf(figures, 'eps')));
  const twoTokens = b.has('dist_token') && (b.has('head_dist.weight') || !b.has('head.weight'));
  if (twoTokens && wordOf(figures, 'pool') === 'token') distilled(b, tokens);
  else plainAnswer(b, tokens, figures);
}

/** Figures of a plain transformer that the user may set. */
export const plainAssumable = [
  'heads',
  'activation',
  'eps',
  'pool',
  'pool_prefix',
  'norm_order',
  'grid',
] as const;

/** Relabels a plain transformer as the image tower of a dual encoder. */
export function asImageTower(evidences: Found, label: string, pixels: string): Recognised | undefined {
  const tower = recognisePlain(evidences);
  const measures = measure(evidences.tensors);
  return (
    tower &&
    measures && {
      ...tower,
      label,
      title: `${titleOf(label, measures)} image tower`,
      task: 'features',
      pixels,
    }
  );
}
