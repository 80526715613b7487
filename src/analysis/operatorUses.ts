import type { Graph } from '../graph/graph';
import type { OperatorRow, OperatorUse } from '../domain/report';
import { operatorRows } from './complexity';
import { exact } from './exact';
import { isWithin, workOf } from './work';

/** Operators in a module and below it, by type and kind, in execution order. */
export const operatorsIn = (graph: Graph, module: string): readonly OperatorRow[] =>
  operatorRows(workOf(graph).filter(({ node }) => isWithin(node.scope, module)));

/**
 * Modules whose own operators are of a type and kind, those with the most multiply-accumulates
 * first, else the most elements; equal ones in execution order.
 */
export function operatorUses(
  graph: Graph,
  { op, kind }: Pick<OperatorRow, 'op' | 'kind'>,
): readonly OperatorUse[] {
  const uses = new Map<string, OperatorUse>();
  for (const { node, kind: own, macs, elements } of workOf(graph)) {
    if (node.op !== op || own !== kind) continue;
    const { scope: path } = node;
    const known = uses.get(path) ?? { path, count: 0, macs: 0, elements: 0 };
    const count = known.count + 1;
    uses.set(path, {
      path,
      count,
      macs: exact(known.macs + macs),
      elements: exact(known.elements + elements),
    });
  }
  return [...uses.values()].sort((a, b) => b.macs - a.macs || b.elements - a.elements);
}
