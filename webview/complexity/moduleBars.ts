import type { Macs, ModuleRow } from '../../src/domain/report';
import { deriveTree } from '../marks/treeState';

/** A bar of the chart: a part of the model with its MACs over all repetitions. */
export interface ModuleBar {
  readonly label: string;
  readonly path: string;
  /** How often the module stands in the model, groups of groups multiplied. */
  readonly times: number;
  readonly macs: Macs;
  readonly params: number;
}

export const totalMacs = ({ conv, linear, attention }: Macs): number => conv + linear + attention;

const scaled = (macs: Macs, times: number): Macs => ({
  conv: macs.conv * times,
  linear: macs.linear * times,
  attention: macs.attention * times,
});

interface Part extends ModuleBar {
  readonly row: number;
  /** Factor for the numbers of this row's children. */
  readonly inside: number;
}

/**
 * Parts of a model that are worth a bar each: from the roots on, the costliest part gives way to
 * its children until there are about `wanted`, so that a plain ViT shows its attention and MLP, and
 * a hierarchical one its stages. Parts without MACs are left out.
 */
export function moduleBars(modules: readonly ModuleRow[], wanted = 8): readonly ModuleBar[] {
  const tree = deriveTree(modules);
  const partOf = (row: number, times: number, prefix: string): Part => {
    const module = modules[row] as ModuleRow;
    const name = module.name || '(model)';
    return {
      row,
      label: prefix === '' ? name : `${prefix}.${name}`,
      path: module.path,
      times: times * module.count,
      macs: scaled(module.macs, times),
      params: module.params * times,
      inside: times * (module.kind === 'group' ? module.count : 1),
    };
  };
  const childrenOf = (part: Part): readonly Part[] => {
    const module = modules[part.row] as ModuleRow;
    // A group's name is a range of indices; its parts are better known by what they are than by
    // which.
    const prefix =
      module.kind === 'group' ? trimmed(part.label, module) : module.path === '' ? '' : part.label;
    return (tree.children[part.row] ?? []).map((child) => partOf(child, part.inside, prefix));
  };

  let parts = tree.roots.map((root) => partOf(root, 1, ''));
  for (;;) {
    const candidates = parts
      .map((part) => ({ part, children: childrenOf(part).filter((child) => totalMacs(child.macs) > 0) }))
      .filter(({ part, children }) => children.length > 0 && covers(part, children))
      .sort((left, right) => totalMacs(right.part.macs) - totalMacs(left.part.macs));
    const next = candidates.find(({ children }) => parts.length - 1 + children.length <= wanted);
    if (!next) break;
    parts = parts.flatMap((part) => (part === next.part ? next.children : [part]));
  }
  return parts.filter((part) => totalMacs(part.macs) > 0);
}

/**
 * A part is only replaced where its children account for all of it: operators of its own would be
 * lost.
 */
const covers = (part: Part, children: readonly Part[]): boolean =>
  children.reduce((sum, child) => sum + totalMacs(child.macs), 0) === totalMacs(part.macs);

const trimmed = (label: string, module: ModuleRow): string =>
  label.slice(0, Math.max(0, label.length - module.name.length - 1));
