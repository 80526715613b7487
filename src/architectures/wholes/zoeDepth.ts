import { at } from '../../domain/lists';
import { ParameterError, type GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { activate } from '../blocks/layers';
import { gridOf, resizedMap } from '../blocks/maps';
import { stored } from '../evidence';
import { depthOf, doubled } from '../heads/densePrediction';
import { settle, shapeIn, type FoundWhole, type PartContext, type Whole } from '../whole';
import { backboneTitle, fusedMaps, headMap, neverComputed, recogniseNeck, type DptConfig } from './dpt';

/** What ZoeDepth's metric head is written by. */
interface ZoeDepthConfig extends DptConfig {
  readonly attraction: 'mean' | 'sum';
  readonly temperature: readonly [low: number, high: number];
}

const aNumber = { is: (value: unknown) => typeof value === 'number', needed: 'a number' } as const;

function recognise(found: FoundWhole) {
  const { evidence, config } = recogniseNeck(found);
  const { layers_normed: _, ...rest } = evidence;
  const [bins = 0] = shapeIn(found, 'metric_head.seed_bin_regressor.conv2.weight');
  const centres = settle<string>(found, 'bin_centers', {
    config: ['bin_centers_type'],
    otherwise: stored('softplus', 'as published (Bhat et al. 2023)'),
  });
  if (centres.value !== 'softplus')
    throw new ParameterError('metric_head', `bin centres of the kind ${centres.value} are not known`);
  const attraction = settle<'mean' | 'sum'>(found, 'attraction', {
    config: ['attractor_kind'],
    otherwise: stored<'mean' | 'sum'>('mean', 'as published'),
    is: (value) => value === 'mean' || value === 'sum',
    needed: 'mean or sum',
  });
  const low = settle<number>(found, 'min_temperature', {
    config: ['min_temp'],
    otherwise: stored(0.0212, 'as published'),
    ...aNumber,
  });
  const high = settle<number>(found, 'max_temperature', {
    config: ['max_temp'],
    otherwise: stored(50, 'as published'),
    ...aNumber,
  });
  const eps = settle<number>(found, 'batch_norm_eps', {
    config: ['batch_norm_eps'],
    otherwise: stored(1e-5, 'the default of the library'),
    ...aNumber,
  });
  return {
    label: 'zoedepth',
    title: `ZoeDepth, ${backboneTitle(found)} backbone`,
    evidence: {
      ...rest,
      bins: stored(bins, 'metric_head.seed_bin_regressor.conv2.weight'),
      attraction,
      min_temperature: low,
      max_temperature: high,
    },
    config: {
      ...config,
      eps: eps.value,
      attraction: attraction.value,
      temperature: [low.value, high.value] as const,
    },
    reading: { task: 'depth', unit: 'metres', bordered: true } as const,
  };
}

/** A map resized so that corners meet. */
const cornered = (b: GraphBuilder, map: ValueInfo, like: ValueInfo): ValueInfo =>
  resizedMap(b, map, gridOf(like), { alignCorners: true });

/** Two 1 × 1 convolutions with a ReLU between them. */
const projected = (b: GraphBuilder, map: ValueInfo, name: string): ValueInfo =>
  b.scope(name, () => convolution(b, activate(b, convolution(b, map, 'conv1'), 'relu'), 'conv2'));

/** Features for the last step and the relative depth, `[batch, 1, rows, columns]`. */
function relativeHead(b: GraphBuilder, map: ValueInfo): readonly [features: ValueInfo, depth: ValueInfo] {
  const own = b.has('projection.weight') ? activate(b, convolution(b, map, 'projection'), 'relu') : map;
  const finer = doubled(b, convolution(b, own, 'conv1'));
  const features = activate(b, convolution(b, finer, 'conv2'), 'relu');
  return [features, activate(b, convolution(b, features, 'conv3'), 'relu')];
}

/** Strength and reach of every attractor; the code never reads those of its config. */
const strength = 300;

/**
 * Centres of the bins moved towards attractors (Bhat et al. 2023, §3.2, eq. 1): Δc = Σ dx / (1 + α
 * · dx²) of the differences dx to each.
 */
function attracted(
  b: GraphBuilder,
  [embedding, before]: readonly [ValueInfo, ValueInfo],
  bins: ValueInfo,
  { attraction }: ZoeDepthConfig,
): ValueInfo {
  const features = b.add('Add', [embedding, cornered(b, before, embedding)]);
  const raw = convolution(b, activate(b, convolution(b, features, 'conv1'), 'relu'), 'conv2');
  const points = b.add('Softplus', [raw]);
  const centres = cornered(b, bins, points);
  const [batch = 1, count = 0, rows = 0, columns = 0] = points.shape;
  const [, binCount = 0] = centres.shape;
  const apart = b.add('Sub', [
    b.reshape(points, [batch, count, 1, rows, columns]),
    b.reshape(centres, [batch, 1, binCount, rows, columns]),
  ]);
  const square = b.add('Mul', [b.add('Mul', [apart, apart]), b.scalar(strength)]);
  const shifts = b.add('Div', [apart, b.add('Add', [square, b.scalar(1)])]);
  const shift = b.add(attraction === 'mean' ? 'ReduceMean' : 'ReduceSum', [shifts, b.indices([1])], {
    keepdims: int(0),
  });
  return b.add('Add', [centres, shift]);
}

/** n · ln n − k · ln k − (n − k) · ln(n − k): the logarithm of "n over k" by Stirling. */
function logBinomials(count: number): Float32Array {
  const small = 1e-7;
  const n = count - 1 + small;
  return Float32Array.from({ length: count }, (_, index) => {
    const k = index + small;
    return n * Math.log(n) - k * Math.log(k) - (n - k) * Math.log(n - k + small);
  });
}

/** The first of two positive maps as a share of both, `[batch, 1, rows, columns]`. */
function shareOf(b: GraphBuilder, pair: ValueInfo): ValueInfo {
  const [first, second] = b.split(b.add('Add', [pair, b.scalar(1e-4)]), 2, 1);
  if (!first || !second) throw new Error('two maps are needed');
  return b.add('Div', [first, b.add('Add', [first, second])]);
}

/**
 * Weights of the bins at every place (Bhat et al. 2023, §3.2, eq. 2): a binomial distribution with
 * a temperature, `[batch, bins, rows, columns]`.
 */
function binWeights(
  b: GraphBuilder,
  features: ValueInfo,
  bins: number,
  [low, high]: readonly [number, number],
): ValueInfo {
  const hidden = activate(b, convolution(b, features, 'mlp.0'), 'gelu');
  const [chances, heats] = b.split(b.add('Softplus', [convolution(b, hidden, 'mlp.2')]), 2, 1);
  if (!chances || !heats) throw new Error('four maps are needed');
  const chance = shareOf(b, chances);
  const heat = b.add('Add', [b.add('Mul', [shareOf(b, heats), b.scalar(high - low)]), b.scalar(low)]);
  const clipped = (value: ValueInfo): ValueInfo =>
    b.add('Log', [b.add('Clip', [value, b.scalar(1e-4), b.scalar(1)])]);
  const vector = (name: string, values: Float32Array): ValueInfo =>
    b.constant(name, 'F32', [1, bins, 1, 1], values);
  const indices = Float32Array.from({ length: bins }, (_, index) => index);
  const rest = indices.map((index) => bins - 1 - index);
  const terms = [
    b.add('Mul', [clipped(chance), vector('/bins', indices)]),
    b.add('Mul', [clipped(b.add('Sub', [b.scalar(1), chance])), vector('/rest', rest)]),
  ];
  const scores = b.add('Add', [b.add('Add', terms), vector('/binomials', logBinomials(bins))]);
  return b.add('Softmax', [b.add('Div', [scores, heat])], { axis: int(1) });
}

/** What the metric head reads. */
interface MetricInputs {
  readonly features: ValueInfo;
  readonly relative: ValueInfo;
  /** The coarsest map before fusion. */
  readonly bottleneck: ValueInfo;
  readonly steps: readonly ValueInfo[];
}

/** Depth as the mean of centres of bins, which are refined from map to map. */
function metricHead(b: GraphBuilder, inputs: MetricInputs, config: ZoeDepthConfig): ValueInfo {
  const { features, relative, bottleneck, steps } = inputs;
  const seed = convolution(b, bottleneck, 'conv2');
  let bins = b.add('Softplus', [projected(b, seed, 'seed_bin_regressor')]);
  let embedding = projected(b, seed, 'seed_projector');
  for (const [index, step] of steps.entries()) {
    const own = projected(b, step, `projectors.${index}`);
    const [before, centres] = [embedding, bins];
    bins = b.scope(`attractors.${index}`, () => attracted(b, [own, before], centres, config), {
      title: 'Attractors',
    });
    embedding = own;
  }
  const all = b.concat([features, cornered(b, relative, features), cornered(b, embedding, features)], 1);
  const weights = b.scope('conditional_log_binomial', () =>
    binWeights(b, all, at(bins.shape, 1), config.temperature),
  );
  const weighted = b.add('Mul', [weights, cornered(b, bins, weights)]);
  return b.add('ReduceSum', [weighted, b.indices([1])], { keepdims: int(1) });
}

function build(b: GraphBuilder, config: ZoeDepthConfig, context: PartContext): void {
  const { steps, narrowed } = fusedMaps(b, config, context);
  const map = headMap(steps, config.headIndex);
  const [features, relative] = b.scope('relative_head', () => relativeHead(b, map), {
    title: 'Relative depth head',
  });
  const inputs = { features, relative, steps, bottleneck: at(narrowed, narrowed.length - 1) };
  const depth = b.scope('metric_head', () => metricHead(b, inputs, config), { title: 'Metric depth head' });
  b.output('predicted_depth', depthOf(b, depth), 'depth');
}

/** ZoeDepth (Bhat et al. 2023) with one metric head over DPT's relative one. */
export const zoeDepth: Whole<ZoeDepthConfig> = {
  name: 'zoedepth',
  row: 'depth',
  title: 'ZoeDepth',
  task: 'depth',
  signature: [
    'neck.fusion_stage.layers.0.projection.weight',
    'relative_head.conv1.weight',
    'metric_head.seed_bin_regressor.conv1.weight',
    'metric_head.conditional_log_binomial.mlp.0.weight',
  ],
  isTower: true,
  assumable: [
    'out_layers',
    'readout',
    'readout_activation',
    'attraction',
    'min_temperature',
    'max_temperature',
  ],
  idle: neverComputed,
  recognise,
  parts: [{ name: 'whole', build }],
};
