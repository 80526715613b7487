import { at } from '../../domain/lists';
import { ParameterError, type GraphBuilder } from '../../graph/builder';
import { int, ints, type ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { activate, withValue } from '../blocks/layers';
import { gridOf, mapToTokens, resizedMap, sequence } from '../blocks/maps';
import { postNorm, projectedAttention } from '../blocks/projectedAttention';
import { tokenAt, withClassToken } from '../blocks/specialTokens';
import { shapeOf } from '../decide';
import { assumed, stored } from '../evidence';
import type { Evidence } from '../family';
import { depthOf, doubled } from '../heads/densePrediction';
import { backboneTitle, headsOfWhole, settle, type FoundWhole, type PartContext, type Whole } from '../whole';
import { fusedMaps, hasNoBias, headMap, neverComputed, recogniseNeck, type DptConfig } from './dpt';
import { room } from '../../graph/limits';

/** What ZoeDepth's metric head is written by. */
interface ZoeDepthConfig extends DptConfig {
  /** Kinds of scenes with bins of their own; none if there is one head for all. */
  readonly domains: readonly string[];
  /** Heads of the attention that tells them apart. */
  readonly domainHeads: number;
  readonly attraction: 'mean' | 'sum';
  readonly temperature: readonly [low: number, high: number];
}

const aNumber = { is: (value: unknown) => typeof value === 'number', needed: 'a number' } as const;

const regressors = /^metric_head\.seed_bin_regressors\.([^.]+)\.conv1\.weight$/;

/**
 * Kinds of scenes in the order of the classifier's scores, which config.json tells; undefined if
 * there is one head for all.
 */
function domainsOf(found: FoundWhole): Evidence<readonly string[]> | undefined {
  const names = [...found.tensors.keys()].flatMap((name) => regressors.exec(name)?.[1] ?? []);
  if (names.length === 0) return undefined;
  const bins = found.found.checkpoint.sidecars.config?.['bin_configurations'];
  const told = Array.isArray(bins) ? bins.map((each: { readonly name?: unknown }) => String(each.name)) : [];
  if (told.length === names.length && told.every((name) => names.includes(name)))
    return stored<readonly string[]>(told, 'config.json: bin_configurations');
  const published = ['nyu', 'kitti'].filter((name) => names.includes(name));
  const order = published.length === names.length ? published : names;
  return assumed<readonly string[]>(order, 'the order of the scores is not in the weights');
}

const headsOfDomains = (found: FoundWhole): Evidence<number> =>
  headsOfWhole(
    found,
    'domain_heads',
    shapeOf(found.tensors, 'metric_head.patch_transformer.embedding_convPxP.weight')[0] ?? 0,
    { config: ['patch_transformer_num_attention_heads'] },
  );

function recognise(found: FoundWhole) {
  const { evidence, config } = recogniseNeck(found);
  const { layers_normed: _, ...rest } = evidence;
  const domains = domainsOf(found);
  const regressor = domains ? `seed_bin_regressors.${at(domains.value, 0)}` : 'seed_bin_regressor';
  const seed = `metric_head.${regressor}.conv2.weight`;
  const [bins = 0] = shapeOf(found.tensors, seed);
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
      bins: stored(bins, seed),
      ...(domains && { domains, domain_heads: headsOfDomains(found) }),
      attraction,
      min_temperature: low,
      max_temperature: high,
    },
    config: {
      ...config,
      eps: eps.value,
      domains: domains?.value ?? [],
      domainHeads: domains ? headsOfDomains(found).value : 0,
      attraction: attraction.value,
      temperature: [low.value, high.value] as const,
    },
    reading: { task: 'depth', unit: 'metres', bordered: true } as const,
  };
}

/** A map resized so that corners meet. */
const cornered = (b: GraphBuilder, map: ValueInfo, like: ValueInfo): ValueInfo =>
  resizedMap(b, map, gridOf(like), { alignCorners: true });

/** Writes a convolution of the metric head by its module path in there. */
type Layer = (map: ValueInfo, path: string) => ValueInfo;

/** Two 1 × 1 convolutions with a ReLU between them. */
const projected = (b: GraphBuilder, layer: Layer, map: ValueInfo, path: string): ValueInfo =>
  layer(activate(b, layer(map, `${path}.conv1`), 'relu'), `${path}.conv2`);

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
  layer: (features: ValueInfo) => ValueInfo,
  { attraction }: ZoeDepthConfig,
): ValueInfo {
  const points = b.add('Softplus', [layer(b.add('Add', [embedding, cornered(b, before, embedding)]))]);
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
  return Float32Array.from({ length: room(count) }, (_, index) => {
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
  raw: ValueInfo,
  bins: number,
  [low, high]: readonly [number, number],
): ValueInfo {
  const [chances, heats] = b.split(b.add('Softplus', [raw]), 2, 1);
  if (!chances || !heats) throw new Error('four maps are needed');
  const chance = shareOf(b, chances);
  const heat = b.add('Add', [b.add('Mul', [shareOf(b, heats), b.scalar(high - low)]), b.scalar(low)]);
  const clipped = (value: ValueInfo): ValueInfo =>
    b.add('Log', [b.add('Clip', [value, b.scalar(1e-4), b.scalar(1)])]);
  const vector = (name: string, values: Float32Array): ValueInfo =>
    b.constant(name, 'F32', [1, bins, 1, 1], values);
  const indices = Float32Array.from({ length: room(bins) }, (_, index) => index);
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
  /** The coarsest map before fusion, behind a convolution. */
  readonly bottleneck: ValueInfo;
  readonly steps: readonly ValueInfo[];
}

/** Modules of a metric head: one for all scenes, or a list by kinds of scenes, `#`. */
const modules = {
  one: { regressor: 'seed_bin_regressor', attractors: 'attractors', weights: 'conditional_log_binomial' },
  several: {
    regressor: 'seed_bin_regressors.#',
    attractors: 'attractors.#',
    weights: 'conditional_log_binomial.#',
  },
} as const;

/** Depth as the mean of centres of bins, which are refined from map to map. */
function metricDepth(
  b: GraphBuilder,
  { features, relative, bottleneck, steps }: MetricInputs,
  config: ZoeDepthConfig,
  layer: Layer,
): ValueInfo {
  const isOne = config.domains.length === 0;
  const names = isOne ? modules.one : modules.several;
  let bins = b.add('Softplus', [projected(b, layer, bottleneck, names.regressor)]);
  let embedding = projected(b, layer, bottleneck, 'seed_projector');
  for (const [index, step] of steps.entries()) {
    const next = projected(b, layer, step, `projectors.${index}`);
    const path = `${names.attractors}.${index}`;
    bins = attracted(b, [next, embedding], bins, (map) => projected(b, layer, map, path), config);
    embedding = next;
  }
  // A head of one of several kinds of scenes does not read the relative depth.
  const conditions = isOne ? [cornered(b, relative, features)] : [];
  const all = b.concat([features, ...conditions, cornered(b, embedding, features)], 1);
  const hidden = activate(b, layer(all, `${names.weights}.mlp.0`), 'gelu');
  const raw = layer(hidden, `${names.weights}.mlp.2`);
  const weights = binWeights(b, raw, at(bins.shape, 1), config.temperature);
  const weighted = b.add('Mul', [weights, cornered(b, bins, weights)]);
  return b.add('ReduceSum', [weighted, b.indices([1])], { keepdims: int(1) });
}

/** Sines of a place in a sequence, then its cosines (Vaswani et al. 2017, §3.5, not by turns). */
function sequencePositions(count: number, width: number): Float32Array {
  const values = new Float32Array(room(count * width));
  const half = width / 2;
  for (let place = 0; place < count; place++)
    for (let channel = 0; channel < half; channel++) {
      const angle = place * Math.exp((-2 * channel * Math.log(10_000)) / width);
      values[place * width + channel] = Math.sin(angle);
      values[place * width + half + channel] = Math.cos(angle);
    }
  return values;
}

/** Scores of the domains `[batch, domains]`: a class token that begins as zeros reads the map. */
function domainScores(b: GraphBuilder, map: ValueInfo, { domainHeads: heads }: ZoeDepthConfig): ValueInfo {
  const read = b.scope('patch_transformer', () => {
    const embedded = mapToTokens(b, convolution(b, map, 'embedding_convPxP'));
    const { batch } = embedded;
    const width = at(embedded.value.shape, 1);
    const zeros = b.constant('/class', 'F32', [batch, width], new Float32Array(room(batch * width)));
    let tokens = withClassToken(b, zeros, embedded);
    const places = b.constant(
      '/positions',
      'F32',
      [1, tokens.count, width],
      sequencePositions(tokens.count, width),
    );
    const placedTokens = b.add('Add', [sequence(b, tokens), places]);
    tokens = withValue(tokens, b.reshape(placedTokens, [batch * tokens.count, width]));
    for (let layer = 0; b.has(`transformer_encoder.${layer}.norm1.weight`); layer++)
      tokens = b.scope(
        `transformer_encoder.${layer}`,
        () => {
          const mixed = projectedAttention(
            b,
            'self_attn',
            { queries: tokens, keys: tokens },
            { heads, kind: 'self', names: ['query', 'key', 'value', 'out_proj'] },
          );
          const attended = postNorm(b, tokens.value, mixed, 'norm1');
          const fed = b.linear(activate(b, b.linear(attended, 'linear1'), 'relu'), 'linear2');
          return withValue(tokens, postNorm(b, attended, fed, 'norm2'));
        },
        { title: 'Transformer block, norms behind the sums' },
      );
    return tokenAt(b, tokens, 0);
  });
  return b.scope('mlp_classifier', () => b.linear(activate(b, b.linear(read, 'linear1'), 'relu'), 'linear2'));
}

/**
 * Convolutions with the weights of one of two kinds of scenes, chosen when the graph runs: one head
 * is computed, whichever it is.
 */
function layersOf(b: GraphBuilder, isFirst: ValueInfo, domains: readonly string[]): Layer {
  return (map, path) => {
    if (!path.includes('#')) return convolution(b, map, path);
    const chosen = (leaf: string): ValueInfo => {
      const [one, other] = domains.map((domain) => b.parameter(`${path.replace('#', domain)}.${leaf}`));
      if (!one || !other) throw new Error('two kinds of scenes are needed');
      return b.add('Where', [isFirst, one, other]);
    };
    const weight = chosen('weight');
    return b.add(
      'Conv',
      [map, weight, chosen('bias')],
      { kernel_shape: ints(weight.shape.slice(2)) },
      { name: path.replace('.#', '') },
    );
  };
}

/**
 * The depth of the likelier of two kinds of scenes (Bhat et al. 2023, §3.3), by the scores of all
 * images of a batch together, as the library adds them.
 */
function ofLikelier(b: GraphBuilder, inputs: MetricInputs, config: ZoeDepthConfig): ValueInfo {
  const scores = domainScores(b, inputs.bottleneck, config);
  b.output('domain_logits', scores, 'state');
  const [first, second] = b.split(b.add('ReduceSum', [scores, b.indices([0])], { keepdims: int(1) }), 2, 1);
  if (!first || !second || config.domains.length !== 2) throw new Error('two kinds of scenes are needed');
  const isFirst = b.reshape(b.add('GreaterOrEqual', [first, second]), [1]);
  return metricDepth(b, inputs, config, layersOf(b, isFirst, config.domains));
}

function build(b: GraphBuilder, config: ZoeDepthConfig, context: PartContext): void {
  const { steps, narrowed } = fusedMaps(b, config, context);
  const map = headMap(steps, config.headIndex);
  const [features, relative] = b.scope('relative_head', () => relativeHead(b, map), {
    title: 'Relative depth head',
  });
  const depth = b.scope(
    'metric_head',
    () => {
      const bottleneck = convolution(b, at(narrowed, narrowed.length - 1), 'conv2');
      const inputs = { features, relative, steps, bottleneck };
      return config.domains.length > 0
        ? ofLikelier(b, inputs, config)
        : metricDepth(b, inputs, config, (map, path) => convolution(b, map, path));
    },
    { title: 'Metric depth head' },
  );
  b.output('predicted_depth', depthOf(b, depth), 'depth');
  if (config.domains.length > 0) b.output('relative_depth', depthOf(b, relative), 'state');
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
  hasNoBias,
  isTower: true,
  assumable: [
    'out_layers',
    'readout',
    'readout_activation',
    'attraction',
    'min_temperature',
    'max_temperature',
    'domain_heads',
  ],
  idle: neverComputed,
  recognise,
  parts: [{ name: 'whole', build }],
};

/** The same with a head for each of two kinds of scenes, and a classifier that tells them apart. */
export const zoeDepthDomains: Whole<ZoeDepthConfig> = {
  ...zoeDepth,
  name: 'zoedepth-domains',
  signature: [
    'relative_head.conv1.weight',
    'metric_head.patch_transformer.embedding_convPxP.weight',
    'metric_head.patch_transformer.transformer_encoder.0.norm1.weight',
    'metric_head.mlp_classifier.linear2.weight',
  ],
};
