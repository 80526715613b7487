import { at } from '../../domain/lists';
import { type Layout, layouts } from './layouts';

/** What the classes of torchvision fix of a network that nobody published. */
export interface Template {
  /** Published layout whose activations and gates the class has. */
  readonly layout: Layout;
  /** Blocks of its stages; those without stages are counted through. */
  readonly depths: readonly number[];
}

const layoutNamed = (name: string): Layout => {
  const found = layouts.find((layout) => layout.name === name);
  if (found) return found;
  throw new Error(`${name} is no layout`);
};

const template = (name: string, depths: readonly number[]): Template => ({
  layout: layoutNamed(name),
  depths,
});

/** Networks whose blocks are counted through, with the blocks of their stages as published. */
export const templates = {
  v1: template('MobileNet V1', [1, 2, 2, 6, 2]),
  v2: template('MobileNet V2', [1, 2, 3, 4, 3, 3, 1]),
  large: template('MobileNet V3 Large', [1, 2, 3, 4, 2, 3]),
  small: template('MobileNet V3 Small', [1, 2, 3, 2, 3]),
} as const;

/** Numbers of the blocks with which the stages begin. */
function startsOf({ depths }: Template): readonly number[] {
  let next = 0;
  return depths.map((depth) => (next += depth) - depth);
}

/** Blocks whose width is another than that of the block before, and the first. */
const changesOf = (widths: readonly number[]): readonly number[] =>
  widths.flatMap((width, index) => (index === 0 || width !== widths[index - 1] ? [index] : []));

/**
 * With which blocks stages begin: as published if there are as many blocks of which none changes
 * the width elsewhere (narrow networks keep it between stages), else where the width changes. The
 * last of MobileNet V3's blocks is a layer of its own.
 */
export function stageStarts(widths: readonly number[], known: Template | undefined): readonly number[] {
  const changes = changesOf(widths);
  if (!known) return changes;
  const blocks = startsOf(known);
  const count = known.depths.reduce((sum, depth) => sum + depth, 0);
  const layer = widths.length === count + 1 ? [count] : [];
  const starts = [...blocks, ...layer];
  const isPublished = widths.length === count + layer.length;
  return isPublished && changes.every((index) => starts.includes(index)) ? starts : changes;
}

/**
 * Strides of single blocks in a network that nobody published: the first blocks of the published
 * one, if the width changes nowhere else than there; else every change of width halves the map.
 */
export function likelyStrides(widths: readonly number[], known: Template): readonly number[] {
  const starts = startsOf(known);
  const { strides } = known.layout;
  const published = widths.map((_, index) =>
    starts.includes(index) ? at(strides, starts.indexOf(index)) : 1,
  );
  const changes = changesOf(widths);
  if (changes.every((index) => starts.includes(index))) return published;
  return widths.map((_, index) => (index === 0 ? at(strides, 0) : changes.includes(index) ? 2 : 1));
}

/** Activations of single blocks: MobileNet V3 Small has ReLU before its larger kernels. */
export function likelyActivations(kernels: readonly number[], known: Template): readonly string[] {
  const { activations } = known.layout;
  if (activations.length === 1) return activations;
  if (known === templates.small)
    return kernels.map((side) => (side === 3 ? at(activations, 0) : 'hard_swish'));
  const starts = startsOf(known);
  return kernels.map((_, index) => {
    const stage = starts.filter((start) => start <= index).length - 1;
    return activations[stage] ?? 'hard_swish';
  });
}
