import { ParameterError, type GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { tokenCount } from '../../protocol/probes';
import { int } from '../../graph/graph';
import { blockKinds, postNorm } from '../groups/plainBlocks';
import { sequence } from '../blocks/maps';
import { patchesOnly, tokenAt } from '../blocks/specialTokens';
import { attentionPool, maybeNorm, patchEmbedding, withValue, type Tokens } from '../blocks/transformer';
import { timmNames } from '../dialects/timm';
import type { BuildOptions, Evidences, Family, Figures, Recognised } from '../family';
import { numberOf, pairOf, wordOf } from '../figures';
import { labelOf, originOf, pixelsOf, titleOf } from '../names';
import { isPerceptionEncoder } from '../groups/measure';
import { plainFigures } from '../groups/plainFigures';
import { isResampling, resampled } from '../blocks/positions';

/** Canonical names that a plain transformer reads beside timm's own. */
const alsoRead = /^blocks\.\d+\.attn\.[qkv]_proj\.(?:weight|bias)$/;
const network = /^(?:blocks|patch_embed|attn_pool)\./;

/** Whether every parameter of the network is one that a plain transformer reads, and every block as wide as the first. */
function isPlain({ tensors }: Evidences): boolean {
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
export function recognisePlain(evidences: Evidences): Recognised | undefined {
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
    figures,
    choices,
    candidates: [...new Set(published.flatMap((model) => model.models))],
    warnings,
    pixels: pixelsOf(origin, published),
    sizeStep: measures.patch,
  };
}

/** Names of the tokens before the patches, in order. */
function specialTokens(b: GraphBuilder): readonly string[] {
  const registers = b.has('reg_token') ? b.shapeOf('reg_token')[1]! : 0;
  return [
    ...(b.has('cls_token') ? ['cls'] : []),
    ...(b.has('dist_token') ? ['dist'] : []),
    ...Array.from({ length: registers }, (_, index) => `reg${index}`),
  ];
}

/** Special tokens `[batch, n, dim]`, the first `slots` of them with the first rows of the position table added. */
function specials(b: GraphBuilder, slots: number, batch: number, dim: number): ValueInfo | undefined {
  const names = ['cls_token', 'dist_token', 'reg_token'].filter((name) => b.has(name));
  if (names.length === 0) return undefined;
  const parts = names.map((name) => b.parameter(name, [1, b.shapeOf(name).at(-2)!, dim]));
  const row = b.concat(parts, 1);
  const placed = slots === 0 ? row : withPositions(b, row, slots);
  return batch === 1 ? placed : b.add('Expand', [placed, b.indices([batch, row.shape[1]!, dim])]);
}

function withPositions(b: GraphBuilder, row: ValueInfo, slots: number): ValueInfo {
  const count = row.shape[1]!;
  const table = b.slice(b.parameter('pos_embed'), 1, 0, slots);
  const head = b.add('Add', [slots === count ? row : b.slice(row, 1, 0, slots), table]);
  return slots === count ? head : b.concat([head, b.slice(row, 1, slots, count)], 1);
}

/** Patches with their rows of the position table, which is resampled where the image has another grid than the table was made for. */
function placedPatches(
  b: GraphBuilder,
  patches: ValueInfo,
  grid: readonly [number, number],
  figures: Figures,
): ValueInfo {
  if (!b.has('pos_embed')) return patches;
  const slots = numberOf(figures, 'position_slots');
  const whole = b.parameter('pos_embed');
  const rows = slots === 0 ? whole : b.slice(whole, 1, slots, whole.shape[1]!);
  const name = wordOf(figures, 'resampling');
  if (!isResampling(name)) throw new ParameterError('pos_embed', `resampling ${name} is not known`);
  return b.add('Add', [patches, resampled(b, rows, pairOf(figures, 'grid'), grid, name)]);
}

/**
 * Pixels `[batch, channels, height, width]` to the token sequence (Dosovitskiy et al. 2021, eq. 1), registers after the class token
 * (Darcet et al. 2023); without a position table nothing is added.
 */
export function embed(b: GraphBuilder, figures: Figures, { imageSize, batch }: BuildOptions): Tokens {
  const pixels = b.input('pixel_values', [batch, numberOf(figures, 'channels'), ...imageSize]);
  const eps = numberOf(figures, 'eps');
  const cut = b.scope(
    'patch_embed',
    () => {
      const { patches, grid } = patchEmbedding(b, pixels, pairOf(figures, 'patch'));
      return { patches: maybeNorm(b, patches, 'norm', eps), grid };
    },
    { title: 'Patch embedding' },
  );
  return placedTokens(b, cut, figures, batch);
}

/** Patches `[batch, rows · columns, dim]` of a grid behind the special tokens, all with their positions. */
export function placedTokens(
  b: GraphBuilder,
  { patches, grid }: ReturnType<typeof patchEmbedding>,
  figures: Figures,
  batch: number,
): Tokens {
  const placed = placedPatches(b, patches, grid, figures);
  const tokens = behindSpecials(b, { patches: placed, grid }, numberOf(figures, 'position_slots'), batch);
  return withValue(tokens, maybeNorm(b, tokens.value, 'norm_pre', numberOf(figures, 'eps')));
}

/** Patches that have their positions behind the special tokens, of which the first `slots` have rows of the position table. */
export function behindSpecials(
  b: GraphBuilder,
  { patches, grid }: ReturnType<typeof patchEmbedding>,
  slots: number,
  batch: number,
): Tokens {
  const dim = patches.shape[2]!;
  const special = specials(b, slots, batch, dim);
  const layout = { special: specialTokens(b), grid };
  const count = tokenCount(layout);
  const value = b.reshape(special ? b.concat([special, patches], 1) : patches, [batch * count, dim]);
  return { value, batch, count, layout };
}

/** The token sequence before the last norm. */
export function encode(b: GraphBuilder, { figures }: Recognised, options: BuildOptions): Tokens {
  return throughBlocks(b, embed(b, figures, options), figures);
}

/** The tokens behind all blocks. */
export function throughBlocks(b: GraphBuilder, embedded: Tokens, figures: Figures): Tokens {
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

function reduce(b: GraphBuilder, tokens: Tokens, op: 'ReduceMean' | 'ReduceMax'): ValueInfo {
  return b.add(op, [sequence(b, tokens), b.indices([1])], { keepdims: int(0) });
}

/** Ways to make one vector `[batch, dim]` of the tokens, by timm's names; `token+avg` is DINOv2's linear classifier. */
const pools: Readonly<Record<string, (b: GraphBuilder, tokens: Tokens, all: Tokens) => ValueInfo>> = {
  token: (b, _, all) => tokenAt(b, all, 0),
  avg: (b, patches) => reduce(b, patches, 'ReduceMean'),
  max: (b, patches) => reduce(b, patches, 'ReduceMax'),
  avgmax: (b, patches) =>
    b.add('Mul', [
      b.add('Add', [reduce(b, patches, 'ReduceMean'), reduce(b, patches, 'ReduceMax')]),
      b.scalar(0.5),
    ]),
  'token+avg': (b, patches, all) => b.concat([tokenAt(b, all, 0), reduce(b, patches, 'ReduceMean')], 1),
};

/** The pooled vector before `fc_norm`. */
export function pool(b: GraphBuilder, tokens: Tokens, figures: Figures): ValueInfo {
  const kind = wordOf(figures, 'pool');
  const pooled = figures['pool_prefix']?.value === true ? tokens : patchesOnly(b, tokens);
  if (kind === 'map')
    return attentionPool(b, pooled, 'attn_pool', 'attn_pool', {
      heads: numberOf(figures, 'heads'),
      eps: numberOf(figures, 'eps'),
      activation: wordOf(figures, 'activation'),
    });
  const make = pools[kind];
  if (!make) throw new Error(`pool: ${kind} is not known; known are map, ${Object.keys(pools).join(', ')}`);
  return make(b, pooled, tokens);
}

/** Answer of a distilled transformer (Touvron et al. 2021, DeiT §4), whose tokens begin with `cls` and `dist`: the mean of both heads, or of both tokens where there are none. */
export function distilled(b: GraphBuilder, tokens: Tokens): void {
  const mean = (left: ValueInfo, right: ValueInfo): ValueInfo =>
    b.add('Mul', [b.add('Add', [left, right]), b.scalar(0.5)]);
  // Made before the answer: the last operator is what a model hands on.
  const all = sequence(b, tokens);
  const [cls, dist] = [tokenAt(b, tokens, 0), tokenAt(b, tokens, 1)];
  if (!b.has('head_dist.weight')) {
    b.output('features', mean(cls, dist));
    b.output('tokens', all);
    return;
  }
  const [left, right] = [b.linear(cls, 'head'), b.linear(dist, 'head_dist')];
  b.output('logits', mean(left, right));
  b.output('cls_logits', left);
  b.output('distillation_logits', right);
  b.output('tokens', all);
}

/** Pooling, the layers that follow it, and the classifier where there is one; beside its logits, what it was given. */
export function plainAnswer(b: GraphBuilder, tokens: Tokens, figures: Figures): void {
  const all = sequence(b, tokens);
  const normed = maybeNorm(b, pool(b, tokens, figures), 'fc_norm', numberOf(figures, 'eps'));
  const features = b.has('pre_logits.weight') ? b.add('Tanh', [b.linear(normed, 'pre_logits')]) : normed;
  const classifies = b.has('head.weight');
  if (classifies) b.output('logits', b.linear(features, 'head'));
  const pooled = !classifies && b.has('pooler.weight');
  b.output('features', pooled ? b.add('Tanh', [b.linear(features, 'pooler')]) : features);
  b.output('tokens', all);
}

/** The whole transformer with its last norm over all tokens. */
export function buildPlain(b: GraphBuilder, recognised: Recognised, options: BuildOptions): void {
  const { figures } = recognised;
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

/** Vision Transformer (Dosovitskiy et al. 2021) and what differs from it by its training or a part: DeiT, DINO, DINOv2, MAE, MSN, I-JEPA … */
export const vit: Family = {
  name: 'vit',
  title: 'Vision Transformer',
  assumable: plainAssumable,
  recognise: (evidences) => (evidences.dialect.dualEncoder ? undefined : recognisePlain(evidences)),
  build: buildPlain,
};
