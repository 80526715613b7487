import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { activate, residual } from '../blocks/layers';
import { layerNormOfMap, mapNorm, mapToTokens, meanOfMap, paddedToMultiple, sequence } from '../blocks/maps';
import { mapMlp, pointwise } from '../blocks/pointwise';
import type { BuildOptions, EvidenceRecord, Family, Found, Recognised } from '../family';
import { assumed, numberOf, numbersOf, stored, wordOf } from '../figures';
import { sizeTitle, type Sizes } from '../sizes';
import { classesOf, countOf, decide, imageSizeOf, recognisedFrom, sourcesOf, type Sources } from '../sources';
import { focalnetNames } from './names';

/** Sizes of Yang et al. 2022 (FocalNet, table 2). */
const sizes: Sizes = {
  '2,2,6,2 96': 'T',
  '2,2,18,2 96': 'S',
  '2,2,18,2 128': 'B',
  '2,2,18,2 192': 'L',
  '2,2,18,2 256': 'XL',
  '2,2,18,2 352': 'H',
};

/** Names of the receptive fields by focal levels: small and large up to the width of B, the number of levels above. */
const fields = (levels: number, width: number): string =>
  (width < 192 ? { 2: 'SRF', 3: 'LRF' }[levels] : undefined) ?? `FL${levels}`;

/** Whether norms follow the branches: timm names them so, transformers' config says it. */
function normOrder(sources: Sources): EvidenceRecord {
  const { tensors, dialect } = sources.found;
  const scaled = tensors.has('layers.0.blocks.0.ls1.gamma');
  const post = tensors.has('layers.0.blocks.0.norm1_post.weight');
  const timm = dialect.name === 'timm';
  const source = `layers.0.blocks.0.norm1${post ? '_post' : ''}.weight`;
  const otherwise = timm
    ? stored(post, source)
    : assumed(scaled, 'as in the published models, where LayerScale comes with norms after the branches');
  return {
    post_norm: decide(sources, 'post_norm', { config: ['use_post_layernorm'], otherwise }),
    normalize_modulator: decide(sources, 'normalize_modulator', {
      config: ['normalize_modulator'],
      otherwise: stored(false, 'as in every published FocalNet'),
    }),
  };
}

function recogniseFocalnet(evidences: Found): Recognised | undefined {
  const { tensors, dialect } = evidences;
  const sources = sourcesOf(evidences);
  const stem = tensors.get('stem.proj.weight')?.shape;
  if (stem?.length !== 4) return undefined;
  const stages = countOf(tensors, 'layers');
  const depth = Array.from({ length: stages }, (_, stage) => countOf(tensors, `layers.${stage}.blocks`));
  const dim = depth.map(
    (_, stage) => tensors.get(`layers.${stage}.blocks.0.modulation.h.weight`)?.shape[0] ?? 0,
  );
  const levels = depth.map((_, stage) =>
    countOf(tensors, `layers.${stage}.blocks.0.modulation.focal_layers`),
  );
  const windows = depth.map(
    (_, stage) => tensors.get(`layers.${stage}.blocks.0.modulation.focal_layers.0.0.weight`)?.shape[2] ?? 0,
  );
  const { imageSize, figure } = imageSizeOf(sources);
  const first = 'layers.0.blocks.0';
  return recognisedFrom(sources, {
    label: 'focalnet',
    title: `${sizeTitle('FocalNet', sizes, depth, dim)} (${fields(levels[0]!, dim[0]!)})`,
    evidence: {
      depth: stored(depth, `${first} … of ${stages} stages`),
      dim: stored(dim, `${first}.modulation.h.weight of each stage`),
      patch: stored(4, 'stem.proj.weight'),
      token_mixer: stored('focal modulation', `${first}.modulation; there is no attention`),
      focal_levels: stored(levels, `${first}.modulation.focal_layers of each stage`),
      focal_windows: stored(windows, `${first}.modulation.focal_layers.0.0.weight of each stage`),
      ...normOrder(sources),
      activation: decide(sources, 'activation', {
        config: ['hidden_act'],
        otherwise: stored('gelu', 'as in every published FocalNet'),
      }),
      eps: decide(sources, 'eps', {
        config: ['layer_norm_eps'],
        otherwise: stored(dialect.name === 'timm' ? 1e-5 : dialect.eps, `as ${dialect.title} has it`),
      }),
      border: stored(dialect.name === 'timm' ? 'cut' : 'padded', `as ${dialect.title} takes odd maps`),
      pool: stored('avg', 'the mean over the last map'),
      classes: classesOf(tensors, 'head.fc'),
      image_size: figure,
    },
    imageSize,
    sizeStep: [32, 32],
    pixels: 'imagenet',
  });
}

/** A strided convolution and a norm: kernel and stride alike, or overlapping (7 and 3 wide). transformers pads maps that the stride does not divide. */
function downsample(
  b: GraphBuilder,
  map: ValueInfo,
  name: string,
  stride: number,
  figures: EvidenceRecord,
): ValueInfo {
  return b.scope(
    name,
    () => {
      const overlap = b.shapeOf('proj.weight')[2] !== stride;
      const padded = wordOf(figures, 'border') === 'padded' ? paddedToMultiple(b, map, stride) : map;
      const padding = overlap ? (stride === 4 ? 2 : 1) : 0;
      return mapNorm(b, b.conv2d(padded, 'proj', { stride, padding }), 'norm', numberOf(figures, 'eps'));
    },
    { title: 'Downsampling', formula: `LN(conv, stride ${stride})` },
  );
}

/**
 * Focal modulation (Yang et al. 2022, §3.2): contexts of growing depth-wise convolutions and of the whole map, gated per position and summed,
 * modulate the query: x = W · (q ⊙ h(Σ gₗ ⊙ ctxₗ)).
 */
function focalModulation(b: GraphBuilder, map: ValueInfo, figures: EvidenceRecord): ValueInfo {
  return b.scope(
    'modulation',
    () => {
      const width = map.shape[1]!;
      const projected = pointwise(b, map, 'f');
      const levels = projected.shape[1]! - 2 * width - 1;
      const [query, first, ...gates] = b.split(
        projected,
        [width, width, ...Array<number>(levels + 1).fill(1)],
        1,
      );
      let context = first!;
      let sum: ValueInfo | undefined;
      const add = (part: ValueInfo, level: number): void => {
        const gated = b.add('Mul', [part, gates[level]!]);
        sum = sum ? b.add('Add', [sum, gated]) : gated;
      };
      for (let level = 0; level < levels; level++) {
        context = activate(b, convolution(b, context, `focal_layers.${level}.0`), 'gelu');
        add(context, level);
      }
      add(activate(b, b.add('GlobalAveragePool', [context]), 'gelu'), levels);
      const whole =
        figures['normalize_modulator']?.value === true ? b.add('Div', [sum!, b.scalar(levels + 1)]) : sum!;
      const modulated = b.add('Mul', [query!, pointwise(b, whole, 'h')]);
      return pointwise(b, mapNorm(b, modulated, 'norm', numberOf(figures, 'eps')), 'proj');
    },
    { title: 'Focal modulation (no attention)', formula: 'W · (q ⊙ h(Σ gₗ ⊙ ctxₗ))' },
  );
}

/** A factor per channel of a map where `<name>.gamma` is stored. */
const scaleOfMap = (b: GraphBuilder, map: ValueInfo, name: string): ValueInfo =>
  b.has(`${name}.gamma`) ? b.add('Mul', [map, b.parameter(`${name}.gamma`, [1, map.shape[1]!, 1, 1])]) : map;

/** x + ls1(modulation), then x + ls2(mlp), with the norm before or after each branch. */
function block(b: GraphBuilder, map: ValueInfo, figures: EvidenceRecord): ValueInfo {
  const eps = numberOf(figures, 'eps');
  const post = figures['post_norm']?.value === true;
  const branch = (x: ValueInfo, index: 1 | 2, apply: (x: ValueInfo) => ValueInfo): ValueInfo => {
    const name = b.has(`norm${index}_post.weight`) ? `norm${index}_post` : `norm${index}`;
    const normed = (y: ValueInfo): ValueInfo => layerNormOfMap(b, y, name, eps);
    const result = post ? normed(apply(x)) : apply(normed(x));
    return residual(b, x, scaleOfMap(b, result, `ls${index}`));
  };
  const mixed = branch(map, 1, (x) => focalModulation(b, x, figures));
  return branch(mixed, 2, (x) => mapMlp(b, x, 'mlp', wordOf(figures, 'activation')));
}

function build(b: GraphBuilder, { evidence: figures }: Recognised, { imageSize, batch }: BuildOptions): void {
  const pixels = b.input('pixel_values', [batch, 3, ...imageSize]);
  let map = downsample(b, pixels, 'stem', 4, figures);
  for (const [stage, depth] of numbersOf(figures, 'depth').entries())
    map = b.scope(
      `layers.${stage}`,
      () => {
        let x = stage === 0 ? map : downsample(b, map, 'downsample', 2, figures);
        for (let index = 0; index < depth; index++)
          x = b.scope(`blocks.${index}`, () => block(b, x, figures), { title: 'FocalNet block' });
        return x;
      },
      { title: `Stage ${stage + 1}` },
    );
  const last = mapNorm(b, map, 'norm', numberOf(figures, 'eps'));
  const tokens = wordOf(figures, 'border') === 'padded' ? sequence(b, mapToTokens(b, last)) : last;
  answer(b, meanOfMap(b, last), tokens, 'head.fc');
}

/** FocalNet (Yang et al. 2022, "Focal Modulation Networks"): a hierarchy without attention. */
export const focalnet: Family<Recognised, void> = {
  name: 'focalnet',
  title: 'FocalNet',
  names: focalnetNames,
  idle: /^mask_token$/,
  assumable: ['post_norm', 'normalize_modulator', 'activation', 'eps'],
  recognise: recogniseFocalnet,
  build,
};
