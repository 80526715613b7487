import { answer } from '../heads/classifier';
import type { Grid } from '../../domain/size';
import { ParameterError, type GraphBuilder } from '../../graph/builder';
import { int, text, type ValueInfo } from '../../graph/graph';
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
import { rearranged, windowsOf, type Windows } from '../blocks/windows';
import type { BuildOptions, ConfigValue, Evidence, Found, EvidenceRecord, Recognised } from '../family';
import { numberOf, numbersOf, pairOf, sideOrPair, stored, wordOf } from '../figures';
import { sizeOf, sizeTitle, type Sizes } from '../sizes';
import { classesOf, countOf, imageSizeOf, recognisedFrom, type Sources } from '../sources';
import { activationOf, epsOf } from './isotropicFigures';

/**
 * How libraries fit a window to a map that it covers. timm: each side of the window is at most the map's, which is not shifted along a side
 * that one window covers. transformers: a square at most as large as the smaller side (Swin) or as the rows (Swin v2), and no shift at all where it
 * covers that side. torchvision: always the whole window, with zeros around a smaller map.
 */
const fits = {
  'each side': (map, window) => {
    const size = [Math.min(map[0], window[0]), Math.min(map[1], window[1])] as const;
    return windowsOf(map, size, { shift: shiftAlong(map, window), rolls: 'map' });
  },
  'smaller side': (map, window) => squareWindows(map, Math.min(map[0], map[1]), window),
  // transformers' Swin v2 adds the mask twice.
  rows: (map, window) => ({ ...squareWindows(map, map[0], window), mask: -200 }),
  never: (map, window) => {
    const { padded } = windowsOf(map, window);
    return windowsOf(map, window, { shift: shiftAlong(padded, window), rolls: 'padded' });
  },
} as const satisfies Record<string, (map: Grid, window: Grid) => Windows>;

/** transformers pads pictures to whole patches; the others leave out what is behind the last. */
const paddingFits: readonly string[] = ['smaller side', 'rows'] satisfies readonly (keyof typeof fits)[];

/** How a window is fitted to a smaller map: the value of the figure `window_fit`. */
export type WindowFit = keyof typeof fits;

/** How the library that named the weights fits windows to small maps, by its dialect; as timm does where nothing is said. */
export function windowFit({ dialect }: Found, byDialect: Readonly<Record<string, WindowFit>>): Evidence {
  return stored(byDialect[dialect.name] ?? 'each side', `as ${dialect.title} does`);
}

/** Half of the window, none along a side that one window covers. */
function shiftAlong(map: Grid, window: Grid): Grid {
  const by = (axis: 0 | 1): number => (map[axis] <= window[axis] ? 0 : Math.floor(window[axis] / 2));
  return [by(0), by(1)];
}

function squareWindows(map: Grid, side: number, [window]: Grid): Windows {
  const size = Math.min(side, window);
  return windowsOf(map, size, { shift: side <= window ? 0 : Math.floor(window / 2), rolls: 'padded' });
}

/** Windows of a block on a map; every second block shifts them. */
function fittedWindows(figures: EvidenceRecord, window: Grid, map: Grid, shifted: boolean): Windows {
  const windows = fits[wordOf(figures, 'window_fit') as WindowFit](map, window);
  return shifted ? windows : { ...windows, shift: [0, 0] };
}

/** Window of a stage where it is not clipped: the figure is one number or `[rows, columns]` for all stages, or a number for each. */
export function windowOf(figures: EvidenceRecord, stage: number): Grid {
  const sides = numbersOf(figures, 'window');
  if (sides.length === 1) return [sides[0]!, sides[0]!];
  return sides.length === 2 ? [sides[0]!, sides[1]!] : [sides[stage]!, sides[stage]!];
}

/** Whether a value of the figure `window` can be meant for so many stages. */
export function isWindow(value: ConfigValue, stages: number): boolean {
  const sides = [value].flat().map(Number);
  return [1, 2, stages].includes(sides.length) && sides.every((side) => Number.isInteger(side) && side > 0);
}

/** Windows of the stages as a value of the figure: one number where they are the same. */
export function windowFigure(sides: readonly number[]): ConfigValue {
  return new Set(sides).size === 1 ? sides[0]! : sides;
}

/** Windows with as many distances as a table has rows, the squarest first. */
export function windowsOfTable(rows: number): readonly Grid[] {
  const odd = Array.from({ length: Math.ceil(rows / 2) }, (_, index) => 2 * index + 1);
  return odd
    .filter((side) => rows % side === 0 && (rows / side) % 2 === 1)
    .map((side): Grid => [(side + 1) / 2, (rows / side + 1) / 2])
    .sort((a, b) => Math.abs(a[0] - a[1]) - Math.abs(b[0] - b[1]));
}

/** The window that a table of so many rows was made for: one of those expected here, else the squarest. Throws where there is none. */
export function windowOfTable(name: string, rows: number, expected: readonly Grid[]): Grid {
  const found = expected.find((window) => distances(window) === rows) ?? windowsOfTable(rows)[0];
  if (found) return found;
  throw new ParameterError(name, `${rows} rows found, (2·rows − 1)·(2·columns − 1) of a window are needed`);
}

/** Where the stages of a model with shifted windows lie: `layers` or `stages`. */
interface StageNames {
  readonly stages: string;
  /** What tells the heads of a block. */
  readonly heads: (block: string) => { readonly name: string; readonly axis: number };
}

/** Figures that all models with shifted windows have, but for the window; undefined where a stage has none of the names. */
export function shiftedFigures(sources: Sources, { stages, heads }: StageNames): EvidenceRecord | undefined {
  const { tensors } = sources.found;
  const blocks = Array.from({ length: countOf(tensors, stages) }, (_, stage) => `${stages}.${stage}.blocks`);
  const side = (name: string, axis: number): number => tensors.get(name)?.shape[axis] ?? 0;
  const patch = tensors.get('patch_embed.proj.weight')?.shape;
  const dims = blocks.map((path) => side(`${path}.0.mlp.fc1.weight`, 1));
  const ofHeads = blocks.map((path) => heads(`${path}.0`));
  const counts = ofHeads.map(({ name, axis }) => side(name, axis));
  if (patch?.length !== 4 || blocks.length === 0 || [...dims, ...counts].includes(0)) return undefined;
  const ratios = blocks.map((path, stage) => side(`${path}.0.mlp.fc1.weight`, 0) / dims[stage]!);
  return {
    patch: stored(sideOrPair([patch[2]!, patch[3]!]), 'patch_embed.proj.weight'),
    channels: stored(patch[1]!, 'patch_embed.proj.weight'),
    dim: stored(dims, `${blocks[0]}.0.mlp.fc1.weight`),
    depth: stored(
      blocks.map((path) => countOf(tensors, path)),
      `${blocks.at(-1)}.${countOf(tensors, blocks.at(-1)!) - 1}`,
    ),
    heads: stored(counts, ofHeads[0]!.name),
    mlp_ratio: stored(ratios, `${blocks[0]}.0.mlp.fc1.weight`),
    activation: activationOf(sources),
    eps: epsOf(sources, 1e-5),
    classes: classesOf(tensors, 'head.fc'),
  };
}

/** Figures of every model with shifted windows that the user may set. */
export const shiftedAssumable = ['window', 'activation', 'eps'] as const;

/** What a family says of itself beside its figures. */
interface ShiftedModel {
  readonly label: string;
  readonly name: string;
  /** Image size where nobody says one. */
  readonly usual: Grid | Evidence<Grid>;
  /** Windows that the weights allow, the usual ones first. */
  readonly windows: readonly ConfigValue[];
}

/** Sizes of Liu et al. 2021 and 2022 (Swin, Swin V2). */
export const swinSizes: Sizes = {
  '2,2,6,2 96': 'T',
  '2,2,18,2 96': 'S',
  '2,2,18,2 128': 'B',
  '2,2,18,2 192': 'L',
  '2,2,18,2 352': 'H',
  '2,2,42,2 512': 'G',
};

/** Sizes that a search found (Chen et al. 2021, S3), by blocks, first width and the windows of the stages. */
const searched: Sizes = {
  '2,2,6,2 96,7,7,14,7': 'S3-T',
  '2,2,18,2 96,14,14,14,7': 'S3-S',
  '2,2,30,2 96,7,7,14,7': 'S3-B',
};

/** `Swin-T, window 7`, `Swin-S3-T`; a window that nobody tells is not part of the name. */
function titleOf(name: string, figures: EvidenceRecord): string {
  const [depths, dims] = [numbersOf(figures, 'depth'), numbersOf(figures, 'dim')];
  const { value, assumed } = figures['window'] ?? { value: [], assumed: true };
  const windows = [value].flat();
  const found = sizeOf(searched, depths, [dims[0]!, ...windows.map(Number)]);
  if (found) return `${name}-${found}`;
  const of = assumed ? '' : `, window ${windows.join(windows.length === 2 ? ' × ' : ', ')}`;
  return sizeTitle(name, swinSizes, depths, dims) + of;
}

/** A recognition of a model with shifted windows. Pictures may have any size that holds a patch: maps are padded to whole windows. */
export function recognisedShifted(
  sources: Sources,
  figures: EvidenceRecord,
  { label, name, usual, windows: choices }: ShiftedModel,
): Recognised {
  const { imageSize, figure } = imageSizeOf(sources, usual);
  return recognisedFrom(sources, {
    label,
    title: titleOf(name, figures),
    evidence: { ...figures, image_size: figure },
    imageSize,
    sizeStep: pairOf(figures, 'patch'),
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

/** Writes one block in its own scope. */
type ShiftedBlock = (b: GraphBuilder, tokens: Tokens, place: ShiftedPlace) => Tokens;

/** For each token of the next stage the four it is made of, column by column; as many as the map has tokens stands for a zero. */
function mergingOrder([rows, columns]: Grid): Int32Array {
  const order: number[] = [];
  for (let row = 0; row < rows; row += 2)
    for (let column = 0; column < columns; column += 2)
      for (const right of [column, column + 1])
        for (const below of [row, row + 1])
          order.push(below < rows && right < columns ? below * columns + right : rows * columns);
  return Int32Array.from(order);
}

/**
 * Patch merging (Liu et al. 2021, §3.1): 2 × 2 neighbours side by side, zeros at odd edges, and a linear layer. Its norm stands before the
 * layer (Swin) or after it (Swin v2), as its width tells.
 */
function patchMerging(b: GraphBuilder, tokens: Tokens, name: string, eps: number): Tokens {
  return b.scope(
    name,
    () => {
      const map = gridOfLayout(tokens.layout);
      const width = 4 * tokens.value.shape[1]!;
      const moved = rearranged(b, tokens, `merging ${map.join('x')}`, () => mergingOrder(map));
      const merged = b.reshape(moved, [moved.shape[0]! / 4, width]);
      const before = b.shapeOf('norm.weight')[0] === width;
      const reduced = b.linear(before ? norm(b, merged, 'norm', eps) : merged, 'reduction');
      const value = before ? reduced : norm(b, reduced, 'norm', eps);
      return gridTokens(value, tokens.batch, [Math.ceil(map[0] / 2), Math.ceil(map[1] / 2)]);
    },
    { title: 'Patch merging', formula: '2 × 2 neighbours, concatenated: W·x' },
  );
}

/** Patches of the pixels as tokens of a map, with the norm that follows. */
function embedded(b: GraphBuilder, figures: EvidenceRecord, { imageSize, batch }: BuildOptions): Tokens {
  const pixels = b.input('pixel_values', [batch, numberOf(figures, 'channels'), ...imageSize]);
  const patch = pairOf(figures, 'patch');
  return b.scope(
    'patch_embed',
    () => {
      const whole = paddingFits.includes(wordOf(figures, 'window_fit'))
        ? paddedToMultiple(b, pixels, patch)
        : pixels;
      const tokens = mapToTokens(b, b.conv2d(whole, 'proj', { stride: patch }));
      return withValue(tokens, maybeNorm(b, tokens.value, 'norm', numberOf(figures, 'eps')));
    },
    { title: 'Patch embedding' },
  );
}

/** What the stages of a family differ in. */
interface ShiftedStages {
  /** Path of the list of stages. */
  readonly stages: string;
  readonly block: ShiftedBlock;
  /** Window of a stage where it is not clipped, by the patches of the whole picture; the figure `window` where nothing else is said. */
  readonly window?: (stage: number, patches: Grid) => Grid;
}

/** Pixels through all stages: patch merging first, where the stage has one, then blocks of which every second shifts its windows. */
export function shiftedStages(
  b: GraphBuilder,
  { evidence: figures }: Recognised,
  options: BuildOptions,
  { stages, block, window = (stage) => windowOf(figures, stage) }: ShiftedStages,
): Tokens {
  const eps = numberOf(figures, 'eps');
  const activation = wordOf(figures, 'activation');
  const heads = numbersOf(figures, 'heads');
  let tokens = embedded(b, figures, options);
  const patches = gridOfLayout(tokens.layout);
  for (const [stage, depth] of numbersOf(figures, 'depth').entries()) {
    const write = (): void => {
      if (stage > 0) tokens = patchMerging(b, tokens, 'downsample', eps);
      const map = gridOfLayout(tokens.layout);
      for (let index = 0; index < depth; index++) {
        const windows = fittedWindows(figures, window(stage, patches), map, index % 2 === 1);
        const layer = `${stages}.${stage}.blocks.${index}`;
        const place = { windows, stage, layer, heads: heads[stage]!, eps, activation };
        tokens = b.scope(`blocks.${index}`, () => block(b, tokens, place), noteOf(windows));
      }
    };
    b.scope(`${stages}.${stage}`, write, { title: `Stage ${stage + 1}` });
  }
  return tokens;
}

const noteOf = ({ size, shift }: Windows): { readonly title: string } => ({
  title: `Transformer block, windows of ${size.join(' × ')}${shift.some((by) => by > 0) ? `, shifted by ${shift.join(' × ')}` : ''}`,
});

/** The normed map, its mean and the classifier; where a decoder of masked pixels is stored (Xie et al. 2022, SimMIM), its picture as well. */
export function shiftedAnswer(b: GraphBuilder, tokens: Tokens): void {
  const all = gridSequence(b, tokens);
  if (b.has('decoder.0.weight')) b.output('reconstruction', reconstruction(b, all), 'pixels');
  answer(b, meanOfTokens(b, tokens), all, 'head.fc');
}

/** One linear layer from each token of `[batch, rows, columns, dim]` to the pixels of its part of the picture, channels first. */
function reconstruction(b: GraphBuilder, all: ValueInfo): ValueInfo {
  const picture = b.conv2d(b.transpose(all, [0, 3, 1, 2]), 'decoder.0');
  const side = Math.sqrt(picture.shape[1]! / b.shapeOf('patch_embed.proj.weight')[1]!);
  return b.add('DepthToSpace', [picture], { blocksize: int(side), mode: text('CRD') });
}
