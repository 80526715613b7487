import { last } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { layerScale, maybeNorm, norm, residual, withValue, type Tokens } from '../blocks/layers';
import { gridOfLayout, sequence } from '../blocks/maps';
import {
  boundedBias,
  continuousTable,
  gatheredBias,
  logCoordinates,
  tableBias,
} from '../blocks/relativePosition';
import { learnedToken, pooledTokens, withClassToken } from '../blocks/specialTokens';
import { eachBlock, tokenStage, type TokenMaps } from '../blocks/stages';
import { mlp, selfAttention } from '../blocks/transformer';
import type { BuildOptions, Evidence, Family, Found, Recognised } from '../family';
import { assumed, configOf, sideOrPair, stored } from '../evidence';
import { isotropicAssumable, isotropicEvidence, poolOf, decideWord } from '../groups/isotropicConfig';
import { embedPatches, type PatchConfig } from '../groups/positionTable';
import { windowOfTable } from '../groups/shiftedWindows';
import { answer } from '../heads/classifier';
import { vitSize } from '../names';
import { imageSizeOf, recognisedFrom, sourcesOf, type Sources } from '../decide';
import { vitRelposNames } from './names';

/** Whether norms stand before attention and MLP, or after them. */
type NormOrder = 'pre' | 'post';

/** What a block reads beside its parameters. */
interface BlockConfig {
  readonly heads: number;
  readonly eps: number;
  readonly activation: string;
}

interface VitRelposConfig extends BlockConfig, PatchConfig {
  readonly depth: number;
  readonly normOrder: NormOrder;
  /** How the tokens become one vector: `token`, `avg`. */
  readonly pool: string;
}

/** Where the relative positions of a model lie: in every block, or once for all. */
const places = ['blocks.0.attn.rel_pos', 'shared_rel_pos'] as const;
const table = 'relative_position_bias_table';

/** What has one number per head: the second layer of the network, or the table's columns. */
function headsOf({ tensors }: Found): Evidence<number> | undefined {
  const counts = places.flatMap((place) => [
    [`${place}.mlp.fc2.weight`, 0] as const,
    [`${place}.${table}`, 1] as const,
  ]);
  for (const [name, axis] of counts) {
    const heads = tensors.get(name)?.shape[axis];
    if (heads !== undefined) return stored(heads, name);
  }
  return undefined;
}

/** Where the norms stand. */
const normOrder = (sources: Sources): Evidence<NormOrder> =>
  decideWord<NormOrder>(sources, 'norm_order', {
    config: [],
    words: ['pre', 'post'],
    otherwise: sources.found.tensors.has('blocks.0.ls1.gamma')
      ? stored<NormOrder>('pre', 'blocks.0.ls1.gamma')
      : assumed<NormOrder>('post', 'as in the published models without LayerScale'),
  });

/**
 * How the tokens become one vector: by the class token if there is one, unless a norm of their mean
 * is stored.
 */
function pool(sources: Sources): Evidence<string> {
  const { tensors } = sources.found;
  if (!tensors.has('cls_token'))
    return poolOf(sources, ['avg'], tensors.has('fc_norm.weight') ? 'fc_norm.weight' : 'no class token');
  return tensors.has('fc_norm.weight')
    ? poolOf(sources, ['avg', 'token'], 'fc_norm.weight')
    : poolOf(sources, ['token', 'avg'], 'cls_token');
}

function recognise(found: Found): Recognised<VitRelposConfig> | undefined {
  const sources = sourcesOf(found);
  const own = isotropicEvidence(sources);
  const heads = headsOf(found);
  const [, channels = 0, height = 0, width] = found.tensors.get('patch_embed.proj.weight')?.shape ?? [];
  if (!own || !heads || !width) return undefined;
  const { imageSize, evidence: sized } = imageSizeOf(sources);
  const settled = {
    ...own,
    heads,
    norm_order: normOrder(sources),
    pool: pool(sources),
    patch: stored(sideOrPair([height, width]), 'patch_embed.proj.weight'),
    channels: stored(channels, 'patch_embed.proj.weight'),
    image_size: sized,
  };
  return recognisedFrom(sources, {
    label: 'vit-relpos',
    title: `${vitSize(own.depth.value, own.dim.value, height)}, relative positions`,
    evidence: settled,
    config: { ...configOf(settled), normOrder: settled.norm_order.value },
    imageSize,
    sizeStep: [height, width],
    pixels: 'half',
  });
}

/**
 * Zeros for what the class token attends to and what attends to it: the network reads distances of
 * patches alone.
 */
function withoutClass(b: GraphBuilder, bias: ValueInfo, classToken: boolean): ValueInfo {
  return classToken ? b.add('Pad', [bias, b.indices([0, 1, 1, 0, 0, 0])]) : bias;
}

/**
 * Relative position bias `[heads, tokens, tokens]` under the current scope: of a stored table, or
 * of a small network that reads distances. A network whose second layer has no bias is Swin v2's,
 * with scaled distances and a bound; any other is timm's own.
 */
function relativeBias(b: GraphBuilder, grid: Grid, classToken: boolean): ValueInfo {
  if (b.has(table)) {
    const [all = 0] = b.shapeOf(table);
    const rows = all - (classToken ? 3 : 0);
    return tableBias(b, table, grid, { native: windowOfTable(table, rows, [grid]), classToken });
  }
  const own = b.has('mlp.fc2.bias');
  const scale = own ? 'cr' : 'swin';
  const coordinates = b.shared(`distances ${scale} ${grid.join('x')}`, () => {
    const values = logCoordinates(grid, scale);
    return b.constant('/distances', 'F32', [values.length / 2, 2], values);
  });
  const bias = gatheredBias(b, continuousTable(b, ['mlp.fc1', 'mlp.fc2'], coordinates), grid);
  return withoutClass(b, own ? bias : boundedBias(b, bias), classToken);
}

interface Block extends BlockConfig {
  readonly layer: string;
  readonly bias: ValueInfo;
}

/** x + scale(branch(norm(x))), the usual order. */
function preNorm(b: GraphBuilder, tokens: Tokens, { layer, ...settings }: Block): Tokens {
  const { eps } = settings;
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', eps));
  const mixed = residual(
    b,
    tokens.value,
    layerScale(b, selfAttention(b, normed, 'attn', layer, settings), 'ls1'),
  );
  const hidden = layerScale(b, mlp(b, norm(b, mixed, 'norm2', eps), 'mlp', settings), 'ls2');
  return withValue(tokens, residual(b, mixed, hidden));
}

/** x + norm(branch(x)), as in Swin v2 (Liu et al. 2022, §3.2). */
function postNorm(b: GraphBuilder, tokens: Tokens, { layer, ...settings }: Block): Tokens {
  const { eps } = settings;
  const attended = norm(b, selfAttention(b, tokens, 'attn', layer, settings), 'norm1', eps);
  const mixed = residual(b, tokens.value, attended);
  return withValue(tokens, residual(b, mixed, norm(b, mlp(b, mixed, 'mlp', settings), 'norm2', eps)));
}

/** One bias for all blocks, if it is not each block's own. */
function sharedBias(b: GraphBuilder, write: (scope: string) => ValueInfo): ValueInfo | undefined {
  const [, scope] = places;
  return b.has(`${scope}.mlp.fc1.weight`) || b.has(`${scope}.${table}`) ? write(scope) : undefined;
}

function build(b: GraphBuilder, config: VitRelposConfig, options: BuildOptions): TokenMaps {
  const { depth, heads, eps, activation } = config;
  const patches = embedPatches(b, config, options);
  const classToken = b.has('cls_token');
  const block = config.normOrder === 'pre' ? preNorm : postNorm;
  const biasIn = (scope: string): ValueInfo =>
    b.scope(scope, () => relativeBias(b, gridOfLayout(patches.layout), classToken), {
      title: 'Relative position bias',
    });
  const shared = sharedBias(b, biasIn);
  const first = classToken
    ? withClassToken(b, learnedToken(b, 'cls_token', options.batch), patches)
    : patches;
  const ends = eachBlock(b, first, {
    depth,
    block: (tokens, index) => {
      const bias = shared ?? biasIn('attn.rel_pos');
      return block(b, tokens, { heads, eps, activation, layer: `blocks.${index}`, bias });
    },
    note: { title: 'Transformer block' },
  });
  const end = last(ends);
  return {
    stages: ends.map((tokens) => tokenStage(tokens, options.imageSize)),
    tokens: withValue(end, maybeNorm(b, end.value, 'norm', eps)),
  };
}

/** Pools the tokens, norms the result and classifies it. */
function head(b: GraphBuilder, { tokens }: TokenMaps, config: VitRelposConfig): void {
  const all = sequence(b, tokens);
  answer(b, maybeNorm(b, pooledTokens(b, tokens, config.pool), 'fc_norm', config.eps), all);
}

/**
 * Vision Transformers with relative positions instead of a position table (Wightman, timm, after
 * Swin and Swin v2).
 */
export const vitRelpos: Family<VitRelposConfig, TokenMaps> = {
  name: 'vit-relpos',
  title: 'Vision Transformer with relative positions',
  names: vitRelposNames,
  assumable: [...isotropicAssumable, 'norm_order'],
  recognise,
  build,
  head,
};
