/**
 * Published models: one row each, of the names, the shapes and the preprocessing it is published
 * with.
 */
import { at } from '../../domain/lists';
import type { Size } from '../../domain/size';
import type { DefaultsName } from '../defaults';
import type { CropMode } from '../libraries/timm';
import type { Filter } from '../resize';
import type { Triple } from '../steps';
import { table } from './table';

/** What timm evaluates a checkpoint with. */
export type Profile = readonly [
  height: number,
  width: number,
  filter: Filter,
  cropPct: number,
  cropMode: CropMode,
  mean: Triple,
  std: Triple,
];

/** The arguments of torchvision's `Weights.transforms()`. */
export type Preset = readonly [resizeSize: number, cropSize: number, filter: Filter];

/** Facts of plain transformers of one naming, key and traits, which their weights do not hold. */
export type Plain = readonly [
  dialect: string,
  /** Width, depth, MLP width, patch: `768/12/3072/16`. */
  key: string,
  traits: string,
  heads: number,
  activation: string | null,
  eps: number | null,
  pixels: DefaultsName | null,
];

/** Facts of models of the same names and shapes, which their weights do not hold. */
export type Header = readonly [
  /** Hash of names and shapes (`headerKey`). */
  key: string,
  /** Heads of each group of attention blocks, in order; null if there is none. */
  heads: readonly number[] | null,
  /** null if weights of the same names and shapes are published with several sizes. */
  imageSize: Size | null,
  /** null if the library does not say. */
  pixels: DefaultsName | null,
];

/** One published model. Numbers are indices into the lists of what several models share. */
export type Model = readonly [
  /** `deit_base_patch16_224`, `vit_base_patch16_224.dino`, `ViT_B_16_Weights.IMAGENET1K_V1`. */
  name: string,
  plain: readonly number[],
  headers: readonly number[],
  /**
   * An index into `profiles`, or torchvision's preset; null if it is that of the architecture, or
   * not known.
   */
  images: number | Preset | null,
  /** Name of the file that it is downloaded as, without its extension. */
  file?: string,
];

/** The published table. Lists are in the order in which answers name them. */
export interface Table {
  readonly profiles: readonly Profile[];
  readonly plain: readonly Plain[];
  readonly headers: readonly Header[];
  readonly models: readonly Model[];
}

/** A row that several models share, and their names. */
export interface Shared<Row> {
  readonly row: Row;
  readonly models: readonly string[];
}

let parsed: Table | undefined;

/** The table, parsed when it is first asked for: most commands start without it. */
export function publishedTable(): Table {
  return (parsed ??= JSON.parse(table) as Table);
}

/** Rows of one of the table's lists with the names of their models. */
function shared<Row>(
  rows: readonly Row[],
  indicesOf: (model: Model) => readonly number[],
): readonly Shared<Row>[] {
  const names: string[][] = rows.map(() => []);
  for (const model of publishedTable().models)
    for (const index of indicesOf(model)) at(names, index).push(model[0]);
  return rows.map((row, index) => ({ row, models: at(names, index) }));
}

let plain: readonly Shared<Plain>[] | undefined;
let headers: ReadonlyMap<string, readonly Shared<Header>[]> | undefined;

/** Rows of plain transformers. */
export function plainRows(): readonly Shared<Plain>[] {
  return (plain ??= shared(publishedTable().plain, ([, indices]) => indices));
}

/** Rows of models whose names and shapes have this hash. */
export function headersOf(key: string): readonly Shared<Header>[] {
  headers ??= byHash(shared(publishedTable().headers, ([, , indices]) => indices));
  return headers.get(key) ?? [];
}

/** Rows of an architecture's own name. */
export function headersNamed(name: string): readonly Header[] {
  const { models, headers: rows } = publishedTable();
  return models
    .filter(([model]) => model === name)
    .flatMap(([, , indices]) => indices.map((each) => at(rows, each)));
}

function byHash(rows: readonly Shared<Header>[]): ReadonlyMap<string, readonly Shared<Header>[]> {
  const found = new Map<string, Shared<Header>[]>();
  for (const each of rows) found.set(each.row[0], [...(found.get(each.row[0]) ?? []), each]);
  return found;
}
