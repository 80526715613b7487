import type { VNode } from 'preact';
import { useMemo } from 'preact/hooks';
import type { ComplexityReport, OperatorRow } from '../../src/domain/report';
import { formatBytes, formatCount, formatExact, formatPercent } from '../../src/domain/units';
import { useSaved } from '../host';
import { ShareBar } from '../marks/shareBar';
import { deriveTree, visibleLines } from '../marks/treeState';
import { totalMacs } from './moduleBars';

interface ModuleTableProps {
  readonly report: ComplexityReport;
  readonly factor: number;
  readonly unit: string;
}

/** Levels of the tree, below the model itself, and rows that the table shows at most unless more is asked for. */
const SHALLOW = { levels: 3, rows: 48 } as const;

/** The module tree as a table for reading and copying: groups folded, members left to the inspector. */
export function ModuleTable({ report, factor, unit }: ModuleTableProps): VNode {
  const [deep, setDeep] = useSaved('allModules', false);
  const tree = useMemo(() => deriveTree(report.modules), [report.modules]);
  const lines = useMemo(() => {
    const open = new Set(tree.rows.map((_, index) => String(index)));
    const all = visibleLines(tree, open).filter(({ kind }) => kind === 'module');
    const root = tree.roots.length === 1 ? 1 : 0;
    const upTo = (levels: number): typeof all => all.filter(({ level }) => level <= levels + root);
    const few = [SHALLOW.levels, SHALLOW.levels - 1].find((levels) => upTo(levels).length <= SHALLOW.rows);
    return deep ? all : upTo(few ?? 1);
  }, [tree, deep]);
  const total = totalMacs(report.macs);
  return (
    <section>
      <div class="chart-head">
        <h2>Modules</h2>
        <button type="button" class="link" aria-pressed={deep} onClick={() => setDeep(!deep)}>
          {deep ? 'Show the first levels' : 'Show all levels'}
        </button>
      </div>
      <table class="plain figures-table">
        <thead>
          <tr>
            <th scope="col">Module</th>
            <th scope="col" class="number">
              Parameters
            </th>
            <th scope="col" class="number">
              {unit === 'fvcore' ? 'MACs' : unit}
            </th>
            <th scope="col" class="number">
              Share
            </th>
            <th scope="col" class="bar-column">
              <span class="visually-hidden">Share as a bar</span>
            </th>
            <th scope="col" class="number wide-only">
              Activations
            </th>
          </tr>
        </thead>
        <tbody>
          {lines.map(({ index, level, key }) => {
            const row = tree.rows[index];
            if (!row) return null;
            const macs = totalMacs(row.macs);
            return (
              <tr key={key}>
                <th scope="row" title={row.path} style={{ paddingLeft: `${(level - 1) * 12}px` }}>
                  {row.name || '(model)'}
                  {row.count > 1 && <span class="quiet"> ×{row.count}</span>}
                </th>
                <td class="number" title={formatExact(row.params)}>
                  {row.params > 0 ? formatCount(row.params) : '–'}
                </td>
                <td class="number" title={formatExact(factor * macs)}>
                  {macs > 0 ? formatCount(factor * macs) : '–'}
                </td>
                <td class="number">{macs > 0 ? formatPercent(macs / total) : ''}</td>
                <td class="bar-column">{macs > 0 && <ShareBar share={macs / total} of="all MACs" />}</td>
                <td class="number wide-only">
                  {row.activationBytes > 0 ? formatBytes(row.activationBytes) : '–'}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      <p class="quiet">Inside a group (×N) the figures are those of one member.</p>
    </section>
  );
}

/** What each operator type contributes: MACs where it has any, else the elements it touches. */
export function OperatorTable({ report }: { report: ComplexityReport }): VNode {
  const rows = [...report.operators].sort(byWork);
  const bytes = Math.max(1, ...rows.map((row) => row.bytes));
  return (
    <section>
      <h2>Operators</h2>
      <table class="plain figures-table">
        <thead>
          <tr>
            <th scope="col">Operator</th>
            <th scope="col" class="wide-only">
              Kind
            </th>
            <th scope="col" class="number roomy-only">
              Count
            </th>
            <th scope="col" class="number">
              MACs
            </th>
            <th scope="col" class="number">
              Elements
            </th>
            <th scope="col" class="number">
              Output
            </th>
            <th scope="col" class="bar-column">
              <span class="visually-hidden">Output as a bar</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={`${row.op} ${row.kind}`}>
              <th scope="row">{row.op}</th>
              <td class="quiet wide-only">{row.kind}</td>
              <td class="number roomy-only">{formatExact(row.count)}</td>
              <td class="number" title={formatExact(row.macs)}>
                {row.macs > 0 ? formatCount(row.macs) : '–'}
              </td>
              <td class="number" title={formatExact(row.elements)}>
                {row.elements > 0 ? formatCount(row.elements) : '–'}
              </td>
              <td class="number" title={`${formatExact(row.bytes)} bytes`}>
                {formatBytes(row.bytes)}
              </td>
              <td class="bar-column">
                <ShareBar share={row.bytes / bytes} of="the largest output" />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

const byWork = (left: OperatorRow, right: OperatorRow): number =>
  right.macs - left.macs || right.elements - left.elements;
