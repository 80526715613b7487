import { biasFreeTable } from './biasFreeTable';

let parsed: ReadonlyMap<string, ReadonlySet<string>> | undefined;

/**
 * Kinds of modules, by their canonical paths without places in lists, that have no bias in some
 * published model of a label; undefined for labels of which none is known.
 */
export function biasFree(label: string): ReadonlySet<string> | undefined {
  parsed ??= new Map(
    Object.entries(JSON.parse(biasFreeTable) as Readonly<Record<string, string>>).map(([key, kinds]) => [
      key,
      new Set(kinds.split(' ')),
    ]),
  );
  return parsed.get(label);
}
