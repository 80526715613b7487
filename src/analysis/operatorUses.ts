import type { Graph } from '../graph/graph';
import type { OperatorRow, OperatorUse } from '../domain/report';
import { operatorRows } from './complexity';
import { exact } from './exact';
import type { NamedGraph } from '../models/model';
import { isWithin, workOf } from './work';

/** Operators in a module of graphs and below it, by type and kind, in execution order. */
export const operatorsIn = (graphs: readonly Graph[], module: string): readonly OperatorRow[] =>
  operatorRows(graphs.flatMap((graph) => workOf(graph)).filter(({ node }) => isWithin(node.scope, module)));

/**
 * Modules whose own operators are of a type and kind, those with the most multiply-accumulates
 * first, else the most elements; equal ones in execution order.
 */
export function operatorUses(
  parts: readonly NamedGraph[],
  { op, kind }: Pick<OperatorRow, 'op' | 'kind'>,
): readonly OperatorUse[] {
  const uses = new Map<string, OperatorUse>();
  for (const { name: part, graph } of parts)
    for (const { node, kind: own, macs, elements } of workOf(graph)) {
      if (node.op !== op || own !== kind) continue;
      const { scope: path } = node;
      const key = `${part} ${path}`;
      const known = uses.get(key) ?? { path, count: 0, macs: 0, elements: 0 };
      uses.set(key, {
        path,
        ...(parts.length > 1 && { part }),
        count: known.count + 1,
        macs: exact(known.macs + macs),
        elements: exact(known.elements + elements),
      });
    }
  return [...uses.values()].sort((a, b) => b.macs - a.macs || b.elements - a.elements);
}
