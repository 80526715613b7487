import { at } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { int, ints, type ValueInfo } from '../../graph/graph';
import { convNorm, convolution, gateChannels, globalMean, squeezeExcite } from './convolution';
import { activate, residual } from './layers';
import { gridOf, gridTokens, mapNorm, mapToTokens, tokensToMap } from './maps';
import { mergeHeads, splitHeads } from './transformer';

/** PyTorch's default, which the norms inside these modules have. */
const eps = 1e-5;

const sigmoid = (b: GraphBuilder, x: ValueInfo): ValueInfo => b.add('Sigmoid', [x]);

/** Two 1 × 1 convolutions with ReLU between them on the channels of a map. */
const channelMlp = (b: GraphBuilder, x: ValueInfo): ValueInfo =>
  convolution(b, activate(b, convolution(b, x, 'fc1'), 'relu'), 'fc2');

/**
 * Multiplies a map by a gate per position `[batch, 1, rows, columns]`, shown as spatial attention.
 */
function gatePositions(b: GraphBuilder, map: ValueInfo, gate: ValueInfo): ValueInfo {
  const grid = gridOf(map);
  const row = b.reshape(gate, [at(map.shape, 0), 1, 1, grid[0] * grid[1]]);
  b.probe(row, {
    layer: b.scopePath,
    kind: 'spatial',
    queries: { special: ['gate'] },
    keys: { special: [], grid },
  });
  return b.add('Mul', [map, b.reshape(row, gate.shape)]);
}

/**
 * Convolutional block attention (Woo et al. 2018): a gate per channel of means and maxima, then one
 * per position of the same over channels.
 */
function cbam(b: GraphBuilder, map: ValueInfo): ValueInfo {
  const gated = b.scope(
    'channel',
    () => {
      const maxima = b.add('GlobalMaxPool', [map]);
      const sum = b.add('Add', [channelMlp(b, globalMean(b, map)), channelMlp(b, maxima)]);
      return gateChannels(b, map, sigmoid(b, sum), b.scopePath);
    },
    { title: 'Channel attention', formula: 'x · σ(MLP(mean(x)) + MLP(max(x)))' },
  );
  return b.scope(
    'spatial',
    () => {
      const over = (op: string): ValueInfo => b.add(op, [gated, b.indices([1])], { keepdims: int(1) });
      const both = b.concat([over('ReduceMean'), over('ReduceMax')], 1);
      return gatePositions(b, gated, sigmoid(b, convNorm(b, both, 'conv.conv', 'conv.bn', { eps })));
    },
    { title: 'Spatial attention', formula: 'x · σ(conv([mean(x), max(x)]))' },
  );
}

/**
 * Efficient channel attention (Wang et al. 2020): a convolution along the channel means makes the
 * gate.
 */
function efficient(b: GraphBuilder, map: ValueInfo): ValueInfo {
  const [batch, channels] = map.shape as readonly [number, number];
  const weight = b.parameter('conv.weight');
  const reach = (at(weight.shape, 2) - 1) / 2;
  const means = b.reshape(globalMean(b, map), [batch, 1, channels]);
  const mixed = b.add('Conv', [means, weight], { pads: ints([reach, reach]) }, { name: 'conv' });
  return gateChannels(b, map, sigmoid(b, mixed), b.scopePath);
}

/**
 * Effective squeeze and excitation (Lee & Park 2020, CenterMask §3.2): one layer of as many
 * channels on their means makes the gate.
 */
export function effectiveExcite(
  b: GraphBuilder,
  map: ValueInfo,
  name: string,
  { layer, gate }: { readonly layer: string; readonly gate: string },
): ValueInfo {
  return b.scope(
    name,
    () => gateChannels(b, map, activate(b, convolution(b, globalMean(b, map), layer), gate), b.scopePath),
    { title: 'Effective squeeze and excitation', formula: `x · ${gate}(W · mean(x))` },
  );
}

/**
 * Where the context module looks: softmax over the positions of one score each,
 * `[batch, 1, 1, positions]`.
 */
function contextMap(b: GraphBuilder, map: ValueInfo, [rows, columns]: Grid): ValueInfo {
  const scores = b.reshape(convolution(b, map, 'conv_attn'), [at(map.shape, 0), 1, 1, rows * columns]);
  const looks = b.add('Softmax', [scores], { axis: int(-1) });
  b.probe(looks, {
    layer: b.scopePath,
    kind: 'pool',
    queries: { special: ['context'] },
    keys: { special: [], grid: [rows, columns] },
  });
  return looks;
}

/**
 * Global context (Cao et al. 2019): channels are weighed by a gate made of what one attention over
 * all positions pools, or it is added to them.
 */
function globalContext(b: GraphBuilder, map: ValueInfo): ValueInfo {
  const [batch, channels, rows, columns] = map.shape as readonly [number, number, number, number];
  const values = b.reshape(b.transpose(map, [0, 2, 3, 1]), [batch, 1, rows * columns, channels]);
  const looks = contextMap(b, map, [rows, columns]);
  const context = b.reshape(b.add('MatMul', [looks, values], {}, { name: '/mix' }), [batch, channels, 1, 1]);
  const mixed = (name: string): ValueInfo =>
    b.scope(name, () => {
      const hidden = activate(b, mapNorm(b, convolution(b, context, 'fc1'), 'norm', 1e-6), 'relu');
      return convolution(b, hidden, 'fc2');
    });
  const adds = b.has('mlp_add.fc1.weight');
  const scales = b.has('mlp_scale.fc1.weight') || !adds;
  const weighed = scales ? b.add('Mul', [map, sigmoid(b, mixed('mlp_scale'))]) : map;
  return adds ? residual(b, weighed, mixed('mlp_add')) : weighed;
}

/**
 * Non-local block (Wang et al. 2018, eq. 6): self-attention over all positions with its own
 * projections t, p, g, z; x + norm(z(…)).
 */
function nonLocal(b: GraphBuilder, map: ValueInfo): ValueInfo {
  const [batch, channels] = map.shape as readonly [number, number];
  const grid = gridOf(map);
  const layout = { special: [], grid };
  const heads = (name: string): ValueInfo =>
    splitHeads(b, mapToTokens(b, convolution(b, map, name)).value, batch, 1);
  const [q, k, v] = [heads('t'), heads('p'), heads('g')];
  const mixed = b.attention(q, k, v, {
    scale: 1 / Math.sqrt(channels),
    probe: { layer: b.scopePath, kind: 'self', queries: layout, keys: layout },
  });
  const mixedMap = tokensToMap(b, gridTokens(mergeHeads(b, mixed), batch, grid));
  return residual(b, map, convNorm(b, mixedMap, 'z', 'norm', { eps }));
}

type Write = (b: GraphBuilder, map: ValueInfo) => ValueInfo;

/** An attention module of convolutional networks, recognised by a parameter that only it has. */
export interface ChannelAttention {
  readonly has: string;
  /** What models with it are called by: `SE-ResNet-50`. */
  readonly name: 'SE' | 'CBAM' | 'ECA' | 'GC' | 'NL';
  readonly build: (b: GraphBuilder, map: ValueInfo, name: string) => ValueInfo;
}

const inModule =
  (title: string, formula: string, write: Write): ChannelAttention['build'] =>
  (b, map, name) =>
    b.scope(name, () => write(b, map), { title, formula });

/** Under the names of timm's modules. */
export const channelAttentions: readonly ChannelAttention[] = [
  {
    has: 'fc1.weight',
    name: 'SE',
    build: (b, map, name) =>
      squeezeExcite(b, map, name, { reduce: 'fc1', expand: 'fc2', activation: 'relu', gate: 'sigmoid' }),
  },
  {
    has: 'channel.fc1.weight',
    name: 'CBAM',
    build: inModule('Convolutional block attention', 'spatial(channel(x))', cbam),
  },
  {
    has: 'conv.weight',
    name: 'ECA',
    build: inModule('Efficient channel attention', 'x · σ(conv(mean(x)))', efficient),
  },
  {
    has: 'conv_attn.weight',
    name: 'GC',
    build: inModule('Global context', 'x · σ(MLP(softmax(Wx)·x))', globalContext),
  },
  {
    has: 't.weight',
    name: 'NL',
    build: inModule('Non-local block', 'x + norm(W · softmax(QKᵀ/√C)·V)', nonLocal),
  },
];

/** The attention module stored under `name`, applied to a map; the map itself if there is none. */
export function channelAttention(b: GraphBuilder, map: ValueInfo, name: string): ValueInfo {
  const kind = channelAttentions.find(({ has }) => b.has(`${name}.${has}`));
  return kind ? kind.build(b, map, name) : map;
}
