import { images } from '../blocks/images';
import { last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { batchNorm, convNorm, convolution, squeezeExcite } from '../blocks/convolution';
import { residual } from '../blocks/layers';
import { meanOfMap } from '../blocks/maps';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import type { BuildOptions, Family, Found } from '../family';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import { distilledAnswer } from '../heads/classifier';
import type { Sizes } from '../sizes';
import { repVitNames } from './names';

const eps = 1e-5;
const activation = 'gelu';

/** Sizes of the first edition, and of Wang et al. 2024 (table 8). */
const firstSizes: Sizes = { '2,2,14,2 48': 'M1', '2,2,12,2 64': 'M2', '4,4,18,2 64': 'M3' };
const sizes: Sizes = {
  '2,2,14,2 48': 'M0.9',
  '2,2,14,2 56': 'M1.0',
  '2,2,12,2 64': 'M1.1',
  '4,4,24,4 64': 'M1.5',
  '6,6,34,2 80': 'M2.3',
};

/** What the first edition alone has. */
const firstEdition = 'stages.0.blocks.0.token_mixer.conv1.c.weight';

function recognise(found: Found) {
  const measured = measureStages(found, 'stages.*.blocks.*', 'channel_mixer.conv2.c.weight');
  if (!measured) return undefined;
  return stagedConfig(measured, {
    label: 'repvit',
    title: ['RepViT', found.tensors.has(firstEdition) ? firstSizes : sizes],
    head: 'head.linear',
    stride: 32,
    shapes: { mlp_ratio: measured.ratio('channel_mixer.conv1.c.weight') },
  });
}

type RepVitConfig = SettledBy<typeof recognise>;

/** A convolution and its norm, which these networks call `c` and `bn`. */
const unit = (b: GraphBuilder, x: ValueInfo, name: string, stride = 1, act?: string): ValueInfo =>
  convNorm(b, x, `${name}.c`, `${name}.bn`, { eps, stride, activation: act });

/**
 * norm(conv(x) + w ⊙ x + x): depthwise convolutions that fold into one (Wang et al. 2024, §3.2).
 * The first edition normalises the smaller one instead of the sum.
 */
function tokenMixer(b: GraphBuilder, x: ValueInfo): ValueInfo {
  const hasOwn = b.has('conv1.c.weight');
  const small = hasOwn ? unit(b, x, 'conv1') : convolution(b, x, 'conv1');
  const mixed = residual(b, residual(b, unit(b, x, 'conv'), small), x);
  return hasOwn ? mixed : batchNorm(b, mixed, 'bn', eps);
}

/** x + W₂ · gelu(W₁x), each layer with its norm. */
const fed = (b: GraphBuilder, x: ValueInfo, name: string): ValueInfo =>
  residual(
    b,
    x,
    b.scope(name, () => unit(b, unit(b, x, 'conv1', 1, activation), 'conv2')),
  );

function block(b: GraphBuilder, x: ValueInfo): ValueInfo {
  const mixed = b.scope('token_mixer', () => tokenMixer(b, x), { title: 'RepVGG depthwise' });
  const names = { reduce: 'fc1', expand: 'fc2', activation: 'relu', gate: 'sigmoid' };
  return fed(b, b.has('se.fc1.weight') ? squeezeExcite(b, mixed, 'se', names) : mixed, 'channel_mixer');
}

/** A block, a strided depthwise convolution, one of 1 × 1, and an MLP (§3.3). */
function downsampled(b: GraphBuilder, x: ValueInfo): ValueInfo {
  const before = b.scope('pre_block', () => block(b, x));
  return fed(b, unit(b, unit(b, before, 'spatial_downsample', 2), 'channel_downsample'), 'ffn');
}

function build(b: GraphBuilder, { depth }: RepVitConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'stem.conv1.c');
  const stem = unit(b, unit(b, pixels, 'stem.conv1', 2, activation), 'stem.conv2', 2);
  const maps = stages(b, stem, {
    depths: depth,
    path: ({ stage, index }) => `stages.${stage}.blocks.${index}`,
    enter: (x, stage) => {
      const path = `stages.${stage}.downsample`;
      if (!b.has(`${path}.channel_downsample.c.weight`)) return x;
      return b.scope(path, () => downsampled(b, x), { title: 'Downsampling' });
    },
    block: (x) => block(b, x),
    note: { title: 'RepViT block', formula: 'y + MLP(y), y = gate(norm(conv(x) + w ⊙ x + x))' },
  });
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/** RepViT (Wang et al. 2024, Revisiting Mobile CNN From ViT Perspective). */
export const repVit: Family<RepVitConfig, ImageMaps> = {
  name: 'repvit',
  row: 'cnn',
  title: 'RepViT',
  names: repVitNames,
  assumable: [],
  recognise,
  build,
  head: (b, { map }) => distilledAnswer(b, meanOfMap(b, map), map, eps),
};
