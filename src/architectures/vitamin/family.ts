import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { averagePool, convolution } from '../blocks/convolution';
import { activate, maybeNorm, norm, residual, withValue, type Tokens } from '../blocks/layers';
import { mapNorm, mapToTokens, meanOfTokens, sequence } from '../blocks/maps';
import { selfAttention } from '../blocks/transformer';
import type { BuildOptions, EvidenceRecord, Family, Found, Recognised } from '../family';
import { numberOf, numbersOf, stored, wordOf } from '../figures';
import { activationOf, epsOf } from '../groups/isotropicFigures';
import { patchConfigOf, placed, positionsOf, type PositionTable } from '../groups/positionTable';
import { sizeTitle, type Sizes } from '../sizes';
import {
  classesOf,
  countOf,
  headsOf,
  imageSizeOf,
  recognisedFrom,
  sourcesOf,
  type Sources,
} from '../sources';
import { vitaminNames } from './names';

const stem = 'patch_embed.backbone';

/** Halvings of the picture before the transformer: stem, two convolutional stages, the last convolution. */
const step = 16;

/** Sizes of Chen et al. 2024 (ViTamin, table 1), by their transformer. */
const sizes: Sizes = { '14 384': 'S', '14 768': 'B', '31 1024': 'L', '32 1152': 'XL' };

/** The largest models have no positions but those that convolutions bring. */
function withoutTable(sources: Sources): PositionTable {
  const { imageSize, figure } = imageSizeOf(sources);
  return { imageSize, figures: { image_size: figure }, warnings: [] };
}

function recogniseVitamin(evidences: Found): Recognised | undefined {
  const { tensors } = evidences;
  const sources = sourcesOf(evidences);
  const dim = tensors.get('blocks.0.norm1.weight')?.shape[0];
  if (!dim) return undefined;
  const depth = countOf(tensors, 'blocks');
  const positions = positionsOf(sources, [step, step]) ?? withoutTable(sources);
  const stages = Array.from({ length: countOf(tensors, `${stem}.stages`) }, (_, stage) => stage);
  return recognisedFrom(sources, {
    label: 'vitamin',
    title: sizeTitle('ViTamin', sizes, [depth], [dim]),
    evidence: {
      depth: stored(depth, 'blocks.0 …'),
      convolutional_depth: stored(
        stages.map((stage) => countOf(tensors, `${stem}.stages.${stage}`)),
        `${stem}.stages`,
      ),
      dim: stored(dim, 'blocks.0.norm1.weight'),
      heads: headsOf(sources, [dim], { config: [], perHead: 64 }),
      patch: stored(step, `${stem}: four convolutions of stride 2`),
      activation: activationOf(sources),
      eps: epsOf(sources),
      pool: stored('avg', tensors.has('fc_norm.weight') ? 'fc_norm.weight' : 'as timm has it'),
      channels: stored(tensors.get(`${stem}.stem.conv1.weight`)?.shape[1] ?? 3, `${stem}.stem.conv1.weight`),
      classes: classesOf(tensors, 'head'),
      ...positions.figures,
    },
    imageSize: positions.imageSize,
    sizeStep: [step, step],
    pixels: 'clip',
    warnings: positions.warnings,
  });
}

/** Inverted bottleneck behind a norm over channels (Sandler et al. 2018; Chen et al. 2024, §3.4), the first of a stage at half the size. */
function convolutionalBlock(
  b: GraphBuilder,
  map: ValueInfo,
  stride: number,
  figures: EvidenceRecord,
): ValueInfo {
  const activation = wordOf(figures, 'activation');
  const normed = mapNorm(b, map, 'pre_norm', numberOf(figures, 'eps'));
  const wide = activate(b, convolution(b, normed, 'conv1_1x1'), activation);
  const mixed = activate(b, convolution(b, wide, 'conv2_kxk', { stride }), activation);
  return residual(b, shortcut(b, map, stride), convolution(b, mixed, 'conv3_1x1'));
}

/** The map itself, pooled where the block halves it, widened where the block does. */
function shortcut(b: GraphBuilder, map: ValueInfo, stride: number): ValueInfo {
  if (stride === 1) return b.has('shortcut.weight') ? convolution(b, map, 'shortcut') : map;
  const pooled = averagePool(b, map, { kernel: 3, stride, padding: 1, countPadding: false });
  return b.has('shortcut.expand.weight') ? convolution(b, pooled, 'shortcut.expand') : pooled;
}

/** Pixels to the map of the first convolutions, `[batch, channels, rows, columns]`. */
function buildStem(b: GraphBuilder, pixels: ValueInfo, figures: EvidenceRecord): ValueInfo {
  return b.scope('stem', () => {
    const first = mapNorm(
      b,
      convolution(b, pixels, 'conv1', { stride: 2 }),
      'norm1',
      numberOf(figures, 'eps'),
    );
    return convolution(b, activate(b, first, wordOf(figures, 'activation')), 'conv2');
  });
}

/** The convolutional stages and the patches that the transformer sees. */
function embed(b: GraphBuilder, figures: EvidenceRecord, { imageSize, batch }: BuildOptions): Tokens {
  const pixels = b.input('pixel_values', [batch, numberOf(figures, 'channels'), ...imageSize]);
  const map = b.scope(
    stem,
    () => {
      let x = buildStem(b, pixels, figures);
      for (const [stage, depth] of numbersOf(figures, 'convolutional_depth').entries())
        for (let index = 0; index < depth; index++) {
          const from = x;
          x = b.scope(
            `stages.${stage}.${index}`,
            () => convolutionalBlock(b, from, index === 0 ? 2 : 1, figures),
            { title: 'Inverted bottleneck' },
          );
        }
      return b.scope('pool', () =>
        convolution(b, mapNorm(b, x, 'norm', numberOf(figures, 'eps')), 'proj', { stride: 2 }),
      );
    },
    { title: 'Convolutional stages' },
  );
  const patches = mapToTokens(b, map);
  return b.has('pos_embed') ? withValue(patches, placed(b, patches, patchConfigOf(figures))) : patches;
}

/** GEGLU (Shazeer 2020) with a norm of its own: w₂(act(w₀x) ⊙ w₁x). */
function gatedMlp(b: GraphBuilder, x: ValueInfo, figures: EvidenceRecord): ValueInfo {
  return b.scope(
    'mlp',
    () => {
      const normed = norm(b, x, 'norm', numberOf(figures, 'eps'));
      const gate = activate(b, b.linear(normed, 'w0'), wordOf(figures, 'activation'));
      return b.linear(b.add('Mul', [gate, b.linear(normed, 'w1')]), 'w2');
    },
    { title: 'Gated multi-layer perceptron', formula: 'W₂ · (act(W₀x) ⊙ W₁x)' },
  );
}

/** x + attn(norm1(x)), then x + mlp(norm2(x)). */
function block(b: GraphBuilder, tokens: Tokens, figures: EvidenceRecord): Tokens {
  const settings = { heads: numberOf(figures, 'heads'), eps: numberOf(figures, 'eps') };
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', settings.eps));
  const x = residual(b, tokens.value, selfAttention(b, normed, 'attn', b.scopePath, settings));
  return withValue(tokens, residual(b, x, gatedMlp(b, norm(b, x, 'norm2', settings.eps), figures)));
}

function build(b: GraphBuilder, { evidence: figures }: Recognised, options: BuildOptions): void {
  let tokens = embed(b, figures, options);
  for (let index = 0; index < numberOf(figures, 'depth'); index++)
    tokens = b.scope(`blocks.${index}`, () => block(b, tokens, figures), { title: 'Transformer block' });
  const eps = numberOf(figures, 'eps');
  const last = withValue(tokens, maybeNorm(b, tokens.value, 'norm', eps));
  const output = sequence(b, last);
  answer(b, maybeNorm(b, meanOfTokens(b, last), 'fc_norm', eps), output);
}

/** ViTamin (Chen et al. 2024): two stages of inverted bottlenecks, then a transformer with gated MLPs. */
export const vitamin: Family<Recognised, void> = {
  name: 'vitamin',
  title: 'ViTamin',
  names: vitaminNames,
  assumable: ['heads', 'activation', 'eps', 'grid'],
  recognise: recogniseVitamin,
  build,
};
