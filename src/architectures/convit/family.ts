import { tokensAnswer, type Pool } from '../heads/tokens';
import { at, last } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { norm, residual, withValue, type Tokens } from '../blocks/layers';
import { gridOfLayout } from '../blocks/maps';
import { parameterSide, splitInTwo } from '../blocks/parts';
import { learnedToken, withClassToken } from '../blocks/specialTokens';
import { eachBlock, tokenStage, type TokenMaps } from '../blocks/stages';
import { mergeHeads, mlp, selfAttention, selfProbe, splitHeads } from '../blocks/transformer';
import type { BuildOptions, Family, Found, Recognised } from '../family';
import { stored } from '../evidence';
import { isotropicAssumable, type BlockConfig } from '../groups/isotropicConfig';
import { recogniseIsotropic } from '../groups/isotropicPatches';
import { embedPatches, type PatchConfig } from '../groups/positionTable';
import { convitNames } from './names';
import { room } from '../../graph/limits';

/** Sizes of d'Ascoli et al. 2021 (ConViT, table 1). */
const sizes = { '12 192': 'Ti', '12 432': 'S', '12 768': 'B' };

const isGated = (tensors: Found['tensors'], index: number): boolean =>
  tensors.has(`blocks.${index}.attn.gating_param`);

interface ConVitConfig extends PatchConfig, BlockConfig {
  readonly depth: number;
  /** Gated blocks of patches alone; the class token joins behind them. */
  readonly local_depth: number;
  readonly pool: Pool;
}

function recognise(found: Found): Recognised<ConVitConfig> | undefined {
  return recogniseIsotropic(found, {
    label: 'convit',
    title: ['ConViT', sizes],
    own: (tensors) => {
      const [heads] = tensors.get('blocks.0.attn.gating_param')?.shape ?? [];
      if (!heads) return undefined;
      let local = 0;
      while (isGated(tensors, local)) local++;
      return {
        local_depth: stored(local, `blocks.${local - 1}.attn.gating_param is the last`),
        heads: stored(heads, 'blocks.0.attn.gating_param'),
      };
    },
  });
}

/**
 * For every pair of places of the grid the columns and rows from the first to the second and the
 * squared distance: `[n², 3]`.
 */
function relativePlaces([rows, columns]: Grid): Float32Array {
  const count = rows * columns;
  const places = new Float32Array(room(3 * count * count));
  for (let from = 0; from < count; from++)
    for (let to = 0; to < count; to++) {
      const right = (to % columns) - (from % columns);
      const down = Math.floor(to / columns) - Math.floor(from / columns);
      places.set([right, down, right ** 2 + down ** 2], 3 * (from * count + to));
    }
  return places;
}

/** Scores by relative place alone, the same for every image: `[1, heads, n, n]`. */
function placeScores(b: GraphBuilder, grid: Grid): ValueInfo {
  const count = grid[0] * grid[1];
  const places = b.shared('relative places', () =>
    b.constant('/relative_places', 'F32', [count * count, 3], relativePlaces(grid)),
  );
  const scores = b.linear(places, 'pos_proj');
  return b.transpose(b.reshape(scores, [1, count, count, at(scores.shape, 1)]), [0, 3, 1, 2]);
}

/**
 * (1 − σ(g)) · softmax(content) + σ(g) · softmax(place), rows divided by their sum:
 * `[batch, heads, n, n]`.
 */
function gatedMap(b: GraphBuilder, content: ValueInfo, places: ValueInfo): ValueInfo {
  const softmax = (scores: ValueInfo): ValueInfo => b.add('Softmax', [scores], { axis: int(-1) });
  const gate = b.add('Sigmoid', [b.parameter('gating_param', [1, at(content.shape, 1), 1, 1])]);
  const rest = b.add('Sub', [b.scalar(1), gate]);
  const map = b.add('Add', [b.add('Mul', [rest, softmax(content)]), b.add('Mul', [gate, softmax(places)])]);
  const sums = b.add('ReduceSum', [map, b.indices([-1])], { keepdims: int(1) });
  return b.add('Div', [map, sums]);
}

/**
 * Gated positional self-attention (d'Ascoli et al. 2021, ConViT, eq. 7) over the patches
 * `[batch · count, dim]`.
 */
function gatedAttention(b: GraphBuilder, tokens: Tokens, layer: string): ValueInfo {
  return b.scope(
    'attn',
    () => {
      const heads = parameterSide(b, 'gating_param', 0);
      const split = (x: ValueInfo): ValueInfo => splitHeads(b, x, tokens.batch, heads);
      const [query, key] = splitInTwo(b, b.linear(tokens.value, 'qk'), 1);
      const [q, k] = [split(query), split(key)];
      const products = b.add('MatMul', [q, b.transpose(k, [0, 1, 3, 2])], {}, { name: '/scores' });
      const content = b.add('Mul', [products, b.scalar(1 / Math.sqrt(at(q.shape, 3)))]);
      const map = gatedMap(b, content, placeScores(b, gridOfLayout(tokens.layout)));
      b.probe(map, selfProbe(tokens, layer));
      const value = split(b.linear(tokens.value, 'v'));
      return b.linear(mergeHeads(b, b.add('MatMul', [map, value], {}, { name: '/mix' })), 'proj');
    },
    {
      title: 'Gated positional self-attention',
      formula: '(1 − σ(g))·softmax(QKᵀ/√d) + σ(g)·softmax(vᵀr)',
    },
  );
}

/** x + attention(norm1(x)), then x + mlp(norm2(x)): gated if the block has a gate. */
function block(b: GraphBuilder, tokens: Tokens, config: BlockConfig): Tokens {
  const layer = b.scopePath;
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', config.eps));
  const attended = b.has('attn.gating_param')
    ? gatedAttention(b, normed, layer)
    : selfAttention(b, normed, 'attn', layer, config);
  const x = residual(b, tokens.value, attended);
  return withValue(tokens, residual(b, x, mlp(b, norm(b, x, 'norm2', config.eps), 'mlp', config)));
}

/** Gated blocks of patches, then plain ones, which the class token joins (ConViT, §3). */
function build(b: GraphBuilder, config: ConVitConfig, options: BuildOptions): TokenMaps {
  const joined = (patches: Tokens): Tokens =>
    withClassToken(b, learnedToken(b, 'cls_token', options.batch), patches);
  const maps = eachBlock(b, embedPatches(b, config, options), {
    depth: config.depth,
    enter: (tokens, index) => (index === config.local_depth ? joined(tokens) : tokens),
    block: (tokens) => block(b, tokens, config),
    note: { title: 'Transformer block' },
  });
  const end = last(maps);
  const tokens = withValue(end, norm(b, end.value, 'norm', config.eps));
  return { stages: maps.map((map) => tokenStage(map, options.imageSize)), tokens };
}

/**
 * ConViT (d'Ascoli et al. 2021, "Improving Vision Transformers with Soft Convolutional Inductive
 * Biases").
 */
export const convit: Family<ConVitConfig, TokenMaps> = {
  name: 'convit',
  title: 'ConViT',
  names: convitNames,
  assumable: [...isotropicAssumable, 'grid'],
  recognise,
  build,
  head: tokensAnswer,
};
