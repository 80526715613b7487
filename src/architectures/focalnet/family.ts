import { images } from '../blocks/images';
import { at, last } from '../../domain/lists';
import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { activate, residual } from '../blocks/layers';
import { layerNormOfMap, mapNorm, mapToTokens, meanOfMap, paddedToMultiple, sequence } from '../blocks/maps';
import { mapMlp, pointwise } from '../blocks/pointwise';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import { configured } from '../config';
import type { BuildOptions, Evidence, Family, Found } from '../family';
import { assumed, numbersIn, stored } from '../evidence';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import { flag, positive } from '../groups/valueKinds';
import { sizeTitle, type Sizes } from '../sizes';
import { activationOf, classesOf, countOf, decide, sideOf, type Sources } from '../decide';
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

/**
 * Names of the receptive fields by focal levels: small and large up to the width of B, the number
 * of levels above.
 */
const fields = (levels: number, width: number): string =>
  (width < 192 ? { 2: 'SRF', 3: 'LRF' }[levels] : undefined) ?? `FL${levels}`;

/** Whether norms follow the branches: by their names in timm, by config.json in transformers. */
function normOrder(sources: Sources) {
  const { tensors, dialect } = sources.found;
  const scaled = tensors.has('layers.0.blocks.0.ls1.gamma');
  const post = tensors.has('layers.0.blocks.0.norm1_post.weight');
  const source = `layers.0.blocks.0.norm1${post ? '_post' : ''}.weight`;
  const otherwise =
    dialect.name === 'timm'
      ? stored(post, source)
      : assumed(scaled, 'as in the published models, where LayerScale comes with norms after the branches');
  return {
    post_norm: decide(sources, 'post_norm', { ...flag, config: ['use_post_layernorm'], otherwise }),
    normalize_modulator: decide(sources, 'normalize_modulator', {
      ...flag,
      config: ['normalize_modulator'],
      otherwise: stored(false, 'as in every published FocalNet'),
    }),
  };
}

function recognise(found: Found) {
  const { tensors, dialect } = found;
  const stages = measureStages(found, 'layers.*.blocks.*', 'modulation.h.weight');
  if (tensors.get('stem.proj.weight')?.shape.length !== 4 || !stages) return undefined;
  const { sources, depths, dims, each } = stages;
  const levels = depths.map((_, stage) =>
    countOf(tensors, `layers.${stage}.blocks.0.modulation.focal_layers`),
  );
  const first = 'layers.0.blocks.0';
  const cuts = dialect.name !== 'transformers';
  return stagedConfig(stages, {
    label: 'focalnet',
    title: `${sizeTitle('FocalNet', sizes, depths, dims)} (${fields(at(levels, 0), at(dims, 0))})`,
    head: 'head.fc',
    stride: 32,
    shapes: {
      depth: stored(depths, `${first} … of ${depths.length} stages`),
      dim: stored(dims, `${first}.modulation.h.weight of each stage`),
      patch: patchOf(sources),
      token_mixer: stored('focal modulation', `${first}.modulation; there is no attention`),
      focal_levels: stored(levels, `${first}.modulation.focal_layers of each stage`),
      focal_windows: stored(
        each('modulation.focal_layers.0.0.weight', 2).value,
        `${first}.modulation.focal_layers.0.0.weight of each stage`,
      ),
      ...normOrder(sources),
      activation: activationOf(sources, stored('gelu', 'as in every published FocalNet'), {
        config: ['hidden_act'],
      }),
      eps: decide(sources, 'eps', {
        ...positive,
        config: ['layer_norm_eps'],
        otherwise: stored(dialect.name === 'timm' ? 1e-5 : dialect.eps, `as ${dialect.title} has it`),
      }),
      border: stored<'cut' | 'padded'>(cuts ? 'cut' : 'padded', `as ${dialect.title} takes odd maps`),
      pool: stored('avg', 'the mean over the last map'),
      classes: classesOf(tensors, 'head.fc'),
    },
  });
}

/**
 * Pixels from one patch to the next: 4 if the kernels overlap (7 wide), which config.json alone
 * tells from patches as large; else the kernel.
 */
function patchOf(sources: Sources): Evidence<number> {
  const { tensors, checkpoint } = sources.found;
  const kernel = sideOf(tensors, 'stem.proj.weight', 2);
  const overlaps = configured(checkpoint, ['use_conv_embed'])?.value ?? kernel === overlapping;
  const value = overlaps ? 4 : kernel;
  return decide(sources, 'patch', {
    config: ['patch_size'],
    otherwise: stored(value, 'stem.proj.weight'),
    is: (said) => numbersIn(said).every((side) => side === value),
    needed: `${value}, as stem.proj.weight is ${kernel} wide,`,
  });
}

/** Side of the kernels of patches that overlap. */
const overlapping = 7;

type FocalNetConfig = SettledBy<typeof recognise>;

/**
 * A strided convolution and a norm: kernel and stride alike, or overlapping (7 and 3 wide).
 * transformers pads maps that the stride does not divide.
 */
function downsample(
  b: GraphBuilder,
  map: ValueInfo,
  name: string,
  stride: number,
  { border, eps }: FocalNetConfig,
): ValueInfo {
  return b.scope(
    name,
    () => {
      const overlap = b.shapeOf('proj.weight')[2] !== stride;
      const padded = border === 'padded' ? paddedToMultiple(b, map, stride) : map;
      const padding = overlap ? (stride === 4 ? 2 : 1) : 0;
      return mapNorm(b, b.conv2d(padded, 'proj', { stride, padding }), 'norm', eps);
    },
    { title: 'Downsampling', formula: `LN(conv, stride ${stride})` },
  );
}

/**
 * Sum of contexts, each seen through the gate `[batch, 1, rows, columns]` of its level: depth-wise
 * convolutions one behind another, and at last the mean of the whole map.
 */
function gatedContexts(b: GraphBuilder, map: ValueInfo, gates: readonly ValueInfo[]): ValueInfo {
  const levels = gates.length - 1;
  let context = map;
  let sum: ValueInfo | undefined;
  for (const [level, gate] of gates.entries()) {
    context =
      level < levels
        ? convolution(b, context, `focal_layers.${level}.0`)
        : b.add('GlobalAveragePool', [context]);
    context = activate(b, context, 'gelu');
    const gated = b.add('Mul', [context, gate]);
    sum = sum ? b.add('Add', [sum, gated]) : gated;
  }
  return sum ?? map;
}

/**
 * Focal modulation (Yang et al. 2022, §3.2) of a map `[batch, channels, rows, columns]`: contexts
 * of growing depth-wise convolutions and of the whole map, gated per position and summed, modulate
 * the query: x = W · (q ⊙ h(Σ gₗ ⊙ ctxₗ)).
 */
function focalModulation(b: GraphBuilder, map: ValueInfo, config: FocalNetConfig): ValueInfo {
  return b.scope(
    'modulation',
    () => {
      const width = at(map.shape, 1);
      const projected = pointwise(b, map, 'f');
      const levels = at(projected.shape, 1) - 2 * width - 1;
      const parts = b.split(projected, [width, width, ...Array<number>(levels + 1).fill(1)], 1);
      const [query, first] = [at(parts, 0), at(parts, 1)];
      const sum = gatedContexts(b, first, parts.slice(2));
      const whole = config.normalize_modulator ? b.add('Div', [sum, b.scalar(levels + 1)]) : sum;
      const modulated = b.add('Mul', [query, pointwise(b, whole, 'h')]);
      return pointwise(b, mapNorm(b, modulated, 'norm', config.eps), 'proj');
    },
    { title: 'Focal modulation (no attention)', formula: 'W · (q ⊙ h(Σ gₗ ⊙ ctxₗ))' },
  );
}

/** A factor per channel of a map if `<name>.gamma` is stored. */
const scaleOfMap = (b: GraphBuilder, map: ValueInfo, name: string): ValueInfo =>
  b.has(`${name}.gamma`)
    ? b.add('Mul', [map, b.parameter(`${name}.gamma`, [1, at(map.shape, 1), 1, 1])])
    : map;

/** x + ls1(modulation), then x + ls2(mlp), with the norm before or after each branch. */
function block(b: GraphBuilder, map: ValueInfo, config: FocalNetConfig): ValueInfo {
  const { eps, post_norm: post } = config;
  const branch = (x: ValueInfo, index: 1 | 2, apply: (x: ValueInfo) => ValueInfo): ValueInfo => {
    const name = b.has(`norm${index}_post.weight`) ? `norm${index}_post` : `norm${index}`;
    const normed = (y: ValueInfo): ValueInfo => layerNormOfMap(b, y, name, eps);
    const result = post ? normed(apply(x)) : apply(normed(x));
    return residual(b, x, scaleOfMap(b, result, `ls${index}`));
  };
  const mixed = branch(map, 1, (x) => focalModulation(b, x, config));
  return branch(mixed, 2, (x) => mapMlp(b, x, 'mlp', config.activation));
}

function build(b: GraphBuilder, config: FocalNetConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'stem.proj');
  const maps = stages(b, downsample(b, pixels, 'stem', config.patch, config), {
    depths: config.depth,
    module: (stage) => ({ path: `layers.${stage}`, note: { title: `Stage ${stage + 1}` } }),
    path: ({ index }) => `blocks.${index}`,
    enter: (map, stage) => (stage === 0 ? map : downsample(b, map, 'downsample', 2, config)),
    block: (map) => block(b, map, config),
    note: { title: 'FocalNet block' },
  });
  return {
    stages: maps.map((map) => mapStage(map, imageSize)),
    map: mapNorm(b, last(maps), 'norm', config.eps),
  };
}

function head(b: GraphBuilder, { map }: ImageMaps, { border }: FocalNetConfig): void {
  const tokens = border === 'padded' ? sequence(b, mapToTokens(b, map)) : map;
  answer(b, meanOfMap(b, map), tokens, 'head.fc');
}

/** FocalNet (Yang et al. 2022, "Focal Modulation Networks"): a hierarchy without attention. */
export const focalnet: Family<FocalNetConfig, ImageMaps> = {
  name: 'focalnet',
  title: 'FocalNet',
  names: focalnetNames,
  idle: /^mask_token$/,
  assumable: ['post_norm', 'normalize_modulator', 'activation', 'eps'],
  recognise,
  build,
  head,
};
