import { answer } from '../heads/classifier';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { norm, residual, withValue, type Tokens } from '../blocks/layers';
import { gridOfLayout, sequence } from '../blocks/maps';
import { learnedToken, pooledTokens, withClassToken } from '../blocks/specialTokens';
import { mergeHeads, mlp, selfAttention, selfProbe, splitHeads } from '../blocks/transformer';
import type { BuildOptions, EvidenceRecord, Family, Found, Recognised } from '../family';
import { numberOf, sideOrPair, stored, wordOf } from '../figures';
import { isotropicAssumable, isotropicFigures, poolOf } from '../groups/isotropicFigures';
import { embedPatches, patchConfigOf, positionsOf } from '../groups/positionTable';
import { sizeTitle } from '../sizes';
import { recognisedFrom, sourcesOf } from '../sources';
import { convitNames } from './names';

/** Sizes of d'Ascoli et al. 2021 (ConViT, table 1). */
const sizes = { '12 192': 'Ti', '12 432': 'S', '12 768': 'B' };

const isGated = (tensors: Found['tensors'], index: number): boolean =>
  tensors.has(`blocks.${index}.attn.gating_param`);

function recognise(evidences: Found): Recognised | undefined {
  const { tensors } = evidences;
  const sources = sourcesOf(evidences);
  const found = isotropicFigures(sources);
  const [heads] = tensors.get('blocks.0.attn.gating_param')?.shape ?? [];
  const [, channels, height, width] = tensors.get('patch_embed.proj.weight')?.shape ?? [];
  const positions = positionsOf(sources, [height ?? 1, width ?? 1]);
  if (!found || !heads || !width || !positions) return undefined;
  let local = 0;
  while (isGated(tensors, local)) local++;
  const figures: EvidenceRecord = {
    ...found,
    local_depth: stored(local, `blocks.${local - 1}.attn.gating_param is the last`),
    heads: stored(heads, 'blocks.0.attn.gating_param'),
    patch: stored(sideOrPair([height!, width]), 'patch_embed.proj.weight'),
    channels: stored(channels!, 'patch_embed.proj.weight'),
    pool: poolOf(sources, ['token', 'avg'], 'cls_token'),
    ...positions.figures,
  };
  return recognisedFrom(sources, {
    label: 'convit',
    title: sizeTitle('ConViT', sizes, [numberOf(found, 'depth')], [numberOf(found, 'dim')]),
    evidence: figures,
    imageSize: positions.imageSize,
    sizeStep: [height!, width],
    pixels: 'imagenet',
    warnings: positions.warnings,
  });
}

/** For every pair of places of the grid the columns and rows from the first to the second and the squared distance: `[n², 3]`. */
function relativePlaces([rows, columns]: Grid): Float32Array {
  const count = rows * columns;
  const places = new Float32Array(3 * count * count);
  for (let from = 0; from < count; from++)
    for (let to = 0; to < count; to++) {
      const right = (to % columns) - (from % columns);
      const down = Math.floor(to / columns) - Math.floor(from / columns);
      places.set([right, down, right ** 2 + down ** 2], 3 * (from * count + to));
    }
  return places;
}

/** Scores by relative place alone, the same for every picture: `[1, heads, n, n]`. */
function placeScores(b: GraphBuilder, grid: Grid): ValueInfo {
  const count = grid[0] * grid[1];
  const places = b.shared('relative places', () =>
    b.constant('/relative_places', 'F32', [count * count, 3], relativePlaces(grid)),
  );
  const scores = b.linear(places, 'pos_proj');
  return b.transpose(b.reshape(scores, [1, count, count, scores.shape[1]!]), [0, 3, 1, 2]);
}

/** (1 − σ(g)) · softmax(content) + σ(g) · softmax(place), rows divided by their sum: `[batch, heads, n, n]`. */
function gatedMap(b: GraphBuilder, content: ValueInfo, places: ValueInfo): ValueInfo {
  const softmax = (scores: ValueInfo): ValueInfo => b.add('Softmax', [scores], { axis: int(-1) });
  const gate = b.add('Sigmoid', [b.parameter('gating_param', [1, content.shape[1]!, 1, 1])]);
  const rest = b.add('Sub', [b.scalar(1), gate]);
  const map = b.add('Add', [b.add('Mul', [rest, softmax(content)]), b.add('Mul', [gate, softmax(places)])]);
  const sums = b.add('ReduceSum', [map, b.indices([-1])], { keepdims: int(1) });
  return b.add('Div', [map, sums]);
}

/** Gated positional self-attention (d'Ascoli et al. 2021, ConViT, eq. 7) over the patches `[batch · count, dim]`. */
function gatedAttention(b: GraphBuilder, tokens: Tokens, layer: string): ValueInfo {
  return b.scope(
    'attn',
    () => {
      const heads = b.shapeOf('gating_param')[0]!;
      const split = (x: ValueInfo): ValueInfo => splitHeads(b, x, tokens.batch, heads);
      const [q, k] = b.split(b.linear(tokens.value, 'qk'), 2, 1).map(split);
      const products = b.add('MatMul', [q!, b.transpose(k!, [0, 1, 3, 2])], {}, { name: '/scores' });
      const content = b.add('Mul', [products, b.scalar(1 / Math.sqrt(q!.shape[3]!))]);
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

interface BlockSettings {
  readonly heads: number;
  readonly eps: number;
  readonly activation: string;
}

/** x + attention(norm1(x)), then x + mlp(norm2(x)): gated where the block has a gate. */
function block(b: GraphBuilder, tokens: Tokens, settings: BlockSettings): Tokens {
  const layer = b.scopePath;
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', settings.eps));
  const attended = b.has('attn.gating_param')
    ? gatedAttention(b, normed, layer)
    : selfAttention(b, normed, 'attn', layer, settings);
  const x = residual(b, tokens.value, attended);
  return withValue(tokens, residual(b, x, mlp(b, norm(b, x, 'norm2', settings.eps), 'mlp', settings)));
}

/** Gated blocks of patches, then plain ones, which the class token joins. */
function build(b: GraphBuilder, { evidence: figures }: Recognised, options: BuildOptions): void {
  const settings: BlockSettings = {
    heads: numberOf(figures, 'heads'),
    eps: numberOf(figures, 'eps'),
    activation: wordOf(figures, 'activation'),
  };
  let tokens = embedPatches(b, patchConfigOf(figures), options);
  for (let index = 0; index < numberOf(figures, 'depth'); index++) {
    if (index === numberOf(figures, 'local_depth'))
      tokens = withClassToken(b, learnedToken(b, 'cls_token', options.batch), tokens);
    tokens = b.scope(`blocks.${index}`, () => block(b, tokens, settings), { title: 'Transformer block' });
  }
  const last = withValue(tokens, norm(b, tokens.value, 'norm', settings.eps));
  const all = sequence(b, last);
  answer(b, pooledTokens(b, last, wordOf(figures, 'pool')), all);
}

/** ConViT (d'Ascoli et al. 2021, "Improving Vision Transformers with Soft Convolutional Inductive Biases"). */
export const convit: Family<Recognised, void> = {
  name: 'convit',
  title: 'ConViT',
  names: convitNames,
  assumable: [...isotropicAssumable, 'grid'],
  recognise,
  build,
};
