import type { Guess } from '../../src/tasks/answer';
import type { AttentionRows, Query } from '../../src/domain/query';
import { reduceHeads, type HeadChoice } from '../../src/attention/heads';
import { hasQuery, queryGrid, splitKeys, type KeyMap } from '../../src/attention/reading';
import { orMean, sameCell } from '../../src/attention/tokenLayout';
import { type Probe, isChannelMatrix, isGate, tokenCount } from '../../src/domain/probes';

/**
 * What is to be drawn of a layer; undefined if the layer has no such query or the method does
 * not reach it.
 */
export function layerMap(
  answer: AttentionRows,
  probes: readonly Probe[],
  layer: number,
  head: HeadChoice,
): KeyMap | undefined {
  const probe = probes[layer];
  const rows = answer.rows[layer];
  if (!probe || !rows || rows.length === 0) return undefined;
  return splitKeys(probe, answer.method === 'rollout' ? rows : reduceHeads(rows, probe.heads, head));
}

/**
 * The query that stands nearest to the wanted one among those a probe has. A patch keeps its place
 * on the image, whatever grid it was chosen on.
 */
export function validQuery(probe: Probe, wanted: Query): Query {
  const [special] = probe.queries.special ?? [];
  const grid = queryGrid(probe);
  if (wanted.kind === 'patch' && grid) {
    const at = wanted.grid ? sameCell(wanted, wanted.grid, grid) : wanted;
    return { kind: 'patch', row: clamp(at.row, grid[0]), column: clamp(at.column, grid[1]), grid };
  }
  if (hasQuery(probe, wanted) && (wanted.kind !== 'mean' || grid)) return wanted;
  return special === undefined ? { kind: 'mean' } : { kind: 'special', name: special };
}

/**
 * What the host is asked so that a layer shows its query: the wanted one if the layer has that
 * kind, so that other layers answer it on their own grids. Layers without the token that others
 * have, and those beside one with a single query, which shows that whatever is asked, answer the
 * mean of their patches.
 */
export function askedQuery(probes: readonly Probe[], layer: number, wanted: Query): Query {
  const probe = probes[layer];
  if (!probe) return wanted;
  const others = probes.filter((other) => !isAlone(other));
  if (wanted.kind === 'special' && others.some((other) => hasQuery(other, wanted)))
    return orMean(probes, wanted);
  if (isAlone(probe)) return wanted.kind !== 'special' || others.length === 0 ? wanted : { kind: 'mean' };
  const shown = validQuery(probe, wanted);
  return wanted.kind === 'patch' && shown.kind === 'patch' && wanted.grid ? wanted : orMean(probes, shown);
}

const isAlone = ({ queries }: Probe): boolean => tokenCount(queries) === 1;

/** Layers in which no token asks: a matrix of channels, a gate. */
export const isAsked = (probe: Probe): boolean => !isChannelMatrix(probe) && !isGate(probe);

const clamp = (at: number, size: number): number => Math.min(size - 1, Math.max(0, at));

export const sameQuery = (left: Query, right: Query): boolean =>
  JSON.stringify(left) === JSON.stringify(right);

const NAMES: Readonly<Record<string, string>> = {
  cls: 'class token',
  dist: 'distillation token',
  probe: 'pooling query',
  context: 'context query',
  queries: 'object queries',
  words: 'words',
  iou: 'token of the scores',
  mask0: 'token of a single mask',
  object: 'token of the object',
};

/** `class token`, `register 0`; an activation map's class by its rank and label, `1. cat`. */
export function tokenName(name: string, guesses: readonly Pick<Guess, 'label'>[] = []): string {
  const [, kind, number] = /^(reg|top|mask)(\d+)$/.exec(name) ?? [];
  if (kind === 'reg') return `register ${number}`;
  if (kind === 'mask') return NAMES[name] ?? `token of mask ${number}`;
  if (kind !== 'top') return NAMES[name] ?? name;
  const guess = guesses[Number(number) - 1];
  return guess ? `${number}. ${guess.label}` : `class ${number} of the answer`;
}

/**
 * `class token`, `patch 3, 7`, `object query 3`. The mean of a layer without patches is one of its
 * object queries.
 */
export function queryName(
  query: Query,
  guesses: readonly Pick<Guess, 'label'>[] = [],
  probe?: Pick<Probe, 'queries'>,
): string {
  if (query.kind === 'mean') return `mean of all ${askersOf(probe)}`;
  if (query.kind === 'query') return `object query ${query.index}`;
  if (query.kind === 'token') return `token ${query.index + 1} of the text`;
  return query.kind === 'special' ? tokenName(query.name, guesses) : `patch ${query.row}, ${query.column}`;
}

/** What a layer's queries are, most of them. */
function askersOf(probe: Pick<Probe, 'queries'> | undefined): string {
  if (!probe || probe.queries.grid) return 'patches';
  return probe.queries.sequence === undefined ? 'queries' : 'words';
}

const ARROWS: Readonly<Record<string, readonly [rows: number, columns: number]>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

/**
 * What an arrow key or Esc makes of the query; undefined for other keys and probes without a grid
 * of queries.
 */
export function movedQuery(probe: Probe, query: Query, key: string): Query | undefined {
  const grid = queryGrid(probe);
  if (key === 'Escape') return validQuery(probe, { kind: 'special', name: probe.queries.special?.[0] ?? '' });
  const arrow = ARROWS[key];
  if (!arrow || !grid) return undefined;
  // The first arrow key enters the image in its middle.
  if (query.kind !== 'patch') return { kind: 'patch', row: grid[0] >> 1, column: grid[1] >> 1, grid };
  const at = query.grid ? sameCell(query, query.grid, grid) : query;
  return validQuery(probe, { kind: 'patch', row: at.row + arrow[0], column: at.column + arrow[1] });
}

/** The head after `step` places among mean, max, 0 … heads − 1, going round. */
export function nextHead(head: HeadChoice, heads: number, step: 1 | -1): HeadChoice {
  const choices: readonly HeadChoice[] = [
    'mean',
    'max',
    ...Array.from({ length: heads }, (_, index) => index),
  ];
  const at = Math.max(0, choices.indexOf(head));
  return choices[(at + step + choices.length) % choices.length] as HeadChoice;
}
