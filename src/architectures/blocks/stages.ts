import { at } from '../../domain/lists';
import type { Grid, Size } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ModuleNote, ValueInfo } from '../../graph/graph';
import type { Tokens } from './layers';
import { gridOf } from './maps';

/** What one stage of a backbone hands on; a dense head (a pyramid, a decoder) reads it. */
export interface Stage {
  /**
   * A map `[batch, width, rows, columns]`, or tokens `[batch · count, width]` with their layout.
   */
  readonly value: ValueInfo | Tokens;
  readonly width: number;
  /** Rows and columns of the map. */
  readonly grid: Grid;
  /** Pixels of the image per row and column. */
  readonly stride: Size;
}

/** What a backbone hands to a head. */
export interface Maps {
  /** From the finest to the coarsest; of a network that keeps one grid, one for each block. */
  readonly stages: readonly Stage[];
  /**
   * What stands in front of the first block, if heads may read it: the embedded patches, the stages
   * of a hybrid's other network.
   */
  readonly front?: readonly Stage[];
  /** What each block ends with, if heads may read between the ends of stages. */
  readonly blocks?: readonly Stage[];
}

/** The same, where the head reads the last tokens, after their norm. */
export interface TokenMaps extends Maps {
  readonly tokens: Tokens;
}

/** The same, where the head reads the last map, `[batch, width, rows, columns]`. */
export interface ImageMaps extends Maps {
  readonly map: ValueInfo;
}

const strideOf = (imageSize: Size, [rows, columns]: Grid): Size => [
  imageSize[0] / rows,
  imageSize[1] / columns,
];

/** A stage whose result is a map `[batch, width, rows, columns]`. */
export function mapStage(map: ValueInfo, imageSize: Size): Stage {
  const grid = gridOf(map);
  return { value: map, width: at(map.shape, 1), grid, stride: strideOf(imageSize, grid) };
}

/** A stage whose result is tokens of a grid, special tokens before them or none. */
export function tokenStage(tokens: Tokens, imageSize: Size): Stage {
  const [rows, columns, ...more] = tokens.layout.grid ?? [];
  if (rows === undefined || columns === undefined || more.length > 0)
    throw new Error('tokens of a stage lie on a grid of rows and columns');
  const grid: Grid = [rows, columns];
  return { value: tokens, width: at(tokens.value.shape, 1), grid, stride: strideOf(imageSize, grid) };
}

/**
 * Takes a value through `count` stages, and hands back what each ends with, the first stage's
 * first.
 */
export function throughStages<T, End extends T = T>(
  first: T,
  count: number,
  write: (x: T, stage: number) => End,
): readonly End[] {
  const ends: End[] = [];
  for (let stage = 0; stage < count; stage++) ends.push(write(ends.at(-1) ?? first, stage));
  return ends;
}

/** Where a block stands: the stage, and its index in it. */
export interface Place {
  readonly stage: number;
  readonly index: number;
}

/** The blocks of a network by stages, each written inside the scope of its module path. */
export interface StageLoop<T> {
  /** Blocks of every stage. */
  readonly depths: readonly number[];
  /** Module path of a block. */
  readonly path: (place: Place) => string;
  readonly block: (x: T, place: Place) => T;
  /** What a block is called; by its place and what it reads, if blocks differ. */
  readonly note?: ModuleNote | ((place: Place, x: T) => ModuleNote);
  /** Module of a whole stage, inside of which `path` is written; without it a stage has none. */
  readonly module?: (stage: number) => { readonly path: string; readonly note?: ModuleNote };
  /** What stands behind a block, outside of its module. */
  readonly behind?: (x: T, place: Place) => T;
  /** What stands before the first block of a stage: a downsampling. */
  readonly enter?: (x: T, stage: number) => T;
  /** What stands after its last block: a norm. */
  readonly leave?: (x: T, stage: number) => T;
}

/**
 * Writes the blocks of all stages, and hands back what each stage ends with, the first stage's
 * first.
 */
export function stages<T>(
  b: GraphBuilder,
  first: T,
  { depths, path, block, note, module, behind = same, enter = same, leave = same }: StageLoop<T>,
): readonly T[] {
  const one = (before: T, place: Place): T =>
    b.scope(path(place), () => block(before, place), typeof note === 'function' ? note(place, before) : note);
  const write = (before: T, stage: number): T => {
    let x = enter(before, stage);
    for (let index = 0; index < at(depths, stage); index++)
      x = behind(one(x, { stage, index }), { stage, index });
    return leave(x, stage);
  };
  return throughStages(first, depths.length, (before, stage) => {
    const whole = module?.(stage);
    return whole ? b.scope(whole.path, () => write(before, stage), whole.note) : write(before, stage);
  });
}

const same = <T>(x: T): T => x;

/** The blocks of a network that keeps one grid. */
export interface BlockLoop<T> {
  readonly depth: number;
  readonly block: (x: T, index: number) => T;
  readonly note: ModuleNote;
  /** Module path of the list: `blocks` if nothing is given. */
  readonly path?: string;
  /** What stands before a block, outside of its scope. */
  readonly enter?: (x: T, index: number) => T;
}

/**
 * Writes the blocks `blocks.0` …, and hands back what each ends with: every block is a stage of its
 * own.
 */
export function eachBlock<T>(
  b: GraphBuilder,
  first: T,
  { depth, block, path = 'blocks', ...rest }: BlockLoop<T>,
): readonly T[] {
  return stages(b, first, {
    ...rest,
    depths: Array<number>(depth).fill(1),
    path: ({ stage }) => `${path}.${stage}`,
    block: (x, { stage }) => block(x, stage),
  });
}
