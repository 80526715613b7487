import { at, last } from '../../domain/lists';
import { bothSides, type Sides } from '../../domain/probes';
import type { Grid, Size } from '../../domain/size';
import { ParameterError, type GraphBuilder } from '../../graph/builder';
import type { ModuleNote, ValueInfo } from '../../graph/graph';
import { convNorm, convolution } from '../blocks/convolution';
import { maybeNorm, norm, withValue, type Tokens } from '../blocks/layers';
import {
  gridOfLayout,
  gridSequence,
  gridTokens,
  mapToTokens,
  meanOfTokens,
  paddedToMultiple,
} from '../blocks/maps';
import { distances } from '../blocks/relativePosition';
import { stages, tokenStage, type Place, type TokenMaps } from '../blocks/stages';
import { rearranged, windowsOf, type Windows } from '../blocks/windows';
import type { BuildOptions, ConfigValue, Evidence, Found, Recognised } from '../family';
import { configOf, numbersIn, sideOrPair, stored } from '../evidence';
import { answer } from '../heads/classifier';
import { reconstruct } from '../heads/reconstruction';
import { sizeOf, sizeTitle, type Sizes } from '../sizes';
import { type Sources, activationOf, classesOf, imageSizeOf, recognisedFrom, stageDepths } from '../decide';
import { epsOf } from './isotropicConfig';

/**
 * How libraries fit a window to a map that it covers. timm: each side of the window is at most the
 * map's, which is not shifted along a side that one window covers. transformers: a square at most
 * as large as the smaller side (Swin) or as the rows (Swin v2), and no shift at all if it covers
 * that side. torchvision: always the whole window, with zeros around a smaller map; transformers
 * does likewise if the network is the backbone of a detector or segmenter, and shifts it even then.
 */
const fits = {
  'each side': (map, window) => {
    const size = [Math.min(map[0], window[0]), Math.min(map[1], window[1])] as const;
    return windowsOf(map, size, { shift: shiftAlong(map, window), rolls: 'map' });
  },
  'smaller side': (map, window) => squareWindows(map, Math.min(map[0], map[1]), window),
  // transformers' Swin v2 adds the mask twice; it fits windows to the maps of the configured image.
  rows: (map, window, [rows] = map) => ({ ...squareWindows(map, rows, window), mask: -200 }),
  never: (map, window) => {
    const { padded } = windowsOf(map, window);
    return windowsOf(map, window, { shift: shiftAlong(padded, window), rolls: 'padded' });
  },
  'never, always shifted': (map, window) =>
    windowsOf(map, window, { shift: [window[0] >> 1, window[1] >> 1], rolls: 'padded' }),
} as const satisfies Record<string, (map: Grid, window: Grid, configured?: Grid) => Windows>;

/** How a window is fitted to a smaller map. */
export type WindowFit = keyof typeof fits;

/** Windows of a map as a library fits them, by the map of the configured image if that decides. */
export const fittedWindows = (fit: WindowFit, map: Grid, window: Grid, configured?: Grid): Windows =>
  fits[fit](map, window, configured);

/** transformers pads images to whole patches; the others leave out what is behind the last. */
const paddingFits: ReadonlySet<WindowFit> = new Set<WindowFit>([
  'smaller side',
  'rows',
  'never, always shifted',
]);

/**
 * What shows that the network is a larger model's backbone: norms that transformers ends its stages
 * with, or mmsegmentation's head, whose own Swin pads every map to whole windows.
 */
const normsOfStages = /^beside\.(?:.*\bhidden_states_norms|decode_head\.conv_seg)\./;

/**
 * How the library that named the weights fits windows to small maps, by its dialect, if the network
 * is not transformers' backbone of a larger model; else as timm does.
 */
export function windowFitOf(
  { dialect, tensors }: Found,
  byDialect: Readonly<Partial<Record<string, WindowFit>>>,
): WindowFit {
  const fit = byDialect[dialect.name] ?? 'each side';
  const isPart = paddingFits.has(fit) && [...tensors.keys()].some((name) => normsOfStages.test(name));
  return isPart ? 'never, always shifted' : fit;
}

/** Whether the library that named the weights merges patches in `nn.Unfold`'s order. */
export const unfoldsIn = ({ dialect }: Found): boolean => dialect.name === 'mmpretrain';

/** Half of the window, none along a side that one window covers. */
function shiftAlong(map: Grid, window: Grid): Grid {
  const by = (axis: 0 | 1): number => (map[axis] <= window[axis] ? 0 : Math.floor(window[axis] / 2));
  return [by(0), by(1)];
}

function squareWindows(map: Grid, side: number, [window]: Grid): Windows {
  const size = Math.min(side, window);
  return windowsOf(map, size, { shift: side <= window ? 0 : Math.floor(window / 2), rolls: 'padded' });
}

/**
 * A window as people write it: one number or `[rows, columns]` for all stages, or a number for
 * each.
 */
export type WindowValue = number | readonly number[];

/** Windows of the stages, if they are not clipped. */
export function windowsByStage(value: ConfigValue, stageCount: number): readonly Grid[] {
  const sides = numbersIn(value);
  const [rows = 0, columns = rows] = sides;
  return Array.from({ length: stageCount }, (_, stage) => {
    if (sides.length <= 2) return [rows, columns] as const;
    const side = at(sides, stage);
    return [side, side] as const;
  });
}

/** Whether a value of `window` can be meant for so many stages. */
export function isWindow(value: ConfigValue, stageCount: number): boolean {
  const sides = numbersIn(value);
  const isCount = [1, 2, stageCount].includes(sides.length);
  return isCount && sides.every((side) => Number.isInteger(side) && side > 0);
}

/** Windows of the stages as a value of `window`: one number if they are the same. */
export const windowValue = (sides: readonly number[]): WindowValue =>
  new Set(sides).size === 1 ? at(sides, 0) : sides;

/** Windows with as many distances as a table has rows, the squarest first. */
export function windowsOfTable(rows: number): readonly Grid[] {
  const odd = Array.from({ length: Math.ceil(rows / 2) }, (_, index) => 2 * index + 1);
  return odd
    .filter((side) => rows % side === 0 && (rows / side) % 2 === 1)
    .map((side): Grid => [(side + 1) / 2, (rows / side + 1) / 2])
    .sort((a, b) => Math.abs(a[0] - a[1]) - Math.abs(b[0] - b[1]));
}

/**
 * The window that a table of so many rows was made for: one of those expected here, else the
 * squarest. Throws if there is none.
 */
export function windowOfTable(name: string, rows: number, expected: readonly Grid[]): Grid {
  const found = expected.find((window) => distances(window) === rows) ?? windowsOfTable(rows)[0];
  if (found) return found;
  throw new ParameterError(name, `${rows} rows found, (2·rows − 1)·(2·columns − 1) of a window are needed`);
}

/** Where the stages of a model with shifted windows lie: `layers` or `stages`. */
interface StageNames {
  readonly stages: string;
  /** What shows the heads of a block. */
  readonly heads: (block: string) => { readonly name: string; readonly axis: number };
}

/** Hyper-parameters that all models with shifted windows have, but for the window. */
type ShiftedEvidence = Readonly<
  Record<'channels' | 'eps' | 'classes', Evidence<number>> &
    Record<'dim' | 'depth' | 'heads' | 'mlp_ratio', Evidence<readonly number[]>> & {
      patch: Evidence<Sides>;
      activation: Evidence<string>;
    }
> & { readonly sampling_eps?: Evidence<number> };

/** What the patch embedding shows: pixels of a patch, and channels. */
interface Patches {
  readonly sides: Size;
  readonly channels: number;
  readonly source: string;
}

/** PyTorch's default of its norms. */
const stemEps = 1e-5;

/** The convolutions of a stem that halve the map; a convolution of 1 × 1 follows them. */
const halving = ['proj.0', 'proj.3'] as const;

/**
 * Patches of the embedding: those of its one convolution, or of a stem of two (CTransPath, Wang et
 * al. 2022); undefined if it is neither.
 */
function patchesOf(tensors: Found['tensors']): Patches | undefined {
  const source = 'patch_embed.proj.weight';
  const [, channels, height, width] = tensors.get(source)?.shape ?? [];
  if (channels && height && width) return { sides: [height, width], channels, source };
  const stem = halving.map((name) => `patch_embed.${name}.weight`);
  const first = tensors.get(at(stem, 0))?.shape;
  const isStem = tensors.has(at(stem, 1)) && tensors.has('patch_embed.proj.6.weight');
  if (first?.length !== 4 || !isStem) return undefined;
  const side = 2 ** stem.length;
  return { sides: [side, side], channels: at(first, 1), source: stem.join(', ') };
}

/**
 * transformers builds the norms of patches and of their merging without `layer_norm_eps`: they have
 * PyTorch's default, which is shown if the others have not.
 */
const samplingEps = (
  { found: { dialect } }: Sources,
  { value }: Evidence<number>,
): { readonly sampling_eps?: Evidence<number> } =>
  /^transformers/.test(dialect.name) && value !== stemEps
    ? { sampling_eps: stored(stemEps, `as ${dialect.title} builds them`) }
    : {};

/** Reads the hyper-parameters but for the window; undefined if a stage has none of the names. */
export function shiftedEvidence(
  sources: Sources,
  { stages: list, heads }: StageNames,
): ShiftedEvidence | undefined {
  const { tensors } = sources.found;
  const depth = stageDepths(tensors, list);
  const [first, ...others] = depth.map((_, stage) => `${list}.${stage}.blocks`);
  const patch = patchesOf(tensors);
  if (!patch || first === undefined) return undefined;
  const blocks = [first, ...others];
  const side = (name: string, axis: number): number => tensors.get(name)?.shape[axis] ?? 0;
  const hidden = blocks.map((path) => side(`${path}.0.mlp.fc1.weight`, 0));
  const dim = blocks.map((path) => side(`${path}.0.mlp.fc1.weight`, 1));
  const counts = blocks.map((path) => heads(`${path}.0`)).map(({ name, axis }) => side(name, axis));
  if ([...dim, ...counts].includes(0)) return undefined;
  const eps = epsOf(sources, 1e-5);
  return {
    patch: stored(sideOrPair(patch.sides), patch.source),
    channels: stored(patch.channels, patch.source),
    dim: stored(dim, `${first}.0.mlp.fc1.weight`),
    depth: stored(depth, `${last(blocks)}.${last(depth) - 1}`),
    heads: stored(counts, heads(`${first}.0`).name),
    mlp_ratio: stored(
      hidden.map((units, stage) => units / at(dim, stage)),
      `${first}.0.mlp.fc1.weight`,
    ),
    activation: activationOf(sources),
    eps,
    ...samplingEps(sources, eps),
    classes: classesOf(tensors, 'head.fc'),
  };
}

/** Hyper-parameters of every model with shifted windows that the user may set. */
export const shiftedAssumable = ['window', 'activation', 'eps'] as const;

/** What every model with shifted windows is built by, but for the window. */
export interface ShiftedConfig {
  readonly patch: Size;
  readonly channels: number;
  readonly depth: readonly number[];
  readonly heads: readonly number[];
  readonly activation: string;
  readonly eps: number;
  /** Of the norms of patches and of their merging, if it is another there. */
  readonly sampling_eps?: number | undefined;
  readonly windowFit: WindowFit;
  /** Patch merging gathers its neighbours channel by channel, as `nn.Unfold` does. */
  readonly unfolds?: boolean;
}

/** The config that the hyper-parameters settle. */
export const shiftedConfig = (settled: ShiftedEvidence, windowFit: WindowFit): ShiftedConfig => ({
  ...configOf(settled),
  patch: bothSides(settled.patch.value),
  windowFit,
});

/** Sizes of Liu et al. 2021 and 2022 (Swin, Swin V2). */
export const swinSizes: Sizes = {
  '2,2,6,2 96': 'T',
  '2,2,18,2 96': 'S',
  '2,2,18,2 128': 'B',
  '2,2,18,2 192': 'L',
  '2,2,18,2 352': 'H',
  '2,2,42,2 512': 'G',
};

/**
 * Sizes that a search found (Chen et al. 2021, S3), by blocks, first width and the windows of the
 * stages.
 */
const searched: Sizes = {
  '2,2,6,2 96,7,7,14,7': 'S3-T',
  '2,2,18,2 96,14,14,14,7': 'S3-S',
  '2,2,30,2 96,7,7,14,7': 'S3-B',
};

/** The same with the window, if it is a hyper-parameter of its own. */
type WindowedEvidence = ShiftedEvidence & { readonly window?: Evidence<WindowValue> };

/** `Swin-T, window 7`, `Swin-S3-T`; a window that is assumed is not part of the name. */
function titleOf(name: string, { depth, dim, window }: WindowedEvidence): string {
  const windows = window ? numbersIn(window.value) : [];
  const found = sizeOf(searched, depth.value, [at(dim.value, 0), ...windows]);
  if (found) return `${name}-${found}`;
  const told = window?.assumed === false;
  const of = told ? `, window ${windows.join(windows.length === 2 ? ' × ' : ', ')}` : '';
  return sizeTitle(name, swinSizes, depth.value, dim.value) + of;
}

/** What a family adds to its hyper-parameters. */
interface ShiftedModel<C> {
  readonly label: string;
  readonly name: string;
  readonly config: C;
  /** Image size if none is stated. */
  readonly usual: Grid | Evidence<Grid>;
  /** Windows that the weights allow, the usual ones first. */
  readonly windows: readonly ConfigValue[];
}

/**
 * A recognition of a model with shifted windows. Images may have any size that holds a patch: maps
 * are padded to whole windows.
 */
export function recognisedShifted<C extends ShiftedConfig>(
  sources: Sources,
  settled: WindowedEvidence,
  { label, name, config, usual, windows: choices }: ShiftedModel<C>,
): Recognised<C> {
  const { imageSize, evidence: sized } = imageSizeOf(sources, usual);
  return recognisedFrom(sources, {
    label,
    title: titleOf(name, settled),
    evidence: { ...settled, image_size: sized },
    config,
    imageSize,
    sizeStep: config.patch,
    choices: { window: choices },
    pixels: 'imagenet',
  });
}

/** One block of a stage and where it stands. */
export interface ShiftedPlace {
  readonly windows: Windows;
  readonly stage: number;
  /** Path of the block: `layers.2.blocks.5`. */
  readonly layer: string;
  readonly heads: number;
  readonly eps: number;
  readonly activation: string;
}

type Neighbour = readonly [below: 0 | 1, right: 0 | 1];

/** The four tokens that patch merging joins, column by column and row by row. */
const byColumns: readonly Neighbour[] = [
  [0, 0],
  [1, 0],
  [0, 1],
  [1, 1],
];
const byRows: readonly Neighbour[] = byColumns.map(([below, right]) => [right, below]);

/**
 * For each token of the next stage the four it is made of; as many as the map has tokens stands for
 * a zero.
 */
function mergingOrder([rows, columns]: Grid, neighbours: readonly Neighbour[]): Int32Array {
  const order: number[] = [];
  for (let row = 0; row < rows; row += 2)
    for (let column = 0; column < columns; column += 2)
      for (const [down, aside] of neighbours) {
        const [below, right] = [row + down, column + aside];
        order.push(below < rows && right < columns ? below * columns + right : rows * columns);
      }
  return Int32Array.from(order);
}

/** Four neighbours side by side, `[tokens / 4, 4 · dim]`: one after the other, or by channels. */
function joined(b: GraphBuilder, moved: ValueInfo, unfolds: boolean): ValueInfo {
  const [rows = 0, dim = 0] = moved.shape;
  const each = unfolds ? b.transpose(b.reshape(moved, [rows / 4, 4, dim]), [0, 2, 1]) : moved;
  return b.reshape(each, [rows / 4, 4 * dim]);
}

/**
 * Patch merging (Liu et al. 2021, §3.1): 2 × 2 neighbours side by side, zeros at odd edges, and a
 * linear layer. Its norm stands before the layer (Swin) or after it (Swin v2), as its width shows.
 */
function patchMerging(
  b: GraphBuilder,
  tokens: Tokens,
  name: string,
  { eps: own, sampling_eps: eps = own, unfolds = false }: ShiftedConfig,
): Tokens {
  return b.scope(
    name,
    () => {
      const map = gridOfLayout(tokens.layout);
      const order = (): Int32Array => mergingOrder(map, unfolds ? byRows : byColumns);
      const moved = rearranged(b, tokens, `merging ${map.join('x')}`, order);
      const merged = joined(b, moved, unfolds);
      const before = b.shapeOf('norm.weight')[0] === merged.shape[1];
      const reduced = b.linear(before ? norm(b, merged, 'norm', eps) : merged, 'reduction');
      const value = before ? reduced : norm(b, reduced, 'norm', eps);
      return gridTokens(value, tokens.batch, [Math.ceil(map[0] / 2), Math.ceil(map[1] / 2)]);
    },
    { title: 'Patch merging', formula: '2 × 2 neighbours, concatenated: W·x' },
  );
}

/**
 * A stem of convolutions in the place of the patch embedding (Wang et al. 2022, CTransPath, §3.2).
 */
function stem(b: GraphBuilder, pixels: ValueInfo): ValueInfo {
  const options = { eps: stemEps, stride: 2, activation: 'relu' };
  const half = convNorm(b, pixels, 'proj.0', 'proj.1', options);
  return convolution(b, convNorm(b, half, 'proj.3', 'proj.4', options), 'proj.6');
}

/** Patches of the pixels as tokens of a map, with the norm that follows. */
function embedded(
  b: GraphBuilder,
  { channels, patch, windowFit, eps: own, sampling_eps: eps = own }: ShiftedConfig,
  { imageSize, batch }: BuildOptions,
): Tokens {
  const pixels = b.input('pixel_values', [batch, channels, ...imageSize]);
  return b.scope(
    'patch_embed',
    () => {
      const whole = paddingFits.has(windowFit) ? paddedToMultiple(b, pixels, patch) : pixels;
      const map = b.has('proj.weight') ? b.conv2d(whole, 'proj', { stride: patch }) : stem(b, whole);
      const tokens = mapToTokens(b, map);
      return withValue(tokens, maybeNorm(b, tokens.value, 'norm', eps));
    },
    { title: 'Patch embedding' },
  );
}

/** What the stages of a family differ in. */
interface ShiftedStages {
  /** Path of the list of stages. */
  readonly list: string;
  /** Writes one block in its own scope. */
  readonly block: (tokens: Tokens, place: ShiftedPlace) => Tokens;
  /** Window of a stage if it is not clipped, by the patches of the whole image. */
  readonly window: (stage: number, patches: Grid) => Grid;
  /** Map of a stage that windows are fitted to, if it is not the one that runs. */
  readonly fitted?: ((stage: number) => Grid | undefined) | undefined;
}

/**
 * Writes pixels through all stages: patch merging first, if the stage has one, then blocks of which
 * every second shifts its windows. Returns what each stage ends with.
 */
export function shiftedStages(
  b: GraphBuilder,
  config: ShiftedConfig,
  options: BuildOptions,
  { list, block, window, fitted }: ShiftedStages,
): readonly Tokens[] {
  const { depth, heads, eps, activation, windowFit } = config;
  const all = embedded(b, config, options);
  const first = options.visible?.(b, all) ?? all;
  const patches = gridOfLayout(first.layout);
  const windowsAt = ({ stage, index }: Place, { layout }: Tokens): Windows => {
    const windows = fittedWindows(windowFit, gridOfLayout(layout), window(stage, patches), fitted?.(stage));
    return index % 2 === 1 ? windows : { ...windows, shift: [0, 0] };
  };
  return stages(b, first, {
    depths: depth,
    module: (stage) => ({ path: `${list}.${stage}`, note: { title: `Stage ${stage + 1}` } }),
    enter: (tokens, stage) => (stage > 0 ? patchMerging(b, tokens, 'downsample', config) : tokens),
    path: ({ index }) => `blocks.${index}`,
    note: (place, tokens) => noteOf(windowsAt(place, tokens)),
    block: (tokens, place) => {
      const { stage, index } = place;
      const layer = `${list}.${stage}.blocks.${index}`;
      const windows = windowsAt(place, tokens);
      return block(tokens, { windows, stage, layer, heads: at(heads, stage), eps, activation });
    },
  });
}

const noteOf = ({ size, shift }: Windows): ModuleNote => ({
  title: `Transformer block, windows of ${size.join(' × ')}${shift.some((by) => by > 0) ? `, shifted by ${shift.join(' × ')}` : ''}`,
});

/**
 * The norm behind the last stage. Backbones of other models (Donut, detectors) have none; a
 * classifier without one has lost it.
 */
export const lastNorm = (b: GraphBuilder, end: Tokens, eps: number): Tokens =>
  withValue(end, (b.has('head.fc.weight') ? norm : maybeNorm)(b, end.value, 'norm', eps));

/** What stages hand to a head; `tokens` are the last ones after their norm, if they have one. */
export const shiftedMaps = (ends: readonly Tokens[], tokens: Tokens, imageSize: Size): TokenMaps => ({
  stages: ends.map((end) => tokenStage(end, imageSize)),
  tokens,
});

/**
 * The normed map, its mean and the classifier; the pixels as well, if a decoder of masked ones is
 * stored.
 */
export function shiftedHead(b: GraphBuilder, { tokens }: TokenMaps): void {
  const all = gridSequence(b, tokens);
  reconstruct(b, all);
  answer(b, meanOfTokens(b, tokens), all, 'head.fc');
}
