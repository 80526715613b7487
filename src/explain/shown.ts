import type { ExplainedCurve, ExplainedMap, HeadTable, Shown, SumCheck } from '../domain/explanation';
import { at } from '../domain/lists';
import type { Explained, Values } from './explained';
import type { Explanation, Method, Picture } from './method';

/** A picture as it is drawn. */
export const mapOf = ({ grid, values, signed, legend }: Picture): ExplainedMap => ({
  grid,
  values: Float32Array.from(values),
  signed,
  legend,
});

/** What of an explanation is drawn, and what is told of the rest. */
export function shownOf(
  explained: Explained,
  method: Method,
  explanation: Explanation,
  sums: readonly SumCheck[] = [],
): Shown {
  const { tensors, figures = {}, picture, notes = [] } = explanation;
  const curves = curvesOf(explanation);
  const areas = new Set(curves.map(({ name }) => areaName(name)));
  return {
    ...(picture && { map: mapOf(picture) }),
    curves,
    tables: [
      ...givenTables(explanation),
      ...tablesOfHeads(explained, method, explanation),
      ...tableOfSeries(explained, method, explanation),
    ],
    figures: Object.entries(figures).flatMap(([name, value]) => (areas.has(name) ? [] : [{ name, value }])),
    tensors: Object.entries(tensors).map(([name, { shape }]) => ({ name, shape })),
    notes: [...aboutQuery(explained), ...notes],
    sums,
  };
}

/** Which object of several is explained, if one is. */
const aboutQuery = ({ question: { query } }: Explained): readonly string[] =>
  query ? [`of query ${query.index} of ${query.count}: what it says of the classes`] : [];

const areaName = (curve: string): string => `${curve}.auc`;

/** Rows of numbers whose area is told. */
const curvesOf = ({ tensors, figures = {} }: Explanation): readonly ExplainedCurve[] =>
  Object.entries(tensors).flatMap(([name, { shape, data }]) => {
    const area = figures[areaName(name)];
    return area !== undefined && shape.length === 1 ? [{ name, scores: data, area }] : [];
  });

/** Tables that the method names. */
const givenTables = ({ tensors, tables = [] }: Explanation): readonly HeadTable[] =>
  tables.flatMap(({ tensor, title, legend, signed }) => {
    const found = tensors[tensor];
    return found?.shape.length === 2 ? [{ title, legend, signed, rows: rowsOf(found) }] : [];
  });

const rowsOf = ({ shape: [rows = 0, columns = 0], data }: Values): HeadTable['rows'] =>
  Array.from({ length: rows }, (_, row) => ({
    label: String(row),
    values: data.slice(row * columns, (row + 1) * columns),
  }));

/** Tensors `[layers, heads]` of a model whose layers have as many heads; a drawn map is none. */
function tablesOfHeads(
  { probes }: Explained,
  { formula }: Method,
  { tensors, tables = [], picture }: Explanation,
): readonly HeadTable[] {
  const heads = new Set(probes.map((probe) => probe.heads));
  const given = new Set(tables.map(({ tensor }) => tensor));
  return Object.entries(tensors).flatMap(([name, found]) => {
    const [layers = 0, columns = 0] = found.shape;
    const isTable = found.shape.length === 2 && heads.size === 1 && heads.has(columns);
    const isMap = found.shape.join() === picture?.grid.join();
    if (!isTable || isMap || given.has(name) || layers > probes.length) return [];
    const signed = found.data.some((value) => value < 0);
    return [{ title: name, rows: rowsOf(found), legend: `${name}: ${formula}`, signed }];
  });
}

/** A number for each head, layer by layer: tensors `NAME.0`, `NAME.1` … of the method's name. */
function tableOfSeries(
  { probes }: Explained,
  { name, title, formula }: Method,
  { tensors }: Explanation,
): readonly HeadTable[] {
  const rows = Object.entries(tensors).flatMap(([tensor, { shape, data }]) => {
    const layer = tensor.startsWith(`${name}.`) ? Number(tensor.slice(name.length + 1)) : NaN;
    const heads = Number.isInteger(layer) ? probes[layer]?.heads : undefined;
    return shape.length === 1 && at(shape, 0) === heads ? [{ label: String(layer), values: data }] : [];
  });
  const signed = rows.some(({ values }) => values.some((value) => value < 0));
  return rows.length > 0 ? [{ title, rows, legend: formula, signed }] : [];
}
