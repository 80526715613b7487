import { largest } from '../../src/domain/lists';
import type { VNode } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ComplexityReport, ModuleRow, OperatorRow, OperatorUse } from '../../src/domain/report';
import { formatBytes, formatCount, formatExact, formatPercent, quantity } from '../../src/domain/units';
import type { CallOptions } from '../../src/protocol/channel';
import { useSaved } from '../host';
import { useAnswer } from '../kit/hooks';
import { PlainTable, type Columns } from '../kit/table';
import { ShareBar } from '../marks/shareBar';
import { deriveTree, findModule, standIn, visibleLines } from '../marks/treeState';
import { totalMacs } from './moduleBars';

interface ModuleTableProps {
  readonly report: ComplexityReport;
  readonly factor: number;
  readonly unit: string;
  readonly revealed: { readonly path: string; readonly count: number } | undefined;
  readonly onModule: (path: string) => void;
}

/**
 * Levels of the tree, below the model itself, and rows that the table shows at most unless more is
 * asked for.
 */
const SHALLOW = { levels: 3, rows: 48 } as const;

/**
 * The module tree as a table for reading and copying: groups folded, members left to the inspector.
 */
export function ModuleTable({ report, factor, unit, revealed, onModule }: ModuleTableProps): VNode {
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
  const marked = revealed && rowOf(report.modules, revealed.path);
  const isDrawn = marked === undefined || lines.some(({ index }) => index === marked);
  useEffect(() => {
    if (!isDrawn) setDeep(true);
  }, [isDrawn]);
  const table = useRef<HTMLElement>(null);
  useEffect(() => {
    table.current?.querySelector('[aria-current=true]')?.scrollIntoView({ block: 'center' });
  }, [revealed, isDrawn]);
  const total = totalMacs(report.macs);
  const rows = lines.flatMap(({ index, level, key }) => {
    const module = tree.rows[index];
    return module ? [{ key, level, module }] : [];
  });
  return (
    <section ref={table}>
      <div class="chart-head">
        <h2>Modules</h2>
        <button type="button" class="link" aria-pressed={deep} onClick={() => setDeep(!deep)}>
          {deep ? 'Show the first levels' : 'Show all levels'}
        </button>
      </div>
      <PlainTable
        class="figures-table"
        columns={moduleColumns(factor, unit, total, onModule)}
        rows={rows}
        keyOf={({ key }) => key}
        indentOf={({ level }) => 12 * (level - 1)}
        current={marked === undefined ? undefined : String(marked)}
      />
      <p class="quiet">Inside a group (×N) the numbers are those of one member.</p>
    </section>
  );
}

/** The row of a module; one inside of a group has the row that stands for all of them. */
function rowOf(modules: readonly ModuleRow[], path: string): number | undefined {
  const found = findModule(modules, path);
  return found === undefined ? undefined : standIn(modules, found);
}

interface ModuleLine {
  readonly key: string;
  readonly level: number;
  readonly module: ModuleRow;
}

const moduleColumns = (
  factor: number,
  unit: string,
  total: number,
  onModule: (path: string) => void,
): Columns<ModuleLine> => ({
  module: {
    title: 'Module',
    tip: ({ module }) => module.path,
    cell: ({ module }) => (
      <>
        <button
          type="button"
          class="link"
          title={`${module.path || 'The model'}: reveal in Architecture`}
          onClick={() => onModule(module.path)}
        >
          {module.name || '(model)'}
        </button>
        {module.count > 1 && <span class="quiet"> ×{module.count}</span>}
      </>
    ),
  },
  parameters: {
    title: 'Parameters',
    style: 'number',
    tip: ({ module }) => formatExact(module.params),
    cell: ({ module }) => (module.params > 0 ? formatCount(module.params) : '–'),
  },
  macs: {
    title: unit === 'fvcore' ? 'MACs' : unit,
    style: 'number',
    tip: ({ module }) => formatExact(factor * totalMacs(module.macs)),
    cell: ({ module }) => (totalMacs(module.macs) > 0 ? formatCount(factor * totalMacs(module.macs)) : '–'),
  },
  share: {
    title: 'Share',
    style: 'number',
    cell: ({ module }) => (totalMacs(module.macs) > 0 ? formatPercent(totalMacs(module.macs) / total) : ''),
  },
  bar: {
    title: 'Share as a bar',
    titleHidden: true,
    style: 'bar-column',
    cell: ({ module }) =>
      totalMacs(module.macs) > 0 && <ShareBar share={totalMacs(module.macs) / total} of="all MACs" />,
  },
  activations: {
    title: 'Activations',
    style: 'number wide-only',
    cell: ({ module }) => (module.activationBytes > 0 ? formatBytes(module.activationBytes) : '–'),
  },
});

/** An operator type of a kind: a matrix product with weights is another row than one without. */
export type OperatorName = Pick<OperatorRow, 'op' | 'kind'>;

const operatorKey = ({ op, kind }: OperatorName): string => `${op} ${kind}`;

interface OperatorTableProps {
  readonly report: ComplexityReport;
  /** The operator that somebody asked for, and how often one was. */
  readonly revealed: (OperatorName & { readonly count: number }) | undefined;
  readonly uses: (operator: OperatorName, call: CallOptions) => Promise<readonly OperatorUse[]>;
  readonly onModule: (path: string) => void;
}

/**
 * What each operator type contributes: MACs if it has any, else the elements it touches; and of the
 * chosen one the modules that it is in.
 */
export function OperatorTable({ report, revealed, uses, onModule }: OperatorTableProps): VNode {
  const [chosen, setChosen] = useState<OperatorName | undefined>(revealed);
  const section = useRef<HTMLElement>(null);
  useEffect(() => {
    if (revealed) setChosen(revealed);
  }, [revealed]);
  useEffect(() => {
    section.current?.querySelector('[aria-current=true]')?.scrollIntoView({ block: 'center' });
  }, [revealed]);
  const rows = [...report.operators].sort(byWork);
  const row = chosen && rows.find((each) => operatorKey(each) === operatorKey(chosen));
  const most = largest([1, ...rows.map(({ bytes }) => bytes)]);
  const choose = (next: OperatorRow): void => setChosen(next === row ? undefined : next);
  return (
    <section ref={section}>
      <h2>Operators</h2>
      <PlainTable
        class="figures-table"
        columns={operatorColumns(most, row, choose)}
        rows={rows}
        keyOf={operatorKey}
        current={row && operatorKey(row)}
      />
      {row && <Uses key={operatorKey(row)} report={report} operator={row} ask={uses} onModule={onModule} />}
    </section>
  );
}

/** Modules of an operator that are named before the rest is counted. */
const NAMED = 24;

interface UsesProps {
  readonly report: ComplexityReport;
  readonly operator: OperatorRow;
  readonly ask: OperatorTableProps['uses'];
  readonly onModule: (path: string) => void;
}

/** The modules that an operator is in, each a way to its row of the tree. */
function Uses({ report, operator, ask, onModule }: UsesProps): VNode {
  const [whole, setWhole] = useState(false);
  const key = operatorKey(operator);
  const found = useAnswer((call) => ask({ op: operator.op, kind: operator.kind }, call), [key, report]);
  const all = found.value ?? [];
  const shown = whole ? all : all.slice(0, NAMED);
  return (
    <div class="operator-uses" role="region" aria-label={`Modules with ${operator.op}`} aria-live="polite">
      <p class="quiet">
        {found.error
          ? found.error.message
          : `${operator.op} (${operator.kind}) is in ${quantity(all.length, 'module')}, those with the most work first:`}
      </p>
      <ul>
        {shown.map(({ path, part, count, macs }) => (
          <li key={`${part ?? ''} ${path}`}>
            <button
              type="button"
              class="link"
              title={`${path || 'The model'}: reveal in Architecture`}
              onClick={() => onModule(path)}
            >
              {path || '(model)'}
            </button>
            <span class="quiet">
              {part !== undefined && ` ${part}`}
              {count > 1 && ` ×${count}`}
              {macs > 0 && ` ${formatCount(macs)}`}
            </span>
          </li>
        ))}
      </ul>
      {shown.length < all.length && (
        <button type="button" class="link" onClick={() => setWhole(true)}>
          Show {all.length - shown.length} more
        </button>
      )}
    </div>
  );
}

const operatorColumns = (
  most: number,
  chosen: OperatorRow | undefined,
  onChoose: (row: OperatorRow) => void,
): Columns<OperatorRow> => ({
  op: {
    title: 'Operator',
    cell: (row) => (
      <button
        type="button"
        class="link"
        title={`Modules with ${row.op}`}
        aria-expanded={row === chosen}
        onClick={() => onChoose(row)}
      >
        {row.op}
      </button>
    ),
  },
  kind: { title: 'Kind', style: 'wide-only', styleOf: () => 'quiet', cell: ({ kind }) => kind },
  count: { title: 'Count', style: 'number roomy-only', cell: ({ count }) => formatExact(count) },
  macs: {
    title: 'MACs',
    style: 'number',
    tip: ({ macs }) => formatExact(macs),
    cell: ({ macs }) => (macs > 0 ? formatCount(macs) : '–'),
  },
  elements: {
    title: 'Elements',
    style: 'number',
    tip: ({ elements }) => formatExact(elements),
    cell: ({ elements }) => (elements > 0 ? formatCount(elements) : '–'),
  },
  output: {
    title: 'Output',
    style: 'number',
    tip: ({ bytes }) => `${formatExact(bytes)} bytes`,
    cell: ({ bytes }) => formatBytes(bytes),
  },
  bar: {
    title: 'Output as a bar',
    titleHidden: true,
    style: 'bar-column',
    cell: ({ bytes }) => <ShareBar share={bytes / most} of="the largest output" />,
  },
});

const byWork = (left: OperatorRow, right: OperatorRow): number =>
  right.macs - left.macs || right.elements - left.elements;
