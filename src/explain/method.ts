import type { Grid } from '../domain/size';
import type { Graph } from '../graph/graph';
import type { CamLayer } from './camLayer';
import type { Explained, Named, Values } from './explained';
import type { Noise, Sliding } from './pixels';

/** What a user may set of the methods; each has a usual value. */
export interface ExplainOptions {
  readonly camLayer?: CamLayer;
  readonly noise?: Noise;
  readonly occlusion?: readonly Sliding[];
  /** Cells of curves, in the order in which they are changed. */
  readonly cells?: { readonly grid: Grid; readonly order: readonly number[] };
  /** How much each pixel matters, `[height, width]`: which ones ROAD takes away. */
  readonly saliency?: Values;
}

/** A map over the image, `[rows, columns]`. */
export interface Picture {
  readonly grid: Grid;
  readonly values: ArrayLike<number>;
  /** Values have a sign: 0 is the middle of a diverging scale. */
  readonly signed: boolean;
  readonly legend: string;
}

/** Numbers `[layers, heads]` by the name of their tensor. */
export interface Table {
  readonly tensor: string;
  readonly title: string;
  /** What the values are. */
  readonly legend: string;
  readonly signed: boolean;
}

/** What a method found. */
export interface Explanation {
  /** By names that begin with the method's. */
  readonly tensors: Named;
  /** Single numbers: areas, what a sum misses. */
  readonly figures?: Readonly<Record<string, number>>;
  readonly picture?: Picture;
  /** Numbers of layers and heads. */
  readonly tables?: readonly Table[];
  /** What was assumed, and what is to be known when it is read. */
  readonly notes?: readonly string[];
  /** Why there is nothing to be said after all, which only the image's own numbers tell. */
  readonly reason?: string;
}

/** A way to explain an answer. */
export interface Method {
  /** As `--method` has it. */
  readonly name: string;
  /** Names of its tensors, by which it may be asked for, too. */
  readonly gives?: readonly string[];
  readonly title: string;
  /** What it says and what it does not, in a paragraph. */
  readonly text: string;
  readonly formula: string;
  readonly source: string;
  /** Why it says nothing of this model; undefined if it does. */
  whyNot(explained: Explained): string | undefined;
  /** What it costs in forward passes; a gradient is about 2.2. */
  forwards(explained: Explained, options: ExplainOptions): number;
  /** The graphs with derivatives that it runs; absent if it derives nothing. */
  derived?(explained: Explained, options: ExplainOptions): readonly Graph[];
  compute(explained: Explained, options: ExplainOptions): Promise<Explanation>;
}
