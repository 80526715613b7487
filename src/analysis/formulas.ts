import { elementCount } from '../checkpoint/tensors';
import type { Graph } from '../graph/graph';
import { operatorOf } from '../graph/operators';
import { tokenCount, type Probe, type TokenLayout } from '../domain/probes';
import { formatExact } from '../domain/units';
import { exactSum } from './exact';
import { weightShape } from './moduleNotes';
import { outputOf, type Work } from './work';
import { tokensOf } from './whatIf';

/** A term of a sum and how often it occurs. */
interface Term {
  readonly text: string;
  readonly value: number;
}

/** More terms than these are summed up: a tooltip is no table. */
const shownTerms = 8;

/**
 * `12 × 2 · 197² · 768 + 768 · 1,000 = 716,095,488`: equal terms taken together, in order of
 * appearance.
 */
export function sumFormula(
  terms: readonly Term[],
  unit = '',
  repeat = (count: number, text: string): string => `${formatExact(count)} × ${text}`,
): string {
  const groups = new Map<string, { count: number; value: number }>();
  for (const { text, value } of terms) {
    const group = groups.get(text) ?? { count: 0, value: 0 };
    groups.set(text, { count: group.count + 1, value: group.value + value });
  }
  const rows = [...groups].map(([text, { count, value }]) => ({
    text: count > 1 ? repeat(count, text) : text,
    value,
  }));
  const rest = rows.slice(shownTerms);
  const tail = rest.length > 0 ? [formatExact(exactSum(rest.map(({ value }) => value)))] : [];
  const sum = [...rows.slice(0, shownTerms).map(({ text }) => text), ...tail].join(' + ');
  const total = exactSum(terms.map(({ value }) => value));
  return `${sum || '0'} = ${formatExact(total)}${unit}`;
}

const squared = (value: number): string => `${formatExact(value)}²`;
const dot = (factors: readonly (number | string)[]): string =>
  factors
    .filter((factor) => factor !== 1)
    .map((factor) => (typeof factor === 'number' ? formatExact(factor) : factor))
    .join(' · ') || '1';

/** Positions × (channels per group · kernel) × filters. */
function convTerm(work: Work): Term {
  const { macs, node } = work;
  if (node.op !== 'Conv') return { text: formatExact(macs), value: macs };
  const [batch = 1, filters = 1, ...positions] = outputOf(work).shape;
  const [, channels, ...kernel] = weightShape(work);
  const [height = 1, width] = kernel;
  const isSquare = kernel.length === 2 && height === width;
  const area = isSquare ? (height === 1 ? 1 : squared(height)) : dot(kernel);
  const text = dot([batch, elementCount(positions), `(${dot([channels, area])})`, filters]);
  return { text, value: macs };
}

/**
 * Rows × width × outputs, the smaller of the last two first, so that a layer and its way back look
 * alike.
 */
function linearTerm(work: Work): Term {
  const { macs, node } = work;
  const outer = outputOf(work).shape;
  const columns = outer.at(-1) ?? 1;
  const rows = elementCount(outer.slice(0, -1));
  const depth = macs / rows / columns;
  const text = dot([rows, Math.min(depth, columns), Math.max(depth, columns)]);
  const isPlain = operatorOf(node)?.factors !== undefined;
  return { text: isPlain ? text : formatExact(macs), value: macs };
}

/**
 * Windows · queries · keys · width, so that scores and mix of one attention look alike:
 * `197² · 768`.
 */
function attentionTerm(work: Work): Term {
  const { macs } = work;
  const { shape } = outputOf(work);
  const [lead = 1, heads = 1, rows = 1, columns = 1] = shape;
  if (shape.length !== 4) return { text: formatExact(macs), value: macs };
  const depth = macs / elementCount(shape);
  const [keys, each] = columns === rows ? [columns, depth] : [depth, columns];
  const area = keys === rows ? [squared(rows)] : [rows, keys].toSorted((a, b) => a - b);
  return { text: dot([lead, ...area, heads * each]), value: macs };
}

/** Scores and mix of a layer cost the same: `12 × 2 · 197² · 768`. */
const inPairs = (count: number, text: string): string => {
  const even = count % 2 === 0 && count > 2;
  return even ? `${formatExact(count / 2)} × 2 · ${text}` : `${count} × ${text}`;
};

const terms = { conv: convTerm, linear: linearTerm, attention: attentionTerm } as const;

/** Formula of one kind of counted MACs. */
export function macsFormula(work: readonly Work[], kind: keyof typeof terms): string {
  const rows = work.filter((row) => row.kind === kind).map(terms[kind]);
  return kind === 'attention' ? sumFormula(rows, '', inPairs) : sumFormula(rows);
}

/** `12 · 197²` numbers of four bytes, over all maps. */
export function attentionMapsFormula(graphs: readonly Graph[]): string {
  const maps = graphs.flatMap(({ probes, values }) =>
    probes.map(({ value }): Term => {
      const [lead = 1, heads = 1, queries = 1, keys = 1] = values.get(value)?.shape ?? [];
      const area = queries === keys ? [squared(queries)] : [queries, keys];
      return { text: dot([lead, heads, ...area, '4']), value: 4 * lead * heads * queries * keys };
    }),
  );
  return sumFormula(maps, ' bytes');
}

/** `1 + 14·14`, `64 windows of 7·7`. */
export function tokensFormula(graph: Graph, longest: { probe: Probe; side: 'queries' | 'keys' }): string {
  const { probe, side } = longest;
  const total = tokensOf(graph, probe, side);
  const windows = total / tokenCount(probe[side]);
  const layout = layoutText(probe[side]);
  const text = windows === 1 ? layout : `${formatExact(windows)} windows of ${layout}`;
  return text === formatExact(total) ? text : `${text} = ${formatExact(total)}`;
}

function layoutText({ special, grid, sequence, channels, queries }: TokenLayout): string {
  const rest = sequence ?? channels ?? queries;
  const parts = [
    special?.length ? `${special.length} (${special.join(', ')})` : '',
    grid ? grid.map(formatExact).join(' · ') : '',
    rest === undefined ? '' : formatExact(rest),
  ];
  return parts.filter(Boolean).join(' + ');
}
