import type { VNode } from 'preact';
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import type { ModuleRow } from '../../src/domain/report';
import { formatCount, formatExact, formatShape } from '../../src/domain/units';
import { useNewest } from '../kit/elements';
import { useRowWindow } from '../kit/virtualRows';
import { Icon } from '../kit/icon';
import { ShareBar } from './shareBar';
import { moveInTree, typeAhead, type Tree, type TreeLine, type TreeMove } from './treeState';

const ROW_HEIGHT = 24;
/** A pause longer than this begins a new word when typing ahead. */
const TYPING_PAUSE_MS = 600;

export interface TreeGridProps {
  readonly tree: Tree;
  readonly lines: readonly TreeLine[];
  readonly totalParams: number;
  /** Key of the chosen line. */
  readonly active: string | undefined;
  readonly onMove: (move: TreeMove) => void;
  /** Enter on a line: go to its details. */
  readonly onOpen: () => void;
  readonly onCopy: (text: string) => void;
  /** Whenever it grows, the chosen line is brought into view and gets the focus. */
  readonly focusAsked?: number;
}

/** As the file calls it. */
const pathOf = (row: ModuleRow | undefined): string => row?.ownPath ?? row?.path ?? '';

const macsOf = (row: ModuleRow): number => row.macs.conv + row.macs.linear + row.macs.attention;

/**
 * The module tree after ARIA's tree-grid pattern: rows are what takes focus, one of them is in the
 * tab order.
 */
export function TreeGrid(props: TreeGridProps): VNode {
  const { tree, lines, active, onMove, onOpen, onCopy } = props;
  const body = useRef<HTMLDivElement>(null);
  const typed = useRef({ text: '', at: 0 });
  const focusWanted = useRef(false);
  const view = useRowWindow(body, lines.length, ROW_HEIGHT);
  const at = useMemo(() => lines.findIndex((line) => line.key === active), [lines, active]);
  const scrollTo = useNewest(view.scrollTo);
  const asked = useRef(0);
  if ((props.focusAsked ?? 0) > asked.current) {
    asked.current = props.focusAsked ?? 0;
    focusWanted.current = true;
  }

  useLayoutEffect(() => {
    if (!focusWanted.current || at < 0) return;
    scrollTo.current?.(at);
    const row = body.current?.querySelector<HTMLElement>('[tabindex="0"]');
    row?.focus({ preventScroll: true });
    focusWanted.current = false;
  });

  const onKeyDown = (event: KeyboardEvent): void => {
    const line = lines[at] ?? lines[0];
    if (!line) return;
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      if (event.key === 'Enter') onOpen();
      return;
    }
    if ((event.ctrlKey || event.metaKey) && event.key === 'c') return copyUnlessSelecting(line);
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(window.innerHeight / ROW_HEIGHT) - 6);
    const moved = moveInTree(lines, active, event.key, page);
    // Another key ends the word that was being typed.
    if (moved) typed.current = { text: '', at: 0 };
    const move = moved ?? typing(event);
    if (!move) return;
    event.preventDefault();
    focusWanted.current = true;
    onMove(move);
  };
  const copyUnlessSelecting = (line: TreeLine): void => {
    if (String(getSelection()) === '') onCopy(pathOf(tree.rows[line.index]));
  };
  const typing = (event: KeyboardEvent): TreeMove | undefined => {
    if (event.key.length !== 1) return undefined;
    const late = event.timeStamp - typed.current.at > TYPING_PAUSE_MS;
    typed.current = { text: (late ? '' : typed.current.text) + event.key, at: event.timeStamp };
    return typeAhead(lines, active, typed.current.text);
  };

  // The focused row stays in the document even when it is scrolled away, or the page would lose its
  // focus.
  const drawn = lines.slice(view.first, view.end);
  const kept = at >= 0 && (at < view.first || at >= view.end) ? lines[at] : undefined;
  return (
    <div
      class="tree"
      role="treegrid"
      aria-label="Modules"
      aria-rowcount={lines.length + 1}
      onKeyDown={onKeyDown}
    >
      <div class="grid-row grid-head tree-columns" role="row" aria-rowindex={1}>
        <span role="columnheader">Module</span>
        <span role="columnheader" class="number">
          Parameters
        </span>
        <span role="columnheader" aria-label="Share of parameters" class="col-share" />
        <span role="columnheader" class="number col-macs">
          MACs
        </span>
        <span role="columnheader" class="number col-output">
          Output
        </span>
        <span role="columnheader" class="col-dtype">
          Type
        </span>
      </div>
      <div ref={body} class="virtual" role="rowgroup" style={{ height: `${lines.length * ROW_HEIGHT}px` }}>
        {(kept ? [...drawn, kept] : drawn).map((line) => {
          const row = lines.indexOf(line);
          return (
            <Line
              key={line.key}
              line={line}
              row={row}
              {...props}
              focusable={at < 0 ? row === 0 : row === at}
              onFocusWanted={() => {
                focusWanted.current = true;
              }}
            />
          );
        })}
      </div>
    </div>
  );
}

interface LineProps extends TreeGridProps {
  readonly line: TreeLine;
  readonly row: number;
  readonly focusable: boolean;
  readonly onFocusWanted: () => void;
}

function Line({
  line,
  row,
  tree,
  totalParams,
  focusable,
  active,
  onMove,
  onOpen,
  onFocusWanted,
}: LineProps): VNode {
  const toggle = (): void => onMove({ toggle: { keys: [line.key], open: !line.expanded } });
  const module = tree.rows[line.index] as ModuleRow;
  return (
    <div
      role="row"
      class={`grid-row tree-columns${line.kind === 'members' ? ' members-row' : ''}`}
      aria-level={line.level}
      aria-posinset={line.position}
      aria-setsize={line.siblings}
      aria-rowindex={row + 2}
      aria-expanded={line.expandable ? line.expanded : undefined}
      aria-selected={line.key === active}
      tabIndex={focusable ? 0 : -1}
      style={{ transform: `translateY(${row * ROW_HEIGHT}px)` }}
      onClick={() => {
        onFocusWanted();
        onMove({ active: line.key });
      }}
      onDblClick={() => (line.expandable ? toggle() : onOpen())}
    >
      <span
        role="gridcell"
        class="tree-name"
        title={tipOf(module)}
        style={{ paddingLeft: `${(line.level - 1) * 16}px` }}
      >
        <span
          class={`twisty codicon ${twisty(line)}`}
          aria-hidden="true"
          onClick={(event) => {
            event.stopPropagation();
            onFocusWanted();
            onMove({ active: line.key, toggle: { keys: [line.key], open: !line.expanded } });
          }}
        />
        {line.kind === 'members' ? <span class="quiet">{line.name}</span> : <ModuleName row={module} />}
      </span>
      {line.kind === 'module' && <Numbers module={module} totalParams={totalParams} />}
    </div>
  );
}

const twisty = (line: TreeLine): string =>
  !line.expandable ? 'codicon-blank' : line.expanded ? 'codicon-chevron-down' : 'codicon-chevron-right';

/** The file's own path first, where there are two. */
const tipOf = ({ path, ownPath }: ModuleRow): string => (ownPath ? `${ownPath}\n(${path})` : path);

/** Where a long name gives way: before its last word, which tells it from its neighbours. */
const lastDot = /\.(?=[^.]*$)/;

const ModuleName = ({ row }: { row: ModuleRow }): VNode => (
  <>
    <span class="module-name">
      {(row.ownName ?? (row.name || '(model)')).split(lastDot).map((part, index, parts) => (
        <span>{index < parts.length - 1 ? `${part}.` : part}</span>
      ))}
    </span>
    {row.ownName && <span class="quiet canonical">{row.name}</span>}
    {row.count > 1 && (
      <>
        <span class="badge" title={`${row.count} modules of identical structure`}>
          ×{row.count}
        </span>
        <span class="quiet each">{eachText(row)}</span>
      </>
    )}
    {row.kind === 'group' && row.count === 1 && <Icon name="layers" />}
  </>
);

/** `per block 12.6 M, 2.56 G MACs`: the columns have the sums over the group. */
function eachText(row: ModuleRow): string {
  const macs = macsOf(row) / row.count;
  return [
    `each ${formatCount(row.params / row.count)}`,
    ...(macs > 0 ? [`${formatCount(macs)} MACs`] : []),
  ].join(', ');
}

/** `302,309,376 = 24 × 12,596,224 parameters`. */
const sumText = (total: number, count: number, unit: string): string =>
  `${formatExact(total)}${count > 1 ? ` = ${count} × ${formatExact(total / count)}` : ''} ${unit}`;

function Numbers({ module, totalParams }: { module: ModuleRow; totalParams: number }): VNode {
  const macs = macsOf(module);
  return (
    <>
      <span role="gridcell" class="number" title={sumText(module.params, module.count, 'parameters')}>
        {module.params > 0 ? formatCount(module.params) : '–'}
      </span>
      <span role="gridcell" class="col-share">
        <ShareBar share={totalParams > 0 ? module.params / totalParams : 0} of="all parameters" />
      </span>
      <span role="gridcell" class="number col-macs" title={sumText(macs, module.count, 'MACs')}>
        {macs > 0 ? formatCount(macs) : '–'}
      </span>
      <span role="gridcell" class="number col-output">
        {module.output.length > 0 ? formatShape(module.output) : ''}
      </span>
      <span role="gridcell" class="col-dtype quiet" title={module.dtype}>
        {module.dtype}
      </span>
    </>
  );
}
