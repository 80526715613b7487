import { images } from '../blocks/images';
import { at, last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { batchNorm, convNorm, convolution } from '../blocks/convolution';
import { activate, maybeNorm, residual } from '../blocks/layers';
import { meanOfMap } from '../blocks/maps';
import { mapMlp } from '../blocks/pointwise';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import type { BuildOptions, Family, Found } from '../family';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import { answer } from '../heads/classifier';
import type { Sizes } from '../sizes';
import { inceptionNextNames } from './names';

/** Epsilon of the batch norms, and of the layer norm in the head. */
const eps = 1e-5;
const headEps = 1e-6;

/** Sizes of Yu et al. 2024 (table 2), and Atto, which their repository added. */
const sizes: Sizes = {
  '2,2,6,2 40': 'A',
  '3,3,9,3 96': 'T',
  '3,3,27,3 96': 'S',
  '3,3,27,3 128': 'B',
};

function recognise(found: Found) {
  const measured = measureStages(found, 'stages.*.blocks.*', 'norm.weight');
  if (!measured) return undefined;
  return stagedConfig(measured, {
    label: 'inceptionnext',
    title: ['InceptionNeXt', sizes],
    head: 'head.fc2',
    stride: 32,
    shapes: {
      mlp_ratio: measured.ratio('mlp.fc1.weight'),
      branch_dim: measured.each('token_mixer.dwconv_hw.weight', 0),
      band_kernel: measured.each('token_mixer.dwconv_w.weight', 3),
    },
  });
}

type InceptionNextConfig = SettledBy<typeof recognise>;

/**
 * A square, a row and a column of a depthwise kernel, each over its own share of the channels; the
 * others pass as they are (Yu et al. 2024, §3.2).
 */
function inceptionMixer(b: GraphBuilder, x: ValueInfo): ValueInfo {
  const share = at(b.shapeOf('dwconv_hw.weight'), 0);
  const kept = at(x.shape, 1) - 3 * share;
  const parts = b.split(x, [kept, share, share, share], 1);
  const kernels = ['dwconv_hw', 'dwconv_w', 'dwconv_h'];
  const mixed = kernels.map((name, index) => convolution(b, at(parts, index + 1), name));
  return b.concat([at(parts, 0), ...mixed], 1);
}

/** A MetaNeXt block (Yu et al. 2024, §3.1): mixer, norm and MLP in one branch. */
function block(b: GraphBuilder, x: ValueInfo): ValueInfo {
  const mixed = b.scope('token_mixer', () => inceptionMixer(b, x), { title: 'Inception depthwise' });
  const branch = mapMlp(b, batchNorm(b, mixed, 'norm', eps), 'mlp', 'gelu');
  return residual(
    b,
    x,
    b.has('gamma') ? b.add('Mul', [branch, b.parameter('gamma', [at(x.shape, 1), 1, 1])]) : branch,
  );
}

/** A norm and a convolution of 2 × 2 without overlap, where stored: the first stage has none. */
function downsampled(b: GraphBuilder, x: ValueInfo): ValueInfo {
  if (!b.has('downsample.1.weight')) return x;
  return b.scope('downsample', () =>
    convolution(b, batchNorm(b, x, '0', eps), '1', { stride: 2, padding: 0 }),
  );
}

function build(b: GraphBuilder, { depth }: InceptionNextConfig, options: BuildOptions): ImageMaps {
  const { imageSize, batch } = options;
  const pixels = images(b, [batch, ...imageSize], 'stem.0');
  const stem = convNorm(b, pixels, 'stem.0', 'stem.1', { eps, stride: 4, padding: 0 });
  const maps = stages(b, stem, {
    depths: depth,
    path: ({ stage, index }) => `stages.${stage}.blocks.${index}`,
    enter: (x, stage) => b.scope(`stages.${stage}`, () => downsampled(b, x)),
    block: (x) => block(b, x),
    note: { title: 'MetaNeXt block', formula: 'x + γ · MLP(norm(mixer(x)))' },
  });
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/** A hidden layer before the classifier, whose norm comes after the activation. */
function head(b: GraphBuilder, { map }: ImageMaps): void {
  const pooled = meanOfMap(b, map);
  const hidden = b.has('head.fc1.weight') ? activate(b, b.linear(pooled, 'head.fc1'), 'gelu') : pooled;
  answer(b, maybeNorm(b, hidden, 'head.norm', headEps), map, 'head.fc2');
}

/** InceptionNeXt (Yu et al. 2024, When Inception Meets ConvNeXt). */
export const inceptionNext: Family<InceptionNextConfig, ImageMaps> = {
  name: 'inceptionnext',
  row: 'cnn',
  title: 'InceptionNeXt',
  names: inceptionNextNames,
  assumable: [],
  recognise,
  build,
  head,
};
