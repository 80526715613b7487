import { answer } from '../heads/classifier';
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
import { mlp, selfAttention } from '../blocks/transformer';
import type { BuildOptions, EvidenceRecord, Family, Found, Recognised } from '../family';
import { assumed, numberOf, sideOrPair, stored, wordOf } from '../figures';
import { isotropicAssumable, isotropicFigures, poolOf, wordFigure } from '../groups/isotropicFigures';
import { patchConfigOf, embedPatches } from '../groups/positionTable';
import { windowOfTable } from '../groups/shiftedWindows';
import { vitSize } from '../names';
import { imageSizeOf, recognisedFrom, sourcesOf, type Sources } from '../sources';
import { vitRelposNames } from './names';

/** Where the relative positions of a model lie: in every block, or once for all. */
const places = ['blocks.0.attn.rel_pos', 'shared_rel_pos'] as const;
const table = 'relative_position_bias_table';

/** What has one number per head: the second layer of the network, or the table's columns. */
function headsOf({ tensors }: Found): EvidenceRecord {
  const counts = places.flatMap((place) => [
    [`${place}.mlp.fc2.weight`, tensors.get(`${place}.mlp.fc2.weight`)?.shape[0]] as const,
    [`${place}.${table}`, tensors.get(`${place}.${table}`)?.shape[1]] as const,
  ]);
  const found = counts.find(([, heads]) => heads !== undefined);
  return found ? { heads: stored(found[1]!, found[0]) } : {};
}

/** Where the norms stand and how the tokens become one vector. */
function order(sources: Sources): EvidenceRecord {
  const { tensors } = sources.found;
  const scaled = tensors.has('blocks.0.ls1.gamma');
  const averaged = !tensors.has('cls_token') || tensors.has('fc_norm.weight');
  return {
    norm_order: wordFigure(sources, 'norm_order', {
      config: [],
      words: ['pre', 'post'],
      otherwise: scaled
        ? stored('pre', 'blocks.0.ls1.gamma')
        : assumed('post', 'as in the published models without LayerScale'),
    }),
    pool: poolOf(
      sources,
      [averaged ? 'avg' : 'token', ...(tensors.has('cls_token') ? [averaged ? 'token' : 'avg'] : [])],
      tensors.has('fc_norm.weight') ? 'fc_norm.weight' : averaged ? 'no class token' : 'cls_token',
    ),
  };
}

function recognise(evidences: Found): Recognised | undefined {
  const sources = sourcesOf(evidences);
  const found = isotropicFigures(sources);
  const heads = headsOf(evidences);
  const [, channels, height, width] = evidences.tensors.get('patch_embed.proj.weight')?.shape ?? [];
  if (!found || !heads['heads'] || !width) return undefined;
  const { imageSize, figure } = imageSizeOf(sources);
  const figures: EvidenceRecord = {
    ...found,
    ...heads,
    ...order(sources),
    patch: stored(sideOrPair([height!, width]), 'patch_embed.proj.weight'),
    channels: stored(channels!, 'patch_embed.proj.weight'),
    image_size: figure,
  };
  return recognisedFrom(sources, {
    label: 'vit-relpos',
    title: `${vitSize(numberOf(found, 'depth'), numberOf(found, 'dim'), height!)}, relative positions`,
    evidence: figures,
    imageSize,
    sizeStep: [height!, width],
    pixels: 'half',
  });
}

/** Zeros for what the class token attends to and what attends to it: the network knows distances of patches alone. */
function withoutClass(b: GraphBuilder, bias: ValueInfo, classToken: boolean): ValueInfo {
  return classToken ? b.add('Pad', [bias, b.indices([0, 1, 1, 0, 0, 0])]) : bias;
}

/**
 * Relative position bias `[heads, tokens, tokens]` under the current scope: of a stored table, or of a small network that reads distances.
 * A network whose second layer has no bias is Swin v2's, with scaled distances and a bound; any other is timm's own.
 */
function relativeBias(b: GraphBuilder, grid: Grid, classToken: boolean): ValueInfo {
  if (b.has(table)) {
    const rows = b.shapeOf(table)[0]! - (classToken ? 3 : 0);
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

interface Block {
  readonly layer: string;
  readonly heads: number;
  readonly eps: number;
  readonly activation: string;
  readonly bias: ValueInfo;
}

/** x + scale(branch(norm(x))), the usual order. */
function preNorm(b: GraphBuilder, tokens: Tokens, { layer, ...figures }: Block): Tokens {
  const { eps } = figures;
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', eps));
  const mixed = residual(
    b,
    tokens.value,
    layerScale(b, selfAttention(b, normed, 'attn', layer, figures), 'ls1'),
  );
  const hidden = layerScale(b, mlp(b, norm(b, mixed, 'norm2', eps), 'mlp', figures), 'ls2');
  return withValue(tokens, residual(b, mixed, hidden));
}

/** x + norm(branch(x)), as in Swin v2 (Liu et al. 2022, §3.2). */
function postNorm(b: GraphBuilder, tokens: Tokens, { layer, ...figures }: Block): Tokens {
  const { eps } = figures;
  const attended = norm(b, selfAttention(b, tokens, 'attn', layer, figures), 'norm1', eps);
  const mixed = residual(b, tokens.value, attended);
  return withValue(tokens, residual(b, mixed, norm(b, mlp(b, mixed, 'mlp', figures), 'norm2', eps)));
}

/** One bias for all blocks, where it is not each block's own. */
function sharedBias(b: GraphBuilder, write: (scope: string) => ValueInfo): ValueInfo | undefined {
  const [, scope] = places;
  return b.has(`${scope}.mlp.fc1.weight`) || b.has(`${scope}.${table}`) ? write(scope) : undefined;
}

function build(b: GraphBuilder, { evidence: figures }: Recognised, options: BuildOptions): void {
  const patches = embedPatches(b, patchConfigOf(figures), options);
  const classToken = b.has('cls_token');
  const eps = numberOf(figures, 'eps');
  const settings = { eps, heads: numberOf(figures, 'heads'), activation: wordOf(figures, 'activation') };
  const block = wordOf(figures, 'norm_order') === 'pre' ? preNorm : postNorm;
  const biasIn = (scope: string): ValueInfo =>
    b.scope(scope, () => relativeBias(b, gridOfLayout(patches.layout), classToken), {
      title: 'Relative position bias',
    });
  const shared = sharedBias(b, biasIn);
  let tokens = classToken ? withClassToken(b, learnedToken(b, 'cls_token', options.batch), patches) : patches;
  for (let index = 0; index < numberOf(figures, 'depth'); index++) {
    const layer = `blocks.${index}`;
    const write = (): Tokens =>
      block(b, tokens, { ...settings, layer, bias: shared ?? biasIn('attn.rel_pos') });
    tokens = b.scope(layer, write, { title: 'Transformer block' });
  }
  const last = withValue(tokens, maybeNorm(b, tokens.value, 'norm', eps));
  const all = sequence(b, last);
  answer(b, maybeNorm(b, pooledTokens(b, last, wordOf(figures, 'pool')), 'fc_norm', eps), all);
}

/** Vision Transformers with relative positions instead of a position table (Wightman, timm, after Swin and Swin v2). */
export const vitRelpos: Family<Recognised, void> = {
  name: 'vit-relpos',
  title: 'Vision Transformer with relative positions',
  names: vitRelposNames,
  assumable: [...isotropicAssumable, 'norm_order'],
  recognise,
  build,
};
