import { at, last, product } from '../../domain/lists';
import { answer } from '../heads/classifier';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { int, ints, type ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { norm, residual, withValue, type Tokens } from '../blocks/layers';
import { gridOfLayout, mapToTokens, resizedMap, sequence, tokensToMap } from '../blocks/maps';
import { stagePatches } from '../blocks/reducedAttention';
import { learnedToken, patchesOnly, pooledTokens, tokenAt, withClassToken } from '../blocks/specialTokens';
import { mergeHeads, mlp, splitHeads } from '../blocks/transformer';
import { throughStages, tokenStage, type Maps } from '../blocks/stages';
import type { BuildOptions, Evidence, Family, Found, Recognised } from '../family';
import { assumed, configOf, stored } from '../evidence';
import { sizeTitle, type Sizes } from '../sizes';
import {
  classesOf,
  countOf,
  decide,
  imageSizeOf,
  recognisedFrom,
  requireMultiple,
  sourcesOf,
  type Sources,
} from '../decide';
import { coatNames } from './names';
import { quantity } from '../../domain/units';

/** The scales, numbered in names; parallel blocks work on all but the first. */
const scales = [1, 2, 3, 4] as const;
const parallelScales = [2, 3, 4] as const;

/** By the serial blocks (Xu et al. 2021, CoaT, tables 1 and 2). */
const sizes: Readonly<Record<'CoaT' | 'CoaT-Lite', Sizes>> = {
  CoaT: { '2,2,2,2 152,152': 'Tiny', '2,2,2,2 152,216': 'Mini', '2,2,2,2 152,320': 'Small' },
  'CoaT-Lite': {
    '2,2,2,2 64,128,256': 'Tiny',
    '2,2,2,2 64,128,320': 'Mini',
    '3,4,6,3 64': 'Small',
    '3,6,10,8 128': 'Medium',
  },
};

const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));

/**
 * Channels and kernels of the convolutions among which the heads of the first scale are shared out.
 */
function windowsOf(tensors: Found['tensors']): readonly (readonly [channels: number, kernel: number])[] {
  return Array.from({ length: countOf(tensors, 'crpe1.conv_list') }, (_, index) => {
    const [channels, , kernel] = tensors.get(`crpe1.conv_list.${index}.weight`)?.shape ?? [];
    return [channels ?? 0, kernel ?? 0];
  });
}

/**
 * Heads of every block: whole ones belong to each window, so that the windows' channels bound their
 * number from above.
 */
function headsOf(sources: Sources, dims: readonly number[]): Evidence<number> {
  const common = windowsOf(sources.found.tensors).reduce((all, [channels]) => divisor(all, channels), 0);
  const most = common > 0 ? at(dims, 0) / common : 1;
  return decide(sources, 'heads', {
    config: ['num_heads'],
    published: ({ heads }) => heads?.[0],
    otherwise: assumed(most, 'the most that the windows of crpe1 allow; not stored in the weights'),
    is: (value) => Number(value) > 0 && dims.every((dim) => dim % Number(value) === 0),
    needed: `a number that divides the widths ${dims.join(', ')}`,
  });
}

interface CoatConfig extends Settings {
  /** Serial blocks of every scale. */
  readonly depth: readonly number[];
  readonly parallel_depth: number;
  readonly sampling_eps: number;
  readonly pool: 'token' | 'avg';
  /** Channels of the image. */
  readonly channels: number;
  /** Pixels per position of the last scale. */
  readonly step: number;
}

function recognise(found: Found): Recognised<CoatConfig> | undefined {
  const { tensors } = found;
  const sources = sourcesOf(found);
  const side = (name: string, axis: number): number => tensors.get(name)?.shape[axis] ?? 0;
  const dims = scales.map((scale) => side(`patch_embed${scale}.proj.weight`, 0));
  const depths = scales.map((scale) => countOf(tensors, `serial_blocks${scale}`));
  if (dims.includes(0) || depths.includes(0)) return undefined;
  const parallel = countOf(tensors, 'parallel_blocks');
  const kind = parallel > 0 ? 'CoaT' : 'CoaT-Lite';
  const patches = scales.map((scale) => side(`patch_embed${scale}.proj.weight`, 2));
  const hidden = scales.map((scale) => side(`serial_blocks${scale}.0.mlp.fc1.weight`, 0));
  const step = product(patches);
  const { imageSize, evidence: sized } = imageSizeOf(sources);
  const settled = {
    depth: stored(depths, 'serial_blocks1 … serial_blocks4'),
    parallel_depth: stored(parallel, parallel > 0 ? `parallel_blocks.${parallel - 1}` : 'none in the file'),
    dim: stored(dims, 'patch_embed1.proj.weight'),
    heads: headsOf(sources, dims),
    mlp_ratio: stored(
      dims.map((dim, index) => at(hidden, index) / dim),
      'serial_blocks1.0.mlp.fc1.weight',
    ),
    position_windows: stored(
      windowsOf(tensors).map(([, kernel]) => kernel),
      'crpe1.conv_list.0.weight',
    ),
    patch: stored(patches, 'patch_embed1.proj.weight'),
    activation: stored('gelu', 'fixed by the library'),
    eps: stored(1e-6, 'fixed by the library'),
    sampling_eps: stored(1e-5, 'fixed by the library'),
    pool: decide<CoatConfig['pool']>(sources, 'pool', {
      config: ['global_pool'],
      otherwise: stored<'token'>('token', 'the default of the library'),
      is: (value) => value === 'token' || value === 'avg',
      needed: 'token or avg',
    }),
    channels: stored(side('patch_embed1.proj.weight', 1), 'patch_embed1.proj.weight'),
    classes: classesOf(tensors, 'head'),
    image_size: sized,
  };
  return recognisedFrom(sources, {
    label: 'coat',
    title: sizeTitle(kind, sizes[kind], depths, dims),
    evidence: settled,
    config: { ...configOf(settled), step },
    imageSize,
    sizeStep: [step, step],
    pixels: 'imagenet',
  });
}

/** How every block computes. */
interface Settings {
  readonly heads: number;
  readonly eps: number;
  readonly activation: string;
}

/** The tokens with other patches `[batch, channels, rows, columns]` behind their class token. */
const withPatches = (b: GraphBuilder, tokens: Tokens, map: ValueInfo): Tokens =>
  withClassToken(b, tokenAt(b, tokens, 0), mapToTokens(b, map));

const mapOfPatches = (b: GraphBuilder, tokens: Tokens): ValueInfo => tokensToMap(b, patchesOnly(b, tokens));

/**
 * Convolutional position encoding (Xu et al. 2021, CoaT): patches plus a depthwise convolution of
 * them, shared by a scale's blocks.
 */
function positionEncoding(b: GraphBuilder, tokens: Tokens, scale: number): Tokens {
  const map = mapOfPatches(b, tokens);
  const encoded = b.scope(`cpe${scale}`, () => b.add('Add', [convolution(b, map, 'proj'), map]), {
    title: 'Convolutional position encoding',
    formula: 'x + depthwise(x)',
  });
  return withPatches(b, tokens, encoded);
}

/**
 * Convolutional relative position encoding (Xu et al. 2021, CoaT): queries times a depthwise
 * convolution of the values, whose heads have windows of different sizes; nothing for the class
 * token. `[batch, count, dim]`
 */
function relativeEncoding(b: GraphBuilder, query: Tokens, value: Tokens, scale: number): ValueInfo {
  const map = mapOfPatches(b, value);
  const windows = b.scope(
    `crpe${scale}`,
    () => {
      const widths: number[] = [];
      while (b.has(`conv_list.${widths.length}.weight`))
        widths.push(at(b.shapeOf(`conv_list.${widths.length}.weight`), 0));
      const parts = b.split(map, widths, 1);
      return b.concat(
        parts.map((part, index) => convolution(b, part, `conv_list.${index}`)),
        1,
      );
    },
    { title: 'Convolutional relative position encoding', formula: 'Q ∘ depthwise(V)' },
  );
  const patches = patchesOnly(b, query);
  const product = b.add('Mul', [patches.value, mapToTokens(b, windows).value]);
  return b.add('Pad', [sequence(b, withValue(patches, product)), b.indices([0, 1, 0, 0, 0, 0])]);
}

/**
 * Factorised attention (Xu et al. 2021, CoaT): queries times softmax(K)ᵀV, the softmax over the
 * tokens. Its products are channels by channels: there is no map over keys to look at. `path` is
 * the module's, from the root; its position encoding is the scale's.
 */
function factorisedAttention(
  b: GraphBuilder,
  tokens: Tokens,
  path: string,
  scale: number,
  heads: number,
): ValueInfo {
  const dim = at(tokens.value.shape, 1);
  const note = {
    title: `Factorised attention, ${quantity(heads, 'head')}: no map over keys`,
    formula: 'Q·(softmax(K)ᵀV)/√d + Q ∘ depthwise(V)',
  };
  const split = (x: ValueInfo): ValueInfo => splitHeads(b, x, tokens.batch, heads);
  const parts = b.scope(path, () => b.split(b.linear(tokens.value, 'qkv'), 3, 1), note);
  const [query, key, value] = [at(parts, 0), at(parts, 1), at(parts, 2)];
  const mixed = b.scope(path, () => {
    const weights = b.transpose(b.add('Softmax', [split(key)], { axis: int(2) }), [0, 1, 3, 2]);
    const context = b.add('MatMul', [weights, split(value)], {}, { name: '/context' });
    const mix = b.add('MatMul', [split(query), context], {}, { name: '/mix' });
    return mergeHeads(b, b.add('Mul', [mix, b.scalar(Math.sqrt(heads / dim))]));
  });
  const relative = relativeEncoding(b, withValue(tokens, query), withValue(tokens, value), scale);
  return b.scope(path, () => {
    const sum = b.add('Add', [mixed, b.reshape(relative, tokens.value.shape)]);
    return b.linear(sum, 'proj');
  });
}

/** A block of one scale. */
function serialBlock(
  b: GraphBuilder,
  tokens: Tokens,
  scale: number,
  path: string,
  settings: Settings,
): Tokens {
  const placed = positionEncoding(b, tokens, scale);
  const note = { title: 'Serial block' };
  const normed = b.scope(path, () => norm(b, placed.value, 'norm1', settings.eps), note);
  const attended = factorisedAttention(
    b,
    withValue(placed, normed),
    `${path}.factoratt_crpe`,
    scale,
    settings.heads,
  );
  return b.scope(path, () => {
    const x = residual(b, placed.value, attended);
    return withValue(placed, residual(b, x, mlp(b, norm(b, x, 'norm2', settings.eps), 'mlp', settings)));
  });
}

/**
 * What a scale sends to another: patches resized bilinearly to its grid, the class token as it is.
 */
function resized(b: GraphBuilder, tokens: Tokens, grid: Grid): ValueInfo {
  return withPatches(b, tokens, resizedMap(b, mapOfPatches(b, tokens), grid)).value;
}

const gridOfPatches = ({ layout }: Tokens): Grid => gridOfLayout({ grid: layout.grid });

/**
 * A parallel block (Xu et al. 2021, CoaT): each scale attends by itself, then adds what the others
 * send; one MLP serves all.
 */
function parallelBlock(
  b: GraphBuilder,
  inputs: readonly Tokens[],
  path: string,
  settings: Settings,
): readonly Tokens[] {
  const placed = inputs.map((tokens, index) => positionEncoding(b, tokens, at(parallelScales, index)));
  const note = { title: 'Parallel block' };
  const attended = placed.map((tokens, index) => {
    const scale = at(parallelScales, index);
    const normed = b.scope(path, () => norm(b, tokens.value, `norm1${scale}`, settings.eps), note);
    const name = `${path}.factoratt_crpe${scale}`;
    return withValue(tokens, factorisedAttention(b, withValue(tokens, normed), name, scale, settings.heads));
  });
  return b.scope(path, () =>
    placed.map((tokens, index) => {
      const sum = attended
        .map((from) => (from === attended[index] ? from.value : resized(b, from, gridOfPatches(tokens))))
        .reduce((all, value) => b.add('Add', [all, value]));
      const x = residual(b, tokens.value, sum);
      const normed = norm(b, x, `norm2${at(parallelScales, index)}`, settings.eps);
      return withValue(tokens, residual(b, x, mlp(b, normed, 'mlp2', settings)));
    }),
  );
}

/**
 * The serial blocks of all scales, each over the patches of the one before with its own class
 * token.
 */
function serialScales(b: GraphBuilder, pixels: ValueInfo, config: CoatConfig): readonly Tokens[] {
  const cut = { eps: config.sampling_eps };
  const patchesOf = (map: ValueInfo, scale: number): Tokens =>
    stagePatches(b, map, `patch_embed${scale}`, cut);
  const first = patchesOf(pixels, 1);
  return throughStages(first, scales.length, (before, index) => {
    const scale = at(scales, index);
    const patches = index === 0 ? before : patchesOf(mapOfPatches(b, before), scale);
    let tokens = withClassToken(b, learnedToken(b, `cls_token${scale}`, patches.batch), patches);
    for (let block = 0; block < at(config.depth, index); block++)
      tokens = serialBlock(b, tokens, scale, `serial_blocks${scale}.${block}`, config);
    return tokens;
  });
}

/** Weighted sum `[batch, dim]` of one vector per scale. */
function aggregate(b: GraphBuilder, vectors: readonly ValueInfo[]): ValueInfo {
  const [batch = 1, dim = 0] = at(vectors, 0).shape;
  const count = vectors.length;
  const stacked = b.concat(
    vectors.map((vector) => b.reshape(vector, [batch, 1, dim, 1])),
    1,
  );
  const sum = b.add(
    'Conv',
    [stacked, b.parameter('aggregate.weight', [1, count, 1, 1]), b.parameter('aggregate.bias')],
    { kernel_shape: ints([1, 1]) },
    { name: 'aggregate' },
  );
  return b.reshape(sum, [batch, dim]);
}

interface CoatMaps extends Maps {
  /** Tokens that the head reads, after their norms: of the last scale, or of the last three. */
  readonly scales: readonly Tokens[];
}

/** Serial blocks, then parallel ones if they are stored. */
function build(b: GraphBuilder, config: CoatConfig, { imageSize, batch }: BuildOptions): CoatMaps {
  const { parallel_depth: parallel, step } = config;
  if (parallel > 0) requireMultiple(imageSize, [step, step]);
  const pixels = b.input('pixel_values', [batch, config.channels, ...imageSize]);
  const serial = serialScales(b, pixels, config);
  let ends: readonly Tokens[] = parallel > 0 ? serial.slice(1) : serial.slice(-1);
  for (let block = 0; block < parallel; block++)
    ends = parallelBlock(b, ends, `parallel_blocks.${block}`, config);
  const before = scales.length - ends.length;
  const normed = ends.map((tokens, index) =>
    withValue(tokens, norm(b, tokens.value, `norm${before + index + 1}`, config.eps)),
  );
  const all = [...serial.slice(0, before), ...ends];
  return { stages: all.map((tokens) => tokenStage(tokens, imageSize)), scales: normed };
}

/** Classifies class tokens, or means, of the last scale, or of the last three together. */
function head(b: GraphBuilder, { scales: ends }: CoatMaps, { pool }: CoatConfig): void {
  const all = sequence(b, last(ends));
  const pooled = ends.map((tokens) => pooledTokens(b, tokens, pool));
  answer(b, pooled.length > 1 ? aggregate(b, pooled) : at(pooled, 0), all);
}

/**
 * CoaT (Xu et al. 2021, "Co-Scale Conv-Attentional Image Transformers"): factorised attention,
 * positions from convolutions, scales that exchange.
 */
export const coat: Family<CoatConfig, CoatMaps> = {
  name: 'coat',
  title: 'CoaT',
  names: coatNames,
  // The authors' files of CoaT-Lite have norms of all scales.
  idle: /^norm[123]\./,
  assumable: ['heads', 'pool'],
  recognise,
  build,
  head,
};
