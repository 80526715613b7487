import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution, maxPool } from '../blocks/convolution';
import { norm, residual, withValue, type Tokens } from '../blocks/layers';
import { gridOf, mapNorm, mapToTokens, meanOfMap, tokensToMap } from '../blocks/maps';
import { mlp, queryKeyValue, splitHeads } from '../blocks/transformer';
import { windowPartition, windowProbe, windowReverse, windowsOf, type Windows } from '../blocks/windows';
import type { BuildOptions, EvidenceRecord, Family, Found, Recognised } from '../family';
import { assumed, numberOf, numbersOf, stored, wordOf } from '../figures';
import { sizeTitle, type Sizes } from '../sizes';
import { classesOf, countOf, decide, headsOf, recognisedFrom, sourcesOf } from '../sources';
import { nestNames } from './names';

/** Sizes of Zhang et al. 2022 (NesT, table A1). */
const sizes: Sizes = { '2,2,8 96': 'T', '2,2,20 96': 'S', '2,2,20 128': 'B' };

function recogniseNest(evidences: Found): Recognised | undefined {
  const { tensors } = evidences;
  const sources = sourcesOf(evidences);
  const levels = countOf(tensors, 'levels');
  const tables = Array.from(
    { length: levels },
    (_, level) => tensors.get(`levels.${level}.pos_embed`)?.shape ?? [],
  );
  const patch = tensors.get('patch_embed.proj.weight')?.shape;
  const [, blocks = 0, positions = 0] = tables[0]!;
  const side = Math.sqrt(blocks * positions);
  if (patch?.length !== 4 || !Number.isInteger(side) || tables.some((table) => table.length !== 4))
    return undefined;
  const depth = tables.map((_, level) => countOf(tensors, `levels.${level}.transformer_encoder`));
  const dim = tables.map((table) => table[3]!);
  const imageSize = [side * patch[2]!, side * patch[3]!] as const;
  return recognisedFrom(sources, {
    label: 'nest',
    title: sizeTitle('NesT', sizes, depth, dim),
    evidence: {
      depth: stored(depth, `levels.0.transformer_encoder … of ${levels} levels`),
      dim: stored(dim, 'levels.0.pos_embed …'),
      heads: headsOf(sources, dim, { config: [], perHead: 32 }),
      patch: stored(patch[2]!, 'patch_embed.proj.weight'),
      window: stored(
        Math.sqrt(positions),
        `levels.0.pos_embed: ${positions} positions in each of ${blocks} blocks`,
      ),
      padding: decide(sources, 'padding', {
        named: [
          [/_jx/, 'same'],
          [/^nest_/, 'symmetric'],
        ],
        otherwise: assumed('same', 'as in the weights published in JAX; the weights do not tell'),
        is: (value) => value === 'same' || value === 'symmetric',
        needed: 'same or symmetric',
      }),
      activation: stored('gelu', 'as in every published NesT'),
      eps: stored(1e-6, 'as timm has it'),
      pool: stored('avg', 'the mean over the last map'),
      classes: classesOf(tensors, 'head'),
      image_size: stored(imageSize, 'levels.0.pos_embed'),
    },
    choices: { padding: ['same', 'symmetric'] },
    imageSize,
    // Every block of the picture has positions of its own, and timm does not resample them.
    sizeStep: [0, 0],
    pixels: 'imagenet',
  });
}

/** Self-attention inside the blocks. The heads of a channel lie side by side when they are merged, not the channels of a head as elsewhere. */
function blockAttention(b: GraphBuilder, tokens: Tokens, windows: Windows, heads: number): ValueInfo {
  const layer = b.scopePath;
  return b.scope(
    'attn',
    () => {
      const [q, k, v] = queryKeyValue(b, tokens.value).map((x) => splitHeads(b, x, tokens.batch, heads));
      const mixed = b.attention(q!, k!, v!, { probe: windowProbe(windows, layer) });
      return b.linear(b.reshape(b.transpose(mixed, [0, 2, 3, 1]), tokens.value.shape), 'proj');
    },
    { title: `Attention inside blocks, ${heads} heads`, formula: 'softmax(QKᵀ/√d)·V' },
  );
}

/** x + attn(norm1(x)), then x + mlp(norm2(x)), within each block of the picture. */
function layer(b: GraphBuilder, tokens: Tokens, windows: Windows, heads: number, eps: number): ValueInfo {
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', eps));
  const attended = blockAttention(b, normed, windows, heads);
  const x = residual(b, tokens.value, attended);
  return residual(b, x, mlp(b, norm(b, x, 'norm2', eps), 'mlp', { activation: 'gelu', eps }));
}

/** Block aggregation (Zhang et al. 2022, §3.2): convolution, norm and max pooling over the whole map let neighbouring blocks talk. */
function aggregate(b: GraphBuilder, map: ValueInfo, figures: EvidenceRecord): ValueInfo {
  const padding = wordOf(figures, 'padding') === 'same' ? 'same' : 1;
  return b.scope(
    'pool',
    () => {
      const mixed = mapNorm(b, convolution(b, map, 'conv', { padding }), 'norm', numberOf(figures, 'eps'));
      return maxPool(b, mixed, { kernel: 3, stride: 2, padding });
    },
    { title: 'Block aggregation', formula: 'max pool(LN(conv(x)))' },
  );
}

/** One level: transformer layers inside blocks of the map, each with positions of its own. */
function buildLevel(b: GraphBuilder, input: ValueInfo, level: number, figures: EvidenceRecord): ValueInfo {
  const map = level === 0 ? input : aggregate(b, input, figures);
  const windows = windowsOf(gridOf(map), numberOf(figures, 'window'));
  let tokens = windowPartition(b, mapToTokens(b, map), windows);
  const [, blocks, positions, dim] = b.shapeOf('pos_embed') as readonly [number, number, number, number];
  const apart = b.reshape(tokens.value, [map.shape[0]!, blocks, positions, dim]);
  tokens = withValue(tokens, b.reshape(b.add('Add', [apart, b.parameter('pos_embed')]), tokens.value.shape));
  const heads = numbersOf(figures, 'heads')[level]!;
  for (let index = 0; index < numbersOf(figures, 'depth')[level]!; index++) {
    const from = tokens;
    const value = b.scope(
      `transformer_encoder.${index}`,
      () => layer(b, from, windows, heads, numberOf(figures, 'eps')),
      { title: 'Transformer layer' },
    );
    tokens = withValue(tokens, value);
  }
  return tokensToMap(b, windowReverse(b, tokens, windows));
}

function build(b: GraphBuilder, { evidence: figures }: Recognised, { imageSize, batch }: BuildOptions): void {
  const pixels = b.input('pixel_values', [batch, b.shapeOf('patch_embed.proj.weight')[1]!, ...imageSize]);
  let map = b.scope('patch_embed', () => b.conv2d(pixels, 'proj', { stride: numberOf(figures, 'patch') }), {
    title: 'Patch embedding',
  });
  numbersOf(figures, 'depth').forEach((_, level) => {
    const from = map;
    map = b.scope(`levels.${level}`, () => buildLevel(b, from, level, figures), {
      title: `Level ${level + 1}`,
    });
  });
  const last = mapNorm(b, map, 'norm', numberOf(figures, 'eps'));
  answer(b, meanOfMap(b, last), last);
}

/** Nested Transformer (Zhang et al. 2022, "Nested Hierarchical Transformer"): attention inside blocks that merge from level to level. */
export const nest: Family<Recognised, void> = {
  name: 'nest',
  title: 'NesT',
  names: nestNames,
  assumable: ['heads', 'padding'],
  recognise: recogniseNest,
  build,
};
