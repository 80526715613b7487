import type { VNode } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { InspectorModel } from '../../src/protocol/inspector';
import type { ModuleRow } from '../../src/domain/report';
import { useSaved } from '../host';
import { Stations } from '../marks/stations';
import { TreeGrid } from '../marks/treeGrid';
import {
  deriveTree,
  findModule,
  keyOf,
  membersKeyOf,
  searchRows,
  visibleLines,
  type Tree,
  type TreeMove,
} from '../marks/treeState';
import { prepare, remembered } from '../kit/sorting';
import { Guard } from '../kit/status';
import { Detail, type Links, type OperatorsIn } from './detail';
import { hitsText, useHits, type OnHits } from './hits';

export interface ArchitectureProps {
  readonly model: InspectorModel;
  readonly query: string;
  readonly onCopy: (text: string) => void;
  readonly links: Links;
  readonly operatorsIn: OperatorsIn;
  readonly onHits: OnHits;
  /** A module that another view asked for, and how often one was asked for. */
  readonly revealed: Revealed | undefined;
}

/** What another view asked to be shown; `count` tells one question from the next. */
export interface Revealed {
  readonly path: string;
  readonly count: number;
}

/** Drawing, tree and details of the chosen module. */
export function Architecture(props: ArchitectureProps): VNode {
  const { model, query, onCopy, links, operatorsIn, revealed } = props;
  const tree = useMemo(() => deriveTree(model.modules), [model.modules]);
  const [expanded, setExpanded] = useSaved<readonly string[]>('expanded', initiallyOpen(tree));
  const [active, setActive] = useSaved<string | undefined>('module', undefined);
  const [opened, setOpened] = useState(0);
  const [asked, setAsked] = useState(0);
  const detail = useRef<HTMLElement>(null);
  const textOf = useMemo(() => remembered((row: ModuleRow) => searchText(model, row)), [model]);
  const found = useMemo(
    () => (query.trim() === '' ? undefined : searchRows(tree, query, textOf)),
    [tree, query],
  );
  const shown = found?.shown;
  useEffect(() => prepare(tree.rows, textOf), [tree, textOf]);
  const lines = useMemo(() => visibleLines(tree, new Set(expanded), shown), [tree, expanded, shown]);
  const chosen = tree.rows[Number.parseInt(active ?? '', 10)];

  useHits(found && hitsText(found.hits, tree.rows.length, 'modules'), props.onHits);
  useEffect(() => {
    if (opened > 0) detail.current?.focus();
  }, [opened]);

  const onMove = ({ active: next, toggle }: TreeMove): void => {
    if (next !== undefined) setActive(next);
    if (toggle) setExpanded(withToggled(expanded, toggle.keys, toggle.open));
  };
  const reveal = (path: string): void => {
    const target = findModule(tree.rows, path);
    if (target === undefined) return;
    setExpanded(withToggled(expanded, openAncestors(tree, target), true));
    setActive(keyOf(target));
  };

  useEffect(() => {
    if (!revealed) return;
    reveal(revealed.path);
    setAsked(revealed.count);
  }, [revealed]);

  const root = tree.rows.reduce((sum, row) => sum + (row.parent < 0 && !row.folded ? row.params : 0), 0);
  return (
    <div class="architecture">
      {model.stations.length > 0 && (
        <Guard what="The drawing of the model">
          <Stations
            stations={model.stations}
            joins={model.joins ?? []}
            chosen={chosen?.path}
            onChoose={reveal}
          />
        </Guard>
      )}
      <div class="tree-and-detail">
        <div class="tree-side">
          {lines.length > 0 ? (
            <TreeGrid
              tree={tree}
              lines={lines}
              totalParams={root}
              active={active}
              onMove={onMove}
              onOpen={() => setOpened(opened + 1)}
              onCopy={onCopy}
              focusAsked={asked}
            />
          ) : (
            <p class="empty">
              {query === '' ? 'This file holds no modules.' : `No module or tensor name contains “${query}”.`}
            </p>
          )}
        </div>
        {lines.length > 0 && (
          <aside ref={detail} class="detail" tabIndex={-1} aria-label="Details of the chosen module">
            {chosen ? (
              <Detail {...{ model, onCopy, links, operatorsIn }} row={chosen} />
            ) : (
              <p class="quiet">Choose a module to see its formula, shapes and tensors.</p>
            )}
          </aside>
        )}
      </div>
    </div>
  );
}

/**
 * A single root, a list of stages or folded blocks would hide everything: the way down to the first
 * groups begins open, and so do they.
 */
function initiallyOpen(tree: Tree): readonly string[] {
  const roots = tree.roots.length === 1 ? tree.roots : [];
  const below = roots.length === 1 ? (tree.children[roots[0] as number] ?? []) : tree.roots;
  // Parts of a model hold what a model of one has below its root.
  const parts = below.filter((index) => tree.rows[index]?.part !== undefined);
  const top = parts.length > 0 ? parts.flatMap((index) => tree.children[index] ?? []) : below;
  const isGroup = (index: number): boolean => tree.rows[index]?.kind === 'group';
  const groups = top.flatMap((index) => [index, ...(tree.children[index] ?? [])]).filter(isGroup);
  const isStage = (index: number): boolean =>
    /^\d+$/.test(tree.rows[index]?.name ?? '') && (tree.children[index]?.length ?? 0) > 0;
  const parents = top.filter((index) =>
    tree.children[index]?.some((child) => isGroup(child) || isStage(child)),
  );
  return [...new Set([...roots, ...parts, ...parents, ...groups.slice(0, 1)])].map(keyOf);
}

const searchText = (model: InspectorModel, row: ModuleRow): string =>
  [
    row.path,
    row.ownPath,
    row.title,
    row.dtype,
    ...row.tensors.map((tensor) => model.tensors[tensor]?.name ?? ''),
  ].join(' ');

function withToggled(expanded: readonly string[], keys: readonly string[], open: boolean): readonly string[] {
  const next = new Set(expanded);
  for (const key of keys)
    if (open) next.add(key);
    else next.delete(key);
  return [...next];
}

function openAncestors(tree: Tree, index: number): readonly string[] {
  const keys: string[] = [];
  for (let at = tree.rows[index]?.parent ?? -1; at >= 0; at = tree.rows[at]?.parent ?? -1) {
    keys.push(keyOf(at));
    if (tree.rows[index]?.folded && tree.rows[at]?.kind === 'group') keys.push(membersKeyOf(at));
  }
  return keys;
}
