import type { DefaultsName } from '../../preprocessing/defaults';
import { last } from '../../domain/lists';
import { ParameterError, type GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { maybeNorm, withValue, type Tokens } from '../blocks/layers';
import { eachBlock, tokenStage, type TokenMaps } from '../blocks/stages';
import type { BuildOptions, Found, Recognised } from '../family';
import { timmNames } from '../libraries/timm';
import { labelOf, originOf, pixelsOf, titleOf } from '../names';
import { recognisedFrom } from '../decide';
import { isPerceptionEncoder, measure } from './measure';
import { blockKinds, otherOrders, type BlockFacts, type NormOrder } from './plainBlocks';
import { settlePlain, type PlainConfig, type UsualFacts } from './plainConfig';
import { embed } from './plainEmbedding';

/** Canonical names that a plain transformer reads beside timm's own. */
const alsoRead =
  /^(?:blocks\.\d+\.attn\.(?:[qkv]_proj|[qk]_wide_norm)|patch_embed\.norm_in)\.(?:weight|bias)$/;

const network = /^(?:blocks|patch_embed|attn_pool)\./;

/**
 * Whether a plain transformer reads every parameter of the network, and every block is as wide as
 * the first.
 */
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

/**
 * What every plain transformer has in common, whichever library named it; undefined if a part of
 * one is missing.
 */
export function recognisePlain(found: Found, usual: UsualFacts = {}): Recognised<PlainConfig> | undefined {
  const plain = isPlain(found) ? settlePlain(found, usual) : undefined;
  if (!plain) return undefined;
  const { measures, sources, ...settled } = plain;
  const label = labelOf(found, measures);
  const origin = originOf(label, measures);
  return recognisedFrom(sources, {
    ...settled,
    label,
    title: titleOf(origin, measures),
    pixels: pixelsOf(origin),
    sizeStep: measures.patch,
  });
}

/** What the blocks of a plain transformer are built by. */
export interface BlocksConfig extends BlockFacts {
  readonly depth: number;
  readonly norm_order: NormOrder;
}

/**
 * Writes the blocks and hands back the tokens behind each, the first block's first. Throws
 * `ParameterError` if block 0 is of no known kind.
 */
export function throughBlocks(
  b: GraphBuilder,
  embedded: Tokens,
  { depth, norm_order: order, ...facts }: BlocksConfig,
  entering?: BuildOptions['entering'],
): readonly Tokens[] {
  const kind = [...otherOrders[order], ...blockKinds].find(({ has }) => b.has(`blocks.0.${has}`));
  if (!kind) throw new ParameterError('blocks.0', 'no kind of block that a plain transformer has');
  if (entering && kind.has !== sequential)
    throw new ParameterError(`blocks.0.${kind.has}`, 'blocks that scores are added to have branches in turn');
  let bias: ValueInfo | undefined;
  return eachBlock(b, embedded, {
    depth,
    ...(entering && {
      enter: (tokens: Tokens, index: number): Tokens => {
        const entered = entering(b, tokens, index);
        ({ bias } = entered);
        return entered.tokens;
      },
    }),
    block: (tokens, index) =>
      withValue(tokens, kind.build(b, tokens, { ...facts, index, ...(bias && { bias }) })),
    note: kind.note,
  });
}

/** What a block has whose attention and MLP stand one behind the other. */
const sequential = 'norm1.weight';

/**
 * Maps of a transformer that keeps one grid, a stage for each block, and its last tokens behind the
 * norm `norm`.
 */
export function normedMaps(
  b: GraphBuilder,
  blocks: readonly Tokens[],
  eps: number,
  { imageSize, visible }: BuildOptions,
): TokenMaps {
  const tokens = last(blocks);
  return {
    // Tokens that were chosen lie on no grid.
    stages: visible ? [] : blocks.map((each) => tokenStage(each, imageSize)),
    tokens: withValue(tokens, maybeNorm(b, tokens.value, 'norm', eps)),
  };
}

/** Writes the transformer up to its last block, without the last norm. */
export function encode(b: GraphBuilder, config: PlainConfig, options: BuildOptions): readonly Tokens[] {
  const all = embed(b, config, options);
  return throughBlocks(b, options.visible?.(b, all) ?? all, config, options.entering);
}

/**
 * Writes the whole transformer with its last norm over all tokens (Dosovitskiy et al. 2021, eq.
 * 1–4).
 */
export function buildPlain(b: GraphBuilder, config: PlainConfig, options: BuildOptions): TokenMaps {
  return normedMaps(b, encode(b, config, options), config.eps, options);
}

/** Hyper-parameters of a plain transformer that the user may set. */
export const plainAssumable = [
  'heads',
  'activation',
  'eps',
  'pool',
  'pool_prefix',
  'norm_order',
  'grid',
  'patch',
  'padding',
] as const;

/** Relabels a plain transformer as the image tower of a dual encoder. */
export function asImageTower(
  found: Found,
  label: string,
  pixels: DefaultsName,
  usual: UsualFacts = {},
): Recognised<PlainConfig> | undefined {
  const tower = recognisePlain(found, usual);
  const measures = measure(found.tensors);
  return (
    tower &&
    measures && {
      ...tower,
      label,
      title: `${titleOf(label, measures)} image tower`,
      task: found.tensors.has('classifier.weight') ? 'classify' : 'features',
      pixels,
    }
  );
}
